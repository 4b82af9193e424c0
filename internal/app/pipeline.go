package app

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/pipeline"
	"github.com/sallyport-dev/sallyport/internal/scan/report"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// PipelineOptions say how to run the pipeline that the configuration describes.
type PipelineOptions struct {
	Key     string // a reference; it signs everything but the decision
	Output  string // the folder that is written; empty: the configuration's
	Name    string // of the release, for people
	Fresh   bool   // run every command, whatever is known of earlier runs
	Environ []string
	Signals <-chan os.Signal
	Tell    func(pipeline.Event) // may be nil
}

// The names of steps. Tests are named "test " and their own name.
const (
	stepTree     = "work tree"
	stepScan     = "scan"
	stepScanners = "scanners"
	stepSBOM     = "sbom"
	stepTest     = "test "
	stepBuild    = "build"
	stepSign     = "sign"
	stepVerify   = "verify"
	stepGate     = "gate"
)

// A pipelineRun is one call of Pipeline. Steps write fields of their own, and read those of steps that
// they need.
type pipelineRun struct {
	app    *App
	opts   Options
	po     PipelineOptions
	cfg    config.Pipeline
	top    string // of the work tree
	w      *workspace
	key    *key.Key
	public []byte // PEM
	commit string
	began  time.Time
	about  []sallyport.Digest // the commit and its tree
	folder *releaseFolder
	lock   *durable.Lock
	recipe func(of any) sallyport.Digest

	tree      treeState
	bills     map[string][]byte // by file name
	artifacts []PipelineFile
	release   *ReleaseReport
}

// Pipeline runs what the configuration in force describes for the commit that is checked out, and asks the
// release gate about the artifacts. What it leaves is a folder with the artifacts and everything
// that was signed about them.
func (a *App) Pipeline(ctx context.Context, o Options, po PipelineOptions) (_ PipelineReport, err error) {
	p := &pipelineRun{app: a, opts: o, po: po, began: a.now()}
	p.opts.Progress = nil // steps run side by side, and are told by Tell
	if err := p.prepare(ctx); err != nil {
		if p.lock != nil {
			done(&err, p.lock.Release)
		}
		if p.w != nil {
			done(&err, p.w.Close)
		}
		return PipelineReport{}, err
	}
	defer done(&err, p.w.Close)
	defer done(&err, p.lock.Release)
	defer p.folder.close()
	ctx, stop := until(ctx, po.Signals)
	defer stop()
	results, err := pipeline.Run(ctx, p.steps(), time.Now, po.Tell)
	if err != nil {
		return PipelineReport{}, err
	}
	r := PipelineReport{Commit: sallyport.GitCommit(p.commit), Ref: p.w.target.Ref, Steps: results, Artifacts: p.artifacts, Release: p.release}
	err = p.folder.publish(&r)
	return r, err
}

// prepare settles everything that can be refused before a command runs.
func (p *pipelineRun) prepare(ctx context.Context) (err error) {
	if p.po.Key == "" {
		return withHint(usagef("nothing would be signed"), "name the key with --key REF; sallyport key generate FILE makes one")
	}
	if p.w, err = p.app.open(ctx, p.opts); err != nil {
		return err
	}
	w := p.w
	p.opts.shared = w.repo
	if p.top = w.repo.WorkTree(); p.top == "" {
		return errors.New("a bare repository has nothing to build: run it in a checkout")
	}
	t, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, func(string) string { return "" }, TargetOptions{Ref: p.opts.Target.Ref})
	if err != nil {
		return w.targetHint(err, t)
	}
	w.target, w.policyAt = t, t.Base
	w.compileAhead(ctx)
	if err := w.governed(ctx, ""); err != nil {
		return err
	}
	if p.cfg = w.cfg.Pipeline; !p.cfg.Used() {
		return withHint(fmt.Errorf("the configuration of %s has no pipeline", t.Ref), "docs/pipeline.md has one to begin with; it counts once it is on "+t.Ref)
	}
	p.about, _, err = w.subject(ctx, "git:HEAD")
	if err != nil {
		return withHint(err, "commit first")
	}
	p.commit = p.about[0].Hex()
	if p.key, err = p.app.loadKey(ctx, p.po.Key); err != nil {
		return err
	}
	if p.public, err = publicPEM(p.key); err != nil {
		return err
	}
	if p.folder, err = p.openFolder(ctx); err != nil {
		return err
	}
	return p.begin(ctx)
}

