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
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxRoster is the largest roster that is read, in bytes.
const MaxRoster = 1 << 20

// ErrRoster is wrapped by every error about a roster.
var ErrRoster = errors.New("roster")

// A Roster is .sallyport/roster.yaml: who may act in this repository, and how each of them is
// known. The zero Roster, and a nil one, know nobody. A Roster that [ParseRoster] returned is
// not changed afterwards and is safe for concurrent use.
type Roster struct {
	Version int           `yaml:"version"` // of this schema; 1
	Persons []Person      `yaml:"persons"` // human beings
	Agents  []RosterAgent `yaml:"agents"`  // agents that are approved to work here
	Bots    []Bot         `yaml:"bots"`    // deterministic automation

	personByID map[string]int
	ownerOf    map[string]owner  // by key fingerprint
	emailOf    map[string]owner  // by folded e-mail; agents too
	loginOf    map[string]string // folded GitHub login to person id
}

// A Person is a human being.
type Person struct {
	// ID names the person everywhere else: letters a to z, digits, dot, underscore and hyphen.
	ID string `yaml:"id"`
	// Name is for people. Nothing is decided by it.
	Name string `yaml:"name"`
	// Emails are the author and committer addresses that mean this person. They are compared
	// without regard to case, and nobody else in the roster may have the same.
	Emails []string `yaml:"emails"`
	// Logins are the person's accounts, by forge: {github: alice}.
	Logins map[string]string `yaml:"logins"`
	// Keys are the SSH keys whose signatures are this person's.
	Keys []PersonKey `yaml:"keys"`
	// Roles are what the person may do: reviewer approves changes, root signs later versions
	// of the governed files, operator starts agents, auditor reads records.
	Roles []Role `yaml:"roles"`
}

// A PersonKey is one SSH public key of a person.
type PersonKey struct {
	// Key is the public key as in a .pub file. A sk- key lives in a security key.
	Key string `yaml:"key"`
	// EnrolledBy is another person, who saw the device when the key was entered here. Without
	// it a sk- key proves no more than an ordinary key, since software can imitate one.
	EnrolledBy string `yaml:"enrolled_by"`
	// NotAfter is the last day, in UTC, on which the key counts: 2027-01-01. Default: no end.
	NotAfter string `yaml:"not_after"`
}

// A RosterAgent is an agent that the roster approves.
type RosterAgent struct {
	// Name is that of the marker table (claude-code, codex-cli, …) or one of your own.
	Name string `yaml:"name"`
	// Operators are the persons who may run it; at least one.
	Operators []string `yaml:"operators"`
	// Emails are further addresses that mean this agent.
	Emails []string `yaml:"emails"`
}

// A Bot is deterministic automation: it does the same thing whoever asks. What is driven by a
// model is an agent and belongs there.
type Bot struct {
	// ID is shaped as a person's and no person may have the same.
	ID string `yaml:"id"`
	// Emails are its author and committer addresses.
	Emails []string `yaml:"emails"`
	// Keys are its SSH public keys. Only a commit signed under one of them is the bot's: an
	// address alone can be written by anybody.
	Keys []string `yaml:"keys"`
	// Scope lists the paths that it may change. * and ? match within one folder, ** any number
	// of folders, and a pattern matches the whole path: "go.mod", "**/package-lock.json".
	Scope []string `yaml:"scope"`
	// Expires is the last day, in UTC, on which it counts. There is no default: automation
	// that nobody looks at again is how a forgotten key comes back.
	Expires string `yaml:"expires"`

	scope   []glob
	expires time.Time
}

// A Role is something that a person may do.
type Role string

// The roles.
const (
	RoleReviewer Role = "reviewer"
	RoleRoot     Role = "root"
	RoleOperator Role = "operator"
	RoleAuditor  Role = "auditor"
)

// A Key is a person's key as verifiers use it.
type Key struct {
	Person      string // roster id of its owner
	Public      string // canonical: "type base64"
	Fingerprint string // "SHA256:…"
	SK          bool
	Simulated   bool // it says of itself that it is a simulation; see [sshsig.SimulatedSK]
	EnrolledBy  string
	NotAfter    time.Time // the last instant at which it counts; zero if it has no end
}

// Expired reports whether the key no longer counts at now.
func (k Key) Expired(now time.Time) bool { return !k.NotAfter.IsZero() && now.After(k.NotAfter) }

// Grade returns what a signature under k proves at now: present if it is a security key's that
// somebody touched and another person enrolled, declared for every other, and nothing once the
// key has expired.
func (k Key) Grade(touched bool, now time.Time) sallyport.Grade {
	switch {
	case k.Person == "" || k.Expired(now):
		return ""
	case k.SK && touched && k.EnrolledBy != "":
		return sallyport.Present
	}
	return sallyport.Declared
}

