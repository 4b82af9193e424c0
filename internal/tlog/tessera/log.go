package tessera

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"

	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

const (
	// lockWait is how long Open waits for another writer.
	lockWait = 10 * time.Second

	// Entries that come while a batch is being synced make up the next one, here and not in
	// Tessera, whose queue would cut them into one batch per batchAge however long a batch takes.
	// So batchAge has to last only for handing a batch over; a lone entry waits that long.
	batchAge  = 200 * time.Microsecond
	batchSize = 256

	// publishAfter is how old the published checkpoint may get in a process that lives long.
	publishAfter = time.Second

	// never is Tessera's checkpoint interval: publishing is done here.
	never = time.Duration(math.MaxInt64)

	// closeWait bounds how long Close waits for entries that Tessera was given.
	closeWait = 5 * time.Second
)

// ErrClosed is returned by a [Log] that was closed.
var ErrClosed = errors.New("the log is closed")

// quiet sends what Tessera prints to nowhere: it reports through klog, on standard error, and
// everything that matters comes back as an error too.
var quiet = sync.OnceFunc(func() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) })

// Options say which log to open.
type Options struct {
	// Origin is the log's name, which is also the name of its key.
	Origin string
	// Signer signs checkpoints; VerifierKey is the note verifier key that belongs to it. Both
	// are needed: the signature on the existing checkpoint is verified before anything is added.
	Signer      note.Signer
	VerifierKey string
	// Dater, if it is not nil, signs each checkpoint a second time, with its time; see
	// [tlog.Key.Dated].
	Dater note.Signer
	// Known is the newest head that the caller knows the log has had. Without one, only the
	// log's own checkpoint is there to tell a rolled-back log.
	Known *tlog.Head
}

// A Log is the one writer of a log folder.
type Log struct {
	*Reader
	signer note.Signer
	dater  note.Signer
	lock   *durable.Lock
	add    tessera.AddFn
	stop   context.CancelFunc

	mu      sync.Mutex
	changed *sync.Cond           // the tip grew, appends ended, or err was set
	tip     *compact.Range       // over the entries that are integrated
	heads   [heldHeads]tlog.Head // recent heads, by size modulo heldHeads
	queue   []*waiter            // appends that Tessera was not given yet
	adding  bool                 // a goroutine works on the queue
	err     error                // set for good once the log cannot be appended to
	timer   *time.Timer          // publishes; nil if there is nothing to publish
	closing bool

	publishing sync.Mutex // guards the checkpoint file and what follows
	published  tlog.Head
	closed     bool
}

// heldHeads is how many recent heads are held, so that a checkpoint can be made of the very size
// that a batch ended at.
const heldHeads = 1024

// Create makes a new, empty log in dir, which must not exist or be empty, and publishes its first
// checkpoint. The folder appears whole or not at all. It returns the empty log's head.
func Create(ctx context.Context, dir, origin string, signer note.Signer) (tlog.Head, error) {
	h, err := create(ctx, filepath.Clean(dir), origin, signer)
	if err != nil {
		return tlog.Head{}, fmt.Errorf("create log: %w", err)
	}
	return h, nil
}

func create(ctx context.Context, dir, origin string, signer note.Signer) (tlog.Head, error) {
	quiet()
	if signer.Name() != origin {
		return tlog.Head{}, fmt.Errorf("%w: its key is that of %q", tlog.ErrForeign, signer.Name())
	}
	switch names, err := os.ReadDir(dir); {
	case err == nil && len(names) > 0:
		return tlog.Head{}, fmt.Errorf("%s: %w", dir, fs.ErrExist)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return tlog.Head{}, err
	}
	parent := filepath.Dir(dir)
	if err := durable.MkdirAll(parent, 0o700); err != nil {
		return tlog.Head{}, err
	}
	tmp, err := os.MkdirTemp(parent, ".tmp-"+filepath.Base(dir)+"-")
	if err != nil {
		return tlog.Head{}, err
	}
	defer os.RemoveAll(tmp) // gone by then, unless something failed
	_, _, stop, err := start(ctx, tmp, signer)
	if err != nil {
		return tlog.Head{}, err
	}
	stop()
	h, err := folder(tmp).state()
	if err != nil {
		return tlog.Head{}, err
	}
	// An empty folder is replaced, one that was filled meanwhile is not.
	if err := os.Rename(tmp, dir); err != nil {
		return tlog.Head{}, err
	}
	return h, durable.SyncDir(parent)
}

