package identity

import (
	"slices"
	"strings"
	"testing"

	sallyport "github.com/sallyport-dev/sallyport"
)

const teamRoster = `version: 1
persons:
  - {id: alice, emails: [alice@example.com], logins: {github: Alice-H, gitlab: ali}, roles: [reviewer, security]}
  - {id: bob, emails: [bob@example.com], logins: {github: bobby, gitlab: alice-h}}
  - {id: carol, logins: {gitlab: carol}}
teams:
  acme/Platform: [alice, carol]
  ops: [bob]
`

func TestOwnersOfRoster(t *testing.T) {
	r, err := ParseRoster([]byte(teamRoster))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		forge, owner string
		want         string
	}{
		{"github", "@alice-h", "alice"},
		{"github", "@ALICE-H", "alice"},
		{"gitlab", "@alice-h", "bob"},
		{"", "@alice-h", ""}, // two people at two forges
		{"", "@bobby", "bob"},
		{"", "@carol", "carol"},
		{"github", "@carol", ""},
		{"github", "@acme/platform", "alice carol"},
		{"github", "@other/platform", ""},
		{"gitlab", "@ops", "bob"},
		{"github", "Bob@Example.com", "bob"},
		{"github", "nobody@example.com", ""},
		{"github", "bob", ""},
		{"gitlab", "@@maintainer", ""},
		{"github", "@", ""},
		{"github", "", ""},
	} {
		if got := strings.Join(r.Owners(tt.forge, tt.owner), " "); got != tt.want {
			t.Errorf("%s at %q: got %q, want %q", tt.owner, tt.forge, got, tt.want)
		}
	}
	if !slices.Equal(r.RolesOf("alice"), []string{"reviewer", "security"}) || !r.HasRole("alice", RoleSecurity) || len(r.RolesOf("x")) != 0 {
		t.Errorf("roles %q", r.RolesOf("alice"))
	}
	var none *Roster
	if none.Owners("github", "@a") != nil || len(none.RolesOf("a")) != 0 {
		t.Error("no roster knows somebody")
	}
	for in, want := range map[string]string{
		"teams: {a b: [alice]}":           "want a name",
		"teams: {'@a': [alice]}":          "want a name",
		"teams: {a: []}":                  "0 persons",
		"teams: {a: [mallory]}":           "not a person",
		"teams: {a: [alice, alice]}":      "stands twice",
		"teams: {a: [alice], A: [alice]}": "stands twice",
		"teams: {GitAlice: [alice]}":      "called like a login",
	} {
		_, err := ParseRoster([]byte("version: 1\npersons: [{id: alice, logins: {github: gitalice}}]\n" + in + "\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error that says %s", in, err, want)
		}
	}
}

func TestDisclosed(t *testing.T) {
	id := New(nil, now)
	for _, tt := range []struct {
		name     string
		trailers []sallyport.Trailer
		message  string
		want     string
	}{
		{"the agent's own trailer", []sallyport.Trailer{{Key: "Co-Authored-By", Value: "Claude <noreply@anthropic.com>"}}, "", "claude-code"},
		{"in another spelling", []sallyport.Trailer{{Key: "co-authored-by", Value: "Claude Opus 4.6 <noreply@anthropic.com>"}}, "", "claude-code"},
		{"assisted by", []sallyport.Trailer{{Key: "Assisted-by", Value: "Claude:claude-opus-4"}}, "", "claude-code"},
		{"a person", []sallyport.Trailer{{Key: "Co-authored-by", Value: "Claude Monet <claude@example.com>"}}, "", ""},
		{"a trailer that discloses nothing", []sallyport.Trailer{{Key: "Reviewed-by", Value: "Claude <noreply@anthropic.com>"}}, "", ""},
		{"in the text of the message", nil, "x\n\nGenerated with [Claude Code](https://claude.com/claude-code)\n", ""},
	} {
		got := strings.Join(id.Disclosed(&sallyport.Commit{Message: tt.message, Trailers: tt.trailers}), " ")
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
