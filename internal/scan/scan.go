// Package scan looks at the new content of a change and says what is in it.
//
// For each file of a change that has new content, it
//
//   - sorts the file into classes by path and content ([Classify]) and notes them in the change;
//   - finds secrets, by gitleaks' rules and a few of our own ([SecretMatcher]);
//   - finds code points that a reviewer cannot see and a program or a model can ([HiddenIn]),
//     in the content and in the file's name;
//   - finds names that would be read as ASCII and hold letters of another script;
//   - reads CI definitions, scripts and agents' settings ([workflow.Scan]);
//   - says which packages a lock or manifest file adds, updates or removes (package dep), and what
//     an advisory database knows about those that it brings (package advisory).
//
// Only new content is judged: the lines that the change adds, the whole of a file that it adds,
// of one without lines, and of one that it renames into a class where content means more than
// before. A finding touches at least one new line; what an old line holds was judged when it was
// new. Of CI definitions new is what the old content did not give: a trigger that is added makes
// old steps grave, and so does a permission that is taken away.
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
// Results are cached by blob, ranges of new lines, path, modes and the digest of the rules, file by
// file, and once more for all files of a change together: one read then answers for it. A cache
// entry carries a checksum over its key and its value, and one that does not verify is
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
	"github.com/sallyport-dev/sallyport/internal/scan/names"
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
	popular *names.List // nil: what is built in
	advice  *Advice     // nil: packages are not looked up
	named   *Names      // nil: names are not asked for
	limit   int64
}

// New returns a scanner that reads from blobs. The cache may be nil.
func New(blobs Blobs, cache Cache) *Scanner {
	return &Scanner{blobs: blobs, cache: cache, secrets: lazyMatcher{}, limit: MaxBlob}
}

// Popular has the scanner compare new packages with the names of l; nil changes nothing. It must be
// called before the first Change, and returns s.
func (s *Scanner) Popular(l *names.List) *Scanner {
	if l != nil {
		s.popular = l
	}
	return s
}

// Matching has the scanner find secrets by m instead of by [Secrets]; nil changes nothing. It must be called
// before the first Change, and returns s.
func (s *Scanner) Matching(m SecretMatcher) *Scanner {
	if m != nil {
		s.secrets = m
	}
	return s
}

// Change scans the new content of c and returns what it found, sorted by path, line, kind and
// rule; content that only a commit in between holds is scanned too, and its findings name the
// commit. It fills the Classes of every file of c in place, and the Dependencies of c. The error is not nil only if ctx ended:
// whatever else goes wrong with a file is a finding.
func (s *Scanner) Change(ctx context.Context, c *sallyport.Change) ([]sallyport.Finding, error) {
	jobs := s.jobs(c)
	if !s.loadAll(ctx, jobs) {
		if err := s.scanAll(ctx, jobs); err != nil {
			return nil, err
		}
		s.storeAll(ctx, jobs)
	}
	var findings []sallyport.Finding
	c.Dependencies = []sallyport.Dependency{}
	for i := range jobs {
		j := &jobs[i]
		j.file.Classes = j.Classes
		if j.in.Zero() {
			findings = append(findings, j.Findings...)
			findings = append(findings, j.DependencyFindings...)
			c.Dependencies = append(c.Dependencies, j.Dependencies...)
		} else {
			findings = append(findings, inPassing(j.Findings, j.in)...)
		}
	}
	findings = append(findings, s.lookAlikes(c.Dependencies)...)
	findings = append(findings, s.strangers(c.Dependencies)...)
	findings = append(findings, s.advised(c.Dependencies, findings)...)
	sortFindings(findings)
	return findings, nil
}

// A job is one file to scan.
type job struct {
	file *sallyport.File
	in   sallyport.Digest // the commit, of what commits hold in passing
	plan plan
	key  string // of the result in the cache; empty if there is no cache

	result
	final bool // the result is the same another time
}

// jobs lists what there is to scan: the files of the change, then what its commits hold in
// passing.
func (s *Scanner) jobs(c *sallyport.Change) []job {
	jobs := make([]job, 0, len(c.Files)+len(c.Passing))
	for i := range c.Files {
		jobs = append(jobs, job{file: &c.Files[i]})
	}
	for i := range c.Passing {
		jobs = append(jobs, job{file: &c.Passing[i].File, in: c.Passing[i].Commit})
	}
	for i := range jobs {
		j := &jobs[i]
		j.plan = planOf(j.file)
		if s.cache != nil {
			j.key = s.key(j.file, j.plan)
		}
	}
	return jobs
}

// scanAll does the jobs, several at a time.
func (s *Scanner) scanAll(ctx context.Context, jobs []job) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		workers = min(max(2, runtime.GOMAXPROCS(0)), 8)
		memory  = semaphore.NewWeighted(inFlight)
		next    = make(chan *job)
		wg      sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for j := range next {
				weight := min(max(j.file.Size, 0)+4096, inFlight)
				if memory.Acquire(ctx, weight) != nil {
					continue
				}
				s.do(ctx, j)
				memory.Release(weight)
			}
		})
	}
	for i := range jobs {
		if ctx.Err() != nil {
			break
		}
		next <- &jobs[i]
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("scan the change: %w", err)
	}
	return nil
}

// do scans one file, from the cache if that holds the result.
func (s *Scanner) do(ctx context.Context, j *job) {
	if r, ok := s.load(ctx, j.key); ok {
		j.result, j.final = r, true
		return
	}
	j.result, j.final = s.scanFile(ctx, j.file, j.plan)
	s.dependencies(ctx, j)
	if j.final {
		s.store(ctx, j.key, j.result)
	}
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
