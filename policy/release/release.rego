# The release gate's set: what must be true of artifacts before they are published.
#
# It is written as the baseline is (see ../baseline/merge.rego): each rule adds reasons to deny, a
# release without reasons passes, a collection is walked once, and what may be many is told as one
# reason. What is required beside provenance stands in input.settings.require.
#
# lint:allow walks-again input.artifacts: a few files, and each rule asks one thing of them
# lint:allow walks-again input.release.undecided: two lists with a condition each
# lint:allow walks-again input.release.tests: a few statements
# lint:allow walks-again input.rejected: a few statements
package sallyport.release

# How many names one reason tells.
most := 10

names(list) := concat(", ", list) if count(list) <= most

names(list) := sprintf("%s and %d more", [concat(", ", array.slice(list, 0, most)), count(list) - most]) if count(list) > most

required(what) if what in input.settings.require

# --- what is released ---

deny contains {
	"code": "release-empty", "outcome": "shut",
	"text": "no artifact is named: a release of nothing proves nothing",
} if {
	count(input.artifacts) == 0
}

deny contains {
	"code": "release-off-ref", "outcome": "shut",
	"text": sprintf("%s is not on the first-parent history of %s: the ref has never led to it", [input.release.commit, input.release.ref]),
} if {
	not input.release.on_ref
}

deny contains {
	"code": "release-ref-ungated", "outcome": "shut",
	"text": sprintf("the merge gate does not guard %s: gates.merge leaves it out", [input.release.ref]),
} if {
	not input.release.gated
}

deny contains {
	"code": "release-not-pinned", "outcome": "shut",
	"text": "no root is pinned outside the repository: whoever can write to it chooses who may vouch for a release",
} if {
	not input.trust.pinned
}

# --- every commit passed the merge gate ---

refused := [sprintf("%s (%s)", [commit.id, commit.refused]) | some commit in input.release.undecided; commit.refused != ""]

unknown := [sprintf("%s %q", [commit.id, commit.title]) | some commit in input.release.undecided; commit.refused == ""]

deny contains {
	"code": "merge-decision-refused", "outcome": "shut",
	"text": sprintf("%d commits were released from although the merge gate did not open for them: %s", [count(refused), names(refused)]),
} if {
	count(refused) > 0
}

deny contains {
	"code": "merge-decision-missing", "outcome": "shut",
	"text": sprintf("%d of %d commits have no open decision of the merge gate that counts: %s", [count(unknown), input.release.commits, names(unknown)]),
} if {
	count(unknown) > 0
}

# All that it brings may be accounted for, and the commit still be none that was judged: one from inside a
# change, or one at or below the adoption.
deny contains {
	"code": "commit-not-judged", "outcome": "shut",
	"text": sprintf("%s itself is not what an open decision judged", [input.release.commit]),
} if {
	not input.release.decided
	count(input.release.undecided) == 0
}

deny contains {
	"code": "adoption-missing", "outcome": "shut",
	"text": "the configuration names no adoption commit, and no release has passed before: there is nothing that decisions could stand on",
} if {
	input.release.basis == "none"
}

# --- provenance ---

provenance[artifact.name] contains p if {
	some artifact in input.artifacts
	some p in artifact.provenance
}

accepted_builder(_) if count(input.settings.builders) == 0

accepted_builder(p) if p.builder in input.settings.builders

good(p) if {
	p.source
	p.succeeded
	p.grade in input.settings.grades
	accepted_builder(p)
}

proven contains artifact.name if {
	some artifact in input.artifacts
	some p in artifact.provenance
	good(p)
}

# A file of checksums is vouched for by those that it lists, all of which are artifacts here.
proven contains artifact.name if {
	some artifact in input.artifacts
	artifact.checksums
}

# A run that failed is told even beside one that did not: one of the two is about other bytes.
deny contains {
	"code": "provenance-failed", "outcome": "shut", "place": name,
	"text": sprintf("the run that made %s failed: %s (%s)", [name, object.get(p, "why", ""), p.attestation]),
} if {
	some name, ps in provenance
	some p in ps
	not p.succeeded
}

