package config

import (
	"fmt"
	"strings"
)

// Template returns the configuration that `sallyport init` writes: it observes, gates one
// ref, and shows the line that enforces. repository and ref must be ones that [Parse] accepts;
// the error says which is not.
func Template(repository, ref string) ([]byte, error) {
	if err := checkRepository(repository); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	if why := refPatternFault(ref); why != "" {
		return nil, fmt.Errorf("write configuration: ref: %q %s", clip(ref), why)
	}
	// A double-quoted scalar of printable text reads the same in Go and in YAML; the result is
	// parsed again, so that a name for which that does not hold is refused here.
	out := strings.NewReplacer("REPOSITORY", fmt.Sprintf("%q", repository), "REF", fmt.Sprintf("%q", ref)).Replace(template)
	if _, err := Parse([]byte(out)); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return []byte(out), nil
}

const template = `# Sallyport's configuration, schema version 1.
#
# It counts only as it stands on the protected branch, and only under the root digest that is
# pinned outside this repository ("sallyport root show"). A branch that changes this file is
# judged by the version before the change.

version: 1

# How approvals and decisions name this repository.
repository: REPOSITORY

# observe decides and records, and never fails the caller. The one line to change when a
# refusal is to fail the pipeline or the push: "mode: enforce".
mode: observe

gates:
  merge:
    # The refs that a change reaches only through the gate. "/*" at the end stands for one
    # more component, "/**" for any number.
    refs:
      - REF

# What holds where this file says nothing: baseline, or strict (docs/policy.md).
level: baseline

# Which policy sets judge: "baseline" is built in, any other name is a folder beside this file.
# The strictest outcome holds.
policy:
  sets: [baseline]

# What the baseline is told. Each line shows its default.
#data:
#  protected_classes: [build, deploy, ci, agent-config, policy, binary]
#  unattributed: vouchable               # "agent": an approval alone never accounts for a change
#  person_grades: [present, attested]    # how a commit must be known to be a person's
#  run_grades: [observed]                # how an agent's run must have been seen
#  approval_grades: [present, attested]  # how an approval must have been given
#  approvals_required: 2                 # two at least, where nobody authenticated the pusher
#  required_reports: []                  # such as [{kind: sarif, tool: CodeQL}, {kind: junit}]
#  dependencies: {registries: []}        # hosts that packages may come from, beside their default registries

# What teams add; docs/policy.md shows every key.
#rules: {attestation-missing: {effective_on: 2027-01-31}} # it warns until then
#codeowners: required
#approvals: [{paths: ["billing/**"], required: 2}]
#findings: {shut_at: high, wait_at: medium}
#disclosure: required
#advisories: {required: true}             # what is known about packages has to be known: sallyport advisory

# Where decisions are recorded: local, or a log with its origin and its public key.
log: local
`
