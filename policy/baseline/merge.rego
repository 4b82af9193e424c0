# The merge gate's baseline: what must be true of a change before it may land.
#
# How it is written, and why:
#
#   - Each rule adds reasons to deny; a change without reasons passes. A reason states its code,
#     its outcome ("shut", or "waiting" if a person's approval would settle it), the fact and
#     the place. Title, severity, labels and remedy are in data.json under rules.<code>.
#   - A reason never depends on that table or on an optional property: what is not there would
#     leave the reason undefined, and a gate open.
#   - A rule walks a collection of the input once, and what may be many is told as one reason
#     with a few places, or as at most 20 and one that counts the rest.
#   - input.claims is read nowhere.
#
# sallyport policy lint sees to what of this can be seen. Each list of files below is one pass
# with one plain condition. One pass that sorts files into all lists was measured: it takes four
# times as long, since it makes a value for each file and list.
#
# lint:allow walks-again input.change.files: lists with a condition each, see above
package sallyport.merge

# How many reasons one rule gives before it counts the rest.
most := 20

# --- approvals ---

by_eligible contains approval if {
	some approval in input.approvals
	approval.eligible
}

# The persons whose approvals count. The verifier has said so of each; every part of what it
# said has to agree, since contradictory evidence must not open a gate.
approvers contains approval.reviewer if {
	some approval in by_eligible
	approval.counts
	approval.fresh
	not approval.revoked
	approval.grade in data.approval_grades
}

approved if {
	input.pull_request.human_approved
	input.change.approvals_required > 0
	input.change.approvals_counting >= input.change.approvals_required
	count(approvers) >= input.change.approvals_required
	count(input.change.residue) == 0
}

approvals_text := sprintf("%d of %d approvals needed", [count(approvers), max([1, input.change.approvals_required])])

# An approval can stand in for knowing who wrote a line only where the repository says so.
vouched if {
	data.unattributed == "vouchable"
	approved
}

# --- who made it ---

uncovered_agent := [file | some file in input.change.files; file.uncovered.agent > 0]

uncovered_nobody := [file | some file in input.change.files; file.uncovered.unattributed > 0]

default agent_names := "an agent"

agent_names := listed(sort([agent.name | some agents in agents_by_approval; some agent in agents])) if {
	count(input.agents) > 0
}

agents_by_approval[agent.approved] contains agent if some agent in input.agents

deny contains {
	"code": "attestation-missing", "outcome": "shut", "place": place(uncovered_agent[0]),
	"paths": touched(uncovered_agent),
	"text": sprintf("%d changed lines by %s have no accepted run attestation: %s%s", [
		sum([file.uncovered.agent | some file in uncovered_agent]),
		agent_names,
		places(uncovered_agent),
		strays(uncovered_agent),
	]),
} if {
	count(uncovered_agent) > 0
}

# The sum of the parts must agree with the verifier's own summary, if there are parts: a ref that
# is deleted, or made at a commit that was judged before, brings nothing that a run could account
# for. What such an act is worth is said by the rules about refs.
deny contains {
	"code": "attestation-missing", "outcome": "shut",
	"text": "the change is judged as an agent's and its run evidence is not complete",
} if {
	input.pull_request.from_agent
	not input.pull_request.has_attestation
	not brings_nothing
	input.change.merge_tree != "" # a conflict is a reason of its own, and there is nothing to count
	count(uncovered_agent) == 0
	not waits_for_nobody
}

waits_for_nobody if {
	count(uncovered_nobody) > 0
	not vouched
}

deny contains {
	"code": "unattributed", "outcome": "waiting", "place": place(uncovered_nobody[0]),
	"paths": touched(uncovered_nobody),
	"text": sprintf("%s (%s)", [unattributed_text, approvals_text]),
} if {
	waits_for_nobody
	data.unattributed == "vouchable"
}

