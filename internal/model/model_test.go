package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const repo = "example.org/acme/app"

// team is a context in which sam has the role security, rita the role reviewer and alice none.
func team() Context {
	return Context{Repository: repo, Now: now, Grades: []sallyport.Grade{sallyport.Present},
		Security: func(p string) bool { return p == "sam" || p == "sue" },
		Reviewer: func(p string) bool { return p == "rita" }}
}

// sonnet is an entry for an external endpoint.
func sonnet() predicate.ModelEntry {
	return predicate.ModelEntry{
		Provider: "anthropic", Name: "claude-sonnet-4", Snapshots: true, Licence: "LicenseRef-vendor-terms", Owner: "alice",
		Endpoints: []predicate.ModelEndpoint{{URL: "https://api.anthropic.com/v1", Kind: predicate.EndpointExternal}},
		Uses:      []string{"code"}, Principals: []string{"agent:claude-code", "person:alice"}, Repositories: []string{"example.org/acme/*"},
		NotBefore: "2026-01-01T00:00:00Z", Expires: "2027-01-01T00:00:00Z",
	}
}

// say is a person's verified word.
func say(t testing.TB, action predicate.ModelAction, who string, e predicate.ModelEntry, edit func(*predicate.ModelStatement, *sallyport.Evidence)) sallyport.Evidence {
	t.Helper()
	m := predicate.ModelStatement{Action: action, Who: who, Repository: repo, Entry: e, IssuedAt: "2026-11-20T12:00:00Z",
		Nonce: strings.Repeat("0", 32), Tool: predicate.Tool{Name: "sallyport", Version: "1"}}
	if action == predicate.ModelRevoke {
		m.Justification, m.IssuedAt = "it leaks", "2026-11-21T12:00:00Z"
	}
	ev := sallyport.Evidence{Signer: sallyport.Principal{Kind: sallyport.Person, Name: who}, Grade: sallyport.Present}
	if edit != nil {
		edit(&m, &ev)
	}
	body, err := sallyport.EncodeJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	ev.Attestation, ev.Payload = sallyport.SHA256(append(body, ev.Signer.Name...)), sallyport.SHA256(body)
	ev.Statement = sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.ModelType, Predicate: body,
		Subject: []sallyport.StatementSubject{{Digest: map[string]string{"sha256": sallyport.Digest(m.Entry.ID()).Hex()}}}}
	return ev
}

// approved is what makes an entry open: its author's word and the approval of sam.
func approved(t testing.TB, e predicate.ModelEntry) []sallyport.Evidence {
	return []sallyport.Evidence{say(t, predicate.ModelAdd, "alice", e, nil), say(t, predicate.ModelApprove, "sam", e, nil)}
}

func ask() Request {
	return Request{Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "claude-code"}, Repository: repo, Provider: "anthropic",
		Model: "claude-sonnet-4", Endpoint: "https://api.anthropic.com/v1/messages", Use: "code", Time: now}
}