deny contains {
	"code": "provenance-other-source", "outcome": "shut", "place": name,
	"text": sprintf("%s was not made from %s: %s", [name, input.release.commit, object.get(p, "why", "")]),
} if {
	some name, ps in provenance
	not name in proven
	some p in ps
	p.succeeded
	not p.source
}

deny contains {
	"code": "builder-not-allowed", "outcome": "shut", "place": name,
	"text": sprintf("%s was made by %s, which is none of the builders that the configuration names", [name, p.builder]),
} if {
	some name, ps in provenance
	not name in proven
	some p in ps
	p.succeeded
	p.source
	not accepted_builder(p)
}

deny contains {
	"code": "provenance-grade", "outcome": "shut", "place": name,
	"text": sprintf("the provenance of %s is %s, and only %s counts", [name, p.grade, concat(", ", input.settings.grades)]),
} if {
	some name, ps in provenance
	not name in proven
	some p in ps
	p.succeeded
	p.source
	accepted_builder(p)
	not p.grade in input.settings.grades
}

deny contains {
	"code": "provenance-missing", "outcome": "shut", "place": artifact.name,
	"text": sprintf("nothing says what built %s (%s)", [artifact.name, artifact.digest]),
} if {
	some artifact in input.artifacts
	not artifact.checksums
	count(artifact.provenance) == 0
}

# --- what has to be there beside it ---

bill_counts(artifact) if {
	some bill in artifact.sbom
	bill.grade in input.settings.grades
}

deny contains {
	"code": "sbom-missing", "outcome": "shut", "place": artifact.name,
	"text": sprintf("no bill of materials of %s, or of the commit, counts", [artifact.name]),
} if {
	required("sbom")
	some artifact in input.artifacts
	not artifact.checksums
	not bill_counts(artifact)
}

passed if {
	some test in input.release.tests
	test.grade in input.settings.grades
	test.result in {"PASSED", "WARNED"}
}

failed if {
	some test in input.release.tests
	not test.result in {"PASSED", "WARNED"}
}

deny contains {
	"code": "tests-failed", "outcome": "shut",
	"text": sprintf("the statement %s says that tests of %s failed", [test.attestation, input.release.commit]),
} if {
	required("tests")
	some test in input.release.tests
	not test.result in {"PASSED", "WARNED"}
}

deny contains {
	"code": "tests-missing", "outcome": "shut",
	"text": sprintf("no verified statement that counts says that tests of %s passed", [input.release.commit]),
} if {
	required("tests")
	not passed
	not failed
}

deny contains {
	"code": "checksums-missing", "outcome": "shut", "place": artifact.name,
	"text": sprintf("no file of checksums among the artifacts holds %s", [artifact.name]),
} if {
	required("checksums")
	some artifact in input.artifacts
	not artifact.checksums
	not artifact.checksummed
}

rebuilt(artifact) if {
	some r in artifact.rebuilt
	r.grade in input.settings.grades
	r.result == "PASSED"
}

deny contains {
	"code": "rebuild-differs", "outcome": "shut", "place": artifact.name,
	"text": sprintf("a rebuild of %s gave other bytes", [artifact.name]),
} if {
	required("rebuild")
	some artifact in input.artifacts
	not artifact.checksums
	some r in artifact.rebuilt
	r.result != "PASSED"
}

deny contains {
	"code": "rebuild-missing", "outcome": "shut", "place": artifact.name,
	"text": sprintf("no rebuild that counts gave the bytes of %s", [artifact.name]),
} if {
	required("rebuild")
	some artifact in input.artifacts
	not artifact.checksums
	count([r | some r in artifact.rebuilt; r.result != "PASSED"]) == 0
	not rebuilt(artifact)
}

# --- what is known of what is inside ---

open_findings := [finding |
	some finding in input.findings
	not finding.state in {"fixed", "not-affected", "accepted"}
]

severities := {"low": 1, "medium": 2, "high": 3, "critical": 4}

# A severity or a limit that is not known is below nothing.
below(_, "none")

