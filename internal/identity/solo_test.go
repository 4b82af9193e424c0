package identity

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// A team of one is one person, and only that person's keys gain by it.
func TestWithSolo(t *testing.T) {
	key := func(n int) string {
		k, err := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{Touch: true, Application: "ssh:", Rand: seed(n)})
		if err != nil {
			t.Fatal(err)
		}
		return k.PublicKey()
	}
	roster := func(alice, bob string) *Roster {
		r, err := ParseRoster(fmt.Appendf(nil, "version: 1\npersons:\n  - id: alice\n    roles: [%s]\n    keys: [{key: %s}]\n  - id: bob\n    roles: [%s]\n    keys: [{key: %s}]\n", alice, key(1), bob, key(2)))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range []struct {
		name, alice, bob, solo, want string
	}{
		{"alone", "reviewer, root, operator", "operator, auditor", "alice", ""},
		{"beside a reviewer", "reviewer, root", "reviewer", "alice", `"bob" may review`},
		{"beside a root", "reviewer, root", "root", "alice", `"bob" may review`},
		{"no reviewer", "root", "operator", "alice", "no person with the role reviewer"},
		{"nobody", "reviewer", "operator", "eve", "no person with the role reviewer"},
		{"no name", "reviewer", "operator", "", "no person with the role reviewer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := roster(tt.alice, tt.bob)
			s, err := r.WithSolo(tt.solo)
			if tt.want != "" {
				if !errors.Is(err, ErrRoster) || !strings.Contains(err.Error(), tt.want) || s != nil {
					t.Errorf("got %v, %v, want %q", s, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range s.Keys() {
				want := sallyport.Declared
				if k.Person == "alice" {
					want = sallyport.Present
				}
				if got := k.Grade(true, now); got != want {
					t.Errorf("a touched key of %s: %q, want %q", k.Person, got, want)
				}
				if got := k.Grade(false, now); got != sallyport.Declared {
					t.Errorf("an untouched key of %s: %q", k.Person, got)
				}
			}
			for _, k := range r.Keys() {
				if got := k.Grade(true, now); got != sallyport.Declared {
					t.Errorf("the roster itself was changed: %s's key is %q", k.Person, got)
				}
			}
		})
	}
}

func TestPersonByLogin(t *testing.T) {
	r, err := ParseRoster([]byte("version: 1\npersons:\n  - id: alice\n    logins: {corp: Alice1, other: shared}\n  - id: bob\n    logins: {corp: bob1, other: Shared}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ forge, login, want string }{
		{"corp", "alice1", "alice"}, {"corp", "ALICE1", "alice"}, {"corp", "bob1", "bob"},
		{"other", "alice1", ""}, {"other", "shared", ""}, {"corp", "", ""}, {"corp", "alice", ""},
	} {
		p, ok := r.PersonByLogin(tt.forge, tt.login)
		if p.ID != tt.want || ok != (tt.want != "") {
			t.Errorf("%s at %s: %q, %v; want %q", tt.login, tt.forge, p.ID, ok, tt.want)
		}
	}
	if _, ok := (*Roster)(nil).PersonByLogin("corp", "alice1"); ok {
		t.Error("no roster knows somebody")
	}
}
