package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/checksum"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
	"github.com/sallyport-dev/sallyport/internal/gate/release"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/rebuild"
)

// maxArtifacts bounds how many files one release has.
const maxArtifacts = 1000

// ReleaseOptions say what is to be published.
type ReleaseOptions struct {
	Files []string
	Name  string // of the release, for people
	VSA   string // where the verification summary is written, beside the store; empty: nowhere

	signatures *evidence.Cache             // what this process verified before; may be nil
	presented  []sallyport.Attestation     // as Options.Bundles, read already
	digests    map[string]sallyport.Digest // of files, by path, that the caller has just read
}

// A ReleaseReport is a recorded decision of the release gate.
type ReleaseReport struct {
	Decision sallyport.Decision
	Receipt  engine.Receipt
	Input    sallyport.ReleaseInput
	VSA      []byte // the signed verification summary, a Sigstore bundle
}

// CheckRelease asks the release gate about files that were made from a commit. The decision is recorded
// when it returns without error.
func (a *App) CheckRelease(ctx context.Context, o Options, ro ReleaseOptions) (_ ReleaseReport, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return ReleaseReport{}, err
	}
	defer done(&err, w.Close)
	if ro.signatures != nil {
		w.signatures = ro.signatures
	}
	if err := w.repo.Shallow(); err != nil {
		return ReleaseReport{}, err
	}
	// A CI system's event says which ref was pushed, a tag most often; decisions are about a branch.
	t, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, func(string) string { return "" }, TargetOptions{Ref: o.Target.Ref})
	if err != nil {
		return ReleaseReport{}, w.targetHint(err, t)
	}
	w.target = t
	if err := w.governed(ctx, ""); err != nil {
		return ReleaseReport{}, err
	}
	if err := w.external(ctx); err != nil {
		return ReleaseReport{}, err
	}
	p, err := w.releaseParams(ctx, ro)
	if err != nil {
		return ReleaseReport{}, err
	}
	return w.checkRelease(ctx, p, ro)
}

func (w *workspace) checkRelease(ctx context.Context, p release.Params, ro ReleaseOptions) (ReleaseReport, error) {
	rec, err := w.recorder(ctx)
	if err != nil {
		return ReleaseReport{}, err
	}
	w.db = rec.db
	defer func() { w.db = nil }()
	p.Advice = append(p.Advice, rec.advice(w.trust)...)
	g := &release.Gate{
		Engine:    &engine.Engine{Collector: w.collector(), Verifier: w.gateVerifier(), Evaluator: w.eval, Recorder: rec, Now: w.app.now},
		Historian: historian{w}, Repository: w.repository(), Progress: w.opts.step, Rebuild: readRebuild, Finder: finder{w},
	}
	res, in, err := g.Check(ctx, p)
	if cerr := rec.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return ReleaseReport{}, err
	}
	if ro.VSA != "" {
		if err := durable.WriteFile(ro.VSA, rec.vsa, 0o644); err != nil {
			return ReleaseReport{}, fmt.Errorf("write the verification summary: %w", err)
		}
	}
	return ReleaseReport{Decision: res.Decision, Receipt: res.Receipt, Input: in, VSA: rec.vsa}, nil
}

// releaseParams reads the files and the evidence that is presented, and compiles the gate's policy.
func (w *workspace) releaseParams(ctx context.Context, ro ReleaseOptions) (release.Params, error) {
	if len(ro.Files) == 0 || len(ro.Files) > maxArtifacts {
		return release.Params{}, usagef("name 1 to %d files that are to be published", maxArtifacts)
	}
	commit, err := w.repo.Resolve(ctx, orDefault(w.opts.Target.Head, "HEAD"))
	if err != nil {
		return release.Params{}, fmt.Errorf("find the commit that is released: %w", err)
	}
	trees, err := w.repo.Trees(ctx, []string{commit})
	if err != nil {
		return release.Params{}, fmt.Errorf("find the tree of %s: %w", commit, err)
	}
	w.compileRelease(ctx)
	p := release.Params{
		Ref: w.target.Ref, Tip: w.target.Base, Commit: commit, Tree: trees[0], Name: ro.Name,
		Settings: w.releaseSettings(), Mode: w.cfg.Mode, Root: w.gov.Trust.Root, Trust: w.gov.Trust,
		Policies: w.policies, Advice: w.advice, Gated: w.cfg.Gated(w.target.Ref),
	}
	if p.Roots, err = w.heldRoots(ctx); err != nil {
		return release.Params{}, fmt.Errorf("read the roots of %s: %w", w.target.Ref, err)
	}
	if id := w.cfg.Gates.Release.Adoption; id != "" {
		if p.Adoption, err = w.repo.Resolve(ctx, id); err != nil {
			return release.Params{}, fmt.Errorf("find the commit of gates.release.adoption: %w", err)
		}
	}
	if w.gov.Trust.RootChanged {
		p.Mode = sallyport.Enforce // whoever changed the governed files does not choose the mode
	}
	if p.Artifacts, err = artifacts(ro.Files, ro.digests); err != nil {
		return release.Params{}, err
	}
	if err := w.sources(ctx, ro.Files, &p); err != nil {
		return release.Params{}, err
	}
	w.advise(ctx).Required = p.Settings.Advisories.Required
	if w.known.Required && w.known.MaxAge == 0 {
		w.known.MaxAge = config.DefaultAdvisoryAge
	}
	p.Lists = w.lists
	return p, w.present(ctx, ro, &p)
}

