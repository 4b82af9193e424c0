package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	sallyport "github.com/sallyport-dev/sallyport"
)

const alice = "Alice Example <alice@example.com>"

func TestSignatures(t *testing.T) {
	const trailer = "Fix\n\nCo-Authored-By: Claude <noreply@anthropic.com>"
	for _, tt := range []struct {
		name, author, message, key string
		change                     func(*sallyport.Commit)
		want                       string // kind:name at grade
		state                      string
		why                        string // a part of it
	}{
		{"touched and enrolled", alice, "Fix", "alice", nil, "person:alice at present", sallyport.SignatureGood, "touched"},
		{"another address of hers", "A <ALICE@home.example>", "Fix", "alice", nil, "person:alice at present", sallyport.SignatureGood, ""},
		{"her GitHub address", "A <123+alicehub@users.noreply.github.com>", "Fix", "alice", nil, "person:alice at present", sallyport.SignatureGood, ""},
		{"enrolled by nobody else", alice, "Fix", "alice-alone", nil, "person:alice at declared", sallyport.SignatureGood, "no second person"},
		{"not touched", alice, "Fix", "alice-untouched", nil, "person:alice at declared", sallyport.SignatureGood, "nobody touched it"},
		{"key expired yesterday", alice, "Fix", "alice-expired", nil, ": at ", sallyport.SignatureUnknownKey, "until 2026-11-22"},
		{"key expires today", alice, "Fix", "alice-today", nil, "person:alice at present", sallyport.SignatureGood, ""},
		{"unsigned", alice, "Fix", "", nil, ": at ", sallyport.SignatureNone, "says it is alice, unsigned"},
		{"stranger's key", alice, "Fix", "stranger", nil, ": at ", sallyport.SignatureUnknownKey, "does not hold"},
		{"signed by alice, authored by bob", "Bob <bob@example.com>", "Fix", "alice", nil, ": at ", sallyport.SignatureGood, "signed by alice, but the author is"},
		{"signed by alice, authored by a stranger", human, "Fix", "alice", nil, ": at ", sallyport.SignatureGood, "whom the roster does not know"},
		{"signed by alice, committed by bob", alice, "Fix", "alice",
			func(c *sallyport.Commit) { c.Committer = ident("Bob <bob@example.com>") }, ": at ", sallyport.SignatureGood, "the committer is"},
		{"committed by a forge", alice, "Fix", "alice",
			func(c *sallyport.Commit) { c.Committer = ident("GitHub <noreply@github.com>") }, "person:alice at present", sallyport.SignatureGood, ""},
		{"agent's trailer under her touched key", alice, trailer, "alice", nil, "agent:claude-code at declared", sallyport.SignatureGood, "a mark of claude-code"},
		{"her key, worm's address as co-author", alice, "Fix\n\nCo-authored-by: x <claude@users.noreply.github.com>", "alice", nil, ": at ", sallyport.SignatureGood, "attackers"},
		{"a recorder's trailer and no agent", alice, "Fix\n\nEntire-Session: 2026-01-01-abc", "alice", nil, ": at ", sallyport.SignatureGood, "records agents' sessions"},
		{"one byte changed", alice, "Fix", "alice",
			func(c *sallyport.Commit) { c.Signed = append(c.Signed, '.') }, ": at ", sallyport.SignatureBad, "does not verify"},
		{"signature is rubbish", alice, "Fix", "alice",
			func(c *sallyport.Commit) { c.Signature = []byte("rubbish") }, ": at ", sallyport.SignatureBad, "malformed"},
		{"OpenPGP, key that the roster does not hold", alice, "Fix", "alice",
			func(c *sallyport.Commit) { signOpenPGP(c) }, ": at ", sallyport.SignatureUnknownKey, "unknown key"},
		{"X.509, no authority configured", alice, "Fix", "alice",
			func(c *sallyport.Commit) { c.SignatureKind = "x509" }, ": at ", sallyport.SignatureUnsupported, "no certificate authority"},
		{"a kind that nobody knows", alice, "Fix", "alice",
			func(c *sallyport.Commit) { c.SignatureKind = "unknown" }, ": at ", sallyport.SignatureUnsupported, "of a kind"},
		{"bot under its key", "renovate[bot] <29139614+renovate[bot]@users.noreply.github.com>", "Bump", "renovate", nil, "bot:renovate at declared", sallyport.SignatureGood, "key of bot renovate"},
		{"bot unsigned", "renovate[bot] <29139614+renovate[bot]@users.noreply.github.com>", "Bump", "", nil, ": at ", sallyport.SignatureNone, "by a signature under its key"},
		{"bot's address under alice's key", "renovate[bot] <29139614+renovate[bot]@users.noreply.github.com>", "Bump", "alice", nil, ": at ", sallyport.SignatureGood, "signed by alice"},
		{"alice's address under the bot's key", alice, "Bump", "renovate", nil, ": at ", sallyport.SignatureGood, "signed by renovate"},
		{"bot that the roster does not know", "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>", "Bump", "", nil, ": at ", sallyport.SignatureNone, "says it is dependabot"},
		{"bot whose time has run out", "Old <oldbot@example.com>", "Bump", "oldbot", nil, ": at ", sallyport.SignatureUnknownKey, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCast(t)
			co := c.commit(t, tt.author, tt.message, tt.key)
			if tt.change != nil {
				tt.change(co)
			}
			r := c.Commit(co)
			a := r.Attribution
			if got := fmt.Sprintf("%s:%s at %s", a.Principal.Kind, a.Principal.Name, a.Grade); got != tt.want {
				t.Errorf("attributed to %q, want %q; why: %q", got, tt.want, a.Why)
			}
			if r.SignatureCheck.State != tt.state {
				t.Errorf("signature %+v, want state %q", r.SignatureCheck, tt.state)
			}
			if !strings.Contains(strings.Join(a.Why, "\n"), tt.why) || len(a.Why) == 0 {
				t.Errorf("why %q, want it to say %q", a.Why, tt.why)
			}
			bad := slices.ContainsFunc(r.Findings, func(f sallyport.Finding) bool { return f.Rule == ruleBadSignature })
			if bad != (tt.state == sallyport.SignatureBad) {
				t.Errorf("findings %+v with signature %s", r.Findings, r.SignatureCheck.State)
			}
			if r.SignatureCheck.State != sallyport.SignatureGood && (r.SignatureCheck.Person != "" || r.SignatureCheck.Grade != "") {
				t.Errorf("a signature that is not good names somebody: %+v", r.SignatureCheck)
			}
		})
	}
}

