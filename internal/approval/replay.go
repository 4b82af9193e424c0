package approval

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A replay is what merging an approved head into the target's tip gives.
type replay struct {
	tree  string // object id; empty if there is a fault
	fault string
}

// replayAll replays the heads that words about this repository and ref name, other than those
// that settle without it: at most maxReplays for objections and as many for approvals, newest
// words first. The two are counted apart, so that approvals cannot crowd out an objection, and so are
// objections under keys that have run out, since whoever has such a key could crowd out the others.
func (j *judge) replayAll(ctx context.Context) error {
	for _, kind := range []struct {
		verdict predicate.Verdict
		lapsed  bool
	}{{predicate.VerdictDecline, false}, {predicate.VerdictDecline, true}, {predicate.VerdictApprove, false}} {
		n := 0
		for i := len(j.words) - 1; i >= 0; i-- {
			w := &j.words[i]
			if w.p.Verdict != kind.verdict || w.ev.Lapsed != kind.lapsed || !j.needsReplay(w) {
				continue
			}
			if n++; n > maxReplays {
				j.replays[w.p.Head] = replay{fault: fmt.Sprintf("it was not examined: there are more than %d newer words about other heads", maxReplays)}
				continue
			}
			r, err := j.replay(ctx, j.c.Change.Base, sallyport.Digest(w.p.Head))
			if err != nil {
				return err
			}
			j.replays[w.p.Head] = r
		}
	}
	return nil
}

// needsReplay reports whether what a word comes to depends on a replay that was not made yet.
func (j *judge) needsReplay(w *word) bool {
	if w.flaw != "" || j.misdirected(w) != "" || j.direct(w) || j.revoked[w.ev.Attestation] {
		return false
	}
	if w.p.Verdict == predicate.VerdictApprove && j.outOfTime(w) != "" {
		return false // it cannot count, so it costs nothing
	}
	_, done := j.replays[w.p.Head]
	return !done
}

// replay merges head into onto. Its error is the end of ctx; all else is a fault of the head.
func (j *judge) replay(ctx context.Context, onto, head sallyport.Digest) (replay, error) {
	key := [2]sallyport.Digest{onto, head}
	if r, ok := j.merges[key]; ok {
		return r, nil
	}
	r, err := j.merge(ctx, onto, head)
	if err == nil {
		j.merges[key] = r
	}
	return r, err
}

func (j *judge) merge(ctx context.Context, onto, head sallyport.Digest) (replay, error) {
	if onto.Zero() {
		return replay{fault: "it is about another head, and there is no base to replay that onto"}, nil
	}
	tree, conflicts, err := j.c.Replay(ctx, onto.Hex(), head.Hex())
	switch {
	case ctx.Err() != nil:
		return replay{}, fmt.Errorf("replay the approved head: %w", ctx.Err())
	case errors.Is(err, ErrMissing) && onto != j.c.Change.Base:
		return replay{fault: "the base that it names is not in this repository"}, nil
	case errors.Is(err, ErrMissing):
		return replay{fault: "the approved head is not in this repository"}, nil
	case err != nil:
		return replay{fault: "the approved head could not be replayed: " + oneLine(err)}, nil
	case len(conflicts) > 0:
		return replay{fault: fmt.Sprintf("the approved head conflicts with the target as it is now, in %s", conflicts[0])}, nil
	case tree == "":
		return replay{fault: "replaying the approved head gave no tree"}, nil
	}
	return replay{tree: tree}, nil
}

// direct reports whether a word names the very head, its tree and the merge result of the
// change, which git need not be asked about.
func (j *judge) direct(w *word) bool {
	c := j.c.Change
	return w.p.Head == string(c.Head) && w.p.HeadTree == string(c.HeadTree) &&
		!c.MergeTree.Zero() && w.p.MergeTree == string(c.MergeTree)
}

