package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// maxLog bounds what is kept of each stream of a build, in bytes.
const maxLog = 16 << 20

// BuildOptions say what to run, and what to write about it.
type BuildOptions struct {
	Args      []string
	Artifacts []string // patterns
	Env       []string // names of variables to record
	Environ   []string // the whole environment of the command
	Timeout   time.Duration
	Builder   string // URI; empty for what CI says, or the local one
	Step      string // the name of the step in link metadata

	Key       string // empty: nothing is signed
	Bundle    string // a file for the signed provenance; empty to keep it
	Output    string // a folder for provenance and link metadata
	Link      string // a file for the signed link metadata
	Statement string // a file for the unsigned statement
	Logs      string // a folder for the first maxLog bytes of each stream

	AllowUnchanged, RequireClean bool

	sink func(bundle []byte) error // takes the signed provenance, instead of a file; may be nil
	tree *git.WorkTreeState        // as the caller has just found it; nil: it is looked at

	Stdin          *os.File
	Stdout, Stderr io.Writer // what the command writes; nil: as the program's own
	Signals        <-chan os.Signal
}

// Built is what came of a build.
type Built struct {
	Attestation sallyport.Digest // zero if nothing was signed
	Commit      sallyport.Digest
	Artifacts   []build.Artifact
	Result      build.Result
	Dirty       bool
	Notes       []string // what whoever asked should know, a phrase each
}

// builder is one call of Build.
type builder struct {
	app   *App
	opts  Options
	bo    BuildOptions
	dir   string // of the run, absolute
	key   *key.Key
	tree  *git.WorkTreeState
	prov  build.Provenance
	built Built
}

// Build runs a command and attests what it did. Everything that can be refused is refused before the
// command runs: a build of an hour must not end in a misspelt file name.
func (a *App) Build(ctx context.Context, o Options, bo BuildOptions) (Built, error) {
	b := &builder{app: a, opts: o, bo: bo}
	if err := b.check(ctx); err != nil {
		return Built{}, err
	}
	w, err := b.prepare(ctx)
	if err != nil {
		return Built{}, err
	}
	step := build.Step{
		Args: bo.Args, Dir: b.dir, Env: build.Without(bo.Environ, append(keyVariables(bo.Key), ciTokenVariable)...),
		Stdin: bo.Stdin, Stdout: orWriter(bo.Stdout, a.Stdout), Stderr: orWriter(bo.Stderr, a.Stderr), Signals: bo.Signals, Timeout: bo.Timeout, Now: time.Now,
	}
	if bo.Logs != "" {
		step.Keep = maxLog
	}
	r, err := build.Run(ctx, step)
	if err != nil {
		return Built{}, fmt.Errorf("run %s: %w", bo.Args[0], err)
	}
	b.built.Result = r
	ctx, stop := until(ctx, bo.Signals)
	defer stop()
	return b.built, b.after(ctx, w)
}

func orWriter(w, otherwise io.Writer) io.Writer {
	if w == nil {
		return otherwise
	}
	return w
}

// prepare notes what there is before the run.
func (b *builder) prepare(ctx context.Context) (*build.Watch, error) {
	ctx, stop := until(ctx, b.bo.Signals)
	defer stop()
	if err := b.before(ctx); err != nil {
		return nil, err
	}
	return build.NewWatch(ctx, b.dir, b.bo.Artifacts)
}

// until returns a context that a signal cancels: one that comes before or after the command runs is ours.
func until(ctx context.Context, signals <-chan os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-ended }
}

