package confine

import (
	"sync"
	"time"
)

// An eventQueue calls the Spec's function for one event after another. What is told waits until the
// function has returned for it, so that nothing goes on that was not written down.
type eventQueue struct {
	mu     sync.Mutex
	fn     func(Event)
	closed bool
}

func newEventQueue(fn func(Event)) *eventQueue { return &eventQueue{fn: fn} }

func (q *eventQueue) tell(e Event) {
	if q == nil || q.fn == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now() //nolint:forbidigo // when it was seen, by the clock of who saw it
	}
	q.fn(e)
}

func (q *eventQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
}
