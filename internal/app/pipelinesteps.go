package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/checksum"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/internal/pipeline"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/scan/report"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// treeState is how the work tree differs from the commit, and who runs the pipeline.
type treeState struct {
	state  *git.WorkTreeState
	source build.Source
	who    map[string]any
}

func passed(format string, args ...any) (pipeline.Outcome, error) {
	return pipeline.Outcome{State: pipeline.Passed, Detail: fmt.Sprintf(format, args...)}, nil
}

// compareTree reads the work tree once, for all that is said about it.
func (p *pipelineRun) compareTree(ctx context.Context) (_ pipeline.Outcome, err error) {
	w, err := p.app.open(ctx, p.opts)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	defer done(&err, w.Close)
	var t *git.WorkTreeState
	if p.tree.who, t, err = w.ranIn(ctx, p.about, p.po.Environ); err != nil {
		return pipeline.Outcome{}, err
	}
	if t == nil {
		return pipeline.Outcome{}, errors.New("another commit was checked out meanwhile")
	}
	p.tree.state, p.tree.source = t, sourceState(t)
	if t.Dirty() {
		return passed("it is not the commit, and so nothing that is made from it can be released: %s", differences(t))
	}
	return passed("as in %.12s", p.commit)
}

// scan judges what the release brings, since the gate was adopted, by today's rules: what the merge gate would
// shut for a finding shuts here. What it would let a person decide has been decided when it was merged, and warns.
func (p *pipelineRun) scan(ctx context.Context) (pipeline.Outcome, error) {
	w := p.w
	since := w.cfg.Gates.Release.Adoption
	if since == "" {
		return pipeline.Outcome{}, withHint(errors.New("nothing says from which commit on this repository is judged"), "name it in gates.release.adoption, in "+configPath)
	}
	base, err := w.repo.Resolve(ctx, since)
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("find the commit of gates.release.adoption: %w", err)
	}
	if base == p.commit {
		return passed("nothing is new since the adoption")
	}
	c, err := w.differ(ctx).Change(ctx, change.Request{TargetRef: w.target.Ref, Action: "update", Base: base, Head: p.commit})
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("read what the release brings: %w", err)
	}
	at := w.target.Base
	defer func() { w.target.Base = at }()
	w.target.Base, w.target.Head, w.target.Action = base, p.commit, "update"
	g, params, err := w.gateFor(ctx, c)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	g.Progress = nil
	preview, err := g.Preview(ctx, params)
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("scan what the release brings: %w", err)
	}
	d := preview.Decision
	if d.Undecided {
		return pipeline.Outcome{}, errors.New("the policy of the merge gate cannot be applied, so nothing says what a finding does")
	}
	objected, err := w.objections(ctx, preview)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	d.Reasons = objected
	told := map[string]bool{}
	for _, r := range objected {
		told[r.Place] = true
	}
	n := 0
	for _, f := range preview.Input.Findings {
		if f.State != sallyport.FindingOpen || told[findingPlace(f)] {
			continue
		}
		n++ // no rule objects to it; it is told all the same
		d.Reasons = append(d.Reasons, sallyport.Reason{Code: f.Kind.Code(), Outcome: sallyport.Open, Severity: f.Severity, Text: f.Text, Place: findingPlace(f)})
	}
	return p.attestScan(ctx, d, len(objected), n)
}

// findingPlace is where a finding is, as reasons have it.
func findingPlace(f sallyport.Finding) string {
	switch {
	case f.Path != "" && f.Line > 0:
		return fmt.Sprintf("%s:%d", f.Path, f.Line)
	case f.Path != "":
		return string(f.Path)
	}
	return string(f.Commit)
}

// objections are the reasons that the merge policy gives because of findings, whatever it calls them: those that it
// would not give had nothing been found.
func (w *workspace) objections(ctx context.Context, preview merge.Preview) ([]sallyport.Reason, error) {
	if len(preview.Input.Findings) == 0 {
		return []sallyport.Reason{}, nil
	}
	clean := preview.Input
	clean.Findings = []sallyport.Finding{}
	input, err := sallyport.EncodeJSON(clean)
	if err != nil {
		return nil, err
	}
	v, err := w.eval.Evaluate(ctx, sallyport.GateMerge, input)
	if err != nil {
		return nil, fmt.Errorf("apply the policy of the merge gate: %w", err)
	}
	type fact struct{ set, code, place, text string }
	of := func(r sallyport.Reason) fact { return fact{r.Set, r.Code, r.Place, r.Text} }
	without := map[fact]bool{}
	for _, r := range v.Reasons {
		without[of(r)] = true
	}
	return slices.DeleteFunc(slices.Clone(preview.Decision.Reasons), func(r sallyport.Reason) bool { return without[of(r)] }), nil
}

