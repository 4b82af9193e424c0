package change

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// checkHeld asks what base held at the path, and compares it with the blobs of these contents.
func checkHeld(l *lab, base, name string, contents ...string) {
	l.Helper()
	// Another path, in which nothing may get lost, a folder, and one that does not exist.
	held, err := l.differ(nil).Held(l.Context(), base, []sallyport.Path{"no such", "folder", sallyport.Path(name), "fixed"})
	if err != nil {
		l.Fatal(err)
	}
	blob := func(s string) string {
		out, err := l.try(s, "hash-object", "--stdin")
		if err != nil {
			l.Fatal(err)
		}
		return out
	}
	want := []string{}
	for _, c := range contents {
		want = append(want, blob(c))
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(held[sallyport.Path(name)])); !slices.Equal(got, want) {
		l.Errorf("%q held %v, want %v", name, got, want)
	}
	if !held["fixed"][blob("fixed\n")] || len(held["fixed"]) != 1 {
		l.Errorf("the other path: got %v", held["fixed"])
	}
	if held["no such"] != nil || held["folder"] != nil {
		l.Errorf("paths at which no file was held something: %v", held)
	}
}

func TestHeld(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		then       func(l *lab, p string) // after p held "1\n"
		want       []string
	}{
		{"only one", "f", func(*lab, string) {}, []string{"1\n"}},
		{"edited", "f", func(l *lab, p string) { l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"edited and set back", "f", func(l *lab, p string) { l.write(p, "2\n"); l.commit("2"); l.write(p, "1\n"); l.commit("1") }, []string{"1\n", "2\n"}},
		{"deleted", "d/f", func(l *lab, p string) { l.git("rm", "-q", p); l.commit("gone") }, []string{"1\n"}},
		{"renamed away", "f", func(l *lab, p string) { l.git("mv", p, "g"); l.write("g", "2\n"); l.commit("g") }, []string{"1\n"}},
		{"made executable", "f", func(l *lab, p string) { os.Chmod(filepath.Join(l.dir, p), 0o755); l.commit("x") }, []string{"1\n"}},
		{"became a symlink", "f", func(l *lab, p string) {
			os.Remove(filepath.Join(l.dir, p))
			os.Symlink("fixed", filepath.Join(l.dir, p))
			l.commit("link")
		}, []string{"1\n", "fixed"}},
		{"became a folder", "f", func(l *lab, p string) { os.Remove(filepath.Join(l.dir, p)); l.write(p+"/x", "x\n"); l.commit("folder") }, []string{"1\n"}},
		{"became a submodule", "f", func(l *lab, p string) {
			l.git("rm", "-q", p)
			l.git("update-index", "--add", "--cacheinfo", "160000,1111111111111111111111111111111111111111,"+p)
			l.git("commit", "-q", "-m", "sub")
		}, []string{"1\n"}},
		{"merged: only what the target held", "f", func(l *lab, p string) {
			l.git("switch", "-q", "-c", "side")
			l.write(p, "2\n")
			l.commit("2")
			l.write(p, "3\n")
			l.commit("3")
			l.git("switch", "-q", "main")
			l.git("merge", "-q", "--no-ff", "--no-edit", "side")
		}, []string{"1\n", "3\n"}},
		{"looks like a pattern", "[f]*", func(l *lab, p string) { l.write("ff", "other\n"); l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"looks like an option", "--all", func(l *lab, p string) { l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"looks like magic", ":(exclude)f", func(l *lab, p string) { l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"ends with a space", "f ", func(l *lab, p string) { l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"holds a line feed", "a\n--\nb", func(l *lab, p string) { l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"ends with a carriage return", "f\r", func(l *lab, p string) { l.write("f", "other\n"); l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"is not UTF-8", "\xff\xfe", func(l *lab, p string) { l.write(p, "2\n"); l.commit("2") }, []string{"1\n", "2\n"}},
		{"absolute", "/f", func(l *lab, p string) { l.write("f", "2\n"); l.commit("2") }, nil},
		{"outside", "../f", func(*lab, string) {}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.write("fixed", "fixed\n")
			l.write("folder/x", "x\n")
			l.write(tt.path, "1\n")
			l.commit("1")
			tt.then(l, tt.path)
			checkHeld(l, l.git("rev-parse", "HEAD"), tt.path, tt.want...)
		})
	}
}

// The bound is of commits, whether they touch the path or not.
func TestHeldBounds(t *testing.T) {
	l := newLab(t)
	l.write("fixed", "fixed\n")
	l.write("f", "1\n")
	l.commit("1")
	l.write("f", "2\n")
	base := l.commit("2")
	var in strings.Builder
	fmt.Fprintf(&in, "reset refs/heads/main\nfrom %s\n\n", base)
	for i := range MaxHeld {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 0\nM 644 inline n\ndata %d\n%05d\n", 1700000001+i, 5, i)
	}
	if out, err := l.try(in.String(), "fast-import", "--quiet"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tip := l.git("rev-parse", "main")
	checkHeld(l, l.git("rev-parse", "main~1"), "f", "1\n", "2\n")
	checkHeld(l, tip, "f", "2\n") // what is there now, and no more
}

func TestHeldManyPaths(t *testing.T) {
	l := newLab(t)
	l.write("f", "1\n")
	l.commit("1")
	l.write("f", "2\n")
	base := l.commit("2")
	paths := []sallyport.Path{"f"}
	for i := range maxPathspecs {
		paths = append(paths, sallyport.Path(fmt.Sprint("none/", i)))
	}
	held, err := l.differ(nil).Held(t.Context(), base, paths)
	if err != nil || len(held) != 1 || len(held["f"]) != 2 {
		t.Errorf("got %v, %v, want two blobs of one path", held, err)
	}
	if _, err := l.differ(nil).Held(t.Context(), "--all", paths); !errors.Is(err, ErrRequest) {
		t.Errorf("an option instead of an id: got %v, want ErrRequest", err)
	}
}

func FuzzReadHeld(f *testing.F) {
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	f.Add(":100644 100644 " + a + " " + b + " M\x00f\x00:000000 100644 " + a + " " + b + " A\x00a b\x00")
	f.Add(":100644 100644 " + a + " " + b + " M\x00")
	f.Fuzz(func(t *testing.T, in string) {
		// What is accepted is written back byte for byte.
		var back strings.Builder
		err := readHeld(strings.NewReader(in), func(s string) bool { return isOID(s, 40) }, func(e rawEntry) {
			fmt.Fprintf(&back, ":%s %s %s %s %c\x00%s\x00", e.oldMode, e.newMode, e.oldBlob, e.newBlob, e.status, e.path)
		})
		if err == nil && back.String() != in {
			t.Errorf("read %q as %q", in, back.String())
		}
	})
}
