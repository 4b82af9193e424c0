package exception

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func context() Context {
	return Context{
		Repository: "example.org/acme/app", TargetRef: "refs/heads/main", Now: now, Never: []string{"root-*", "declined"},
		Eligible:   func(p string) bool { return p == "sam" || p == "sue" },
		Ineligible: map[string]string{"sue": "operated claude-code"},
	}
}

// grant is an exception that counts.
func grant() predicate.Exception {
	return predicate.Exception{
		Action: predicate.ExceptionGrant, Who: "sam", Repository: "example.org/acme/app", TargetRefs: []string{"refs/heads/main"},
		Codes: []string{"secret"}, Scope: &predicate.ExceptionScope{Paths: []string{"testdata/**"}}, Justification: "published examples",
		IssuedAt: "2026-11-20T12:00:00Z", NotBefore: "2026-11-20T12:00:00Z", ExpiresAt: "2027-05-19T12:00:00Z", Nonce: strings.Repeat("0", 32),
		Tool: predicate.Tool{Name: "sallyport", Version: "1"},
	}
}

// evidence signs p, at grade present, by whom it names, unless edit says otherwise.
func evidence(t *testing.T, p predicate.Exception, edit func(*sallyport.Evidence)) sallyport.Evidence {
	t.Helper()
	body, err := sallyport.EncodeJSON(p)
	if err != nil {
		t.Fatal(err)
	}
	ev := sallyport.Evidence{
		Attestation: sallyport.SHA256(body),
		Statement: sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.ExceptionType, Predicate: body,
			Subject: []sallyport.StatementSubject{{Digest: map[string]string{"sha256": sallyport.Digest(predicate.ExceptionSubject(p.Repository)).Hex()}}}},
		Signer: sallyport.Principal{Kind: sallyport.Person, Name: p.Who}, Grade: sallyport.Present,
	}
	if edit != nil {
		edit(&ev)
	}
	return ev
}

