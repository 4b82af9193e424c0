// Package remote reads a transparency log that somebody else keeps, from the files that C2SP
// tlog-tiles has under one address: checkpoint and tile/entries/…, over HTTP or in a folder.
//
// [Log.Read] believes nothing that it reads. The checkpoint's signature and origin are those of
// the key that the caller has from elsewhere; the time at which it was signed is signed with the
// same key (see [tlog.CheckpointTime]); and the entries, all of them, hash to the checkpoint's
// root, and on the way to the root of any earlier head that the caller knows. So no entry can be
// hidden, moved or added, and a log that was rolled back or rewritten since is seen as such.
// What it cannot notice alone is another history with a good signature, shown to somebody who
// knows no earlier head: that takes the log's own key.
//
// Reading all entries costs a hundred bytes each. What is read is bounded by [MaxEntries], each
// file by its size in the layout, and each wait by the context and [Timeout].
package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

const (
	// MaxEntries is the largest log that is read.
	MaxEntries = 4 << 20
	// Timeout bounds one request.
	Timeout = 30 * time.Second

	width     = 256 // entries in a full bundle
	maxBundle = width * (2 + tlog.MaxLeaf)
)

// A Log is the place of a log. It is safe for concurrent use.
type Log struct {
	at     *url.URL
	client *http.Client
}

// New returns the log at address, an absolute URL of the schemes https, http and file. Nothing is
// read yet.
func New(address string) (*Log, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file") {
		return nil, fmt.Errorf("read log: %q is no address of one", address)
	}
	return &Log{at: u, client: &http.Client{
		Timeout: Timeout,
		// What is asked for is said by the configuration alone.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the server redirects, which is not followed")
		},
	}}, nil
}

// An Entry is one entry of a log.
type Entry struct {
	Index  uint64
	Kind   string
	Digest sallyport.Digest
}

// A Snapshot is a verified state of a log.
type Snapshot struct {
	Checkpoint tlog.Checkpoint
	Time       time.Time // when the log signed it
	Entries    []Entry   // those that the caller asked for, all of them
}

// Read reads the log's newest state, verified under verifierKey and against known, a head that the
// log is known to have had (nil if there is none), and returns the entries of kinds. Its errors
// wrap [tlog.ErrMissing], [tlog.ErrForeign], [tlog.ErrRolledBack], [tlog.ErrRewritten] or
// [tlog.ErrUndated].
func (l *Log) Read(ctx context.Context, verifierKey string, known *tlog.Head, kinds ...string) (Snapshot, error) {
	s, err := l.read(ctx, verifierKey, known, kinds)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read log at %s: %w", l.at, err)
	}
	return s, nil
}

func (l *Log) read(ctx context.Context, verifierKey string, known *tlog.Head, kinds []string) (Snapshot, error) {
	text, err := l.file(ctx, "checkpoint", tlog.MaxCheckpoint)
	if err != nil {
		return Snapshot{}, err
	}
	var s Snapshot
	if s.Checkpoint, err = tlog.OpenCheckpoint(text, verifierKey); err != nil {
		if !errors.Is(err, tlog.ErrForeign) {
			err = fmt.Errorf("%w: %w", tlog.ErrRewritten, err)
		}
		return Snapshot{}, err
	}
	if s.Time, err = tlog.CheckpointTime(text, verifierKey); err != nil {
		return Snapshot{}, err
	}
	switch size := s.Checkpoint.Size; {
	case size > MaxEntries:
		return Snapshot{}, fmt.Errorf("it holds %d entries, the limit is %d", size, MaxEntries)
	case known != nil && size < known.Size:
		return Snapshot{}, fmt.Errorf("%w: it holds %d entries, and has held %d", tlog.ErrRolledBack, size, known.Size)
	}
	wanted := map[string]bool{}
	for _, k := range kinds {
		wanted[k] = true
	}
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	tree := factory.NewEmptyRange(0)
	for {
		if err := check(tree, known, "it is known to have had"); err != nil {
			return Snapshot{}, err
		}
		if tree.End() == s.Checkpoint.Size {
			break
		}
		entries, err := l.bundle(ctx, tree.End()/width, s.Checkpoint.Size)
		if err != nil {
			return Snapshot{}, err
		}
		for _, e := range entries {
			kind, d, err := tlog.ParseLeaf(e)
			if err != nil {
				return Snapshot{}, fmt.Errorf("%w: entry %d: %w", tlog.ErrRewritten, tree.End(), err)
			}
			if wanted[kind] {
				s.Entries = append(s.Entries, Entry{tree.End(), kind, d})
			}
			if err := check(tree, known, "it is known to have had"); err != nil {
				return Snapshot{}, err
			}
			if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(e), nil); err != nil {
				return Snapshot{}, err
			}
		}
	}
	return s, check(tree, &s.Checkpoint.Head, "its checkpoint says")
}

