package change

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// A lab is a real repository that a test builds with the real git.
type lab struct {
	testing.TB
	dir string
}

func newLab(t testing.TB, init ...string) *lab {
	t.Helper()
	l := &lab{t, t.TempDir()}
	l.git(append([]string{"init", "-q", "-b", "main"}, init...)...)
	return l
}

func (l *lab) try(stdin string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = l.dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=1700000000 +0000")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (l *lab) git(args ...string) string {
	l.Helper()
	out, err := l.try("", args...)
	if err != nil {
		l.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (l *lab) write(name, text string) {
	l.Helper()
	p := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
}

// commit records the work tree and returns the commit's id.
func (l *lab) commit(message string) string {
	l.Helper()
	l.git("add", "-A")
	l.git("commit", "-q", "--allow-empty", "-m", message)
	return l.git("rev-parse", "HEAD")
}

func (l *lab) differ(cache Cache) *Differ {
	l.Helper()
	r, err := git.Open(l.Context(), l.dir)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { r.Close() })
	return New(r, cache)
}

func (l *lab) change(base, head string) sallyport.Change {
	l.Helper()
	c, err := l.differ(nil).Change(l.Context(), Request{TargetRef: "refs/heads/main", Base: base, Head: head})
	if err != nil {
		l.Fatal(err)
	}
	return c
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i+1)
	}
	return b.String()
}

// shape is one line per unit: path, kind, side, place and commits.
func shape(files []sallyport.File) []string {
	out := []string{}
	for _, f := range files {
		for _, u := range f.Units {
			s := f.Path.String() + " " + string(u.Kind)
			if u.Kind == sallyport.UnitLines {
				s += fmt.Sprintf(" %s %d+%d", u.Side, u.Start, u.Lines)
			}
			out = append(out, s+" "+fmt.Sprint(u.Commits))
		}
	}
	return out
}

