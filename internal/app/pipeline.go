package app

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
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

// A PipelineReport is what came of a pipeline.
type PipelineReport struct {
	Commit    sallyport.Digest
	Ref       string
	Output    string // the folder; what is in it is of this run
	Steps     []pipeline.Result
	Artifacts []PipelineFile
	Release   *ReleaseReport // nil if the gate was not asked
}

// A PipelineFile is an artifact in the folder.
type PipelineFile struct {
	Name   string           `json:"name"`
	Digest sallyport.Digest `json:"digest"`
}

// ExitStatus is the gate's. Without its answer, a step that failed shuts, and one that could not be done is no answer.
func (r PipelineReport) ExitStatus() int {
	failed := false
	for _, s := range r.Steps {
		if s.State == pipeline.Broken {
			return sallyport.ExitUndecided
		}
		failed = failed || s.State == pipeline.Failed
	}
	switch {
	case r.Release != nil && (!failed || r.Release.Decision.ExitStatus() != 0):
		return r.Release.Decision.ExitStatus()
	case failed:
		return sallyport.ExitShut
	}
	return sallyport.ExitUndecided
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

	tree      treeState
	bills     map[string][]byte // by file name
	artifacts []PipelineFile
	verified  []sallyport.Attestation
	release   *ReleaseReport
}

// Pipeline runs what the configuration in force describes for the commit that is checked out, and asks the
// release gate about the artifacts. What it leaves is a folder with the artifacts and everything
// that was signed about them.
func (a *App) Pipeline(ctx context.Context, o Options, po PipelineOptions) (_ PipelineReport, err error) {
	p := &pipelineRun{app: a, opts: o, po: po, began: a.now()}
	p.opts.Progress = nil // steps run side by side, and are told by Tell
	if err := p.prepare(ctx); err != nil {
		if p.w != nil {
			done(&err, p.w.Close)
		}
		return PipelineReport{}, err
	}
	defer done(&err, p.w.Close)
	defer p.folder.close()
	ctx, stop := until(ctx, po.Signals)
	defer stop()
	results, err := pipeline.Run(ctx, p.steps(), time.Now, po.Tell)
	if err != nil {
		return PipelineReport{}, err
	}
	r := PipelineReport{
		Commit: sallyport.GitCommit(p.commit), Ref: p.w.target.Ref, Output: p.folder.path, Steps: results,
		Artifacts: p.artifacts, Release: p.release,
	}
	return r, p.folder.publish(r)
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
	p.folder, err = p.openFolder(ctx)
	return err
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
	rel, err := filepath.Rel(top, abs)
	if err == nil && filepath.IsLocal(rel) {
		if rel == "." || strings.HasPrefix(rel+"/", ".git/") {
			return nil, usagef("%s is no folder of its own", out)
		}
		for _, pattern := range p.cfg.Artifacts {
			if g, err := glob.Parse(strings.TrimPrefix(pattern, "./")); err == nil && g.Match(filepath.ToSlash(rel)+"/"+checksumsFile) {
				return nil, usagef("%s lies where %s looks for artifacts: what is written would be taken for one", out, pattern)
			}
		}
		if ignored, err := p.w.repo.Ignored(ctx, p.commit, filepath.ToSlash(rel)); err != nil {
			return nil, err
		} else if !ignored {
			return nil, withHint(usagef("%s lies in the work tree, and no .gitignore names it: it would be a change that no commit has", out), "add it to .gitignore, or name a folder elsewhere")
		}
	}
	return openReleaseFolder(ctx, abs)
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

// gate asks the release gate. The evidence is what lies in the folder, and what was kept before.
func (p *pipelineRun) gate(ctx context.Context) (pipeline.Outcome, error) {
	ro := ReleaseOptions{Name: p.po.Name, VSA: p.folder.at(vsaFile), signatures: p.w.signatures, presented: p.verified, digests: map[string]sallyport.Digest{}}
	ro.Files = []string{p.folder.at(checksumsFile)}
	for _, a := range p.artifacts {
		path := p.folder.at(a.Name)
		ro.Files, ro.digests[path] = append(ro.Files, path), a.Digest // verify has read it
	}
	slices.Sort(ro.Files)
	o := p.opts
	o.Target.Head = p.commit
	r, err := p.app.CheckRelease(ctx, o, ro)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	p.release = &r
	p.folder.keep(vsaFile)
	out := pipeline.Outcome{State: pipeline.Passed, Detail: r.Decision.Outcome.String()}
	if r.Decision.ExitStatus() != sallyport.ExitOpen {
		out.State = pipeline.Failed
	}
	if n := len(r.Decision.Reasons); n > 0 {
		out.Detail += ": " + strings.Join(codesOf(r.Decision.Reasons), ", ")
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
