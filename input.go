package sallyport

// An Input is the one document that policy sees, of a merge gate in this version. Every
// boolean is always present; nothing unverified is in it except under Claims. Its JSON Schema
// is policy/input.schema.json.
type Input struct {
	Version     string          `json:"version"` // "v1"
	Gate        Gate            `json:"gate"`
	Time        string          `json:"time"` // RFC 3339, UTC
	Mode        Mode            `json:"mode"`
	Subject     Subject         `json:"subject"`
	Repository  string          `json:"repository"`
	Trust       Trust           `json:"trust"`
	PullRequest PullRequest     `json:"pull_request"`
	Change      ChangeInput     `json:"change"`
	Findings    []Finding       `json:"findings"`
	Reports     []ReportInput   `json:"reports,omitempty"` // what other tools reported
	Evidence    []EvidenceInput `json:"evidence"`
	Approvals   []Approval      `json:"approvals"`
	Exceptions  []Exception     `json:"exceptions"`
	Agents      []AgentInput    `json:"agents"` // one for each agent that the change is attributed to
	Models      []ModelInput    `json:"models"` // that the accepted runs of the change used, where there is a registry
	Claims      Claims          `json:"claims"`
	Lists       []ListInput     `json:"lists,omitempty"` // the lists of data that judged, such as the marks of agents
}

// ListInput is one list of data, by which version of it was judged.
type ListInput struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	Digest  Digest `json:"digest"`
	Signer  string `json:"signer"` // who signed it, as the trust roots name them; empty: it is built in
}

// Trust says where the policy that judges came from.
type Trust struct {
	Pinned      bool   `json:"pinned"`       // a root digest was pinned outside the repository
	Root        Digest `json:"root"`         // of the governed files in force
	Source      string `json:"source"`       // ref, history, result (the merge result, equal to the pin) or builtin
	RootChanged bool   `json:"root_changed"` // the target's tip holds other governed files than the pin
	ResultRoot  Digest `json:"result_root"`  // of the governed files in the merge result

	Pin     Digest `json:"pin"`     // what is pinned: Root, or where the signed versions that lead to it begin
	Version int    `json:"version"` // of the root in force; 0 where there is none
	// Rotation is true if the merge result holds the next version of the root, signed by the
	// threshold of the root keys. Nothing else may change a pinned root.
	Rotation bool `json:"rotation"`
	// RotationFault says why the merge result's root is not the next version, if it holds one, or
	// which file among the signatures of the root in force is none.
	RotationFault string   `json:"rotation_fault"`
	Signers       []string `json:"signers"` // whose signatures over the merge result's root count
	// Solo is the person who is the whole team, as the root says; empty for a team. That person
	// may approve what agents that they operate made, and where two persons are needed one is.
	Solo string `json:"solo"`
}

// PullRequest holds the three facts that the simplest policy asks for, and what a forge said.
type PullRequest struct {
	// FromAgent is false only if every unit is a person's at an accepted grade or a verified
	// bot's within its scope (or, if the policy's data says unattributed: vouchable, an
	// unattributed one that counting approvals vouch for).
	FromAgent bool `json:"from_agent"`
	// HasAttestation is true if every other unit is covered by accepted run evidence.
	HasAttestation bool `json:"has_attestation"`
	// HumanApproved is true if enough counting approvals cover the whole change.
	HumanApproved bool `json:"human_approved"`

	Number int    `json:"number"`
	URL    string `json:"url"`
	Author string `json:"author"`
	Pusher string `json:"pusher"` // authenticated by the enforcement point; empty if not
	Base   string `json:"base"`   // target ref
	Head   Digest `json:"head"`
}