// check refuses what cannot be meant, and what must not be in a statement.
func (b *builder) check(ctx context.Context) error {
	bo := &b.bo
	switch {
	case len(bo.Args) == 0 || bo.Args[0] == "":
		return usagef("name the command to run, after --")
	case bo.Key == "" && bo.Statement == "":
		return withHint(usagef("nothing would be left of the run"), "sign what it did with --key REF, or write it unsigned with --statement FILE")
	case bo.Key == "" && (bo.Bundle != "" || bo.Output != "" || bo.Link != ""):
		return usagef("--bundle, --output and --link hold what is signed: they need --key")
	case bo.Bundle != "" && bo.Output != "":
		return usagef("--bundle and --output both say where the provenance goes: choose one")
	case bo.Link != "" && bo.Output != "":
		return usagef("--output writes link metadata too: leave --link out")
	}
	if u, err := url.Parse(bo.Builder); bo.Builder != "" && (err != nil || u.Scheme == "" || u.User != nil) {
		return usagef("--builder %q: a builder is named by a URI such as https://ci.example.com/runner", bo.Builder)
	}
	find := scan.Secrets()
	secret := func(s string) bool { return len(find.Find("", []byte(s), nil)) > 0 }
	for i, arg := range bo.Args {
		if secret(arg) {
			return withHint(fmt.Errorf("argument %d of the command looks like a secret, and would be in the statement for everybody to read", i), "hand it over in the environment or in a file")
		}
	}
	env := map[string]string{}
	for _, name := range bo.Env {
		value, ok := lookup(bo.Environ, name)
		switch {
		case name == "" || strings.ContainsAny(name, "= \t"):
			return usagef("--env %q: it takes the name of a variable, whose value is recorded", name)
		case build.SecretName(name):
			return withHint(usagef("--env %s: by its name it holds a secret, and what is recorded is for everybody to read", name), "the command gets the variable without it")
		case !ok:
			return usagef("--env %s: the variable is not set", name)
		case secret(value):
			return withHint(fmt.Errorf("the value of %s looks like a secret, and would be in the statement for everybody to read", name), "the command gets the variable without --env")
		case len(value) > 4096:
			return fmt.Errorf("the value of %s is larger than the 4096 bytes that are recorded", name)
		}
		env[name] = value
	}
	b.prov.BuildDefinition.ExternalParameters = build.External{Command: bo.Args, Artifacts: append([]string{}, bo.Artifacts...), Environment: env}
	return b.places(ctx)
}

// places looks whether what is to be written can be, and loads the key.
func (b *builder) places(ctx context.Context) error {
	for _, dir := range []string{b.bo.Output, b.bo.Logs} {
		if dir != "" {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make the folder for what is written: %w", err)
			}
		}
	}
	for _, file := range []string{b.bo.Bundle, b.bo.Link, b.bo.Statement} {
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return fmt.Errorf("write %s: there is no folder %s", file, filepath.Dir(file))
		}
	}
	if b.bo.Key == "" {
		return nil
	}
	k, err := b.app.loadKey(ctx, b.bo.Key)
	b.key = k
	return err
}

func lookup(environ []string, name string) (string, bool) {
	for i := len(environ) - 1; i >= 0; i-- { // the last one counts, as for exec
		if v, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// before notes what the run starts from. The repository is closed again: an interrupt at a terminal
// reaches git as well, and what is written afterwards must not depend on it.
func (b *builder) before(ctx context.Context) (err error) {
	w, err := b.app.open(ctx, b.opts)
	if err != nil {
		return err
	}
	defer done(&err, w.Close)
	if w.repo.WorkTree() == "" {
		return errors.New("a bare repository has nothing to build: run it in a checkout")
	}
	if err := b.settleDir(w.repo.WorkTree()); err != nil {
		return err
	}
	oid, err := w.repo.Resolve(ctx, "HEAD")
	if err != nil {
		return withHint(fmt.Errorf("find the commit that is built: %w", err), "commit first")
	}
	b.built.Commit = sallyport.GitCommit(oid)
	if b.tree = b.bo.tree; b.tree == nil {
		if b.tree, err = w.repo.CompareWorkTree(ctx, oid); err != nil {
			return err
		}
	}
	b.built.Dirty = b.tree.Dirty()
	if b.built.Dirty && b.bo.RequireClean {
		return withHint(fmt.Errorf("the work tree is not the commit %.12s: %s", oid, differences(b.tree)), "commit, stash or remove what differs, or leave --require-clean out")
	}
	d := &b.prov.BuildDefinition
	d.BuildType = build.BuildType
	ci := build.ReadCI(b.app.Getenv)
	d.InternalParameters.Grade = sallyport.Declared
	d.InternalParameters.Initiator = initiator(ci, b.bo.Environ)
	if token := b.app.Getenv(ciTokenVariable); token != "" {
		if ci, err = w.confirmCI(ctx, ci, token, oid); err != nil {
			return err
		}
		if b.bo.Builder != "" && b.bo.Builder != ci.Builder() {
			return usagef("--builder %s: the job's token names another builder, %s", b.bo.Builder, ci.Builder())
		}
		d.InternalParameters.Grade = sallyport.Observed
	}
	d.InternalParameters.CI = ci
	d.InternalParameters.Source = sourceState(b.tree)
	ref, _ := w.repo.SymbolicHead(ctx) // detached: no ref
	d.ResolvedDependencies = append(d.ResolvedDependencies, build.Resource{
		Name: "source", URI: sourceURI(ctx, w.repo, ci, oid, ref), Digest: map[string]string{"gitCommit": oid},
	})
	b.addDifference()
	b.addDependencies(ctx, w.repo.WorkTree())
	run := &b.prov.RunDetails
	run.Builder.ID = orDefault(b.bo.Builder, ci.Builder())
	run.Builder.Version = map[string]string{"sallyport": Version()}
	run.Metadata.InvocationID = orDefault(runOf(b.key), orDefault(ci.Invocation(), newUUID()))
	if ci != nil && ci.Commit != "" && !strings.EqualFold(ci.Commit, oid) {
		b.note("CI says that it builds %.12s, and %.12s is checked out", ci.Commit, oid)
	}
	return nil
}

// sourceState is the work tree as provenance has it.
func sourceState(t *git.WorkTreeState) build.Source {
	return build.Source{
		Dirty: t.Dirty(), Modified: t.Count(git.FileModified), Deleted: t.Count(git.FileDeleted),
		Untracked: t.Count(git.FileUntracked), Submodules: len(t.Submodules),
	}
}

func (b *builder) note(format string, args ...any) {
	b.built.Notes = append(b.built.Notes, fmt.Sprintf(format, args...))
}

// settleDir finds the folder of the run, and its name from the top of the work tree.
func (b *builder) settleDir(top string) error {
	dir, err := filepath.Abs(orDefault(b.opts.Repo, "."))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		top, err = filepath.EvalSymlinks(top)
	}
	rel := ""
	if err == nil {
		rel, err = filepath.Rel(top, dir)
	}
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%s is not inside the work tree", orDefault(b.opts.Repo, "."))
	}
	b.dir = dir
	b.prov.BuildDefinition.ExternalParameters.Directory = filepath.ToSlash(rel)
	return nil
}

