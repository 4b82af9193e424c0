package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
	// History returns the commits that changed anything under .sallyport/ in the whole history of
	// tip, along every parent of a merge, newest first. It may stop after a thousand. Which
	// parent of a merge is the first is its author's choice, so nothing may hang on it; and what
	// a side branch held is harmless, since only signatures put a version in force. Tip may be a
	// range, A..B: what B's history has and A's has not.
	History(ctx context.Context, tip string) ([]string, error)
}

// A Request is what Resolve is asked.
type Request struct {
	// Pin is the digest of a root that was pinned outside the repository; zero if none is.
	Pin sallyport.Digest
	// Tip is the target's tip as the enforcement point sees it, empty if the ref does not exist.
	Tip string
	// Also are tips of further refs of the repository. What is signed there is in force here.
	Also []string
	// Result is the tree that a merge would give, empty if there is none.
	Result string
	// Head is the commit that would land, empty if there is none. What its history brings must
	// leave a chain that can be followed.
	Head string
	// Now is the enforcement point's clock.
	Now time.Time
	// Keys says whose keys are whose; without it no version follows the pinned one.
	Keys Keyring
	// Valid says why files could not be in force; nil asks nothing. A next version that could
	// not is not taken for one.
	Valid func(files map[string][]byte) error
}

// Governing is what is in force for a target.
type Governing struct {
	Files  map[string][]byte // the governed files; nil if the built-in baseline judges
	Trust  sallyport.Trust
	At     string   // the commit or tree that Files were read from; empty if builtin
	Advice []string // why later gates must not rely on a decision made under it

	// Chain is how the pin leads to what is in force: one version if it is what is pinned.
	Chain []Version
	// AtTip is the root that the tip holds in place of the one in force, if it holds one that is
	// whole; its Fault says why it is not in force.
	AtTip *Version
}

// Resolve finds the governed files in force. With a pin, only files that match it are ever
// returned, or those of a later version that a chain of signed ones leads to; if there are none
// the error is ErrNoRoot: no decision can be made.
func Resolve(ctx context.Context, src Source, q Request) (Governing, error) {
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
	atTip, err := read(q.Tip)
	// A broken tip is no reason to leave a pinned repository without a verdict: it only is not
	// what is pinned.
	if err != nil && (q.Pin.Zero() || !errors.Is(err, ErrGoverned)) {
		return Governing{}, err
	}
	tipHasFiles := len(atTip) > 0 || err != nil
	if err != nil {
		atTip = nil
	}
	result, err := read(q.Result)
	if err != nil && !errors.Is(err, ErrGoverned) {
		return Governing{}, err
	}
	if err != nil {
		result = nil
	}
	g := Governing{Trust: sallyport.Trust{ResultRoot: RootDigest(result), Signers: []string{}}}
	if q.Pin.Zero() {
		return g.unpinned(withoutSignatures(atTip), q.Tip), nil
	}
	g.Trust.Pinned, g.Trust.Pin, g.Trust.RootChanged = true, q.Pin, tipHasFiles
	c, longest := newChain(q.Keys, q.Now), 0
	c.add(atTip, q.Tip)
	pinned := c.seen[q.Pin]
	// A root without keys has no next version, so nothing can have followed it.
	if pinned == nil || len(pinned.root.Keys) > 0 {
		for _, tip := range append([]string{q.Tip}, q.Also...) {
			n, err := c.walk(ctx, src, tip, read)
			if err != nil {
				return Governing{}, err
			}
			longest = max(longest, n)
		}
		pinned = c.seen[q.Pin]
		if pinned != nil && longest >= maxHistory && len(pinned.root.Keys) > 0 {
			return Governing{}, fmt.Errorf("%w: %d commits or more changed %s, and a version that follows the pinned one may lie beyond", ErrTooMuch, maxHistory, GovernedDir)
		}
	}
	if pinned == nil {
		s, err := seal(result, q.Result)
		if err != nil || s.digest != q.Pin {
			return Governing{}, fmt.Errorf("%w: %s is not the root of the target's tip, of the last %d commits that changed %s, or of the merge result",
				ErrNoRoot, q.Pin, maxHistory, GovernedDir)
		}
		g.force(s, SourceResult)
		g.Chain = []Version{{Number: s.root.Version, Root: s.digest, At: s.at, Signers: []string{}, OwnSigners: []string{}}}
		return g, nil
	}
	cur, passed, err := c.follow(pinned)
	if err != nil {
		return Governing{}, err
	}
	g.Chain = passed
	g.force(cur, SourceHistory)
	if s, err := seal(atTip, q.Tip); err == nil && s.digest == cur.digest {
		g.force(s, SourceRef)
		g.Trust.RootChanged = false
	} else {
		g.Trust.RootChanged = true // even if the tip holds no governed files any more
		if err == nil {
			if err := c.beyond(cur, s); err != nil {
				return Governing{}, err
			}
			v := c.judge(cur, s)
			g.AtTip = &v
		}
	}
	g.rotation(c, cur, result, atTip, q)
	if q.Head != "" && q.Result != "" && len(cur.root.Keys) > 0 {
		if err := c.landed(ctx, src, pinned, q, longest, read); errors.Is(err, ErrTooMuch) || errors.Is(err, ErrRootForked) || errors.Is(err, ErrRootStale) {
			g.Trust.Rotation, g.Trust.RotationFault = false, "once it lands, nothing could be decided any more: "+err.Error()
		} else if err != nil {
			return Governing{}, err
		}
	}
	return g, nil
}