// attestScan writes the findings as SARIF, and signs what they come to.
func (p *pipelineRun) attestScan(ctx context.Context, d sallyport.Decision, objected, others int) (pipeline.Outcome, error) {
	var out bytes.Buffer
	if err := render.SARIF(&out, d, "", Version()); err != nil {
		return pipeline.Outcome{}, err
	}
	if err := p.folder.write(scanFile, out.Bytes()); err != nil {
		return pipeline.Outcome{}, err
	}
	reports, err := report.Read(report.SARIF, out.Bytes(), "")
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("read our own report: %w", err)
	}
	who := map[string]any{"grade": sallyport.Declared, "policies": d.Policies}
	f := report.File{Source: scanFile, Kind: report.SARIF, Digest: sallyport.SHA256(out.Bytes()), Reports: reports}
	sts, sum, err := reportStatements(f, out.Bytes(), p.about, who, false)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	for _, st := range sts {
		if st.PredicateType == report.TestResultType {
			if err := p.put(ctx, "scan"+bundleSuffix, st); err != nil {
				return pipeline.Outcome{}, err
			}
		}
	}
	o := pipeline.Outcome{State: pipeline.Passed, Detail: "nothing found"}
	switch {
	case objected > 0:
		o.Detail = strings.Join(codesOf(d.Reasons), ", ")
	case others > 0:
		o.Detail = fmt.Sprintf("%d findings that no rule objects to", others)
	}
	if sum.Result == "FAILED" || d.Reasons != nil && slices.ContainsFunc(d.Reasons, func(r sallyport.Reason) bool { return r.Outcome == sallyport.Shut }) {
		o.State = pipeline.Failed
		o.Detail += " (" + scanFile + ")"
	}
	return o, nil
}

// put signs a statement into the folder.
func (p *pipelineRun) put(ctx context.Context, name string, st sallyport.Statement) error {
	bundle, err := evidence.Sign(ctx, st, p.key)
	if err != nil {
		return fmt.Errorf("sign %s: %w", name, err)
	}
	return p.folder.statement(name, bundle)
}

// scanners runs other people's.
func (p *pipelineRun) scanners(ctx context.Context) (pipeline.Outcome, error) {
	dir, err := os.MkdirTemp("", "sallyport-pipeline-")
	if err != nil {
		return pipeline.Outcome{}, err
	}
	defer os.RemoveAll(dir)
	o := p.opts
	o.Repo = p.top
	r, err := p.app.Scan(ctx, o, ScanOptions{Tools: p.cfg.Scanners, Timeout: 10 * time.Minute, Reports: dir, Key: p.po.Key, Output: dir, Environ: p.po.Environ})
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return pipeline.Outcome{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return pipeline.Outcome{}, err
		}
		keep, name := p.folder.write, "scanner-"+e.Name()
		if strings.HasSuffix(name, bundleSuffix) {
			keep = p.folder.statement
		}
		if err := keep(name, b); err != nil {
			return pipeline.Outcome{}, err
		}
	}
	out := pipeline.Outcome{State: pipeline.Passed}
	if r.ExitStatus() != sallyport.ExitOpen {
		out.State = pipeline.Failed
	}
	var told []string
	for _, t := range r.Tools {
		told = append(told, fmt.Sprintf("%s: %s, %d results", t.Name, strings.ToLower(t.Result), len(t.Results)))
	}
	out.Detail = strings.Join(told, "; ")
	return out, nil
}