// stale says why the content approved is not the content that would land; empty if it is the
// same. replayed tells that it took a replay to see that.
func (j *judge) stale(ctx context.Context, w *word) (why string, replayed bool, err error) {
	c := j.c.Change
	if why := j.policyFault(w); why != "" {
		return why, false, nil
	}
	switch {
	case c.MergeTree.Zero():
		return "the head does not merge into the target without conflict, so nothing can be approved", false, nil
	case j.direct(w):
		why, err := j.unseen(ctx, w)
		return why, false, err
	case w.p.Head == string(c.Head) && w.p.HeadTree != string(c.HeadTree):
		return "it contradicts itself: the tree that it names is not that of its head", false, nil
	}
	r, ok := j.replays[w.p.Head]
	switch {
	case !ok:
		return "it is not about this content", false, nil
	case r.fault != "":
		return r.fault, false, nil
	case sallyport.GitTree(r.tree) != c.MergeTree:
		return "what would land differs from what was approved", false, nil
	}
	// The same two commits that the reviewer's tool merged must give what the reviewer saw.
	seen := r
	if w.p.Base != string(c.Base) {
		if seen, err = j.replay(ctx, sallyport.Digest(w.p.Base), sallyport.Digest(w.p.Head)); err != nil {
			return "", false, err
		}
	}
	switch {
	case seen.fault != "":
		return "what its reviewer saw cannot be checked: " + seen.fault, false, nil
	case w.p.MergeTree != string(sallyport.GitTree(seen.tree)):
		return "it contradicts itself: the merge result that it names is not that of its head and base", false, nil
	}
	why, err = j.unseen(ctx, w)
	return why, why == "", err
}

// unseen says why the reviewer was not shown all of the change. What they were shown is the
// difference to the base that the approval names. If the target does not hold that base, what lies
// between would land unseen: a branch of two commits, of which only the second was looked at.
func (j *judge) unseen(ctx context.Context, w *word) (string, error) {
	base := sallyport.Digest(w.p.Base)
	if base == j.c.Change.Base {
		return "", nil
	}
	const told = "it was given for the difference to another base, "
	if base.Zero() || j.c.Change.Base.Zero() {
		return told + "and a ref that is made is not one that is changed", nil
	}
	ok, err := j.c.Ancestor(ctx, base.Hex(), j.c.Change.Base.Hex())
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("compare histories: %w", ctx.Err())
	case errors.Is(err, ErrMissing):
		return told + base.Short() + ", which is not in this repository", nil
	case err != nil:
		return told + base.Short() + ", which could not be compared: " + oneLine(err), nil
	case !ok:
		return told + base.Short() + ", which the target does not hold: what lies between was not shown", nil
	}
	return "", nil
}

// spent says why an approval that is fresh was used already: what it is about landed since its
// reviewer looked, and would land again because it was taken out. It is empty if it was not.
func (j *judge) spent(ctx context.Context, w *word) (string, error) {
	base, tip := sallyport.Digest(w.p.Base), j.c.Change.Base
	if base == tip {
		return "", nil // the target has not moved
	}
	key := [2]string{w.p.Base, w.p.Head}
	if why, done := j.landed[key]; done {
		return why, nil
	}
	if len(j.landed) == maxWalks {
		return fmt.Sprintf("whether it was used was not examined: there are approvals for more than %d other bases", maxWalks), nil
	}
	landed, err := j.c.Landed(ctx, base.Hex(), tip.Hex(), sallyport.Digest(w.p.Head).Hex())
	why := ""
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("see what has landed: %w", ctx.Err())
	case err != nil:
		why = "whether what it approved has landed already could not be found out: " + oneLine(err)
	case landed:
		why = "what it approved has landed already; landing it again needs a new approval"
	}
	j.landed[key] = why
	return why, nil
}

// revocations returns the attestations that were taken back. A revocation counts if it is
// signed by the person whose word it takes back; it stands whatever its age, grade and policy, and
// when its key has run out, unless what it takes back is an objection: that would open. It
// takes back every bundle of that person with the same signed content, whatever its digest.
func (j *judge) revocations() map[sallyport.Digest]bool {
	signer, declines := map[sallyport.Digest]string{}, map[sallyport.Digest]bool{}
	for i := range j.words {
		if w := &j.words[i]; w.flaw == "" {
			for _, d := range []sallyport.Digest{w.ev.Attestation, w.ev.Twin} {
				if d.Zero() {
					continue
				}
				signer[d], declines[d] = w.p.Reviewer, w.p.Verdict == predicate.VerdictDecline
			}
		}
	}
	m := map[sallyport.Digest]bool{}
	for i := range j.words {
		w := &j.words[i]
		d := sallyport.Digest(w.p.Revokes)
		if w.flaw == "" && w.p.Verdict == predicate.VerdictRevoke && signer[d] == w.p.Reviewer && !(w.ev.Lapsed && declines[d]) {
			m[d] = true
		}
	}
	type content struct {
		payload  sallyport.Digest
		reviewer string
	}
	gone := map[content]bool{}
	for i := range j.words {
		if w := &j.words[i]; (m[w.ev.Attestation] || m[w.ev.Twin]) && !w.ev.Payload.Zero() {
			gone[content{w.ev.Payload, w.p.Reviewer}] = true
		}
	}
	for i := range j.words {
		if w := &j.words[i]; w.flaw == "" && gone[content{w.ev.Payload, w.p.Reviewer}] {
			m[w.ev.Attestation] = true
		}
	}
	return m
}