// Each attack differs from the exception that counts in one thing.
func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    func(*predicate.Exception)
		ev   func(*sallyport.Evidence)
		c    func(*Context)
		why  string // empty: it counts
	}{
		{name: "as it should be"},
		{name: "another repository", p: func(p *predicate.Exception) { p.Repository = "example.org/acme/fork" }, why: "it is for repository"},
		{name: "another ref", p: func(p *predicate.Exception) { p.TargetRefs = []string{"refs/heads/dev"} }, why: "it is for refs/heads/dev"},
		{name: "one of several refs", p: func(p *predicate.Exception) { p.TargetRefs = []string{"refs/heads/dev", "refs/heads/main"} }},
		{name: "never ends", p: func(p *predicate.Exception) { p.ExpiresAt = "" }, why: "expiresAt is missing"},
		{name: "ends too late", p: func(p *predicate.Exception) { p.ExpiresAt = "2027-05-19T12:00:01Z" }, why: "more than 180 days"},
		{name: "longer than policy allows", c: func(c *Context) { c.MaxLife = 30 * 24 * time.Hour }, why: "the 30 days that policy allows"},
		{name: "as long as policy allows", c: func(c *Context) { c.MaxLife = 180 * 24 * time.Hour }},
		{name: "policy that allows more than the format", c: func(c *Context) { c.MaxLife = 10_000 * time.Hour }},
		{name: "reaches back", p: func(p *predicate.Exception) { p.NotBefore = "2026-11-19T12:00:00Z" }, why: "does not reach back"},
		{name: "issued in the future", p: func(p *predicate.Exception) {
			p.IssuedAt, p.NotBefore = "2026-11-22T12:05:01Z", "2026-11-22T12:05:01Z"
		}, why: "issued in the future"},
		{name: "issued by a clock that is ahead", p: func(p *predicate.Exception) {
			p.IssuedAt, p.NotBefore = "2026-11-22T12:05:00Z", "2026-11-22T12:05:00Z"
		}},
		{name: "not begun", p: func(p *predicate.Exception) { p.NotBefore = "2026-12-01T00:00:00Z" }, why: "it begins at"},
		{name: "expired", p: func(p *predicate.Exception) { p.ExpiresAt = "2026-11-22T12:00:00Z" }, why: "it expired"},
		{name: "a second before it expires", p: func(p *predicate.Exception) { p.ExpiresAt = "2026-11-22T12:00:01Z" }},
		{name: "a code that may never be excepted", p: func(p *predicate.Exception) { p.Codes = []string{"secret", "root-changed"} }, why: "root-changed may never be excepted"},
		{name: "a code like one that may never be", p: func(p *predicate.Exception) { p.Codes = []string{"secret", "declined-not"} }},
		{name: "a pattern that cannot be read", p: func(p *predicate.Exception) { p.Scope.Paths = []string{"[a]"} }, why: "are not allowed"},
		{name: "everything, for a code that is too wide for it", p: func(p *predicate.Exception) {
			p.Scope = &predicate.ExceptionScope{Everything: true}
		}, why: "secret cannot be excepted for everything"},
		{name: "everything, for who made it", p: func(p *predicate.Exception) {
			p.Codes, p.Scope = []string{"dependency-added", "attestation-missing"}, &predicate.ExceptionScope{Everything: true}
		}, why: "attestation-missing cannot be excepted for everything"},
		{name: "everything, for another code", p: func(p *predicate.Exception) {
			p.Codes, p.Scope = []string{"dependency-added"}, &predicate.ExceptionScope{Everything: true}
		}},
		{name: "a secret by its id alone", p: func(p *predicate.Exception) {
			p.Scope = &predicate.ExceptionScope{Findings: []string{"0123456789abcdef"}}
		}, why: "by the id of a finding alone"},
		{name: "a secret by its id and rule", p: func(p *predicate.Exception) {
			p.Scope = &predicate.ExceptionScope{Findings: []string{"0123456789abcdef"}, Rules: []string{"github-pat"}}
		}, why: "by the id of a finding alone"},
		{name: "a secret by its id and path", p: func(p *predicate.Exception) { p.Scope.Findings = []string{"0123456789abcdef"} }},
		{name: "another finding by its id", p: func(p *predicate.Exception) {
			p.Codes, p.Scope = []string{"finding"}, &predicate.ExceptionScope{Findings: []string{"0123456789abcdef"}}
		}},
		{name: "no scope", p: func(p *predicate.Exception) { p.Scope = nil }, why: "scope is missing"},
		{name: "without the role", p: func(p *predicate.Exception) { p.Who = "bob" }, why: "does not have the role security"},
		{name: "by the operator", p: func(p *predicate.Exception) { p.Who = "sue" }, why: "nobody excepts their own"},
		{name: "signed by another", ev: func(e *sallyport.Evidence) { e.Signer.Name = "mallory" }, why: "was signed by"},
		{name: "signed by a workload", ev: func(e *sallyport.Evidence) { e.Signer.Kind = sallyport.Workload }, why: "not signed by a person"},
		{name: "an ordinary key", ev: func(e *sallyport.Evidence) { e.Grade = sallyport.Declared }, why: "given at grade"},
		{name: "attested hardware", ev: func(e *sallyport.Evidence) { e.Grade = sallyport.Attested }},
		{name: "about a commit", ev: func(e *sallyport.Evidence) {
			e.Statement.Subject[0].Digest = map[string]string{"gitCommit": strings.Repeat("1", 40)}
		}, why: "no subject of the statement"},
		{name: "without a digest", ev: func(e *sallyport.Evidence) { e.Attestation = "" }, why: "no digest"},
		{name: "where nobody has the role", c: func(c *Context) { c.Eligible = nil }, why: "does not have the role"},
		{name: "another key of the predicate", ev: func(e *sallyport.Evidence) { e.Statement.Predicate = []byte(`[]`) }, why: "not an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, c := grant(), context()
			if tt.p != nil {
				tt.p(&p)
			}
			if tt.c != nil {
				tt.c(&c)
			}
			got := Judge([]sallyport.Evidence{evidence(t, p, tt.ev)}, c)
			if len(got) != 1 || got[0].Counts != (tt.why == "") || !strings.Contains(got[0].Why, tt.why) {
				t.Errorf("got %+v, want why %q", got, tt.why)
			}
		})
	}
}

