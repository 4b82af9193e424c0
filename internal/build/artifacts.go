package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/glob"
)

// Bounds of a search for artifacts.
const (
	MaxPatterns  = 64
	MaxArtifacts = 10_000
	maxWalk      = 4_000_000
)

// Errors about artifacts. Each is wrapped with the file and what is the matter with it.
var (
	ErrPattern   = errors.New("not a pattern for artifacts")
	ErrArtifact  = errors.New("not an artifact")
	ErrNone      = errors.New("no artifact")
	ErrUnchanged = errors.New("not made by this run")
)

// An Artifact is a file that a run made.
type Artifact struct {
	Path      string // with slashes, from the folder of the run; what statements call it
	SHA256    string // hex
	Size      int64
	Unchanged bool // it lay there before the run, which did not touch it
}

// A Watch finds the artifacts of one run.
type Watch struct {
	dir      string
	patterns []glob.Glob
	said     []string
	before   map[string]fs.FileInfo
}

// NewWatch remembers what matches the patterns in dir now. Patterns are those of package glob, from
// dir on, with or without "./" before them.
func NewWatch(ctx context.Context, dir string, patterns []string) (*Watch, error) {
	if len(patterns) > MaxPatterns {
		return nil, fmt.Errorf("%w: %d of them, the limit is %d", ErrPattern, len(patterns), MaxPatterns)
	}
	w := &Watch{dir: dir, before: map[string]fs.FileInfo{}}
	for _, p := range patterns {
		if strings.HasPrefix(p, "/") {
			return nil, fmt.Errorf("%w: %s: artifacts lie below the folder of the run, and patterns begin there", ErrPattern, p)
		}
		g, err := glob.Parse(strings.TrimPrefix(p, "./"))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPattern, err)
		}
		w.patterns, w.said = append(w.patterns, g), append(w.said, p)
	}
	err := w.walk(ctx, func(_ *os.Root, p string, e fs.DirEntry) error {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		w.before[p] = info
		return err
	})
	return w, err
}

// walk calls fn for what matches a pattern. It goes into no folder that is a link: what lies there is
// not attested.
func (w *Watch) walk(ctx context.Context, fn func(root *os.Root, p string, e fs.DirEntry) error) error {
	if len(w.patterns) == 0 {
		return nil
	}
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		return fmt.Errorf("look for artifacts: %w", err)
	}
	defer root.Close()
	n := 0
	return fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist) && p != ".":
			return nil // it went away meanwhile
		case err != nil:
			return fmt.Errorf("look for artifacts in %s: %w", p, err)
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && e.Name() == ".git":
			return fs.SkipDir
		case e.IsDir():
			if !slices.ContainsFunc(w.patterns, func(g glob.Glob) bool { return p == "." || g.Below(p) }) {
				return fs.SkipDir
			}
			return nil
		}
		if n++; n > maxWalk {
			return fmt.Errorf("look for artifacts: more than %d files lie where patterns lead: name narrower ones", maxWalk)
		}
		if slices.ContainsFunc(w.patterns, func(g glob.Glob) bool { return g.Match(p) }) {
			return fn(root, p, e)
		}
		return nil
	})
}

// Artifacts reads what matches now, by path. A pattern that matches nothing is an error, and so is
// whatever cannot be vouched for. With allowUnchanged what the run did not touch is taken too, and
// marked.
func (w *Watch) Artifacts(ctx context.Context, allowUnchanged bool) ([]Artifact, error) {
	var out []Artifact
	matched := make([]bool, len(w.patterns))
	err := w.walk(ctx, func(root *os.Root, p string, e fs.DirEntry) error {
		for i, g := range w.patterns {
			matched[i] = matched[i] || g.Match(p)
		}
		if len(out) == MaxArtifacts {
			return fmt.Errorf("%w: more than %d files match", ErrArtifact, MaxArtifacts)
		}
		a, err := w.read(root, p, e)
		if err != nil {
			return err
		}
		if a.Unchanged && !allowUnchanged {
			return fmt.Errorf("%s: %w: it lay there before, and was not touched", p, ErrUnchanged)
		}
		out = append(out, a)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, ok := range matched {
		if !ok {
			return nil, fmt.Errorf("%w: nothing matches %s", ErrNone, w.said[i])
		}
	}
	slices.SortFunc(out, func(a, b Artifact) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func (w *Watch) read(root *os.Root, p string, e fs.DirEntry) (Artifact, error) {
	a := Artifact{Path: p}
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		return a, fmt.Errorf("%s: %w: it is a symbolic link, and what it leads to is not followed", p, ErrArtifact)
	case !e.Type().IsRegular():
		return a, fmt.Errorf("%s: %w: it is no regular file", p, ErrArtifact)
	}
	f, err := openNow(root, p)
	if err != nil {
		return a, fmt.Errorf("read the artifact: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return a, fmt.Errorf("read the artifact: %w", err)
	}
	if !info.Mode().IsRegular() {
		return a, fmt.Errorf("%s: %w: it is no regular file", p, ErrArtifact)
	}
	h := sha256.New()
	if a.Size, err = io.Copy(h, f); err != nil {
		return a, fmt.Errorf("read the artifact %s: %w", p, err)
	}
	a.SHA256 = hex.EncodeToString(h.Sum(nil))
	after, err1 := f.Stat()
	there, err2 := root.Lstat(p)
	if err1 != nil || err2 != nil || !same(info, after) || !same(info, there) || a.Size != info.Size() {
		return a, fmt.Errorf("%s: %w: it changed while it was read", p, ErrArtifact)
	}
	before, ok := w.before[p]
	a.Unchanged = ok && same(before, info)
	return a, nil
}

// same reports whether two looks at a file saw it untouched in between.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
