package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// Where the files in force came from; the values of [sallyport.Trust].Source.
const (
	SourceRef     = "ref"     // the target's tip
	SourceHistory = "history" // an earlier commit of the target: its tip is not what is pinned
	SourceResult  = "result"  // the merge result, which is exactly what is pinned
	SourceBuiltin = "builtin" // nowhere: the built-in baseline judges
)

// maxHistory bounds how far back Resolve looks for the pinned root.
const maxHistory = 1000

// A Source reads governed files from a repository.
type Source interface {
	// Files returns the files under .sallyport/ in the tree of a commit or tree, by path from
	// the top of the repository, and an empty map if there are none. Anything under it that is
	// not a regular file (a symbolic link, a submodule) must be an error that wraps
	// ErrGoverned: its content is elsewhere. The caller does not change what it gets.
	Files(ctx context.Context, treeish string) (map[string][]byte, error)
	// History returns the commits that changed anything under .sallyport/ on the first-parent
	// history of tip, newest first. It may stop after a thousand.
	History(ctx context.Context, tip string) ([]string, error)
}

// Governing is what is in force for a target.
type Governing struct {
	Files  map[string][]byte // the governed files; nil if the built-in baseline judges
	Trust  sallyport.Trust
	At     string   // the commit or tree that Files were read from; empty if builtin
	Advice []string // why later gates must not rely on a decision made under it
}

// Resolve finds the governed files in force. tip is the target's tip as the enforcement point
// sees it, empty if the ref does not exist yet; resultTree is the tree that a merge would give,
// empty if there is none. With a pin, only files that match it are ever returned, and if there
// are none the error is ErrNoRoot: no decision can be made.
func Resolve(ctx context.Context, src Source, pin sallyport.Digest, tip, resultTree string) (Governing, error) {
	read := func(treeish string) (map[string][]byte, error) {
		if treeish == "" {
			return nil, nil
		}
		files, err := src.Files(ctx, treeish)
		if err != nil {
			return nil, fmt.Errorf("read governed files of %s: %w", treeish, err)
		}
		return files, checkGoverned(files)
	}
	atTip, err := read(tip)
	// A broken tip is no reason to leave a pinned repository without a verdict: it only is not
	// what is pinned.
	if err != nil && (pin.Zero() || !errors.Is(err, ErrGoverned)) {
		return Governing{}, err
	}
	tipHasFiles := len(atTip) > 0 || err != nil
	result, err := read(resultTree)
	if err != nil && !errors.Is(err, ErrGoverned) {
		return Governing{}, err
	}
	g := Governing{Trust: sallyport.Trust{ResultRoot: RootDigest(result)}}
	if pin.Zero() {
		return g.unpinned(atTip, tip), nil
	}
	g.Trust.Pinned, g.Trust.Root = true, pin
	verify := func(files map[string][]byte) bool { return VerifyRoot(files, pin) == nil }
	if verify(atTip) {
		g.Files, g.At, g.Trust.Source = atTip, tip, SourceRef
		return g, nil
	}
	g.Trust.RootChanged = tipHasFiles
	if tip != "" {
		commits, err := src.History(ctx, tip)
		if err != nil {
			return Governing{}, fmt.Errorf("read history of governed files: %w", err)
		}
		for _, c := range commits[:min(len(commits), maxHistory)] {
			files, err := read(c)
			if err != nil && !errors.Is(err, ErrGoverned) {
				return Governing{}, err
			}
			if err == nil && verify(files) {
				g.Trust.RootChanged = true // even if the tip holds no governed files any more
				g.Files, g.At, g.Trust.Source = files, c, SourceHistory
				return g, nil
			}
		}
	}
	if verify(result) {
		g.Files, g.At, g.Trust.Source = result, resultTree, SourceResult
		return g, nil
	}
	return Governing{}, fmt.Errorf("%w: %s is not the root of the target's tip, of the last %d commits that changed %s, or of the merge result",
		ErrNoRoot, pin, maxHistory, GovernedDir)
}

func (g Governing) unpinned(files map[string][]byte, tip string) Governing {
	g.Advice = []string{"no root digest is pinned: whoever can push to the target can change the rules that judge"}
	if len(files) == 0 {
		g.Trust.Source, g.Trust.Root = SourceBuiltin, Builtin().Digest()
		g.Advice = append(g.Advice, "the target holds no policy: the built-in baseline judged")
		return g
	}
	g.Files, g.At, g.Trust.Source, g.Trust.Root = files, tip, SourceRef, RootDigest(files)
	if root, ok := files[RootPath]; ok {
		if err := VerifyRoot(files, sallyport.SHA256(root)); err != nil {
			g.Advice = append(g.Advice, err.Error())
		}
	}
	return g
}

// checkGoverned bounds governed files and their paths.
func checkGoverned(files map[string][]byte) error {
	if len(files) > maxGovernedFiles {
		return fmt.Errorf("%w: %d files, the limit is %d", ErrGoverned, len(files), maxGovernedFiles)
	}
	size := 0
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if err := checkGovernedPath(p); err != nil {
			return fmt.Errorf("%w: %w", ErrGoverned, err)
		}
		size += len(files[p])
	}
	if size > maxGovernedBytes {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrGoverned, size, maxGovernedBytes)
	}
	return nil
}

// Set returns the policy set called name: the built-in one, or the files of the folder of that
// name under .sallyport/.
func (g Governing) Set(name string) (Set, error) {
	if name == BaselineName {
		return Builtin(), nil
	}
	s := Set{Name: name, Files: map[string][]byte{}}
	if name == "" {
		return Set{}, fmt.Errorf("%w: a policy set without a name", ErrCompile)
	}
	dir := GovernedDir + name + "/"
	for p, b := range g.Files {
		if rel, ok := strings.CutPrefix(p, dir); ok {
			s.Files[rel] = b
		}
	}
	if len(s.Files) == 0 {
		return Set{}, fmt.Errorf("%w: there is no policy set %s under %s", ErrEmpty, name, GovernedDir)
	}
	return s, nil
}
