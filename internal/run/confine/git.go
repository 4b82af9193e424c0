package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A gitPlan is what has to be shown and protected for git to work inside and to be harmless
// afterwards: whoever runs git in the workspace later runs what its configuration, hooks and
// attributes name.
type gitPlan struct {
	dirs      []string // the workspace's git folder and, for a linked work tree, the common one
	shown     []rule
	protected []protection
	guards    []string
}

// gitState reads how the workspace is tied to a repository. A workspace without one gives an empty
// plan; one that is tied by a path that cannot be followed is refused.
func gitState(workspace string) (gitPlan, error) {
	var g gitPlan
	dot := filepath.Join(workspace, ".git")
	info, err := os.Lstat(dot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return g, nil
	case err != nil:
		return g, fmt.Errorf("%w: reading %s: %w", ErrSpec, dot, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return g, fmt.Errorf("%w: %s is a symbolic link; a folder or git's own file has to be there", ErrSpec, dot)
	case info.IsDir():
		g.dirs = []string{dot}
		g.gitDir(workspace, dot)
		g.entries(workspace, filepath.Join(dot, "worktrees"), "")
	default:
		if err := g.linked(workspace, dot); err != nil {
			return g, err
		}
	}
	common := g.dirs[len(g.dirs)-1]
	root := workspace
	if !within(common, workspace) {
		root = common
	}
	g.modules(root, filepath.Join(common, "modules"), 0)
	return g, g.configured(workspace)
}

// linked reads a .git that is a file: of a linked work tree or of a submodule.
func (g *gitPlan) linked(workspace, dot string) error {
	dir, err := readPointer(dot, "gitdir: ", workspace)
	if err != nil {
		return err
	}
	g.protected = append(g.protected, protection{workspace, dot, false})
	common := dir
	if _, err := os.Lstat(filepath.Join(dir, "commondir")); err == nil {
		if common, err = readPointer(filepath.Join(dir, "commondir"), "", dir); err != nil {
			return err
		}
	}
	if !within(common, workspace) {
		g.shown = append(g.shown, rule{Kind: bindWrite, Source: common, Target: common})
	}
	root := common
	if dir == common {
		g.dirs = []string{dir}
		g.gitDir(root, dir)
		return nil
	}
	g.dirs = []string{dir, common}
	// A git folder may lie anywhere as long as the pointers say so; only git's own layout is known to
	// be safe to build mounts from.
	if filepath.Dir(dir) != filepath.Join(common, "worktrees") {
		return fmt.Errorf("%w: the work tree's git folder %s does not lie in %s/worktrees", ErrSpec, dir, common)
	}
	// The repository has to know of the work tree: a .git that somebody wrote would open any repository.
	back, err := readLimited(filepath.Join(dir, "gitdir"), maxPointer)
	if err != nil {
		return fmt.Errorf("%w: reading the way back from %s: %w", ErrSpec, dir, err)
	}
	to := strings.TrimRight(string(back), "\r\n")
	if !filepath.IsAbs(to) {
		to = filepath.Join(dir, to)
	}
	if real, err := filepath.EvalSymlinks(to); err != nil || real != dot {
		return fmt.Errorf("%w: %s is not the work tree that %s belongs to, which is %s; git worktree repair mends that", ErrSpec, workspace, dir, to)
	}
	g.gitDir(root, common)
	for _, name := range []string{"commondir", "gitdir"} {
		g.protected = append(g.protected, protection{root, filepath.Join(dir, name), false})
	}
	g.configWorktree(root, dir)
	g.entries(root, filepath.Join(common, "worktrees"), filepath.Base(dir))
	// The main work tree's own state is nobody's business here.
	for _, name := range []string{"HEAD", "index", "ORIG_HEAD", "logs/HEAD"} {
		if _, err := os.Lstat(filepath.Join(common, name)); err == nil {
			g.protected = append(g.protected, protection{root, filepath.Join(common, name), false})
		}
	}
	return nil
}

// gitDir protects what git runs or reads as configuration in a git folder that has one.
func (g *gitPlan) gitDir(root, dir string) {
	for _, name := range []string{"hooks", "info"} {
		g.protected = append(g.protected, protection{root, filepath.Join(dir, name), true})
	}
	g.protected = append(g.protected, protection{root, filepath.Join(dir, "config"), false})
	g.configWorktree(root, dir)
	// A file commondir would make git read its configuration and hooks from elsewhere. Its mere
	// existence breaks git, so nothing can be put in its place.
	if _, err := os.Lstat(filepath.Join(dir, "commondir")); err != nil {
		g.guards = append(g.guards, filepath.Join(dir, "commondir"))
	} else {
		g.protected = append(g.protected, protection{root, filepath.Join(dir, "commondir"), false})
	}
}

func (g *gitPlan) configWorktree(root, dir string) {
	g.protected = append(g.protected, protection{root, filepath.Join(dir, "config.worktree"), false})
}

// entries protects the git folders of the repository's other work trees.
func (g *gitPlan) entries(root, dir, own string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		if e.IsDir() && e.Name() != own {
			g.protected = append(g.protected, protection{root, filepath.Join(dir, e.Name()), true})
		}
	}
}

