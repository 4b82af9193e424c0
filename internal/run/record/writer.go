package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// Errors that callers branch on.
var (
	// ErrExists: the folder holds a record already.
	ErrExists = errors.New("there is a record already")
	// ErrSealed: the record ended, and nothing can follow.
	ErrSealed = errors.New("the record is sealed")
	// ErrClosed: the writer was closed.
	ErrClosed = errors.New("the record's writer is closed")
	// ErrBroken: nobody knows what of the record is on the disk. Resume finds out.
	ErrBroken = errors.New("the record can't be written any more")
)

// Options tune a writer. The zero value is right for a run.
type Options struct {
	// MaxBytes and MaxAge bound a segment: the next entry after either begins another one.
	MaxBytes int64         // 0: 8 MiB
	MaxAge   time.Duration // 0: an hour

	// Closed is told of each segment that was closed, so that it can be anchored. It is called
	// while nothing can be appended, and must not call the writer.
	Closed func(Closed)

	Now func() time.Time // nil: time.Now
}

func (o Options) withDefaults() Options {
	if o.MaxBytes == 0 {
		o.MaxBytes = 8 << 20
	}
	if o.MaxAge == 0 {
		o.MaxAge = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of a writer that is given no clock
	}
	return o
}

// A Writer appends to a record. Its methods are safe for concurrent use.
type Writer struct {
	dir     string
	header  Header
	id      Head
	opts    Options
	lock    *durable.Lock
	auditor *sealer

	wake chan struct{} // has room for one: the flusher has something to do
	gone chan struct{} // closed when the flusher has ended

	mu      sync.Mutex
	next    state  // after everything that was taken
	kept    state  // after everything that is durable
	pending *batch // taken and not yet given to the flusher
	closing bool
	err     error // why nothing can be appended any more

	// The flusher's alone, and Seal's once it has ended.
	file      *os.File
	salts     *os.File // nil until the segment holds a commitment
	size      int64    // durable bytes of file
	saltsSize int64
	segment   int
	first     int64
	before    Head
	opened    time.Time
}

// state is a place in the chain.
type state struct {
	seq     int64
	head    Head
	time    time.Time
	prompts promptSum
}

// A batch is what shares one fsync.
type batch struct {
	lines []byte
	salts []byte
	after state
	done  chan struct{}
	err   error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// Create makes the record of what h says in the folder dir, which is made if it is missing and must
// not hold a record.
func Create(dir string, h Header) (*Writer, error) { return CreateWith(dir, h, Options{}) }

// CreateWith is [Create] with options.
func CreateWith(dir string, h Header, o Options) (_ *Writer, err error) {
	w := &Writer{dir: dir, header: h, opts: o.withDefaults()}
	w.header.Version, w.header.Nonce = Version, newNonce()
	if h.Started == "" {
		w.header.Started = w.opts.Now().UTC().Format(time.RFC3339)
	}
	if err := w.header.check(); err != nil {
		return nil, fmt.Errorf("begin a record: %w", err)
	}
	if w.auditor, err = newSealer(h.Auditors); err != nil {
		return nil, fmt.Errorf("begin a record: %w", err)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("begin a record: %w", err)
	}
	if err := w.acquire(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = w.lock.Release()
		}
	}()
	if Is(dir) {
		return nil, fmt.Errorf("%w: %s", ErrExists, dir)
	}
	if err := dropUnborn(dir); err != nil {
		return nil, fmt.Errorf("begin a record: %w", err)
	}
	hdr, err := sallyport.EncodeJSON(w.header)
	if err != nil {
		return nil, err
	}
	w.id = genesis(hdr)
	w.next.head, w.kept.head = w.id, w.id
	// The segment comes first: a folder with a header has a segment, whenever its maker was killed.
	if err := w.openSegment(); err != nil {
		return nil, fmt.Errorf("begin a record: %w", err)
	}
	if err := durable.CreateFile(filepath.Join(dir, headerFile), hdr, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("begin a record: %w", err), w.file.Close())
	}
	w.start()
	return w, nil
}

// dropUnborn removes the first segment of a record whose maker was killed before it wrote the header:
// it holds its first line and nothing else. One that holds entries lost its header, and stays.
func dropUnborn(dir string) error {
	path := filepath.Join(dir, segmentName(1))
	b, err := readSmall(path)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if bytes.IndexByte(b, '\n') != len(b)-1 {
		return fmt.Errorf("%s holds entries, and %s is missing: the folder holds the rest of another record", path, headerFile)
	}
	return os.Remove(path)
}

// acquire takes the record's lock, or says who has it.
func (w *Writer) acquire() error { return w.acquireAs(lockFile) }

func (w *Writer) acquireAs(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	l, err := durable.Acquire(ctx, filepath.Join(w.dir, name))
	if err != nil {
		return fmt.Errorf("another process writes this record: %w", err)
	}
	w.lock = l
	return nil
}

// lockWait is how long a writer waits for another one that is just ending.
const lockWait = 200 * time.Millisecond

func (w *Writer) start() {
	w.pending = newBatch()
	w.wake, w.gone = make(chan struct{}, 1), make(chan struct{})
	go w.flusher()
}

// ID returns the record's id: the digest of its header, from which the chain begins.
func (w *Writer) ID() Head { return w.id }

// Header returns what the record is of.
func (w *Writer) Header() Header { return w.header }

// Dir returns the record's folder.
func (w *Writer) Dir() string { return w.dir }

// Head returns how many entries are durable, and the head of their chain: what a checkpoint
// attestation says.
func (w *Writer) Head() (records int64, head Head) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept.seq, w.kept.head
}