func checkShape(t testing.TB, files []sallyport.File, want ...string) {
	t.Helper()
	if got := shape(files); !slices.Equal(got, want) {
		t.Errorf("units:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestUnits(t *testing.T) {
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n"
	for _, tt := range []struct {
		name   string
		before func(l *lab)
		after  func(l *lab)
		want   []string
	}{
		{"line replaced", func(l *lab) { l.write("f", numbers(9)) },
			func(l *lab) { l.write("f", strings.Replace(numbers(9), "line 5\n", "five\n", 1)) },
			[]string{"f lines removed 5+1 [0]", "f lines added 5+1 [0]"}},
		{"file added", nil, func(l *lab) { l.write("new", "a\nb\n") }, []string{"new lines added 1+2 [0]"}},
		{"file deleted", func(l *lab) { l.write("old", "a\nb") }, func(l *lab) { l.git("rm", "-q", "old") },
			[]string{"old lines removed 1+2 [0]"}},
		{"last line feed removed", func(l *lab) { l.write("f", "a\n") }, func(l *lab) { l.write("f", "a") },
			[]string{"f lines removed 1+1 [0]", "f lines added 1+1 [0]"}},
		{"empty file added", nil, func(l *lab) { l.write("e", "") }, []string{"e file-added [0]"}},
		{"empty file deleted", func(l *lab) { l.write("e", "") }, func(l *lab) { l.git("rm", "-q", "e") },
			[]string{"e file-deleted [0]"}},
		{"mode", func(l *lab) { l.write("f", "a\n") }, func(l *lab) { l.git("update-index", "--chmod=+x", "f"); os.Chmod(filepath.Join(l.dir, "f"), 0o755) },
			[]string{"f mode [0]"}},
		{"mode and line", func(l *lab) { l.write("f", "a\n") }, func(l *lab) { l.write("f", "a\nb\n"); os.Chmod(filepath.Join(l.dir, "f"), 0o755) },
			[]string{"f mode [0]", "f lines added 2+1 [0]"}},
		{"exact rename", func(l *lab) { l.write("a/f", numbers(20)) }, func(l *lab) { os.Mkdir(filepath.Join(l.dir, "b"), 0o755); l.git("mv", "a/f", "b/f") },
			[]string{"b/f file-renamed [0]"}},
		{"rename with an edit", func(l *lab) { l.write("a", numbers(3)) }, func(l *lab) { l.git("mv", "a", "b"); l.write("b", numbers(4)) },
			[]string{"a lines removed 1+3 [0]", "b lines added 1+4 [0]"}},
		{"symlink added", nil, func(l *lab) { os.Symlink("/etc/passwd", filepath.Join(l.dir, "s")) }, []string{"s symlink [0]"}},
		{"symlink retargeted", func(l *lab) { os.Symlink("x", filepath.Join(l.dir, "s")) },
			func(l *lab) { os.Remove(filepath.Join(l.dir, "s")); os.Symlink("y", filepath.Join(l.dir, "s")) }, []string{"s symlink [0]"}},
		{"file becomes symlink", func(l *lab) { l.write("s", "a\nb\n") },
			func(l *lab) { os.Remove(filepath.Join(l.dir, "s")); os.Symlink("y", filepath.Join(l.dir, "s")) },
			[]string{"s symlink [0]", "s lines removed 1+2 [0]"}},
		{"symlink becomes file", func(l *lab) { os.Symlink("y", filepath.Join(l.dir, "s")) },
			func(l *lab) { os.Remove(filepath.Join(l.dir, "s")); l.write("s", "a\nb\n") },
			[]string{"s symlink [0]", "s lines added 1+2 [0]"}},
		{"submodule", nil, func(l *lab) {
			l.git("update-index", "--add", "--cacheinfo", "160000,1111111111111111111111111111111111111111,sub")
			os.Mkdir(filepath.Join(l.dir, "sub"), 0o755)
		}, []string{"sub submodule [0]"}},
		{"binary", func(l *lab) { l.write("b", "\x00one") }, func(l *lab) { l.write("b", "\x00two") }, []string{"b binary [0]"}},
		{"text becomes binary", func(l *lab) { l.write("b", "text\n") }, func(l *lab) { l.write("b", "\x00two") }, []string{"b binary [0]"}},
		{"LFS pointer added", nil, func(l *lab) { l.write("m", fmt.Sprintf(pointer, 1)) }, []string{"m lfs [0]"}},
		{"LFS pointer moved", func(l *lab) { l.write("m", fmt.Sprintf(pointer, 1)) }, func(l *lab) { l.write("m", fmt.Sprintf(pointer, 2)) },
			[]string{"m lfs [0]"}},
		{"text becomes an LFS pointer", func(l *lab) { l.write("m", "text\n") }, func(l *lab) { l.write("m", fmt.Sprintf(pointer, 2)) },
			[]string{"m lfs [0]", "m lines removed 1+1 [0]", "m lines added 1+3 [0]"}},
		{"script that begins like a pointer", nil, func(l *lab) { l.write("m", fmt.Sprintf(pointer, 1)+"rm -rf /\n") },
			[]string{"m lines added 1+4 [0]"}},
		{"name that is not UTF-8", nil, func(l *lab) { l.write("caf\xe9", "x\n") }, []string{`"caf\xe9" lines added 1+1 [0]`}},
		{"name with a line feed and quotes", nil, func(l *lab) { l.write("a\n\"b\" c\t\\", "x\n") },
			[]string{`"a\n\"b\" c\t\\" lines added 1+1 [0]`}},
		{"lines that look like diff headers", func(l *lab) { l.write("f", "-- a/f\n") },
			func(l *lab) { l.write("f", "++ b/f\ndiff --git a/x b/x\n@@ -1 +1 @@\n\\ No newline at end of file\n") },
			[]string{"f lines removed 1+1 [0]", "f lines added 1+4 [0]"}},
		{"one line of 30 MB", nil, func(l *lab) { l.write("f", strings.Repeat("x", 30<<20)) }, []string{"f binary [0]"}},
		{"one line of 2 MB", nil, func(l *lab) { l.write("f", "a\n"+strings.Repeat("x", 2<<20)+"\nb\n") }, []string{"f binary [0]"}},
		{"file of 50 MB", nil, func(l *lab) { l.write("f", strings.Repeat(strings.Repeat("y", 99)+"\n", 500_000)) }, []string{"f binary [0]"}},
		{"empty commit", nil, func(*lab) {}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.write("keep", "k\n")
			if tt.before != nil {
				tt.before(l)
			}
			base := l.commit("base")
			tt.after(l)
			head := l.commit("head")
			c := l.change(base, head)
			checkShape(t, c.Files, tt.want...)
			if c.MergeTree != c.HeadTree || len(c.Commits) != 1 || c.RefAction != ActionUpdate {
				t.Errorf("change = %+v", c)
			}
			for _, f := range c.Files {
				large := strings.Contains(tt.name, "MB")
				if f.Truncated != large {
					t.Errorf("%s: Truncated = %v", f.Path, f.Truncated)
				}
				if f.NewMode != modeNone && f.NewMode != modeSubmodule && fmt.Sprint(f.Size) != l.git("cat-file", "-s", f.NewBlob) {
					t.Errorf("%s: Size = %d", f.Path, f.Size)
				}
			}
		})
	}
}

func TestCommitsThatMadeAUnit(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(3))
	base := l.commit("base")
	l.write("f", "one\n"+numbers(3))
	l.commit("0: one line")
	l.write("f", "one\ntwo\nthree\n"+numbers(3))
	l.commit("1: two more")
	l.write("f", "one\ntwo\nthree\n"+numbers(2))
	l.write("g", "one\n")
	l.commit("2: a line removed, and the first line again in another file")
	l.write("f", "one\nthree\n"+numbers(2))
	l.commit("3: removed again")
	l.write("f", "one\ntwo\nthree\n"+numbers(2))
	head := l.commit("4: and back")
	checkShape(t, l.change(base, head).Files,
		"f lines added 1+1 [0]",
		"f lines added 2+1 [1 4]",
		"f lines added 3+1 [1]",
		"f lines removed 3+1 [2]",
		"g lines added 1+1 [2]")
}

