package predicate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ReanchorType is the predicate type of [Reanchor].
const ReanchorType = "https://sallyport.dev/predicate/reanchor/v0.1"

// A Reanchor is the predicate of a statement by which whoever is trusted now says of evidence of the past: it
// verified, whole, under the trust roots and the log of then, before they lost their worth; and here is the proof.
//
// It is for a change of log, of key service or of algorithm. The statement is signed by the new key, and is an entry of
// the new log. It makes nothing good that was not: a reader verifies each signature again, under the old trust
// roots that the statement names by digest, and believes the statement only that they were in force, and when.
//
// The statement's subjects are what it carries: the decision, its verification summary and the attestations.
type Reanchor struct {
	Repository string `json:"repository"`
	// Reason is what was changed: log, key, algorithm or store.
	Reason string `json:"reason"`
	// Decision is the digest of the decision whose evidence is carried, and DecidedAt its time, at which all of
	// it verified.
	Decision  string `json:"decision"`
	DecidedAt string `json:"decidedAt"`
	// Summary is the digest of the decision's verification summary, a bundle.
	Summary string `json:"summary"`

	Old ReanchorOld `json:"old"`
	// NewLog is the public verifier key of the log that holds this statement.
	NewLog string `json:"newLog"`

	// Evidence are the attestations that are carried, the summary too. What is not listed is not carried.
	Evidence []ReanchorEvidence `json:"evidence"`

	ReanchoredAt string `json:"reanchoredAt"` // the signer's clock
	Nonce        string `json:"nonce"`        // 16 to 64 random bytes in hex
	Tool         Tool   `json:"tool"`
}

// ReanchorOld is what vouched for the evidence until now.
type ReanchorOld struct {
	// Root is the digest of the governed files that held the trust roots.
	Root string `json:"root"`
	// Log is the old log's public verifier key, Size how many entries its checkpoint covers, and Proof, a JSON
	// document, that it holds the decision: the inclusion path and the checkpoint.
	Log   string `json:"log"`
	Size  int64  `json:"size"`
	Proof string `json:"proof"`
	// CheckpointAt is the time that the old log signed with the checkpoint: all that is carried is older. Absent
	// if it signed none; then it is older than ReanchoredAt.
	CheckpointAt string `json:"checkpointAt,omitempty"`
	// Keys are the keys that signed what is carried.
	Keys []ReanchorKey `json:"keys"`
}

// A ReanchorKey is a key of the old trust roots.
type ReanchorKey struct {
	Hint string `json:"hint"` // as bundles call it
	Name string `json:"name"` // as the old trust roots do
}

// ReanchorEvidence is an attestation that is carried.
type ReanchorEvidence struct {
	Attestation   string `json:"attestation"` // SHA-256 of the bundle
	PredicateType string `json:"predicateType"`
	Key           string `json:"key"` // the hint of its key
}

// Limits of a reanchoring.
const (
	maxCarried = 10_000
	maxProof   = 64 << 10
)

// DecodeReanchor reads the predicate of a statement of type [ReanchorType] and validates it.
func DecodeReanchor(body []byte) (Reanchor, error) {
	var r Reanchor
	if err := decode(body, &r); err != nil {
		return Reanchor{}, fmt.Errorf("read the reanchoring: %w", err)
	}
	if err := r.Validate(); err != nil {
		return Reanchor{}, err
	}
	return r, nil
}

// Before is a time before which all that is carried was signed: that of the old checkpoint, else that of the
// statement.
func (r Reanchor) Before() (time.Time, error) {
	if r.Old.CheckpointAt != "" {
		return ParseTime(r.Old.CheckpointAt)
	}
	return ParseTime(r.ReanchoredAt)
}

// Validate checks the shape of r. It verifies nothing.
func (r Reanchor) Validate() error {
	var c checker
	c.word("repository", r.Repository, maxURI)
	c.oneOf("reason", r.Reason, "log", "key", "algorithm", "store")
	c.digest("decision", r.Decision, "sha256")
	c.digest("summary", r.Summary, "sha256")
	c.digest("old.root", r.Old.Root, "sha256")
	c.word("old.log", r.Old.Log, maxURI)
	c.word("newLog", r.NewLog, maxURI)
	c.length("old.proof", r.Old.Proof, maxProof)
	if r.Old.Size < 1 || r.Old.Size > maxCount {
		c.fail("old.size", errors.New("is no size of a log that holds an entry"))
	}
	decided, made := c.time("decidedAt", r.DecidedAt), c.time("reanchoredAt", r.ReanchoredAt)
	if r.Old.CheckpointAt != "" {
		if at := c.time("old.checkpointAt", r.Old.CheckpointAt); c.err == nil && at.After(made) {
			c.fail("old.checkpointAt", errors.New("is after reanchoredAt"))
		}
	}
	if c.err == nil && decided.After(made) {
		c.fail("decidedAt", errors.New("is after reanchoredAt"))
	}
	c.text("tool.name", r.Tool.Name, maxName)
	c.text("tool.version", r.Tool.Version, maxName)
	c.nonce("nonce", r.Nonce)
	r.checkEvidence(&c)
	if c.err != nil {
		return fmt.Errorf("invalid reanchoring: %w", c.err)
	}
	return nil
}

func (r Reanchor) checkEvidence(c *checker) {
	if len(r.Evidence) == 0 || len(r.Old.Keys) == 0 {
		c.fail("evidence", errors.New("is missing: nothing is carried"))
	}
	c.atMost("evidence", len(r.Evidence), maxCarried)
	c.atMost("old.keys", len(r.Old.Keys), maxScope)
	var hints []string
	for _, k := range r.Old.Keys {
		c.word("old.keys.hint", k.Hint, maxName)
		c.text("old.keys.name", k.Name, maxName)
		if slices.Contains(hints, k.Hint) {
			c.fail("old.keys.hint", fmt.Errorf("%q stands twice", k.Hint))
		}
		hints = append(hints, k.Hint)
	}
	seen := make(map[string]bool, len(r.Evidence))
	for _, e := range r.Evidence {
		c.digest("evidence.attestation", e.Attestation, "sha256")
		c.word("evidence.predicateType", e.PredicateType, maxURI)
		if !slices.Contains(hints, e.Key) {
			c.fail("evidence.key", fmt.Errorf("%q is none of old.keys", e.Key))
		}
		if seen[e.Attestation] {
			c.fail("evidence.attestation", fmt.Errorf("%q stands twice", e.Attestation))
		}
		seen[e.Attestation] = true
	}
	if !seen[r.Summary] {
		c.fail("summary", errors.New("is not among the evidence: a decision that is not carried carries nothing"))
	}
}

// Subjects returns the digests that a statement has to name.
func (r Reanchor) Subjects() []string {
	out := []string{r.Decision}
	for _, e := range r.Evidence {
		out = append(out, e.Attestation)
	}
	return out
}

// checkSubjects requires the statement to be about exactly what the predicate carries.
func (r Reanchor) checkSubjects(subjects []map[string]string) error {
	want := map[string]bool{}
	for _, d := range r.Subjects() {
		want[d] = true
	}
	got := map[string]bool{}
	for _, s := range subjects {
		for alg, hex := range s {
			got[alg+":"+hex] = true
		}
	}
	for d := range want {
		if !got[d] {
			return fmt.Errorf("invalid reanchoring: no subject of the statement is %s", d)
		}
	}
	for d := range got {
		if !want[d] && strings.HasPrefix(d, "sha256:") {
			return fmt.Errorf("invalid reanchoring: the subject %s is not carried", d)
		}
	}
	return nil
}
