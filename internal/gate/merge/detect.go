package merge

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// Detect says who wrote what: the change's commits and files with their attribution, and how much
// of it the evidence accounts for; and which claims it contradicts. It decides nothing.
func (g *Gate) Detect(ctx context.Context, x *Examined, evidence []sallyport.Evidence, claims []sallyport.ClaimInput) (Detected, error) {
	runs, _, _ := g.runs(evidence)
	if err := g.chain(ctx, x, runs); err != nil {
		return Detected{}, err
	}
	cov := g.cover(x, runs, nil)
	err := g.strays(ctx, x, cov, runs)
	return Detected{commits(x), cov.files, cov.total, g.against(x, runs, claims)}, err
}

// Detected is what [Gate.Detect] finds.
type Detected struct {
	Commits  []sallyport.CommitInput
	Files    []sallyport.FileInput
	Coverage sallyport.Coverage
	Claims   []sallyport.ClaimInput
}

// against marks the claims that evidence contradicts: a run that lists the commit and is another
// agent's, or a claim that no agent wrote it; a person whose signature is accepted, where an agent is
// said to have.
func (g *Gate) against(x *Examined, runs []*run, claims []sallyport.ClaimInput) []sallyport.ClaimInput {
	out := slices.Clone(claims)
	at := map[sallyport.Digest]int{}
	for i := range x.Change.Commits {
		at[x.Change.Commits[i].ID] = i
	}
	for i := range out {
		c := &out[i]
		for _, r := range runs {
			if r.commits[c.Commit.Hex()] && (c.By == "human" || c.Agent != "" && !sameAgent(c.Agent, r.agent)) {
				c.Contradicts = true
			}
		}
		if n, ok := at[c.Commit]; ok && c.By == "agent" {
			a := x.Authors[n].Attribution
			c.Contradicts = c.Contradicts || a.Principal.Kind == sallyport.Person && slices.Contains(g.Accepted.PersonGrades, a.Grade)
		}
	}
	return out
}

// sameAgent reports whether two names may be one agent's: copilot is what copilot-cli is called too.
func sameAgent(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