// sbom lists what the commit's lock files pin. It is signed once the artifacts are there.
func (p *pipelineRun) sbom(ctx context.Context) (pipeline.Outcome, error) {
	bill, err := p.app.SBOM(ctx, p.opts, SBOMOptions{Subject: "git:" + p.commit, Version: p.po.Name})
	if err != nil {
		return pipeline.Outcome{}, err
	}
	p.bills = map[string][]byte{}
	if p.bills[cycloneDXFile], err = bill.CycloneDX(); err != nil {
		return pipeline.Outcome{}, err
	}
	if p.bills[spdxFile], err = bill.SPDX(); err != nil {
		return pipeline.Outcome{}, err
	}
	for name, b := range p.bills {
		if err := p.folder.write(name, b); err != nil {
			return pipeline.Outcome{}, err
		}
	}
	more := ""
	if !bill.Complete {
		more = ", and it is not whole: sallyport sbom says why"
	}
	return passed("%d packages in %d files%s", len(bill.Components), len(bill.Files), more)
}

// build runs the build, or finds that it ran before, and takes the artifacts over.
func (p *pipelineRun) build(ctx context.Context) (pipeline.Outcome, error) {
	if len(p.cfg.Build.Run) == 0 {
		return p.existing(ctx)
	}
	if out, ok := p.builtBefore(ctx); ok {
		return out, nil
	}
	log := new(stepLog)
	o := p.opts
	o.Repo = p.top
	built, err := p.app.Build(ctx, o, BuildOptions{
		Args: p.cfg.Build.Run, Artifacts: p.cfg.Artifacts, Env: p.cfg.Build.Env, Environ: p.po.Environ, Timeout: p.cfg.Build.Limit(),
		Key: p.po.Key, Stdout: log, Stderr: log, tree: p.tree.state, sink: func(bundle []byte) error { return p.folder.statement(provenanceFile, bundle) },
	})
	log.save(p.folder, "build")
	if err != nil {
		return pipeline.Outcome{}, err
	}
	if r := built.Result; r.Failed() {
		return pipeline.Outcome{State: pipeline.Failed, Detail: fmt.Sprintf("%s: %s, status %d%s (%s)", p.cfg.Build.Run[0], r.Ended, r.ExitStatus, spaced(r.Why), logName("build"))}, nil
	}
	for _, a := range built.Artifacts {
		if err := p.takeArtifact(a); err != nil {
			return pipeline.Outcome{}, err
		}
	}
	return passed("%d artifacts by %s", len(p.artifacts), p.cfg.Build.Run[0])
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// existing takes artifacts that no command of the pipeline makes.
func (p *pipelineRun) existing(ctx context.Context) (pipeline.Outcome, error) {
	watch, err := build.NewWatch(ctx, p.top, p.cfg.Artifacts)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	found, err := watch.Artifacts(ctx, true)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	for _, a := range found {
		if err := p.takeArtifact(a); err != nil {
			return pipeline.Outcome{}, err
		}
	}
	return passed("%d artifacts that lay there: provenance of them has to be found elsewhere", len(p.artifacts))
}

func (p *pipelineRun) takeArtifact(a build.Artifact) error {
	f := PipelineFile{Name: filepath.Base(filepath.FromSlash(a.Path)), Digest: sallyport.Digest("sha256:" + a.SHA256)}
	if reservedName(f.Name) {
		return fmt.Errorf("the artifact %s has the name of a file that the pipeline writes itself", sallyport.Path(a.Path))
	}
	if slices.ContainsFunc(p.artifacts, func(o PipelineFile) bool { return strings.EqualFold(o.Name, f.Name) }) {
		return fmt.Errorf("two artifacts are named %s, and they are to lie in one folder", sallyport.Path(f.Name))
	}
	if err := p.folder.take(p.top, filepath.FromSlash(a.Path), f.Name, f.Digest); err != nil {
		return err
	}
	p.artifacts = append(p.artifacts, f)
	return nil
}

// sign signs the bills of materials for every artifact, and the checksums of all files.
func (p *pipelineRun) sign(ctx context.Context) (pipeline.Outcome, error) {
	var subjects []sallyport.StatementSubject
	for _, a := range p.artifacts {
		subjects = append(subjects, sallyport.StatementSubject{Name: a.Name, Digest: map[string]string{"sha256": a.Digest.Hex()}})
	}
	for _, d := range p.about {
		subjects = append(subjects, sallyport.StatementSubject{Name: "source", Digest: map[string]string{d.Algorithm(): d.Hex()}})
	}
	if err := p.attestBills(ctx, subjects); err != nil {
		return pipeline.Outcome{}, err
	}
	if err := p.folder.write(signerFile, p.public); err != nil {
		return pipeline.Outcome{}, err
	}
	var lines []checksum.Line
	for name, d := range p.folder.listed() {
		lines = append(lines, checksum.Line{Algorithm: "sha256", Hex: d.Hex(), Name: name})
	}
	slices.SortFunc(lines, func(a, b checksum.Line) int { return strings.Compare(a.Name, b.Name) })
	list := checksum.Format(lines)
	if err := p.folder.write(checksumsFile, list); err != nil {
		return pipeline.Outcome{}, err
	}
	if err := p.attestOwn(ctx, lines, list); err != nil {
		return pipeline.Outcome{}, err
	}
	bundle, err := sigstore.Sign(ctx, p.key, sigstore.Content{Artifact: sigstore.Bytes(list)})
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("sign the checksums: %w", err)
	}
	if err := p.folder.write(checksumsFile+bundleSuffix, bundle); err != nil {
		return pipeline.Outcome{}, err
	}
	if err := p.folder.flush(); err != nil {
		return pipeline.Outcome{}, err
	}
	return passed("%d files", len(lines))
}

