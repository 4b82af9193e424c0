package merge

import (
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// An Excepter judges exceptions.
type Excepter interface {
	// Except judges every exception among evidence for a change to targetRef, and returns findings
	// with those accepted that one covers. Ineligible is as for [Approver].
	Except(evidence []sallyport.Evidence, targetRef string, findings []sallyport.Finding, ineligible map[string]string, at time.Time) ([]sallyport.Exception, []sallyport.Finding)
}

// A Team says who must be asked about a change beyond any one reviewer.
type Team interface {
	// Thresholds returns the demands for approvals that apply to what the change touches.
	Thresholds(c *sallyport.Change, findings []sallyport.Finding) []sallyport.ThresholdInput
	// Owners returns who owns a file under either of its names, whether the approvers, roster
	// ids, are enough of them, and which owners nobody in the roster is. Without owners
	// nobody is asked.
	Owners(f *sallyport.File, approvers []string) (owners []string, approved bool, unknown []string)
}

// except judges exceptions and marks the findings that they accept. Without an Excepter there are
// none.
func (g *Gate) except(in *sallyport.Input, x *Examined, at time.Time) {
	in.Exceptions = []sallyport.Exception{}
	if g.Excepter == nil {
		return
	}
	found, findings := g.Excepter.Except(x.Evidence, in.Change.TargetRef, in.Findings, x.Ineligible, at)
	in.Exceptions = append(in.Exceptions, found...)
	in.Findings = append([]sallyport.Finding{}, findings...)
}

// ask fills in who must be asked, and whether they have answered.
func (g *Gate) ask(in *sallyport.Input, x *Examined) {
	in.Change.Thresholds = []sallyport.ThresholdInput{}
	if g.Team == nil {
		return
	}
	var approvers []string
	for _, a := range in.Approvals {
		if a.Counts {
			approvers = append(approvers, a.Reviewer)
		}
	}
	slices.Sort(approvers)
	approvers = slices.Compact(approvers)
	in.Change.Thresholds = append(in.Change.Thresholds, g.Team.Thresholds(&x.Change, in.Findings)...)
	for i := range x.Change.Files { // cover keeps their order
		owners, approved, unknown := g.Team.Owners(&x.Change.Files[i], approvers)
		f := &in.Change.Files[i]
		f.Owners = append(f.Owners, owners...)
		f.OwnersApproved = approved && len(owners) > 0
		f.OwnersUnknown = append(f.OwnersUnknown, unknown...)
	}
}

// nameAgents adds to the commits the agents whose accepted runs say that they made them.
func nameAgents(cs []sallyport.CommitInput, runs []*run) {
	for i := range cs {
		c := &cs[i]
		for _, r := range runs {
			if r.commits[c.ID.Hex()] && !slices.Contains(c.Agents, r.agent) {
				c.Agents = append(c.Agents, r.agent)
			}
		}
		slices.Sort(c.Agents)
	}
}
