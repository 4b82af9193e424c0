package rebuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// A Checkout writes a commit's files into an empty folder, as [git.Repo.Checkout] does.
type Checkout func(ctx context.Context, commit, dir, branch string) (git.CheckedOut, error)

// Options say how a build is run again.
type Options struct {
	Checkout   Checkout
	Getenv     func(string) string
	Pass       []string // names of variables that the command gets from this environment
	Without    []string // variations that are not made; see Optional
	CutNetwork bool     // run without network, or not at all
	Timeout    time.Duration
	Log        io.Writer // what the command says; may be nil
	TempDir    string
	Now        func() time.Time
}

// A Rebuilt is a second run and what it made. Close it.
type Rebuilt struct {
	Variations        []Variation
	Artifacts         []Artifact // that match the patterns, by name
	Started, Finished time.Time

	root, dir, home, temp string
}

// Folder returns the folder in which the command ran.
func (r *Rebuilt) Folder() string { return r.dir }

// Roots returns the folders that the rebuild had for itself.
func (r *Rebuilt) Roots() []string { return []string{r.root, r.dir, r.home, r.temp} }

// Path returns where a rebuilt artifact lies.
func (r *Rebuilt) Path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

// Close removes everything that the rebuild left. Builds leave folders that cannot be written, as Go's
// cache of modules.
func (r *Rebuilt) Close() error {
	if err := os.RemoveAll(r.root); err == nil {
		return nil
	}
	// Through the root, so that a link which somebody puts there meanwhile leads nowhere.
	if root, err := os.OpenRoot(r.root); err == nil {
		_ = fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				_ = root.Chmod(p, 0o700)
			}
			return nil
		})
		root.Close()
	}
	if err := os.RemoveAll(r.root); err != nil {
		return fmt.Errorf("remove the rebuild: %w", err)
	}
	return nil
}

// userName is what a command that asks its environment is told, where the user varies.
const userName = "rebuilder"

type runner struct {
	plan *Plan
	opts Options
	run  *Rebuilt
	vary variations
	user bool // as another user of a namespace
}

// Run runs the plan. What it returns is nil if there is an error.
func Run(ctx context.Context, plan *Plan, opts Options) (_ *Rebuilt, err error) {
	root, err := os.MkdirTemp(opts.TempDir, "sallyport-rebuild-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the rebuild: %w", err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	r := &runner{plan: plan, opts: opts, run: &Rebuilt{root: root}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.run.Close())
		}
	}()
	top := filepath.Join(root, "somewhere-else-than-it-was-built", "source")
	r.run.home, r.run.temp = filepath.Join(root, "home-of-its-own"), filepath.Join(root, "temporary")
	for _, d := range []string{top, r.run.home, r.run.temp} {
		if err := os.MkdirAll(d, 0o755); err != nil { //nolint:gosec // below a folder that only the caller can enter
			return nil, fmt.Errorf("make a folder for the rebuild: %w", err)
		}
	}
	r.run.dir = filepath.Join(top, filepath.FromSlash(plan.Directory))
	r.vary.made(VaryPath, "built in %s", top)
	r.vary.made(VaryHome, "HOME and TMPDIR of its own, empty")
	if err := r.masked(func() error { return r.checkout(ctx, top) }); err != nil {
		return nil, err
	}
	if err := r.execute(ctx); err != nil {
		return nil, err
	}
	r.run.Variations = r.vary
	if err := r.collect(ctx); err != nil {
		return nil, err
	}
	return r.run, nil
}

func (r *runner) checkout(ctx context.Context, top string) error {
	out, err := r.opts.Checkout(ctx, r.plan.Commit, top, r.plan.Branch)
	if err != nil {
		return err
	}
	if len(out.Submodules) > 0 {
		return fmt.Errorf("%w: it has the submodule %s, which is not checked out", ErrSource, sallyport.Path(out.Submodules[0]))
	}
	if info, err := os.Lstat(r.run.dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: the commit has no folder %s", ErrSource, sallyport.Path(r.plan.Directory))
	}
	matters, err := orderMatters(r.run.root)
	switch {
	case err != nil:
		return fmt.Errorf("try the order of files: %w", err)
	case matters:
		r.vary.made(VaryOrder, "files were created in reverse order, and this file system lists them by that")
	default:
		r.vary.not(VaryOrder, "files were created in reverse order, and this file system does not list them by that")
	}
	return nil
}