func TestRevocations(t *testing.T) {
	granted := evidence(t, grant(), nil)
	revoke := func(who string, edit func(*predicate.Exception)) sallyport.Evidence {
		p := predicate.Exception{
			Action: predicate.ExceptionRevoke, Who: who, Repository: grant().Repository, Revokes: string(granted.Attestation),
			IssuedAt: "2026-11-21T00:00:00Z", Nonce: strings.Repeat("1", 32), Tool: grant().Tool,
		}
		if edit != nil {
			edit(&p)
		}
		ev := evidence(t, p, nil)
		ev.Grade = sallyport.Declared // it needs less proof
		return ev
	}
	for _, tt := range []struct {
		name    string
		r       sallyport.Evidence
		revoked bool
	}{
		{"by who granted it", revoke("sam", nil), true},
		{"by another with the role, who had a part in the change", revoke("sue", nil), true},
		{"by somebody without the role", revoke("bob", nil), false},
		{"of another exception", revoke("sam", func(p *predicate.Exception) { p.Revokes = "sha256:" + strings.Repeat("0", 64) }), false},
		{"in another repository", revoke("sam", func(p *predicate.Exception) { p.Repository = "example.org/acme/fork" }), false},
	} {
		for _, order := range [][]sallyport.Evidence{{granted, tt.r}, {tt.r, granted, granted}} {
			got := Judge(order, context())
			if len(got) != 1 || got[0].Counts == tt.revoked {
				t.Errorf("%s: %+v", tt.name, got)
			}
		}
	}
}

func TestAccept(t *testing.T) {
	x := Judge([]sallyport.Evidence{evidence(t, grant(), nil)}, context())
	narrow := grant()
	narrow.Codes = []string{"workflow"}
	narrow.Scope = &predicate.ExceptionScope{Rules: []string{"aws-key"}, Findings: []string{"f-1", "f-2"}}
	n := Judge([]sallyport.Evidence{evidence(t, narrow, nil)}, context())
	for _, tt := range []struct {
		name string
		x    []sallyport.Exception
		f    sallyport.Finding
		want string
	}{
		{"its path and kind", x, sallyport.Finding{Kind: sallyport.FindingSecret, Path: "testdata/k", State: "open"}, "accepted"},
		{"another path", x, sallyport.Finding{Kind: sallyport.FindingSecret, Path: "src/testdata/k", State: "open"}, "open"},
		{"another kind", x, sallyport.Finding{Kind: sallyport.FindingUnicode, Path: "testdata/k", State: "open"}, "open"},
		{"no path", x, sallyport.Finding{Kind: sallyport.FindingSecret, State: "open"}, "open"},
		{"no exception", nil, sallyport.Finding{Kind: sallyport.FindingSecret, Path: "testdata/k", State: "open"}, "open"},
		{"fixed already", x, sallyport.Finding{Kind: sallyport.FindingSecret, Path: "testdata/k", State: "fixed"}, "fixed"},
		{"its id and rule", n, sallyport.Finding{ID: "f-2", Rule: "aws-key", Kind: sallyport.FindingWorkflow, Path: "z", State: "open"}, "accepted"},
		{"its id, another rule", n, sallyport.Finding{ID: "f-2", Rule: "gh-token", Kind: sallyport.FindingWorkflow, State: "open"}, "open"},
		{"its rule, another id", n, sallyport.Finding{ID: "f-3", Rule: "aws-key", Kind: sallyport.FindingWorkflow, State: "open"}, "open"},
	} {
		got := Accept([]sallyport.Finding{tt.f}, tt.x)[0]
		if got.State != tt.want || (got.State == "accepted") != (got.AcceptedUntil == "2027-05-19T12:00:00Z" && !got.AcceptedBy.Zero()) {
			t.Errorf("%s: %+v, want %s", tt.name, got, tt.want)
		}
	}
}