// begin takes the lock of the state folder, and reads the salt of recipes there.
func (p *pipelineRun) begin(ctx context.Context) error {
	if err := os.MkdirAll(p.w.dir, 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	wait, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var err error
	if p.lock, err = durable.Acquire(wait, p.w.path("pipeline.lock")); err != nil {
		return withHint(fmt.Errorf("lock the state folder: %w", err), "wait for the other pipeline")
	}
	salt, err := readLimit(p.w.path("pipeline.salt"), 64)
	if err != nil || len(salt) != 32 {
		salt = make([]byte, 32)
		_, _ = rand.Read(salt) // it never fails
		if err := durable.WriteFile(p.w.path("pipeline.salt"), salt, 0o600); err != nil {
			return fmt.Errorf("write the salt of recipes: %w", err)
		}
	}
	environ := slices.DeleteFunc(slices.Clone(p.po.Environ), volatile)
	slices.Sort(environ)
	p.recipe = func(of any) sallyport.Digest {
		b, err := sallyport.EncodeJSON(map[string]any{"sallyport": Version(), "commit": p.commit, "of": of, "environment": environ})
		if err != nil {
			return "" // equals none
		}
		mac := hmac.New(sha256.New, salt)
		mac.Write(b)
		return sallyport.Digest("sha256:" + hex.EncodeToString(mac.Sum(nil)))
	}
	return nil
}

// volatile reports whether a variable is of the terminal or the session that a command is typed in.
func volatile(kv string) bool {
	name, _, _ := strings.Cut(kv, "=")
	return slices.Contains([]string{"_", "SHLVL", "OLDPWD", "TERM", "COLUMNS", "LINES", "WINDOWID", "XDG_SESSION_ID"}, name) || strings.HasPrefix(name, "SSH_")
}

func publicPEM(k crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// openFolder finds the folder that is written. Inside the work tree it has to be one that git ignores by
// what the commit says, or the next run would find that the work tree is not the commit.
func (p *pipelineRun) openFolder(ctx context.Context) (*releaseFolder, error) {
	out := p.po.Output
	if out == "" && p.cfg.Output != "" {
		out = filepath.Join(p.top, filepath.FromSlash(p.cfg.Output))
	}
	if out == "" {
		return nil, usagef("name the folder to write: --output-dir DIR, or pipeline.output in %s", configPath)
	}
	abs, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	top, err := filepath.EvalSymlinks(p.top)
	if err != nil {
		return nil, err
	}
	abs, err = realPath(abs)
	if err != nil {
		return nil, fmt.Errorf("write into %s: %w", out, err)
	}
	failed := abs + failedSuffix
	rel, err := filepath.Rel(top, abs)
	if err == nil && filepath.IsLocal(rel) {
		failed = p.w.path("pipeline" + failedSuffix) // beside the folder it would be a change that no commit has
		if rel == "." || strings.HasPrefix(rel+"/", ".git/") {
			return nil, usagef("%s is no folder of its own", out)
		}
		for _, pattern := range p.cfg.Artifacts {
			if g, err := glob.Parse(strings.TrimPrefix(pattern, "./")); err == nil && g.Below(filepath.ToSlash(rel)) {
				return nil, usagef("%s lies where %s looks for artifacts: what is written would be taken for one", out, pattern)
			}
		}
		if ignored, err := p.w.repo.Ignored(ctx, p.commit, filepath.ToSlash(rel)); err != nil {
			return nil, err
		} else if !ignored {
			return nil, withHint(usagef("%s lies in the work tree, and no .gitignore names it: it would be a change that no commit has", out), "add it to .gitignore, or name a folder elsewhere")
		}
	}
	return openReleaseFolder(abs, failed)
}

// realPath follows the links of the part of a path that is there.
func realPath(path string) (string, error) {
	dir, rest := filepath.Dir(path), filepath.Base(path)
	for {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", errors.Unwrap(err)
		}
		dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest)
	}
}