// landed fails as following the chain would once the head has landed with its history, of which
// the longest that was read so far has n commits.
func (c *chain) landed(ctx context.Context, src Source, pinned *sealed, q Request, n int, read func(string) (map[string][]byte, error)) error {
	brings := q.Head
	if q.Tip != "" {
		brings = q.Tip + ".." + q.Head
	}
	more, err := c.walk(ctx, src, brings, read)
	if err != nil {
		return err
	}
	if n+more >= maxHistory {
		return fmt.Errorf("%w: with this change, %d commits or more changed %s", ErrTooMuch, maxHistory, GovernedDir)
	}
	_, _, err = c.follow(pinned)
	return err
}

// walk adds what the history of tip holds, and returns how many commits that were.
func (c *chain) walk(ctx context.Context, src Source, tip string, read func(string) (map[string][]byte, error)) (int, error) {
	if tip == "" {
		return 0, nil
	}
	commits, err := src.History(ctx, tip)
	if err != nil {
		return 0, fmt.Errorf("read history of governed files: %w", err)
	}
	for _, commit := range commits[:min(len(commits), maxHistory)] {
		files, err := read(commit)
		if err != nil && !errors.Is(err, ErrGoverned) {
			return 0, err
		}
		if err == nil {
			c.add(files, commit)
		}
	}
	return len(commits), nil
}

// force puts s in force.
func (g *Governing) force(s *sealed, source string) {
	g.Files, g.At = s.files, s.at
	g.Trust.Source, g.Trust.Root, g.Trust.Version, g.Trust.Solo = source, s.digest, s.root.Version, s.root.Solo
}

// rotation says whether the merge result holds the next version of the root, or what would travel
// among the signatures of the one in force.
func (g *Governing) rotation(c *chain, cur *sealed, result, atTip map[string][]byte, q Request) {
	next, err := seal(result, q.Result)
	if err != nil {
		return
	}
	if next.digest == cur.digest {
		if err := c.litter(result, atTip); err != nil {
			g.Trust.RotationFault = err.Error()
		}
		return
	}
	c.addSignatures(result)
	v := c.judge(cur, next)
	if v.Fault == "" {
		if err := c.clean(cur, next, result, atTip); err != nil {
			v.Fault = err.Error()
		}
	}
	if v.Fault == "" && next.root.Expired(q.Now) {
		v.Fault = "it expired on " + next.root.Expires
	}
	if v.Fault == "" && q.Valid != nil {
		if err := q.Valid(next.files); err != nil {
			v.Fault = err.Error()
		}
	}
	g.Trust.Rotation, g.Trust.RotationFault, g.Trust.Signers = v.Fault == "", v.Fault, v.Signers
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
		} else if r, err := ParseRoot(root); err == nil {
			g.Trust.Version, g.Trust.Solo = r.Version, r.Solo
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
	if name == ReleaseName {
		return BuiltinRelease(), nil
	}
	s := Set{Name: name, Files: map[string][]byte{}}
	if name == "" || GovernedDir+name+"/" == SignaturesDir {
		return Set{}, fmt.Errorf("%w: a policy set cannot be called %q", ErrCompile, name)
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