// ChangeInput is a change as policy sees it: by file, with units counted.
type ChangeInput struct {
	TargetRef string        `json:"target_ref"`
	RefAction string        `json:"ref_action"`
	Base      Digest        `json:"base"`
	Head      Digest        `json:"head"`
	MergeTree Digest        `json:"merge_tree"`
	Conflicts []Path        `json:"conflicts"`
	Commits   []CommitInput `json:"commits"`
	Files     []FileInput   `json:"files"`
	Coverage  Coverage      `json:"coverage"`
	// Unaccounted are the commits that no accepted person, bot or run accounts for. While there
	// is one, no unit is accounted for by the commits that made it.
	Unaccounted []Digest    `json:"unaccounted"`
	Residue     []FileInput `json:"residue"` // what the closest approval does not cover
	// ApprovalsRequired is how many different eligible persons must approve: two where no
	// pusher is authenticated, else one.
	ApprovalsRequired int `json:"approvals_required"`
	// ApprovalsCounting is how many do.
	ApprovalsCounting int `json:"approvals_counting"`
	// Declined names the eligible reviewers whose objection to this content stands.
	Declined []string `json:"declined"`
	// Thresholds are the demands for approvals that this change meets with what it touches.
	Thresholds []ThresholdInput `json:"thresholds"`
	// Dependencies are the packages that the change adds, updates or removes, by file.
	Dependencies []Dependency `json:"dependencies"`
}

// ThresholdInput is a demand for approvals that applies to the change.
type ThresholdInput struct {
	Required int      `json:"required"` // different persons
	Roles    []string `json:"roles"`    // one of which each must have; empty: any
	Paths    []Path   `json:"paths"`    // what it is about: all of it
	Place    string   `json:"place"`
	Why      string   `json:"why"` // what it is about, in words
}

// CommitInput is a commit with who made it.
type CommitInput struct {
	ID          Digest         `json:"id"`
	Title       string         `json:"title"` // first line of the message
	Author      Ident          `json:"author"`
	Attribution Attribution    `json:"attribution"`
	Signature   SignatureCheck `json:"signature"`
	Merge       bool           `json:"merge"`
	Evil        bool           `json:"evil"`
	Agents      []string       `json:"agents"`    // that made it, by attribution or by accepted runs
	Disclosed   []string       `json:"disclosed"` // agents that a trailer of the message names
}

// FileInput is a file with the weight of its units by who made them.
type FileInput struct {
	Path        Path     `json:"path"`
	OldPath     Path     `json:"old_path,omitempty"`
	Status      string   `json:"status"`
	OldMode     string   `json:"old_mode"`
	NewMode     string   `json:"new_mode"`
	Line        int      `json:"line"` // first changed line, in the new file if it has added lines; 0 without lines
	Classes     []string `json:"classes"`
	Binary      bool     `json:"binary"`
	Added       int      `json:"added"`
	Removed     int      `json:"removed"`
	Attribution Weights  `json:"attribution"` // by who made it
	Uncovered   Weights  `json:"uncovered"`   // the part of it that no accepted run evidence covers
	// UncoveredLines are the added lines of Uncovered, in the new file. At most 100 places.
	UncoveredLines []LineRange `json:"uncovered_lines"`

	// Stray are lines of the new file, among those of Uncovered, that no accepted run wrote although one
	// worked on the file: what was put beside its work. At most 20 places. It explains, and decides nothing.
	Stray []LineRange `json:"stray"`

	// Owners are those whom CODEOWNERS names for the file, where the repository asks for them.
	Owners         []string `json:"owners"`
	OwnersApproved bool     `json:"owners_approved"` // enough of them have, by approvals that count
	OwnersUnknown  []string `json:"owners_unknown"`  // those whom the roster does not know
}

// A LineRange is lines that follow each other.
type LineRange struct {
	Start int `json:"start"`
	Lines int `json:"lines"`
}

// Weights counts units by who made them; see [Unit.Weight]. Unattributed holds what nobody
// accounts for, persons at a grade that the policy does not accept included.
type Weights struct {
	Agent        int `json:"agent"`
	Person       int `json:"person"`
	Bot          int `json:"bot"`
	Unattributed int `json:"unattributed"`
}

// Total is the sum of the weights.
func (w Weights) Total() int { return w.Agent + w.Person + w.Bot + w.Unattributed }

