package git

import (
	"errors"
	"strings"
	"testing"
)

// Each line has its commit and its number there, after a rename, under a name that git quotes, and
// with what is not committed on top.
func TestBlame(t *testing.T) {
	for _, format := range []string{SHA1, SHA256} {
		dir := t.TempDir()
		run(t, dir, "init", "-q", "-b", "main", "--object-format="+format)
		write(t, dir, "a.txt", "one\ntwo\nthree\n")
		run(t, dir, "add", ".")
		run(t, dir, "commit", "-q", "-m", "first")
		first := run(t, dir, "rev-parse", "HEAD")
		const name = "ä \"b\"\t.txt"
		run(t, dir, "mv", "a.txt", name)
		run(t, dir, "commit", "-q", "-m", "rename")
		write(t, dir, name, "zero\none\ntwo\nthree\n")
		run(t, dir, "commit", "-q", "-a", "-m", "second")
		second := run(t, dir, "rev-parse", "HEAD")
		r := open(t, dir)
		b, err := r.Blame(t.Context(), BlameRequest{Commit: second, Path: name, Content: []byte("zero\none\nby hand\nthree")})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range b.Lines {
			s := b.Sources[l.Source]
			got = append(got, strings.Join([]string{map[string]string{first: "first", second: "second", "": "-"}[s.Commit], s.Path, string(l.Text)}, "|"))
		}
		want := []string{"second|" + name + "|zero", "first|a.txt|one", "-|" + name + "|by hand", "-|" + name + "|three"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", format, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		part, err := r.Blame(t.Context(), BlameRequest{Commit: second, Path: name, From: 2, To: 3})
		if err != nil || len(part.Lines) != 2 || part.Lines[0].Number != 2 || part.Lines[0].Original != 1 {
			t.Errorf("%s: lines 2 to 3: %+v, %v", format, part, err)
		}
		if _, err := r.Blame(t.Context(), BlameRequest{Commit: "HEAD", Path: name}); !errors.Is(err, ErrRevision) {
			t.Errorf("%s: a name for a commit: %v", format, err)
		}
		if _, err := r.Blame(t.Context(), BlameRequest{Commit: second, Path: name, Content: make([]byte, MaxBlameText+1)}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: a large file: %v", format, err)
		}
	}
}

func FuzzReadBlame(f *testing.F) {
	const id = "0123456789abcdef0123456789abcdef01234567"
	f.Add(id + " 1 1 2\nauthor A\nprevious " + id + " \"a\\tb\"\nfilename a\n\tone\n" + id + " 2 2\n\ttwo\n")
	f.Add(id + " 1 1 1\nfilename a\n\t")
	f.Fuzz(func(t *testing.T, s string) {
		b := &Blame{}
		isOID := func(s string) bool { return len(s) == 40 && isHex(s) }
		if err := b.read(strings.NewReader(s), isOID); err != nil {
			return
		}
		for _, l := range b.Lines {
			if l.Source < 0 || l.Source >= len(b.Sources) || l.Number < 1 || l.Original < 1 {
				t.Errorf("line %+v of %d sources", l, len(b.Sources))
			}
			if src := b.Sources[l.Source]; !isOID(src.Commit) || src.Path == "" {
				t.Errorf("source %+v", src)
			}
		}
	})
}
