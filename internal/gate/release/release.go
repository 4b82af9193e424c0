// Package release is the release gate: may these artifacts be published?
//
// A check is about one commit, and the files that were made from it. The gate
//
//  1. finds where the last release that passed this gate ended, or where the root says that the
//     gate was adopted, and reads every commit since;
//  2. asks the engine for evidence about those commits and their trees, about the released
//     commit, and about every file by its digest;
//  3. works out which commits an accepted open decision of the merge gate covers;
//  4. reads provenance, bills of materials, results of tests and of rebuilds, and compares
//     checksums;
//  5. hands all of it to policy as one [sallyport.ReleaseInput].
//
// # Which commits a decision covers
//
// A decision of the merge gate is about a head, a base (the target's tip that it was judged against), the
// tree that landing the head on the base gives, and a ref. It says that the difference between the base's
// tree and this one may land. So it is worth as much as its base, and counts only if
//
//   - it is about the ref that releases come from, of this repository;
//   - a verifier signed it whom the trust roots let sign decisions, at a grade that counts, under a pinned
//     root: a check on a developer's machine is advice;
//   - its base is the adoption commit, or a commit that a release decision has let pass, or a commit that was
//     judged itself.
//
// A commit was judged itself if an open decision that counts is about it: its tree is the one that the
// decision says, and it is the decision's head, or its first parent is the decision's base (a squash, or the
// merge). Anything else that the decision covers, the commits that its head has and its base has not, is
// accounted for, and is no base: a change is judged from its one end to its other, and what came and went in
// between was not looked at.
//
// What landed on another base than was judged is covered by nothing until the merge gate has judged it there;
// a job on the branch does that after each push.
//
// # Provenance
//
// SLSA provenance 1 names the commit among its resolved dependencies: of our own build type the first, which
// is the source; of others one whose URI is this repository's, and no other of that URI may have another
// commit. A submodule, or another repository, may be at the same commit and is none. Whether the run succeeded is told by
// Sallyport's own build type (https://sallyport.dev/build/command/v1), whose internal parameters hold
// the exit status. Builders of other types emit nothing for a run that failed; where one does all the
// same, this gate cannot tell.
//
// The gate knows the vocabulary and the engine. Git and configuration are interfaces that internal/app
// fills.
package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/engine"
)

// MaxCommits is how many commits one release may bring.
const MaxCommits = 100_000

// A Commit is what the gate needs to know of one.
type Commit struct {
	ID, Tree string   // object ids
	Parents  []string // first parent first
	Title    string
}

// A Historian reads the history of the repository.
type Historian interface {
	// Commits returns what is reachable from head and from none of not, each after its children. It must
	// fail rather than return a part, if there are more than limit too.
	Commits(ctx context.Context, head string, not []string, limit int) ([]Commit, error)
	// OnLine reports whether commit is on the first-parent history of tip.
	OnLine(ctx context.Context, tip, commit string) (bool, error)
}

// A Gate is the release gate of one repository under one policy. All fields but Progress are required.
type Gate struct {
	Engine     *engine.Engine
	Historian  Historian
	Repository string // as decisions name it
	// Rebuild reads a verified statement of a rebuild. Its error is ErrNoRebuild if it is of something else.
	Rebuild func(st sallyport.Statement) (Rebuild, error)
	// Finder says what is known of what is inside, and of how it was built.
	Finder   Finder
	Progress func(step string)
}

// A Finder looks for what is wrong with a release at the time of its release.
type Finder interface {
	// Find returns the findings, with those triaged that statements among q.Evidence settle, and how it
	// looked. Its error means that nothing is known.
	Find(ctx context.Context, q Question) (Found, error)
}

// A Question is what a Finder is asked.
type Question struct {
	Commit string
	Ref    string
	At     time.Time
	Bills  []Bill // those that count
	// Untold are the artifacts of whose content neither a bill that counts says anything, nor that they are the
	// commit's tree, or a list of the others.
	Untold []Artifact
	// Evidence is all that was verified.
	Evidence []sallyport.Evidence
	Settings sallyport.ReleaseSettings
}