// Whoever moves a file does not take the lines over: the commit that wrote them under the old
// name is named still.
func TestRenamesInTheRangeKeepTheirAuthors(t *testing.T) {
	l := newLab(t)
	l.write("keep", "k\n")
	base := l.commit("base")
	l.write("a", "planted\n"+numbers(9))
	l.commit("0: written")
	l.git("mv", "a", "b")
	l.commit("1: renamed as it is")
	l.git("mv", "b", "c")
	l.write("c", "planted\n"+numbers(9)+"end\n")
	head := l.commit("2: renamed with an edit")
	checkShape(t, l.change(base, head).Files, "c lines added 1+10 [0 1 2]", "c lines added 11+1 [2]")
}

func TestMerges(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(30))
	base := l.commit("base")
	l.git("checkout", "-q", "-b", "topic")
	l.write("f", strings.Replace(numbers(30), "line 5\n", "five\n", 1))
	l.commit("topic")
	l.git("checkout", "-q", "main")
	l.write("f", strings.Replace(numbers(30), "line 25\n", "twenty-five\n", 1))
	tip := l.commit("main moves on")
	l.git("checkout", "-q", "topic")
	topic := l.git("rev-parse", "topic")

	t.Run("diverged", func(t *testing.T) {
		c := l.change(tip, topic)
		checkShape(t, c.Files, "f lines removed 5+1 [0]", "f lines added 5+1 [0]")
		if c.MergeTree == c.HeadTree || c.MergeTree.Zero() {
			t.Errorf("MergeTree = %s, HeadTree = %s", c.MergeTree, c.HeadTree)
		}
	})
	t.Run("rewrite drops what the base had", func(t *testing.T) {
		c, err := l.differ(nil).Change(t.Context(), Request{TargetRef: "refs/heads/main", Action: ActionRewrite, Base: tip, Head: topic})
		if err != nil {
			t.Fatal(err)
		}
		checkShape(t, c.Files, "f lines removed 5+1 [0]", "f lines added 5+1 [0]", "f lines removed 25+1 [0]", "f lines added 25+1 [0]")
	})
	t.Run("creation holds head and nothing else", func(t *testing.T) {
		c, err := l.differ(nil).Change(t.Context(), Request{TargetRef: "refs/heads/new", Action: ActionCreate, Base: tip, Head: topic})
		if err != nil || c.MergeTree != c.HeadTree || c.MergeTree.Zero() {
			t.Errorf("MergeTree = %s, HeadTree = %s, %v", c.MergeTree, c.HeadTree, err)
		}
	})
	t.Run("clean merge is not evil and made nothing", func(t *testing.T) {
		l.git("checkout", "-q", "-B", "clean", topic)
		l.git("merge", "-q", "-m", "merge", "main")
		c := l.change(tip, l.git("rev-parse", "HEAD"))
		checkShape(t, c.Files, "f lines removed 5+1 [0]", "f lines added 5+1 [0]")
		if len(c.Commits) != 2 || c.Commits[1].Evil || len(c.Commits[1].Parents) != 2 {
			t.Errorf("commits = %+v", c.Commits)
		}
	})
	t.Run("evil merge", func(t *testing.T) {
		l.git("checkout", "-q", "-B", "evil", topic)
		l.git("merge", "-q", "--no-commit", "main")
		l.write("backdoor", "open\n")
		c := l.change(tip, l.commit("merge"))
		checkShape(t, c.Files, "backdoor lines added 1+1 [1]", "f lines removed 5+1 [0]", "f lines added 5+1 [0]")
		if !c.Commits[1].Evil {
			t.Error("the merge is not told as evil")
		}
	})
	t.Run("merge that drops the other side", func(t *testing.T) {
		l.git("checkout", "-q", "-B", "ours", topic)
		l.git("merge", "-q", "-s", "ours", "-m", "merge", "main")
		c := l.change(tip, l.git("rev-parse", "HEAD"))
		checkShape(t, c.Files, "f lines removed 5+1 [0]", "f lines added 5+1 [0]", "f lines removed 25+1 [1]", "f lines added 25+1 [1]")
	})
	t.Run("conflict", func(t *testing.T) {
		l.git("checkout", "-q", "-B", "clash", base)
		l.write("f", strings.Replace(numbers(30), "line 25\n", "clash\n", 1))
		clash := l.commit("clash")
		c := l.change(tip, clash)
		if !c.MergeTree.Zero() || !slices.Equal(c.Conflicts, []sallyport.Path{"f"}) || len(c.Files) != 0 || len(c.Commits) != 1 {
			t.Errorf("change = %+v", c)
		}
		// Resolved by hand: what differs from both sides is the merge's own.
		l.try("", "merge", "-q", "main")
		l.write("f", strings.Replace(numbers(30), "line 25\n", "clash\nresolved\n", 1))
		c = l.change(tip, l.commit("merge"))
		// Main's line is in the way of both: no commit removes it from all sides, so all are named.
		checkShape(t, c.Files, "f lines removed 25+1 [0 1]", "f lines added 25+1 [0]", "f lines added 26+1 [1]")
		if !c.Commits[1].Evil {
			t.Error("a merge resolved by hand is not told as evil")
		}
	})
	t.Run("octopus", func(t *testing.T) {
		for _, b := range []string{"o1", "o2", "o3"} {
			l.git("checkout", "-q", "-B", b, base)
			l.write(b, b+"\n")
			l.commit(b)
		}
		l.git("merge", "-q", "-m", "octopus", "o1", "o2")
		c := l.change(base, l.git("rev-parse", "HEAD"))
		if last := c.Commits[len(c.Commits)-1]; len(last.Parents) != 3 || last.Evil {
			t.Errorf("octopus = %+v", last)
		}
		if len(c.Files) != 3 || len(c.Files[0].Units[0].Commits) != 1 {
			t.Errorf("units = %v", shape(c.Files))
		}
		l.write("extra", "x\n")
		l.git("add", ".")
		l.git("commit", "-q", "--amend", "--no-edit")
		c = l.change(base, l.git("rev-parse", "HEAD"))
		if last := c.Commits[len(c.Commits)-1]; !last.Evil {
			t.Error("an evil octopus is not told")
		}
	})
	t.Run("unrelated histories", func(t *testing.T) {
		l.git("checkout", "-q", "--orphan", "other")
		l.git("rm", "-rfq", ".")
		l.write("alien", "x\n")
		other := l.commit("other")
		d := l.differ(nil)
		if _, err := d.Change(t.Context(), Request{Base: tip, Head: other}); !errors.Is(err, ErrUnrelated) {
			t.Errorf("Change: %v, want ErrUnrelated", err)
		}
		tree, conflicts, err := d.Replay(t.Context(), tip, other)
		if err != nil || tree == "" || len(conflicts) != 0 {
			t.Errorf("Replay = %q, %v, %v", tree, conflicts, err)
		}
		l.git("merge", "-q", "--allow-unrelated-histories", "-m", "both", "main")
		c := l.change(tip, l.git("rev-parse", "HEAD"))
		checkShape(t, c.Files, "alien lines added 1+1 [0]")
	})
}

