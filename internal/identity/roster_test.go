package identity

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"
)

func TestParseRoster(t *testing.T) {
	const two = "version: 1\npersons:\n- id: alice\n  emails: [a@example.com]\n- id: bob\n"
	for _, tt := range []struct {
		name, text string
		want       string // a part of the error; empty if it is accepted
	}{
		{"nobody", "version: 1\n", ""},
		{"two persons", two, ""},
		{"a person with everything", two + "  name: Bob\n  logins: {github: bob}\n  roles: [reviewer, root, operator, auditor]\n  keys:\n  - key: " + keyA + "\n    enrolled_by: alice\n    not_after: 2027-01-01\n", ""},
		{"an agent", two + "agents:\n- {name: claude-code, operators: [alice]}\n", ""},
		{"a bot", two + "bots:\n- {id: r, scope: [go.mod], expires: 2027-01-01}\n", ""},
		{"empty", "", "empty"},
		{"no version", "persons: []\n", "version 0"},
		{"later version", "version: 2\n", "version 2"},
		{"unknown key", "version: 1\npeople: []\n", "people"},
		{"key of a person misspelt", "version: 1\npersons:\n- id: a\n  role: [root]\n", "role"},
		{"key twice", "version: 1\nversion: 1\n", "version"},
		{"two documents", "version: 1\n---\nversion: 1\n", "more than one"},
		{"too large", "version: 1\n" + strings.Repeat("#\n", MaxRoster/2), "too large"},
		{"a line that would keep the parser busy", "version: 1\n" + strings.Repeat("a: ", 40000), "longer than"},
		{"id twice", two + "- id: alice\n", "stands twice"},
		{"id with capitals", "version: 1\npersons:\n- id: Alice\n", "person id"},
		{"no id", "version: 1\npersons:\n- name: Alice\n", "person id"},
		{"bot with a person's id", two + "bots:\n- {id: bob, scope: [a], expires: 2027-01-01}\n", "stands twice"},
		{"bot id twice", two + "bots:\n- {id: r, scope: [a], expires: 2027-01-01}\n- {id: r, scope: [a], expires: 2027-01-01}\n", "stands twice"},
		{"e-mail twice, in other case", two + "  emails: [A@Example.com]\n", "stands twice"},
		{"a bot's e-mail is a person's", two + "bots:\n- {id: r, emails: [a@example.com], scope: [a], expires: 2027-01-01}\n", "stands twice"},
		{"an agent's e-mail is a person's", two + "agents:\n- {name: x, operators: [bob], emails: [a@example.com]}\n", "stands twice"},
		{"e-mail that is none", "version: 1\npersons:\n- id: a\n  emails: [alice]\n", "local@domain"},
		{"e-mail in brackets", "version: 1\npersons:\n- id: a\n  emails: [\"<a@example.com>\"]\n", "local@domain"},
		{"login twice", "version: 1\npersons:\n- {id: a, logins: {github: X}}\n- {id: b, logins: {github: x}}\n", "github login"},
		{"login empty", "version: 1\npersons:\n- {id: a, logins: {github: \"\"}}\n", "empty"},
		{"unknown role", two + "  roles: [admin]\n", "role"},
		{"role twice", two + "  roles: [root, root]\n", "stands twice"},
		{"key that is none", two + "  keys:\n  - key: ssh-ed25519 AAAA\n", "key"},
		{"key of two persons", "version: 1\npersons:\n- id: a\n  keys:\n  - key: " + keyA + "\n- id: b\n  keys:\n  - key: " + keyA + " other comment\n", "stands twice"},
		{"key of a person and a bot", "version: 1\npersons:\n- id: a\n  keys:\n  - key: " + keyA + "\nbots:\n- {id: r, keys: [" + keyA + "], scope: [a], expires: 2027-01-01}\n", "stands twice"},
		{"enrolled by nobody known", two + "  keys:\n  - key: " + keyA + "\n    enrolled_by: carol\n", "not a person"},
		{"enrolled by a bot", two + "  keys:\n  - key: " + keyA + "\n    enrolled_by: r\nbots:\n- {id: r, scope: [a], expires: 2027-01-01}\n", "not a person"},
		{"enrolled by its owner", two + "  keys:\n  - key: " + keyA + "\n    enrolled_by: bob\n", "its own owner"},
		{"not_after that is no day", two + "  keys:\n  - key: " + keyA + "\n    not_after: soon\n", "not_after"},
		{"not_after on the 30th of February", two + "  keys:\n  - key: " + keyA + "\n    not_after: 2027-02-30\n", "not_after"},
		{"agent twice", two + "agents:\n- {name: x, operators: [bob]}\n- {name: x, operators: [bob]}\n", "stands twice"},
		{"agent without operators", two + "agents:\n- {name: x}\n", "operators"},
		{"agent with an unknown operator", two + "agents:\n- {name: x, operators: [carol]}\n", "not a person"},
		{"bot without scope", two + "bots:\n- {id: r, expires: 2027-01-01}\n", "scope"},
		{"bot without an end", two + "bots:\n- {id: r, scope: [a]}\n", "expires"},
		{"bot with a bad end", two + "bots:\n- {id: r, scope: [a], expires: never}\n", "expires"},
		{"bot with a bad pattern", two + "bots:\n- {id: r, scope: [\"../x\"], expires: 2027-01-01}\n", "pattern"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := ParseRoster([]byte(tt.text))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("err = %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("err = %v, want it to say %q", err, tt.want)
			case err != nil && (!errors.Is(err, ErrRoster) || r != nil || strings.Contains(err.Error(), "\n")):
				t.Errorf("roster %v with error %q: want no roster and one line that wraps ErrRoster", r, err)
			}
		})
	}
}

