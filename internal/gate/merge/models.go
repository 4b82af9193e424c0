package merge

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A Registry says which models runs might use.
type Registry interface {
	// At returns what judges the models of a run by what persons have said in evidence, as it
	// stands at a time. It is called once for each check.
	At(evidence []sallyport.Evidence, at time.Time) (judge func(run predicate.AgentRun) []sallyport.ModelInput, err error)
}

// models holds the models of the accepted runs that made a part of the change against the registry: of
// those that name a part of it, and of those that are relied on by their ends, none of whose commits,
// files and hunks a squash has to have left.
func (g *Gate) models(in *sallyport.Input, x *Examined, runs []*run, evidence []sallyport.Evidence, at time.Time) error {
	if g.Registry == nil {
		return nil
	}
	judge, err := g.Registry.At(evidence, at)
	if err != nil {
		return fmt.Errorf("read the model registry: %w", err)
	}
	seen := map[sallyport.Digest]bool{}
	for _, ev := range evidence {
		if ev.Statement.PredicateType != predicate.AgentRunType || seen[ev.Payload] && !ev.Payload.Zero() {
			continue
		}
		p, err := predicate.DecodeAgentRun(ev.Statement.Predicate)
		if err != nil || g.accept(ev, p) != nil || !relied(runs, ev, p) && !newRun(p).names(&x.Change) {
			continue
		}
		seen[ev.Payload] = true
		in.Models = append(in.Models, judge(p)...)
	}
	return nil
}

// relied reports whether the evidence is about a run that accounts for a part of the change, or that says
// that it made one of such a run's commits.
func relied(runs []*run, ev sallyport.Evidence, p predicate.AgentRun) bool {
	r := newRun(p)
	r.signer = ev.Key
	return r.beside(runs)
}

// beside reports whether the run is one of those that account for a part of the change, by its name and
// by who signed, or made one of their commits. A squash leaves none of these, and two runs may claim one
// commit: then what the one relies on is the other's work too.
func (r *run) beside(runs []*run) bool {
	return slices.ContainsFunc(runs, func(o *run) bool {
		return (o.used || o.chained) && (o.sameAs(r) || slices.ContainsFunc(r.commitList, func(c string) bool { return o.commits[c] }))
	})
}