func TestReplayAndResidue(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(30))
	base := l.commit("base")
	l.git("checkout", "-q", "-b", "topic")
	l.write("f", strings.Replace(numbers(30), "line 5\n", "five\n", 1))
	topic := l.commit("topic")
	l.git("checkout", "-q", "-b", "second", base)
	l.write("g", "g\n")
	second := l.commit("second")
	l.git("checkout", "-q", "main")
	l.write("f", strings.Replace(numbers(30), "line 25\n", "25\n", 1))
	tip := l.commit("main moves on")
	l.git("merge", "-q", "--squash", "topic")
	squash := l.commit("squash")
	l.git("merge", "-q", "--squash", "second")
	queue := l.commit("the next in the queue")
	l.write("f", strings.Replace(l.git("show", "HEAD:f")+"\n", "five\n", "five\nsmuggled\n", 1))
	smuggled := l.commit("one line more")

	d := l.differ(nil)
	ctx := t.Context()
	replay := func(onto string, heads ...string) string {
		t.Helper()
		tree, conflicts, err := d.Replay(ctx, onto, heads...)
		if err != nil || len(conflicts) > 0 {
			t.Fatalf("Replay: %v, %v", conflicts, err)
		}
		return tree
	}
	tree := func(c string) string { return l.git("rev-parse", c+"^{tree}") }
	if got := replay(tip, topic); got != tree(squash) {
		t.Errorf("replay of the squash = %s", got)
	}
	if got := replay(tip, topic, second); got != tree(queue) {
		t.Errorf("replay of the queue = %s", got)
	}
	if got := replay(base, topic); got != tree(topic) {
		t.Errorf("replay of a fast-forward = %s", got)
	}
	if got := replay(tip); got != tree(tip) {
		t.Errorf("replay of nothing = %s", got)
	}
	none, err := d.Residue(ctx, replay(tip, topic), squash)
	if err != nil || len(none) != 0 {
		t.Errorf("Residue of the exact squash = %v, %v", shape(none), err)
	}
	files, err := d.Residue(ctx, replay(tip, topic, second), smuggled)
	if err != nil {
		t.Fatal(err)
	}
	checkShape(t, files, "f lines added 6+1 []")

	ok, err := d.IsAncestor(ctx, base, tip)
	if !ok || err != nil {
		t.Errorf("IsAncestor(base, tip) = %v, %v", ok, err)
	}
	ok, err = d.IsAncestor(ctx, topic, tip)
	if ok || err != nil {
		t.Errorf("IsAncestor(topic, tip) = %v, %v", ok, err)
	}
	if mb, err := d.MergeBase(ctx, topic, tip); mb != base || err != nil {
		t.Errorf("MergeBase = %s, %v", mb, err)
	}
}