deny contains {
	"code": "unattributed", "outcome": "shut", "place": place(uncovered_nobody[0]),
	"paths": touched(uncovered_nobody),
	"text": sprintf("%s, and this repository judges that as an agent's work", [unattributed_text]),
	"next": "attest the run that wrote them, or have their author commit with a touched security key that the roster names",
} if {
	waits_for_nobody
	not data.unattributed == "vouchable"
}

unattributed_text := sprintf("nobody accounts for %d changed lines: %s%s%s", [
	sum([file.uncovered.unattributed | some file in uncovered_nobody]),
	places(uncovered_nobody),
	strays(uncovered_nobody),
	beside,
])

# The lines beside a run's work that no run wrote, where they can be told.
strays(files) := "" if {
	count(stray_places(files)) == 0
} else := sprintf("; no run wrote %s", [listed(stray_places(files))])

stray_places(files) := [sprintf("%s:%s", [file.path, lines(range)]) |
	some file in files
	some range in object.get(file, "stray", [])
]

lines(range) := sprintf("%d", [range.start]) if {
	range.lines == 1
} else := sprintf("%d-%d", [range.start, (range.start + range.lines) - 1])

# A signature beside a commit that nobody accounts for proves nothing of the whole.
default beside := ""

beside := sprintf(", since nobody accounts for commit %s", [input.change.unaccounted[0]]) if {
	count(input.change.unaccounted) > 0
	count(input.change.unaccounted) < count(input.change.commits)
}

deny contains {
	"code": "agent-not-approved", "outcome": "shut", "place": agent.name,
	"text": sprintf("the roster does not approve the agent %s, which made %d changed lines", [agent.name, agent.weight]),
} if {
	some agent in agents_by_approval[false]
}

# Work by agents of which none is named cannot have been approved.
deny contains {
	"code": "agent-not-approved", "outcome": "shut", "place": file.path,
	"text": "an agent made part of the change and the verifier does not say which",
} if {
	count(input.agents) == 0
	some file in input.change.files
	file.attribution.agent > 0
}

# --- with which models ---

# The codes of the registry. What it says in another way is as good as unknown.
model_codes := {
	"model-unknown": "model-unknown",
	"model-revoked": "model-revoked",
	"model-not-yet": "model-not-yet",
	"model-expired": "model-expired",
	"model-unapproved": "model-unapproved",
	"endpoint-unknown": "endpoint-unknown",
	"endpoint-unapproved": "endpoint-unapproved",
	"model-not-for-principal": "model-not-for-principal",
	"model-not-for-repository": "model-not-for-repository",
	"model-not-for-use": "model-not-for-use",
}

model_code(model) := model_codes[model.code] if {
	model_codes[model.code]
} else := "model-unknown"

# Without a registry there are no models here.
refused_models[model_code(model)] contains model if {
	some model in input.models
	not model.allowed
}

deny contains {
	"code": code, "outcome": "shut", "place": used[0].run,
	"text": sprintf("%s%s", [used[0].text, more_models(used)]),
} if {
	some code, models in refused_models
	used := [model | some model in models]
}

more_models(used) := sprintf(" (and %d more uses)", [count(used) - 1]) if {
	count(used) > 1
} else := ""

# --- what it touches ---

protected := {class | some class in data.protected_classes}

exposed := [{"path": file.path, "old_path": object.get(file, "old_path", ""), "classes": classes, "agent": file.attribution.agent > 0} |
	some file in input.change.files
	file.attribution.agent + file.attribution.unattributed > 0
	classes := [class | some class in file.classes; class in protected]
	count(classes) > 0
]

maker(true) := agent_names

maker(false) := "nobody who accounts for it"

deny contains {
	"code": "approval-missing", "outcome": "waiting", "place": file.path, "paths": touched([file]),
	"text": sprintf("%s (%s) was changed by %s: %s", [
		file.path, concat(", ", file.classes), maker(file.agent), approvals_text,
	]),
} if {
	not approved
	some i, file in exposed
	i < most
}

