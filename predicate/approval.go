package predicate

import (
	"errors"
	"fmt"
	"time"
)

// A Verdict is what a reviewer said.
type Verdict string

// The verdicts. No other value is valid.
const (
	VerdictApprove Verdict = "approve" // vouches for the content named, until ExpiresAt
	VerdictDecline Verdict = "decline" // objects to the head named, until a later word of the same reviewer
	VerdictRevoke  Verdict = "revoke"  // takes back the approval that Revokes names, for good
)

// An Approval is the predicate of a statement by which a reviewer vouches for exact content.
//
// Everything that the reviewer looked at is named by digest: the head, its tree, the tree that
// landing it gives, the policy sets in force and the very text that was shown. One new byte in
// any of them makes the approval stale. Repository and target ref are part of it, so that the
// same commits in another place are not approved.
//
// The statement's subjects are the head (gitCommit) and, for an approval, the tree of the merge
// result (gitTree), each a subject of its own.
type Approval struct {
	Verdict    Verdict `json:"verdict"`
	Reviewer   string  `json:"reviewer"`            // id in the roster; must own the key that signs
	Repository string  `json:"repository"`          // as the configuration names it
	TargetRef  string  `json:"targetRef"`           // fully qualified: refs/heads/main
	Base       string  `json:"base,omitempty"`      // gitCommit: the target's tip that was seen
	Head       string  `json:"head"`                // gitCommit: what would land
	HeadTree   string  `json:"headTree,omitempty"`  // gitTree of Head
	MergeTree  string  `json:"mergeTree,omitempty"` // gitTree of the conflict-free merge of Head into Base

	// Policy lists the policy sets under which approval was asked for, in the order in which
	// they are applied.
	Policy []PolicyRef `json:"policy,omitempty"`
	// Rendered is the text that the reviewer was shown.
	Rendered *Rendered `json:"rendered,omitempty"`
	// Vouches sums up the risks that were shown. Absent means that none were singled out.
	Vouches *Vouches `json:"vouches,omitempty"`
	// Revokes is the SHA-256 digest of the attestation (the bundle) that is taken back.
	Revokes string `json:"revokes,omitempty"`
	// Comment holds the reviewer's own words.
	Comment string `json:"comment,omitempty"`

	IssuedAt string `json:"issuedAt"` // the reviewer's clock: never trusted to be early, see the trust rules
	// ExpiresAt ends an approval. Declines and revocations have none: they do not wear off.
	ExpiresAt string `json:"expiresAt,omitempty"`
	// Nonce is 16 to 64 random bytes in hex, so that no two verdicts have the same bytes.
	Nonce string `json:"nonce"`
	Tool  Tool   `json:"tool"` // what wrote the statement
}

// A PolicyRef names a policy set by content.
type PolicyRef struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // sha256
}

// Rendered names a text that was shown to a person.
type Rendered struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"` // sha256 of the bytes shown
}

// Vouches says which risks a reviewer was shown and vouched for. Weights are counted as in
// coverage figures: the lines of each unit, and one for a unit that has none.
type Vouches struct {
	Unattributed int      `json:"unattributed"`    // weight that no person, bot or run accounts for
	Unattested   int      `json:"unattested"`      // weight by agents that no run evidence covers
	Protected    int      `json:"protected"`       // files in protected classes
	Codes        []string `json:"codes,omitempty"` // reason codes that were shown
}

// Tool names a program and its version.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Limits of an approval.
const (
	maxPolicies = 64
	maxCodes    = 256
	maxComment  = 4096
)

// DecodeApproval reads the predicate of a statement of type [ApprovalType] and validates it.
func DecodeApproval(body []byte) (Approval, error) {
	var a Approval
	if err := decode(body, &a); err != nil {
		return Approval{}, fmt.Errorf("read the approval: %w", err)
	}
	if err := a.Validate(); err != nil {
		return Approval{}, err
	}
	return a, nil
}

// Validate checks the shape of a: required fields, well-formed digests of one object format, and
// fields that contradict the verdict. It verifies nothing.
func (a Approval) Validate() error {
	var c checker
	c.oneOf("verdict", string(a.Verdict), string(VerdictApprove), string(VerdictDecline), string(VerdictRevoke))
	c.text("reviewer", a.Reviewer, maxName)
	c.word("repository", a.Repository, maxURI)
	c.ref("targetRef", a.TargetRef)
	c.digest("head", a.Head, "gitCommit")
	c.text("tool.name", a.Tool.Name, maxName)
	c.text("tool.version", a.Tool.Version, maxName)
	c.nonce("nonce", a.Nonce)
	issued := c.time("issuedAt", a.IssuedAt)

	if len(a.Comment) > 0 {
		c.length("comment", a.Comment, maxComment)
	}
	optional := func(field, value, alg string) {
		if value != "" || a.Verdict == VerdictApprove {
			c.digest(field, value, alg)
		}
	}
	optional("base", a.Base, "gitCommit")
	optional("headTree", a.HeadTree, "gitTree")
	optional("mergeTree", a.MergeTree, "gitTree")
	c.sameFormat(a.Head, a.Base, a.HeadTree, a.MergeTree)
	c.policies(a.Policy)
	if r := a.Rendered; r != nil {
		c.word("rendered.mediaType", r.MediaType, maxName)
		c.digest("rendered.digest", r.Digest, "sha256")
	}
	if v := a.Vouches; v != nil {
		c.count("vouches.unattributed", int64(v.Unattributed))
		c.count("vouches.unattested", int64(v.Unattested))
		c.count("vouches.protected", int64(v.Protected))
		c.atMost("vouches.codes", len(v.Codes), maxCodes)
		for _, code := range v.Codes {
			c.word("vouches.codes", code, maxName)
		}
	}
	a.checkVerdict(&c, issued)
	if c.err != nil {
		return fmt.Errorf("invalid approval: %w", c.err)
	}
	return nil
}

// checkVerdict applies the rules that depend on the verdict.
func (a Approval) checkVerdict(c *checker, issued time.Time) {
	if a.Verdict == VerdictApprove {
		expires := c.time("expiresAt", a.ExpiresAt)
		switch {
		case c.err != nil:
		case !expires.After(issued):
			c.fail("expiresAt", errors.New("is not after issuedAt"))
		case len(a.Policy) == 0:
			c.fail("policy", errors.New("is missing: an approval names the policy it was given under"))
		case a.Rendered == nil:
			c.fail("rendered", errors.New("is missing: an approval names the text that was shown"))
		}
	} else if a.ExpiresAt != "" {
		c.fail("expiresAt", fmt.Errorf("must be absent: a %s does not wear off", a.Verdict))
	}
	if a.Verdict == VerdictRevoke {
		c.digest("revokes", a.Revokes, "sha256")
	} else if a.Revokes != "" {
		c.fail("revokes", fmt.Errorf("must be absent from a verdict of %s", a.Verdict))
	}
}

// checkSubjects requires the statement to be about what the predicate names.
func (a Approval) checkSubjects(subjects []map[string]string) error {
	if !names(subjects, a.Head) {
		return fmt.Errorf("invalid approval: no subject of the statement is the head %s", a.Head)
	}
	if a.Verdict == VerdictApprove && !names(subjects, a.MergeTree) {
		return fmt.Errorf("invalid approval: no subject of the statement is the merge result %s", a.MergeTree)
	}
	return nil
}
