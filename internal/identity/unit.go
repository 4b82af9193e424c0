package identity

import sallyport "github.com/sallyport-dev/sallyport"

// Sentences of attributions that units share. Callers do not change an attribution's Why.
var (
	whyNoCommit = []string{"no commit of the range accounts for it"}
	whyBadIndex = []string{"it names a commit that is not in the range"}
)

// Unit says who made a unit at path: the strictest of what its commits say, in the order agent,
// nobody, bot, person, and of two persons the one at the lesser grade. rs[i] is the result of
// commit i of the change. A unit that no commit accounts for is nobody's, and so is one that a
// bot made outside its scope; for a rename, ask for the old path too.
//
// The attribution may share its Why with rs.
func (id *Identifier) Unit(path sallyport.Path, u sallyport.Unit, rs []Result) sallyport.Attribution {
	best := sallyport.Attribution{Why: whyNoCommit}
	rank := -1
	for _, i := range u.Commits {
		if i < 0 || i >= len(rs) {
			return sallyport.Attribution{Why: whyBadIndex}
		}
		a := rs[i].Attribution
		if a.Principal.Kind == sallyport.Bot {
			if b := id.roster.bot(a.Principal.Name); b == nil || !b.allows(path) {
				a = sallyport.Attribution{Why: []string{
					"made by bot " + a.Principal.Name + " outside its scope: " + path.String()}}
			}
		}
		if r := id.strictness(a); r > rank {
			best, rank = a, r
		}
	}
	return best
}

// strictness orders attributions; the higher is the stricter.
func (id *Identifier) strictness(a sallyport.Attribution) int {
	switch a.Principal.Kind {
	case sallyport.Person:
		if a.Grade == sallyport.Present || a.Grade == sallyport.Attested {
			return 0
		}
		return 1
	case sallyport.Bot:
		return 2
	case sallyport.Agent:
		for i := range id.roster.Agents {
			if id.roster.Agents[i].Name == a.Principal.Name {
				return 4
			}
		}
		return 5 // an agent that the roster does not approve
	default: // nobody, a workload, and what is not known yet
		return 3
	}
}