// A signature made for another purpose is not a commit's, whoever made it.
func TestSignatureOfAnotherNamespace(t *testing.T) {
	c := newCast(t)
	co := c.commit(t, alice, "Fix", "alice")
	sig, err := c.keys["alice"].Sign(t.Context(), "file", co.Signed)
	if err != nil {
		t.Fatal(err)
	}
	co.Signature = sig
	if r := c.Commit(co); r.SignatureCheck.State != sallyport.SignatureBad || r.Attribution.Principal.Kind != sallyport.Nobody {
		t.Errorf("got %+v, want a bad signature and nobody", r)
	}
}

func TestOperator(t *testing.T) {
	c := newCast(t)
	for _, tt := range []struct{ name, author, message, want string }{
		{"the agent's only operator", human, "Fix\n\nCo-Authored-By: Claude <noreply@anthropic.com>", "bob"},
		{"one of two, by authorship", alice, "Fix\n\nCo-Authored-By: House <agent@example.com>", "alice"},
		{"one of two, author unknown", human, "Fix\n\nCo-Authored-By: House <agent@example.com>", ""},
		{"agent not in the roster, author is", alice, "aider: fix", "alice"},
	} {
		if got := c.Commit(c.commit(t, tt.author, tt.message, "")).Attribution.Operator; got != tt.want {
			t.Errorf("%s: operator %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestClaimed(t *testing.T) {
	c := newCast(t)
	co := c.commit(t, "Jo <JO@example.org>", "Fix\n\nCo-authored-by: Bob <Bob@example.com>\nReviewed-by: X <x@example.org>\nSigned-off-by: Y <y@example.org>", "alice-expired")
	co.Committer = ident("GitHub <noreply@github.com>")
	co.Trailers = []sallyport.Trailer{{Key: "Co-authored-by", Value: "Folded\n <folded@example.org>"}}
	want := []string{"alice", "bob", "bob@example.com", "folded@example.org", "jo@example.org", "noreply@github.com"}
	if got := c.Commit(co).Claimed; !slices.Equal(got, want) {
		t.Errorf("claimed %q, want %q", got, want)
	}
}

func TestTextIsSafeToPrint(t *testing.T) {
	c := newCast(t)
	evil := "\x1b[2J\u202eEvil"
	co := c.commit(t, alice, "Fix\n\nAssisted-by: Claude "+evil+"\nCo-authored-by: "+evil+" <noreply@anthropic.com>", "")
	co.Author = sallyport.Ident{Name: evil, Email: "x\x07@example.com"}
	r := c.Commit(co)
	text := fmt.Sprint(r.Attribution.Why, r.Attribution.Model, r.SignatureCheck.Detail)
	for _, f := range r.Findings {
		text += f.Text
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || isBidi(r) }) {
		t.Errorf("control characters in %q", text)
	}
}

func TestManyMarksFewSentences(t *testing.T) {
	c := newCast(t)
	var b strings.Builder
	b.WriteString("Fix\n\n")
	for i := range 10000 {
		fmt.Fprintf(&b, "Co-Authored-By: Claude %d <noreply@anthropic.com>\n", i)
	}
	a := c.Commit(c.commit(t, alice, b.String(), "")).Attribution
	if len(a.Why) > maxWhy+1 || !strings.Contains(a.Why[len(a.Why)-1], "more marks") {
		t.Errorf("%d sentences, the last %q", len(a.Why), a.Why[len(a.Why)-1])
	}
}

// A message that is made to be slow is not: what is done grows with its length.
func TestHostileMessage(t *testing.T) {
	c := newCast(t)
	var b strings.Builder
	b.WriteString("İ\n\n") // folds to another length
	for i := range 20000 {
		fmt.Fprintf(&b, "Co-authored-by: Claude %d <noreply@anthropic.co>\nAssisted-by: M%d\n", i, i)
	}
	co := c.commit(t, alice, b.String(), "")
	for line := range strings.Lines(b.String()) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			co.Trailers = append(co.Trailers, sallyport.Trailer{Key: k, Value: v})
		}
	}
	r := c.Commit(co)
	if r.Attribution.Principal.Kind != sallyport.Agent || len(r.Findings) != maxFindings || len(r.Attribution.Why) > maxWhy+1 {
		t.Errorf("%+v with %d findings and %d sentences", r.Attribution.Principal, len(r.Findings), len(r.Attribution.Why))
	}
}

