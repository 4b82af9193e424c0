package tessera

import (
	"context"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// A Reader reads a log without its lock, its signer or Tessera's appender. It holds nothing open.
type Reader struct {
	dir folder
	key string
}

// NewReader returns a reader of the log in dir whose verifier key (a note verifier key) is given.
// It does not look at the folder yet.
func NewReader(dir, verifierKey string) *Reader { return &Reader{dir: folder(dir), key: verifierKey} }

// A Status is what a log says of itself, after [Reader.Check].
type Status struct {
	Origin    string    `json:"origin"`
	Head      tlog.Head `json:"head"`      // integrated: recomputed from the tiles, not signed yet
	Published tlog.Head `json:"published"` // of the checkpoint, whose signature verified
}

// Check verifies what can be verified cheaply: the checkpoint's signature and origin; that the
// tiles lead to the roots of the integrated tree, of the checkpoint, and of known, if it is not
// nil; that the last bundle matches its tile. Its errors wrap [tlog.ErrMissing],
// [tlog.ErrForeign], [tlog.ErrRolledBack] or [tlog.ErrRewritten].
func (r *Reader) Check(ctx context.Context, known *tlog.Head) (Status, error) {
	st, err := r.check(ctx, known)
	if err != nil {
		return Status{}, fmt.Errorf("check log: %w", err)
	}
	return st, nil
}

func (r *Reader) check(ctx context.Context, known *tlog.Head) (Status, error) {
	// The checkpoint first: a writer may be at work, and may publish a larger one after the
	// state was read.
	cp, err := r.dir.checkpoint(r.key)
	if err != nil {
		return Status{}, err
	}
	head, err := r.dir.state()
	if err != nil {
		return Status{}, err
	}
	// Size first and against all, so that an older copy of the folder is called what it is.
	t := newTree(r.dir, head.Size)
	if known != nil {
		if err := t.check(ctx, *known, "it is known to have had"); err != nil {
			return Status{}, err
		}
	}
	if err := t.check(ctx, cp.Head, "its checkpoint says"); err != nil {
		return Status{}, err
	}
	if err := t.check(ctx, head, "its state says"); err != nil {
		return Status{}, err
	}
	if err := r.dir.checkEdge(head.Size); err != nil {
		return Status{}, err
	}
	return Status{Origin: cp.Origin, Head: head, Published: cp.Head}, nil
}

// Checkpoint returns the published checkpoint, its signature verified.
func (r *Reader) Checkpoint(context.Context) (tlog.Checkpoint, error) {
	return r.dir.checkpoint(r.key)
}

// An Entry is one entry of the log.
type Entry struct {
	Index  uint64           `json:"index"`
	Kind   string           `json:"kind"`
	Digest sallyport.Digest `json:"digest"`
}

// MaxEntries is how many entries one call of [Reader.Entries] returns at most.
const MaxEntries = 4096

// Entries returns the entries from index from on, limit of them at most and [MaxEntries] in any
// case. They are read from integrated entries and are not proven to be in the tree.
func (r *Reader) Entries(ctx context.Context, from uint64, limit int) ([]Entry, error) {
	head, err := r.dir.state()
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return r.entries(ctx, from, limit, head.Size)
}

// Tail returns the newest n entries, oldest first, and [MaxEntries] at most.
func (r *Reader) Tail(ctx context.Context, n int) ([]Entry, error) {
	head, err := r.dir.state()
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	n = min(max(n, 0), MaxEntries)
	from := uint64(0)
	if head.Size > uint64(n) {
		from = head.Size - uint64(n)
	}
	return r.entries(ctx, from, n, head.Size)
}

func (r *Reader) entries(ctx context.Context, from uint64, limit int, size uint64) ([]Entry, error) {
	limit = min(limit, MaxEntries)
	out := []Entry{}
	for from < size && len(out) < limit {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		bundle, err := r.dir.bundle(from/width, size)
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		for _, e := range bundle[from%width:] {
			if len(out) == limit {
				break
			}
			kind, d, err := tlog.ParseLeaf(e)
			if err != nil {
				return nil, fmt.Errorf("read log: %w: entry %d: %w", tlog.ErrRewritten, from, err)
			}
			out = append(out, Entry{Index: from, Kind: kind, Digest: d})
			from++
		}
	}
	return out, nil
}

// Prove returns the proof that entry index is in the published checkpoint's tree, verified as a
// reader of it would. If the checkpoint does not cover the entry the error wraps
// [tlog.ErrUnpublished].
func (r *Reader) Prove(ctx context.Context, index uint64) (tlog.Proof, error) {
	p, err := r.prove(ctx, index)
	if err != nil {
		return tlog.Proof{}, fmt.Errorf("prove entry %d: %w", index, err)
	}
	return p, nil
}

func (r *Reader) prove(ctx context.Context, index uint64) (tlog.Proof, error) {
	cp, err := r.dir.checkpoint(r.key)
	if err != nil {
		return tlog.Proof{}, err
	}
	if index >= cp.Size {
		return tlog.Proof{}, fmt.Errorf("%w: it covers %d entries", tlog.ErrUnpublished, cp.Size)
	}
	head, err := r.dir.state()
	if err != nil {
		return tlog.Proof{}, err
	}
	if head.Size < cp.Size {
		return tlog.Proof{}, fmt.Errorf("%w: it holds %d entries, its checkpoint says %d", tlog.ErrRolledBack, head.Size, cp.Size)
	}
	bundle, err := r.dir.bundle(index/width, head.Size)
	if err != nil {
		return tlog.Proof{}, err
	}
	leaf := bundle[index%width]
	hashes, err := newTree(r.dir, head.Size).inclusion(ctx, index, cp.Size)
	if err != nil {
		return tlog.Proof{}, err
	}
	p := tlog.NewProof(index, leaf, hashes, cp)
	if err := tlog.VerifyProof(p, leaf, r.key); err != nil {
		return tlog.Proof{}, fmt.Errorf("%w: %w", tlog.ErrRewritten, err)
	}
	return p, nil
}

// ProveConsistency returns the published checkpoint, and the hashes with which
// [tlog.VerifyConsistency] shows that it continues older.
func (r *Reader) ProveConsistency(ctx context.Context, older tlog.Head) (tlog.Checkpoint, [][]byte, error) {
	cp, hashes, err := r.proveConsistency(ctx, older)
	if err != nil {
		return tlog.Checkpoint{}, nil, fmt.Errorf("prove consistency: %w", err)
	}
	return cp, hashes, nil
}

func (r *Reader) proveConsistency(ctx context.Context, older tlog.Head) (tlog.Checkpoint, [][]byte, error) {
	cp, err := r.dir.checkpoint(r.key)
	if err != nil {
		return tlog.Checkpoint{}, nil, err
	}
	if older.Size > cp.Size {
		return tlog.Checkpoint{}, nil, fmt.Errorf("%w: its checkpoint covers %d entries, %d are known", tlog.ErrRolledBack, cp.Size, older.Size)
	}
	head, err := r.dir.state()
	if err != nil {
		return tlog.Checkpoint{}, nil, err
	}
	if head.Size < cp.Size {
		return tlog.Checkpoint{}, nil, fmt.Errorf("%w: it holds %d entries, its checkpoint says %d", tlog.ErrRolledBack, head.Size, cp.Size)
	}
	hashes, err := newTree(r.dir, head.Size).consistency(ctx, older.Size, cp.Size)
	if err != nil {
		return tlog.Checkpoint{}, nil, err
	}
	return cp, hashes, tlog.VerifyConsistency(older, cp.Head, hashes)
}