deny contains {
	"code": "approval-missing", "outcome": "waiting", "place": exposed[most].path,
	"paths": touched(array.slice(exposed, most, count(exposed))),
	"text": sprintf("%d more files of protected classes: %s", [count(exposed) - most, approvals_text]),
} if {
	not approved
	count(exposed) > most
}

# --- findings ---

finding_codes := {
	"secret": "secret",
	"unicode": "hidden-unicode",
	"identity": "forged-identity",
	"unscanned": "unscanned",
	"workflow": "workflow",
	"test": "test-failed",
	"dependency": "dependency-integrity",
	"look-alike": "dependency-look-alike",
	"vulnerability": "vulnerability",
	"malicious-package": "malicious-package",
	"advisory": "advisories-unknown",
	"unknown-package": "package-unknown",
	"new-package": "package-new",
	"run-unsealed": "run-unsealed",
	"run-forged": "run-forged",
	"run-hooks-silent": "run-hooks-silent",
}

# Any severity shuts for these; for the others the limits of data.findings hold.
any_severity := {"secret", "unicode", "unscanned", "malicious-package", "run-forged"}

severities := {"low": 1, "medium": 2, "high": 3, "critical": 4}

open_findings := [finding |
	some finding in input.findings
	not finding.state in {"fixed", "not-affected", "accepted"}
]

found[outcome][object.get(finding_codes, finding.kind, "finding")] contains {
	"place": finding_place(finding), "text": finding.text, "severity": finding.severity,
	"finding": finding.id, "rule": finding.rule, "paths": [path | path := finding.path],
} if {
	some finding in open_findings
	outcome := finding_outcome(finding)
}

finding_outcome(finding) := "shut" if {
	shuts(finding)
} else := "waiting" if {
	not below(finding, limit(finding.kind, "wait_at", "none"))
}

shuts(finding) if finding.kind in any_severity

# What the configuration requires to be known shuts whatever the limits are.
shuts(finding) if {
	finding.kind == "advisory"
	severities[finding.severity] > 2
}

shuts(finding) if not below(finding, limit(finding.kind, "shut_at", "high"))

# A severity or a limit that is not known is below nothing.
below(_, "none")

below(finding, at) if severities[finding.severity] < severities[at]

limit(kind, key, fallback) := object.get(
	object.get(object.get(data.findings, "kinds", {}), kind, {}), key,
	object.get(data.findings, key, fallback),
)

# A person's approval settles what waits.
settled("waiting") if approved

default finding_place(_) := ""

finding_place(finding) := sprintf("%s:%d", [finding.path, finding.line]) if {
	finding.line > 0
} else := finding.path if {
	finding.path
} else := finding.commit

deny contains {
	"code": code, "outcome": outcome, "place": finding.place,
	"text": finding.text, "severity": finding.severity,
	"finding": finding.finding, "rule": finding.rule, "paths": finding.paths,
} if {
	some outcome, codes in found
	not settled(outcome)
	some code, findings in codes
	some i, finding in [finding | some finding in findings]
	i < most
}

deny contains {
	"code": code, "outcome": outcome,
	"text": sprintf("%d more findings of this kind", [count(findings) - most]),
} if {
	some outcome, codes in found
	not settled(outcome)
	some code, findings in codes
	count(findings) > most
}

# --- the rules themselves ---

governed(file) if startswith(file.path, ".sallyport/")

governed(file) if startswith(file.old_path, ".sallyport/")

governed_files := [file | some file in input.change.files; governed(file)]

owner_files := [file |
	some file in input.change.files
	"policy" in file.classes
	not governed(file)
]

same_root if {
	input.trust.root != ""
	input.trust.root == input.trust.result_root
}

deny contains {
	"code": "policy-changed", "outcome": "shut", "place": first_governed,
	"text": sprintf("what governs this repository would change: %s; under a pinned root that takes the next version of the root, signed by its root keys%s", [
		governed_text,
		rotation_fault,
	]),
} if {
	input.trust.pinned
	input.change.merge_tree != ""
	not same_root
	not already_changed
	not input.trust.rotation
}

