package sallyport

// An Exception is a signed, dated and scoped word that a reason is not to keep a gate shut,
// judged for the change at hand. See [github.com/sallyport-dev/sallyport/predicate.Exception].
type Exception struct {
	Attestation   Digest   `json:"attestation"`
	By            string   `json:"by"` // roster id
	Grade         Grade    `json:"grade"`
	Codes         []string `json:"codes"` // reason codes
	Everything    bool     `json:"everything"`
	Paths         []string `json:"paths"` // patterns
	Findings      []string `json:"findings"`
	Rules         []string `json:"rules"`
	Packages      []string `json:"packages"`
	Subjects      []string `json:"subjects,omitempty"` // digests of commits and files
	Justification string   `json:"justification"`
	Ticket        string   `json:"ticket,omitempty"`
	NotBefore     string   `json:"not_before"` // RFC 3339, UTC
	Expires       string   `json:"expires"`
	Counts        bool     `json:"counts"`
	Why           string   `json:"why,omitempty"` // why it does nothing
}

// An Excepted reason is one that an exception holds off: what it would have said, and the word
// against it.
type Excepted struct {
	Reason    Reason `json:"reason"`
	Exception Digest `json:"exception"` // attestation
	By        string `json:"by"`
	Until     string `json:"until"` // RFC 3339, UTC
	Ticket    string `json:"ticket,omitempty"`
}

// The states of a finding.
const (
	FindingOpen        = "open"
	FindingFixed       = "fixed"
	FindingNotAffected = "not-affected" // by VEX
	FindingAccepted    = "accepted"     // by an exception, until it expires
)

// findingCodes are the codes under which the baseline tells of findings; a kind that is not here
// has the code "finding". A test holds it against the baseline's own table.
var findingCodes = map[FindingKind]string{
	FindingSecret:     "secret",
	FindingUnicode:    "hidden-unicode",
	FindingIdentity:   "forged-identity",
	FindingUnscanned:  "unscanned",
	FindingWorkflow:   "workflow",
	FindingTest:       "test-failed",
	FindingDependency: "dependency-integrity",
	FindingLookAlike:  "dependency-look-alike",

	FindingVulnerability: "vulnerability",
	FindingMalicious:     "malicious-package",
	FindingAdvisory:      "advisories-unknown",

	FindingUnknownPackage: "package-unknown",
	FindingNewPackage:     "package-new",

	FindingRunUnsealed: "run-unsealed",
	FindingRunForged:   "run-forged",
	FindingRunSilent:   "run-hooks-silent",
}

// Code returns the reason code under which the baseline tells of findings of the kind.
func (k FindingKind) Code() string {
	if code, ok := findingCodes[k]; ok {
		return code
	}
	return "finding"
}