// start starts Tessera on dir. Cancelling stops its background tasks and waits for nothing.
func start(ctx context.Context, dir string, signer note.Signer) (tessera.AddFn, tessera.LogReader, context.CancelFunc, error) {
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return nil, nil, nil, err
	}
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(never).
		WithCheckpointRepublishInterval(0).
		WithGarbageCollectionInterval(0).
		WithBatching(batchSize, batchAge)
	// The tasks outlive the call that opened the log.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	appender, _, reader, err := tessera.NewAppender(background, driver, opts)
	if err != nil {
		stop()
		return nil, nil, nil, err
	}
	return appender.Add, reader, stop, nil
}

// A sealed signer has a key's name and hash and never signs. Tessera gets it for a log that
// exists, which it has no reason to sign.
type sealed struct{ note.Signer }

func (sealed) Sign([]byte) ([]byte, error) {
	return nil, errors.New("the log engine tried to sign a checkpoint of its own")
}

// Open opens the log in dir for appending, once [Reader.Check] has passed. It never creates one.
// Errors wrap [tlog.ErrMissing], [tlog.ErrForeign], [tlog.ErrRolledBack], [tlog.ErrRewritten], or
// [durable.ErrHeld] if another process kept the log open for more than ten seconds.
func Open(ctx context.Context, dir string, opts Options) (*Log, error) {
	l, err := open(ctx, filepath.Clean(dir), opts)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

func open(ctx context.Context, dir string, opts Options) (_ *Log, err error) {
	quiet()
	if err := checkIdentity(opts); err != nil {
		return nil, err
	}
	// Asked before the lock is taken, since taking it makes a file.
	if _, err := folder(dir).state(); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, lockWait)
	lock, err := durable.Acquire(wait, filepath.Join(dir, filepath.FromSlash(lockPath)))
	cancel()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Release())
		}
	}()
	l := &Log{Reader: NewReader(dir, opts.VerifierKey), signer: opts.Signer, dater: opts.Dater, lock: lock}
	l.changed = sync.NewCond(&l.mu)
	st, err := l.Reader.check(ctx, opts.Known)
	if err != nil {
		return nil, err
	}
	l.published = st.Published
	if l.tip, err = newTree(l.dir, st.Head.Size).frontier(ctx, st.Head.Size); err != nil {
		return nil, err
	}
	l.heads[st.Head.Size%heldHeads] = st.Head
	add, reader, stop, err := start(ctx, dir, sealed{opts.Signer})
	if err != nil {
		return nil, err
	}
	l.add, l.stop = add, stop
	if size, err := reader.IntegratedSize(ctx); err != nil || size != st.Head.Size {
		stop()
		return nil, fmt.Errorf("%w: it changed while it was being opened", tlog.ErrMissing)
	}
	l.publishLag(st)
	return l, nil
}

func checkIdentity(opts Options) error {
	v, err := note.NewVerifier(opts.VerifierKey)
	if err != nil {
		return fmt.Errorf("log verifier key: %w", err)
	}
	if opts.Signer == nil {
		return errors.New("no signer for the log")
	}
	if v.Name() != opts.Origin || opts.Signer.Name() != opts.Origin || opts.Signer.KeyHash() != v.KeyHash() {
		return fmt.Errorf("%w: origin %q, signer %s+%08x, verifier %s+%08x", tlog.ErrForeign,
			opts.Origin, opts.Signer.Name(), opts.Signer.KeyHash(), v.Name(), v.KeyHash())
	}
	return nil
}

// Append adds leaf, which must be one that [tlog.Leaf] makes, and returns its index and the log's
// head right after it, once the entry is integrated and durable. No checkpoint covers it yet.
//
// If ctx ends first, or the file system fails, the entry may or may not be in the log; after a
// failure of the file system the log refuses every further Append until it is opened again.
func (l *Log) Append(ctx context.Context, leaf []byte) (uint64, tlog.Head, error) {
	index, head, err := l.append(ctx, leaf)
	if err != nil {
		return 0, tlog.Head{}, fmt.Errorf("append to log: %w", err)
	}
	return index, head, nil
}

