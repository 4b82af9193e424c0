# What scans find in our own repository, enforced whatever the mode is: .ci/run fails on a reason
# of this set.
#
# A scanner's tests need text that looks like a secret and is none. Each such text is allowed by
# the finding's id, which is derived from its kind, rule, path and what was found: another secret
# in the same file, or the same one in another, is still a finding. The scanner is not weakened.
package sallyport.merge

import rego.v1

always := {"secret", "unicode", "unscanned", "identity", "workflow"}

grave(finding) if finding.kind in always

grave(finding) if not finding.severity in {"low", "medium"}

# Path and rule are there for the reader of data.json, and have to agree with the id.
planted(finding) if {
	fixture := data.fixtures[finding.id]
	fixture.path == finding.path
	fixture.rule == finding.rule
}

place(finding) := sprintf("%s:%d", [finding.path, finding.line]) if finding.line > 0

else := finding.path if finding.path

else := ""

deny contains {
	"code": "own-finding", "outcome": "shut", "place": place(finding),
	"text": sprintf("%s (%s, %s)", [finding.text, finding.kind, finding.id]),
	"next": "take it out; if it is a fixture that looks like a secret and is none, allow it by this id in .sallyport/own/data.json",
} if {
	some finding in input.findings
	not finding.state in {"fixed", "not-affected", "accepted"}
	grave(finding)
	not planted(finding)
}