// buildRecipe names the digest of all that decides how a build ends, as far as the pipeline knows it.
const buildRecipe = "build-recipe"

// referenceType is the type of statements that name a document by its digest
// (https://github.com/in-toto/attestation/blob/main/spec/predicates/reference.md).
const referenceType = "https://in-toto.io/attestation/reference/v0.1"

// attestBills binds the bills of materials to every artifact: CycloneDX by all of its bytes, since gates read
// it, and SPDX, which says the same, by its digest. A statement that has not changed stays as it was signed.
func (p *pipelineRun) attestBills(ctx context.Context, subjects []sallyport.StatementSubject) error {
	spdx := p.bills[spdxFile]
	ref, err := sallyport.EncodeJSON(map[string]any{
		"attester": map[string]string{"id": "https://sallyport.dev/pipeline"},
		"references": []any{map[string]any{
			"name": spdxFile, "mediaType": "application/spdx+json", "digest": map[string]string{"sha256": sallyport.SHA256(spdx).Hex()},
		}},
	})
	if err != nil {
		return err
	}
	bills := []struct {
		bundle, typ string
		body        []byte
	}{
		{"sbom.cdx" + bundleSuffix, sbom.CycloneDXType, p.bills[cycloneDXFile]},
		{"sbom.spdx" + bundleSuffix, referenceType, ref},
	}
	return together(len(bills), func(i int) error {
		b := bills[i]
		body, err := sallyport.EncodeJSON(json.RawMessage(b.body)) // as a statement has it
		if err != nil {
			return err
		}
		st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: b.typ, Predicate: body, Subject: subjects}
		if ev, ok := p.before(ctx, b.bundle, b.typ); ok && bytes.Equal(ev.Statement.Predicate, body) && reflect.DeepEqual(ev.Statement.Subject, subjects) {
			raw, err := p.folder.earlier(b.bundle)
			if err == nil && sallyport.SHA256(raw) == ev.Attestation {
				return p.folder.statement(b.bundle, raw)
			}
		}
		return p.put(ctx, b.bundle, st)
	})
}

