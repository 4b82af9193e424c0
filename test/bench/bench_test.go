//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// synthetic makes a small repository and returns a bench that reads it.
func synthetic(t *testing.T, commits int) *bench {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: t.TempDir(), git: git}
	b.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1"}
	repo := filepath.Join(b.dir, "repo.git")
	if err := b.synthesize(t.Context(), repo, commits); err != nil {
		t.Fatal(err)
	}
	b.repo = repo
	return b
}

// TestSynthetic makes the repository twice: figures of two days compare only if it is the same.
func TestSynthetic(t *testing.T) {
	b, again := synthetic(t, 120), synthetic(t, 120)
	head, total, err := b.history(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if total < 120 {
		t.Errorf("got %d commits, want 120 or a few more", total)
	}
	if other, _, err := again.history(t.Context()); err != nil || other != head {
		t.Errorf("the second one ends at %s (%v), the first at %s", other, err, head)
	}
	if merges, err := b.output(t.Context(), "rev-list", "--count", "--merges", head); err != nil || merges == "0" {
		t.Errorf("got %s merges (%v), want some", merges, err)
	}
}

// TestBase holds the range found to a search of all of them.
func TestBase(t *testing.T) {
	b := synthetic(t, 90)
	ctx := t.Context()
	head, total, err := b.history(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 2, 7, 20, 50, total + 100} {
		best := total
		for d := 1; ; d++ {
			c, err := b.count(ctx, head+"~"+strconv.Itoa(d)+".."+head)
			if err != nil {
				break // the root has no parent
			}
			if abs(c-want) < abs(best-want) || best == total {
				best = c
			}
		}
		_, got, err := b.base(ctx, head, want)
		if err != nil {
			t.Fatal(err)
		}
		if abs(got-want) != abs(best-want) {
			t.Errorf("about %d commits: got %d, and %d is closer", want, got, best)
		}
	}
}

func abs(n int) int { return max(n, -n) }

func TestMedian(t *testing.T) {
	for _, row := range []struct {
		name string
		in   []time.Duration
		want time.Duration
	}{
		{"none", nil, 0}, {"one", []time.Duration{3}, 3}, {"two", []time.Duration{9, 3}, 6}, {"three", []time.Duration{9, 1, 2}, 2},
	} {
		if got := median(row.in); got != row.want {
			t.Errorf("%s: got %d, want %d", row.name, got, row.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	m, err := b.measure(t.Context(), []string{sh, "-c", "exit 3"}, 2, 3)
	if err != nil || m.status != 3 || m.wall <= 0 || m.tree <= 0 {
		t.Errorf("got %+v, %v", m, err)
	}
	if _, err := b.measure(t.Context(), []string{sh, "-c", "exit 1"}, verdicts...); err == nil {
		t.Error("status 1 is no verdict, and was measured as one")
	}
}