# A signature file is not among what a root lists, so the digest tells nothing of it. Junk there is
# nobody's business but a root person's, and the gate knows which signature is one.
deny contains {
	"code": "policy-changed", "outcome": "shut", "place": first_governed,
	"text": sprintf("the chain of signed roots would not be left as it is: %s", [input.trust.rotation_fault]),
} if {
	input.trust.pinned
	input.change.merge_tree != ""
	same_root
	input.trust.rotation_fault != ""
}

default rotation_fault := ""

rotation_fault := sprintf(": %s", [input.trust.rotation_fault]) if input.trust.rotation_fault != ""

# The tip differs from the pin already and this change leaves that as it is: root-changed.
already_changed if {
	input.trust.root_changed
	count(governed_files) == 0
}

deny contains {
	"code": "policy-changed", "outcome": "waiting", "place": first_governed,
	"text": sprintf("what governs this repository would change: %s (%s)", [governed_text, approvals_text]),
} if {
	not input.trust.pinned
	unpinned_change
	not approved
}

unpinned_change if count(governed_files) > 0

# The digest tells of a change that no path in the list shows.
unpinned_change if {
	input.trust.source != "builtin"
	input.change.merge_tree != ""
	not same_root
}

default first_governed := ".sallyport/"

first_governed := governed_files[0].path

default governed_text := "its governed files"

governed_text := places(governed_files) if count(governed_files) > 0

deny contains {
	"code": "policy-changed", "outcome": "waiting", "place": owner_files[0].path,
	"text": sprintf("who must be asked about changes would change: %s (%s)", [places(owner_files), approvals_text]),
} if {
	count(owner_files) > 0
	not approved
}

deny contains {
	"code": "root-changed", "outcome": "shut", "place": ".sallyport/root.json",
	"text": "the target's tip holds other governed files than the pinned root, and this change does not put them right",
} if {
	input.trust.root_changed
	not same_root
	not input.trust.rotation
}

# --- the shape of the change ---

deny contains {
	"code": "merge-conflict", "outcome": "shut", "place": input.change.conflicts[0],
	"text": sprintf("the change conflicts with %s: %s", [input.change.target_ref, listed(input.change.conflicts)]),
} if {
	count(input.change.conflicts) > 0
}

deny contains {
	"code": "merge-conflict", "outcome": "shut",
	"text": sprintf("there is no merge of the change into %s to judge", [input.change.target_ref]),
} if {
	count(input.change.conflicts) == 0
	input.change.merge_tree == ""
	input.change.ref_action != "delete"
}

deny contains {
	"code": "ref-rewritten", "outcome": "shut", "place": input.change.target_ref,
	"text": sprintf("%s would lose commits that it holds now", [input.change.target_ref]),
} if {
	input.change.ref_action == "rewrite"
}

deny contains {
	"code": "ref-deleted", "outcome": "shut", "place": input.change.target_ref,
	"text": sprintf("%s would be deleted", [input.change.target_ref]),
} if {
	input.change.ref_action == "delete"
}

deny contains {
	"code": "nothing-to-judge", "outcome": "shut",
	"text": "the change has no commits and no files: the range is most likely not the one that was meant",
} if {
	brings_nothing
	needs_content
}

brings_nothing if {
	count(input.change.commits) == 0
	count(input.change.files) == 0
}

needs_content if input.change.ref_action == "update"

# A new ref may start at a commit that the repository holds already, but not at nothing.
needs_content if {
	input.change.ref_action == "create"
	input.change.base == ""
}

deny contains {
	"code": "residue", "outcome": "waiting", "place": place(input.change.residue[0]),
	"text": sprintf("%d changed lines are not what was approved: %s", [
		sum([n | some file in input.change.residue; n := file.added + file.removed]),
		places(input.change.residue),
	]),
} if {
	count(input.change.residue) > 0
	some approval in by_eligible
	not approval.revoked
}

