package identity

import (
	"fmt"
	"maps"
	"slices"

	sallyport "github.com/sallyport-dev/sallyport"
)

// WithSolo returns the roster of a team of one, which the root of trust has to name: the security
// keys of that person prove presence although nobody else enrolled them, because there is nobody
// else. It fails, wrapping [ErrRoster], if the roster does not know the person as a reviewer, or
// contradicts it: as long as another person may review or sign the root, there is a team. The
// roster itself is not changed.
func (r *Roster) WithSolo(id string) (*Roster, error) {
	if !r.HasRole(id, RoleReviewer) {
		return nil, fmt.Errorf("%w: solo is %.80q, who is no person with the role reviewer", ErrRoster, id)
	}
	for _, p := range r.Persons {
		if p.ID != id && (slices.Contains(p.Roles, RoleReviewer) || slices.Contains(p.Roles, RoleRoot)) {
			return nil, fmt.Errorf("%w: solo is %q, and %q may review or sign the root: a team of one is one", ErrRoster, id, p.ID)
		}
	}
	c := *r
	c.ownerOf = maps.Clone(r.ownerOf)
	for print, o := range c.ownerOf {
		if o.kind == sallyport.Person && o.id == id {
			o.key.solo = true
			c.ownerOf[print] = o
		}
	}
	return &c, nil
}

// enrolment says who vouched for the device, to be read after "that".
func (k Key) enrolment() string {
	if k.EnrolledBy == "" {
		return "nobody else enrolled, since " + k.Person + " is the whole team"
	}
	return "was enrolled by " + k.EnrolledBy
}