func TestRosterLookups(t *testing.T) {
	c := newCast(t)
	r := c.roster
	for _, email := range []string{"alice@example.com", "ALICE@EXAMPLE.COM", "alice@home.example",
		"1+alicehub@users.noreply.github.com", "AliceHub@users.noreply.github.com"} {
		if p, ok := r.PersonByEmail(email); !ok || p.ID != "alice" {
			t.Errorf("PersonByEmail(%q) = %q, %v; want alice", email, p.ID, ok)
		}
	}
	for _, email := range []string{"", "eve@example.com", "agent@example.com", "oldbot@example.com", "alicehub@example.com",
		"x+alicehub@users.noreply.github.com"} {
		if p, ok := r.PersonByEmail(email); ok {
			t.Errorf("PersonByEmail(%q) = %q, want nobody", email, p.ID)
		}
	}
	p, k, ok := r.PersonByKey(c.keys["alice"].Fingerprint())
	if !ok || p.ID != "alice" || !k.SK || k.EnrolledBy != "bob" || k.Public != c.keys["alice"].PublicKey() || k.Simulated {
		t.Errorf("PersonByKey = %q, %+v, %v", p.ID, k, ok)
	}
	if _, _, ok := r.PersonByKey(c.keys["renovate"].Fingerprint()); ok {
		t.Error("a bot's key is a person's")
	}
	if !r.HasRole("alice", RoleRoot) || r.HasRole("alice", RoleOperator) || r.HasRole("eve", RoleRoot) {
		t.Error("HasRole is wrong about alice or eve")
	}
	if ops, ok := r.AgentApproved("house-agent"); !ok || !slices.Equal(ops, []string{"alice", "bob"}) {
		t.Errorf("AgentApproved(house-agent) = %q, %v", ops, ok)
	}
	if _, ok := r.AgentApproved("codex-cli"); ok {
		t.Error("an agent that the roster does not name is approved")
	}
	if keys := r.Keys(); len(keys) != 5 || keys[0].Person != "alice" {
		t.Errorf("Keys() = %+v, want alice's five", keys)
	}
	for _, r := range []*Roster{nil, {}} {
		_, a := r.Person("alice")
		_, b := r.PersonByEmail("alice@example.com")
		_, _, c := r.PersonByKey("SHA256:x")
		_, d := r.AgentApproved("claude-code")
		if a || b || c || d || r.HasRole("alice", RoleRoot) || r.Keys() != nil {
			t.Error("an empty roster knows somebody")
		}
	}
}

