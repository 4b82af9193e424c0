package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/scan/report"
	"github.com/sallyport-dev/sallyport/internal/scan/tool"
)

// ScanOptions say which scanners to run, and what to write.
type ScanOptions struct {
	Tools       []string // NAME or NAME=PATH; empty for those that are installed and have something to scan
	Rules       string   // a file, for Semgrep
	RulesDigest string   // that it must have; required if it lies in the work tree
	Database    string   // file: URL, for govulncheck
	Timeout     time.Duration
	Reports     string // a folder for the SARIF files
	Key         string
	Output      string // a folder for the bundles; empty to keep them
	Environ     []string
}

// States of a scanner.
const (
	ScanRan     = "ran"
	ScanMissing = "missing"
	ScanFailed  = "failed"
)

// A ScanResult is one thing that a scanner found.
type ScanResult struct {
	Severity   sallyport.Severity `json:"severity"`
	Rule       string             `json:"rule"`
	Place      string             `json:"place,omitempty"`
	Text       string             `json:"text"`
	Suppressed bool               `json:"suppressed"`
}

// A ScannedTool is what came of one scanner.
type ScannedTool struct {
	Name         string             `json:"name"`
	State        string             `json:"state"`
	Why          string             `json:"why,omitempty"` // of what did not run
	Program      *tool.Program      `json:"program,omitempty"`
	Rules        sallyport.Digest   `json:"rules,omitempty"`
	Database     string             `json:"database,omitempty"`
	Result       string             `json:"result,omitempty"` // PASSED, WARNED or FAILED
	Results      []ScanResult       `json:"results"`
	Notes        []string           `json:"notes"`
	Report       string             `json:"report,omitempty"`
	Attestations []sallyport.Digest `json:"attestations"`

	demanded bool
}

// A ScanReport is what all of them came to.
type ScanReport struct {
	Subject sallyport.Digest `json:"subject"` // the commit that is checked out
	Tools   []ScannedTool    `json:"tools"`
	Note    string           `json:"note,omitempty"`
}

// Err says why the scan is no answer: a scanner that was asked for is not installed, one did not scan,
// or none ran at all.
func (r ScanReport) Err() error {
	ran := 0
	for _, t := range r.Tools {
		switch {
		case t.State == ScanRan:
			ran++
		case t.State == ScanFailed, t.demanded:
			return errors.New(t.Why)
		}
	}
	if ran == 0 {
		return withHint(errors.New("no scanner ran: "+r.missing()), "install one, or name it with --tool NAME=PATH")
	}
	return nil
}

func (r ScanReport) missing() string {
	var s []string
	for _, t := range r.Tools {
		s = append(s, t.Why)
	}
	if len(s) == 0 {
		return "there is no go.mod here, and semgrep needs --rules"
	}
	return strings.Join(s, ", ")
}

// ExitStatus is that of a scan that is an answer: shut if anything is high or critical.
func (r ScanReport) ExitStatus() int {
	if slices.ContainsFunc(r.Tools, func(t ScannedTool) bool { return t.Result == "FAILED" }) {
		return sallyport.ExitShut
	}
	return sallyport.ExitOpen
}

// scanning is one call of Scan.
type scanning struct {
	*workspace
	so       ScanOptions
	rules    []byte
	subjects []sallyport.Digest
	who      map[string]any
	key      *key.Key
}

// Scan runs other people's scanners over the work tree, and signs for what they found if there is a key.
func (a *App) Scan(ctx context.Context, o Options, so ScanOptions) (_ ScanReport, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return ScanReport{}, err
	}
	defer done(&err, w.Close)
	s := &scanning{workspace: w, so: so}
	if err := s.prepare(); err != nil {
		return ScanReport{}, err
	}
	if s.subjects, _, err = w.subject(ctx, "git:HEAD"); err != nil {
		return ScanReport{}, err
	}
	var note string
	if s.who, note, err = w.whoRan(ctx, s.subjects, so.Environ); err != nil {
		return ScanReport{}, err
	}
	res := ScanReport{Subject: s.subjects[0], Tools: []ScannedTool{}, Note: note}
	for _, want := range s.wanted() {
		t, err := s.one(ctx, want)
		if err != nil {
			return res, err
		}
		t.demanded = len(so.Tools) > 0
		res.Tools = append(res.Tools, t)
	}
	return res, nil
}