// owner is whose a key or an address is.
type owner struct {
	kind sallyport.PrincipalKind
	id   string
	key  Key // of a person's key
}

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
func ParseRoster(b []byte) (*Roster, error) {
	r := new(Roster)
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
	for i := range r.Persons {
		if err := r.indexPerson(&r.Persons[i]); err != nil {
			return fmt.Errorf("person %s: %w", r.Persons[i].ID, err)
		}
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
		case RoleReviewer, RoleRoot, RoleOperator, RoleAuditor:
		default:
			return fmt.Errorf("role %.80q: want reviewer, root, operator or auditor", role)
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
		if err := r.addKey(pk.Key, o); err != nil {
			return err
		}
	}
	return nil
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
	if len(b.Scope) == 0 {
		return errors.New("scope is empty: list the paths that it may change")
	}
	for _, s := range b.Scope {
		g, err := parseGlob(s)
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
	o.key.Public, o.key.Fingerprint = sshsig.Canonical(pub), fp
	o.key.SK = sshsig.IsSK(pub)
	o.key.Simulated = sshsig.IsSimulated(pub)
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

// Person returns the person with this id.
func (r *Roster) Person(id string) (Person, bool) {
	if r == nil {
		return Person{}, false
	}
	i, ok := r.personByID[id]
	if !ok {
		return Person{}, false
	}
	return r.Persons[i], true
}

// PersonByKey returns the key with this fingerprint and the person whose it is. Whether it has
// expired is for the caller to ask: [Key.Grade].
func (r *Roster) PersonByKey(fingerprint string) (Person, Key, bool) {
	if r == nil {
		return Person{}, Key{}, false
	}
	o, ok := r.ownerOf[fingerprint]
	if !ok || o.kind != sallyport.Person {
		return Person{}, Key{}, false
	}
	p, ok := r.Person(o.id)
	return p, o.key, ok
}

// PersonByEmail returns the person whom an author or committer address means: one of the
// person's addresses, or the address that GitHub issues to the person's login there. An address
// proves nothing.
func (r *Roster) PersonByEmail(email string) (Person, bool) {
	o := r.byEmail(foldEmail(email))
	if o.kind != sallyport.Person {
		return Person{}, false
	}
	return r.Person(o.id)
}

// byEmail returns whose a folded address is; the zero owner if nobody's.
func (r *Roster) byEmail(folded string) owner {
	if r == nil {
		return owner{}
	}
	if o, ok := r.emailOf[folded]; ok {
		return o
	}
	if _, login, ok := githubNoreply(folded); ok {
		if id, ok := r.loginOf[login]; ok {
			return owner{kind: sallyport.Person, id: id}
		}
	}
	return owner{}
}

// HasRole reports whether the person with this id has the role.
func (r *Roster) HasRole(id string, role Role) bool {
	p, ok := r.Person(id)
	return ok && slices.Contains(p.Roles, role)
}

// AgentApproved reports whether the roster names this agent, and who may run it.
func (r *Roster) AgentApproved(name string) (operators []string, ok bool) {
	if r == nil {
		return nil, false
	}
	for _, a := range r.Agents {
		if a.Name == name {
			return slices.Clone(a.Operators), true
		}
	}
	return nil, false
}

// Keys returns the keys of all persons, expired ones too, in the roster's order.
func (r *Roster) Keys() []Key {
	if r == nil {
		return nil
	}
	var keys []Key
	for _, o := range r.ownerOf {
		if o.kind == sallyport.Person {
			keys = append(keys, o.key)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		if d := r.personByID[a.Person] - r.personByID[b.Person]; d != 0 {
			return d
		}
		return strings.Compare(a.Fingerprint, b.Fingerprint)
	})
	return keys
}

// bot returns the bot with this id, or nil.
func (r *Roster) bot(id string) *Bot {
	if r == nil {
		return nil
	}
	for i := range r.Bots {
		if r.Bots[i].ID == id {
			return &r.Bots[i]
		}
	}
	return nil
}

// allows reports whether path is in the bot's scope.
func (b *Bot) allows(path sallyport.Path) bool {
	for _, g := range b.scope {
		if g.match(string(path)) {
			return true
		}
	}
	return false
}

// foldEmail brings an address into the form in which addresses are compared.
func foldEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

const noreplyGitHub = "users.noreply.github.com"

// githubNoreply takes a folded GitHub address apart: "id+login@users.noreply.github.com", or
// without the id, as GitHub issued them before 2017.
func githubNoreply(folded string) (id, login string, ok bool) {
	local, domain, _ := strings.Cut(folded, "@")
	if domain != noreplyGitHub || local == "" {
		return "", "", false
	}
	if n, rest, plus := strings.Cut(local, "+"); plus && n != "" && strings.Trim(n, "0123456789") == "" {
		return n, rest, true
	}
	return "", local, true
}