// attestOwn signs provenance of the files that the pipeline made itself, as those of any other command: the release
// gate asks of every file that is published what built it.
func (p *pipelineRun) attestOwn(ctx context.Context, lines []checksum.Line, list []byte) error {
	made := []build.Artifact{{Path: checksumsFile, SHA256: sallyport.SHA256(list).Hex()}}
	for _, l := range lines {
		if !slices.ContainsFunc(p.artifacts, func(a PipelineFile) bool { return a.Name == l.Name }) {
			made = append(made, build.Artifact{Path: l.Name, SHA256: l.Hex})
		}
	}
	ci := build.ReadCI(p.app.Getenv)
	var prov build.Provenance
	d := &prov.BuildDefinition
	d.BuildType = build.BuildType
	d.ExternalParameters = build.External{Command: []string{"sallyport", "pipeline"}, Directory: ".", Artifacts: []string{}, Environment: map[string]string{}}
	d.InternalParameters = build.Internal{Ended: build.Exited, Grade: sallyport.Declared, Initiator: initiator(ci, p.po.Environ), Source: p.tree.source, CI: ci}
	ref, _ := p.w.repo.SymbolicHead(ctx) // detached: no ref
	d.ResolvedDependencies = []build.Resource{{Name: "source", URI: sourceURI(ctx, p.w.repo, ci, p.commit, ref), Digest: map[string]string{"gitCommit": p.commit}}}
	run := &prov.RunDetails
	run.Builder.ID, run.Builder.Version = ci.Builder(), map[string]string{"sallyport": Version()}
	run.Metadata.InvocationID = orDefault(ci.Invocation(), newUUID())
	run.Metadata.StartedOn, run.Metadata.FinishedOn = p.began.UTC().Truncate(time.Second), p.app.now().UTC().Truncate(time.Second)
	// What decides whether the build has to run again; see builtBefore.
	run.Byproducts = []build.Resource{{Name: buildRecipe, Digest: map[string]string{"sha256": p.recipe(p.cfg.Build).Hex()}}}
	st, err := prov.Statement(p.about[0], made)
	if err != nil {
		return err
	}
	return p.put(ctx, ownFile, st)
}

// verify reads the folder as somebody would who has it from elsewhere: the list by its signature, each file by the
// list, each statement by the key, and every artifact by the statements that are about it. What lies there has to be
// what was written.
func (p *pipelineRun) verify(ctx context.Context) (pipeline.Outcome, error) {
	wrong := func(format string, args ...any) (pipeline.Outcome, error) {
		return pipeline.Outcome{State: pipeline.Failed, Detail: fmt.Sprintf(format, args...)}, nil
	}
	res, err := p.app.VerifyArtifact(ctx, ArtifactOptions{
		Subject: p.folder.at(checksumsFile), Bundles: []string{p.folder.at(checksumsFile + bundleSuffix)}, Key: p.folder.at(signerFile), Offline: true,
	})
	if err != nil {
		return pipeline.Outcome{}, err
	}
	if res.ExitStatus() != sallyport.ExitOpen {
		return wrong("the signature over %s does not verify", checksumsFile)
	}
	if err := p.folder.check(ctx); err != nil {
		return wrong("%s", err)
	}
	listed := p.folder.listed()
	if res.Digests[0] != p.folder.sums[checksumsFile] {
		return wrong("%s changed while it was read", checksumsFile)
	}
	for _, a := range p.artifacts {
		if listed[a.Name] != a.Digest {
			return wrong("%s is not what was built", a.Name)
		}
	}
	n, why, err := p.verifyStatements(ctx)
	if err != nil || why != "" {
		return pipeline.Outcome{State: pipeline.Failed, Detail: why}, err
	}
	return passed("%d files, %d statements", len(listed), n)
}

// verifyStatements holds every bundle to the key of this run, and to what the pipeline is about.
func (p *pipelineRun) verifyStatements(ctx context.Context) (n int, why string, err error) {
	atts := p.folder.statements()
	v, err := p.ownVerifier()
	if err != nil {
		return 0, "", err
	}
	wrong := make([]string, len(atts))
	err = together(len(atts), func(i int) error {
		ev, err := v.Verify(ctx, atts[i])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := atts[i].Source
		if err != nil {
			wrong[i] = name + ": " + err.Error()
		} else {
			wrong[i] = p.astray(name, ev)
		}
		return nil
	})
	for _, w := range wrong {
		if w != "" {
			return 0, w, err
		}
	}
	return len(atts), "", err
}

// astray says what a statement is not about, and should be.
func (p *pipelineRun) astray(name string, ev sallyport.Evidence) string {
	if !ev.About(p.about[0]) {
		return name + " is about another commit"
	}
	switch typ := ev.Statement.PredicateType; {
	case name == ownFile: // it is about what the checksums hold
	case typ == build.ProvenanceType, typ == sbom.CycloneDXType, typ == referenceType:
		for _, a := range p.artifacts {
			if !ev.About(a.Digest) {
				return fmt.Sprintf("%s is not about %s", name, a.Name)
			}
		}
	}
	return ""
}

// together calls fn for 0 to n-1, side by side, and joins the errors.
func together(n int, fn func(int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = fn(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}
