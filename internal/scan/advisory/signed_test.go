package advisory

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// TestSigned: of a source that was signed its signer says how old it is and what it covers, and a signature over
// anything else fails the import.
func TestSigned(t *testing.T) {
	files := map[string]string{"a.json": osv("A-1", "npm", "p", "introduced 0"), "b.json": osv("A-2", "PyPI", "q", "introduced 0")}
	from := zipped(t, files)
	src, err := Inspect(context.Background(), from, now)
	if err != nil {
		t.Fatal(err)
	}
	claim := Claim{AsOf: "2026-11-10T00:00:00Z", Covers: []string{"Go", "npm"}}
	st, err := claim.Statement("all.zip", src.Digest)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSigned(sallyport.Evidence{Statement: st}, []byte("bundle"))
	if err != nil {
		t.Fatal(err)
	}
	newer := s
	newer.Claim = Claim{AsOf: "2026-11-11T00:00:00Z"}
	p := filepath.Join(t.TempDir(), "a.db")
	for _, c := range []struct {
		name   string
		signed []Signed
		covers []string
		want   string // day, what it covers
	}{
		{"nobody", nil, []string{"PyPI"}, "11-19 PyPI"},
		{"signed", []Signed{s}, nil, "11-10 npm"},
		{"the newest word counts", []Signed{newer, s}, nil, "11-11 "},
		{"and the newest word, first or last", []Signed{s, newer}, nil, "11-11 "},
	} {
		meta, err := Import(context.Background(), p, []Origin{{Path: from, Covers: c.covers}}, now, c.signed...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := meta.Sources[0]
		if text := got.AsOf.Format("01-02 ") + strings.Join(got.Covers, " "); text != c.want {
			t.Errorf("%s: got %q, want %q", c.name, text, c.want)
		}
		if len(c.signed) > 0 && (string(got.Signature) != "bundle" || c.name == "signed" && !s.Holds(&got)) {
			t.Errorf("%s: the signature is not kept, or does not hold", c.name)
		}
		got.AsOf = got.AsOf.Add(time.Second)
		if s.Holds(&got) {
			t.Errorf("%s: a source of another age holds", c.name)
		}
	}
	// Whoever imports cannot say more than the signer does.
	if _, err := Import(context.Background(), p, []Origin{{Path: from, Covers: []string{"PyPI"}}}, now, s); err == nil || !strings.Contains(err.Error(), "a record of PyPI") {
		t.Errorf("covered by the bringer's word: %v", err)
	}
	files["a.json"] = osv("A-1", "npm", "p", "introduced 9")
	if _, err := Import(context.Background(), p, []Origin{{Path: zipped(t, files)}}, now, s); err == nil || !strings.Contains(err.Error(), "nothing that is imported is that") {
		t.Errorf("a signature over another source: %v", err)
	}
	two := st
	two.Subject = append(two.Subject, two.Subject[0])
	if _, err := ReadSigned(sallyport.Evidence{Statement: two}, nil); err == nil {
		t.Error("a statement about two sources is taken")
	}
	other := st
	other.PredicateType = "https://example.com/x"
	if _, err := ReadSigned(sallyport.Evidence{Statement: other}, nil); err == nil {
		t.Error("a statement of another type is taken")
	}
}

// FuzzClaim: what is read can be signed again, and says the same.
func FuzzClaim(f *testing.F) {
	f.Add([]byte(`{"as_of": "2026-11-10T00:00:00Z", "covers": ["Go", "npm"]}`))
	f.Add([]byte(`{"as_of": "2026-11-10T00:00:00.5Z", "covers": []}`))
	f.Add([]byte(`{"as_of": "0001-01-01T00:00:00Z", "covers": null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeClaim(b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("an error of more than a line: %q", err)
			}
			return
		}
		st, err := c.Statement("x", "sha256:"+sallyport.Digest(strings.Repeat("0", 64)))
		if err != nil {
			t.Fatalf("%+v cannot be signed: %v", c, err)
		}
		if again, err := DecodeClaim(st.Predicate); err != nil || again.AsOf != c.AsOf || len(again.Covers) != len(c.Covers) {
			t.Errorf("%+v is %+v (%v)", c, again, err)
		}
	})
}