func TestActions(t *testing.T) {
	l := newLab(t)
	l.write("a", "a\n")
	base := l.commit("base")
	l.write("b", "b\n")
	head := l.commit("head")
	l.git("tag", "-a", "-m", "tag", "v1")
	tag := l.git("rev-parse", "v1")
	zero := strings.Repeat("0", 40)
	d := l.differ(nil)
	for _, tt := range []struct {
		name           string
		req            Request
		action         string
		commits, files int
		err            error
	}{
		{"create", Request{Head: head}, ActionCreate, 2, 2, nil},
		{"create, zeros", Request{Base: zero, Head: head}, ActionCreate, 2, 2, nil},
		{"create from a base", Request{Action: ActionCreate, Base: base, Head: head}, ActionCreate, 1, 1, nil},
		{"update", Request{Base: base, Head: head}, ActionUpdate, 1, 1, nil},
		{"nothing new", Request{Base: head, Head: head}, ActionUpdate, 0, 0, nil},
		{"tag", Request{Base: base, Head: tag}, ActionUpdate, 1, 1, nil},
		{"delete", Request{Base: base, Head: zero}, ActionDelete, 0, 0, nil},
		{"rewind", Request{Action: ActionRewrite, Base: head, Head: base}, ActionRewrite, 0, 1, nil},
		{"head is behind", Request{Base: head, Head: base}, ActionUpdate, 0, 0, nil},
		{"nothing at all", Request{}, "", 0, 0, ErrRequest},
		{"unknown action", Request{Action: "upsert", Base: base, Head: head}, "", 0, 0, ErrRequest},
		{"ref name", Request{Base: "main", Head: head}, "", 0, 0, ErrRequest},
		{"unknown head", Request{Base: base, Head: strings.Repeat("1", 40)}, "", 0, 0, git.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.TargetRef = "refs/heads/main"
			c, err := d.Change(t.Context(), tt.req)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if c.RefAction != tt.action || len(c.Commits) != tt.commits || len(c.Files) != tt.files {
				t.Errorf("action %q, %d commits, %d files", c.RefAction, len(c.Commits), len(c.Files))
			}
		})
	}
}