func registry(t testing.TB, c Context, evidence []sallyport.Evidence, entries ...predicate.ModelEntry) *Registry {
	t.Helper()
	r, err := New(&File{Version: 1, Models: entries}, evidence, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each refusal differs from what is allowed in one thing.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		e    func(*predicate.ModelEntry)
		q    func(*Request)
		code string // empty: allowed
	}{
		{name: "as it should be"},
		{name: "another model", q: func(q *Request) { q.Model = "claude-opus-4" }, code: CodeUnknown},
		{name: "no model", q: func(q *Request) { q.Model = "" }, code: CodeUnknown},
		{name: "another provider", q: func(q *Request) { q.Provider = "openai" }, code: CodeUnknown},
		{name: "a snapshot", q: func(q *Request) { q.Model = "claude-sonnet-4-20250514" }},
		{name: "a snapshot where none is admitted", e: func(e *predicate.ModelEntry) { e.Snapshots = false }, q: func(q *Request) { q.Model = "claude-sonnet-4-20250514" }, code: CodeUnknown},
		{name: "the newest", e: func(e *predicate.ModelEntry) { e.Latest = true }, q: func(q *Request) { q.Model = "claude-sonnet-4-latest" }},
		{name: "the newest where it is not admitted", q: func(q *Request) { q.Model = "claude-sonnet-4-latest" }, code: CodeUnknown},
		{name: "its version", e: func(e *predicate.ModelEntry) { e.Snapshots, e.Version = false, "20250514" }, q: func(q *Request) { q.Model = "claude-sonnet-4-20250514" }},
		{name: "another version", e: func(e *predicate.ModelEntry) { e.Snapshots, e.Version = false, "20250514" }, q: func(q *Request) { q.Model = "claude-sonnet-4-20250515" }, code: CodeUnknown},
		{name: "no version where one is meant", e: func(e *predicate.ModelEntry) { e.Snapshots, e.Version = false, "20250514" }, code: CodeUnknown},
		{name: "an alias", e: func(e *predicate.ModelEntry) { e.Aliases = []string{"claude-sonnet-4-0"} }, q: func(q *Request) { q.Model = "claude-sonnet-4-0" }},
		{name: "a pattern", e: func(e *predicate.ModelEntry) { e.Patterns = []string{"claude-sonnet-4-x*"} }, q: func(q *Request) { q.Model = "claude-sonnet-4-x12" }},
		{name: "beyond a pattern", e: func(e *predicate.ModelEntry) { e.Patterns = []string{"claude-sonnet-4-x*"} }, q: func(q *Request) { q.Model = "claude-sonnet-4-x/12" }, code: CodeUnknown},
		{name: "before it may be used", q: func(q *Request) { q.Time = time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC) }, code: CodeNotYet},
		{name: "at the first moment", q: func(q *Request) { q.Time = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{name: "after it expired", q: func(q *Request) { q.Time = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }, code: CodeExpired},
		{name: "a second before it expires", q: func(q *Request) { q.Time = time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC) }},
		{name: "without a time", e: func(e *predicate.ModelEntry) { e.NotBefore = "2026-01-01T00:00:00Z" }, q: func(q *Request) { q.Time = time.Time{} }, code: CodeNotYet},
		{name: "no endpoint", q: func(q *Request) { q.Endpoint = "" }, code: CodeEndpointUnknown},
		{name: "another endpoint", q: func(q *Request) { q.Endpoint = "https://api.example.com/v1/messages" }, code: CodeEndpointUnknown},
		{name: "another agent", q: func(q *Request) { q.Principal.Name = "codex-cli" }, code: CodeNotForPrincipal},
		{name: "a person who is named as the agent is", q: func(q *Request) { q.Principal.Kind = sallyport.Person }, code: CodeNotForPrincipal},
		{name: "nobody", q: func(q *Request) { q.Principal = sallyport.Principal{} }, code: CodeNotForPrincipal},
		{name: "a person", q: func(q *Request) { q.Principal = sallyport.Principal{Kind: sallyport.Person, Name: "alice"} }},
		{name: "an operator", e: func(e *predicate.ModelEntry) { e.Principals = []string{"operator:bob"} }, q: func(q *Request) { q.Operator = "bob" }},
		{name: "no operator where any is meant", e: func(e *predicate.ModelEntry) { e.Principals = []string{"operator:*"} }, code: CodeNotForPrincipal},
		{name: "everybody", e: func(e *predicate.ModelEntry) { e.Principals = []string{"*"} }, q: func(q *Request) { q.Principal.Name = "codex-cli" }},
		{name: "another repository", q: func(q *Request) { q.Repository = "example.org/evil/app" }, code: CodeNotForRepository},
		{name: "a repository below", q: func(q *Request) { q.Repository = "example.org/acme/app/x" }, code: CodeNotForRepository},
		{name: "no repository", q: func(q *Request) { q.Repository = "" }, code: CodeNotForRepository},
		{name: "another use", q: func(q *Request) { q.Use = "review" }, code: CodeNotForUse},
		{name: "no use", q: func(q *Request) { q.Use = "" }, code: CodeNotForUse},
		{name: "any use", e: func(e *predicate.ModelEntry) { e.Uses = []string{"*"} }, q: func(q *Request) { q.Use = "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, q := sonnet(), ask()
			if tt.e != nil {
				tt.e(&e)
			}
			if tt.q != nil {
				tt.q(&q)
			}
			v := registry(t, team(), approved(t, e), e).Check(q)
			if v.Code != tt.code || v.Allowed != (tt.code == "") {
				t.Fatalf("got %+v, want code %q", v, tt.code)
			}
			if v.Allowed && v.Entry != sallyport.Digest(e.ID()) || !v.Allowed && v.Text == "" {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// What persons say decides whether an entry counts.
func TestWords(t *testing.T) {
	add, approve, revoke := predicate.ModelAdd, predicate.ModelApprove, predicate.ModelRevoke
	grade := func(g sallyport.Grade) func(*predicate.ModelStatement, *sallyport.Evidence) {
		return func(_ *predicate.ModelStatement, ev *sallyport.Evidence) { ev.Grade = g }
	}
	type word struct {
		action predicate.ModelAction
		who    string
		edit   func(*predicate.ModelStatement, *sallyport.Evidence)
	}
	for _, tt := range []struct {
		name  string
		words []word
		c     func(*Context)
		code  string
		why   string
	}{
		{name: "signed and approved", words: []word{{add, "alice", nil}, {approve, "sam", nil}}},
		{name: "nothing is said", code: CodeUnapproved, why: "nobody has signed"},
		{name: "not approved", words: []word{{add, "alice", nil}}, code: CodeUnapproved, why: "nobody has approved"},
		{name: "approved and not signed", words: []word{{approve, "sam", nil}}, code: CodeUnapproved, why: "nobody has signed"},
		{name: "approved by its author", words: []word{{add, "sam", nil}, {approve, "sam", nil}}, code: CodeUnapproved, why: "whoever signed the entry"},
		{name: "approved by one of two authors", words: []word{{add, "alice", nil}, {add, "sam", nil}, {approve, "sam", nil}}, code: CodeUnapproved, why: "whoever signed the entry"},
		{name: "approved by its owner", words: []word{{add, "bob", nil}, {approve, "alice", nil}}, c: func(c *Context) { c.Security = func(p string) bool { return p == "alice" } }, code: CodeUnapproved, why: "its owner"},
		{name: "a team of one", words: []word{{add, "alice", nil}, {approve, "alice", nil}}, c: func(c *Context) { c.Solo, c.Security = "alice", func(p string) bool { return p == "alice" } }},
		{name: "approved without a role", words: []word{{add, "alice", nil}, {approve, "bob", nil}}, code: CodeUnapproved, why: "neither the role"},
		{name: "approved by a reviewer alone", words: []word{{add, "alice", nil}, {approve, "rita", nil}}, code: CodeEndpointUnapproved, why: "nobody with the role security"},
		{name: "approved with an ordinary key", words: []word{{add, "alice", nil}, {approve, "sam", grade(sallyport.Declared)}}, code: CodeUnapproved, why: `at grade "declared"`},
		{name: "signed with an ordinary key", words: []word{{add, "alice", grade(sallyport.Declared)}, {approve, "sam", nil}}},
		{name: "an ordinary key where policy accepts it", words: []word{{add, "alice", nil}, {approve, "sam", grade(sallyport.Declared)}}, c: func(c *Context) { c.Grades = append(c.Grades, sallyport.Declared) }},
		{name: "approved by a workload", words: []word{{add, "alice", nil}, {approve, "sam", func(_ *predicate.ModelStatement, ev *sallyport.Evidence) { ev.Signer.Kind = sallyport.Workload }}}, code: CodeUnapproved, why: "not signed by a person"},
		{name: "approved in another's name", words: []word{{add, "alice", nil}, {approve, "sam", func(_ *predicate.ModelStatement, ev *sallyport.Evidence) { ev.Signer.Name = "sue" }}}, code: CodeUnapproved, why: `names "sam" and was signed by "sue"`},
		{name: "approved for another repository", words: []word{{add, "alice", nil}, {approve, "sam", func(m *predicate.ModelStatement, _ *sallyport.Evidence) { m.Repository = "example.org/acme/fork" }}}, code: CodeUnapproved, why: "registry of"},
		{name: "approved in the future", words: []word{{add, "alice", nil}, {approve, "sam", func(m *predicate.ModelStatement, _ *sallyport.Evidence) { m.IssuedAt = "2026-11-22T12:05:01Z" }}}, code: CodeUnapproved, why: "in the future"},
		{name: "an approval that ended", words: []word{{add, "alice", nil}, {approve, "sam", func(m *predicate.ModelStatement, _ *sallyport.Evidence) { m.ExpiresAt = "2026-11-22T12:00:00Z" }}}, code: CodeExpired, why: "the approval of"},
		{name: "an approval that ends in a second", words: []word{{add, "alice", nil}, {approve, "sam", func(m *predicate.ModelStatement, _ *sallyport.Evidence) { m.ExpiresAt = "2026-11-22T12:00:01Z" }}}},
		{name: "another entry was approved", words: []word{{add, "alice", nil}, {approve, "sam", func(m *predicate.ModelStatement, _ *sallyport.Evidence) { m.Entry.Notes = "x" }}}, code: CodeUnapproved, why: "nobody has approved"},
		{name: "another subject was signed", words: []word{{add, "alice", nil}, {approve, "sam", func(_ *predicate.ModelStatement, ev *sallyport.Evidence) {}}}},
		{name: "revoked by security", words: []word{{add, "alice", nil}, {approve, "sam", nil}, {revoke, "sue", nil}}, code: CodeRevoked, why: "it leaks"},
		{name: "revoked at any grade", words: []word{{add, "alice", nil}, {approve, "sam", nil}, {revoke, "sue", grade(sallyport.Declared)}}, code: CodeRevoked},
		{name: "revoked by its owner", words: []word{{add, "bob", nil}, {approve, "sam", nil}, {revoke, "alice", nil}}, code: CodeRevoked},
		{name: "revoked by its author", words: []word{{add, "bob", nil}, {approve, "sam", nil}, {revoke, "bob", nil}}, code: CodeRevoked},
		{name: "revoked by somebody", words: []word{{add, "alice", nil}, {approve, "sam", nil}, {revoke, "mallory", nil}}},
		{name: "revoked by somebody who had the role", words: []word{{add, "alice", nil}, {approve, "sam", nil}, {revoke, "mallory", nil}}, c: func(c *Context) { c.Stands = func(sallyport.Digest) bool { return true } }, code: CodeRevoked},
		{name: "approved again after it was revoked", words: []word{{add, "alice", nil}, {approve, "sam", func(m *predicate.ModelStatement, _ *sallyport.Evidence) { m.IssuedAt = "2026-11-22T00:00:00Z" }}, {revoke, "sue", nil}}, code: CodeRevoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var evidence []sallyport.Evidence
			for _, w := range tt.words {
				evidence = append(evidence, say(t, w.action, w.who, sonnet(), w.edit))
			}
			c := team()
			if tt.c != nil {
				tt.c(&c)
			}
			r := registry(t, c, evidence, sonnet())
			v := r.Check(ask())
			if v.Code != tt.code || v.Allowed != (tt.code == "") || !strings.Contains(v.Text, tt.why) {
				t.Errorf("got %+v, want code %q and %q", v, tt.code, tt.why)
			}
			if got := r.Entries(now)[0].State; (got == "approved") != (tt.code == "") {
				t.Errorf("it is listed as %s", got)
			}
		})
	}
}

// A reviewer's approval opens internal endpoints, and no external one beside them.
func TestInternal(t *testing.T) {
	e := sonnet()
	e.Endpoints = append(e.Endpoints, predicate.ModelEndpoint{URL: "http://127.0.0.1:8000", Kind: predicate.EndpointInternal})
	r := registry(t, team(), []sallyport.Evidence{say(t, predicate.ModelAdd, "alice", e, nil), say(t, predicate.ModelApprove, "rita", e, nil)}, e)
	q := ask()
	if v := r.Check(q); v.Code != CodeEndpointUnapproved {
		t.Errorf("external: %+v", v)
	}
	q.Endpoint = "http://127.0.0.1:8000/v1/messages"
	if v := r.Check(q); !v.Allowed {
		t.Errorf("internal: %+v", v)
	}
	if got := r.Entries(now)[0].State; got != "approved-internal" {
		t.Errorf("it is listed as %s", got)
	}
}

// A revocation holds where the file no longer lists what it ended, and whatever else would fit.
func TestRevokedForGood(t *testing.T) {
	old := sonnet()
	revoked := append(approved(t, old), say(t, predicate.ModelRevoke, "sue", old, nil))
	wide := sonnet()
	wide.Name, wide.Snapshots, wide.Patterns = "claude", false, []string{"claude-*"}
	renewed := sonnet()
	renewed.Notes = "reviewed again"
	late := func(m *predicate.ModelStatement, _ *sallyport.Evidence) { m.IssuedAt = "2026-11-22T00:00:00Z" }
	for _, tt := range []struct {
		name     string
		entries  []predicate.ModelEntry
		evidence []sallyport.Evidence
		model    string
		code     string
	}{
		{"the entry was taken out of the file", nil, nil, "", CodeRevoked},
		{"a pattern fits it too", []predicate.ModelEntry{wide}, approved(t, wide), "", CodeRevoked},
		{"a pattern fits its snapshots too", []predicate.ModelEntry{wide}, approved(t, wide), "claude-sonnet-4-20250514", CodeRevoked},
		{"the pattern fits another", []predicate.ModelEntry{wide}, approved(t, wide), "claude-opus-4", ""},
		{"the entry was edited", []predicate.ModelEntry{renewed}, approved(t, renewed), "", CodeRevoked},
		{"the edited entry was approved since", []predicate.ModelEntry{renewed}, []sallyport.Evidence{say(t, predicate.ModelAdd, "alice", renewed, nil), say(t, predicate.ModelApprove, "sam", renewed, late)}, "", ""},
		{"it was signed again and not approved since", []predicate.ModelEntry{renewed}, []sallyport.Evidence{say(t, predicate.ModelAdd, "alice", renewed, late), say(t, predicate.ModelApprove, "sam", renewed, nil)}, "", CodeRevoked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := registry(t, team(), slices.Concat(revoked, tt.evidence), tt.entries...)
			q := ask()
			if tt.model != "" {
				q.Model = tt.model
			}
			if v := r.Check(q); v.Code != tt.code || v.Allowed != (tt.code == "") {
				t.Errorf("got %+v, want %q", v, tt.code)
			}
		})
	}
}

// Somebody who signs another's words again does not make them unheard.
func TestCopiedWord(t *testing.T) {
	e := sonnet()
	forged := say(t, predicate.ModelApprove, "sam", e, func(_ *predicate.ModelStatement, ev *sallyport.Evidence) { ev.Signer.Name = "mallory" })
	for _, evidence := range [][]sallyport.Evidence{append([]sallyport.Evidence{forged}, approved(t, e)...), append(approved(t, e), forged)} {
		if v := registry(t, team(), evidence, e).Check(ask()); !v.Allowed {
			t.Errorf("got %+v", v)
		}
	}
}

func TestNothing(t *testing.T) {
	var none *Registry
	if v := none.Check(ask()); v.Allowed || v.Code != CodeUnknown {
		t.Errorf("got %+v", v)
	}
	if v := new(Registry).Check(ask()); v.Allowed || v.Code != CodeUnknown {
		t.Errorf("got %+v", v)
	}
	if v := (Verdict{}); v.Allowed {
		t.Error("the zero verdict allows")
	}
}

func BenchmarkCheck(b *testing.B) {
	var entries []predicate.ModelEntry
	var evidence []sallyport.Evidence
	for i := range 200 {
		e := sonnet()
		e.Name = fmt.Sprintf("claude-sonnet-%d", i)
		entries, evidence = append(entries, e), append(evidence, approved(b, e)...)
	}
	r := registry(b, team(), evidence, entries...)
	for name, model := range map[string]string{"exact": "claude-sonnet-4", "snapshot": "claude-sonnet-4-20250514", "unknown": "gpt-4o"} {
		b.Run(name, func(b *testing.B) {
			q := ask()
			q.Model = model
			b.ReportAllocs()
			for b.Loop() {
				r.Check(q)
			}
		})
	}
}
