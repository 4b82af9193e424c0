package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/store"
	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
	"github.com/sallyport-dev/sallyport/internal/tlog/remote"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Evidence that shuts must not be deleted: whoever loses a revocation would bring the approval
// back. So a reviewer's revocation or decline is an entry of the log as soon as it is given here,
// or once a check has verified it, wherever it came from, and from then on every check finds it
// in the store, whatever becomes of the evidence folder and the evidence ref.

// A negative is a reviewer's word that takes something back.
type negative struct {
	kind string // of the log entry
	raw  []byte // the bundle
}

// negativeKinds are the kinds of log entries that hold negative words, by verdict.
var negativeKinds = map[predicate.Verdict]string{
	predicate.VerdictRevoke:  "revocation",
	predicate.VerdictDecline: "decline",
}

// The kinds of log entries about exceptions. A grant is logged where it is given, so that nobody
// can say later that there was none; a revocation is a negative word.
const (
	kindException           = "exception"
	kindExceptionRevocation = "exception-revocation"
	// kindExceptionWithdrawal is a revocation by somebody who lacked the role when it was logged. It
	// stands for what they granted themselves.
	kindExceptionWithdrawal = "exception-withdrawal"
	// The same of words that end a model.
	kindModelRevocation = "model-revocation"
	kindModelWithdrawal = "model-withdrawal"
)

// allNegativeKinds returns the kinds of log entries that hold negative words: what is remembered
// here, and what has to be at hand of a log that is kept elsewhere.
func allNegativeKinds() []string {
	kinds := append(slices.Collect(maps.Values(negativeKinds)), kindExceptionRevocation, kindExceptionWithdrawal, kindModelRevocation, kindModelWithdrawal)
	slices.Sort(kinds)
	return kinds
}

// entryKind returns the kind of entry that ev is to be as soon as it is given.
func entryKind(ev sallyport.Evidence) string {
	if ev.Statement.PredicateType == predicate.ExceptionType && negativeKind(ev) == "" {
		return kindException
	}
	return negativeKind(ev)
}

// negativeKind returns the kind of entry that ev is to be, and nothing if it is no negative word.
func negativeKind(ev sallyport.Evidence) string {
	if ev.Statement.PredicateType == predicate.ExceptionType {
		if p, err := predicate.DecodeException(ev.Statement.Predicate); err == nil && p.Action == predicate.ExceptionRevoke {
			return kindExceptionRevocation
		}
		return ""
	}
	if ev.Statement.PredicateType == predicate.ModelType {
		if p, err := predicate.DecodeModel(ev.Statement.Predicate); err == nil && p.Action == predicate.ModelRevoke {
			return kindModelRevocation
		}
		return ""
	}
	if ev.Statement.PredicateType != predicate.ApprovalType {
		return ""
	}
	p, err := predicate.DecodeApproval(ev.Statement.Predicate)
	if err != nil {
		return ""
	}
	return negativeKinds[p.Verdict]
}

// loggedKind is negativeKind of a word that comes from elsewhere. It tells the revocations of
// exceptions and models apart by whether their signer has the role now, since that of the others has to be
// known when they no longer do; see [workspace.stands].
func (w *workspace) loggedKind(ev sallyport.Evidence) string {
	kind := negativeKind(ev)
	own, asks := withdrawals[kind]
	if asks && !w.stands(ev.Attestation) && (w.roster == nil || !w.roster.HasRole(ev.Signer.Name, identity.RoleSecurity)) {
		return own
	}
	return kind
}

// withdrawals are what a revocation is logged as whose signer lacks the role: it stands for what is
// their own.
var withdrawals = map[string]string{
	kindExceptionRevocation: kindExceptionWithdrawal,
	kindModelRevocation:     kindModelWithdrawal,
}

// stands reports whether the log, here or elsewhere, holds a revocation of an exception or a model as the word
// of somebody who could say it then. Losing the role later does not take it back.
func (w *workspace) stands(d sallyport.Digest) bool {
	return w.stood[d] || slices.ContainsFunc(w.negatives, func(e remote.Entry) bool {
		return withdrawals[e.Kind] != "" && e.Digest == d
	})
}

// listener is an engine.Verifier that notes the negative words that it verifies.
type listener struct {
	engine.Verifier
	w *workspace
}

func (l listener) Verify(ctx context.Context, a sallyport.Attestation) (sallyport.Evidence, error) {
	ev, err := l.Verifier.Verify(ctx, a)
	if err == nil {
		if kind := l.w.loggedKind(ev); kind != "" {
			l.w.heard = append(l.w.heard, negative{kind, a.Raw})
		}
	}
	return ev, err
}

// remember puts negative words into the store and the log's outbox, each once.
func (s *state) remember(ctx context.Context, words []negative) error {
	for _, n := range words {
		_, err := s.db.Entry(ctx, n.kind, sallyport.SHA256(n.raw))
		if errors.Is(err, store.ErrNotFound) {
			_, err = s.db.AddEntry(ctx, n.kind, n.raw)
		}
		if err != nil {
			return fmt.Errorf("remember a %s: %w", n.kind, err)
		}
	}
	return nil
}

// remembered returns the negative words in the store. One that is in the log and cannot be read
// is an error: it might be what keeps the gate shut.
func (w *workspace) remembered(ctx context.Context) (_ []sallyport.Attestation, err error) {
	db := w.db
	if db == nil {
		if _, err := os.Lstat(w.path("state.db")); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if db, err = sqlite.Open(ctx, w.path("state.db")); err != nil {
			return nil, err
		}
		defer done(&err, db.Close)
	}
	var found []sallyport.Attestation
	for _, kind := range allNegativeKinds() {
		entries, err := db.EntriesOf(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			raw, err := db.Blob(ctx, e.Digest)
			if err != nil {
				return nil, fmt.Errorf("read the %s %s: %w", kind, e.Digest.Short(), err)
			}
			if withdrawals[kind] != "" {
				if w.stood == nil {
					w.stood = map[sallyport.Digest]bool{}
				}
				w.stood[e.Digest] = true
			}
			found = append(found, sallyport.Attestation{Raw: raw, Source: fmt.Sprintf("%s %d in %s", kind, e.Seq, w.path("state.db"))})
		}
	}
	return found, nil
}

// logNegative remembers a word that was just given, and returns when the log holds it.
func (w *workspace) logNegative(ctx context.Context, n negative) (err error) {
	s, err := w.openState(ctx, true)
	if err != nil {
		return err
	}
	defer done(&err, s.Close)
	if err := s.remember(ctx, []negative{n}); err != nil {
		return err
	}
	return s.append(ctx)
}
