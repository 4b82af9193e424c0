package approval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// ErrMissing is what a Context's functions wrap when an object that an approval names is not in
// this repository.
var ErrMissing = errors.New("object is not in this repository")

// ErrContext is wrapped when a Context lacks what judging needs.
var ErrContext = errors.New("approvals cannot be judged")

// A Context is what approvals are judged against. All fields are required, except those that
// say otherwise.
type Context struct {
	Repository string
	TargetRef  string
	Change     *sallyport.Change
	Policies   []sallyport.PolicySet // in the order in which they are applied
	Now        time.Time             // the enforcement point's
	Grades     []sallyport.Grade     // accepted of an approval; empty accepts none

	// Reviewer reports whether the roster gives the person the reviewer role.
	Reviewer func(person string) bool

	// Ineligible maps a person to why they may not approve this change, to be read after the
	// name: "operated claude-code in run 7". It may be empty.
	Ineligible map[string]string

	// Replay returns the tree of the merge of head into onto, both object ids of commits, or
	// the paths that conflict.
	Replay func(ctx context.Context, onto, head string) (tree string, conflicts []sallyport.Path, err error)

	// Ancestor reports whether a commit is an ancestor of another; both are object ids.
	Ancestor func(ctx context.Context, ancestor, commit string) (bool, error)

	// Landed reports whether what head brings was on the target already, at some time since its
	// tip was base and up to tip; all are object ids of commits. It is asked about tips that
	// differ, of which base is an ancestor.
	Landed func(ctx context.Context, base, tip, head string) (bool, error)

	// Residue returns the files, cut into units, in which the tree got differs from want.
	Residue func(ctx context.Context, want, got string) ([]sallyport.File, error)

	// Authors returns who may not approve because of the commits that head has and onto has
	// not, as Ineligible does. It is asked about an approved head that is not the change's own:
	// after a squash, the change no longer tells who wrote the commits that were approved. If
	// it is nil, no approval of another head counts.
	Authors func(ctx context.Context, onto, head string) (map[string]string, error)
}

// A Judgement is what the reviewers' words come to.
type Judgement struct {
	// Approvals holds every approval, oldest first; those that do not count say why.
	Approvals []sallyport.Approval

	// Residue is what the closest approval leaves uncovered, and ResidueOf that approval. It is
	// empty if an approval is fresh, and if none is about any part of this change.
	Residue   []sallyport.File
	ResidueOf sallyport.Digest

	// Declined names the persons whose objection to this content stands, in order. As long as
	// there is one, no approval counts.
	Declined []string

	// Counting names the persons whose approvals count, in order, each once.
	Counting []string
}

// Limits of the work that evidence can cause.
const (
	maxWords   = 10_000 // verdicts, of any kind
	maxReplays = 32     // heads other than the change's own, newest words first
	maxWalks   = 64     // bases other than the change's own, whose history since is looked through
)

// Judge judges all statements of type [predicate.ApprovalType] among evs. Its errors mean that
// nothing could be decided; what is wrong with one approval is told in that approval.
func Judge(ctx context.Context, evs []sallyport.Evidence, c Context) (Judgement, error) {
	if err := c.check(); err != nil {
		return Judgement{}, err
	}
	j := judge{c: c, replays: map[string]replay{}, merges: map[[2]sallyport.Digest]replay{}, authors: map[string]authors{}, landed: map[[2]string]string{}}
	if err := j.read(evs); err != nil {
		return Judgement{}, err
	}
	return j.judge(ctx)
}

func (c *Context) check() error {
	missing := func(what string) error { return fmt.Errorf("%w: %s not given", ErrContext, what) }
	switch {
	case c.Repository == "":
		return missing("the repository's name is")
	case c.Change == nil:
		return missing("the change is")
	case c.TargetRef == "" || c.Change.Head.Zero():
		return missing("the target ref or the head is")
	case c.TargetRef != c.Change.TargetRef:
		return fmt.Errorf("%w: the change is about %q, not %q", ErrContext, c.Change.TargetRef, c.TargetRef)
	case c.Now.IsZero():
		return missing("the time is")
	case c.Reviewer == nil || c.Replay == nil || c.Ancestor == nil || c.Landed == nil || c.Residue == nil:
		return missing("a way to look up reviewers, to replay, to compare histories, to see what landed or to find residue is")
	}
	return nil
}

// A word is one verdict as it was signed.
type word struct {
	ev      sallyport.Evidence
	p       predicate.Approval
	issued  time.Time
	expires time.Time
	flaw    string // why it is no valid word of the person who signed it; empty if it is one
}

type judge struct {
	c       Context
	words   []word                         // oldest first
	replays map[string]replay              // onto the change's base, by head
	merges  map[[2]sallyport.Digest]replay // all that were made, by base and head
	authors map[string]authors
	landed  map[[2]string]string // why an approval is spent, by its base and head
	revoked map[sallyport.Digest]bool
}

