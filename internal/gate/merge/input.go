package merge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// input builds the document that policy sees.
func (g *Gate) input(ctx context.Context, p Params, x *Examined, at time.Time, evidence []sallyport.Evidence) (sallyport.Input, error) {
	runs, others, notAccepted := g.runs(evidence)
	held, err := g.heldBefore(ctx, x, runs)
	if err != nil {
		return sallyport.Input{}, err
	}
	if err := g.chain(ctx, x, runs); err != nil {
		return sallyport.Input{}, err
	}
	cov := g.cover(x, runs, held)
	if err := g.strays(ctx, x, cov, runs); err != nil {
		return sallyport.Input{}, err
	}
	x.Evidence, x.Ineligible = evidence, ineligible(p, x, slices.Concat(runs, others))
	judged, err := g.Approver.Judge(ctx, evidence, &x.Change, x.Ineligible, at)
	if err != nil {
		return sallyport.Input{}, fmt.Errorf("judge approvals: %w", err)
	}
	c := &x.Change
	in := sallyport.Input{
		Version: "v1", Gate: sallyport.GateMerge, Time: at.Format(time.RFC3339), Mode: p.Mode,
		Subject: sallyport.Subject{Digest: c.Head, Name: p.TargetRef}, Repository: g.Repository, Trust: p.Trust,
		PullRequest: sallyport.PullRequest{
			Number: p.Number, URL: p.URL, Author: p.Author, Pusher: p.Pusher, Base: p.TargetRef, Head: c.Head,
		},
		Change: sallyport.ChangeInput{
			TargetRef: c.TargetRef, RefAction: c.RefAction, Base: c.Base, Head: c.Head, MergeTree: c.MergeTree,
			Conflicts: append([]sallyport.Path{}, c.Conflicts...), Commits: commits(x), Files: cov.files,
			Coverage: cov.total, Unaccounted: append([]sallyport.Digest{}, cov.unaccounted...), Residue: []sallyport.FileInput{},
			ApprovalsRequired: g.required(p), ApprovalsCounting: counting(judged.Approvals),
			Declined:     append([]string{}, judged.Declined...),
			Dependencies: append([]sallyport.Dependency{}, c.Dependencies...),
		},
		Findings:  append([]sallyport.Finding{}, x.Findings...),
		Evidence:  []sallyport.EvidenceInput{},
		Approvals: append([]sallyport.Approval{}, judged.Approvals...),
		Agents:    g.agents(cov, runs),
		Models:    []sallyport.ModelInput{},
		Claims:    sallyport.Claims{Branch: p.Branch, Runs: notAccepted, Records: g.against(x, runs, p.Claims)},
		Lists:     p.Lists,
	}
	if g.Reporter != nil {
		reports, found := g.Reporter.Reports(c, evidence)
		in.Reports, in.Findings = reports, append(in.Findings, found...)
	}
	in.Findings = append(in.Findings, g.runFindings(c, runs, evidence)...)
	nameAgents(in.Change.Commits, runs)
	if err := g.models(&in, x, runs, evidence, at); err != nil {
		return sallyport.Input{}, err
	}
	g.except(&in, x, at)
	g.ask(&in, x)
	for _, f := range judged.Residue {
		in.Change.Residue = append(in.Change.Residue, residueInput(&f))
	}
	for _, ev := range evidence {
		in.Evidence = append(in.Evidence, sallyport.EvidenceInput{
			Attestation: ev.Attestation, PredicateType: ev.Statement.PredicateType, Signer: ev.Signer,
			Grade: ev.Grade, Logged: cmp.Or(ev.Logged, sallyport.NotLogged), Body: ev.Statement.Predicate, Reanchored: ev.Reanchored,
		})
	}
	approved := in.Change.ApprovalsCounting >= in.Change.ApprovalsRequired
	in.PullRequest.HumanApproved = approved
	in.PullRequest.FromAgent, in.PullRequest.HasAttestation = g.simpleFacts(cov, approved)
	return in, nil
}

