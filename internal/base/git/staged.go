package git

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// maxStaged bounds the list of paths that [Repo.Staged] reads, in bytes.
const maxStaged = 64 << 20

// Staged returns the paths at which the work tree's index differs from a commit. Their content need not
// lie in the work tree, and the next commit takes it all the same. An index that is split over two files
// cannot be read from outside of its repository, and is an error.
func (r *Repo) Staged(ctx context.Context, commit string) ([]string, error) {
	if err := r.checkOID(commit); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := r.command(ctx, "diff-index", "--cached", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", commit)
	cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+filepath.Join(r.gitDir, "index"))
	var stderr tail
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read what is staged: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("read what is staged: %w", err)
	}
	b, readErr := io.ReadAll(io.LimitReader(out, maxStaged+1))
	if len(b) > maxStaged {
		cancel()
		readErr = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxStaged)
	}
	waitErr := cmd.Wait()
	switch {
	case readErr != nil:
		return nil, fmt.Errorf("read what is staged: %w", readErr)
	case waitErr != nil:
		return nil, fmt.Errorf("read what is staged: %w", exitError("diff-index", waitErr, &stderr))
	}
	return strings.FieldsFunc(string(b), func(c rune) bool { return c == 0 }), nil
}