// read collects the words, oldest first, each attestation once.
func (j *judge) read(evs []sallyport.Evidence) error {
	seen := map[sallyport.Digest]bool{}
	for _, ev := range evs {
		if ev.Statement.PredicateType != predicate.ApprovalType || seen[ev.Attestation] {
			continue
		}
		seen[ev.Attestation] = true
		if len(j.words) == maxWords {
			return fmt.Errorf("%w: more than %d approvals were found", ErrContext, maxWords)
		}
		j.words = append(j.words, readWord(ev))
	}
	slices.SortFunc(j.words, func(a, b word) int {
		// Within one second "approve" sorts before "decline", so that the objection is the last word.
		return cmp.Or(a.issued.Compare(b.issued), cmp.Compare(a.p.Verdict, b.p.Verdict), cmp.Compare(a.ev.Attestation, b.ev.Attestation))
	})
	return nil
}

func readWord(ev sallyport.Evidence) word {
	w := word{ev: ev}
	p, err := predicate.DecodeApproval(ev.Statement.Predicate)
	if err != nil {
		w.flaw = err.Error()
		return w
	}
	w.p = p
	w.issued, _ = predicate.ParseTime(p.IssuedAt)   // DecodeApproval has read it
	w.expires, _ = predicate.ParseTime(p.ExpiresAt) // the zero time, unless it approves
	subjects := make([]map[string]string, 0, len(ev.Statement.Subject))
	for _, s := range ev.Statement.Subject {
		subjects = append(subjects, s.Digest)
	}
	switch err := predicate.CheckStatement(predicate.ApprovalType, ev.Statement.Predicate, subjects); {
	case err != nil:
		w.flaw = err.Error()
	case ev.Attestation.Zero():
		w.flaw = "it has no digest by which it could be revoked"
	case ev.Signer.Kind != sallyport.Person:
		w.flaw = fmt.Sprintf("%s is %s, and only a person's approval counts", quote(ev.Signer.Name), kindName(ev.Signer.Kind))
	case ev.Signer.Name == "" || ev.Signer.Name != p.Reviewer:
		w.flaw = fmt.Sprintf("it names %s as the reviewer and was signed by %s", quote(p.Reviewer), quote(ev.Signer.Name))
	}
	return w
}

func (j *judge) judge(ctx context.Context) (Judgement, error) {
	j.revoked = j.revocations()
	if err := j.replayAll(ctx); err != nil {
		return Judgement{}, err
	}
	last, declined, err := j.declines(ctx)
	if err != nil {
		return Judgement{}, err
	}
	out := Judgement{Declined: declined}
	for i := range j.words {
		w := &j.words[i]
		if w.p.Verdict == predicate.VerdictDecline || w.p.Verdict == predicate.VerdictRevoke {
			continue
		}
		a, err := j.approval(ctx, w)
		if err != nil {
			return Judgement{}, err
		}
		if a.Counts {
			switch n, ok := last[w.p.Reviewer]; {
			case ok && n >= i:
				refuse(&a, "%s has since declined this content", quote(w.p.Reviewer))
				a.Revoked = true
			case len(declined) > 0:
				refuse(&a, "%s declined this content; the objection must be withdrawn first", quote(declined[0]))
			}
		}
		out.Approvals = append(out.Approvals, a)
	}
	countOnce(out.Approvals)
	for _, a := range out.Approvals {
		if a.Counts {
			out.Counting = append(out.Counting, a.Reviewer)
		}
	}
	slices.Sort(out.Counting)
	out.Residue, out.ResidueOf, err = j.residue(ctx, out.Approvals)
	return out, err
}

// countOnce keeps the newest counting approval of each person.
func countOnce(as []sallyport.Approval) {
	seen := map[string]bool{}
	for i := len(as) - 1; i >= 0; i-- {
		a := &as[i]
		if !a.Counts {
			continue
		}
		if seen[a.Reviewer] {
			refuse(a, "a later approval by %s counts already", quote(a.Reviewer))
		}
		seen[a.Reviewer] = true
	}
}

func refuse(a *sallyport.Approval, format string, args ...any) {
	a.Counts = false
	if a.Why == "" {
		a.Why = fmt.Sprintf(format, args...)
	}
}