deny contains {
	"code": "declined", "outcome": "waiting", "place": input.change.declined[0],
	"text": sprintf("declined by %s", [listed(input.change.declined)]),
} if {
	count(input.change.declined) > 0
}

# The commits by what rules want to know of them, each looked at once.
commit_notes := [note |
	some commit in input.change.commits
	note := {
		"id": commit.id,
		"evil": commit.evil,
		"silent": count({agent | some agent in commit.agents; not agent in commit.disclosed}) > 0,
		"disclosing": count(commit.disclosed) > 0,
	}
]

evil := [note.id | some note in commit_notes; note.evil]

deny contains {
	"code": "evil-merge", "outcome": "waiting", "place": evil[0],
	"text": sprintf("merge commits hold changes that neither side made: %s (%s)", [listed(evil), approvals_text]),
} if {
	count(evil) > 0
	not approved
}

# --- who must be asked, and what must be said ---

deny contains {
	"code": "approval-threshold", "outcome": "waiting", "place": threshold.place, "paths": threshold.paths,
	"text": sprintf("%s: %d of %d approvals needed%s", [
		threshold.why, count(approvers_in(threshold.roles)), threshold.required, in_roles(threshold.roles),
	]),
} if {
	some threshold in input.change.thresholds
	not reached(threshold)
}

reached(threshold) if {
	threshold.required > 0
	count(approvers_in(threshold.roles)) >= threshold.required
}

# Whoever has one of the roles; without roles, everybody whose approval counts.
approvers_in(roles) := approvers if {
	count(roles) == 0
} else := {approval.reviewer |
	some approval in by_eligible
	approval.reviewer in approvers
	some role in approval.roles
	role in roles
}

in_roles(roles) := "" if {
	count(roles) == 0
} else := sprintf(" by persons with the role %s", [concat(" or ", roles)])

unasked := [file |
	not data.codeowners == "off"
	some file in input.change.files
	count(file.owners) > 0
	not file.owners_approved
]

deny contains {
	"code": "owner-approval-missing", "outcome": "waiting", "place": file.path, "paths": touched([file]),
	"text": sprintf("%s is owned by %s, and no approval by an owner counts%s", [
		file.path, listed(file.owners), strangers(file),
	]),
} if {
	some i, file in unasked
	i < most
}

deny contains {
	"code": "owner-approval-missing", "outcome": "waiting", "place": unasked[most].path,
	"paths": touched(array.slice(unasked, most, count(unasked))),
	"text": sprintf("%d more files whose owners have not approved them", [count(unasked) - most]),
} if {
	count(unasked) > most
}

strangers(file) := "" if {
	count(file.owners_unknown) == 0
} else := sprintf(" (the roster knows nobody as %s)", [listed(file.owners_unknown)])

undisclosed := [note.id | some note in commit_notes; note.silent]

deny contains {
	"code": "disclosure-missing", "outcome": "shut", "place": undisclosed[0],
	"text": sprintf("commits by an agent do not say so in a trailer: %s", [listed(undisclosed)]),
} if {
	data.disclosure == "required"
	count(undisclosed) > 0
}

disclosing := [note.id | some note in commit_notes; note.disclosing]

deny contains {
	"code": "disclosure-forbidden", "outcome": "shut", "place": disclosing[0],
	"text": sprintf("commits name an agent in a trailer, which this repository does not want: %s", [listed(disclosing)]),
} if {
	data.disclosure == "forbidden"
	count(disclosing) > 0
}

# --- reports of other tools ---

# A report answers a demand only at a grade that its author cannot give it. A file on the command
# line is declared, and the agent may have written it.
reported_grades := {"observed", "recomputed", "present", "attested"}

deny contains {
	"code": "report-missing", "outcome": "shut",
	"text": sprintf("no verified report about this commit answers what the configuration requires: %v", [wanted]),
} if {
	some wanted in data.required_reports
	not reported(wanted)
}

reported(wanted) if {
	some report in input.reports
	report.bound == true
	report.complete == true
	report.grade in reported_grades
	report.kind == wanted.kind
	right_tool(wanted, report)
}