// prepare refuses what cannot be meant, before anything runs.
func (s *scanning) prepare() error {
	top := s.repo.WorkTree()
	if top == "" {
		return errors.New("a bare repository has nothing to scan: run it in a checkout")
	}
	if err := atTop(orDefault(s.opts.Repo, "."), top); err != nil {
		return err
	}
	for _, dir := range []string{s.so.Reports, s.so.Output} {
		if dir != "" {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make the folder for what is written: %w", err)
			}
		}
	}
	if s.so.Output != "" && s.so.Key == "" {
		return usagef("--output holds what is signed: it needs --key")
	}
	if u, err := url.Parse(s.so.Database); s.so.Database != "" && (err != nil || u.Scheme != "file" || !filepath.IsAbs(u.Path)) {
		return usagef("--vulndb %q: it takes a folder as a URL, such as file:///var/lib/vulndb", s.so.Database)
	}
	if err := s.readRules(top); err != nil {
		return err
	}
	for _, want := range s.so.Tools {
		switch name, _, _ := strings.Cut(want, "="); {
		case !slices.Contains(tool.Names, name):
			return usagef("--tool %s: there are %s", name, strings.Join(tool.Names, ", "))
		case name == tool.Semgrep && s.rules == nil:
			return usagef("semgrep needs --rules FILE: rules from elsewhere are not asked for")
		}
	}
	if s.so.Key == "" {
		return nil
	}
	var err error
	s.key, err = s.app.loadKey(s.so.Key)
	return err
}

// atTop refuses a folder below the top of the work tree: paths in a scanner's answer would be others
// than the commit's.
func atTop(dir, top string) error {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err == nil {
		top, err = filepath.EvalSymlinks(top)
	}
	if err != nil {
		return err
	}
	if abs != top {
		return withHint(fmt.Errorf("%s is not the top of the work tree: the places that scanners name would not be the commit's", dir), "sallyport scan --repo "+top)
	}
	return nil
}

// readRules reads Semgrep's rules. What lies in the work tree may be what the agent wrote, and needs its
// digest from elsewhere.
func (s *scanning) readRules(top string) error {
	if s.so.Rules == "" {
		if s.so.RulesDigest != "" {
			return usagef("--rules-digest is of the file that --rules names")
		}
		return nil
	}
	b, err := readSmall(s.so.Rules)
	if err != nil {
		return fmt.Errorf("read the rules: %w", err)
	}
	got := sallyport.SHA256(b)
	if s.so.RulesDigest != "" && got != sallyport.Digest(s.so.RulesDigest) {
		return withHint(fmt.Errorf("the rules in %s are %s, and not those that were pinned", s.so.Rules, got), "whoever pinned them reviews the change, and gives --rules-digest anew")
	}
	abs, err := filepath.Abs(s.so.Rules)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return fmt.Errorf("read the rules: %w", err)
	}
	if real, err := filepath.EvalSymlinks(top); err == nil {
		top = real
	}
	if rel, err := filepath.Rel(top, abs); s.so.RulesDigest == "" && err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return withHint(fmt.Errorf("the rules in %s lie in the work tree, where the change can rewrite them", s.so.Rules), "pin them from outside: --rules-digest "+string(got))
	}
	s.rules = b
	return nil
}

// wanted lists the scanners to run.
func (s *scanning) wanted() []string {
	if len(s.so.Tools) > 0 {
		return s.so.Tools
	}
	var names []string
	if _, err := os.Stat(filepath.Join(s.repo.WorkTree(), "go.mod")); err == nil {
		names = append(names, tool.Gosec, tool.Govulncheck)
	}
	if s.rules != nil {
		names = append(names, tool.Semgrep)
	}
	return names
}