below(finding, at) if severities[finding.severity] < severities[at]

# The code of each finding that shuts.
shuts(finding) := "release-malicious" if {
	finding.kind == "malicious-package"
} else := "release-vulnerability" if {
	finding.kind == "vulnerability"
	not below(finding, input.settings.advisories.shut_at)
} else := "release-advisories-unknown" if {
	finding.kind == "advisory"
	input.settings.advisories.required
} else := "build-cache-shared" if {
	finding.kind == "workflow"
	input.settings.build_inputs == "shut"
	finding.rule in {"release-cache", "untrusted-cache"}
} else := "build-inputs-unpinned" if {
	finding.kind == "workflow"
	input.settings.build_inputs == "shut"
} else := "build-inputs-unknown" if {
	finding.kind == "unscanned"
	input.settings.build_inputs == "shut"
}

found[code] contains {
	"text": finding.text, "severity": finding.severity, "place": place(finding),
	"finding": finding.id, "rule": finding.rule, "paths": [path | path := finding.path], "subject": object.get(finding, "subject", ""),
} if {
	some finding in open_findings
	code := shuts(finding)
}

default place(_) := ""

place(finding) := sprintf("%s:%d", [finding.path, finding.line]) if {
	finding.line > 0
} else := finding.path

deny contains object.union(finding, {"code": code, "outcome": "shut"}) if {
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

why_unknown := {
	"missing": "there is no advisory database to look packages up in",
	"unusable": "the advisory database cannot be used",
	"nothing": "no lock file and no bill of materials names a package, or says that there is none",
}

# That nothing was found is no answer of a look that was none.
deny contains {
	"code": "release-advisories-unknown", "outcome": "shut",
	"text": sprintf("whether the release holds a vulnerable package is not known: %s", [object.get(why_unknown, input.advisories.state, "it was not looked")]),
} if {
	input.settings.advisories.required
	input.advisories.state != "looked"
	not "release-advisories-unknown" in object.keys(found)
}

# --- that an archive of source is the tree ---

deny contains {
	"code": "source-differs", "outcome": "shut", "place": artifact.name, "subject": artifact.digest,
	"text": sprintf("%s does not hold the tree of %s: %s", [artifact.name, input.release.commit, names(artifact.source.differences)]),
} if {
	some artifact in input.artifacts
	artifact.source.wanted
	not artifact.source.equal
}

# --- what a build took in ---

deny contains {
	"code": "build-inputs-unpinned", "outcome": "shut", "place": artifact.name, "subject": artifact.digest,
	"text": sprintf("the provenance of %s names without a digest: %s", [artifact.name, names(p.unpinned)]),
} if {
	input.settings.build_inputs == "shut"
	some artifact in input.artifacts
	some p in artifact.provenance
	good(p)
	count(p.unpinned) > 0
}

# The provenance names nothing beside the source, and no definition in the commit says what ran.
deny contains {
	"code": "build-inputs-unknown", "outcome": "shut", "place": artifact.name, "subject": artifact.digest,
	"text": sprintf("neither the provenance of %s nor a definition in the commit says which actions and tools the build used", [artifact.name]),
} if {
	input.settings.build_inputs == "shut"
	some artifact in input.artifacts
	some p in artifact.provenance
	good(p)
	p.inputs + count(p.unpinned) + input.release.definitions == 0
}

# --- what was presented and is no evidence ---

rejection := {
	"tampered": "artifact-tampered",
	"replayed": "evidence-replayed",
	"revoked": "signer-revoked",
	"expired": "signer-expired",
}

deny contains {
	"code": rejection[r.code], "outcome": "shut", "place": r.source,
	"text": sprintf("%s does not count: %s", [r.source, r.why]),
} if {
	some r in input.rejected
	r.code in object.keys(rejection)
}

deny contains {
	"code": "evidence-rejected", "outcome": "shut", "place": r.source,
	"text": sprintf("%s does not count: %s", [r.source, r.why]),
} if {
	some r in input.rejected
	not r.code in object.keys(rejection)
}