func TestKeyGrade(t *testing.T) {
	full := Key{Person: "alice", SK: true, EnrolledBy: "bob", NotAfter: now}
	with := func(f func(*Key)) Key { k := full; f(&k); return k }
	for _, tt := range []struct {
		name    string
		key     Key
		touched bool
		at      time.Time
		want    sallyport.Grade
	}{
		{"touched, enrolled, on its last instant", full, true, now, sallyport.Present},
		{"an instant later", full, true, now.Add(time.Nanosecond), ""},
		{"without an end", with(func(k *Key) { k.NotAfter = time.Time{} }), true, now.AddDate(50, 0, 0), sallyport.Present},
		{"not touched", full, false, now, sallyport.Declared},
		{"not enrolled", with(func(k *Key) { k.EnrolledBy = "" }), true, now, sallyport.Declared},
		{"ordinary key", with(func(k *Key) { k.SK = false }), true, now, sallyport.Declared},
		{"nobody's key", Key{SK: true, EnrolledBy: "bob"}, true, now, ""},
	} {
		if got := tt.key.Grade(tt.touched, tt.at); got != tt.want {
			t.Errorf("%s: grade %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What parses has unambiguous owners: every person, key and address leads back to one entry.
func FuzzParseRoster(f *testing.F) {
	f.Add([]byte("version: 1\n"))
	f.Add([]byte("version: 1\npersons:\n- id: alice\n  emails: [a@example.com]\n  roles: [root]\n  keys:\n  - key: " + keyA + "\n    enrolled_by: bob\n    not_after: 2027-01-01\n- id: bob\n"))
	f.Add([]byte("version: 1\npersons: [{id: a}]\nagents: [{name: x, operators: [a], emails: [x@y]}]\nbots: [{id: r, keys: [" + keyB + "], scope: ['**'], expires: 2027-01-01}]\n"))
	f.Add([]byte(castRoster))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRoster(b)
		if err != nil {
			if r != nil {
				t.Fatal("an error and yet a roster")
			}
			return
		}
		keys := 0
		for _, p := range r.Persons {
			if got, ok := r.Person(p.ID); !ok || got.ID != p.ID {
				t.Fatalf("person %q is not found", p.ID)
			}
			for _, e := range p.Emails {
				if got, ok := r.PersonByEmail(e); !ok || got.ID != p.ID {
					t.Fatalf("e-mail %q of %s leads to %q", e, p.ID, got.ID)
				}
			}
			for _, k := range p.Keys {
				pub, err := sshsig.ParseAuthorizedKey(k.Key)
				if err != nil {
					t.Fatal(err)
				}
				if got, _, ok := r.PersonByKey(sshsig.Fingerprint(pub)); !ok || got.ID != p.ID {
					t.Fatalf("a key of %s leads to %q", p.ID, got.ID)
				}
				if k.EnrolledBy == p.ID {
					t.Fatalf("%s enrolled a key of their own", p.ID)
				}
				keys++
			}
		}
		if n := len(r.Keys()); n != keys {
			t.Fatalf("%d keys, want %d", n, keys)
		}
		for _, b := range r.Bots {
			if b.expires.IsZero() || len(b.scope) == 0 {
				t.Fatalf("bot %s has no end or no scope", b.ID)
			}
		}
	})
}

// No unsigned commit is a person's or a bot's, whatever it says; a commit whose trailer is
// Claude's is an agent's, whatever else it says; and what is repeated of it is safe to print.
func FuzzCommit(f *testing.F) {
	f.Add("Alice", "alice@example.com", "Fix\n\nCo-authored-by: Bob <bob@example.com>\n")
	f.Add("claude[bot]", "41898282+claude[bot]@users.noreply.github.com", "aider: x\n\nAssisted-by: Claude:opus\nGenerated-by: x")
	f.Add("\u0421laude", "claude@users.noreply.github.com", "Entire-Session: x\nCo-developed-by: a@b\n\xff\u212a\u0130")
	f.Add("renovate[bot]", "1+renovate[bot]@users.noreply.github.com", "İ\r\n\r\nCo-authored-by: x <y@z>\r\n")
	c := newCast(f)
	f.Fuzz(func(t *testing.T, name, email, message string) {
		co := &sallyport.Commit{
			ID:     sallyport.GitCommit(strings.Repeat("b", 40)),
			Author: sallyport.Ident{Name: name, Email: email}, Committer: sallyport.Ident{Name: name, Email: email},
			Message: message, SignatureKind: "none",
		}
		r := c.Commit(co)
		switch r.Attribution.Principal.Kind {
		case sallyport.Person, sallyport.Bot, sallyport.Workload:
			t.Fatalf("unsigned, and yet a %s: %q", r.Attribution.Principal.Kind, r.Attribution.Why)
		}
		if len(r.Attribution.Why) == 0 {
			t.Fatal("no reason given")
		}
		text := strings.Join(r.Attribution.Why, "") + r.Attribution.Model
		for _, f := range r.Findings {
			text += f.Text
		}
		for _, x := range text {
			if x < ' ' || x == 0x7f || isBidi(x) {
				t.Fatalf("not safe to print: %q", text)
			}
		}
		if !slices.IsSorted(r.Claimed) {
			t.Fatalf("claimed is not sorted: %q", r.Claimed)
		}
		co.Message = message + "\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"
		if k := c.Commit(co).Attribution.Principal.Kind; k != sallyport.Agent {
			t.Fatalf("with Claude's trailer it is %q", k)
		}
	})
}

// The data is carried as it was gathered, and says where it came from.
func TestDataHasItsOrigin(t *testing.T) {
	b, err := os.ReadFile("data/README.md")
	if err != nil || !strings.Contains(string(b), "agent-markers.json") {
		t.Errorf("data/README.md: %v", err)
	}
}

// A simulated key proves presence only where the roster says that it may.
func TestSimulatedKeysProveNothingByThemselves(t *testing.T) {
	sk, err := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{Touch: true})
	if err != nil {
		t.Fatal(err)
	}
	const persons = `persons:
  - {id: bob, name: Bob, emails: [bob@example.com]}
  - id: alice
    name: Alice
    emails: [alice@example.com]
    keys:
      - {key: "KEY", enrolled_by: bob}
`
	for head, want := range map[string]sallyport.Grade{
		"version: 1\n": sallyport.Declared, "version: 1\nsimulated_keys: true\n": sallyport.Present,
	} {
		r, err := ParseRoster([]byte(head + strings.Replace(persons, "KEY", sk.PublicKey(), 1)))
		if err != nil {
			t.Fatal(err)
		}
		_, k, ok := r.PersonByKey(sk.Fingerprint())
		if got := k.Grade(true, time.Now()); !ok || got != want {
			t.Errorf("%q: got %q, want %q", head, got, want)
		}
	}
}
