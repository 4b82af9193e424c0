package identity

import (
	"errors"
	"slices"
	"strings"
	"time"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
)

// MaxRoster is the largest roster that is read, in bytes.
const MaxRoster = 1 << 20

// ErrRoster is wrapped by every error about a roster.
var ErrRoster = errors.New("roster")

// A Roster is .sallyport/roster.yaml: who may act in this repository, and how each of them is
// known. The zero Roster, and a nil one, know nobody. A Roster that [ParseRoster] returned is
// not changed afterwards and is safe for concurrent use.
type Roster struct {
	Version int `yaml:"version"` // of this schema; 1
	// SimulatedKeys lets simulated security keys prove presence, for demonstrations and tests:
	// whoever can read such a key's file can "touch" it. Default: they prove no more than an
	// ordinary key.
	SimulatedKeys bool `yaml:"simulated_keys"`

	// SecurityKeys says which makers' attestations count.
	SecurityKeys SecurityKeys `yaml:"security_keys"`

	Persons []Person      `yaml:"persons"` // human beings
	Agents  []RosterAgent `yaml:"agents"`  // agents that are approved to work here
	Bots    []Bot         `yaml:"bots"`    // deterministic automation

	// Teams are the persons whom CODEOWNERS means by a team: {acme/platform: [alice, bob]}.
	Teams map[string][]string `yaml:"teams"`

	personByID map[string]int
	ownerOf    map[string]owner  // by key fingerprint
	emailOf    map[string]owner  // by folded e-mail; agents too
	loginOf    map[string]string // folded GitHub login to person id
	keysets                      // the keys and identities that are no SSH keys
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
	// OpenPGP are the certificates whose signatures are this person's.
	OpenPGP []OpenPGPKey `yaml:"openpgp"`
	// Identities are how certificate authorities know this person.
	Identities []Subject `yaml:"identities"`
	// Roles are what the person may do: reviewer approves changes, root signs later versions
	// of the governed files, operator starts agents, auditor reads records, security grants
	// exceptions and approves models at external endpoints.
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
	// Attestation is what the security key's maker says of the key. With it the key is worth
	// attested in place of present. Default: none.
	Attestation *KeyAttestation `yaml:"attestation"`
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
	// Identities are how certificate authorities know it: for a CI job its workflow.
	Identities []Subject `yaml:"identities"`
	// Scope lists the paths that it may change. * and ? match within one folder, ** any number
	// of folders, and a pattern matches the whole path: "go.mod", "**/package-lock.json".
	Scope []string `yaml:"scope"`
	// Expires is the last day, in UTC, on which it counts. There is no default: automation
	// that nobody looks at again is how a forgotten key comes back.
	Expires string `yaml:"expires"`

	scope   []glob.Glob
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
	RoleSecurity Role = "security"
)

// A Key is a person's key as verifiers use it.
type Key struct {
	Person      string // roster id of its owner
	Public      string // canonical: "type base64"; empty for OpenPGP
	Fingerprint string // "SHA256:…", or "openpgp:…"
	SK          bool
	Simulated   bool // it says of itself that it is a simulation; see [sshsig.SimulatedSK]
	EnrolledBy  string
	NotAfter    time.Time // the last instant at which it counts; zero if it has no end

	// Materials are the SHA-256 digests, in hex, of the SubjectPublicKeyInfo of the key, or of all that
	// an OpenPGP certificate holds, by which the same key is known in other formats.
	Materials []string

	simulationCounts bool // the roster says so
	solo             bool // its owner is the whole team: there is nobody who could have enrolled it
	attested         bool // the roster holds its maker's attestation, and it verifies
}

// Expired reports whether the key no longer counts at now.
func (k Key) Expired(now time.Time) bool { return !k.NotAfter.IsZero() && now.After(k.NotAfter) }

// Grade returns what a signature under k proves at now: present if it is a security key's that
// somebody touched and another person enrolled, attested if its maker vouches for that key as
// well, declared for every other, and nothing once the key has expired.
func (k Key) Grade(touched bool, now time.Time) sallyport.Grade {
	switch {
	case k.Person == "" || k.Expired(now):
		return ""
	case k.SK && touched && (k.EnrolledBy != "" || k.solo) && k.attested && !k.Simulated:
		return sallyport.Attested
	case k.SK && touched && (k.EnrolledBy != "" || k.solo) && (!k.Simulated || k.simulationCounts):
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
		if g.Match(string(path)) {
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