// steps lists what there is to do. Commands work in the same folder, one at a time.
func (p *pipelineRun) steps() []pipeline.Step {
	tests := make([]pipeline.Step, 0, len(p.cfg.Tests))
	for _, t := range p.cfg.Tests {
		tests = append(tests, pipeline.Step{Name: stepTest + t.Name, Needs: []string{stepTree}, Lane: "work tree", Run: func(ctx context.Context) (pipeline.Outcome, error) {
			return p.test(ctx, t)
		}})
	}
	steps := []pipeline.Step{
		{Name: stepTree, Run: p.compareTree},
		{Name: stepScan, Run: p.scan},
		{Name: stepSBOM, Run: p.sbom},
	}
	if len(p.cfg.Scanners) > 0 {
		steps = append(steps, pipeline.Step{Name: stepScanners, Needs: []string{stepTree}, Lane: "work tree", Run: p.scanners})
	}
	steps = append(steps, tests...)
	steps = append(steps,
		pipeline.Step{Name: stepBuild, Needs: append([]string{stepTree}, stepNames(tests)...), Lane: "work tree", Run: p.build},
	)
	// The checksums are of all that the other steps wrote.
	steps = append(steps, pipeline.Step{Name: stepSign, Needs: stepNames(steps), Run: p.sign})
	steps = append(steps, pipeline.Step{Name: stepVerify, Needs: stepNames(steps), Run: p.verify})
	return append(steps, pipeline.Step{Name: stepGate, Needs: []string{stepVerify}, Run: p.gate})
}

func stepNames(steps []pipeline.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Name)
	}
	return out
}

// gate asks the release gate. The evidence is what verify has verified, and what was kept before.
func (p *pipelineRun) gate(ctx context.Context) (pipeline.Outcome, error) {
	ro := ReleaseOptions{Name: p.po.Name, VSA: p.folder.at(vsaFile), signatures: p.w.signatures, presented: p.folder.statements(), digests: map[string]sallyport.Digest{}}
	listed := append([]PipelineFile{{checksumsFile, p.folder.sums[checksumsFile]}}, p.artifacts...)
	for _, f := range listed {
		path := p.folder.at(f.Name)
		ro.Files, ro.digests[path] = append(ro.Files, path), f.Digest // verify has read it
	}
	slices.Sort(ro.Files)
	o := p.opts
	o.Target.Head = p.commit
	r, err := p.app.CheckRelease(ctx, o, ro)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	p.release = &r
	out := pipeline.Outcome{State: pipeline.Passed, Detail: r.Decision.Outcome.String()}
	if r.Decision.Outcome != sallyport.Open {
		out.State = pipeline.Failed
	}
	if n := len(r.Decision.Reasons); n > 0 {
		out.Detail += ": " + strings.Join(codesOf(r.Decision.Reasons), ", ")
	}
	if out.State == pipeline.Failed && r.Decision.ExitStatus() == sallyport.ExitOpen {
		out.Detail += " (mode " + string(r.Decision.Mode) + ")"
	}
	return out, nil
}

// ownVerifier knows the key of this run and nothing else.
func (p *pipelineRun) ownVerifier() (*evidence.Verifier, error) {
	k, err := evidence.KeyFor(p.public, build.ProvenanceType, report.TestResultType, report.SARIFType, sbom.CycloneDXType, referenceType)
	if err != nil {
		return nil, err
	}
	v := evidence.NewVerifier([]evidence.Key{k}, p.app.now())
	v.Cache = p.w.signatures
	return v, nil
}
