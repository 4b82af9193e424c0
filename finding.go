package sallyport

// A FindingKind says what sort of scan made a finding.
type FindingKind string

// The kinds of finding.
const (
	FindingSecret    FindingKind = "secret"
	FindingUnicode   FindingKind = "unicode"
	FindingIdentity  FindingKind = "identity" // forged or contradictory identity
	FindingConfig    FindingKind = "agent-config"
	FindingIncident  FindingKind = "incident"
	FindingUnscanned FindingKind = "unscanned"       // content that could not be scanned: never "clean"
	FindingWorkflow  FindingKind = "workflow"        // in a CI definition, or an agent started without its questions
	FindingStatic    FindingKind = "static-analysis" // reported by another tool
	FindingTest      FindingKind = "test"            // a test that failed
	FindingLicence   FindingKind = "licence"         // of what is shipped: denied, not allowed, or not known

	FindingRunUnsealed FindingKind = "run-unsealed"     // a run made a part of the change, and never ended
	FindingRunForged   FindingKind = "run-forged"       // evidence of a run contradicts other evidence
	FindingRunSilent   FindingKind = "run-hooks-silent" // an agent's hooks were installed and never heard
)

// A Finding is something that a scan saw in new content. It never holds the secret itself.
type Finding struct {
	ID       string      `json:"id"` // stable: derived from kind, rule, path and what was found
	Kind     FindingKind `json:"kind"`
	Rule     string      `json:"rule"`
	Severity Severity    `json:"severity"`
	Path     Path        `json:"path,omitempty"`
	Line     int         `json:"line,omitempty"`
	Commit   Digest      `json:"commit,omitempty"`
	// Subject is the digest of the file of a release that it is about; none: it is about the commit.
	Subject Digest `json:"subject,omitempty"`
	Text    string `json:"text"`  // what was seen, in one sentence, safe to print
	State   string `json:"state"` // open, fixed, not-affected or accepted

	// Of an accepted finding: the exception's attestation, and when it ends (RFC 3339, UTC).
	AcceptedBy    Digest `json:"accepted_by,omitempty"`
	AcceptedUntil string `json:"accepted_until,omitempty"`
	// Of findings that another tool reported: its name, as the report gives it, and how it is known
	// that the tool said so. Both are empty for what this program recomputed.
	Tool  string `json:"tool,omitempty"`
	Grade Grade  `json:"grade,omitempty"`
}