// TestAcceptReleased: a word of the merge gate holds at a release for packages alone, and for what it is about.
func TestAcceptReleased(t *testing.T) {
	commit, file := sallyport.GitCommit(strings.Repeat("a", 40)), sallyport.SHA256([]byte("file"))
	for _, tt := range []struct {
		kind     sallyport.FindingKind
		subjects []string
		about    []sallyport.Digest
		want     string
	}{
		{sallyport.FindingVulnerability, nil, []sallyport.Digest{commit}, sallyport.FindingAccepted},
		{sallyport.FindingMalicious, nil, []sallyport.Digest{commit}, sallyport.FindingAccepted},
		{sallyport.FindingWorkflow, nil, []sallyport.Digest{commit}, sallyport.FindingOpen},
		{sallyport.FindingUnscanned, nil, []sallyport.Digest{commit}, sallyport.FindingOpen},
		{sallyport.FindingAdvisory, nil, []sallyport.Digest{commit}, sallyport.FindingOpen},
		{sallyport.FindingVulnerability, []string{string(file)}, []sallyport.Digest{commit}, sallyport.FindingOpen},
		{sallyport.FindingVulnerability, []string{string(file)}, []sallyport.Digest{commit, file}, sallyport.FindingAccepted},
		{sallyport.FindingVulnerability, []string{string(commit)}, []sallyport.Digest{commit, file}, sallyport.FindingAccepted},
	} {
		x := sallyport.Exception{Attestation: file, Codes: []string{tt.kind.Code()}, Everything: tt.subjects == nil, Subjects: tt.subjects, Counts: true}
		got := AcceptReleased([]sallyport.Finding{{Kind: tt.kind, State: sallyport.FindingOpen}}, []sallyport.Exception{x}, tt.about...)
		if got[0].State != tt.want {
			t.Errorf("%s for %q about %q: %s, want %s", tt.kind, tt.subjects, tt.about, got[0].State, tt.want)
		}
	}
}