right_tool(wanted, _) if not wanted.tool

right_tool(wanted, report) if lower(report.tool) == lower(wanted.tool)


# --- dependencies ---

# Files of which every line is a person's or a bot's. What another file brings is judged as an
# agent's, one that the list of files does not hold included.
accounted_paths := {file.path | some file in input.change.files; file.attribution.agent + file.attribution.unattributed == 0}

allowed_registries := {registry | some registry in data.dependencies.registries}

# One reason for each concern, however many packages there are. A word for the change that nobody
# knows is no reason to look away.
arriving := [dependency | some dependency in input.change.dependencies; dependency.change != "removed"]

new_packages := [dependency |
	some dependency in arriving
	dependency.change != "updated"
	not dependency.path in accounted_paths
]

with_scripts := [dependency | some dependency in arriving; dependency.install_script]

from_elsewhere := [dependency |
	some dependency in arriving
	not dependency.default_registry
	not dependency.registry in allowed_registries
]

without_digest := [dependency |
	some dependency in arriving
	dependency.lock
	not dependency.integrity in {"present", "elsewhere"}
]

deny contains {
	"code": "dependency-added", "outcome": "waiting", "place": new_packages[0].path,
	"text": sprintf("new packages, %s (%s)", [packages_text(new_packages), approvals_text]),
} if {
	not approved
	count(new_packages) > 0
}

deny contains {
	"code": "dependency-install-script", "outcome": "waiting", "place": with_scripts[0].path,
	"text": sprintf("packages that run code when they are installed, %s (%s)", [packages_text(with_scripts), approvals_text]),
} if {
	not approved
	count(with_scripts) > 0
}

deny contains {
	"code": "dependency-registry", "outcome": "waiting", "place": from_elsewhere[0].path,
	"text": sprintf("packages from another place than the default registry, %s (%s)", [packages_text(from_elsewhere), approvals_text]),
} if {
	not approved
	count(from_elsewhere) > 0
}

deny contains {
	"code": "dependency-integrity", "outcome": "waiting", "place": without_digest[0].path,
	"text": sprintf("packages that the lock file holds no digest of, %s (%s)", [packages_text(without_digest), approvals_text]),
} if {
	not approved
	count(without_digest) > 0
}

# How many, and the first five with where they are from.
packages_text(list) := sprintf("%d: %s%s", [
	count(list),
	concat(", ", [package_text(dependency) | some dependency in array.slice(list, 0, 5)]),
	and_more(count(list) - 5),
])

package_text(dependency) := sprintf("%s %s from %s", [dependency.name, dependency.version, dependency.registry]) if {
	not dependency.default_registry
} else := sprintf("%s %s", [dependency.name, dependency.version])

and_more(n) := sprintf(" and %d more", [n]) if {
	n > 0
} else := ""

# A lock file that nothing reads may bring anything.
unread_locks contains finding.path if {
	some finding in open_findings
	finding.kind == "dependency"
	finding.rule == "unread-format"
	not finding.path in accounted_paths
}

deny contains {
	"code": "dependency-added", "outcome": "waiting",
	"text": sprintf("which packages these files bring is not known: %s (%s)", [listed(sort(unread_locks)), approvals_text]),
} if {
	not approved
	count(unread_locks) > 0
}

# --- words ---

# Every path of files, old names too: what an exception must cover.
touched(files) := [path |
	some file in files
	some path in [file.path, object.get(file, "old_path", "")]
	path != ""
]

places(files) := listed([place(file) | some file in files])

# A path, with the line to look at first if there is one.
place(file) := sprintf("%s:%d", [file.path, file.line]) if {
	file.line > 0
} else := file.path

# The first five of a list, and how many more there are.
listed(list) := concat(", ", list) if {
	count(list) <= 5
} else := sprintf("%s and %d more", [concat(", ", array.slice(list, 0, 5)), count(list) - 5])
