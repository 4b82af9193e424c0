package change

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Each row is what the target did after head was approved on base. Head replaces the fifth of
// nine lines and adds a file.
func TestLanded(t *testing.T) {
	edit := func(l *lab, line, to string) {
		l.Helper()
		l.write("f", strings.Replace(l.git("show", "HEAD:f")+"\n", line, to, 1))
	}
	squash := func(l *lab) {
		l.git("merge", "-q", "--squash", "topic")
		l.commit("squashed")
	}
	other := func(l *lab) {
		l.write("other", l.git("rev-parse", "HEAD"))
		l.commit("other")
	}
	for _, tt := range []struct {
		name string
		then func(l *lab)
		want bool
	}{
		{"nothing", func(*lab) {}, false},
		{"other commits", func(l *lab) { other(l); other(l) }, false},
		{"empty commit", func(l *lab) { l.commit("empty") }, false},
		{"squash", squash, true},
		{"squash onto a moved base", func(l *lab) { other(l); squash(l); other(l) }, true},
		{"squash onto another edit of the file", func(l *lab) { edit(l, "line 1\n", "one\n"); l.commit("one"); squash(l) }, true},
		{"squash, reverted", func(l *lab) { squash(l); other(l); l.git("revert", "--no-edit", "HEAD~1") }, true},
		{"merge commit", func(l *lab) { other(l); l.git("merge", "-q", "--no-edit", "topic") }, true},
		{"merge commit, reverted", func(l *lab) {
			other(l)
			l.git("merge", "-q", "--no-edit", "topic")
			l.git("revert", "--no-edit", "-m", "1", "HEAD")
		}, true},
		{"fast-forward, reset by a revert", func(l *lab) { l.git("merge", "-q", "--ff-only", "topic"); l.git("revert", "--no-edit", "HEAD") }, true},
		{"rebase of two commits, reverted", func(l *lab) {
			other(l)
			l.git("cherry-pick", "topic~1", "topic")
			l.git("revert", "--no-edit", "HEAD~1", "HEAD")
		}, true},
		{"with more beside it, reverted", func(l *lab) {
			l.git("merge", "-q", "--squash", "topic")
			l.write("more", "more\n")
			l.commit("squashed, and more")
			l.git("revert", "--no-edit", "HEAD")
		}, true},
		{"first of two commits only", func(l *lab) { l.git("cherry-pick", "topic~1") }, false},
		{"within a branch that was merged, and taken out there", func(l *lab) {
			l.git("switch", "-q", "-c", "side")
			squash(l)
			l.git("revert", "--no-edit", "HEAD")
			other(l)
			l.git("switch", "-q", "main")
			l.git("merge", "-q", "--no-ff", "--no-edit", "side")
		}, false},
		{"conflicting edit", func(l *lab) { edit(l, "line 5\n", "cinq\n"); l.commit("conflict") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.write("f", numbers(9))
			base := l.commit("base")
			l.git("switch", "-q", "-c", "topic")
			edit(l, "line 5\n", "five\n")
			l.commit("topic 1")
			l.write("new", "new\n")
			head := l.commit("topic 2")
			l.git("switch", "-q", "main")
			tt.then(l)
			got, err := l.differ(nil).Landed(t.Context(), base, l.git("rev-parse", "HEAD"), head)
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// What the base held when the approval was given was not approved to come back.
func TestLandedBefore(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(9))
	l.commit("base")
	l.git("switch", "-q", "-c", "topic")
	l.write("new", "new\n")
	head := l.commit("topic")
	l.git("switch", "-q", "main")
	l.git("merge", "-q", "--squash", "topic")
	base := l.commit("squashed")
	l.git("revert", "--no-edit", "HEAD")
	got, err := l.differ(nil).Landed(t.Context(), base, l.git("rev-parse", "HEAD"), head)
	if err != nil || !got {
		t.Errorf("got %v, %v, want true", got, err)
	}
}

func TestLandedBounds(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(9))
	base := l.commit("base")
	l.git("switch", "-q", "-c", "topic")
	l.write("new", "new\n")
	head := l.commit("topic")
	tree, tip := l.git("rev-parse", base+"^{tree}"), base
	tips := make([]string, 0, MaxLanded+1)
	for i := range MaxLanded + 1 {
		tip = l.git("commit-tree", tree, "-p", tip, "-m", fmt.Sprint(i))
		tips = append(tips, tip)
	}
	d := l.differ(nil)
	if got, err := d.Landed(t.Context(), base, tips[MaxLanded-1], head); err != nil || got {
		t.Errorf("at the bound: got %v, %v, want false", got, err)
	}
	if _, err := d.Landed(t.Context(), base, tip, head); !errors.Is(err, ErrTooLarge) {
		t.Errorf("past the bound: got %v, want ErrTooLarge", err)
	}
	if _, err := d.Landed(t.Context(), "main", tip, head); !errors.Is(err, ErrRequest) {
		t.Errorf("a name instead of an id: got %v, want ErrRequest", err)
	}
}
