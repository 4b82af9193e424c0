package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func file(t testing.TB, body string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(p, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func imported(t testing.TB, origins ...Origin) (*Index, string) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "names.db")
	if _, err := Import(context.Background(), p, origins, now); err != nil {
		t.Fatal(err)
	}
	x, err := Open(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x, p
}

func look(x *Index, typ, name string) string {
	a, err := x.Look(typ, name)
	switch {
	case errors.Is(err, ErrDamaged):
		return "damaged"
	case err != nil:
		return err.Error()
	case !a.Kept:
		return "not kept"
	case !a.Known:
		return "unknown"
	case a.First.IsZero():
		return "known"
	}
	return a.First.Format(time.DateOnly)
}

func TestForms(t *testing.T) {
	for _, body := range []string{
		"# names of npm\n\nleft-pad 2014-03-14\n@types/node\t2016-05-17T19:00:00Z\r\nreact\nreact\n",
		`["left-pad", "@types/node", "react"]`,
		"\n{\"left-pad\": \"2014-03-14\", \"@types/node\": \"2016-05-17\", \"react\": null}\n",
	} {
		x, _ := imported(t, Origin{Type: "npm", Path: file(t, body)}, Origin{Type: "pypi", Path: file(t, "zope.interface")})
		dated := !strings.HasPrefix(body, "[")
		for _, c := range []struct{ typ, name, want string }{
			{"npm", "left-pad", "2014-03-14"}, {"npm", "@types/node", "2016-05-17"}, {"npm", "react", "known"}, {"npm", "Left-Pad", "2014-03-14"},
			{"npm", "left-pads", "unknown"}, {"npm", "", "unknown"}, {"pypi", "left-pad", "unknown"}, {"pypi", "Zope_Interface", "known"}, {"cargo", "serde", "not kept"}, {"", "", "not kept"},
		} {
			want := c.want
			if !dated && strings.HasPrefix(want, "20") {
				want = "known"
			}
			if got := look(x, c.typ, c.name); got != want {
				t.Errorf("%.20q: %s %s: got %s, want %s", body, c.typ, c.name, got, want)
			}
		}
		e, _ := x.Meta().Ecosystem("npm")
		if e.Names != 3 || dated != (e.Dated == 2) || dated != (e.AsOf.Format(time.DateOnly) == "2016-05-17") || x.Meta().Names != 4 {
			t.Errorf("%.20q: got %+v", body, e)
		}
		if err := x.Verify(); err != nil {
			t.Error(err)
		}
	}
}

// TestPages: an index of many pages answers for each of its names, and for none between them.
func TestPages(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "name-%d\n", i)
	}
	x, _ := imported(t, Origin{Type: "npm", Path: file(t, b.String())})
	for i := range 3000 {
		if got := look(x, "npm", fmt.Sprint("name-", i)); got != "known" {
			t.Errorf("name-%d: %s", i, got)
		}
		if got := look(x, "npm", fmt.Sprint("other-", i)); got != "unknown" {
			t.Errorf("other-%d: %s", i, got)
		}
	}
}

// TestRefused: what cannot be read whole leaves the index as it was.
func TestRefused(t *testing.T) {
	_, p := imported(t, Origin{Type: "npm", Path: file(t, "react")})
	before, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, typ, body, want string }{
		{"nothing", "npm", "", "no names"},
		{"comments", "npm", "# a\n", "no names"},
		{"three words", "npm", "react\na b c\n", "line 2"},
		{"no day", "npm", "react yesterday", "is no day"},
		{"a day to come", "npm", "react 2036-01-01", "is no day on which"},
		{"a day before there were registries", "npm", "react 1970-01-01", "is no day on which"},
		{"hidden letters", "npm", "rea\u202ect", "no name"},
		{"a long name", "npm", strings.Repeat("a", maxName+1), "no name"},
		{"a long line", "npm", "react\n" + strings.Repeat("a", 4*maxName), "line 2"},
		{"half a list", "npm", `["react"`, "EOF"},
		{"two lists", "npm", `["react"]["vue"]`, "behind its JSON"},
		{"numbers", "npm", `["react", 1]`, "something else"},
		{"lists in a list", "npm", `[["react"]]`, "something else"},
		{"a number for a day", "npm", `{"react": 2014}`, "is no day"},
		{"another ecosystem", "deb", "curl", "no ecosystem"},
	} {
		_, err := Import(context.Background(), p, []Origin{{Type: c.typ, Path: file(t, c.body)}}, now)
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error about %q", c.name, err, c.want)
		}
	}
	good := file(t, "react")
	pin := sallyport.SHA256([]byte("react"))
	if _, err := Import(context.Background(), p, []Origin{{Type: "npm", Path: good, Pins: []sallyport.Digest{pin}}}, now); err != nil {
		t.Error(err)
	}
	if _, err := Import(context.Background(), p, []Origin{{Type: "npm", Path: file(t, "react\n"), Pins: []sallyport.Digest{pin}}}, now); !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), "not pinned") {
		t.Errorf("another file than the pinned one: %v", err)
	}
	if _, err := Import(context.Background(), p, []Origin{{Type: "npm", Path: good}, {Type: "npm", Path: good}}, now); !errors.Is(err, ErrSource) {
		t.Errorf("two files of one ecosystem: %v", err)
	}
	if after, err := os.ReadFile(p); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a refused import changed the index: %v", err)
	}
}

// TestDamage changes each byte of an index and cuts it at each place: the answer is as before or an error.
func TestDamage(t *testing.T) {
	_, p := imported(t, Origin{Type: "npm", Path: file(t, "react 2014-01-01\nvue\nleft-pad")})
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"react", "vue", "left-pad", "never"}
	try := func(what string, b []byte) {
		x, err := open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if x.Verify() == nil {
			t.Errorf("%s: Verify finds nothing", what)
		}
		for i, want := range []string{"2014-01-01", "known", "known", "unknown"} {
			if got := look(x, "npm", names[i]); got != want && got != "damaged" {
				t.Errorf("%s: %s: got %s, want %s or an error", what, names[i], got, want)
			}
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		try(fmt.Sprint("byte ", i), b)
		try(fmt.Sprint("cut at ", i), whole[:i])
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if _, err := open(strings.NewReader("SQLite format 3\x00"), 16); !errors.Is(err, ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
}

// FuzzNames: whatever is read of a file is found again, or the file is refused in one line.
func FuzzNames(f *testing.F) {
	f.Add([]byte("react 2014-01-01\nvue\n# x\n"))
	f.Add([]byte(`{"react": "2014-01-01", "vue": null}`))
	f.Add([]byte(`["react", "@types/node"]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := readNames(context.Background(), bytes.NewReader(b), "npm", now, 1000)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("an error of more than a line: %q", err)
			}
			return
		}
		for _, n := range names {
			if n.day != 0 && time.Unix(int64(n.day)*86400, 0).After(now.Add(48*time.Hour)) {
				t.Errorf("a day to come: %d", n.day)
			}
		}
	})
}

// FuzzIndex: whatever the file holds, no name is known that was not imported under its head.
func FuzzIndex(f *testing.F) {
	_, p := imported(f, Origin{Type: "npm", Path: file(f, "react\nvue")})
	whole, err := os.ReadFile(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, 0, byte(0))
	f.Add(whole, 30, byte(1))
	f.Add(whole, len(whole)-1, byte(255))
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		b = bytes.Clone(b)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		x, err := open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		got := look(x, "npm", "never")
		if bytes.HasPrefix(b, whole[:headSize]) && got != "unknown" && got != "damaged" {
			t.Errorf("got %q", got)
		}
	})
}
