package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/approval"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// The types here fit services to the interfaces that gates, engine and policy declare.

// refs is Refs over a repository.
type refs struct {
	repo *git.Repo
	diff *change.Differ
}

func (r refs) Resolve(ctx context.Context, rev string) (string, error) {
	return r.repo.Resolve(ctx, rev)
}

func (r refs) Head(ctx context.Context) (string, error) {
	name, err := r.repo.SymbolicHead(ctx)
	if errors.Is(err, git.ErrNotFound) {
		return "", nil
	}
	return name, err
}

// Upstream maps refs/remotes/origin/HEAD to the branch that it stands for on the remote.
func (r refs) Upstream(ctx context.Context, ref string) (string, error) {
	if ref != "refs/remotes/origin/HEAD" {
		return "", git.ErrNotFound
	}
	tracking, err := r.repo.RemoteDefault(ctx, "origin")
	if err != nil {
		return "", err
	}
	branch, ok := strings.CutPrefix(tracking, "refs/remotes/origin/")
	if !ok {
		return "", git.ErrNotFound
	}
	return "refs/heads/" + branch, nil
}

func (r refs) IsAncestor(ctx context.Context, a, b string) (bool, error) {
	return r.diff.IsAncestor(ctx, a, b)
}

// source is policy.Source over a repository.
type source struct{ repo *git.Repo }

// maxGoverned bounds one governed file.
const maxGoverned = 4 << 20

func (s source) Files(ctx context.Context, treeish string) (map[string][]byte, error) {
	entries, err := s.repo.Ls(ctx, treeish, strings.TrimSuffix(policy.GovernedDir, "/"))
	if errors.Is(err, git.ErrNotFound) {
		return map[string][]byte{}, nil
	}
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(entries))
	for _, e := range entries {
		if e.Mode != "100644" && e.Mode != "100755" {
			return nil, fmt.Errorf("%w: %s is no regular file (mode %s)", policy.ErrGoverned, sallyport.Path(e.Path), e.Mode)
		}
		b, err := s.repo.Blob(ctx, e.OID, maxGoverned)
		if errors.Is(err, git.ErrTooLarge) {
			return nil, fmt.Errorf("%w: %s: %w", policy.ErrGoverned, sallyport.Path(e.Path), err)
		}
		if err != nil {
			return nil, err
		}
		files[e.Path] = b
	}
	return files, nil
}

func (s source) History(ctx context.Context, tip string) ([]string, error) {
	out, err := s.repo.Output(ctx, 1<<20, nil, "rev-list", "--full-history", "--max-count=1000", tip, "--", strings.TrimSuffix(policy.GovernedDir, "/"))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}

// evaluator is engine.Evaluator over compiled policy sets.
type evaluator struct{ *policy.Evaluator }

func (e evaluator) Evaluate(ctx context.Context, gate sallyport.Gate, input []byte) (engine.Verdict, error) {
	v, err := e.Evaluator.Evaluate(ctx, gate, input)
	if err != nil {
		return engine.Verdict{}, policyError(err)
	}
	return engine.Verdict{Outcome: v.Outcome, Reasons: v.Reasons, Excepted: v.Excepted}, nil
}

// brokenPolicy is a policy that cannot be applied.
type brokenPolicy struct{ err error }

func (b brokenPolicy) Evaluate(context.Context, sallyport.Gate, []byte) (engine.Verdict, error) {
	return engine.Verdict{}, policyError(b.err)
}

func policyError(err error) error {
	code := "policy-error"
	switch {
	case errors.Is(err, policy.ErrEmpty):
		code = "policy-empty"
	case errors.Is(err, policy.ErrUndefined):
		code = "policy-undefined"
	case errors.Is(err, policy.ErrDuplicatePackage):
		code = "policy-duplicate"
	}
	return &engine.PolicyError{Code: code, Err: err}
}

// differ is merge.Differ. The change of the check is computed once, before policy is known,
// since the merge result may hold the pinned root.
type differ struct {
	known sallyport.Change
	diff  *change.Differ
}

func (d differ) Change(ctx context.Context, targetRef, action, base, head string) (sallyport.Change, error) {
	k := &d.known
	if k.TargetRef == targetRef && k.RefAction == action && k.Base.Hex() == base && k.Head.Hex() == head {
		return d.known, nil
	}
	return d.diff.Change(ctx, change.Request{TargetRef: targetRef, Action: action, Base: base, Head: head})
}

func (d differ) Held(ctx context.Context, base string, paths []sallyport.Path) (map[sallyport.Path]map[string]bool, error) {
	return d.diff.Held(ctx, base, paths)
}

