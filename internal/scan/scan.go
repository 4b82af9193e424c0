// Package scan looks at the new content of a change and says what is in it.
//
// For each file of a change that has new content, it
//
//   - sorts the file into classes by path and content ([Classify]) and notes them in the change;
//   - finds secrets, by gitleaks' rules and a few of our own ([SecretMatcher]);
//   - finds code points that a reviewer cannot see and a program or a model can ([HiddenIn]),
//     in the content and in the file's name.
//
// Only new content is judged: the lines that the change adds, the whole of a file that it adds,
// of one without lines, and of one that it renames into a class where content means more than
// before. A finding touches at least one new line; what an old line holds was judged when it was
// new.
//
// What cannot be scanned is a finding of its own kind, never "nothing found": content over the
// size limit, content that cannot be read, and content that lies elsewhere (a submodule's commit,
// a Git LFS pointer).
//
// Nothing in the scanned content can silence the scanner: no inline comment, no marker. A finding
// never holds a secret, only its kind, its length, and up to four leading characters that all
// secrets of the kind share. Its ID is derived from kind, rule, path and the line around the
// secret, not from the secret itself, and so cannot be used to test guesses; it survives a move
// to another line.
//
// Results are cached by blob, ranges of new lines, path, modes and the digest of the rules. A
// cache entry carries a checksum over its key and its value, and one that does not verify is
// thrown away and made anew. The checksum finds damage, not forgery: the cache belongs to the
// enforcement point's own state.
//
// The package knows no git and no database: it asks for content and keeps results through the
// two interfaces below.
package scan

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/sallyport-dev/sallyport"
)

// MaxBlob is the size up to which content is scanned, in bytes.
const MaxBlob = 64 << 20

// inFlight bounds the content that is held in memory at one time.
const inFlight = 96 << 20

// ErrTooLarge may be wrapped by a [Blobs] to say that content is over the limit it was given.
var ErrTooLarge = errors.New("content is too large to be scanned")

// Blobs gives access to content by git object id.
type Blobs interface {
	// Blob returns the content of the blob oid. If it has more than limit bytes, Blob returns an
	// error and no content, and should not read all of it. Blob must be safe for concurrent
	// use; the caller does not change what it returns.
	Blob(ctx context.Context, oid string, limit int64) ([]byte, error)
}

// A Cache keeps results between runs. It may forget, and what it returns is checked. It must be
// safe for concurrent use.
type Cache interface {
	Get(ctx context.Context, key string) (value []byte, ok bool)
	Put(ctx context.Context, key string, value []byte)
}

// A Scanner scans changes. It is safe for concurrent use.
type Scanner struct {
	blobs   Blobs
	cache   Cache
	secrets SecretMatcher
	limit   int64
}

// New returns a scanner that reads from blobs. The cache may be nil.
func New(blobs Blobs, cache Cache) *Scanner {
	return &Scanner{blobs: blobs, cache: cache, secrets: NewSecretMatcher(), limit: MaxBlob}
}

// Change scans the new content of c and returns what it found, sorted by path, line, kind and
// rule; content that only a commit in between holds is scanned too, and its findings name the
// commit. It fills the Classes of every file of c in place. The error is not nil only if ctx ended:
// whatever else goes wrong with a file is a finding.
func (s *Scanner) Change(ctx context.Context, c *sallyport.Change) ([]sallyport.Finding, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		workers = min(max(2, runtime.GOMAXPROCS(0)), 8)
		memory  = semaphore.NewWeighted(inFlight)
		jobs    = make(chan int)
		results = make([][]sallyport.Finding, len(c.Files)+len(c.Passing))
		wg      sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for i := range jobs {
				f, in := nth(c, i)
				weight := min(max(f.Size, 0)+4096, inFlight)
				if memory.Acquire(ctx, weight) != nil {
					continue
				}
				results[i] = s.file(ctx, f)
				if !in.Zero() {
					results[i] = inPassing(results[i], in)
				}
				memory.Release(weight)
			}
		})
	}
	for i := range results {
		if ctx.Err() != nil {
			break
		}
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("scan the change: %w", err)
	}
	findings := slices.Concat(results...)
	sortFindings(findings)
	return findings, nil
}

// nth returns the i-th thing to scan: the files of the change, then what its commits hold in
// passing, with the commit.
func nth(c *sallyport.Change, i int) (*sallyport.File, sallyport.Digest) {
	if i < len(c.Files) {
		return &c.Files[i], ""
	}
	p := &c.Passing[i-len(c.Files)]
	return &p.File, p.Commit
}

// inPassing marks findings in content that a later commit of the range removes again.
func inPassing(fs []sallyport.Finding, commit sallyport.Digest) []sallyport.Finding {
	out := slices.Clone(fs)
	for i := range out {
		out[i].Commit = commit
		out[i].Text += "; it is in commit " + commit.Short() + " and no longer in the result"
	}
	return out
}

func sortFindings(f []sallyport.Finding) {
	slices.SortStableFunc(f, func(a, b sallyport.Finding) int {
		if a.Path != b.Path {
			return strings.Compare(string(a.Path), string(b.Path))
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		if a.Kind != b.Kind {
			return strings.Compare(string(a.Kind), string(b.Kind))
		}
		return strings.Compare(a.Rule, b.Rule)
	})
}
