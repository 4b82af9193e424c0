// Package merge is the merge gate: may this change reach a protected ref?
//
// A check is about one commit, the head, and one target ref whose tip the enforcement point
// sees. The gate
//
//  1. recomputes from git what landing the head would change, unit by unit;
//  2. attributes every commit and every unit, and scans new content;
//  3. asks the engine for evidence about the head, its tree, the merge result, the commits and
//     the hunks;
//  4. works out which units accepted run evidence covers, and which approvals count;
//  5. hands all of it to policy as one [sallyport.Input].
//
// Who accounts for a unit: a person whose signature is at an accepted grade, a verified bot
// within its scope, or accepted run evidence. What is left is judged as an agent's. Run
// evidence covers a unit in one of four ways: it names a commit that made the unit; it names
// the blob that a new file, or one without lines, now is, at its path and mode; it names the
// unit's hunk, once for each time that the hunk occurs; or the change is, from the target's tree to
// the tree of the merge result, what one run or several in turn did. The last three survive a squash,
// and blobs and hunks a rebase; they
// count only where the change holds all that the run made, and cover no file that the target has
// held just so before. Of a run, the seal counts: its checkpoints before it are not missed, and one
// after it, or a second seal that differs, makes the record count for nothing. Evidence whose agent is not the one that the commits name
// contradicts them and covers nothing.
//
// What goes by commit (signatures, and runs that name commits) counts only where every commit of
// the range is accounted for, clean merges included: an unsigned commit that takes a line away
// again leaves nothing in the result that tells of it.
//
// Nobody approves their own: the operators of the runs involved, the authenticated pusher, the
// forge's author and every commit author, co-author, committer and signer are not eligible.
// Where no pusher is authenticated, two eligible persons are needed. A team of one, which the root
// has to name, is the exception to both: that person may approve, and is enough.
//
// The governed files of a merge result that is the next version of the root are accounted for by
// the persons who signed it: each file's digest is what they signed.
//
// The gate knows the vocabulary and the engine. Git, rosters, scanners and approvals are
// interfaces that internal/app fills.
package merge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/engine"
)

// A Differ recomputes changes from git.
type Differ interface {
	Change(ctx context.Context, targetRef, action, base, head string) (sallyport.Change, error)
	// Held returns which blobs the first-parent history of base has held at each of paths.
	Held(ctx context.Context, base string, paths []sallyport.Path) (map[sallyport.Path]map[string]bool, error)
}

// Held is which blobs the target has held at a path.
type Held = map[sallyport.Path]map[string]bool

// An Identifier says who acted.
type Identifier interface {
	// Commits returns what each commit says about who made it, and a function that attributes a
	// unit of the change: to the least trusted of those who made its commits.
	Commits(cs []sallyport.Commit) ([]Author, func(f *sallyport.File, u sallyport.Unit) sallyport.Attribution)
	// Operators returns who may operate the agent, and whether the roster approves it.
	Operators(agent string) ([]string, bool)
	// Person reports whether the roster has a person with this id.
	Person(id string) bool
}

// An Author is what a commit says about who made it.
type Author struct {
	Attribution sallyport.Attribution
	Signature   sallyport.SignatureCheck
	Findings    []sallyport.Finding
	Names       []string // roster persons that the commit names: author, committer, co-authors, signer
	Disclosed   []string // agents that trailers of the message name
}

// A Scanner looks at new content and classifies the files of c in place.
type Scanner interface {
	Scan(ctx context.Context, c *sallyport.Change) ([]sallyport.Finding, error)
}

// An Approver judges approvals against a change.
type Approver interface {
	// Judge judges every approval among evidence. Ineligible maps a roster id to why that person
	// may not approve.
	Judge(ctx context.Context, evidence []sallyport.Evidence, c *sallyport.Change, ineligible map[string]string, at time.Time) (Judged, error)
}

// A Reporter says what other tools reported about a change: in files that the caller brought, and
// in verified evidence. Its findings can only make things stricter; that a report found nothing
// counts where policy asks for it.
type Reporter interface {
	Reports(c *sallyport.Change, evidence []sallyport.Evidence) ([]sallyport.ReportInput, []sallyport.Finding)
}

// Judged is what the reviewers' words come to.
type Judged struct {
	Approvals []sallyport.Approval
	Residue   []sallyport.File // what the closest approval leaves uncovered
	Declined  []string         // persons whose objection stands
}

// Accepted is what the governing configuration accepts.
type Accepted struct {
	PersonGrades      []sallyport.Grade // of a person's units; default present
	RunGrades         []sallyport.Grade // of run evidence; default observed
	UnattributedVouch bool              // approvals may vouch for what nobody accounts for
	Approvals         int               // at least this many; 0 means the rule above
}

// A Gate is the merge gate of one repository under one policy. Required are all fields but Reporter
// and the last two. Without a Reporter there are no reports, and a policy that asks for one stays
// shut; without the others nothing is excepted, and nobody beyond the approvals is asked.
type Gate struct {
	Engine     *engine.Engine
	Differ     Differ
	Identifier Identifier
	Scanner    Scanner
	Approver   Approver
	Reporter   Reporter
	Repository string
	Accepted   Accepted
	Progress   func(step string) // may be called from the calling goroutine only
	Excepter   Excepter
	Team       Team
	Historian  Historian // nil: no run is joined by its ends, and no line is named that none wrote
	Registry   Registry  // without one, nothing is said of models
}