// TestSubjects: an exception for a commit or a file is for no other, and one that names more than that asks for all.
func TestSubjects(t *testing.T) {
	commit, file, other := sallyport.GitCommit(strings.Repeat("a", 40)), sallyport.SHA256([]byte("file")), sallyport.SHA256([]byte("other"))
	for _, tt := range []struct {
		name string
		x    sallyport.Exception
		i    Item
		want bool
	}{
		{"its commit", sallyport.Exception{Subjects: []string{string(commit)}}, Item{Subjects: []sallyport.Digest{commit, ""}}, true},
		{"a file of its commit", sallyport.Exception{Subjects: []string{string(commit)}}, Item{Subjects: []sallyport.Digest{commit, file}}, true},
		{"its file", sallyport.Exception{Subjects: []string{string(file)}}, Item{Subjects: []sallyport.Digest{commit, file}}, true},
		{"another file", sallyport.Exception{Subjects: []string{string(file)}}, Item{Subjects: []sallyport.Digest{commit, other}}, false},
		{"nothing named", sallyport.Exception{Subjects: []string{string(file)}}, Item{Subjects: []sallyport.Digest{"", ""}}, false},
		{"an empty subject", sallyport.Exception{Subjects: []string{""}}, Item{Subjects: []sallyport.Digest{"", ""}}, false},
		{"its finding", sallyport.Exception{Subjects: []string{string(commit)}, Findings: []string{"f"}}, Item{Finding: "f", Subjects: []sallyport.Digest{commit}}, true},
		{"another finding", sallyport.Exception{Subjects: []string{string(commit)}, Findings: []string{"f"}}, Item{Finding: "g", Subjects: []sallyport.Digest{commit}}, false},
	} {
		tt.x.Counts, tt.x.Codes, tt.i.Code = true, []string{"source-differs"}, "source-differs"
		if got := Covers(tt.x, tt.i); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// What NewStatement writes is what Judge reads.
func TestNewStatement(t *testing.T) {
	p := grant()
	p.NotBefore, p.Nonce = "", ""
	st, err := NewStatement(p, now.Add(-time.Hour), "1")
	if err != nil {
		t.Fatal(err)
	}
	ev := evidence(t, grant(), func(e *sallyport.Evidence) { e.Statement = st })
	if got := Judge([]sallyport.Evidence{ev}, context()); len(got) != 1 || !got[0].Counts || got[0].NotBefore != "2026-11-22T11:00:00Z" {
		t.Errorf("%+v", got)
	}
	p.Scope = &predicate.ExceptionScope{Paths: []string{"a//b"}}
	if _, err := NewStatement(p, now, "1"); err == nil {
		t.Error("a pattern that cannot be read was written")
	}
}

// Every code that is about who made a change, or what it hides, takes a scope of its own.
func TestCheckScope(t *testing.T) {
	everything, path := &predicate.ExceptionScope{Everything: true}, &predicate.ExceptionScope{Paths: []string{"a"}}
	for _, code := range []string{"attestation-missing", "unattributed", "agent-not-approved", "secret", "unscanned", "hidden-unicode"} {
		if CheckScope([]string{"finding", code}, everything) == nil {
			t.Errorf("%s for everything is allowed", code)
		}
		if err := CheckScope([]string{"finding", code}, path); err != nil {
			t.Errorf("%s for a path: %v", code, err)
		}
	}
	release := &predicate.ExceptionScope{Subjects: []string{string(sallyport.GitCommit(strings.Repeat("a", 40)))}}
	for _, code := range released {
		if CheckScope([]string{code}, everything) == nil || CheckScope([]string{code}, path) == nil {
			t.Errorf("%s for no release in particular is allowed", code)
		}
		if err := CheckScope([]string{code}, release); err != nil {
			t.Errorf("%s for a commit: %v", code, err)
		}
	}
	file := &predicate.ExceptionScope{Subjects: []string{string(sallyport.SHA256(nil))}}
	if CheckScope([]string{"build-cache-shared"}, file) == nil {
		t.Error("a cache of the commit is allowed for a file")
	}
	if err := CheckScope([]string{"build-inputs-unknown", "release-vulnerability"}, file); err != nil {
		t.Errorf("for a file: %v", err)
	}
	if CheckScope([]string{"secret"}, release) == nil {
		t.Error("every secret of a commit is allowed")
	}
	if err := CheckScope([]string{"finding"}, everything); err != nil {
		t.Error(err)
	}
	if CheckScope([]string{"finding"}, nil) == nil {
		t.Error("no scope is allowed")
	}
}

// Whoever had the role when the revocation was logged need not have it now.
func TestRevokerLostRole(t *testing.T) {
	granted := evidence(t, grant(), nil)
	revocation := evidence(t, predicate.Exception{
		Action: predicate.ExceptionRevoke, Who: "bob", Repository: grant().Repository, Revokes: string(granted.Attestation),
		IssuedAt: "2026-11-21T00:00:00Z", Nonce: strings.Repeat("1", 32), Tool: grant().Tool,
	}, nil)
	for _, logged := range []sallyport.Digest{revocation.Attestation, granted.Attestation} {
		c := context()
		c.Stands = func(d sallyport.Digest) bool { return d == logged }
		if got := Judge([]sallyport.Evidence{granted, revocation}, c); len(got) != 1 || got[0].Counts == (logged == revocation.Attestation) {
			t.Errorf("logged %s: %+v", logged.Short(), got)
		}
	}
}

// A revocation names one bundle and takes back every other with the same signed content.
func TestRevokedContent(t *testing.T) {
	signed := func(name string, payload string) sallyport.Evidence {
		return evidence(t, grant(), func(ev *sallyport.Evidence) {
			ev.Attestation, ev.Payload = sallyport.SHA256([]byte(name)), sallyport.SHA256([]byte(payload))
		})
	}
	first, respelt, other := signed("bundle", "content"), signed("the same respelt", "content"), signed("another bundle", "other content")
	revocation := evidence(t, predicate.Exception{
		Action: predicate.ExceptionRevoke, Who: "sam", Repository: grant().Repository, Revokes: string(first.Attestation),
		IssuedAt: "2026-11-21T00:00:00Z", Nonce: strings.Repeat("1", 32), Tool: grant().Tool,
	}, nil)
	for _, x := range Judge([]sallyport.Evidence{respelt, other, revocation, first}, context()) {
		if want := x.Attestation == other.Attestation; x.Counts != want {
			t.Errorf("%s counts: %v, want %v (%s)", x.Attestation.Short(), x.Counts, want, x.Why)
		}
	}
}
