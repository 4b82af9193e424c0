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
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/pipeline"
	"github.com/sallyport-dev/sallyport/internal/scan/report"
)

// test runs one test command and signs what came of it, or finds that it passed before.
func (p *pipelineRun) test(ctx context.Context, t config.PipelineTest) (pipeline.Outcome, error) {
	name := "test-" + t.Name
	if out, ok := p.testedBefore(ctx, t, name+bundleSuffix); ok {
		return out, nil
	}
	var patterns []string
	if t.Report != "" {
		patterns = []string{t.Report}
	}
	watch, err := build.NewWatch(ctx, p.top, patterns)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	log := new(stepLog)
	r, err := build.Run(ctx, build.Step{
		Args: t.Run, Dir: p.top, Env: build.Without(p.po.Environ, append(keyVariables(p.po.Key), ciTokenVariable)...),
		Stdout: log, Stderr: log, Timeout: t.Limit(), Now: time.Now,
	})
	log.save(p.folder, name)
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("run %s: %w", t.Run[0], err)
	}
	before := p.tree
	if _, err := p.compareTree(ctx); err != nil { // what the next command works on, too
		return pipeline.Outcome{}, err
	}
	changed := !reflect.DeepEqual(before.source, p.tree.source)
	sum, about, err := p.testSummary(ctx, t, watch, r, before.source.Dirty || p.tree.source.Dirty)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	body, err := sallyport.EncodeJSON(sum)
	if err != nil {
		return pipeline.Outcome{}, err
	}
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: report.TestResultType, Predicate: body, Subject: about}
	if err := p.put(ctx, name+bundleSuffix, st); err != nil {
		return pipeline.Outcome{}, err
	}
	out := pipeline.Outcome{State: pipeline.Passed, Detail: tally(sum)}
	if changed {
		out.Detail += "; it changed the work tree"
	}
	switch {
	case r.Failed():
		out.State, out.Detail = pipeline.Failed, fmt.Sprintf("%s: %s, status %d%s (%s)", t.Run[0], r.Ended, r.ExitStatus, spaced(r.Why), logName(name))
	case sum.Result == "FAILED":
		out.State, out.Detail = pipeline.Failed, tally(sum)+" ("+logName(name)+")"
	}
	return out, nil
}

func tally(t *report.TestResult) string {
	s := fmt.Sprintf("%d passed", len(t.Passed))
	if len(t.Failed) > 0 {
		s += fmt.Sprintf(", %d failed: %s", len(t.Failed), t.Failed[0])
	}
	if len(t.Warned) > 0 {
		s += fmt.Sprintf(", %d warned", len(t.Warned))
	}
	return s
}

// testSummary says what a test came to: its report's word, made worse by its exit status, and never better.
func (p *pipelineRun) testSummary(ctx context.Context, t config.PipelineTest, watch *build.Watch, r build.Result, dirty bool) (*report.TestResult, []sallyport.StatementSubject, error) {
	var about []sallyport.StatementSubject
	for _, d := range p.about {
		about = append(about, sallyport.StatementSubject{Digest: map[string]string{d.Algorithm(): d.Hex()}})
	}
	sum := &report.TestResult{Result: "PASSED", Passed: []string{t.Name}, Warned: []string{}, Failed: []string{}}
	why := ""
	switch f, err := p.testReport(ctx, t, watch); {
	case t.Report == "":
	case err != nil && r.Failed():
		why = "no report was written: " + err.Error()
		sum.Passed = []string{}
	case err != nil:
		return nil, nil, withHint(fmt.Errorf("the command succeeded, and its report %s is none: %w", t.Report, err), "name the file that this very run writes, or leave pipeline.tests.report out")
	default:
		if sum, err = report.Summarise(f); err != nil {
			return nil, nil, err
		}
		about = append(about, sallyport.StatementSubject{Name: f.Source, Digest: map[string]string{"sha256": f.Digest.Hex()}})
	}
	if sum.Configuration == nil {
		sum.Configuration = []report.Configuration{{Name: t.Name, Digest: map[string]string{"gitCommit": p.commit}, Annotations: map[string]any{}}}
	}
	for i := range sum.Configuration {
		notes := sum.Configuration[i].Annotations
		for k, v := range p.tree.who {
			notes[k] = v
		}
		notes["step"], notes["command"], notes["exitStatus"], notes["ended"] = t.Name, t.Run, r.ExitStatus, r.Ended
		if why != "" {
			notes["why"] = why
		}
		if !dirty {
			notes["recipe"] = p.recipe(t)
		}
	}
	if r.Failed() {
		if t.Report == "" {
			sum.Passed = []string{}
		}
		sum.Result, sum.Failed = "FAILED", append(sum.Failed, fmt.Sprintf("%s: %s, status %d", t.Name, r.Ended, r.ExitStatus))
	}
	return sum, about, nil
}

