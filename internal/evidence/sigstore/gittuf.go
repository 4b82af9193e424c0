package sigstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// gittuf keeps its attestations in envelopes of a payload type of its own, which people sign with their SSH keys
// as git has them sign commits. The statements in them are in-toto's.
const (
	gittufPayload   = "application/vnd.gittuf+json"
	gittufNamespace = "git"
)

// Predicate types of gittuf.
const (
	gittufAuthorization  = "https://gittuf.dev/reference-authorization/v0.2"
	gittufAuthorization1 = "https://gittuf.dev/reference-authorization/v0.1"
	gittufApproval       = "https://gittuf.dev/github-pull-request-approval/v0.1"
)

// IsGittuf reports whether a file is an envelope of gittuf.
func IsGittuf(raw []byte) bool {
	var f foreign
	return len(raw) <= MaxBundle && json.Unmarshal(raw, &f) == nil && f.PayloadType != nil && *f.PayloadType == gittufPayload
}

// A RefChange is the change of a reference that one of gittuf's statements is about.
type RefChange struct {
	Ref  string `json:"ref"`
	From string `json:"from,omitempty"` // what the reference was, a commit; an entry of the log does not say
	To   string `json:"to"`             // the tree that it becomes, or for a tag the commit
	// Of a pull request's approval: who approved, and who took that back, as the forge told gittuf's app.
	Approvers []string `json:"approvers,omitempty"`
	Dismissed []string `json:"dismissed,omitempty"`
}

// A sshPiece is one SSH signature over a statement, not verified.
type sshPiece struct {
	signature []byte
	message   []byte
	payload   []byte
	read      statement
	change    *RefChange
}

// gittufPieces reads an envelope of gittuf. Each signature is a piece of its own.
func gittufPieces(doc []byte) []Piece {
	fail := func(err error) []Piece {
		return []Piece{{Format: "gittuf", err: fmt.Errorf("%w: %s", ErrBundle, oneLine(err))}}
	}
	var env struct {
		Payload    []byte `json:"payload"`
		Signatures []struct {
			Sig       []byte          `json:"sig"`
			Extension json.RawMessage `json:"extension"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(doc, &env); err != nil {
		return fail(err)
	}
	if n := len(env.Signatures); n == 0 || n > maxPieces {
		return fail(fmt.Errorf("its envelope has %d signatures, want 1 to %d", n, maxPieces))
	}
	st, err := readStatement(env.Payload)
	if err != nil {
		return []Piece{{Format: "gittuf", err: err}}
	}
	change, err := readRefChange(env.Payload, st)
	if err != nil {
		return fail(err)
	}
	pieces := make([]Piece, 0, len(env.Signatures))
	for _, s := range env.Signatures {
		sig := s.Sig
		if blob, err := sshsig.Dearmor(sig); err == nil {
			sig = blob
		}
		pieces = append(pieces, Piece{Format: "gittuf", ssh: &sshPiece{signature: sig, message: dsse.PAE(gittufPayload, env.Payload), payload: env.Payload, read: st, change: change}})
	}
	return pieces
}

// readRefChange reads what a statement of gittuf says, and holds it to its subject: what is authorised has to be what
// the statement is about. Statements of other types have none.
func readRefChange(payload []byte, st statement) (*RefChange, error) {
	if !slices.Contains([]string{gittufAuthorization, gittufAuthorization1, gittufApproval}, st.predicateType) {
		return nil, nil
	}
	var f struct {
		Predicate struct {
			Ref       string   `json:"targetRef"`
			From      string   `json:"fromID"`
			To        string   `json:"targetID"`
			From1     string   `json:"fromRevisionID"`
			To1       string   `json:"targetTreeID"`
			Approvers []string `json:"approvers"`
			Dismissed []string `json:"dismissedApprovers"`
		} `json:"predicate"`
	}
	if err := json.Unmarshal(payload, &f); err != nil {
		return nil, err
	}
	p := f.Predicate
	c := &RefChange{Ref: p.Ref, From: p.From, To: p.To, Approvers: p.Approvers, Dismissed: p.Dismissed}
	if st.predicateType != gittufAuthorization {
		c.From, c.To = p.From1, p.To1
	}
	if c.Ref == "" || c.From == "" || c.To == "" {
		return nil, errors.New("it does not say which change of which reference it is about")
	}
	if len(st.subjects) != 1 || st.subjects[0]["gitTree"] != c.To && st.subjects[0]["gitCommit"] != c.To {
		return nil, fmt.Errorf("it authorises %.100q and is about something else", c.To)
	}
	if st.predicateType == gittufApproval && len(c.Approvers) == 0 {
		return nil, errors.New("nobody approves: every approval was dismissed, or none was given")
	}
	return c, nil
}

// verify verifies one signature under the SSH key that is expected.
func (p *sshPiece) verify(a Artifact, by Signer) (Result, error) {
	e, err := by.prepare()
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("%w: %w", ErrSigner, err)
	case e.SSH == "":
		return Result{}, fmt.Errorf("%w: with an SSH key, and another key or a certificate is expected", ErrSigner)
	case e.Logged:
		return Result{}, fmt.Errorf("%w: gittuf's signatures are in no log", ErrLog)
	case !a.Known():
		return Result{}, errNoArtifact
	}
	info, err := sshsig.Verify(p.signature, p.message, gittufNamespace)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	if info.Fingerprint != e.SSH {
		return Result{}, fmt.Errorf("%w: %s, not %s", ErrSigner, info.Fingerprint, e.SSH)
	}
	if err := p.read.about(a); err != nil {
		return Result{}, err
	}
	media := gittufPayload
	if p.payload == nil {
		media = "application/x-git-commit"
	}
	return Result{MediaType: media, KeyHint: info.Fingerprint, Times: []Time{}, Entries: []Entry{}, Statement: p.payload,
		PredicateType: p.read.predicateType, Change: p.change}, nil
}
