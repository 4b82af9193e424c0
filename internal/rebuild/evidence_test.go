package rebuild

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

func rebuiltStatement(t testing.TB, equal bool) sallyport.Statement {
	t.Helper()
	d := func(c string) sallyport.Digest { return sallyport.Digest("sha256:" + strings.Repeat(c, 64)) }
	p := &Plan{Commit: commit, Builder: "https://ci.example.com/runner", Artifacts: []Artifact{{"a", d("a")}, {"b", d("b")}}}
	made := p.Artifacts
	if !equal {
		made = made[:1]
	}
	st, err := Statement(p, Judge(p, made), About{Provenance: d("f"), Level: OtherBuilder, Builder: "https://ci.example.org/second", Variations: []Variation{{VaryPath, true, "elsewhere"}}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestReadEvidence(t *testing.T) {
	ev, err := ReadEvidence(rebuiltStatement(t, true))
	if err != nil || !ev.Equal || ev.Level != OtherBuilder || ev.Builder != "https://ci.example.org/second" || ev.Provenance != sallyport.Digest("sha256:"+strings.Repeat("f", 64)) || len(ev.Variations) != 1 {
		t.Errorf("%+v, %v", ev, err)
	}
	if ev, err = ReadEvidence(rebuiltStatement(t, false)); err != nil || ev.Equal {
		t.Errorf("%+v, %v", ev, err)
	}
	tests := []struct {
		name, old, new string
		want           error
	}{
		{"tests of something else", Extension, "https://example.com/other", ErrType},
		{"failed test", `"failedTests":[]`, `"failedTests":["rebuild: b"]`, ErrShape},
		{"warned test", `"warnedTests":[]`, `"warnedTests":["rebuild: b"]`, ErrShape},
		{"warned", `"PASSED"`, `"WARNED"`, ErrShape},
		{"subject that was not tested", `"rebuild: b"`, `"rebuild: c"`, ErrShape},
		{"difference", `"artifacts":[]`, `"artifacts":[{"name":"a","outcome":"different"}]`, ErrShape},
		{"no level", `"other-builder"`, `""`, ErrShape},
		{"no other builder", "https://ci.example.org/second", "https://ci.example.com/runner", ErrShape},
		{"no provenance", `"name":"provenance"`, `"name":"other"`, ErrShape},
		{"key twice", `"result":"PASSED"`, `"result":"PASSED","Result":"FAILED"`, ErrShape},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := rebuiltStatement(t, true)
			if !strings.Contains(string(st.Predicate), tt.old) {
				t.Fatalf("no %s in %s", tt.old, st.Predicate)
			}
			st.Predicate = []byte(strings.ReplaceAll(string(st.Predicate), tt.old, tt.new))
			if ev, err := ReadEvidence(st); !errors.Is(err, tt.want) || ev.Equal {
				t.Errorf("%+v, %v, want %v", ev, err, tt.want)
			}
		})
	}
	st := rebuiltStatement(t, true)
	st.Subject = nil
	if _, err := ReadEvidence(st); !errors.Is(err, ErrShape) {
		t.Errorf("about nothing: %v", err)
	}
}

// FuzzReadEvidence: what counts as equal says passed, of a known level, and of a provenance.
func FuzzReadEvidence(f *testing.F) {
	st := rebuiltStatement(f, true)
	f.Add([]byte(st.Predicate))
	f.Add([]byte(rebuiltStatement(f, false).Predicate))
	f.Add([]byte(`{"result":"PASSED"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		st.Predicate = b
		ev, err := ReadEvidence(st)
		if err != nil && (ev.Equal || ev.Level != "") {
			t.Fatalf("%+v and %v", ev, err)
		}
		if ev.Equal && (ev.Provenance.Zero() || ev.Level == "" || !strings.Contains(string(b), "PASSED") && !strings.Contains(string(b), `\u`)) {
			t.Fatalf("%+v of %s", ev, b)
		}
	})
}
