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