func TestEmptyRosterKnowsNobody(t *testing.T) {
	c := newCast(t)
	for _, r := range []*Roster{nil, {}} {
		id := New(r, now)
		got := id.Commit(c.commit(t, alice, "Fix", "alice"))
		if got.Attribution.Principal.Kind != sallyport.Nobody || got.SignatureCheck.State != sallyport.SignatureUnknownKey {
			t.Errorf("got %+v, want nobody with an unknown key", got)
		}
		if k := id.Commit(c.commit(t, "Claude <noreply@anthropic.com>", "Fix", "")).Attribution.Principal.Kind; k != sallyport.Agent {
			t.Errorf("an agent's commit is attributed to %q", k)
		}
	}
}

func TestUnit(t *testing.T) {
	c := newCast(t)
	at := func(k sallyport.PrincipalKind, name string, g sallyport.Grade) Result {
		return Result{Attribution: sallyport.Attribution{
			Principal: sallyport.Principal{Kind: k, Name: name}, Grade: g, Why: []string{"row"}}}
	}
	rs := []Result{
		at(sallyport.Person, "alice", sallyport.Present),       // 0
		at(sallyport.Person, "bob", sallyport.Declared),        // 1
		at(sallyport.Bot, "renovate", sallyport.Declared),      // 2
		at(sallyport.Nobody, "", ""),                           // 3
		at(sallyport.Agent, "claude-code", sallyport.Declared), // 4
		at(sallyport.Agent, "codex-cli", sallyport.Declared),   // 5, not approved
		at(sallyport.Bot, "gone", sallyport.Declared),          // 6, not in the roster
		at(sallyport.Workload, "ci", sallyport.Observed),       // 7
	}
	for _, tt := range []struct {
		name    string
		path    sallyport.Path
		commits []int
		want    string
	}{
		{"nothing accounts for it", "a.go", nil, ":"},
		{"a person", "a.go", []int{0}, "person:alice"},
		{"two persons, the lesser grade", "a.go", []int{0, 1}, "person:bob"},
		{"the same in the other order", "a.go", []int{1, 0}, "person:bob"},
		{"bot before person", "go.mod", []int{0, 2}, "bot:renovate"},
		{"bot in a deep folder of its scope", "web/app/package-lock.json", []int{2}, "bot:renovate"},
		{"bot outside its scope", "main.go", []int{2}, ":"},
		{"bot in a folder that its pattern does not name", "tools/go.mod", []int{2}, ":"},
		{"bot outside its scope beside a person", "main.go", []int{0, 2}, ":"},
		{"bot that left the roster", "go.mod", []int{6}, ":"},
		{"nobody before bot and person", "go.mod", []int{0, 2, 3}, ":"},
		{"agent before all", "go.mod", []int{0, 4, 2, 3}, "agent:claude-code"},
		{"the agent that is not approved", "a.go", []int{4, 5}, "agent:codex-cli"},
		{"a workload is nobody's equal", "a.go", []int{0, 7}, "workload:ci"},
		{"an index from nowhere", "a.go", []int{0, 99}, ":"},
		{"a negative index", "a.go", []int{-1}, ":"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.Unit(tt.path, sallyport.Unit{Commits: tt.commits}, rs)
			if got := string(a.Principal.Kind) + ":" + a.Principal.Name; got != tt.want {
				t.Errorf("got %q, want %q; why: %q", got, tt.want, a.Why)
			}
			if len(a.Why) == 0 {
				t.Error("no reason given")
			}
		})
	}
	u := sallyport.Unit{Commits: []int{0, 1, 4}}
	if n := testing.AllocsPerRun(100, func() { c.Unit("a.go", u, rs) }); n > 0 {
		t.Errorf("%v allocations for a unit, want none", n)
	}
}