// check compares the root of the entries so far with a head of that size.
func check(tree *compact.Range, want *tlog.Head, what string) error {
	if want == nil || want.Size != tree.End() {
		return nil
	}
	root := rfc6962.DefaultHasher.EmptyRoot()
	if tree.End() > 0 {
		var err error
		if root, err = tree.GetRootHash(nil); err != nil {
			return err
		}
	}
	if got := (tlog.Head{Size: tree.End(), Root: root}); !got.Equal(*want) {
		return fmt.Errorf("%w: at size %d its root is %x, %s %x", tlog.ErrRewritten, got.Size, got.Root, what, want.Root)
	}
	return nil
}

// bundle returns the entries of bundle index in a tree of size.
func (l *Log) bundle(ctx context.Context, index, size uint64) ([][]byte, error) {
	n := min(size-index*width, width)
	path := entriesPath(index)
	b, err := l.file(ctx, partial(path, n), maxBundle)
	if n < width && errors.Is(err, tlog.ErrMissing) { // it has become full since, and was removed
		b, err = l.file(ctx, path, maxBundle)
	}
	if errors.Is(err, tlog.ErrMissing) {
		return nil, fmt.Errorf("%w: entries from %d on are not there", tlog.ErrRewritten, index*width)
	}
	if err != nil {
		return nil, err
	}
	entries, err := parseEntries(b)
	if err != nil || uint64(len(entries)) < n {
		return nil, fmt.Errorf("%w: %s does not hold %d entries", tlog.ErrRewritten, path, n)
	}
	return entries[:n], nil
}

// entriesPath is that of tlog-tiles: the index in groups of three digits, all but the last after
// an x.
func entriesPath(index uint64) string {
	s := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		s = fmt.Sprintf("x%03d/%s", index%1000, s)
	}
	return "tile/entries/" + s
}

func partial(path string, n uint64) string {
	if n == width {
		return path
	}
	return path + ".p/" + strconv.FormatUint(n, 10)
}

// parseEntries cuts a bundle into entries: each is preceded by its length in two bytes.
func parseEntries(b []byte) ([][]byte, error) {
	var entries [][]byte
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, errors.New("cut short in a length")
		}
		n := int(binary.BigEndian.Uint16(b))
		if n > tlog.MaxLeaf || len(b) < 2+n || len(entries) == width {
			return nil, errors.New("it is no bundle of entries")
		}
		entries = append(entries, b[2:2+n:2+n])
		b = b[2+n:]
	}
	return entries, nil
}

// file reads one file of the log, of at most limit bytes.
func (l *Log) file(ctx context.Context, path string, limit int64) ([]byte, error) {
	var in io.ReadCloser
	if l.at.Scheme == "file" {
		f, err := os.Open(filepath.Join(filepath.FromSlash(l.at.Path), filepath.FromSlash(path)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no %s", tlog.ErrMissing, path)
		}
		if err != nil {
			return nil, err
		}
		if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
			f.Close()
			return nil, fmt.Errorf("%s is no regular file", path)
		}
		in = f
	} else {
		u := *l.at
		u.Path = strings.TrimSuffix(u.Path, "/") + "/" + path
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		res, err := l.client.Do(req)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", tlog.ErrMissing, err)
		}
		in = res.Body
		if res.StatusCode != http.StatusOK {
			in.Close()
			return nil, fmt.Errorf("%w: the server answers %s for %s", tlog.ErrMissing, res.Status, path)
		}
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", tlog.ErrRewritten, path, limit)
	}
	return b, ctx.Err()
}
