package identity

import (
	"fmt"
	"slices"
	"strings"

	sallyport "github.com/sallyport-dev/sallyport"
)

// maxTeams bounds the teams of a roster, and the names that one of them holds.
const maxTeams = 1000

// PersonByLogin returns the person who has the login at a forge, such as github or gitlab. Logins
// have no case. Without a forge it is the person who alone has the login at any of them: one name
// may be two people's at two forges.
func (r *Roster) PersonByLogin(forge, login string) (Person, bool) {
	if r == nil || login == "" {
		return Person{}, false
	}
	found := -1
	for i := range r.Persons {
		for f, l := range r.Persons[i].Logins {
			if (forge != "" && !strings.EqualFold(f, forge)) || !strings.EqualFold(l, login) || found == i {
				continue
			}
			if found >= 0 {
				return Person{}, false
			}
			found = i
		}
	}
	if found < 0 {
		return Person{}, false
	}
	return r.Persons[found], true
}

// Owners returns the ids of the persons whom an owner in a CODEOWNERS file means: "@login" at the
// forge, "@org/team" by the roster's teams, or an address. Nobody is an answer too: what the
// roster does not know is not guessed.
func (r *Roster) Owners(forge, owner string) []string {
	if r == nil {
		return nil
	}
	name, at := strings.CutPrefix(owner, "@")
	if !at {
		if p, ok := r.PersonByEmail(owner); ok {
			return []string{p.ID}
		}
		return nil
	}
	for team, members := range r.Teams {
		if strings.EqualFold(team, name) {
			return slices.Clone(members)
		}
	}
	if p, ok := r.PersonByLogin(forge, name); ok {
		return []string{p.ID}
	}
	return nil
}

// RolesOf returns the roles of the person with this id.
func (r *Roster) RolesOf(id string) []string {
	p, _ := r.Person(id)
	roles := make([]string, 0, len(p.Roles))
	for _, role := range p.Roles {
		roles = append(roles, string(role))
	}
	return roles
}

// indexTeams validates the teams. A team that is called like a person's login would be two
// answers to one question.
func (r *Roster) indexTeams() error {
	if len(r.Teams) > maxTeams {
		return fmt.Errorf("%d teams, the limit is %d", len(r.Teams), maxTeams)
	}
	seen := map[string]bool{}
	for name, members := range r.Teams {
		folded := strings.ToLower(name)
		switch {
		case name == "" || len(name) > 256 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == '@' || c == 0x7f }):
			return fmt.Errorf("team %.80q: want a name as CODEOWNERS has it, without the @: acme/platform", name)
		case seen[folded]:
			return fmt.Errorf("team %.80q stands twice", name)
		case len(members) == 0 || len(members) > maxTeams:
			return fmt.Errorf("team %.80q has %d persons, want 1 to %d", name, len(members), maxTeams)
		}
		seen[folded] = true
		for i, id := range members {
			if _, ok := r.personByID[id]; !ok {
				return fmt.Errorf("team %.80q: %.80q is not a person of this roster", name, id)
			}
			if slices.Contains(members[:i], id) {
				return fmt.Errorf("team %.80q: %q stands twice", name, id)
			}
		}
		for i := range r.Persons {
			for _, login := range r.Persons[i].Logins {
				if strings.EqualFold(login, name) {
					return fmt.Errorf("team %.80q is called like a login of %s", name, r.Persons[i].ID)
				}
			}
		}
	}
	return nil
}

// The trailers by which a commit discloses that an agent took part.
var disclosureTrailers = map[string]bool{
	coAuthor: true, "co-developed-by": true, "assisted-by": true, "generated-by": true,
}

// maxDisclosures bounds how many trailers of a commit are read for it.
const maxDisclosures = 1000

// Disclosed returns the agents that trailers of the commit name, sorted: those of the marker table,
// and of the roster. What stands elsewhere in the message is no trailer.
func (id *Identifier) Disclosed(c *sallyport.Commit) []string {
	var b strings.Builder
	for i, t := range c.Trailers {
		if i < maxDisclosures && disclosureTrailers[fold(strings.TrimSpace(t.Key))] {
			b.WriteString(strings.TrimSpace(t.Key) + ": " + strings.ReplaceAll(t.Value, "\n", " ") + "\n")
		}
	}
	agents := []string{}
	if b.Len() == 0 {
		return agents
	}
	g := &gather{id: id, commit: c.ID}
	g.lines(b.String(), false)
	for _, m := range g.marks {
		agents = append(agents, m.agent)
	}
	slices.Sort(agents)
	return slices.Compact(agents)
}
