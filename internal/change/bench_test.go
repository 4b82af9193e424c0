package change

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// BenchmarkChange measures ranges of BENCH_REPO (any clone with a long history), or of a made
// one, beside "git log -p" over the same range, which is the floor.
func BenchmarkChange(b *testing.B) {
	dir := os.Getenv("BENCH_REPO")
	if dir == "" {
		dir = madeHistory(b, 3000)
	}
	for _, n := range []int{1, 20, 200, 2000} {
		r, err := git.Open(b.Context(), dir)
		if err != nil {
			b.Fatal(err)
		}
		head, err := r.Resolve(b.Context(), "HEAD")
		if err != nil {
			b.Fatal(err)
		}
		base, err := nthBefore(r, head, n, b)
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
		b.Run(fmt.Sprintf("commits=%d/cold", n), func(b *testing.B) {
			for b.Loop() {
				r, err := git.Open(b.Context(), dir)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := New(r, nil).Change(b.Context(), Request{Base: base, Head: head}); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
		b.Run(fmt.Sprintf("commits=%d/warm", n), func(b *testing.B) {
			cache := memory{}
			for b.Loop() {
				r, err := git.Open(b.Context(), dir)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := New(r, cache).Change(b.Context(), Request{Base: base, Head: head}); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
		b.Run(fmt.Sprintf("commits=%d/floor", n), func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command("git", "log", "-p", base+".."+head)
				cmd.Dir, cmd.Stdout = dir, io.Discard
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nthBefore returns the first commit along first parents that has at least n commits after it.
func nthBefore(r *git.Repo, head string, n int, tb testing.TB) (string, error) {
	out, err := r.Output(tb.Context(), 64<<20, nil, "rev-list", "--first-parent", head)
	if err != nil {
		return "", err
	}
	ids := strings.Fields(string(out))
	lo, hi := 0, len(ids)-1
	for lo < hi {
		mid := (lo + hi) / 2
		count, err := r.Output(tb.Context(), 1<<10, nil, "rev-list", "--count", ids[mid]+".."+head)
		if err != nil {
			return "", err
		}
		var have int
		fmt.Sscan(string(count), &have)
		if have < n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return ids[lo], nil
}

// madeHistory writes n commits, each with a new line in one of 100 files, by fast-import.
func madeHistory(tb testing.TB, n int) string {
	l := newLab(tb)
	var in strings.Builder
	for i := range n {
		text := fmt.Sprintf("commit %d\n%s", i, numbers(i%50+1))
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 2\nm\nM 644 inline f%d\ndata %d\n%s\n",
			1_700_000_000+i, i%100, len(text), text)
	}
	if out, err := l.try(in.String(), "fast-import", "--quiet"); err != nil {
		tb.Fatal(out)
	}
	return l.dir
}

// A tree of 100,000 files, and a change of a few of them and then of all.
func TestTreeOf100000Files(t *testing.T) {
	l := newLab(t)
	const files = 100_000
	var in strings.Builder
	in.WriteString("blob\nmark :1\ndata 2\nx\n\nblob\nmark :2\ndata 2\ny\n\n")
	write := func(message string, mark, from, to int) {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata %d\n%s\n", len(message), message)
		for i := from; i < to; i++ {
			fmt.Fprintf(&in, "M 644 :%d d%d/d%d/f%d\n", mark, i%97, i%89, i)
		}
	}
	write("base", 1, 0, files)
	write("a few", 2, 0, 5)
	write("all", 2, 0, files)
	if out, err := l.try(in.String(), "fast-import", "--quiet"); err != nil {
		t.Fatal(out)
	}
	base := l.git("rev-parse", "main~2")
	c := l.change(base, l.git("rev-parse", "main~1"))
	if len(c.Files) != 5 || len(c.Files[0].Units) != 2 {
		t.Errorf("a few: %v", shape(c.Files))
	}
	c = l.change(base, l.git("rev-parse", "main"))
	if len(c.Files) != files || fmt.Sprint(c.Files[files-1].Units[1].Commits) != "[1]" {
		t.Errorf("all: %d files", len(c.Files))
	}
}