// simpleFacts computes the two booleans that need the units; see [sallyport.PullRequest].
func (g *Gate) simpleFacts(cov *coverage, approved bool) (fromAgent, hasAttestation bool) {
	vouched := g.Accepted.UnattributedVouch && approved
	lines := cov.total.Lines
	fromAgent = lines.Agent > 0 || (lines.Unattributed > 0 && !vouched)
	if cov.total.Total == 0 {
		fromAgent = true // nothing accounts for nothing; "no change" is not "a person's change"
	}
	uncovered := 0
	for _, f := range cov.files {
		uncovered += f.Uncovered.Agent
		if !vouched {
			uncovered += f.Uncovered.Unattributed
		}
	}
	return fromAgent, uncovered == 0 && cov.total.Total > 0
}

// required is how many eligible persons must approve: two where nobody authenticated the
// pusher, since the reviewer might be who pushed. Of a team of one, that one.
func (g *Gate) required(p Params) int {
	n := 1
	if p.Trust.Solo != "" {
		return n // the root says that there is nobody else
	}
	if p.Pusher == "" {
		n = 2
	}
	return max(n, g.Accepted.Approvals)
}

func counting(approvals []sallyport.Approval) int {
	persons := map[string]bool{}
	for _, a := range approvals {
		if a.Counts {
			persons[a.Reviewer] = true
		}
	}
	return len(persons)
}

// ineligible maps each person who may not approve this change to the reason.
func ineligible(p Params, x *Examined, runs []*run) map[string]string {
	m := map[string]string{}
	put := func(id, why string) {
		if id != "" && m[id] == "" {
			m[id] = why
		}
	}
	put(p.Pusher, "pushed the change")
	put(p.Author, "opened the pull request")
	for _, r := range runs {
		if r.names(&x.Change) || r.beside(runs) { // accepted or not, needed or not
			put(r.operator, "operated "+r.agent+" in run "+r.id)
		}
	}
	for i, a := range x.Authors {
		put(a.Attribution.Operator, "operates "+a.Attribution.Principal.Name)
		for _, name := range a.Names {
			put(name, "is named by commit "+x.Change.Commits[i].ID.Short())
		}
	}
	delete(m, p.Trust.Solo)
	return m
}

func commits(x *Examined) []sallyport.CommitInput {
	cs := make([]sallyport.CommitInput, 0, len(x.Change.Commits))
	for i, c := range x.Change.Commits {
		title, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
		cs = append(cs, sallyport.CommitInput{
			ID: c.ID, Title: title, Author: c.Author, Attribution: x.Authors[i].Attribution,
			Signature: x.Authors[i].Signature, Merge: len(c.Parents) > 1, Evil: c.Evil,
			Agents: agentsOf(x.Authors[i].Attribution), Disclosed: append([]string{}, x.Authors[i].Disclosed...),
		})
	}
	return cs
}

// agentsOf returns the agent that a commit is attributed to, if any.
func agentsOf(a sallyport.Attribution) []string {
	if a.Principal.Kind == sallyport.Agent {
		return []string{a.Principal.Name}
	}
	return []string{}
}

func (g *Gate) agents(cov *coverage, runs []*run) []sallyport.AgentInput {
	out := make([]sallyport.AgentInput, 0, len(cov.agents))
	for name, weight := range cov.agents {
		operators, known := g.Identifier.Operators(name)
		in := sallyport.AgentInput{Name: name, Approved: known, Weight: weight}
		for _, r := range runs {
			if !r.used || r.agent != name {
				continue
			}
			in.Operator = r.operator
			if !slices.Contains(operators, r.operator) {
				in.Approved = false // the roster does not let this person operate this agent
				break
			}
		}
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b sallyport.AgentInput) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// residueInput is a file of residue: all of it is unattributed, since no approval covers it.
func residueInput(f *sallyport.File) sallyport.FileInput {
	in := fileInput(f)
	for _, u := range f.Units {
		in.Attribution.Unattributed += u.Weight()
	}
	in.Uncovered = in.Attribution
	return in
}
