package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Bounds of what is read.
const (
	maxFiles = 4_000_000 // of one source
	maxDepth = 16
	// MaxArchive is how large a zip file may be.
	MaxArchive = 4 << 30
	// Archives of records shrink to a tenth. What shrinks to less than a hundredth is made to fill a
	// machine, beyond an amount that it may have for nothing.
	maxRatio = 100
	freely   = 64 << 20
	maxBytes = 64 << 30 // of the records of one source
)

// ErrSource is wrapped by errors about a source that is not taken.
var ErrSource = errors.New("the source is not taken")

// A file is one JSON file of a source.
type file struct {
	name string
	body []byte
}

// A walk goes through one source.
type walk struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one call
	give  func(file) error
	files int
	bytes int64
	links int
}

func (w *walk) take(name string, r io.Reader) error {
	if w.files++; w.files > maxFiles {
		return fmt.Errorf("%w: more than %d files", ErrSource, maxFiles)
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, MaxRecord+1))
	if err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrSource, clip(name), err)
	}
	if n > MaxRecord {
		return fmt.Errorf("%w: %s is larger than the %d bytes that a record may have", ErrSource, clip(name), MaxRecord)
	}
	if w.bytes += n; w.bytes > maxBytes {
		return fmt.Errorf("%w: more than %d bytes of records", ErrSource, int64(maxBytes))
	}
	return w.give(file{name, b.Bytes()})
}

// archive gives the JSON files of a zip file, and returns the digest of all its bytes.
func (w *walk) archive(f *os.File, size int64) (sallyport.Digest, error) {
	if size > MaxArchive {
		return "", fmt.Errorf("%w: %d bytes, the limit is %d", ErrSource, size, int64(MaxArchive))
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
		return "", fmt.Errorf("%w: %w", ErrSource, err)
	}
	z, err := zip.NewReader(f, size)
	if err != nil {
		return "", fmt.Errorf("%w: not a zip file that can be read: %w", ErrSource, err)
	}
	most := max(int64(freely), size*maxRatio)
	for _, e := range z.File {
		switch {
		case e.FileInfo().IsDir():
			continue
		case !e.Mode().IsRegular():
			w.links++
			continue
		case !isJSON(e.Name):
			continue
		}
		if declared := e.UncompressedSize64; declared > MaxRecord {
			return "", fmt.Errorf("%w: %s is larger than the %d bytes that a record may have", ErrSource, clip(e.Name), MaxRecord)
		}
		r, err := e.Open()
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrSource, clip(e.Name), err)
		}
		err = w.take(e.Name, r) // which also checks the member's checksum, at its end
		_ = r.Close()
		if err != nil {
			return "", err
		}
		if w.bytes > most {
			return "", fmt.Errorf("%w: it grows to more than %d times its size", ErrSource, maxRatio)
		}
	}
	return sallyport.Digest("sha256:" + fmt.Sprintf("%x", h.Sum(nil))), nil
}

// folder gives the JSON files below root, and calls zipped for each zip file. What the name of
// begins with a dot is skipped, as git's own folder is.
func (w *walk) folder(root *os.Root, zipped func(name string) error) error {
	return fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrSource, err)
		case p == ".":
			return nil
		case strings.HasPrefix(e.Name(), "."):
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir():
			if strings.Count(p, "/") >= maxDepth {
				return fmt.Errorf("%w: folders are nested more than %d deep", ErrSource, maxDepth)
			}
			return nil
		case !e.Type().IsRegular():
			w.links++
			return nil
		case strings.EqualFold(path.Ext(p), ".zip"):
			return zipped(p)
		case !isJSON(p):
			return nil
		}
		f, err := root.Open(p)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSource, err)
		}
		defer f.Close()
		return w.take(p, f)
	})
}

func isJSON(name string) bool { return strings.EqualFold(path.Ext(name), ".json") }

// vulndbTime is when a database of Go's layout was made, by its index/db.json.
func vulndbTime(f file) (time.Time, bool) {
	if !strings.HasSuffix("/"+f.name, "/index/db.json") || len(f.body) > 4096 {
		return time.Time{}, false
	}
	var db struct {
		Modified string `json:"modified"`
	}
	if json.Unmarshal(f.body, &db) != nil {
		return time.Time{}, false
	}
	t, err := stamp(db.Modified)
	return t, err == nil && !t.IsZero()
}

// source reads one path into b: a zip file, a folder with its zip files as sources of their own, or one record.
func (b *builder) source(ctx context.Context, name string, asOf time.Time) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	if info.IsDir() {
		return b.dir(ctx, name, asOf)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is neither a file nor a folder", ErrSource, name)
	}
	var begin [4]byte
	if _, err := f.ReadAt(begin[:], 0); err == nil && string(begin[:2]) == "PK" {
		return b.zip(ctx, f, info.Size(), name, asOf)
	}
	s := b.begin(name, asOf)
	h := sha256.New()
	w := &walk{ctx: ctx, give: func(f file) error { fmt.Fprintf(h, "%x\n", sha256.Sum256(f.body)); return b.add(s, f) }}
	if err := w.take(filepath.Base(name), f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return b.end(s, sallyport.Digest(fmt.Sprintf("sha256:%x", h.Sum(nil))))
}

func (b *builder) zip(ctx context.Context, f *os.File, size int64, name string, asOf time.Time) error {
	s := b.begin(name, asOf)
	w := &walk{ctx: ctx, give: func(f file) error { return b.add(s, f) }}
	digest, err := w.archive(f, size)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.sources[s].NotFollow = w.links
	return b.end(s, digest)
}

func (b *builder) dir(ctx context.Context, name string, asOf time.Time) error {
	root, err := os.OpenRoot(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	defer root.Close()
	s := b.begin(name, asOf)
	h := sha256.New()
	w := &walk{ctx: ctx, give: func(f file) error {
		fmt.Fprintf(h, "%s\x00%x\n", f.name, sha256.Sum256(f.body))
		return b.add(s, f)
	}}
	zips := 0
	err = w.folder(root, func(p string) error {
		f, err := root.Open(p)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSource, err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSource, err)
		}
		zips++
		return b.zip(ctx, f, info.Size(), filepath.Join(name, filepath.FromSlash(p)), asOf)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.sources[s].NotFollow = w.links
	if zips > 0 && w.files == 0 {
		b.sources[s].skip = true // the archives in it are the sources
		return nil
	}
	return b.end(s, sallyport.Digest(fmt.Sprintf("sha256:%x", h.Sum(nil))))
}