// testReport reads the report that the command wrote, and puts it into the folder.
func (p *pipelineRun) testReport(ctx context.Context, t config.PipelineTest, watch *build.Watch) (report.File, error) {
	if t.Report == "" {
		return report.File{}, nil
	}
	made, err := watch.Artifacts(ctx, false)
	if err != nil {
		return report.File{}, err
	}
	f, raw, err := readAnyReport(filepath.Join(p.top, filepath.FromSlash(t.Report)), p.top)
	if err != nil {
		return report.File{}, err
	}
	if len(made) != 1 || f.Digest.Hex() != made[0].SHA256 {
		return report.File{}, errors.New("it changed while it was read")
	}
	for _, one := range f.Reports {
		if !one.About(p.commit) {
			return report.File{}, fmt.Errorf("it is about commit %s", one.Revisions[0])
		}
	}
	f.Source = "report-" + t.Name + strings.ToLower(filepath.Ext(t.Report))
	if holdsSecret(raw) {
		return f, nil // its digest travels, and its bytes do not
	}
	return f, p.folder.write(f.Source, raw)
}

// before returns a statement about this commit that this key signed, if one lies in the folder. Nothing is
// believed that is not signed: whoever can write the folder cannot make a step pass.
func (p *pipelineRun) before(ctx context.Context, name, typ string) (sallyport.Evidence, bool) {
	if p.po.Fresh || p.tree.source.Dirty || p.app.Getenv(ciTokenVariable) != "" {
		return sallyport.Evidence{}, false
	}
	raw, err := p.folder.earlier(name)
	if err != nil {
		return sallyport.Evidence{}, false
	}
	v, err := p.ownVerifier()
	if err != nil {
		return sallyport.Evidence{}, false
	}
	ev, err := v.Verify(ctx, sallyport.Attestation{Raw: raw, Source: name})
	return ev, err == nil && ev.Statement.PredicateType == typ && ev.About(p.about[0])
}

// testedBefore finds that a test passed, by a statement that says so of the same commit and command.
func (p *pipelineRun) testedBefore(ctx context.Context, t config.PipelineTest, name string) (pipeline.Outcome, bool) {
	ev, ok := p.before(ctx, name, report.TestResultType)
	if !ok {
		return pipeline.Outcome{}, false
	}
	want := p.recipe(t)
	var r report.TestResult
	if want == "" || json.Unmarshal(ev.Statement.Predicate, &r) != nil || r.Result != "PASSED" || len(r.Configuration) == 0 {
		return pipeline.Outcome{}, false
	}
	for _, c := range r.Configuration {
		if c.Annotations["recipe"] != string(want) || c.Annotations["step"] != t.Name {
			return pipeline.Outcome{}, false
		}
	}
	for _, s := range ev.Statement.Subject {
		if s.Name == "" || s.Digest["sha256"] == "" {
			continue
		}
		// The report. It may not be there: what quotes a secret is not kept.
		b, err := p.folder.earlier(s.Name)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil || sallyport.SHA256(b).Hex() != s.Digest["sha256"] || !strings.HasPrefix(s.Name, "report-"+t.Name+"."):
			return pipeline.Outcome{}, false
		}
		if err := p.folder.write(s.Name, b); err != nil {
			return pipeline.Outcome{}, false
		}
	}
	if !p.keep(name, ev) {
		return pipeline.Outcome{}, false
	}
	return pipeline.Outcome{State: pipeline.Reused, Detail: tally(&r)}, true
}