func differences(t *git.WorkTreeState) string {
	return fmt.Sprintf("%d modified, %d deleted, %d untracked", t.Count(git.FileModified), t.Count(git.FileDeleted), t.Count(git.FileUntracked))
}

// initiator is the agent that the environment speaks of, else the account that started the CI job.
func initiator(ci *build.CIFacts, environ []string) build.Initiator {
	e := identity.FromEnvironment(environ)
	if e.Agent == "" {
		return ci.Initiator()
	}
	return build.Initiator{Kind: "agent", Name: e.Agent, Session: e.Session, Grade: sallyport.Declared, Markers: e.Markers}
}

// sourceURI names the repository: as CI does, as the configuration in the commit does, by its remote,
// or by its folder's name. The ref is what is checked out.
func sourceURI(ctx context.Context, repo *git.Repo, ci *build.CIFacts, oid, ref string) string {
	name := ci.Repository()
	if name == "" {
		if b, err := repo.File(ctx, oid, configPath, maxGoverned); err == nil {
			if cfg, err := config.Parse(b); err == nil {
				name = "https://" + cfg.Repository
			}
		}
	}
	if name == "" {
		if remote, err := repo.RemoteURL(ctx, "origin"); err == nil {
			name = webAddress(remote)
		}
	}
	if name == "" {
		name = "local:" + url.PathEscape(filepath.Base(repo.WorkTree()))
	}
	if ci != nil && ci.Ref != "" {
		ref = ci.Ref
	}
	return "git+" + name + "@" + ref
}

