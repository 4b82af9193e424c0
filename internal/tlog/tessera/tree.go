package tessera

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/tessera/client"

	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// A tree computes heads and proofs from the tiles of a log of a given size. It keeps the tiles
// that it has read, and is for one goroutine and one question.
//
// A tile is always read as it is in the tree of that size, whatever partial size the client asks
// for: a batch of several entries leaves no tile for the sizes that it skips.
type tree struct {
	dir   folder
	size  uint64
	tiles map[[2]uint64][]byte
	err   error // of the last tile that could not be read; the client's errors do not wrap it
}

func newTree(dir folder, size uint64) *tree {
	return &tree{dir: dir, size: size, tiles: map[[2]uint64][]byte{}}
}

func (t *tree) fetch(ctx context.Context, level, index uint64, _ uint8) ([]byte, error) {
	if t.err = ctx.Err(); t.err != nil {
		return nil, t.err
	}
	at := [2]uint64{level, index}
	if b, ok := t.tiles[at]; ok {
		return b, nil
	}
	var b []byte
	if b, t.err = t.dir.tile(level, index, t.size); t.err != nil {
		return nil, t.err
	}
	t.tiles[at] = b
	return b, nil
}

// cause returns why a tile could not be read, if that is why the client failed with err. Any
// other error of the client's means that the tiles do not make a tree.
func (t *tree) cause(err error) error {
	if t.err != nil {
		return t.err
	}
	return fmt.Errorf("%w: %w", tlog.ErrRewritten, err)
}

// frontier returns the compact range over the first n entries.
func (t *tree) frontier(ctx context.Context, n uint64) (*compact.Range, error) {
	hashes, err := client.FetchRangeNodes(ctx, n, t.fetch)
	if err != nil {
		return nil, t.cause(err)
	}
	return newRangeFactory().NewRange(0, n, hashes)
}

// head computes the head of the first n entries.
func (t *tree) head(ctx context.Context, n uint64) (tlog.Head, error) {
	r, err := t.frontier(ctx, n)
	if err != nil {
		return tlog.Head{}, err
	}
	return rangeHead(r)
}

// check reports whether want is a state that the log has had; what says who claims so.
func (t *tree) check(ctx context.Context, want tlog.Head, what string) error {
	if want.Size > t.size {
		return fmt.Errorf("%w: it holds %d entries, %s %d", tlog.ErrRolledBack, t.size, what, want.Size)
	}
	got, err := t.head(ctx, want.Size)
	if err != nil {
		return err
	}
	if !got.Equal(want) {
		return fmt.Errorf("%w: at size %d its root is %x, %s %x", tlog.ErrRewritten, want.Size, got.Root, what, want.Root)
	}
	return nil
}

// inclusion returns the path from entry index to the root of the first n entries.
func (t *tree) inclusion(ctx context.Context, index, n uint64) ([][]byte, error) {
	pb, err := client.NewProofBuilder(ctx, n, t.fetch)
	if err != nil {
		return nil, err
	}
	hashes, err := pb.InclusionProof(ctx, index)
	if err != nil {
		return nil, t.cause(err)
	}
	return hashes, nil
}

// consistency returns the proof that the first m entries are a prefix of the first n.
func (t *tree) consistency(ctx context.Context, m, n uint64) ([][]byte, error) {
	if m == 0 || m == n {
		return nil, nil
	}
	pb, err := client.NewProofBuilder(ctx, n, t.fetch)
	if err != nil {
		return nil, err
	}
	hashes, err := pb.ConsistencyProof(ctx, m, n)
	if err != nil {
		return nil, t.cause(err)
	}
	return hashes, nil
}

func newRangeFactory() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: hasher.HashChildren}
}

func rangeHead(r *compact.Range) (tlog.Head, error) {
	if r.End() == 0 {
		return tlog.Head{Size: 0, Root: hasher.EmptyRoot()}, nil
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		return tlog.Head{}, fmt.Errorf("compute root: %w", err)
	}
	return tlog.Head{Size: r.End(), Root: root}, nil
}
