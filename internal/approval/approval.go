// Package approval is what a reviewer's signature means: the screen that is vouched for, the
// statement that is signed, and whether it counts for the change at hand.
//
// An approval is of content. It names the repository, the target ref, the target's tip that was
// seen, the head, the head's tree, the tree that landing it gives, the policy sets in force and
// the digest of the one text that the reviewer was shown ([Screen]). One new byte in any of
// them makes it stale, with a single exception: the same content on another commit or on a
// newer base. [Judge] replays the approved head onto the target's tip in question; the approval
// is fresh if that merge has no conflict and gives exactly the tree that is about to land, and if
// the target holds the tip that was seen: the screen showed the difference to it, and what lies
// beyond it was never shown. That holds for a squash, a rebase and a merge commit made elsewhere,
// and for a base that moved on. Whatever differs is residue.
//
// An approval counts if all of this holds, checked in this order:
//
//   - its body is a valid predicate and agrees with its statement's subjects;
//   - it is signed by the person it names, and that is a person with the reviewer role;
//   - it names this repository, this target ref and exactly these policy sets;
//   - it was issued no more than [Skew] in the future, has not expired, and does not outlive
//     [MaxLifetime];
//   - its grade is accepted, and its reviewer has not taken it back;
//   - nobody approves their own: the reviewer did not operate a run, push, author, co-author or
//     sign, neither in this change nor in the commits of the head that was approved;
//   - it is fresh;
//   - it is not spent: what it approved was not on the target at some time between the tip that
//     was seen and the tip at hand, whatever became of it there;
//   - its reviewer has not since declined the same content, and no other person who could
//     approve objects to it.
//
// Each person counts once. Negative words need less proof than positive ones, since believing
// them shuts: a revocation or a decline stands at any grade, under any policy, and does not
// wear off. It must still be signed by the person it names, and a decline holds up only its
// signer's own approvals unless its signer could have approved.
//
// What is not covered: content that landed in another form than a merge of the approved head, was
// reverted, and is landed again as it was approved. A reviewer who means the revert revokes.
//
// The package reads no clock, no file and no git; its caller hands it what it needs.
package approval

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Bounds of time.
const (
	// Skew is how far in the future an approval may have been issued by its reviewer's clock.
	Skew = 5 * time.Minute
	// DefaultLifetime is how long an approval lasts unless its reviewer says otherwise.
	DefaultLifetime = 7 * 24 * time.Hour
	// MaxLifetime is the longest that an approval may last; one that claims more never counts.
	MaxLifetime = 90 * 24 * time.Hour
)

// ScreenMediaType is the media type of what [Screen] returns.
const ScreenMediaType = "text/plain;charset=us-ascii"

// An Answer is what a reviewer says to a request.
type Answer struct {
	Verdict    predicate.Verdict
	Reviewer   string // roster id; must own the key that will sign
	Repository string
	Change     *sallyport.Change
	Policies   []sallyport.PolicySet
	Screen     string             // what the reviewer was shown, byte for byte; needed to approve
	Vouches    *predicate.Vouches // the risks that were shown; see [Risks]
	Comment    string
	Revokes    sallyport.Digest // the attestation taken back, of a revocation
	At         time.Time        // the reviewer's clock
	Expires    time.Time        // of an approval, as the screen said; zero means At and DefaultLifetime
	Version    string           // of the program that writes the statement
}

// NewStatement returns the statement to sign. It refuses what [Judge] would never count: an
// approval of a change that conflicts, of a screen that was not shown, or without policy.
func NewStatement(a Answer) (sallyport.Statement, error) {
	st, err := newStatement(a)
	if err != nil {
		return sallyport.Statement{}, fmt.Errorf("write the %s: %w", verdictName(a.Verdict), err)
	}
	return st, nil
}

func newStatement(a Answer) (sallyport.Statement, error) {
	c := a.Change
	switch {
	case c == nil:
		return sallyport.Statement{}, errors.New("there is no change to speak of")
	case a.At.IsZero():
		return sallyport.Statement{}, errors.New("the time is not given")
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails: see crypto/rand
	p := predicate.Approval{
		Verdict: a.Verdict, Reviewer: a.Reviewer, Repository: a.Repository, TargetRef: c.TargetRef,
		Base: string(c.Base), Head: string(c.Head), HeadTree: string(c.HeadTree), MergeTree: string(c.MergeTree),
		Revokes: string(a.Revokes), Vouches: a.Vouches, Comment: a.Comment, IssuedAt: predicate.FormatTime(a.At),
		Nonce: hex.EncodeToString(nonce[:]), Tool: predicate.Tool{Name: "sallyport", Version: a.Version},
	}
	for _, s := range a.Policies {
		p.Policy = append(p.Policy, predicate.PolicyRef{Name: s.Name, Digest: string(s.Digest)})
	}
	if a.Screen != "" {
		p.Rendered = &predicate.Rendered{MediaType: ScreenMediaType, Digest: string(sallyport.SHA256([]byte(a.Screen)))}
	}
	if a.Verdict == predicate.VerdictApprove {
		expires := a.Expires
		if expires.IsZero() {
			expires = a.At.Add(DefaultLifetime)
		}
		switch life := expires.Sub(a.At); {
		case life < time.Second || life > MaxLifetime:
			return sallyport.Statement{}, fmt.Errorf("a lifetime of %v is not between a second and %v", life, MaxLifetime)
		case c.MergeTree.Zero():
			return sallyport.Statement{}, errors.New("the head does not merge into the target without conflict, so there is no result to approve")
		}
		p.ExpiresAt = predicate.FormatTime(expires)
	}
	if err := p.Validate(); err != nil {
		return sallyport.Statement{}, err
	}
	body, err := sallyport.EncodeJSON(p)
	if err != nil {
		return sallyport.Statement{}, err
	}
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.ApprovalType, Predicate: body}
	for _, d := range []sallyport.Digest{c.Head, c.MergeTree} {
		if !d.Zero() {
			st.Subject = append(st.Subject, sallyport.StatementSubject{Digest: map[string]string{d.Algorithm(): d.Hex()}})
		}
	}
	return st, nil
}

// NewRevocation returns the statement by which a person takes back ev, their own approval or
// decline, for good.
func NewRevocation(ev sallyport.Evidence, reviewer, comment, version string, at time.Time) (sallyport.Statement, error) {
	w := readWord(ev)
	switch {
	case ev.Statement.PredicateType != predicate.ApprovalType || w.flaw != "" || w.p.Verdict == predicate.VerdictRevoke:
		return sallyport.Statement{}, fmt.Errorf("write the revocation: %s is neither an approval nor a decline", ev.Attestation.Short())
	case w.p.Reviewer != reviewer:
		return sallyport.Statement{}, fmt.Errorf("write the revocation: %s is the word of %s, who alone can take it back", ev.Attestation.Short(), quote(w.p.Reviewer))
	}
	return NewStatement(Answer{
		Verdict: predicate.VerdictRevoke, Reviewer: reviewer, Repository: w.p.Repository,
		Change:  &sallyport.Change{TargetRef: w.p.TargetRef, Head: sallyport.Digest(w.p.Head)},
		Revokes: ev.Attestation, Comment: comment, At: at, Version: version,
	})
}

func verdictName(v predicate.Verdict) string {
	if v == "" {
		return "verdict"
	}
	return fmt.Sprintf("%q verdict", string(v))
}