// modules protects the git folders of submodules, whose names may contain slashes.
func (g *gitPlan) modules(root, dir string, level int) {
	list, err := os.ReadDir(dir)
	if err != nil || level > 16 {
		return
	}
	for _, e := range list {
		if !e.IsDir() {
			continue
		}
		sub := filepath.Join(dir, e.Name())
		if _, err := os.Lstat(filepath.Join(sub, "HEAD")); err == nil {
			g.gitDir(root, sub)
			g.modules(root, filepath.Join(sub, "modules"), level+1)
			continue
		}
		g.modules(root, sub, level+1)
	}
}

// pathSettings are the settings by which git runs, or reads as configuration, a file of the
// workspace.
var pathSettings = []string{"core.hookspath", "core.fsmonitor", "core.attributesfile", "core.excludesfile", "core.sshcommand", "core.gitproxy", "gpg.program", "gpg.ssh.allowedsignersfile"}

// configured protects the files in the workspace that git's present configuration names: included
// configuration, the folder of hooks, programs. It reads the configuration as the operator's git
// would, since it is that which will run.
func (g *gitPlan) configured(workspace string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "-C", workspace, "config", "--list", "--show-origin", "-z", "--includes")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") }) //nolint:forbidigo // it is the operator's configuration that is asked for
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("%w: the workspace is a git repository and git is not installed", ErrUnavailable)
		}
		line, _, _ := strings.Cut(diag.String(), "\n")
		return fmt.Errorf("%w: reading the git configuration of %s: %w: %s", ErrSpec, workspace, err, line)
	}
	for _, path := range parseOrigins(out.Bytes(), workspace) {
		if path == workspace || !within(path, workspace) || slices.ContainsFunc(g.dirs, func(d string) bool { return path == d }) {
			continue
		}
		_, err := os.Lstat(path)
		g.protected = append(g.protected, protection{workspace, path, err != nil})
	}
	return nil
}

// parseOrigins returns the paths that the output of git config --list --show-origin -z names: the
// origins, and the values of pathSettings.
func parseOrigins(b []byte, workspace string) []string {
	var out []string
	absolute := func(path string) string {
		if !filepath.IsAbs(path) {
			path = filepath.Join(workspace, path)
		}
		return filepath.Clean(path)
	}
	fields := strings.Split(string(b), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		if file, ok := strings.CutPrefix(fields[i], "file:"); ok {
			out = append(out, absolute(file))
		}
		key, value, ok := strings.Cut(fields[i+1], "\n")
		if !ok || value == "" || !slices.Contains(pathSettings, strings.ToLower(key)) {
			continue
		}
		if word, _, _ := strings.Cut(value, " "); strings.Contains(word, "/") || strings.EqualFold(key, "core.hookspath") {
			out = append(out, absolute(word))
		}
	}
	return out
}

// maxPointer bounds git's files that hold a path.
const maxPointer = 8192

// readPointer reads a file that holds a path, and returns the real folder that it leads to.
func readPointer(file, prefix, base string) (string, error) {
	b, err := readLimited(file, maxPointer)
	if err != nil {
		return "", fmt.Errorf("%w: reading %s: %w", ErrSpec, file, err)
	}
	path, ok := strings.CutPrefix(strings.TrimRight(string(b), "\r\n"), prefix)
	if !ok || path == "" || strings.ContainsAny(path, "\n\x00") {
		return "", fmt.Errorf("%w: %s does not name a git folder", ErrSpec, file)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	return realFolder("the git folder that "+file+" names", path)
}

func readLimited(file string, limit int64) ([]byte, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("not a file of at most %d bytes", limit)
	}
	return os.ReadFile(file)
}