type memory map[string][]byte

func (m memory) Get(_ context.Context, key string) ([]byte, bool) { v, ok := m[key]; return v, ok }
func (m memory) Put(_ context.Context, key string, v []byte)      { m[key] = v }

func TestCache(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(30))
	base := l.commit("base")
	l.git("checkout", "-q", "-b", "topic")
	l.write("caf\xe9", "x\n")
	topic := l.commit("topic\n\nCo-authored-by: \xff <x@example.com>")
	l.git("checkout", "-q", "main")
	l.write("g", "g\n")
	tip := l.commit("main")
	cache := memory{}
	ask := func(d *Differ, base, head string) sallyport.Change {
		t.Helper()
		c, err := d.Change(t.Context(), Request{TargetRef: "refs/heads/main", Base: base, Head: head})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, from := range []string{base, tip} {
		clear(cache)
		cold := ask(l.differ(cache), from, topic)
		if len(cache) != 1 {
			t.Fatalf("%d cache entries", len(cache))
		}
		d := l.differ(cache)
		warm := ask(d, from, topic)
		if !reflect.DeepEqual(cold, warm) {
			t.Errorf("cold:\n%+v\nwarm:\n%+v", cold, warm)
		}
		if _, err := d.repo.Ls(t.Context(), warm.MergeTree.Hex(), ""); err != nil {
			t.Errorf("the merge tree of a cached change cannot be read: %v", err)
		}
		for key, v := range cache {
			for _, at := range []int{0, 40, len(v) / 2, len(v) - 1} {
				cache[key] = slices.Clone(v)
				cache[key][at] ^= 1
				if got := ask(l.differ(cache), from, topic); !reflect.DeepEqual(cold, got) {
					t.Errorf("a flipped bit at %d changed the answer", at)
				}
			}
			cache[key] = v[:len(v)/2]
			if got := ask(l.differ(cache), from, topic); !reflect.DeepEqual(cold, got) {
				t.Error("a cut-off entry changed the answer")
			}
		}
	}
	// An entry filed under another key is as good as none.
	clear(cache)
	ask(l.differ(cache), base, topic)
	for _, v := range cache {
		cache[cacheKey("sha1", true, tip, topic)] = v
	}
	if got := ask(l.differ(cache), tip, topic); got.MergeTree == got.HeadTree {
		t.Error("an entry under a wrong key was believed")
	}
}

func TestKindsOfRepository(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		l := newLab(t, "--object-format="+format)
		l.write("f", numbers(20))
		base := l.commit("base")
		l.git("checkout", "-q", "-b", "topic")
		l.write("f", numbers(21))
		topic := l.commit("topic")
		l.git("checkout", "-q", "main")
		l.write("g", "g\n")
		tip := l.commit("main")
		linked, bare := filepath.Join(t.TempDir(), "w"), filepath.Join(t.TempDir(), "b.git")
		l.git("worktree", "add", "-q", linked, "topic")
		l.git("clone", "-q", "--bare", l.dir, bare)
		for _, dir := range []string{l.dir, filepath.Join(l.dir, ".git"), linked, bare} {
			for _, from := range []string{base, tip} {
				c := (&lab{t, dir}).change(from, topic)
				checkShape(t, c.Files, "f lines added 21+1 [0]")
				if c.ObjectFormat != format {
					t.Errorf("ObjectFormat = %s", c.ObjectFormat)
				}
			}
		}
	}
}

func TestShallowClone(t *testing.T) {
	l := newLab(t)
	l.write("f", "1\n")
	base := l.commit("base")
	l.write("f", "2\n")
	head := l.commit("head")
	dir := filepath.Join(t.TempDir(), "shallow")
	l.git("clone", "-q", "--depth=1", "file://"+l.dir, dir)
	_, err := (&lab{t, dir}).differ(nil).Change(t.Context(), Request{TargetRef: "refs/heads/main", Base: base, Head: head})
	if !errors.Is(err, git.ErrShallow) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error = %v, want one line that wraps ErrShallow", err)
	}
}