// execute runs the command.
func (r *runner) execute(ctx context.Context) error {
	if r.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.opts.Timeout)
		defer cancel()
	}
	r.user = !r.skip(VaryUser) || r.opts.CutNetwork
	if r.user {
		if err := canNamespace(ctx, r.opts.CutNetwork); err != nil {
			if r.opts.CutNetwork {
				return fmt.Errorf("the network cannot be cut here: %w", err)
			}
			r.user = false
			r.vary.not(VaryUser, "the system gives no user namespace: %v", err)
		} else {
			r.vary.made(VaryUser, "user and group %d in a user namespace, USER=%s", otherID, userName)
		}
	} else {
		r.vary.not(VaryUser, "as the caller asked")
	}
	if r.opts.CutNetwork {
		r.vary.made(VaryNetwork, "none: a network namespace of its own")
	} else {
		r.vary.not(VaryNetwork, "open, as for any command")
	}
	program, err := r.find()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	env := r.environment()
	// A pipe of our own: what the command leaves in the background keeps it open, and is ended first.
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	defer reader.Close()
	defer writer.Close()
	cmd := exec.CommandContext(ctx, program, r.plan.Command[1:]...)
	cmd.Args[0] = r.plan.Command[0]
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.run.dir, env, writer, writer
	ownGroup(cmd, r.user, r.opts.CutNetwork)
	cmd.Cancel = func() error { return endGroup(cmd.Process.Pid) }
	r.run.Started = r.opts.Now()
	r.passed(r.run.Started)
	var said tail
	heard := make(chan error, 1)
	go func() { heard <- r.listen(reader, &said) }()
	if err = r.masked(cmd.Start); err == nil {
		err = cmd.Wait()
		_ = endGroup(cmd.Process.Pid) // what it left in the background
	}
	writer.Close()
	select {
	case logErr := <-heard:
		if err == nil && logErr != nil {
			return fmt.Errorf("write the log: %w", logErr)
		}
	case <-time.After(5 * time.Second): // somebody left the group and took the pipe along
		reader.Close()
		<-heard //nolint:errcheck // that it was closed
	}
	r.run.Finished = r.opts.Now()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrBuild, ctx.Err())
	case err != nil:
		return fmt.Errorf("%w: %w%s", ErrBuild, err, said.last())
	}
	return nil
}

// listen reads what the command says to its end.
func (r *runner) listen(from io.Reader, said *tail) error {
	var out io.Writer = said
	if r.opts.Log != nil {
		out = io.MultiWriter(said, r.opts.Log)
	}
	_, err := io.Copy(out, from)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		_, _ = io.Copy(io.Discard, from) // so that the command does not wait for a reader
		return err
	}
	return nil
}

// find returns the program, as the command's own environment has it: a path is taken from the folder
// of the run.
func (r *runner) find() (string, error) {
	name := r.plan.Command[0]
	if strings.ContainsRune(name, '/') {
		if filepath.IsAbs(name) {
			return name, nil
		}
		return filepath.Join(r.run.dir, filepath.FromSlash(name)), nil
	}
	list := r.opts.Getenv("PATH")
	if v, ok := r.plan.Environment["PATH"]; ok {
		list = v
	}
	for _, dir := range filepath.SplitList(list) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && filepath.IsAbs(dir) && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not in the search path", sallyport.Path(name))
}

// A tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 8 << 10
	t.b = append(t.b, p...)
	if len(t.b) > 2*most {
		t.b = append([]byte(nil), t.b[len(t.b)-most:]...)
	}
	return len(p), nil
}

// last is the last line, set apart from an error before it.
func (t *tail) last() string {
	b := bytes.TrimSpace(t.b)
	b = b[bytes.LastIndexByte(b, '\n')+1:]
	if len(b) == 0 {
		return ""
	}
	return fmt.Sprintf(": it last said %.300q", b)
}

// collect reads what matches the patterns.
func (r *runner) collect(ctx context.Context) error {
	root, err := os.OpenRoot(r.run.dir)
	if err != nil {
		return fmt.Errorf("look for artifacts: %w", err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("look for artifacts in %s: %w", sallyport.Path(p), err)
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && e.Name() == ".git":
			return fs.SkipDir
		case e.IsDir() || !r.plan.matches(p):
			return nil
		case !e.Type().IsRegular():
			return fmt.Errorf("the artifact %s is a link or a device, and what it leads to is not followed", sallyport.Path(p))
		case len(r.run.Artifacts) == maxArtifacts:
			return fmt.Errorf("more than %d files match the patterns", maxArtifacts)
		}
		d, err := digestIn(root, p)
		if err != nil {
			return fmt.Errorf("read the artifact %s: %w", sallyport.Path(p), err)
		}
		r.run.Artifacts = append(r.run.Artifacts, Artifact{p, d})
		return nil
	})
	slices.SortFunc(r.run.Artifacts, func(a, b Artifact) int { return strings.Compare(a.Name, b.Name) })
	return err
}

func digestIn(root *os.Root, name string) (sallyport.Digest, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, errors.New("it is no file any more"))
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return sallyport.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), nil
}