// Params is one question.
type Params struct {
	TargetRef string // fully qualified
	Action    string // update, create, delete or rewrite
	Base      string // object id of the target's tip, empty on create
	Head      string // object id of what would land, empty on delete
	Pusher    string // authenticated by the enforcement point, a roster id; empty if not
	Author    string // the forge's author, a roster id, if known
	Number    int    // pull request number
	URL       string
	Branch    string // source branch, a claim

	Mode      sallyport.Mode
	Root      sallyport.Digest
	Trust     sallyport.Trust
	Policies  []sallyport.PolicySet
	Advice    []string
	Presented []sallyport.Attestation
	Lists     []sallyport.ListInput  // the lists of data by which the interfaces judge
	Claims    []sallyport.ClaimInput // what records of other tools say; shown, and never relied on
}

// Examined is what the gate recomputed.
type Examined struct {
	Change   sallyport.Change
	Authors  []Author // of the change's commits
	Findings []sallyport.Finding

	// Once there is evidence: all of it, and why which person may not approve.
	Evidence   []sallyport.Evidence
	Ineligible map[string]string

	unit func(f *sallyport.File, u sallyport.Unit) sallyport.Attribution
	// rotation says that the governed files of the merge result are those of the next version of
	// the root, which the threshold of the root keys has signed.
	rotation bool
}

// Examine recomputes, attributes and scans. It decides nothing.
func (g *Gate) Examine(ctx context.Context, p Params) (*Examined, error) {
	g.step("reading the change")
	c, err := g.Differ.Change(ctx, p.TargetRef, p.Action, p.Base, p.Head)
	if err != nil {
		return nil, fmt.Errorf("read the change: %w", err)
	}
	x := &Examined{Change: c, rotation: p.Trust.Rotation}
	x.Authors, x.unit = g.Identifier.Commits(c.Commits)
	for _, a := range x.Authors {
		x.Findings = append(x.Findings, a.Findings...)
	}
	g.step("scanning new content")
	found, err := g.Scanner.Scan(ctx, &x.Change)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	x.Findings = append(x.Findings, found...)
	return x, nil
}

// Check examines the change and decides. It returns the decision with the input that policy
// saw. Its errors are the engine's, and mean shut.
func (g *Gate) Check(ctx context.Context, p Params) (engine.Result, sallyport.Input, error) {
	_, req, in, err := g.request(ctx, p)
	if err != nil {
		return engine.Result{}, sallyport.Input{}, err
	}
	res, err := g.Engine.Check(ctx, req)
	return res, *in, err
}

// A Preview is what Check would say, without a record: for a reviewer who is about to approve.
// It is no decision.
type Preview struct {
	Decision sallyport.Decision
	Input    sallyport.Input
	Examined *Examined
}

// Preview examines the change, evaluates, and records nothing.
func (g *Gate) Preview(ctx context.Context, p Params) (Preview, error) {
	x, req, in, err := g.request(ctx, p)
	if err != nil {
		return Preview{}, err
	}
	d, _, err := g.Engine.Preview(ctx, req)
	return Preview{Decision: d, Input: *in, Examined: x}, err
}

// request examines the change and turns it into a request, whose input appears in the last
// result once the engine has asked for it.
func (g *Gate) request(ctx context.Context, p Params) (*Examined, engine.Request, *sallyport.Input, error) {
	x, err := g.Examine(ctx, p)
	if err != nil {
		return nil, engine.Request{}, nil, err
	}
	in := new(sallyport.Input)
	subject := sallyport.Subject{Digest: x.Change.Head, Name: p.TargetRef}
	if p.Action == "delete" {
		subject.Digest = x.Change.Base
	}
	return x, engine.Request{
		Gate: sallyport.GateMerge, Subject: subject, Resource: g.Repository + "@" + p.TargetRef,
		Mode: p.Mode, Root: p.Root, Solo: p.Trust.Solo, Policies: p.Policies, Advice: p.Advice,
		Subjects: subjects(&x.Change), Presented: p.Presented,
		Input: func(ctx context.Context, at time.Time, evidence []sallyport.Evidence) (any, error) {
			g.step("weighing evidence")
			var err error
			*in, err = g.input(ctx, p, x, at, evidence)
			return *in, err
		},
	}, in, nil
}

func (g *Gate) step(s string) {
	if g.Progress != nil {
		g.Progress(s)
	}
}

// subjects lists every digest under which evidence about c may be filed.
func subjects(c *sallyport.Change) []sallyport.Digest {
	seen := map[sallyport.Digest]bool{}
	var ds []sallyport.Digest
	add := func(d sallyport.Digest) {
		if !d.Zero() && !seen[d] {
			seen[d] = true
			ds = append(ds, d)
		}
	}
	add(c.Head)
	add(c.HeadTree)
	add(c.MergeTree)
	for _, k := range c.Commits {
		add(k.ID)
		add(k.Tree)
	}
	for i := range c.Files {
		if blob := c.Files[i].NewBlob; strings.Trim(blob, "0") != "" {
			add(sallyport.Digest("gitBlob:" + blob))
		}
		for _, u := range c.Files[i].Units {
			add(u.Hunk)
		}
	}
	return ds
}

// Subjects lists every digest under which evidence about the change may be filed.
func (x *Examined) Subjects() []sallyport.Digest { return subjects(&x.Change) }