func (l *Log) append(ctx context.Context, leaf []byte) (uint64, tlog.Head, error) {
	if _, _, err := tlog.ParseLeaf(leaf); err != nil {
		return 0, tlog.Head{}, err
	}
	// Tessera ends the whole process when its folder is gone, so look first.
	if _, err := os.Stat(filepath.Join(string(l.dir), filepath.FromSlash(statePath))); err != nil {
		return 0, tlog.Head{}, fmt.Errorf("%w: %w", tlog.ErrMissing, err)
	}
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return 0, tlog.Head{}, err
	}
	w := &waiter{ctx: context.WithoutCancel(ctx), entry: newEntry(leaf), done: make(chan struct{})}
	l.queue = append(l.queue, w)
	if !l.adding {
		l.adding = true
		go l.work()
	}
	l.mu.Unlock()
	select {
	case <-w.done:
		return w.index, w.head, w.err
	case <-ctx.Done():
		return 0, tlog.Head{}, ctx.Err()
	}
}

// A waiter is one Append. The last three fields are set before done is closed.
type waiter struct {
	ctx   context.Context
	entry *tessera.Entry
	done  chan struct{}
	index uint64
	head  tlog.Head
	err   error
}

func (l *Log) usable() error {
	switch {
	case l.closing:
		return ErrClosed
	case l.err != nil:
		return fmt.Errorf("it failed before: %w", l.err)
	}
	return nil
}

// work gives the queue to Tessera, batch by batch, until it is empty. There is one such goroutine
// at a time, so entries are integrated in the order of the queue.
func (l *Log) work() {
	for {
		l.mu.Lock()
		batch := l.queue[:min(len(l.queue), batchSize)]
		l.queue = l.queue[len(batch):]
		if len(batch) == 0 {
			l.adding = false
			l.changed.Broadcast()
			l.mu.Unlock()
			return
		}
		failed := l.err
		l.mu.Unlock()
		futures := make([]tessera.IndexFuture, len(batch))
		for i, w := range batch {
			if failed == nil {
				futures[i] = l.add(w.ctx, w.entry)
			}
		}
		for i, w := range batch {
			if failed != nil {
				w.err = failed
				close(w.done)
				continue
			}
			index, err := futures[i]()
			l.integrated(w, index.Index, err)
		}
	}
}

// integrated takes Tessera's answer about one entry into account and ends its Append.
func (l *Log) integrated(w *waiter, index uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.changed.Broadcast()
	defer close(w.done)
	if err == nil && l.err != nil {
		err = l.err // of an entry before it: what its index is relative to is not known
	}
	if err == nil && index != l.tip.End() {
		err = fmt.Errorf("%w: it was given index %d at size %d, so somebody else writes it too", tlog.ErrRewritten, index, l.tip.End())
	}
	if err == nil {
		w.index = index
		w.head, err = l.grow(w.entry.LeafHash())
	}
	if err != nil {
		w.err = err
		l.fail(err)
		return
	}
	l.publishLater()
}

// fail makes err final unless an earlier one is. The caller holds mu.
func (l *Log) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// grow adds one leaf hash to the tip and returns the head. The caller holds mu.
func (l *Log) grow(leafHash []byte) (tlog.Head, error) {
	if err := l.tip.Append(leafHash, nil); err != nil {
		return tlog.Head{}, err
	}
	h, err := rangeHead(l.tip)
	if err != nil {
		return tlog.Head{}, err
	}
	l.heads[h.Size%heldHeads] = h
	return h, nil
}

// Close waits for entries that are being added and for a checkpoint that is being written, and
// gives the lock up. It publishes nothing: the next opener does, or who asks for a checkpoint.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return nil
	}
	l.closing = true
	if l.timer != nil {
		l.timer.Stop()
	}
	var err error
	late := time.AfterFunc(closeWait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		err = errors.New("close log: entries were still being added")
		l.changed.Broadcast()
	})
	for l.adding && err == nil {
		l.changed.Wait()
	}
	late.Stop()
	failed := err // a timer that was stopped too late may still set err
	l.mu.Unlock()

	l.publishing.Lock()
	defer l.publishing.Unlock()
	l.closed = true
	l.stop()
	return errors.Join(failed, l.lock.Release())
}

func newEntry(leaf []byte) *tessera.Entry { return tessera.NewEntry(append([]byte(nil), leaf...)) }
