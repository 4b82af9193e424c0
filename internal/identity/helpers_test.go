package identity

import (
	"strings"
	"testing"
	"time"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// cast is a roster with keys that the tests can sign with.
type cast struct {
	*Identifier
	roster *Roster
	keys   map[string]sshsig.Signer
}

// seed makes keys that are the same in every run.
type seed byte

func (s seed) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}

const castRoster = `version: 1
persons:
  - id: alice
    name: Alice Example
    emails: [alice@example.com, Alice@Home.example]
    logins: {github: AliceHub}
    roles: [reviewer, root]
    keys:
      - key: KEY-alice
        enrolled_by: bob
      - key: KEY-alice-alone
      - key: KEY-alice-untouched
        enrolled_by: bob
      - key: KEY-alice-expired
        enrolled_by: bob
        not_after: 2026-11-22
      - key: KEY-alice-today
        enrolled_by: bob
        not_after: 2026-11-23
  - id: bob
    emails: [bob@example.com]
    roles: [operator]
agents:
  - name: claude-code
    operators: [bob]
  - name: house-agent
    operators: [alice, bob]
    emails: [agent@example.com]
bots:
  - id: renovate
    emails: ["29139614+renovate[bot]@users.noreply.github.com"]
    keys: [KEY-renovate]
    scope: [go.mod, go.sum, "**/package-lock.json"]
    expires: 2027-01-01
  - id: oldbot
    emails: [oldbot@example.com]
    keys: [KEY-oldbot]
    scope: ["**"]
    expires: 2026-01-01
`

func newCast(t testing.TB) *cast {
	t.Helper()
	c := &cast{keys: map[string]sshsig.Signer{}}
	text := castRoster
	for i, name := range []string{"alice", "alice-alone", "alice-untouched", "alice-expired", "alice-today",
		"renovate", "oldbot", "stranger"} {
		k, err := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{
			Touch: name != "alice-untouched", Application: "ssh:", Rand: seed(i + 1)})
		if err != nil {
			t.Fatal(err)
		}
		c.keys[name] = k
		text = strings.ReplaceAll(text, "KEY-"+name+"\n", k.PublicKey()+"\n")
		text = strings.ReplaceAll(text, "KEY-"+name+"]", k.PublicKey()+"]")
	}
	r, err := ParseRoster([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c.roster = r
	c.Identifier = New(r, now)
	return c
}

// ident reads "Name <address>".
func ident(s string) sallyport.Ident {
	name, email, _ := splitIdent(s)
	return sallyport.Ident{Name: name, Email: email}
}

// commit makes a commit by author, signed with the key of that name unless it is empty.
func (c *cast) commit(t testing.TB, author, message, key string) *sallyport.Commit {
	t.Helper()
	co := &sallyport.Commit{
		ID:     sallyport.GitCommit(strings.Repeat("a", 40)),
		Author: ident(author), Committer: ident(author),
		Message: message, SignatureKind: "none",
	}
	if key == "" {
		return co
	}
	co.Signed = []byte("author " + author + "\n\n" + message)
	sig, err := c.keys[key].Sign(t.Context(), "git", co.Signed)
	if err != nil {
		t.Fatal(err)
	}
	co.SignatureKind, co.Signature = "ssh", sig
	return co
}