// Ten thousand commits of the usual mixture: few marks, some co-authors, hundreds of people.
func BenchmarkCommit10k(b *testing.B) {
	c := newCast(b)
	body := strings.Repeat("A sentence about why the parser did what it did, with a link https://example.com/issues/1.\n", 6)
	commits := make([]sallyport.Commit, 10000)
	for i := range commits {
		co := &commits[i]
		co.Author = sallyport.Ident{Name: fmt.Sprintf("Person %d", i%700), Email: fmt.Sprintf("person%d@example.com", i%700)}
		co.Committer = sallyport.Ident{Name: "GitHub", Email: "noreply@github.com"}
		co.SignatureKind = "none"
		co.Message = fmt.Sprintf("Fix thing %d\n\n%s\nSigned-off-by: %s <%s>\n", i, body, co.Author.Name, co.Author.Email)
		switch i % 20 {
		case 0:
			co.Message += "Co-Authored-By: Claude Opus 4.6 <noreply@anthropic.com>\n"
		case 1:
			co.Message += fmt.Sprintf("Co-authored-by: Other %d <other%d@example.com>\n", i%90, i%90)
		case 2:
			co.Message += "Assisted-by: Claude:opus-4\n"
		}
		for line := range strings.Lines(co.Message[strings.Index(co.Message, "Signed-off"):]) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
			co.Trailers = append(co.Trailers, sallyport.Trailer{Key: k, Value: v})
		}
	}
	for b.Loop() {
		id := New(c.roster, now)
		for i := range commits {
			id.Commit(&commits[i])
		}
	}
}

func BenchmarkUnit(b *testing.B) {
	c := newCast(b)
	rs := []Result{{Attribution: sallyport.Attribution{Principal: sallyport.Principal{Kind: sallyport.Bot, Name: "renovate"}}}}
	u := sallyport.Unit{Commits: []int{0}}
	for b.Loop() {
		c.Unit("web/app/deep/er/package-lock.json", u, rs)
	}
}

func BenchmarkTable(b *testing.B) {
	for b.Loop() {
		if _, err := parseTable(markerData); err != nil {
			b.Fatal(err)
		}
	}
}
