// Package pipeline runs named steps that need one another, side by side where they may.
//
// A [Step] begins when all steps that it needs have passed. If one of them did not, it is not run, and what
// needs it is not either; steps that have nothing to do with it go on, so that one run tells everything
// that is wrong. Steps of one lane (commands that work in the same folder) run one at a time, in
// the order in which they stand. Cancelling the context begins no further step, and the running ones are
// waited for: they get the same context.
//
// A step ends in one of the states below. Failed is an answer: something was looked at and found wrong.
// Broken is none: it could not be looked at. The zero [Result] is a step that was not run.
//
// The package knows neither git nor evidence; what a step does is its function's.
package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A State is how a step ended.
type State string

// The states. The zero State is that of a step that was not run.
const (
	NotRun State = ""
	Passed State = "passed"
	Reused State = "reused" // it passed before, about the same, and what it left was verified
	Failed State = "failed"
	Broken State = "broken"
)

// Good reports whether what needs the step may run.
func (s State) Good() bool { return s == Passed || s == Reused }

func (s State) String() string {
	if s == NotRun {
		return "not run"
	}
	return string(s)
}

// MarshalText writes the state as JSON has it.
func (s State) MarshalText() ([]byte, error) {
	if s == NotRun {
		return []byte("not-run"), nil
	}
	return []byte(s), nil
}

// An Outcome is what a step says when it has ended. Its state is Passed, Reused or Failed.
type Outcome struct {
	State  State
	Detail string // one line for people
}

// A Step is one piece of work.
type Step struct {
	Name  string
	Needs []string // names of steps that stand before it
	Lane  string   // empty: none
	// Run does it. An error says that it could not be done: the step is broken.
	Run func(context.Context) (Outcome, error)
}

// A Result is how one step fared.
type Result struct {
	Name     string
	State    State
	Detail   string
	Err      error // of a step that is broken
	Began    time.Time
	Duration time.Duration // zero if it was not run
}

// An Event tells that a step began (its state is NotRun then) or ended.
type Event struct {
	Began  bool
	Result Result
}

// Run runs the steps and returns their results in the order in which they stand. Tell, which may be nil, is
// called for one event at a time; now is the clock by which steps are timed. An error is about the steps themselves: two of one name, or one that
// needs what does not stand before it.
func Run(ctx context.Context, steps []Step, now func() time.Time, tell func(Event)) ([]Result, error) {
	r, err := plan(steps)
	if err != nil {
		return nil, err
	}
	r.now, r.tell = now, tell
	var all sync.WaitGroup
	for i := range steps {
		all.Go(func() { r.step(ctx, i) })
	}
	all.Wait()
	return r.results, nil
}

// A run is the state of one call of Run. Each step waits for the channels of those that it needs, and of the
// one before it in its lane; closing a channel makes what its step wrote visible.
type run struct {
	steps   []Step
	needs   [][]int
	before  []int // the step before in the lane, or -1
	ended   []chan struct{}
	results []Result
	now     func() time.Time
	tell    func(Event)
	telling sync.Mutex
}

func plan(steps []Step) (*run, error) {
	r := &run{steps: steps, results: make([]Result, len(steps)), needs: make([][]int, len(steps))}
	at, lanes := map[string]int{}, map[string]int{}
	for i, s := range steps {
		for _, n := range s.Needs {
			j, ok := at[n]
			if !ok {
				return nil, fmt.Errorf("the step %s needs %s, which does not stand before it", s.Name, n)
			}
			r.needs[i] = append(r.needs[i], j)
		}
		if _, twice := at[s.Name]; twice {
			return nil, fmt.Errorf("two steps are named %s", s.Name)
		}
		at[s.Name] = i
		last, ok := lanes[s.Lane]
		if s.Lane == "" || !ok {
			last = -1
		}
		lanes[s.Lane] = i
		r.before = append(r.before, last)
		r.ended = append(r.ended, make(chan struct{}))
		r.results[i].Name = s.Name
	}
	return r, nil
}

// step waits until step i may run, and runs it.
func (r *run) step(ctx context.Context, i int) {
	defer close(r.ended[i])
	if r.before[i] >= 0 {
		<-r.ended[r.before[i]]
	}
	for _, j := range r.needs[i] {
		<-r.ended[j]
	}
	for _, j := range r.needs[i] {
		if !r.results[j].State.Good() {
			r.results[i].Detail = fmt.Sprintf("%s: %s", r.steps[j].Name, r.results[j].State)
			r.say(Event{Result: r.results[i]})
			return
		}
	}
	if ctx.Err() != nil {
		r.results[i].Detail = "interrupted"
		r.say(Event{Result: r.results[i]})
		return
	}
	res := &r.results[i]
	res.Began = r.now()
	r.say(Event{Began: true, Result: *res})
	out, err := r.steps[i].Run(ctx)
	res.Duration = r.now().Sub(res.Began)
	res.State, res.Detail, res.Err = out.State, out.Detail, err
	switch {
	case err != nil:
		res.State = Broken
	case out.State == NotRun: // a step that forgot to say how it ended has not passed
		res.State, res.Err = Broken, fmt.Errorf("the step %s does not say how it ended", res.Name)
	}
	r.say(Event{Result: *res})
}

func (r *run) say(e Event) {
	if r.tell == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.tell(e)
}