// one runs one scanner. What is the matter with it is in the answer; an error is about writing.
func (s *scanning) one(ctx context.Context, want string) (ScannedTool, error) {
	name, path, named := strings.Cut(want, "=")
	t := ScannedTool{Name: name, State: ScanFailed, Results: []ScanResult{}, Notes: []string{}, Attestations: []sallyport.Digest{}}
	var p tool.Program
	var err error
	if named {
		p, err = tool.At(name, path, s.repo.WorkTree())
	} else {
		p, err = tool.Find(name, tool.Folders(s.app.Getenv("PATH"), s.repo.WorkTree()), s.repo.WorkTree())
	}
	if errors.Is(err, tool.ErrNotInstalled) {
		t.State, t.Why = ScanMissing, err.Error()
		return t, nil
	}
	if err != nil {
		t.Why = err.Error()
		return t, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.so.Timeout)
	defer cancel()
	s.opts.step("run " + name)
	res, err := p.Run(ctx, tool.Scan{Dir: s.repo.WorkTree(), Env: scannerEnv(s.so.Environ, s.repo.WorkTree()), Rules: s.rules, Database: s.so.Database})
	t.Program = &p
	if err != nil {
		t.Why = err.Error()
		return t, nil
	}
	t.Database, t.Notes = res.Database, append(t.Notes, res.Notes...)
	if name == tool.Semgrep {
		t.Rules = sallyport.SHA256(s.rules)
	}
	reports, err := report.Read(report.SARIF, res.SARIF, s.repo.WorkTree())
	if err != nil {
		t.Why = name + ": its answer cannot be read: " + err.Error()
		return t, nil
	}
	for _, r := range reports {
		if !r.Complete {
			t.Why = name + ": " + r.Why
			return t, nil
		}
		t.Results = append(t.Results, scanResults(r)...)
	}
	t.State = ScanRan
	return t, s.write(ctx, &t, report.File{Source: name + ".sarif", Kind: report.SARIF, Digest: sallyport.SHA256(res.SARIF), Reports: reports}, res.SARIF)
}

// scannerEnv is what a scanner may know of the environment: no secrets, and for the go command, which two
// of them start, no toolchain of the repository's choice, no git in its folder, and no program from the work
// tree.
func scannerEnv(environ []string, top string) []string {
	env := slices.DeleteFunc(build.Without(environ, passphraseVariable, ciTokenVariable), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return build.SecretName(name)
	})
	folders, _ := lookup(env, "PATH")
	env = append(env, "PATH="+strings.Join(tool.Folders(folders, top), string(filepath.ListSeparator)))
	if _, ok := lookup(env, "GOTOOLCHAIN"); !ok {
		env = append(env, "GOTOOLCHAIN=local")
	}
	flags, _ := lookup(env, "GOFLAGS")
	return append(env, "GOFLAGS="+strings.TrimSpace(flags+" -buildvcs=false"))
}

// scanResults are a report's results, the gravest first.
func scanResults(r report.Report) []ScanResult {
	out := []ScanResult{}
	for _, res := range r.Results {
		one := ScanResult{Severity: res.Severity, Rule: report.Line(res.Rule), Text: report.Line(res.Text), Suppressed: res.Suppressed}
		if len(res.Places) > 0 && !res.Places[0].Unknown {
			one.Place = fmt.Sprintf("%s:%d", res.Places[0].Path, res.Places[0].Line)
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b ScanResult) int { return b.Severity.Rank() - a.Severity.Rank() })
	return out
}

// write writes a scanner's report, and signs for it.
func (s *scanning) write(ctx context.Context, t *ScannedTool, f report.File, raw []byte) error {
	if s.so.Reports != "" {
		t.Report = filepath.Join(s.so.Reports, f.Source)
		if err := os.WriteFile(t.Report, raw, 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	who := map[string]any{"program": map[string]string{"sha256": t.Program.SHA256, "version": t.Program.Version}}
	for k, v := range s.who {
		who[k] = v
	}
	if t.Rules != "" {
		who["rules"] = t.Rules
	}
	if t.Database != "" {
		who["databaseModified"] = t.Database
	}
	// Nobody could bring a report along that was not written.
	embed := s.so.Reports == "" && s.key != nil
	if embed && holdsSecret(raw) {
		embed = false
		t.Notes = append(t.Notes, "the report quotes what looks like a secret, and is not in the statement: keep it with --reports")
	}
	sts, sum, err := reportStatements(f, raw, s.subjects, who, embed)
	if err != nil {
		return err
	}
	t.Result = sum.Result
	if s.key == nil {
		return nil
	}
	for _, st := range sts {
		bundle, err := evidence.Sign(ctx, st, s.key)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		t.Attestations = append(t.Attestations, sallyport.SHA256(bundle))
		if err := s.putReport(ctx, s.so.Output, f.Source, st.PredicateType, bundle); err != nil {
			return err
		}
	}
	return nil
}
