package git

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestIgnores holds the one list to git's own reading of the files, where both are of the commit.
func TestIgnores(t *testing.T) {
	dir := sample(t)
	for name, text := range map[string]string{
		".gitignore":           "*.o\n!keep.o\n/top\nbuild/\ndeep/er/x\n# comment\n\\#odd\n\\!odd\ntrail\\ \n",
		"sub/.gitignore":       "*.log\r\n!deep/keep.log\n/only\nin/*.txt\n",
		"sub/deep/.gitignore":  "\ufeff!x.o\nkeep.log\n**/far\n/near/\n",
		"a[b]*c/.gitignore":    "q?\n/r\n",
		"build.d/q/.gitignore": "*\n!.gitignore\n!yes\n",
	} {
		write(t, dir, name, text)
	}
	run(t, dir, "add", "-f", ".")
	run(t, dir, "commit", "-q", "-m", "rules")
	head := run(t, dir, "rev-parse", "HEAD")
	for _, name := range []string{
		"x.o", "keep.o", "top", "sub/top", "build/x", "sub/build/x", "deep/er/x", "sub/deep/er/x", "#odd", "!odd", "trail ", "trail",
		"sub/a.log", "a.log", "sub/deep/keep.log", "sub/deep/other.log", "sub/only", "sub/deep/only", "sub/in/a.txt", "sub/in/in/a.txt", "sub/deep/in/a.txt",
		"sub/deep/x.o", "sub/x.o", "sub/deep/far", "sub/deep/a/b/far", "sub/deep/near/x", "sub/deep/a/near/x", "a[b]*c/qq", "a[b]*c/d/qq", "a[b]*c/r", "a[b]*c/d/r",
		"abc/qq", "build.d/q/no", "build.d/q/yes", "build.d/q/a/yes", "build.d/no",
	} {
		write(t, dir, name, "x")
	}
	want := strings.Split(run(t, dir, "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"), "\x00")
	want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
	st, err := open(t, dir).CompareWorkTree(t.Context(), head)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range st.Files {
		if f.State == FileUntracked {
			got = append(got, f.Path)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(got) < 10 {
		t.Errorf("only %d files are told: the test compares little", len(got))
	}
}

// TestIgnoreOfNobody is about rules that no commit has: whoever writes one must not hide what is built with.
func TestIgnoreOfNobody(t *testing.T) {
	dir := sample(t)
	head := run(t, dir, "rev-parse", "HEAD")
	write(t, dir, "sub/.gitignore", "*\n")
	write(t, dir, "sub/evil.go", "package sub\n")
	st, err := open(t, dir).CompareWorkTree(t.Context(), head)
	if err != nil {
		t.Fatal(err)
	}
	if got := states(st); !slices.Equal(got, []string{"untracked sub/.gitignore", "untracked sub/evil.go"}) {
		t.Errorf("got %v", got)
	}
}

func TestIgnored(t *testing.T) {
	dir := sample(t)
	write(t, dir, ".gitignore", "out/\n*.tmp\n")
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-q", "-m", "rules")
	head := run(t, dir, "rev-parse", "HEAD")
	write(t, dir, ".gitignore", "dist/\n")
	write(t, dir, ".git/info/exclude", "dist/\n")
	r := open(t, dir)
	for name, want := range map[string]bool{"out": true, "sub/out": true, "out/deep": true, "x.tmp": true, "dist": false, "a.txt": false} {
		if got, err := r.Ignored(t.Context(), head, name); err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
	}
}

func FuzzIgnoreRules(f *testing.F) {
	for _, s := range []string{"*.o\n!x\n", "/a/b\n", "\\#\n", "a\\\n", "  \n", "!\n", "/\n", "a/ \r\n"} {
		f.Add("sub", []byte(s))
	}
	f.Fuzz(func(t *testing.T, dir string, content []byte) {
		var out bytes.Buffer
		ignoreRules(&out, dir, content)
		// What a folder says must not reach beyond it.
		for line := range strings.Lines(out.String()) {
			if dir != "." && !strings.HasPrefix(strings.TrimPrefix(line, "!"), "/") {
				t.Errorf("%q of %q is not tied to the folder", line, dir)
			}
		}
	})
}
