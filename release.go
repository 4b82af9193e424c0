package sallyport

// A ReleaseInput is the one document that policy sees at the release gate. As in [Input], every
// boolean is always present and nothing unverified is in it. Its JSON Schema is
// policy/release.schema.json.
type ReleaseInput struct {
	Version    string          `json:"version"` // "v1"
	Gate       Gate            `json:"gate"`
	Time       string          `json:"time"` // RFC 3339, UTC
	Mode       Mode            `json:"mode"`
	Subject    Subject         `json:"subject"` // the commit that is released
	Repository string          `json:"repository"`
	Trust      Trust           `json:"trust"`
	Settings   ReleaseSettings `json:"settings"`
	Release    Release         `json:"release"`
	Artifacts  []ArtifactInput `json:"artifacts"`
	// Rejected is what was presented as evidence of the release and is none.
	Rejected []RejectedInput `json:"rejected"`
	// Findings are what is known at the time of the release of the packages that its lock files and bills of
	// materials name, and of the caches that its builds restore.
	Findings   []Finding       `json:"findings"`
	Advisories AdvisoryLook    `json:"advisories"`
	Evidence   []EvidenceInput `json:"evidence"`
	Exceptions []Exception     `json:"exceptions"`
	Lists      []ListInput     `json:"lists,omitempty"`
}

// ReleaseSettings are what the governed configuration asks of a release.
type ReleaseSettings struct {
	// Builders are the ids of builders whose provenance counts; empty: of every builder whose key the
	// trust roots let sign provenance.
	Builders []string `json:"builders"`
	// Grades are those at which provenance, tests, bills of materials and rebuilds count.
	Grades []Grade `json:"grades"`
	// Require names what has to be there beside provenance: sbom, tests, checksums, rebuild.
	Require    []string          `json:"require"`
	Advisories ReleaseAdvisories `json:"advisories"`
	// SourceArchives are patterns of names of artifacts that have to hold the commit's tree and nothing else.
	SourceArchives []string `json:"source_archives"`
	// BuildInputs says what actions, tools and caches of a build do that are not pinned or not known:
	// tell or shut.
	BuildInputs string `json:"build_inputs"`
}

// ReleaseAdvisories say what advisories about a release do.
type ReleaseAdvisories struct {
	// ShutAt is the severity from which a vulnerability shuts; none: none does.
	ShutAt string `json:"shut_at"`
	// Required says that it has to be known of every package whether it is vulnerable or malicious.
	Required bool `json:"required"`
}

// An AdvisoryLook says how packages were looked up. Only looked may be read as an answer.
type AdvisoryLook struct {
	// State is looked, missing (there is no database), unusable (there is one, and it cannot be read), or
	// nothing (no file and no bill names a package, or says that there is none).
	State    string `json:"state"`
	Files    int    `json:"files"`    // lock and manifest files of the commit
	Bills    int    `json:"bills"`    // bills of materials
	Packages int    `json:"packages"` // that were looked up
}

// A Release is the source of a release: what it brings since the last one, and who decided.
type Release struct {
	Ref    string `json:"ref"`    // that merge decisions have to be about, fully qualified
	Commit Digest `json:"commit"` // that is released
	Tree   Digest `json:"tree"`
	// Since is the newest commit below which nothing is asked, and Basis why: release (an open decision
	// of this gate about it is accepted), adoption (the root names it) or none. With none, every commit
	// of the history has to be decided.
	Since Digest `json:"since"`
	Basis string `json:"basis"`
	// OnRef says whether the commit is on the first-parent history of the ref's tip as the enforcement point
	// sees it: the ref has led to it, and not only to a merge of it.
	OnRef bool `json:"on_ref"`
	// Gated says whether the merge gate guards the ref: one that anybody may push to leads to anything.
	Gated bool `json:"gated"`
	// Decided says whether the commit itself is what an accepted open decision judged, on a base that was
	// judged in turn, back to the adoption; or what a release decision has let pass. What lies between the
	// two ends of such a decision is accounted for, and is nothing that could be released.
	Decided bool `json:"decided"`

	Commits   int             `json:"commits"`   // reachable from the release, and not from what Basis covers
	Undecided []ReleaseCommit `json:"undecided"` // those that no accepted open merge decision covers
	Decisions []MergeDecision `json:"decisions"` // accepted and open, that cover a commit of it
	Tests     []TestInput     `json:"tests"`     // results of tests of the commit or its tree
	// Definitions is how many definitions of CI jobs the commit holds: what they restore and run by a name
	// that moves is among the findings.
	Definitions int `json:"definitions"`
}

