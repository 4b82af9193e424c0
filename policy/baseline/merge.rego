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
	"text": sprintf("%d changed lines by %s have no accepted run attestation: %s", [
		sum([file.uncovered.agent | some file in uncovered_agent]),
		agent_names,
		places(uncovered_agent),
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
	"text": sprintf("%s (%s)", [unattributed_text, approvals_text]),
} if {
	waits_for_nobody
	data.unattributed == "vouchable"
}

deny contains {
	"code": "unattributed", "outcome": "shut", "place": place(uncovered_nobody[0]),
	"text": sprintf("%s, and this repository judges that as an agent's work", [unattributed_text]),
	"next": "attest the run that wrote them, or have their author commit with a touched security key that the roster names",
} if {
	waits_for_nobody
	not data.unattributed == "vouchable"
}

unattributed_text := sprintf("nobody accounts for %d changed lines: %s%s", [
	sum([file.uncovered.unattributed | some file in uncovered_nobody]),
	places(uncovered_nobody),
	beside,
])

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

# --- what it touches ---

protected := {class | some class in data.protected_classes}

exposed := [{"path": file.path, "classes": classes, "agent": file.attribution.agent > 0} |
	some file in input.change.files
	file.attribution.agent + file.attribution.unattributed > 0
	classes := [class | some class in file.classes; class in protected]
	count(classes) > 0
]

maker(true) := agent_names

maker(false) := "nobody who accounts for it"

deny contains {
	"code": "approval-missing", "outcome": "waiting", "place": file.path,
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
}

# Any severity shuts for these; for the others "low" and "medium" are told elsewhere.
any_severity := {"secret", "unicode", "unscanned"}

found[object.get(finding_codes, finding.kind, "finding")] contains {
	"place": finding_place(finding), "text": finding.text, "severity": finding.severity,
} if {
	some finding in input.findings
	not finding.state in {"fixed", "not-affected", "accepted"}
	matters(finding)
}

matters(finding) if finding.kind in any_severity

matters(finding) if not finding.severity in {"low", "medium"}

default finding_place(_) := ""

finding_place(finding) := sprintf("%s:%d", [finding.path, finding.line]) if {
	finding.line > 0
} else := finding.path if {
	finding.path
} else := finding.commit

deny contains {
	"code": code, "outcome": "shut", "place": finding.place,
	"text": finding.text, "severity": finding.severity,
} if {
	some code, findings in found
	some i, finding in [finding | some finding in findings]
	i < most
}

deny contains {
	"code": code, "outcome": "shut",
	"text": sprintf("%d more findings of this kind", [count(findings) - most]),
} if {
	some code, findings in found
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
	"text": sprintf("what governs this repository would change: %s; until a root can be rotated by signatures, that takes a new pin", [
		governed_text,
	]),
} if {
	input.trust.pinned
	input.change.merge_tree != ""
	not same_root
	not already_changed
}

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

evil := [commit.id | some commit in input.change.commits; commit.evil]

deny contains {
	"code": "evil-merge", "outcome": "waiting", "place": evil[0],
	"text": sprintf("merge commits hold changes that neither side made: %s (%s)", [listed(evil), approvals_text]),
} if {
	count(evil) > 0
	not approved
}

# --- words ---

places(files) := listed([place(file) | some file in files])

# A path, with the line to look at first if there is one.
place(file) := sprintf("%s:%d", [file.path, file.line]) if {
	file.line > 0
} else := file.path

# The first five of a list, and how many more there are.
listed(list) := concat(", ", list) if {
	count(list) <= 5
} else := sprintf("%s and %d more", [concat(", ", array.slice(list, 0, 5)), count(list) - 5])