// keep takes a statement of an earlier run over.
func (p *pipelineRun) keep(name string, ev sallyport.Evidence) bool {
	raw, err := p.folder.earlier(name)
	return err == nil && sallyport.SHA256(raw) == ev.Attestation && p.folder.statement(name, raw) == nil
}

// builtBefore finds that the build ran, by provenance that says so of the same commit and command, and that its
// artifacts are in the folder as they were made.
func (p *pipelineRun) builtBefore(ctx context.Context) (pipeline.Outcome, bool) {
	ev, ok := p.before(ctx, provenanceFile, build.ProvenanceType)
	if !ok {
		return pipeline.Outcome{}, false
	}
	own, ok := p.before(ctx, ownFile, build.ProvenanceType)
	var prov, made build.Provenance
	if !ok || json.Unmarshal(ev.Statement.Predicate, &prov) != nil || json.Unmarshal(own.Statement.Predicate, &made) != nil {
		return pipeline.Outcome{}, false
	}
	want := p.recipe(p.cfg.Build)
	if b := made.RunDetails.Byproducts; want == "" || len(b) != 1 || b[0].Name != buildRecipe || b[0].Digest["sha256"] != want.Hex() {
		return pipeline.Outcome{}, false
	}
	d, in := prov.BuildDefinition, prov.BuildDefinition.InternalParameters
	asked := build.External{Command: p.cfg.Build.Run, Directory: ".", Artifacts: p.cfg.Artifacts, Environment: map[string]string{}}
	for _, name := range p.cfg.Build.Env {
		asked.Environment[name], _ = lookup(p.po.Environ, name)
	}
	same := d.BuildType == build.BuildType && reflect.DeepEqual(d.ExternalParameters, asked) && in.ExitStatus == 0 && in.Ended == build.Exited &&
		!in.Source.Dirty && len(in.Unchanged) == 0 && prov.RunDetails.Builder.Version["sallyport"] == Version() &&
		len(d.ResolvedDependencies) > 0 && d.ResolvedDependencies[0].Digest["gitCommit"] == p.commit
	if !same {
		return pipeline.Outcome{}, false
	}
	var files []PipelineFile
	for _, s := range ev.Statement.Subject {
		sum := s.Digest["sha256"]
		if sum == "" {
			continue
		}
		f := PipelineFile{Name: filepath.Base(filepath.FromSlash(s.Name)), Digest: sallyport.Digest("sha256:" + sum)}
		if reservedName(f.Name) || p.folder.copy(p.folder.old, f.Name, f.Name, f.Digest) != nil {
			return p.notBuilt(files)
		}
		files = append(files, f)
	}
	if len(files) == 0 || !p.keep(provenanceFile, ev) {
		return p.notBuilt(files)
	}
	p.artifacts = files
	return pipeline.Outcome{State: pipeline.Reused, Detail: fmt.Sprintf("%d artifacts of %s", len(files), prov.RunDetails.Metadata.FinishedOn.Format(time.RFC3339))}, true
}

// notBuilt gives back what was taken over of an earlier build that is not whole.
func (p *pipelineRun) notBuilt(files []PipelineFile) (pipeline.Outcome, bool) {
	for _, f := range files {
		p.folder.drop(f.Name)
	}
	return pipeline.Outcome{}, false
}

// maxStepLog bounds what is kept of what a command writes, in bytes: it stays in memory.
const maxStepLog = 4 << 20

// A stepLog keeps the first maxStepLog bytes of what a command of the pipeline writes to both of its streams.
type stepLog struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	left int64
}

// Write keeps what there is room for.
func (l *stepLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := min(len(b), maxStepLog-l.buf.Len())
	l.buf.Write(b[:room])
	l.left += int64(len(b) - room)
	return len(b), nil
}

func logName(step string) string { return logFolder + "/" + step + ".log" }

// save keeps the log for whoever ran the command: nobody looked what it quotes.
func (l *stepLog) save(f *releaseFolder, step string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left > 0 {
		fmt.Fprintf(&l.buf, "\n[%d bytes more]\n", l.left)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logs[step] = l.buf.Bytes()
}
