package identity

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// validID reports whether s is 1 to 64 of a-z, 0-9, dot, underscore, hyphen.
func validID(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// validMail reports whether s is local@domain without anything that git would cut off.
func validMail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && len(s) <= 320 &&
		!strings.ContainsAny(domain, "@") &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`<>"`, r)
		})
}

// ParseRoster reads a roster and refuses one that could be understood in two ways: an unknown
// or repeated key, an id, address or key that two entries share, an unknown role, a reference
// to a person who is not there, a key enrolled by its own owner, a date that is none.
//
// The roster may name no further file; see [ParseRosterFiles].
func ParseRoster(b []byte) (*Roster, error) { return ParseRosterFiles(b, nil) }

// ParseRosterFiles is ParseRoster for a roster that may name further governed files, which are
// given by their path from the top of the repository.
func ParseRosterFiles(b []byte, files map[string][]byte) (*Roster, error) {
	r := new(Roster)
	r.files = files
	if err := checkLines(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoster, err)
	}
	if err := strict.YAML(b, MaxRoster, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoster, err)
	}
	if r.Version != 1 {
		return nil, fmt.Errorf("%w: version %d, want 1", ErrRoster, r.Version)
	}
	if err := r.index(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoster, err)
	}
	r.files = nil
	return r, nil
}

// maxLine bounds a line of the roster. The largest key needs 2,800 bytes; what the bound is for
// is the YAML parser, whose time grows with the square of a line's length: 100 kB of "a: a: a: "
// on one line kept it busy for ten seconds.
const maxLine = 4 << 10

func checkLines(b []byte) error {
	n := 0
	for line := range bytes.Lines(b) {
		n++
		if len(line) > maxLine {
			return fmt.Errorf("line %d is longer than %d bytes", n, maxLine)
		}
	}
	return nil
}

// index validates the roster and fills its maps.
func (r *Roster) index() error {
	r.personByID = make(map[string]int, len(r.Persons))
	r.ownerOf, r.emailOf, r.loginOf = map[string]owner{}, map[string]owner{}, map[string]string{}
	for i, p := range r.Persons {
		if err := r.checkID("person", p.ID); err != nil {
			return err
		}
		r.personByID[p.ID] = i
	}
	if err := r.indexSecurityKeys(); err != nil {
		return err
	}
	for i := range r.Persons {
		if err := r.indexPerson(&r.Persons[i]); err != nil {
			return fmt.Errorf("person %s: %w", r.Persons[i].ID, err)
		}
	}
	if err := r.indexTeams(); err != nil {
		return err
	}
	bots := map[string]bool{}
	for i := range r.Bots {
		b := &r.Bots[i]
		if err := r.checkID("bot", b.ID); err != nil {
			return err
		}
		if bots[b.ID] {
			return fmt.Errorf("bot id %q stands twice", b.ID)
		}
		bots[b.ID] = true
		if err := r.indexBot(b); err != nil {
			return fmt.Errorf("bot %s: %w", b.ID, err)
		}
	}
	names := map[string]bool{}
	for _, a := range r.Agents {
		if !validID(a.Name) {
			return fmt.Errorf("agent name %.80q: want 1 to 64 of a-z, 0-9, dot, underscore, hyphen", a.Name)
		}
		if names[a.Name] {
			return fmt.Errorf("agent %q stands twice", a.Name)
		}
		names[a.Name] = true
		if err := r.indexAgent(a); err != nil {
			return fmt.Errorf("agent %s: %w", a.Name, err)
		}
	}
	return nil
}

// checkID refuses an id that is malformed or already a person's.
func (r *Roster) checkID(what, id string) error {
	if !validID(id) {
		return fmt.Errorf("%s id %.80q: want 1 to 64 of a-z, 0-9, dot, underscore, hyphen", what, id)
	}
	if _, ok := r.personByID[id]; ok {
		return fmt.Errorf("id %q stands twice", id)
	}
	return nil
}