// A Bill is a verified bill of materials.
type Bill struct {
	About   string           // the artifact's name; empty if it is of the commit
	Subject sallyport.Digest // the artifact's, or the commit's
	Body    []byte
}

// Found is a Finder's answer.
type Found struct {
	Findings   []sallyport.Finding
	Exceptions []sallyport.Exception
	Look       sallyport.AdvisoryLook
	// Definitions is how many definitions of CI jobs the commit holds.
	Definitions int
}

// A Rebuild is what a verified statement of one says.
type Rebuild struct {
	Equal      bool             // every subject of the statement
	Provenance sallyport.Digest // the attestation of what was rebuilt
}

// ErrNoRebuild is wrapped by Gate.Rebuild's errors about statements of other things.
var ErrNoRebuild = errors.New("no statement of a rebuild")

// An Artifact is a file that is to be published.
type Artifact struct {
	Name   string // base name, as statements name it
	Digest sallyport.Digest
	// Checksums are what the file lists, if it is a file of checksums: name to SHA-256 digest.
	Checksums map[string]sallyport.Digest
	// Source says whether it holds the commit's tree, if it has to.
	Source sallyport.SourceInput
}

// Params is one question.
type Params struct {
	Ref    string // that releases come from, fully qualified
	Tip    string // its tip as the enforcement point sees it
	Commit string // that is released
	Tree   string
	Name   string // of the release, for people
	Gated  bool   // the merge gate guards the ref
	// Roots are the digests of the governed files that the ref has held: a decision under another root, whoever
	// pinned it, is about the rules of somebody else.
	Roots    map[sallyport.Digest]bool
	Adoption string // the commit from which on the root asks for decisions; empty if it names none

	Artifacts []Artifact
	Settings  sallyport.ReleaseSettings
	Mode      sallyport.Mode
	Root      sallyport.Digest
	Trust     sallyport.Trust
	Policies  []sallyport.PolicySet
	Advice    []string
	Lists     []sallyport.ListInput
	Presented []sallyport.Attestation
	// Rejected is what was presented and does not verify, with the reason's code.
	Rejected []sallyport.RejectedInput
}

// Check decides. It returns the decision with the input that policy saw. Its errors mean shut.
func (g *Gate) Check(ctx context.Context, p Params) (engine.Result, sallyport.ReleaseInput, error) {
	var in sallyport.ReleaseInput
	g.step("reading the history")
	var not []string
	if p.Adoption != "" {
		not = []string{p.Adoption}
	}
	commits, err := g.Historian.Commits(ctx, p.Commit, not, MaxCommits)
	if err != nil {
		return engine.Result{}, in, fmt.Errorf("read the history: %w", err)
	}
	onRef, err := g.Historian.OnLine(ctx, p.Tip, p.Commit)
	if err != nil {
		return engine.Result{}, in, fmt.Errorf("find %s on %s: %w", p.Commit, p.Ref, err)
	}
	res, err := g.Engine.Check(ctx, engine.Request{
		Gate: sallyport.GateRelease, Subject: sallyport.Subject{Digest: sallyport.GitCommit(p.Commit), Name: p.Name},
		Resource: g.Repository + "@" + p.Ref, Mode: p.Mode, Root: p.Root, Solo: p.Trust.Solo, Policies: p.Policies, Advice: p.Advice,
		Subjects: subjects(p, commits), Presented: p.Presented,
		Input: func(ctx context.Context, at time.Time, evidence []sallyport.Evidence) (any, error) {
			g.step("weighing evidence")
			in = g.input(p, commits, onRef, at, evidence)
			found, err := g.Finder.Find(ctx, question(p, at, evidence))
			if err != nil {
				return nil, fmt.Errorf("look for what is known of the release: %w", err)
			}
			in.Advisories = found.Look
			in.Findings = append(in.Findings, found.Findings...)
			in.Exceptions = append(in.Exceptions, found.Exceptions...)
			in.Release.Definitions = found.Definitions
			return in, nil
		},
	})
	return res, in, err
}

