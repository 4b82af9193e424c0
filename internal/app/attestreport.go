package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/scan"
	"github.com/sallyport-dev/sallyport/internal/scan/report"
)

// AttestReportOptions say which reports of other tools to sign for.
type AttestReportOptions struct {
	Files   []string
	Subject string // what they are about; empty: git:HEAD
	Key     string
	Output  string // a folder for the bundles, empty to keep them
	Embed   bool   // the SARIF report itself in the statement that vouches for it
	Environ []string
}

// AttestedReport is what one report came to, and the statements about it.
type AttestedReport struct {
	File         string             `json:"file"`
	Kind         string             `json:"kind"`
	Tools        []string           `json:"tools"`
	Result       string             `json:"result"`
	Passed       int                `json:"passed"`
	Warned       int                `json:"warned"`
	Failed       int                `json:"failed"`
	Attestations []sallyport.Digest `json:"attestations"`
	Note         string             `json:"note,omitempty"`
}

// AttestReports signs a test-result statement about each report and, about a SARIF report, one that
// vouches for it at the merge gate. All are read before anything is signed.
func (a *App) AttestReports(ctx context.Context, o Options, ro AttestReportOptions) (_ []AttestedReport, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	subjects, _, err := w.subject(ctx, orDefault(ro.Subject, "git:HEAD"))
	if err != nil {
		return nil, err
	}
	if ro.Output != "" {
		if err := os.MkdirAll(ro.Output, 0o755); err != nil {
			return nil, fmt.Errorf("make the folder for what is written: %w", err)
		}
	}
	k, err := a.loadKey(ctx, ro.Key)
	if err != nil {
		return nil, err
	}
	who, note, err := w.whoRan(ctx, subjects, ro.Environ)
	if err != nil {
		return nil, err
	}
	type signing struct {
		of         int
		name       string
		statements []sallyport.Statement
	}
	out := make([]AttestedReport, len(ro.Files))
	var todo []signing
	for i, name := range ro.Files {
		f, raw, err := readAnyReport(name, w.repo.WorkTree())
		if err != nil {
			return nil, fmt.Errorf("read the report %s: %w", name, err)
		}
		for _, r := range f.Reports {
			if subjects[0].Algorithm() == "gitCommit" && !r.About(subjects[0].Hex()) {
				return nil, withHint(fmt.Errorf("the report %s is about commit %s, and not about %s", name, r.Revisions[0], subjects[0]), "name the commit that it is about with --subject")
			}
		}
		if ro.Embed && holdsSecret(raw) {
			return nil, withHint(fmt.Errorf("the report %s holds what looks like a secret, and is not put into a statement", name), "leave --embed out, and bring the file to the check")
		}
		sts, sum, err := reportStatements(f, raw, subjects, who, ro.Embed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[i] = AttestedReport{File: name, Kind: f.Kind, Result: sum.Result, Passed: len(sum.Passed), Warned: len(sum.Warned), Failed: len(sum.Failed), Note: note}
		for _, c := range sum.Configuration {
			out[i].Tools = append(out[i].Tools, c.Name)
		}
		todo = append(todo, signing{i, name, sts})
	}
	for _, s := range todo {
		for _, st := range s.statements {
			bundle, err := evidence.Sign(ctx, st, k)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			out[s.of].Attestations = append(out[s.of].Attestations, sallyport.SHA256(bundle))
			if err := w.putReport(ctx, ro.Output, s.name, st.PredicateType, bundle); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// holdsSecret reports whether a report quotes what the scan for secrets would find: statements travel.
func holdsSecret(raw []byte) bool { return len(scan.Secrets().Find("", raw, nil)) > 0 }

// putReport keeps a bundle, or writes it beside others.
func (w *workspace) putReport(ctx context.Context, dir, name, typ string, bundle []byte) error {
	if dir == "" {
		_, err := w.keep(ctx, bundle)
		return err
	}
	suffix := ".test-result.sigstore.json"
	if typ == report.SARIFType {
		suffix = ".sarif.sigstore.json"
	}
	return writeFile(filepath.Join(dir, filepath.Base(name)+suffix), bundle)
}

// readAnyReport reads a report of whatever kind, and its bytes.
func readAnyReport(name, root string) (report.File, []byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return report.File{}, nil, errors.Unwrap(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, report.MaxSize+1))
	if err != nil {
		return report.File{}, nil, err
	}
	if len(b) > report.MaxSize {
		return report.File{}, nil, fmt.Errorf("it is larger than the %d bytes that are read", report.MaxSize)
	}
	kind, err := report.Detect(b)
	if err != nil {
		return report.File{}, nil, err
	}
	rs, err := report.Read(kind, b, root)
	return report.File{Source: name, Kind: kind, Digest: sallyport.SHA256(b), Reports: rs}, b, err
}

// whoRan says who ran the tool, as the environment has it, and how the work tree differs from the commit
// that the report is about. Files that are in no commit are no difference here: the report is one.
func (w *workspace) whoRan(ctx context.Context, subjects []sallyport.Digest, environ []string) (map[string]any, string, error) {
	who, t, err := w.ranIn(ctx, subjects, environ)
	if err != nil || t == nil {
		return who, "", err
	}
	if changed := t.Count(git.FileModified) + t.Count(git.FileDeleted); changed > 0 {
		return who, fmt.Sprintf("%d files of the work tree are not the commit's, and the statement says so", changed), nil
	}
	return who, "", nil
}

// ranIn is whoRan with the whole state of the work tree, nil if it is unknown.
func (w *workspace) ranIn(ctx context.Context, subjects []sallyport.Digest, environ []string) (map[string]any, *git.WorkTreeState, error) {
	ci := build.ReadCI(w.app.Getenv)
	who := map[string]any{"grade": sallyport.Declared, "initiator": initiator(ci, environ)}
	if ci != nil {
		who["ci"] = ci
	}
	head, err := w.repo.Resolve(ctx, "HEAD")
	if err != nil || w.repo.WorkTree() == "" || subjects[0] != sallyport.GitCommit(head) {
		who["worktree"] = "unknown"
		return who, nil, nil //nolint:nilerr // without a head there is nothing to compare with
	}
	t, err := w.repo.CompareWorkTree(ctx, head)
	if err != nil {
		return nil, nil, err
	}
	who["worktree"] = map[string]int{"modified": t.Count(git.FileModified), "deleted": t.Count(git.FileDeleted), "untracked": t.Count(git.FileUntracked)}
	return who, t, nil
}

// reportStatements makes the statements about one report.
func reportStatements(f report.File, raw []byte, subjects []sallyport.Digest, who map[string]any, embed bool) ([]sallyport.Statement, *report.TestResult, error) {
	sum, err := report.Summarise(f)
	if err != nil {
		return nil, nil, err
	}
	for i := range sum.Configuration {
		for k, v := range who {
			sum.Configuration[i].Annotations[k] = v
		}
	}
	if ci, ok := who["ci"].(*build.CIFacts); ok {
		sum.URL = ci.Run
	}
	about := []sallyport.StatementSubject{{Name: filepath.Base(f.Source), Digest: map[string]string{"sha256": f.Digest.Hex()}}}
	for _, d := range subjects {
		about = append(about, sallyport.StatementSubject{Digest: map[string]string{d.Algorithm(): d.Hex()}})
	}
	bodies := []struct {
		typ  string
		body any
	}{{report.TestResultType, sum}}
	if f.Kind == report.SARIF {
		v := map[string]any{"reportFileName": filepath.Base(f.Source), "reportDigestSet": map[string]string{"sha256": f.Digest.Hex()}}
		if embed {
			v["report"] = json.RawMessage(raw)
		}
		bodies = append(bodies, struct {
			typ  string
			body any
		}{report.SARIFType, v})
	}
	var out []sallyport.Statement
	for _, b := range bodies {
		p, err := sallyport.EncodeJSON(b.body)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, sallyport.Statement{Type: sallyport.StatementType, PredicateType: b.typ, Predicate: p, Subject: about})
	}
	return out, sum, nil
}
