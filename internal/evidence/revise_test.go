package evidence

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const twoKeys = `# Who may say what.
version: 1
keys:
  # The supervisor runs under another user.
  - name: supervisor # of the build host
    key: |
` + "      -----BEGIN PUBLIC KEY-----\n      MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n      -----END PUBLIC KEY-----\n" + `
    principal: {kind: workload, name: "the: host"}
    types: [https://example.com/test/v1, https://sallyport.dev/predicate/agent-run/v0.1]
    grade: observed
    not_after: 2027-06-30 # renew in May

  # Another.
  - name: other
    key: ` + trustSSH + `
    principal: {kind: bot, name: other}
    types:
      - https://example.com/test/v1
    grade: declared
identities:
  - name: job
    issuer: https://issuer.example.com
    subject: job@example.com
    principal: {kind: workload, name: job}
    types: [https://example.com/test/v1]
    grade: declared
`

// A revision changes what was asked for and no other line.
func TestRevise(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 5, time.UTC)
	day := func(y int) time.Time { return time.Date(y, 2, 3, 4, 5, 6, 7, time.UTC) }
	pem := strings.ReplaceAll(trustPEM, "9ECWmEz", "8ECWmEz")
	for _, tt := range []struct {
		name     string
		r        Revision
		from, to string
	}{
		{"revoke", Revision{Name: "supervisor", Revoke: &Revocation{at, Compromised}},
			"# of the build host\n", "# of the build host\n    revoked: {at: 2026-05-01T12:00:00Z, reason: compromised}\n"},
		{"revoke the second", Revision{Name: "other", Revoke: &Revocation{at, Retired}},
			"- name: other\n", "- name: other\n    revoked: {at: 2026-05-01T12:00:00Z, reason: retired}\n"},
		{"revoke an identity", Revision{Name: "job", Revoke: &Revocation{at, Superseded}},
			"- name: job\n", "- name: job\n    revoked: {at: 2026-05-01T12:00:00Z, reason: superseded}\n"},
		{"an earlier end", Revision{Name: "supervisor", Until: day(2027)}, "not_after: 2027-06-30 # renew", "not_after: 2027-02-03 # renew"},
		{"a later end changes nothing", Revision{Name: "supervisor", Until: day(2028)}, "", ""},
		{"an end", Revision{Name: "other", Until: day(2027)}, "- name: other\n", "- name: other\n    not_after: 2027-02-03\n"},
		{"a successor", Revision{Name: "supervisor", Until: day(2027), Successor: &Successor{"supervisor-2", pem, day(2026)}},
			"not_after: 2027-06-30 # renew in May\n", "not_after: 2027-02-03 # renew in May\n  - name: supervisor-2\n    key: |\n" +
				"      -----BEGIN PUBLIC KEY-----\n      MCowBQYDK2VwAyEAGb8ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n      -----END PUBLIC KEY-----\n" +
				"    principal: {kind: workload, name: \"the: host\"}\n    types:\n      - https://example.com/test/v1\n      - https://sallyport.dev/predicate/agent-run/v0.1\n    grade: observed\n    not_before: 2026-02-03\n"},
	} {
		got, err := Revise([]byte(twoKeys), tt.r)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if want := strings.Replace(twoKeys, tt.from, tt.to, 1); string(got) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, want)
		}
	}
}

// No revocation is taken back, and what has another shape is left alone.
func TestReviseRefuses(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	revoked, err := Revise([]byte(twoKeys), Revision{Name: "other", Revoke: &Revocation{at, Superseded}})
	if err != nil {
		t.Fatal(err)
	}
	harder, err := Revise(revoked, Revision{Name: "other", Revoke: &Revocation{at.Add(time.Hour), Compromised}})
	if err != nil || !strings.Contains(string(harder), "revoked: {at: 2026-05-01T12:00:00Z, reason: compromised}") || strings.Count(string(harder), "revoked") != 1 {
		t.Errorf("for compromise: %v\n%s", err, harder)
	}
	if _, err := Revise(revoked, Revision{Name: "other", Revoke: &Revocation{at.Add(-time.Hour), Superseded}}); err != nil {
		t.Errorf("from an earlier time: %v", err)
	}
	for name, tt := range map[string]struct {
		text string
		r    Revision
		want error
	}{
		"later":                  {string(revoked), Revision{Name: "other", Revoke: &Revocation{at.Add(time.Hour), Superseded}}, ErrRevision},
		"softer":                 {string(harder), Revision{Name: "other", Revoke: &Revocation{at.Add(-time.Hour), Retired}}, ErrRevision},
		"nobody":                 {twoKeys, Revision{Name: "nobody", Revoke: &Revocation{at, Retired}}, ErrNoSuchKey},
		"a flow entry":           {strings.Replace(twoKeys, "identities:\n  - name: job\n    issuer: https://issuer.example.com\n    subject: job@example.com\n    principal: {kind: workload, name: job}\n    types: [https://example.com/test/v1]\n    grade: declared\n", "identities: [{name: job, issuer: \"https://issuer.example.com\", subject: job@example.com, principal: {kind: workload, name: job}, types: [\"https://example.com/test/v1\"], grade: declared}]\n", 1), Revision{Name: "job", Revoke: &Revocation{at, Retired}}, ErrRevision},
		"a name that is taken":   {twoKeys, Revision{Name: "supervisor", Successor: &Successor{Name: "other", Public: trustPEM}}, ErrRevision},
		"the same key":           {twoKeys, Revision{Name: "supervisor", Successor: &Successor{Name: "next", Public: trustPEM}}, ErrRevision},
		"a broken file":          {"version: 2\n", Revision{Name: "x"}, nil},
		"a key that is injected": {twoKeys, Revision{Name: "supervisor", Successor: &Successor{Name: "x", Public: trustSSH + "\n  - name: evil\n"}}, ErrRevision},
	} {
		if got, err := Revise([]byte(tt.text), tt.r); err == nil || (tt.want != nil && !errors.Is(err, tt.want)) {
			t.Errorf("%s: %v, want %v\n%s", name, err, tt.want, got)
		}
	}
}

// Whatever the file looks like, a revision says exactly what was asked for, or fails.
func FuzzRevise(f *testing.F) {
	f.Add(twoKeys, "supervisor")
	f.Add(trustYAML(trustPEM), "runner")
	f.Fuzz(func(t *testing.T, text, name string) {
		at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		out, err := Revise([]byte(text), Revision{Name: name, Revoke: &Revocation{at, Compromised}})
		if err != nil {
			return
		}
		tr, err := ParseTrust(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range tr.Keys {
			if k.Name == name && (k.Revoked == nil || k.Revoked.Reason != Compromised) {
				t.Errorf("%q is not revoked", name)
			}
		}
	})
}
