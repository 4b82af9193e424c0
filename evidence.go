package sallyport

import "encoding/json"

// An Attestation is a signed statement as it arrived: nobody has verified it. Raw is the
// bundle; Source says where it was found, for the reader.
type Attestation struct {
	Raw    []byte
	Source string
}

// Digest returns the SHA-256 of the raw bytes, by which the evidence store names it.
func (a Attestation) Digest() Digest { return SHA256(a.Raw) }

// A Statement is an in-toto Statement v1 (https://in-toto.io/Statement/v1).
type Statement struct {
	Type          string             `json:"_type"`
	Subject       []StatementSubject `json:"subject"`
	PredicateType string             `json:"predicateType"`
	Predicate     json.RawMessage    `json:"predicate"`
}

// A StatementSubject is one in-toto ResourceDescriptor with a digest set.
type StatementSubject struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// StatementType is the type of an in-toto Statement v1.
const StatementType = "https://in-toto.io/Statement/v1"

// Evidence is an attestation whose signature verified under a key that the trust roots allow
// for its predicate type. Only a verifier makes one.
type Evidence struct {
	Attestation Digest    `json:"attestation"` // sha256 of the bundle
	Payload     Digest    `json:"payload"`     // sha256 of what was signed, the same however the bundle is spelt
	Statement   Statement `json:"statement"`
	Signer      Principal `json:"signer"`
	Key         string    `json:"key"`   // fingerprint or hint of the key
	Grade       Grade     `json:"grade"` // what the trust roots say this key proves
	Logged      Logged    `json:"logged"`
	Source      string    `json:"source"`

	// Twin is the digest that the bundle would have with the other of the two signatures that an
	// ECDSA key's is as good as. It names the same word. Zero where there is no other.
	Twin Digest `json:"twin,omitempty"`
	// Lapsed: the key has run out since. It is so of words that take something back alone, which
	// do not wear off: they shut, and never open.
	Lapsed bool `json:"lapsed,omitempty"`
	// Reanchored is the statement that carries it over from trust roots that are not in force any more. Zero where
	// those in force know its key.
	Reanchored Digest `json:"reanchored,omitempty"`
}

// About reports whether one of the statement's subjects has exactly the digest d.
func (e Evidence) About(d Digest) bool {
	for _, s := range e.Statement.Subject {
		if s.Digest[d.Algorithm()] == d.Hex() && d.Hex() != "" {
			return true
		}
	}
	return false
}

// A Dropped attestation did not verify; Why says so in one sentence.
type Dropped struct {
	Attestation Digest `json:"attestation"`
	Source      string `json:"source,omitempty"`
	Why         string `json:"why"`
}

// An Approval is evidence that a reviewer vouched for exact content, judged against the change
// at hand.
type Approval struct {
	Attestation Digest `json:"attestation"`
	Reviewer    string `json:"reviewer"` // roster id
	Grade       Grade  `json:"grade"`    // declared or present
	Eligible    bool   `json:"eligible"` // may this person approve this change?
	Fresh       bool   `json:"fresh"`    // is it about exactly this content, policy and target?
	Replayed    bool   `json:"replayed"` // fresh by replaying the approved head onto a newer base
	Revoked     bool   `json:"revoked"`
	Counts      bool   `json:"counts"`        // eligible, fresh, not revoked, at an accepted grade
	Why         string `json:"why,omitempty"` // why it does not count
	Head        Digest `json:"head"`          // what was approved
	Residue     int    `json:"residue"`       // units of the change that it does not cover

	Roles []string `json:"roles"` // that the roster gives the reviewer
}