// Coverage says how much of a change is accounted for.
type Coverage struct {
	Units    Weights `json:"units"`    // number of units
	Lines    Weights `json:"lines"`    // by Unit.Weight
	Attested int     `json:"attested"` // weight covered by accepted run evidence
	Total    int     `json:"total"`    // weight of everything
}

// EvidenceInput is one verified statement.
type EvidenceInput struct {
	Attestation   Digest    `json:"attestation"`
	PredicateType string    `json:"predicate_type"`
	Signer        Principal `json:"signer"`
	Grade         Grade     `json:"grade"`
	Logged        Logged    `json:"logged"`
	Body          any       `json:"body"`
	Reanchored    Digest    `json:"reanchored,omitempty"` // the statement that carries it over from an old trust
}

// ReportInput is one tool's report about the change. What it found in the change is among the
// findings; that it found nothing opens a gate only where policy asks for it by these fields.
type ReportInput struct {
	Kind   string `json:"kind"` // sarif, or junit for any report of tests
	Tool   string `json:"tool"` // its name, as the report gives it
	Source string `json:"source"`
	Digest Digest `json:"digest"` // sha256 of the report's bytes
	// Grade is declared for a file that somebody brought along, and the signer's where a verified
	// statement about the head or its tree names the report's digest, or holds the report.
	Grade  Grade     `json:"grade"`
	Signer Principal `json:"signer"` // who signed that statement; nobody for a file alone
	// Bound is true if such a statement binds it to this commit.
	Bound bool `json:"bound"`
	// Complete is true if the report says that the tool ran to its end and looked at something.
	Complete   bool   `json:"complete"`
	Why        string `json:"why,omitempty"` // why it is not complete
	Results    int    `json:"results"`       // all of them; of tests, those that ran
	New        int    `json:"new"`           // those that are findings of this change
	Elsewhere  int    `json:"elsewhere"`     // those at places that the change does not touch
	Suppressed int    `json:"suppressed"`    // those that the tool says somebody dismissed: a claim
}

// AgentInput is an agent that the change is attributed to.
type AgentInput struct {
	Name     string `json:"name"`
	Approved bool   `json:"approved"` // the roster names it
	Operator string `json:"operator"`
	Weight   int    `json:"weight"`
}

// ModelInput is a model that an accepted run used, held against the model registry in force.
type ModelInput struct {
	Run      string `json:"run"`
	Agent    string `json:"agent"`
	Provider string `json:"provider"`
	Name     string `json:"name"`     // as the run states it
	Endpoint string `json:"endpoint"` // where the run reached it
	Entry    Digest `json:"entry"`    // of the registry, that decided
	// Allowed is true if the run might use it: all through the run by dates and approvals, and not
	// revoked since.
	Allowed bool   `json:"allowed"`
	Code    string `json:"code"` // why not: a code of the registry; empty if it is allowed
	Text    string `json:"text"` // why not, in words
}

// Claims is what was said without proof. No rule that opens a gate may read it.
type Claims struct {
	Branch   string   `json:"branch,omitempty"`
	Trailers []string `json:"trailers,omitempty"`
	Runs     []string `json:"runs,omitempty"` // run evidence that policy does not accept, and why
	// Records is what other tools' records, and the messages, say of the change's commits.
	Records []ClaimInput `json:"records,omitempty"`
}

// A ClaimInput is what somebody's record says about lines, of grade declared.
type ClaimInput struct {
	Source  string `json:"source"` // git-ai, agent-trace, entire, chainloop or text
	Commit  Digest `json:"commit"`
	Path    Path   `json:"path,omitempty"` // empty: all that the commit did
	Start   int    `json:"start,omitempty"`
	End     int    `json:"end,omitempty"`
	By      string `json:"by"`              // agent, human, mixed or unknown
	Agent   string `json:"agent,omitempty"` // as the marker table calls it, if it does
	Model   string `json:"model,omitempty"`
	Session string `json:"session,omitempty"`
	Human   string `json:"human,omitempty"`
	// Contradicts: accepted evidence, or a person's signature at an accepted grade, says otherwise.
	Contradicts bool `json:"contradicts"`
}
