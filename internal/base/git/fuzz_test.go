package git

import (
	"encoding/hex"
	"os/exec"
	"strings"
	"testing"
)

// FuzzUnquote: what quoteAlternate writes reads back as it was, and a name that does not need
// quoting is itself.
func FuzzUnquote(f *testing.F) {
	for _, s := range []string{"plain", `"a\tb"`, `"\303\251"`, `"open`, `"\400"`, "#x", "a\nb", `"a"rest`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := Unquote(s); err == nil && !strings.HasPrefix(s, `"`) && name != s {
			t.Errorf("Unquote(%q) = %q", s, name)
		}
		q := quoteAlternate(s)
		if strings.ContainsAny(q, "\n\r") || strings.HasPrefix(q, "#") {
			t.Errorf("quoteAlternate(%q) = %q", s, q)
		}
		if name, err := Unquote(q); err != nil || name != s {
			t.Errorf("Unquote(%q) = %q, %v; want %q", q, name, err, s)
		}
	})
}

// FuzzParseTree: a tree that is read can be written again, byte for byte.
func FuzzParseTree(f *testing.F) {
	f.Add([]byte("100644 a\x00aaaaaaaaaaaaaaaaaaaa40000 d\x00bbbbbbbbbbbbbbbbbbbb"))
	f.Add([]byte("100644 \x00aaaaaaaaaaaaaaaaaaaa"))
	f.Add([]byte("100644 a/b\x00aaaaaaaaaaaaaaaaaaaa"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseTree(b, 20)
		if err != nil {
			return
		}
		var out []byte
		for _, e := range entries {
			if len(e.Mode) != 6 || len(e.OID) != 40 || e.Path == "" || strings.ContainsAny(e.Path, "/\x00") {
				t.Fatalf("entry %+v", e)
			}
			mode := e.Mode
			if strings.HasPrefix(string(b[len(out):]), mode[1:]+" ") {
				mode = mode[1:]
			}
			oid, err := hex.DecodeString(e.OID)
			if err != nil {
				t.Fatal(err)
			}
			out = append(append(append(out, mode+" "+e.Path...), 0), oid...)
		}
		if string(out) != string(b) {
			t.Errorf("read %q, wrote %q", b, out)
		}
	})
}

// FuzzFindPacked: what is found is an object id on a line that ends with the name.
func FuzzFindPacked(f *testing.F) {
	oid := strings.Repeat("a", 40)
	f.Add("# pack-refs with: peeled\n"+oid+" refs/heads/main\n^"+oid+"\n", "refs/heads/main")
	f.Add(oid+" refs/heads/main evil\n", "refs/heads/main")
	f.Add("garbage", "x")
	f.Fuzz(func(t *testing.T, text, name string) {
		got, err := findPacked(strings.NewReader(text), name, 40)
		if err != nil || got == "" {
			return
		}
		if len(got) != 40 || !isHex(got) || !strings.Contains(text, got+" "+name) {
			t.Errorf("findPacked = %q", got)
		}
	})
}

// FuzzParseAnswer: an answer with an object has a hexadecimal id and a size.
func FuzzParseAnswer(f *testing.F) {
	f.Add(strings.Repeat("a", 40) + " blob 12")
	f.Add("x missing")
	f.Add("x blob -1")
	f.Fuzz(func(t *testing.T, line string) {
		a, err := parseAnswer(line)
		if err == nil && a.state == "" && (!isHex(a.oid) || a.size < 0 || strings.Contains(a.kind, " ")) {
			t.Errorf("parseAnswer(%q) = %+v", line, a)
		}
	})
}

// FuzzValidRefName: a name that we accept is one that git accepts, and stays inside a folder.
func FuzzValidRefName(f *testing.F) {
	for _, s := range []string{"refs/heads/main", "refs/heads/../x", "refs//x", "refs/x.lock", "a@{b", "-x", "refs/heads/\x7f", "refs/heads/é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !validRefName(name) {
			return
		}
		if strings.Contains(name, "..") || strings.HasPrefix(name, "/") || strings.ContainsAny(name, "\x00\n\\") {
			t.Errorf("%q is accepted", name)
		}
	})
}

// The same against git itself, for names that people and attackers write.
func TestValidRefNameAgreesWithGit(t *testing.T) {
	for _, name := range []string{
		"refs/heads/main", "refs/heads/a.b", "refs/heads/.a", "refs/heads/a.", "refs/heads/a..b", "refs/heads/a.lock", "refs/heads/a.lock/b",
		"refs/heads/a b", "refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?", "refs/heads/a*", "refs/heads/a[", "refs/heads/a\\b",
		"refs/heads/@", "refs/heads/a@{b", "refs/heads/a@b", "refs//heads", "/refs/heads/a", "refs/heads/a/", "refs/heads/caf\xe9", "refs/heads/a\x01b",
	} {
		want := exec.Command("git", "check-ref-format", name).Run() == nil
		if got := validRefName(name); got != want {
			t.Errorf("validRefName(%q) = %v, git says %v", name, got, want)
		}
	}
}