// identifier is merge.Identifier over the roster and the marker table.
type identifier struct {
	id     *identity.Identifier
	roster *identity.Roster
}

func (i identifier) Commits(cs []sallyport.Commit) ([]merge.Author, func(*sallyport.File, sallyport.Unit) sallyport.Attribution) {
	results := make([]identity.Result, len(cs))
	authors := make([]merge.Author, len(cs))
	for n := range cs {
		r := i.id.Commit(&cs[n])
		results[n] = r
		authors[n] = merge.Author{Attribution: r.Attribution, Signature: r.SignatureCheck, Findings: r.Findings, Names: r.Claimed, Disclosed: i.id.Disclosed(&cs[n])}
	}
	return authors, func(f *sallyport.File, u sallyport.Unit) sallyport.Attribution {
		a := i.id.Unit(f.Path, u, results)
		if f.OldPath != "" && a.Principal.Kind == sallyport.Bot {
			a = i.id.Unit(f.OldPath, u, results) // a bot's scope must hold both names
		}
		return a
	}
}

func (i identifier) Operators(agent string) ([]string, bool) { return i.roster.AgentApproved(agent) }

func (i identifier) Person(id string) bool { _, ok := i.roster.Person(id); return ok }

// scanner is merge.Scanner.
type scanner struct{ *scan.Scanner }

func (s scanner) Scan(ctx context.Context, c *sallyport.Change) ([]sallyport.Finding, error) {
	return s.Scanner.Change(ctx, c)
}

// blobs is scan.Blobs.
type blobs struct{ repo *git.Repo }

func (b blobs) Blob(ctx context.Context, oid string, limit int64) ([]byte, error) {
	body, err := b.repo.Blob(ctx, oid, limit)
	if errors.Is(err, git.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", scan.ErrTooLarge, err)
	}
	return body, err
}

// approver is merge.Approver.
type approver struct{ w *workspace }

func (a approver) Judge(ctx context.Context, evidence []sallyport.Evidence, c *sallyport.Change, ineligible map[string]string, at time.Time) (merge.Judged, error) {
	w := a.w
	if c.Head.Zero() {
		return merge.Judged{}, nil // a deletion has no content to approve
	}
	w.ineligible = ineligible
	j, err := approval.Judge(ctx, evidence, approval.Context{
		Repository: w.repository(), TargetRef: c.TargetRef, Change: c, Policies: w.policies, Now: at,
		Grades:     w.data.ApprovalGrades,
		Reviewer:   func(person string) bool { return w.roster.HasRole(person, identity.RoleReviewer) },
		Ineligible: ineligible,
		Replay: func(ctx context.Context, onto, head string) (string, []sallyport.Path, error) {
			tree, conflicts, err := w.diff.Replay(ctx, onto, head)
			return tree, conflicts, missing(err)
		},
		Ancestor: func(ctx context.Context, ancestor, commit string) (bool, error) {
			ok, err := w.diff.IsAncestor(ctx, ancestor, commit)
			return ok, missing(err)
		},
		Landed:  w.diff.Landed,
		Residue: w.diff.Residue,
		Authors: a.authors,
	})
	for i := range j.Approvals {
		j.Approvals[i].Roles = w.roster.RolesOf(j.Approvals[i].Reviewer)
	}
	return merge.Judged{Approvals: j.Approvals, Residue: j.Residue, Declined: j.Declined}, err
}

// authors tells who may not approve because of the commits that head has and onto has not.
func (a approver) authors(ctx context.Context, onto, head string) (map[string]string, error) {
	c, err := a.w.diff.Change(ctx, change.Request{TargetRef: a.w.target.Ref, Action: "update", Base: onto, Head: head})
	if err != nil {
		return nil, missing(err)
	}
	commits := c.Commits
	id := a.w.newIdentifier(ctx, a.w.app.now())
	names := map[string]string{}
	for i := range commits {
		r := id.Commit(&commits[i])
		for _, n := range append(r.Claimed, r.Attribution.Operator) {
			if n != "" && n != a.w.gov.Trust.Solo {
				names[n] = "is named by commit " + commits[i].ID.Short()
			}
		}
	}
	return names, nil
}

// missing marks an error about an object that is not here as such.
func missing(err error) error {
	if errors.Is(err, git.ErrMissingObject) || errors.Is(err, git.ErrNotFound) {
		return fmt.Errorf("%w: %w", approval.ErrMissing, err)
	}
	return err
}
