package tessera

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// Checkpoint returns a published checkpoint that covers every entry whose Append has returned,
// and publishes it first if there is none.
func (l *Log) Checkpoint(ctx context.Context) (tlog.Checkpoint, error) {
	l.mu.Lock()
	size, err := l.tip.End(), l.usable()
	l.mu.Unlock()
	if err == nil {
		err = l.publish(ctx, size)
	}
	if err != nil {
		return tlog.Checkpoint{}, fmt.Errorf("publish checkpoint: %w", err)
	}
	return l.Reader.Checkpoint(ctx)
}

// Prove returns a verified proof that entry index is in the log, and publishes a checkpoint that
// covers it if there is none.
func (l *Log) Prove(ctx context.Context, index uint64) (tlog.Proof, error) {
	l.mu.Lock()
	size, err := l.tip.End(), l.usable()
	l.mu.Unlock()
	if err == nil && index >= size {
		err = fmt.Errorf("the log holds %d entries", size)
	}
	if err == nil {
		err = l.publish(ctx, index+1)
	}
	if err != nil {
		return tlog.Proof{}, fmt.Errorf("prove entry %d: %w", index, err)
	}
	return l.Reader.Prove(ctx, index)
}

// publish signs and writes a checkpoint unless the published one covers size entries already.
func (l *Log) publish(ctx context.Context, size uint64) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if l.closed {
		return ErrClosed
	}
	if l.published.Size >= size {
		return nil
	}
	return l.write(ctx, size)
}

// Refresh publishes a checkpoint that covers every entry whose Append has returned, signed now
// also if the published one covers them already: whoever demands fresh checkpoints sees that the
// log is alive.
func (l *Log) Refresh(ctx context.Context) (tlog.Checkpoint, error) {
	l.mu.Lock()
	size, err := l.tip.End(), l.usable()
	l.mu.Unlock()
	if err == nil {
		err = l.refresh(ctx, size)
	}
	if err != nil {
		return tlog.Checkpoint{}, fmt.Errorf("publish checkpoint: %w", err)
	}
	return l.Reader.Checkpoint(ctx)
}

func (l *Log) refresh(ctx context.Context, size uint64) error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if l.closed {
		return ErrClosed
	}
	return l.write(ctx, size)
}

// write signs and writes a checkpoint of at least size entries. The caller holds publishing.
func (l *Log) write(ctx context.Context, size uint64) error {
	h, err := l.batchEnd(ctx, size)
	if err != nil {
		return err
	}
	n := &note.Note{Text: tlog.CheckpointBody(l.signer.Name(), h)}
	signers := []note.Signer{l.signer}
	if l.dater != nil {
		signers = append(signers, l.dater)
	}
	text, err := note.Sign(n, signers...)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	// What is not verifiable under the key that readers have must not replace what is.
	if _, err := tlog.OpenCheckpoint(text, l.key); err != nil {
		return err
	}
	if err := l.removePartials(l.published.Size, h.Size); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(string(l.dir), layout.CheckpointPath), text, 0o644); err != nil {
		return err
	}
	l.published = h
	return nil
}

// batchEnd returns a head of at least size entries at which a batch ended: only for such sizes do
// the partial tiles exist that readers of a checkpoint will ask for.
func (l *Log) batchEnd(ctx context.Context, size uint64) (tlog.Head, error) {
	for {
		if err := ctx.Err(); err != nil {
			return tlog.Head{}, err
		}
		state, err := l.dir.state()
		if err != nil {
			return tlog.Head{}, err
		}
		if state.Size < size {
			return tlog.Head{}, fmt.Errorf("%w: it holds %d entries and has held %d", tlog.ErrRolledBack, state.Size, size)
		}
		l.mu.Lock()
		// Entries of a batch that has just ended may still be on their way here.
		for l.tip.End() < state.Size && l.err == nil && l.adding {
			l.changed.Wait()
		}
		end, h, err := l.tip.End(), l.heads[state.Size%heldHeads], l.err
		l.mu.Unlock()
		switch {
		case err != nil:
			return tlog.Head{}, err
		case end < state.Size:
			return tlog.Head{}, fmt.Errorf("%w: it grew to %d entries, of which only %d were added here", tlog.ErrRewritten, state.Size, end)
		case h.Size != state.Size:
			continue // overtaken by more appends than heads are held
		case !h.Equal(state):
			return tlog.Head{}, fmt.Errorf("%w: at size %d its root is %x, of what was added %x", tlog.ErrRewritten, h.Size, state.Root, h.Root)
		}
		return h, nil
	}
}

// removePartials deletes the partial tiles and bundles under tiles that have become full between
// two sizes: without this a log takes some twenty times the space of its entries. It runs before
// the larger size is published, so that a kill leaves the work to the next publisher. Readers fall
// back to the full tile, as tlog-tiles asks of them.
func (l *Log) removePartials(from, to uint64) error {
	for level, span := uint64(0), uint64(width); to >= span; level, span = level+1, span*width {
		for index := from / span; index < to/span; index++ {
			paths := []string{layout.TilePath(level, index, 0) + ".p"}
			if level == 0 {
				paths = append(paths, layout.EntriesPath(index, 0)+".p")
			}
			for _, p := range paths {
				if err := os.RemoveAll(filepath.Join(string(l.dir), filepath.FromSlash(p))); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("remove partial tiles: %w", err)
				}
			}
		}
		if span > 1<<54 {
			return nil
		}
	}
	return nil
}

// publishLater makes sure that what was appended is published in a while, if the process lives
// that long. The caller holds mu.
func (l *Log) publishLater() {
	if l.timer != nil || l.closing {
		return
	}
	l.timer = time.AfterFunc(publishAfter, func() {
		l.mu.Lock()
		l.timer = nil
		size, err := l.tip.End(), l.usable()
		l.mu.Unlock()
		if err == nil {
			l.publishQuietly(size)
		}
	})
}

// publishLag publishes what the last process integrated and did not publish, unless it did so
// very recently. It does not keep the opener waiting.
func (l *Log) publishLag(st Status) {
	if st.Published.Size == st.Head.Size {
		return
	}
	fi, err := os.Stat(filepath.Join(string(l.dir), layout.CheckpointPath))
	if err != nil || time.Since(fi.ModTime()) < publishAfter {
		return
	}
	go l.publishQuietly(st.Head.Size)
}

// publishQuietly publishes for nobody in particular: who needs a checkpoint calls [Log.Checkpoint]
// and gets the error.
func (l *Log) publishQuietly(size uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	_ = l.publish(ctx, size)
}
