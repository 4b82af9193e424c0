package deep

import (
	"context"
	"errors"
	"sync"
)

// A Pool keeps workers that are ready, for callers that look into one thing after another: none of
// them pays for the preparation, and each has a process of its own. It is safe for concurrent use.
type Pool struct {
	starter Starter
	spare   chan started
	ctx     context.Context //nolint:containedctx // it is the pool's life
	stop    context.CancelFunc
	keepers sync.WaitGroup
}

type started struct {
	w   *Worker
	err error
}

// ErrClosed is returned by a pool that was closed.
var ErrClosed = errors.New("the pool of workers is closed")

// Pool starts a pool that keeps n workers ready.
func (s Starter) Pool(n int) *Pool {
	p := &Pool{starter: s, spare: make(chan started)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for range max(n, 1) {
		p.keepers.Go(func() {
			for p.offer() {
			}
		})
	}
	return p
}

// offer starts one worker and holds it out until somebody takes it.
func (p *Pool) offer() bool {
	w, err := p.starter.Start()
	if err == nil {
		if err = w.Ready(p.ctx); err != nil {
			_ = w.Close()
			w = nil
		}
	}
	select {
	case p.spare <- started{w, err}:
		return true
	case <-p.ctx.Done():
		if w != nil {
			_ = w.Close()
		}
		return false
	}
}

// Take returns a worker that is ready, which the caller has to close. It waits for one if all are
// taken.
func (p *Pool) Take(ctx context.Context) (*Worker, error) {
	select {
	case s := <-p.spare:
		return s.w, s.err
	case <-p.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close stops the workers that nobody took.
func (p *Pool) Close() {
	p.stop()
	p.keepers.Wait()
}