// declines finds the objections that stand. last maps a person to the index of their newest
// standing decline of this content; declined names those whose objection holds up everybody's
// approval: they could have approved, and said nothing better since.
func (j *judge) declines(ctx context.Context) (last map[string]int, declined []string, err error) {
	last = map[string]int{}
	blocks := map[string]bool{}
	for i := range j.words {
		w := &j.words[i]
		if w.flaw != "" || j.revoked[w.ev.Attestation] {
			continue
		}
		person := w.p.Reviewer
		switch w.p.Verdict {
		case predicate.VerdictDecline:
			if !j.objects(w) {
				continue
			}
			last[person] = i
			why, err := j.notEligible(ctx, w)
			if err != nil {
				return nil, nil, err
			}
			if why == "" {
				blocks[person] = true
			}
		case predicate.VerdictApprove:
			// A later approval of the same content withdraws the objection, but only one that
			// would count by itself: a weaker word must not undo a stronger one.
			a, err := j.approval(ctx, w)
			if err != nil {
				return nil, nil, err
			}
			if a.Counts {
				delete(blocks, person)
			}
		}
	}
	return last, sortedKeys(blocks), nil
}

// objects reports whether a decline is about this content: the same head, the same result, or
// a head that replays to it.
func (j *judge) objects(w *word) bool {
	c := j.c.Change
	if j.misdirected(w) != "" {
		return false
	}
	if w.p.Head == string(c.Head) {
		return true
	}
	if c.MergeTree.Zero() {
		return false
	}
	r := j.replays[w.p.Head]
	return w.p.MergeTree == string(c.MergeTree) || (r.fault == "" && sallyport.GitTree(r.tree) == c.MergeTree)
}

// residue finds what the closest stale approval leaves uncovered: the fewest units, and fewer
// than the change has, since otherwise it is about another change. It fills in each approval's
// own count. Approvals that could not count for another reason are left out: their residue
// would send their reviewer to approve in vain.
func (j *judge) residue(ctx context.Context, as []sallyport.Approval) ([]sallyport.File, sallyport.Digest, error) {
	c := j.c.Change
	all := units(c.Files)
	var best []sallyport.File
	var of sallyport.Digest
	least, fresh := all, false
	found := map[string][]sallyport.File{}
	for i := range as {
		a := &as[i]
		if a.Fresh {
			fresh = fresh || a.Eligible
			continue
		}
		a.Residue = all
		r, ok := j.replays[string(a.Head)]
		if !ok || r.tree == "" || c.MergeTree.Zero() || sallyport.GitTree(r.tree) == c.MergeTree {
			continue
		}
		files, ok := found[r.tree]
		if !ok {
			var err error
			if files, err = j.c.Residue(ctx, r.tree, c.MergeTree.Hex()); err != nil {
				return nil, "", fmt.Errorf("find what approval %s does not cover: %w", a.Attestation.Short(), err)
			}
			found[r.tree] = files
		}
		n := units(files)
		if n == 0 {
			continue // two trees that differ and show no unit: nothing of it can be told as covered
		}
		a.Residue = min(n, all)
		if a.Eligible && !a.Revoked && n < least {
			best, of, least = files, a.Attestation, n
		}
	}
	if fresh {
		return nil, "", nil
	}
	return best, of, nil
}

func units(files []sallyport.File) int {
	n := 0
	for i := range files {
		n += len(files[i].Units)
	}
	return n
}