// compileRelease puts the release gate's policy in place of the merge gate's.
func (w *workspace) compileRelease(ctx context.Context) {
	w.sets, w.policies = nil, nil
	w.data.Modes = nil
	for code, r := range w.cfg.Rules {
		if releaseCode(code) {
			if w.data.Modes == nil {
				w.data.Modes = map[string]policy.RuleMode{}
			}
			w.data.Modes[code] = policy.RuleMode{Mode: r.Mode, EffectiveOn: r.EffectiveOn}
		}
	}
	for _, name := range w.cfg.Gates.Release.PolicySets() {
		set, err := w.gov.Set(name)
		if err != nil {
			w.eval = brokenPolicy{err}
			return
		}
		w.sets = append(w.sets, set)
	}
	compiled, err := policy.Compile(ctx, w.sets, w.data)
	if err != nil {
		w.eval = brokenPolicy{err}
		for _, s := range w.sets {
			w.policies = append(w.policies, sallyport.PolicySet{Name: s.Name, Digest: s.Digest()})
		}
		return
	}
	w.eval, w.policies = evaluator{compiled}, compiled.Policies()
}

// releaseCodes are the reason codes of the built-in set of the release gate.
var releaseCodes = sync.OnceValue(func() []string {
	rules, err := policy.Rules(policy.BuiltinRelease())
	if err != nil {
		return nil // a test keeps this from happening
	}
	codes := make([]string, len(rules))
	for i, r := range rules {
		codes[i] = r.Code
	}
	return codes
})

func releaseCode(code string) bool { return slices.Contains(releaseCodes(), code) }