// webAddress turns a remote's address into a URI without a user or password; empty for a folder.
func webAddress(remote string) string {
	if strings.ContainsFunc(remote, func(r rune) bool { return r <= ' ' || r == 0x7f }) || strings.Contains(remote, "::") {
		return ""
	}
	if u, err := url.Parse(remote); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "ssh") {
		return "https://" + u.Hostname() + strings.TrimSuffix(u.EscapedPath(), ".git")
	}
	host, path, ok := strings.Cut(remote, ":")
	if !ok || strings.Contains(remote, "://") || strings.ContainsAny(host, `/\`) || len(host) < 2 {
		return ""
	}
	host = host[strings.LastIndex(host, "@")+1:]
	return "https://" + host + "/" + strings.TrimSuffix(strings.TrimPrefix(path, "/"), ".git")
}

// newUUID returns a random UUID as a URN (RFC 9562, version 4).
func newUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // it never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// after reads what the run made, and writes the statements.
func (b *builder) after(ctx context.Context, watch *build.Watch) (err error) {
	r := b.built.Result
	w, err := b.app.open(ctx, b.opts)
	if err != nil {
		return err
	}
	defer done(&err, w.Close)
	if !r.Failed() {
		oid, err := w.repo.Resolve(ctx, "HEAD")
		if err != nil || sallyport.GitCommit(oid) != b.built.Commit {
			return withHint(fmt.Errorf("%w: %.12s was there before; nothing is attested", build.ErrMoved, b.built.Commit.Hex()), "check the commit out before, and build it alone")
		}
		if b.built.Artifacts, err = watch.Artifacts(ctx, b.bo.AllowUnchanged); err != nil {
			return withHint(fmt.Errorf("the command succeeded, and nothing is attested: %w", err), artifactHint(err))
		}
	}
	for _, a := range b.built.Artifacts {
		if a.Unchanged {
			b.prov.BuildDefinition.InternalParameters.Unchanged = append(b.prov.BuildDefinition.InternalParameters.Unchanged, a.Path)
		}
	}
	b.prov.SetResult(r)
	if r.ProgramSHA256 != "" {
		d := &b.prov.BuildDefinition
		d.ResolvedDependencies = append(d.ResolvedDependencies, build.Resource{
			Name: "program", Digest: map[string]string{"sha256": r.ProgramSHA256}, Annotations: map[string]any{"file": filepath.Base(r.Program)},
		})
	}
	if r.Leftover {
		b.note("processes that it left in the background were ended")
	}
	if err := b.writeLogs(); err != nil {
		return err
	}
	if err := b.writeLink(ctx); err != nil {
		return err
	}
	st, err := b.prov.Statement(b.built.Commit, b.built.Artifacts)
	if err != nil {
		return err
	}
	if b.bo.Statement != "" {
		body, err := sallyport.EncodeJSON(st)
		if err != nil {
			return err
		}
		if err := writeFile(b.bo.Statement, append(body, '\n')); err != nil {
			return err
		}
	}
	if b.key == nil {
		return nil
	}
	bundle, err := evidence.Sign(ctx, st, b.key)
	if err != nil {
		return err
	}
	b.built.Attestation = sallyport.SHA256(bundle)
	switch {
	case b.bo.sink != nil:
		return b.bo.sink(bundle)
	case b.bo.Output != "":
		return writeFile(filepath.Join(b.bo.Output, "provenance.sigstore.json"), bundle)
	case b.bo.Bundle != "":
		return writeFile(b.bo.Bundle, bundle)
	}
	_, err = w.keep(ctx, bundle)
	return err
}

func artifactHint(err error) string {
	switch {
	case errors.Is(err, build.ErrUnchanged):
		return "let the command make it anew, or take what lay there with --allow-unchanged; it is marked"
	case errors.Is(err, build.ErrNone):
		return "patterns are matched from the folder of the run; ** stands for any number of folders"
	}
	return ""
}

// writeLogs writes what was kept of the streams.
func (b *builder) writeLogs() error {
	if b.bo.Logs == "" {
		return nil
	}
	for name, l := range map[string]build.Log{"stdout.log": b.built.Result.Stdout, "stderr.log": b.built.Result.Stderr} {
		if err := os.WriteFile(filepath.Join(b.bo.Logs, name), l.Kept, 0o600); err != nil {
			return fmt.Errorf("write the logs: %w", err)
		}
		if int64(len(l.Kept)) < l.Size {
			b.note("%s holds the first %d of %d bytes", name, len(l.Kept), l.Size)
		}
	}
	return nil
}

// writeLink signs and writes the link metadata, and names it in the provenance.
func (b *builder) writeLink(ctx context.Context) error {
	file := b.bo.Link
	if b.bo.Output != "" {
		file = filepath.Join(b.bo.Output, "link.sigstore.json")
	}
	if file == "" {
		return nil
	}
	var materials []build.Resource
	for _, f := range b.tree.Files {
		if f.SHA256 != "" {
			materials = append(materials, build.Resource{Name: f.Path, Digest: map[string]string{"sha256": f.SHA256}})
		}
	}
	l := build.NewLink(orDefault(b.bo.Step, "build"), b.prov.BuildDefinition.ExternalParameters, materials, b.built.Result)
	st, err := l.Statement(b.built.Commit, b.built.Artifacts)
	if err != nil {
		return err
	}
	bundle, err := evidence.Sign(ctx, st, b.key)
	if err != nil {
		return fmt.Errorf("link metadata with %d materials: %w", len(materials), err)
	}
	if err := writeFile(file, bundle); err != nil {
		return err
	}
	b.prov.RunDetails.Byproducts = append(b.prov.RunDetails.Byproducts, build.Resource{
		Name: "link", Digest: map[string]string{"sha256": sallyport.SHA256(bundle).Hex()}, MediaType: evidence.BundleMediaType,
	})
	return nil
}
