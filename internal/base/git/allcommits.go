package git

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// maxObjects bounds how many objects [Repo.AllCommits] goes through.
const maxObjects = 50_000_000

// AllCommits returns the ids of all commits that the object store holds, whether a ref reaches them or
// not, alternates included. It costs one look at each object: a second for half a million.
func (r *Repo) AllCommits(ctx context.Context) (map[string]bool, error) {
	commits := map[string]bool{}
	err := r.Stream(ctx, nil, func(out io.Reader) error {
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == maxObjects {
				return fmt.Errorf("the repository holds more than %d objects", maxObjects)
			}
			if oid, ok := strings.CutPrefix(lines.Text(), "commit "); ok {
				commits[oid] = true
			}
		}
		return lines.Err()
	}, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectname)")
	if err != nil {
		return nil, fmt.Errorf("list the commits that are here: %w", err)
	}
	return commits, nil
}