// artifacts digests the files, and reads those that are checksums.
func artifacts(files []string, known map[string]sallyport.Digest) ([]release.Artifact, error) {
	out := make([]release.Artifact, 0, len(files))
	for _, name := range files {
		d := known[name]
		if d.Zero() {
			var err error
			if d, err = digestFile(name); err != nil {
				return nil, err
			}
		}
		a := release.Artifact{Name: filepath.Base(name), Digest: d}
		if slices.ContainsFunc(out, func(b release.Artifact) bool { return b.Name == a.Name }) {
			return nil, usagef("two files are named %s, and users could not tell which is meant", a.Name)
		}
		if isChecksums(a.Name) {
			var err error
			if a.Checksums, err = readChecksums(name, a.Digest); err != nil {
				return nil, err
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// isChecksums reports whether a file's name says that it lists checksums.
func isChecksums(name string) bool {
	n := strings.ToLower(name)
	return strings.HasPrefix(n, "sha256sum") || n == "checksums.txt" || strings.HasSuffix(n, "_checksums.txt")
}

func readChecksums(name string, digest sallyport.Digest) (map[string]sallyport.Digest, error) {
	b, err := readLimit(name, checksum.MaxSize)
	if err != nil {
		return nil, err
	}
	if sallyport.SHA256(b) != digest {
		return nil, fmt.Errorf("%s changed while it was read", name)
	}
	lines, err := checksum.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sums := map[string]sallyport.Digest{}
	for _, l := range lines {
		sums[l.Name] = sallyport.Digest(l.Algorithm + ":" + l.Hex)
	}
	return sums, nil
}

// present reads the statements that the caller names with --bundle, and those that lie beside the files,
// and tells of each that does not verify why.
func (w *workspace) present(ctx context.Context, ro ReleaseOptions, p *release.Params) error {
	v := carrier{w.newVerifier(w.keys()), w}
	one := func(att sallyport.Attestation, named bool) {
		p.Presented = append(p.Presented, att)
		_, err := v.Verify(ctx, att)
		// What others signed may lie beside a file as well; only what is brought along has to count.
		if err != nil && (named || !errors.Is(err, evidence.ErrUnknownKey) && !errors.Is(err, evidence.ErrNotAllowed)) {
			p.Rejected = append(p.Rejected, sallyport.RejectedInput{Attestation: att.Digest(), Source: att.Source, Code: rejection(err), Why: err.Error()})
		}
	}
	for _, att := range ro.presented {
		one(att, true)
	}
	places := slices.Clone(w.opts.Bundles)
	if ro.presented == nil {
		places = append(places, beside(ro.Files, places)...)
	}
	for i, place := range places {
		b, err := readLimit(place, sigstore.MaxBundle)
		if err != nil {
			return fmt.Errorf("read the bundle: %w", err)
		}
		bundles, err := sigstore.Statements(bytes.TrimSpace(b))
		if err != nil {
			return fmt.Errorf("read the bundle %s: %w", place, err)
		}
		for _, raw := range bundles {
			one(sallyport.Attestation{Raw: raw, Source: place}, i < len(w.opts.Bundles))
		}
	}
	return nil
}

// beside lists the bundles that lie where tools put them, beside the files.
func beside(files, named []string) []string {
	var out []string
	for _, name := range files {
		for _, suffix := range []string{".sigstore.json", ".intoto.jsonl", ".sigstore", ".jsonl"} {
			if _, err := os.Stat(name + suffix); err == nil && !slices.Contains(named, name+suffix) {
				out = append(out, name+suffix)
			}
		}
	}
	return out
}

// rejection is the code of why an attestation does not verify.
func rejection(err error) string {
	for _, c := range []struct {
		is   error
		code string
	}{
		{evidence.ErrRevoked, "revoked"}, {evidence.ErrExpired, "expired"}, {evidence.ErrUnknownKey, "unknown-key"},
		{evidence.ErrNotAllowed, "not-allowed"}, {evidence.ErrSignature, "signature"},
	} {
		if errors.Is(err, c.is) {
			return c.code
		}
	}
	return "unreadable"
}

// historian is release.Historian.
type historian struct{ w *workspace }

// OnLine walks the first-parent history of tip no further than commit.
func (h historian) OnLine(ctx context.Context, tip, commit string) (bool, error) {
	if ok, err := h.w.differ(ctx).IsAncestor(ctx, commit, tip); err != nil || !ok {
		return false, err
	}
	found := false
	err := h.w.repo.Stream(ctx, nil, func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			found = found || lines.Text() == commit
		}
		return lines.Err()
	}, "rev-list", "--first-parent", tip, "^"+commit+"^@")
	return found, err
}

// readRebuild is release.Gate's Rebuild.
func readRebuild(st sallyport.Statement) (release.Rebuild, error) {
	ev, err := rebuild.ReadEvidence(st)
	if errors.Is(err, rebuild.ErrType) {
		return release.Rebuild{}, fmt.Errorf("%w: %w", release.ErrNoRebuild, err)
	}
	return release.Rebuild{Equal: ev.Equal, Provenance: ev.Provenance}, err
}

func (h historian) Commits(ctx context.Context, head string, not []string, limit int) ([]release.Commit, error) {
	args := []string{"rev-list", "--topo-order", "--parents", fmt.Sprintf("--max-count=%d", limit+1), head}
	for _, n := range not {
		args = append(args, "^"+n)
	}
	out, err := h.w.repo.Output(ctx, 1<<28, nil, args...)
	if err != nil {
		return nil, err
	}
	var commits []release.Commit
	var ids []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if words := strings.Fields(line); len(words) > 0 {
			commits = append(commits, release.Commit{ID: words[0], Parents: words[1:]})
			ids = append(ids, words[0])
		}
	}
	if len(commits) > limit {
		return nil, withHint(fmt.Errorf("the release brings more than %d commits that nothing says are decided", limit),
			"name the commit from which on they are in gates.release.adoption, in "+configPath)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	trees, err := h.w.repo.Trees(ctx, ids)
	if err != nil {
		return nil, err
	}
	err = h.w.repo.Commits(ctx, ids, func(i int, raw []byte) error {
		commits[i].Tree = trees[i]
		_, message, _ := bytes.Cut(raw, []byte("\n\n"))
		title, _, _ := bytes.Cut(bytes.TrimLeft(message, "\n"), []byte("\n"))
		commits[i].Title = strings.ToValidUTF8(string(title[:min(len(title), 100)]), "?")
		return nil
	})
	return commits, err
}