// A ReleaseCommit is a commit that nobody decided about.
type ReleaseCommit struct {
	ID    Digest `json:"id"`
	Title string `json:"title"`
	// Refused is the outcome of a decision about it that is accepted and not open; empty if there is none.
	Refused string `json:"refused"`
}

// A MergeDecision is an accepted open decision of the merge gate.
type MergeDecision struct {
	Decision    Digest    `json:"decision"`
	Attestation Digest    `json:"attestation"`
	Signer      Principal `json:"signer"`
	Base        Digest    `json:"base"`
	Head        Digest    `json:"head"`
	Covers      int       `json:"covers"` // commits of the release
}

// A TestInput is a verified statement about tests.
type TestInput struct {
	Attestation Digest    `json:"attestation"`
	Signer      Principal `json:"signer"`
	Grade       Grade     `json:"grade"`
	Result      string    `json:"result"` // PASSED, WARNED or FAILED
}

// An ArtifactInput is a file that is to be published, with what is known of it by its digest.
type ArtifactInput struct {
	Name       string            `json:"name"`
	Digest     Digest            `json:"digest"`
	Provenance []ProvenanceInput `json:"provenance"`
	SBOM       []SBOMInput       `json:"sbom"`
	// Checksummed says that a file of checksums among the artifacts holds its name and digest.
	Checksummed bool `json:"checksummed"`
	// Checksums says that it is such a file, and that all it holds is right.
	Checksums bool `json:"checksums"`
	// Rebuilt holds verified statements of rebuilds: what each found of this artifact.
	Rebuilt []TestInput `json:"rebuilt"`
	Source  SourceInput `json:"source"`
}

// A SourceInput says whether an archive of source holds the commit's tree.
type SourceInput struct {
	Wanted bool `json:"wanted"` // the configuration says that it has to
	Equal  bool `json:"equal"`  // every file by path, mode and content, and nothing else
	Files  int  `json:"files"`  // that are equal
	// Differences are the first things that differ, each with the member's name. Of an archive that cannot
	// be read to its end, why.
	Differences []string `json:"differences"`
}

// A ProvenanceInput is verified SLSA provenance of an artifact.
type ProvenanceInput struct {
	Attestation Digest    `json:"attestation"`
	Signer      Principal `json:"signer"`
	Grade       Grade     `json:"grade"`
	Builder     string    `json:"builder"`
	BuildType   string    `json:"build_type"`
	// Source says whether it names the commit that is released, and no other of the same repository.
	Source bool `json:"source"`
	// Succeeded says that the run did, as far as the build type tells: one that records no failure is
	// taken for a run that emits nothing when it fails.
	Succeeded bool   `json:"succeeded"`
	Why       string `json:"why,omitempty"` // it does not name the commit, or did not succeed
	// Inputs is how many things beside the source it names by their digest, and Unpinned are those
	// that it names without one: an action by its tag, a tool by its name.
	Inputs   int      `json:"inputs"`
	Unpinned []string `json:"unpinned"`
}

// A SBOMInput is a verified bill of materials.
type SBOMInput struct {
	Attestation   Digest    `json:"attestation"`
	Signer        Principal `json:"signer"`
	Grade         Grade     `json:"grade"`
	PredicateType string    `json:"predicate_type"`
	// About is artifact, or source if it is of the commit or tree.
	About string `json:"about"`
}

// A RejectedInput is an attestation that was presented, or lies beside an artifact, and does not count.
type RejectedInput struct {
	Attestation Digest `json:"attestation"`
	Source      string `json:"source"`
	// Code says why: tampered (it names the artifact with another digest), replayed (it is about
	// something else), revoked, expired, unknown-key, not-allowed, signature or unreadable.
	Code string `json:"code"`
	Why  string `json:"why"`
}
