package tessera

import (
	"bytes"
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// A Report is what [Verify] found in a log that is sound.
type Report struct {
	Status
	Kinds map[string]uint64 `json:"kinds"` // how many entries of each kind
}

// Verify reads the whole log and recomputes it: every entry is a leaf, the entries make every
// tile at every level, and the tree over them has had the roots of the log's state, of its
// checkpoint (whose signature it verifies with verifierKey), and of known, if that is not nil.
// It takes no lock, holds one tile per level in memory, and writes nothing. Its errors are those
// of [Reader.Check].
func Verify(ctx context.Context, dir, verifierKey string, known *tlog.Head) (Report, error) {
	rep, err := verify(ctx, NewReader(dir, verifierKey), known)
	if err != nil {
		return Report{}, fmt.Errorf("verify log: %w", err)
	}
	return rep, nil
}

func verify(ctx context.Context, r *Reader, known *tlog.Head) (Report, error) {
	// Sizes are compared before anything is read at length.
	st, err := r.check(ctx, known)
	if err != nil {
		return Report{}, err
	}
	v := verifier{
		dir: r.dir, size: st.Head.Size,
		sum:  newRangeFactory().NewEmptyRange(0),
		want: []tlog.Head{st.Published, st.Head},
		rep:  Report{Status: st, Kinds: map[string]uint64{}},
	}
	if known != nil {
		v.want = append(v.want, *known)
	}
	if err := v.run(ctx); err != nil {
		return Report{}, err
	}
	return v.rep, nil
}

type verifier struct {
	dir  folder
	size uint64
	sum  *compact.Range // over the entries read so far
	want []tlog.Head    // heads that the log must pass through
	rep  Report

	// rows[k] are the hashes of the tile of level k that is being filled, and rows[k] is
	// compared with the file when it is full or the log ends. done[k] counts the full ones.
	rows [][]byte
	done []uint64
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.checkHeads(); err != nil {
		return err
	}
	for index := uint64(0); index*width < v.size; index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := v.dir.bundle(index, v.size)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := v.entry(e); err != nil {
				return err
			}
		}
	}
	for level := range v.rows {
		if err := v.checkRow(level); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) entry(e []byte) error {
	kind, _, err := tlog.ParseLeaf(e)
	if err != nil {
		return fmt.Errorf("%w: entry %d: %w", tlog.ErrRewritten, v.sum.End(), err)
	}
	v.rep.Kinds[kind]++
	leafHash := hasher.HashLeaf(e)
	var failed error
	put := func(level uint, hash []byte) {
		if level%layout.TileHeight == 0 && failed == nil {
			failed = v.put(int(level/layout.TileHeight), hash)
		}
	}
	put(0, leafHash)
	if err := v.sum.Append(leafHash, func(id compact.NodeID, hash []byte) {
		if id.Level > 0 {
			put(id.Level, hash)
		}
	}); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return v.checkHeads()
}

// put adds a hash to the tile that is being filled at a tile level.
func (v *verifier) put(level int, hash []byte) error {
	if level == len(v.rows) {
		v.rows = append(v.rows, make([]byte, 0, maxTile))
		v.done = append(v.done, 0)
	}
	v.rows[level] = append(v.rows[level], hash...)
	if len(v.rows[level]) < maxTile {
		return nil
	}
	if err := v.checkRow(level); err != nil {
		return err
	}
	v.rows[level] = v.rows[level][:0]
	v.done[level]++
	return nil
}

func (v *verifier) checkRow(level int) error {
	if len(v.rows[level]) == 0 {
		return nil
	}
	got, err := v.dir.tile(uint64(level), v.done[level], v.size)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, v.rows[level]) {
		return fmt.Errorf("%w: %s is not what its entries make", tlog.ErrRewritten, layout.TilePath(uint64(level), v.done[level], 0))
	}
	return nil
}

// checkHeads compares the entries so far with the heads of that size.
func (v *verifier) checkHeads() error {
	for _, want := range v.want {
		if want.Size != v.sum.End() {
			continue
		}
		got, err := rangeHead(v.sum)
		if err != nil {
			return err
		}
		if !got.Equal(want) {
			return fmt.Errorf("%w: its first %d entries have the root %x, which should be %x", tlog.ErrRewritten, got.Size, got.Root, want.Root)
		}
	}
	return nil
}
