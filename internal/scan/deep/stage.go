package deep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// MaxInput is how large a file may be that is looked into, in bytes.
const MaxInput = 16 << 30

// ErrInput is returned for an input that is not looked into.
var ErrInput = errors.New("the input is not looked into")

// Stage copies a file to where the worker may read it, and returns where that is and the SHA-256 of
// what was copied, in hex: whatever happens to the file meanwhile, the worker reads what has the
// digest.
func (w *Worker) Stage(ctx context.Context, name string) (path, digest string, err error) {
	in, err := os.Open(name)
	if err != nil {
		return "", "", err
	}
	defer in.Close()
	info, err := in.Stat()
	switch {
	case err != nil:
		return "", "", err
	case !info.Mode().IsRegular():
		return "", "", fmt.Errorf("%w: %s is no regular file", ErrInput, name)
	case info.Size() > MaxInput:
		return "", "", fmt.Errorf("%w: %s has more than %d bytes", ErrInput, name, int64(MaxInput))
	}
	if err := os.MkdirAll(w.Input(), 0o700); err != nil {
		return "", "", fmt.Errorf("copy %s: %w", name, err)
	}
	// Readers go by the name's ending.
	path = filepath.Join(w.Input(), plain(filepath.Base(name)))
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", "", fmt.Errorf("copy %s: %w", name, err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(reader{ctx, in}, MaxInput+1))
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil && n > MaxInput {
		err = fmt.Errorf("%w: it has more than %d bytes", ErrInput, int64(MaxInput))
	}
	if err != nil {
		return "", "", fmt.Errorf("copy %s: %w", name, err)
	}
	return path, hex.EncodeToString(h.Sum(nil)), nil
}

// plain is a name that means nothing to a pattern or a shell.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-+", r)) {
			return r
		}
		return '_'
	}, name)
	if name = strings.TrimLeft(name, ".-"); name == "" {
		name = "input"
	}
	if n := len(name) - 200; n > 0 {
		name = name[n:]
	}
	return name
}

type reader struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
