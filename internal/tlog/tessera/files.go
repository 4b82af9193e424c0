package tessera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

const (
	width     = layout.TileWidth // hashes in a full tile, and entries in a full bundle
	maxTile   = width * tlog.HashSize
	maxBundle = width * (2 + tlog.MaxLeaf)
	maxState  = 4 << 10

	statePath = ".state/treeState"
	lockPath  = ".state/writer.lock"
)

var hasher = rfc6962.DefaultHasher

// folder reads a log's files. Nothing it returns has been verified.
type folder string

// read returns a whole file of at most limit bytes. Anything larger was not written by us.
func (d folder) read(path string, limit int) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(d), filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", tlog.ErrRewritten, path, limit)
	}
	return b, nil
}

// state reads the integrated head: unsigned, and possibly not what the tiles say.
func (d folder) state() (tlog.Head, error) {
	b, err := d.read(statePath, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return tlog.Head{}, fmt.Errorf("%w: no %s in %s", tlog.ErrMissing, statePath, string(d))
	}
	if err != nil {
		return tlog.Head{}, fmt.Errorf("read log state: %w", err)
	}
	return parseState(b)
}

func parseState(b []byte) (tlog.Head, error) {
	var h tlog.Head
	if err := strict.JSON(b, maxState, &h); err != nil {
		return tlog.Head{}, fmt.Errorf("%w: log state: %w", tlog.ErrRewritten, err)
	}
	if len(h.Root) != tlog.HashSize || h.Size > 1<<62 {
		return tlog.Head{}, fmt.Errorf("%w: log state: size %d, root of %d bytes", tlog.ErrRewritten, h.Size, len(h.Root))
	}
	return h, nil
}

// checkpoint reads the published checkpoint and verifies its signature.
func (d folder) checkpoint(verifierKey string) (tlog.Checkpoint, error) {
	b, err := d.read(layout.CheckpointPath, tlog.MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return tlog.Checkpoint{}, fmt.Errorf("%w: no checkpoint in %s", tlog.ErrMissing, string(d))
	}
	if err != nil {
		return tlog.Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return tlog.OpenCheckpoint(b, verifierKey)
}

// either reads the file of p units at the path that name(p) gives, or the full one if the partial
// one was removed because a full one replaced it.
func (d folder) either(name func(p uint8) string, p uint8, limit int) ([]byte, error) {
	b, err := d.read(name(p), limit)
	if p != 0 && errors.Is(err, fs.ErrNotExist) {
		b, err = d.read(name(0), limit)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", tlog.ErrRewritten, name(p))
	}
	return b, err
}

// tile returns the hashes of one tile in a tree of size.
func (d folder) tile(level, index, size uint64) ([]byte, error) {
	p := layout.PartialTileSize(level, index, size)
	b, err := d.either(func(p uint8) string { return layout.TilePath(level, index, p) }, p, maxTile)
	if err != nil {
		return nil, err
	}
	want := int(p) * tlog.HashSize
	if p == 0 {
		want = maxTile
	}
	if len(b) < want || len(b)%tlog.HashSize != 0 {
		return nil, fmt.Errorf("%w: %s holds %d bytes", tlog.ErrRewritten, layout.TilePath(level, index, p), len(b))
	}
	return b[:want], nil
}

// bundle returns the entries of bundle index in a tree of size.
func (d folder) bundle(index, size uint64) ([][]byte, error) {
	p := layout.PartialTileSize(0, index, size)
	b, err := d.either(func(p uint8) string { return layout.EntriesPath(index, p) }, p, maxBundle)
	if err != nil {
		return nil, err
	}
	n := int(p)
	if p == 0 {
		n = width
	}
	entries, err := parseBundle(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", tlog.ErrRewritten, layout.EntriesPath(index, p), err)
	}
	if len(entries) < n {
		return nil, fmt.Errorf("%w: %s holds %d entries", tlog.ErrRewritten, layout.EntriesPath(index, p), len(entries))
	}
	return entries[:n], nil
}

// parseBundle cuts a bundle into entries: each is preceded by its length in two bytes.
func parseBundle(b []byte) ([][]byte, error) {
	var entries [][]byte
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, errors.New("cut short in a length")
		}
		n := int(binary.BigEndian.Uint16(b))
		if n > tlog.MaxLeaf {
			return nil, fmt.Errorf("entry %d is %d bytes long", len(entries), n)
		}
		if len(b) < 2+n {
			return nil, errors.New("cut short in an entry")
		}
		if len(entries) == width {
			return nil, fmt.Errorf("more than %d entries", width)
		}
		entries = append(entries, b[2:2+n:2+n])
		b = b[2+n:]
	}
	return entries, nil
}

// checkEdge compares the entries of the last bundle with the hashes of the tile over them. It is
// what the next append continues.
func (d folder) checkEdge(size uint64) error {
	if size == 0 {
		return nil
	}
	index := (size - 1) / width
	entries, err := d.bundle(index, size)
	if err != nil {
		return err
	}
	tile, err := d.tile(0, index, size)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if !bytes.Equal(hasher.HashLeaf(e), tile[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
			return fmt.Errorf("%w: entry %d does not match its tile", tlog.ErrRewritten, index*width+uint64(i))
		}
	}
	return nil
}