// question gathers what a Finder needs: the bills of materials that count, once for each thing that they are about.
func question(p Params, at time.Time, evidence []sallyport.Evidence) Question {
	q := Question{Commit: p.Commit, Ref: p.Ref, At: at, Evidence: evidence, Settings: p.Settings}
	commit := sallyport.GitCommit(p.Commit)
	billed := map[sallyport.Digest]bool{}
	for _, ev := range evidence {
		if !isSBOM(ev.Statement.PredicateType) || !counts(p.Settings.Grades, ev.Grade) {
			continue
		}
		if ev.About(commit) || ev.About(sallyport.GitTree(p.Tree)) {
			q.Bills = append(q.Bills, Bill{Subject: commit, Body: ev.Statement.Predicate})
			billed[commit] = true
		}
		for _, a := range p.Artifacts {
			if ev.About(a.Digest) {
				q.Bills = append(q.Bills, Bill{About: a.Name, Subject: a.Digest, Body: ev.Statement.Predicate})
				billed[a.Digest] = true
			}
		}
	}
	for _, a := range p.Artifacts {
		if !billed[commit] && !billed[a.Digest] && !(a.Source.Wanted && a.Source.Equal) && !right(a, p.Artifacts) {
			q.Untold = append(q.Untold, a)
		}
	}
	return q
}

func (g *Gate) step(s string) {
	if g.Progress != nil {
		g.Progress(s)
	}
}

// subjects lists every digest under which evidence about the release may be filed.
func subjects(p Params, commits []Commit) []sallyport.Digest {
	out := []sallyport.Digest{sallyport.GitCommit(p.Commit), sallyport.GitTree(p.Tree)}
	for _, a := range p.Artifacts {
		out = append(out, a.Digest)
	}
	for _, c := range commits {
		out = append(out, sallyport.GitCommit(c.ID), sallyport.GitTree(c.Tree))
	}
	return out
}

// input builds the document that policy sees.
func (g *Gate) input(p Params, commits []Commit, onRef bool, at time.Time, evidence []sallyport.Evidence) sallyport.ReleaseInput {
	decisions := g.decisions(p, evidence)
	in := sallyport.ReleaseInput{
		Version: "v1", Gate: sallyport.GateRelease, Time: at.Format(time.RFC3339), Mode: p.Mode,
		Subject: sallyport.Subject{Digest: sallyport.GitCommit(p.Commit), Name: p.Name}, Repository: g.Repository, Trust: p.Trust,
		Settings: p.Settings, Release: newHistory(commits).source(p, onRef, decisions),
		Artifacts: []sallyport.ArtifactInput{}, Rejected: append([]sallyport.RejectedInput{}, p.Rejected...),
		Findings: []sallyport.Finding{}, Evidence: []sallyport.EvidenceInput{}, Exceptions: []sallyport.Exception{}, Lists: p.Lists,
	}
	in.Release.Tests = g.tests(evidence, sallyport.GitCommit(p.Commit), sallyport.GitTree(p.Tree))
	sums := checksums(p.Artifacts)
	for _, a := range p.Artifacts {
		in.Artifacts = append(in.Artifacts, g.artifact(p, a, sums, evidence))
	}
	in.Rejected = append(in.Rejected, astray(p, evidence)...)
	for _, ev := range evidence {
		if ev.Statement.PredicateType == summaryType {
			continue // one for each commit: what they say stands in release.decisions
		}
		in.Evidence = append(in.Evidence, sallyport.EvidenceInput{
			Attestation: ev.Attestation, PredicateType: ev.Statement.PredicateType, Signer: ev.Signer,
			Grade: ev.Grade, Logged: orNotLogged(ev.Logged), Body: ev.Statement.Predicate, Reanchored: ev.Reanchored,
		})
	}
	return in
}

func orNotLogged(l sallyport.Logged) sallyport.Logged {
	if l == "" {
		return sallyport.NotLogged
	}
	return l
}

func counts(grades []sallyport.Grade, g sallyport.Grade) bool { return slices.Contains(grades, g) }
