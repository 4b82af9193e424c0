package identity

import (
	"encoding/json"
	"strings"
	"testing"

	sallyport "github.com/sallyport-dev/sallyport"
)

// A table that came later knows an agent that the built-in one does not, and is the one that is used.
func TestParseMarkers(t *testing.T) {
	if m, err := ParseMarkers(markerData); err != nil || m.Digest != BuiltinMarkers() || m.Rules != 160 {
		t.Fatalf("the built-in table: %+v, %v", m, err)
	}
	rule := `{"agent":"robo","kind":"llm-agent","marker_type":"author_email","pattern":"^robo@robo\\.example$"}`
	for _, tt := range []struct{ name, text, want string }{
		{"one rule", "[" + rule + "]", ""},
		{"a pattern that does not compile", "[" + strings.Replace(rule, "^robo", "(robo", 1) + "]", "rule 0"},
		{"a pattern that is very long", "[" + strings.Replace(rule, "^robo", strings.Repeat("a", maxPattern), 1) + "]", "the limit is"},
		{"a pattern that would take for ever", "[" + strings.Replace(rule, "^robo", "(((a{900}){900}){900})", 1) + "]", "rule 0"},
		{"no agent", "[" + strings.Replace(rule, "llm-agent", "bot", 1) + "]", "names no agent"},
		{"nothing", "[]", "names no agent"},
		{"no list", "{}", "marker table"},
		{"a key twice", "[" + strings.Replace(rule, `{"agent"`, `{"agent":"x","agent"`, 1) + "]", "twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ParseMarkers([]byte(tt.text))
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || m != nil {
					t.Errorf("got %v, %v, want %q", m, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c := newCast(t)
			commit := c.commit(t, "Robo <robo@robo.example>", "x\n", "")
			if r := New(c.roster, now).Commit(commit); r.Attribution.Principal.Kind == sallyport.Agent {
				t.Errorf("the built-in table knows robo: %+v", r.Attribution)
			}
			if r := New(c.roster, now).Use(m).Commit(commit); r.Attribution.Principal != (sallyport.Principal{Kind: sallyport.Agent, Name: "robo"}) {
				t.Errorf("got %+v", r.Attribution)
			}
			if r := New(c.roster, now).Use(nil).Commit(commit); r.Attribution.Principal.Kind == sallyport.Agent {
				t.Errorf("no table is one: %+v", r.Attribution)
			}
		})
	}
}

// Whatever a table says, an unsigned commit is never a person's or a bot's.
func FuzzParseMarkers(f *testing.F) {
	var all []json.RawMessage
	if err := json.Unmarshal(markerData, &all); err != nil {
		f.Fatal(err)
	}
	few, err := json.Marshal(all[:5])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(few)
	f.Add([]byte(`[{"agent":"a","kind":"human-account","marker_type":"author_email","pattern":".*"},{"agent":"b","kind":"llm-agent","marker_type":"commit_trailer","pattern":"abcd"}]`))
	c := newCast(f)
	commit := c.commit(f, "Alice Example <alice@example.com>", "Fix\n\nCo-authored-by: X <x@y.example>\n", "")
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMarkers(b)
		if err != nil {
			return
		}
		a := New(c.roster, now).Use(m).Commit(commit).Attribution
		if a.Principal.Kind == sallyport.Bot || a.Principal.Kind == sallyport.Person && a.Grade != sallyport.Declared {
			t.Errorf("an unsigned commit is %+v by %s", a, b)
		}
	})
}
