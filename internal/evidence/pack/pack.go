// Package pack reads and writes evidence packs: one file with everything that is needed to derive a
// decision again, on a machine that has nothing else.
//
// A pack is an uncompressed tar archive in one exact form: members in the order of their names, regular
// files only, mode 0644, no owner, no time, in the USTAR format, and two blocks of zeroes at the end. [Write]
// makes it, and [Read] refuses every other form by writing what it read again and comparing: no byte of a pack
// is without meaning, so none can be changed unseen.
//
// What the members mean is the caller's to say, and nothing in a pack is believed because it is there.
package pack

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Limits of a pack.
const (
	MaxSize  = 256 << 20 // bytes of the archive
	MaxFiles = 20_000
	maxName  = 99 // what one field of a USTAR header holds
)

// ErrFormat is wrapped by every error about a pack's form.
var ErrFormat = errors.New("not an evidence pack")

// Write returns the pack of files, by name: slash-separated, relative, at most 99 bytes.
func Write(files map[string][]byte) ([]byte, error) {
	if len(files) == 0 || len(files) > MaxFiles {
		return nil, fmt.Errorf("%w: it has %d members, want 1 to %d", ErrFormat, len(files), MaxFiles)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := checkName(name); err != nil {
			return nil, err
		}
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, name, err)
		}
		if b.Len() > MaxSize {
			return nil, fmt.Errorf("%w: it is larger than %d MiB", ErrFormat, MaxSize>>20)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return b.Bytes(), nil
}

// Read returns the files of a pack.
func Read(b []byte) (map[string][]byte, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: it is larger than %d MiB", ErrFormat, MaxSize>>20)
	}
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if len(files) == MaxFiles {
			return nil, fmt.Errorf("%w: it has more than %d members", ErrFormat, MaxFiles)
		}
		if h.Typeflag != tar.TypeReg || h.Size > int64(len(b)) {
			return nil, fmt.Errorf("%w: %.100q is no regular file", ErrFormat, h.Name)
		}
		if _, twice := files[h.Name]; twice {
			return nil, fmt.Errorf("%w: %.100q stands twice", ErrFormat, h.Name)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("%w: %.100q: %w", ErrFormat, h.Name, err)
		}
	}
	again, err := Write(files)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: its bytes are not those that its members give", ErrFormat)
	}
	return files, nil
}

func checkName(name string) error {
	if name == "" || len(name) > maxName || path.Clean(name) != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") ||
		strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return fmt.Errorf("%w: %.120q is no name of a member", ErrFormat, name)
	}
	return nil
}