// approval judges one approval by everything but the other words about the same content.
func (j *judge) approval(ctx context.Context, w *word) (sallyport.Approval, error) {
	a := sallyport.Approval{
		Attestation: w.ev.Attestation, Reviewer: w.ev.Signer.Name, Grade: w.ev.Grade,
		Head: sallyport.Digest(w.p.Head), Revoked: j.revoked[w.ev.Attestation],
	}
	if w.flaw != "" {
		refuse(&a, "%s", w.flaw)
		return a, nil
	}
	if why := j.misdirected(w); why != "" {
		refuse(&a, "%s", why)
		return a, nil
	}
	why, err := j.notEligible(ctx, w)
	if err != nil {
		return a, err
	}
	a.Eligible = why == ""
	stale, replayed, err := j.stale(ctx, w)
	if err != nil {
		return a, err
	}
	a.Fresh, a.Replayed = stale == "", stale == "" && replayed
	// The first that applies is told, in the order of the package comment.
	revoked := ""
	if a.Revoked {
		revoked = quote(w.p.Reviewer) + " took it back"
	}
	for _, s := range []string{j.outOfTime(w), j.gradeFault(w), revoked, why, stale} {
		if s != "" {
			refuse(&a, "%s", s)
		}
	}
	if a.Why == "" {
		// Asked last: only an approval that would count may cost the walk through history.
		spent, err := j.spent(ctx, w)
		if err != nil {
			return a, err
		}
		if spent != "" {
			refuse(&a, "%s", spent)
			a.Fresh, a.Replayed = false, false
		}
	}
	a.Counts = a.Why == ""
	return a, nil
}

// misdirected says in what an approval is about something else than the question: freshness
// asks nothing of it then.
func (j *judge) misdirected(w *word) string {
	switch {
	case w.p.Repository != j.c.Repository:
		return fmt.Sprintf("it is for repository %s, not %s", quote(w.p.Repository), quote(j.c.Repository))
	case w.p.TargetRef != j.c.TargetRef:
		return fmt.Sprintf("it is for %s, not %s", quote(w.p.TargetRef), quote(j.c.TargetRef))
	}
	return ""
}

func (j *judge) outOfTime(w *word) string {
	switch {
	case w.issued.After(j.c.Now.Add(Skew)):
		return "it was issued in the future, at " + w.p.IssuedAt
	case !w.expires.After(j.c.Now):
		return "it expired at " + w.p.ExpiresAt
	case w.expires.Sub(w.issued) > MaxLifetime:
		return fmt.Sprintf("it would last until %s, longer than the %d days that an approval may", w.p.ExpiresAt, MaxLifetime/(24*time.Hour))
	}
	return ""
}

func (j *judge) gradeFault(w *word) string {
	if w.ev.Grade == "" || !slices.Contains(j.c.Grades, w.ev.Grade) {
		return fmt.Sprintf("it was given at grade %q, and policy accepts %s", string(w.ev.Grade), sallyport.EitherGrade(j.c.Grades))
	}
	return ""
}

// policyFault compares policy sets exactly: names, digests and order.
func (j *judge) policyFault(w *word) string {
	if len(j.c.Policies) == 0 {
		return "no policy set is in force"
	}
	if !slices.EqualFunc(w.p.Policy, j.c.Policies, func(a predicate.PolicyRef, b sallyport.PolicySet) bool {
		return a.Name == b.Name && a.Digest == string(b.Digest)
	}) {
		return "it was given under other policy sets than those in force"
	}
	return ""
}

type authors struct {
	ineligible map[string]string
	err        error
}

// notEligible says why the person may not approve this change.
func (j *judge) notEligible(ctx context.Context, w *word) (string, error) {
	person := w.p.Reviewer
	if !j.c.Reviewer(person) {
		return fmt.Sprintf("%s does not have the reviewer role", quote(person)), nil
	}
	if why, ok := j.c.Ineligible[person]; ok {
		return own(person, why), nil
	}
	if w.p.Head == string(j.c.Change.Head) || j.c.Change.Base.Zero() {
		return "", nil
	}
	if r, ok := j.replays[w.p.Head]; !ok || sallyport.GitTree(r.tree) != j.c.Change.MergeTree {
		return "", nil // it is stale, so who wrote that head decides nothing
	}
	if j.c.Authors == nil {
		return "it is about another head, and who wrote that head is not known", nil
	}
	got, ok := j.authors[w.p.Head]
	if !ok {
		got.ineligible, got.err = j.c.Authors(ctx, j.c.Change.Base.Hex(), sallyport.Digest(w.p.Head).Hex())
		j.authors[w.p.Head] = got
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if got.err != nil {
		//nolint:nilerr // the approval does not count, and says why
		return "who wrote the approved head could not be found out: " + oneLine(got.err), nil
	}
	if why, ok := got.ineligible[person]; ok {
		return own(person, why) + ", in the head that was approved", nil
	}
	return "", nil
}

func own(person, why string) string {
	if why == "" {
		why = "took part in the change"
	}
	return fmt.Sprintf("%s %s, and nobody approves their own", quote(person), oneLine(errors.New(why)))
}
