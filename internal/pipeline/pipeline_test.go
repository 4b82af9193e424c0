package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func pass(context.Context) (Outcome, error) { return Outcome{State: Passed}, nil }

func states(rs []Result) string {
	var s []string
	for _, r := range rs {
		s = append(s, r.Name+": "+r.State.String())
	}
	return strings.Join(s, ", ")
}

// TestRun holds that what needs a step that did not pass is not run, and that all else is.
func TestRun(t *testing.T) {
	fail := func(context.Context) (Outcome, error) { return Outcome{State: Failed}, nil }
	broken := func(context.Context) (Outcome, error) { return Outcome{State: Passed}, errors.New("no disk") }
	silent := func(context.Context) (Outcome, error) { return Outcome{}, nil }
	for _, row := range []struct {
		name  string
		steps []Step
		want  string
	}{
		{"all pass", []Step{{Name: "a", Run: pass}, {Name: "b", Needs: []string{"a"}, Run: pass}}, "a: passed, b: passed"},
		{"reused is good", []Step{
			{Name: "a", Run: func(context.Context) (Outcome, error) { return Outcome{State: Reused}, nil }}, {Name: "b", Needs: []string{"a"}, Run: pass},
		}, "a: reused, b: passed"},
		{"failed", []Step{{Name: "a", Run: fail}, {Name: "b", Needs: []string{"a"}, Run: pass}, {Name: "c", Run: pass}, {Name: "d", Needs: []string{"c", "b"}, Run: pass}},
			"a: failed, b: not run, c: passed, d: not run"},
		{"an error is no pass", []Step{{Name: "a", Run: broken}, {Name: "b", Needs: []string{"a"}, Run: pass}}, "a: broken, b: not run"},
		{"nothing said is no pass", []Step{{Name: "a", Run: silent}, {Name: "b", Needs: []string{"a"}, Run: pass}}, "a: broken, b: not run"},
		{"a lane goes on", []Step{{Name: "a", Lane: "l", Run: fail}, {Name: "b", Lane: "l", Run: pass}}, "a: failed, b: passed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := Run(t.Context(), row.steps, time.Now, nil)
			if err != nil || states(got) != row.want {
				t.Errorf("got %s, %v; want %s", states(got), err, row.want)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	for _, steps := range [][]Step{
		{{Name: "a", Run: pass}, {Name: "a", Run: pass}},
		{{Name: "a", Needs: []string{"b"}, Run: pass}, {Name: "b", Run: pass}},
		{{Name: "a", Needs: []string{"a"}, Run: pass}},
	} {
		if _, err := Run(t.Context(), steps, time.Now, nil); err == nil {
			t.Errorf("%v ran", steps)
		}
	}
}

// TestSideBySide holds that steps which do not need one another run together, and those of one lane do not.
func TestSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in, most atomic.Int32
		nap := func(context.Context) (Outcome, error) {
			n := in.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			in.Add(-1)
			return Outcome{State: Passed}, nil
		}
		for _, row := range []struct {
			lane string
			most int32
			took time.Duration
		}{{"", 3, time.Second}, {"tree", 1, 3 * time.Second}} {
			most.Store(0)
			began := time.Now()
			var steps []Step
			for _, name := range []string{"a", "b", "c"} {
				steps = append(steps, Step{Name: name, Lane: row.lane, Run: nap})
			}
			var order []string
			if _, err := Run(t.Context(), steps, time.Now, func(e Event) {
				if !e.Began {
					order = append(order, e.Result.Name)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if most.Load() != row.most || time.Since(began) != row.took {
				t.Errorf("lane %q: %d at once, %v; want %d, %v", row.lane, most.Load(), time.Since(began), row.most, row.took)
			}
			if row.lane != "" && !slices.Equal(order, []string{"a", "b", "c"}) {
				t.Errorf("the lane ran in the order %v", order)
			}
		}
	})
}

// TestInterrupted holds that nothing begins after the context has ended, and that what runs is waited for.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	got, err := Run(ctx, []Step{
		{Name: "a", Run: func(ctx context.Context) (Outcome, error) { cancel(); <-ctx.Done(); return Outcome{}, ctx.Err() }},
		{Name: "b", Needs: nil, Lane: "l", Run: pass},
		{Name: "c", Needs: []string{"a"}, Run: pass},
	}, time.Now, nil)
	if err != nil || got[0].State != Broken || got[2].State != NotRun {
		t.Errorf("got %s, %v", states(got), err)
	}
}