// Append adds an entry and returns once it is durable. body is encoded as a JSON object; with holds
// the commitments, made by [Writer.Commit], that the entry stands for. If Append fails, the entry
// is not in the record.
func (w *Writer) Append(kind Kind, body any, with ...Commitment) (Entry, error) {
	e := Entry{Kind: kind}
	if kind == "" || len(kind) > maxKind {
		return e, fmt.Errorf("append to the record: kind %.80q", kind)
	}
	if err := e.setBody(body); err != nil {
		return e, fmt.Errorf("append to the record: %w", err)
	}
	if len(with) > maxCommits {
		return e, fmt.Errorf("append to the record: %d commitments, more than %d", len(with), maxCommits)
	}
	var salts []byte
	for _, c := range with {
		if err := c.check(); err != nil {
			return e, fmt.Errorf("append to the record: %w", err)
		}
		e.Commits = append(e.Commits, CommitRef{c.Kind, c.Digest, c.Raw})
		salts = appendSalt(salts, c)
	}
	b, err := w.take(&e, salts)
	if err != nil {
		return e, fmt.Errorf("append to the record: %w", err)
	}
	<-b.done
	if b.err != nil {
		return e, fmt.Errorf("append to the record: %w", b.err)
	}
	return e, nil
}

func (e *Entry) setBody(body any) error {
	b, err := sallyport.EncodeJSON(body)
	if err != nil {
		return err
	}
	if len(b) == 0 || b[0] != '{' {
		return errors.New("the body is not an object")
	}
	e.Body = json.RawMessage(b)
	return nil
}

// take gives e its place in the chain and returns the batch that will make it durable.
func (w *Writer) take(e *Entry, salts []byte) (*batch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return nil, w.err
	case w.closing:
		return nil, ErrClosed
	}
	now := w.opts.Now().UTC()
	if now.Before(w.next.time) {
		now = w.next.time // a clock that was put back
	}
	e.Seq, e.Time = w.next.seq+1, now
	b := w.pending
	lines, err := appendLine(b.lines, w.next.head, e)
	if err != nil {
		return nil, err
	}
	b.lines, b.salts = lines, append(b.salts, salts...)
	w.next.seq, w.next.head, w.next.time = e.Seq, e.Head, now
	w.next.prompts = w.next.prompts.add(e)
	b.after = w.next
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return b, nil
}

// flusher writes batches until the writer is closed. While one is being synced the next one fills.
func (w *Writer) flusher() {
	defer close(w.gone)
	for range w.wake {
		w.mu.Lock()
		b, closing := w.pending, w.closing
		w.pending = newBatch()
		broken := w.err
		w.mu.Unlock()
		if len(b.lines) > 0 {
			if broken != nil {
				b.err = broken
			} else {
				w.flush(b)
			}
			close(b.done)
		}
		if closing {
			return
		}
	}
}

// flush makes b durable. If it cannot, what was written is undone, and b and all that was taken
// after it is refused: their heads follow from entries that are not there.
func (w *Writer) flush(b *batch) {
	err := w.write(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.kept = b.after
		return
	}
	if undo := w.undo(); undo != nil || errors.Is(err, errSync) {
		w.err = fmt.Errorf("%w: %w", ErrBroken, errors.Join(err, undo))
		err = w.err
	}
	b.err = err
	if later := w.pending; len(later.lines) > 0 {
		later.err = err
		close(later.done)
		w.pending = newBatch()
	}
	w.next = w.kept
}

// errSync says that a sync failed: the kernel may have dropped what it could not write and would
// not say so again.
var errSync = errors.New("sync")

func (w *Writer) write(b *batch) error {
	if w.file == nil || w.size >= w.opts.MaxBytes || w.opts.Now().Sub(w.opened) >= w.opts.MaxAge && w.kept.seq >= w.first {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	if len(b.salts) > 0 { // before the entries that need them
		if err := w.writeSalts(b.salts); err != nil {
			return err
		}
	}
	if _, err := w.file.Write(b.lines); err != nil {
		return err
	}
	if err := syncData(w.file); err != nil {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	w.size += int64(len(b.lines))
	w.saltsSize += int64(len(b.salts))
	return nil
}

// rotate ends the segment and begins the next. It may be tried again after it failed.
func (w *Writer) rotate() error {
	if w.file != nil {
		if _, err := w.closeSegment(false); err != nil {
			return err
		}
	}
	return w.openSegment()
}

func (w *Writer) writeSalts(b []byte) error {
	if w.salts == nil {
		path := filepath.Join(w.dir, saltsName(w.segment))
		if err := durable.CreateFile(path, nil, 0o600); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		f, err := openRegular(path, os.O_WRONLY|os.O_APPEND)
		if err != nil {
			return err
		}
		fi, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		w.salts, w.saltsSize = f, fi.Size()
	}
	if _, err := w.salts.Write(b); err != nil {
		return err
	}
	if err := syncData(w.salts); err != nil {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	return nil
}

// undo takes back what a failed write may have left.
func (w *Writer) undo() error {
	if w.file == nil {
		return nil // nothing was written since the last segment was closed
	}
	err := truncate(w.file, w.size)
	if w.salts != nil {
		err = errors.Join(err, truncate(w.salts, w.saltsSize))
	}
	return err
}

func truncate(f *os.File, size int64) error {
	fi, err := f.Stat()
	if err != nil || fi.Size() == size {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

// Close ends writing without ending the record: [Resume] takes it up again. What was appended is
// durable already. It may be called more than once, and after Seal.
func (w *Writer) Close() error {
	if !w.stop() {
		return nil
	}
	err := errors.Join(closeFile(w.file), closeFile(w.salts))
	return errors.Join(err, w.lock.Release())
}

// stop ends the flusher after it has written what was taken. It reports whether it was running.
func (w *Writer) stop() bool {
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		<-w.gone
		return false
	}
	w.closing = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.gone
	return true
}