func (r *Roster) indexPerson(p *Person) error {
	me := owner{kind: sallyport.Person, id: p.ID}
	if err := r.addEmails(p.Emails, me); err != nil {
		return err
	}
	for forge, login := range p.Logins {
		if forge == "" || login == "" {
			return fmt.Errorf("login %.80q at %.80q: neither may be empty", login, forge)
		}
	}
	if login := strings.ToLower(p.Logins["github"]); login != "" {
		if other, ok := r.loginOf[login]; ok {
			return fmt.Errorf("github login %.80q is also %s's", login, other)
		}
		r.loginOf[login] = p.ID
	}
	for i, role := range p.Roles {
		switch role {
		case RoleReviewer, RoleRoot, RoleOperator, RoleAuditor, RoleSecurity:
		default:
			return fmt.Errorf("role %.80q: want reviewer, root, operator, auditor or security", role)
		}
		if slices.Contains(p.Roles[:i], role) {
			return fmt.Errorf("role %q stands twice", role)
		}
	}
	for _, pk := range p.Keys {
		if pk.EnrolledBy != "" {
			if _, ok := r.personByID[pk.EnrolledBy]; !ok {
				return fmt.Errorf("key enrolled by %.80q, who is not a person of this roster", pk.EnrolledBy)
			}
			if pk.EnrolledBy == p.ID {
				return errors.New("key enrolled by its own owner: it takes another person")
			}
		}
		o := me
		if pk.NotAfter != "" {
			end, err := parseDay(pk.NotAfter)
			if err != nil {
				return fmt.Errorf("not_after: %w", err)
			}
			o.key.NotAfter = end
		}
		o.key.Person, o.key.EnrolledBy = p.ID, pk.EnrolledBy
		var err error
		if o.key.attested, err = r.attested(pk, p.ID); err != nil {
			return fmt.Errorf("attestation of key %.40q: %w", pk.Key, err)
		}
		if err := r.addKey(pk.Key, o); err != nil {
			return err
		}
	}
	return r.indexFurther(p, me)
}

func (r *Roster) indexBot(b *Bot) error {
	me := owner{kind: sallyport.Bot, id: b.ID}
	if err := r.addEmails(b.Emails, me); err != nil {
		return err
	}
	for _, k := range b.Keys {
		if err := r.addKey(k, me); err != nil {
			return err
		}
	}
	if err := r.addSubjects(b.Identities, me); err != nil {
		return err
	}
	if len(b.Scope) == 0 {
		return errors.New("scope is empty: list the paths that it may change")
	}
	for _, s := range b.Scope {
		g, err := glob.Parse(s)
		if err != nil {
			return fmt.Errorf("scope: %w", err)
		}
		b.scope = append(b.scope, g)
	}
	if b.Expires == "" {
		return errors.New("expires is missing: a bot counts until a day that you name")
	}
	var err error
	if b.expires, err = parseDay(b.Expires); err != nil {
		return fmt.Errorf("expires: %w", err)
	}
	return nil
}

func (r *Roster) indexAgent(a RosterAgent) error {
	if len(a.Operators) == 0 {
		return errors.New("operators is empty: somebody must answer for it")
	}
	for i, id := range a.Operators {
		if _, ok := r.personByID[id]; !ok {
			return fmt.Errorf("operator %.80q is not a person of this roster", id)
		}
		if slices.Contains(a.Operators[:i], id) {
			return fmt.Errorf("operator %q stands twice", id)
		}
	}
	return r.addEmails(a.Emails, owner{kind: sallyport.Agent, id: a.Name})
}

func (r *Roster) addEmails(emails []string, o owner) error {
	for _, e := range emails {
		if !validMail(e) {
			return fmt.Errorf("e-mail %.80q: want local@domain", e)
		}
		f := foldEmail(e)
		if other, ok := r.emailOf[f]; ok {
			return fmt.Errorf("e-mail %.80q stands twice, at %s and %s", e, other.id, o.id)
		}
		r.emailOf[f] = o
	}
	return nil
}

func (r *Roster) addKey(line string, o owner) error {
	pub, err := sshsig.ParseAuthorizedKey(line)
	if err != nil {
		return fmt.Errorf("key %.40q: %w", line, err)
	}
	fp := sshsig.Fingerprint(pub)
	if other, ok := r.ownerOf[fp]; ok {
		return fmt.Errorf("key %s stands twice, at %s and %s", fp, other.id, o.id)
	}
	if err := r.addMaterial(sshsig.Material(pub), fp, o); err != nil {
		return err
	}
	o.key.Public, o.key.Fingerprint = sshsig.Canonical(pub), fp
	o.key.SK = sshsig.IsSK(pub)
	if m := sshsig.Material(pub); m != "" {
		o.key.Materials = []string{m}
	}
	o.key.Simulated, o.key.simulationCounts = sshsig.IsSimulated(pub), r.SimulatedKeys
	r.ownerOf[fp] = o
	return nil
}

// parseDay returns the last instant of a day in UTC.
func parseDay(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q is not a day: want 2027-01-31", s)
	}
	return t.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
}
