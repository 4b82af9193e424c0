// Package tool runs scanners that other people make, where they are installed, and returns their
// SARIF. It knows Semgrep, gosec and govulncheck.
//
// A [Program] is found on a list of folders by [Find], never in the work tree that is scanned, never
// by a relative path, and is named by its digest and version. [Program.Run] starts it so that the scanned
// repository has no say in how it scans:
//
//   - Semgrep has one file of rules, which the caller read and whose digest it knows; no registry, no
//     metrics, no version check, no git, and comments in the source switch nothing off.
//   - gosec marks what comments in the source switch off as suppressed, which is counted and stays open.
//   - govulncheck reads the database that the caller names, or its own default.
//
// An answer that is empty because nothing was scanned is an error ([ErrIncomplete]): packages that do
// not compile, a folder without Go files, an advisory database that holds nothing. Each of these
// programs ends with status 0 then.
//
// What is not covered: a .semgrepignore in the repository hides files from Semgrep, which is why
// [Program.Run] tells of it; build constraints hide files from the two others.
package tool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The scanners.
const (
	Semgrep     = "semgrep"
	Gosec       = "gosec"
	Govulncheck = "govulncheck"
)

// Names are all of them, in the order in which they run.
var Names = []string{Gosec, Govulncheck, Semgrep}

// MaxOutput bounds what a scanner may write, in bytes.
const MaxOutput = 32 << 20

// Errors that callers tell apart.
var (
	ErrNotInstalled = errors.New("not installed")
	ErrIncomplete   = errors.New("it did not scan all that it should have")
	ErrFailed       = errors.New("it failed")
)

// A Program is an installed scanner.
type Program struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	SHA256  string `json:"sha256"`
	Version string `json:"version"` // empty if it does not say
}

// Find looks for a scanner in folders, in their order. What lies below outside, the work tree, is passed
// over, also if a link leads there, and so are folders that are not absolute.
func Find(name string, folders []string, outside string) (Program, error) {
	if !slices.Contains(Names, name) {
		return Program{}, fmt.Errorf("%q is no scanner that is known here: there are %s", name, strings.Join(Names, ", "))
	}
	for _, dir := range folders {
		if !filepath.IsAbs(dir) {
			continue
		}
		p, err := At(name, filepath.Join(dir, name), outside)
		if err == nil {
			return p, nil
		}
	}
	return Program{}, fmt.Errorf("%s: %w", name, ErrNotInstalled)
}

// Folders returns those of a PATH from which a program may be taken: the absolute ones outside the work
// tree.
func Folders(path, outside string) []string {
	return slices.DeleteFunc(filepath.SplitList(path), func(dir string) bool {
		real, err := filepath.EvalSymlinks(dir)
		return !filepath.IsAbs(dir) || below(dir, outside) || (err == nil && below(real, outside))
	})
}

// At is the scanner at a path.
func At(name, path, outside string) (Program, error) {
	switch {
	case !slices.Contains(Names, name):
		return Program{}, fmt.Errorf("%q is no scanner that is known here: there are %s", name, strings.Join(Names, ", "))
	case !filepath.IsAbs(path):
		return Program{}, fmt.Errorf("%s: %s is no absolute path: a scanner is not taken from where the scan runs", name, path)
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Program{}, fmt.Errorf("%s: %w: there is no %s", name, ErrNotInstalled, path)
	}
	if err != nil {
		return Program{}, fmt.Errorf("%s: %w", name, err)
	}
	for _, p := range []string{path, real} {
		if below(p, outside) {
			return Program{}, fmt.Errorf("%s: %s lies in the work tree that is to be scanned, and is not run", name, path)
		}
	}
	f, err := os.Open(real)
	if err != nil {
		return Program{}, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return Program{}, fmt.Errorf("%s: %w: %s is no program", name, ErrNotInstalled, path)
	}
	h := sha256.New()
	version, err := builtVersion(io.TeeReader(f, h))
	if err == nil {
		_, err = io.Copy(h, f)
	}
	if err != nil {
		return Program{}, fmt.Errorf("%s: %w", name, err)
	}
	// By its own path: a launcher may look at the name that it is started by.
	return Program{Name: name, Path: path, SHA256: hex.EncodeToString(h.Sum(nil)), Version: version}, nil
}

func below(path, dir string) bool {
	if dir == "" {
		return false
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir && below(path, real) {
		return true
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// A Scan is what to scan, and with what.
type Scan struct {
	Dir      string   // where
	Env      []string // of the scanner, without what it must not know
	Rules    []byte   // of Semgrep
	Database string   // of govulncheck, a file: URL; empty for its own default
}

// A Result is what a scanner answered.
type Result struct {
	SARIF    []byte
	Database string   // when the advisories that were asked were last changed
	Notes    []string // what a reader of the answer should know
}

// Run scans. Ctx bounds the time.
func (p *Program) Run(ctx context.Context, s Scan) (Result, error) {
	tmp, err := os.MkdirTemp("", "sallyport-scan-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(tmp)
	if p.Version == "" {
		p.Version = p.ask(ctx, s)
	}
	var res Result
	switch p.Name {
	case Gosec:
		res, err = p.gosec(ctx, s, tmp)
	case Govulncheck:
		res, err = p.govulncheck(ctx, s)
	case Semgrep:
		res, err = p.semgrep(ctx, s, tmp)
	default:
		err = ErrNotInstalled
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	return res, nil
}

// ask asks a program for its version.
func (p *Program) ask(ctx context.Context, s Scan) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := p.start(ctx, s, "--version")
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(first) > 80 {
		return ""
	}
	return first
}

func (p *Program) gosec(ctx context.Context, s Scan, tmp string) (Result, error) {
	if err := goModule(s.Dir); err != nil {
		return Result{}, err
	}
	file := filepath.Join(tmp, "gosec.sarif")
	said, err := p.start(ctx, s, "-fmt", "sarif", "-out", file, "-stdout", "-verbose", "json", "-track-suppressions", "-no-fail", "./...")
	if err != nil {
		return Result{}, err
	}
	var told struct {
		Errors map[string][]struct {
			Error string `json:"error"`
		} `json:"Golang errors"`
		Stats struct {
			Files int `json:"files"`
		} `json:"Stats"`
	}
	if err := json.Unmarshal(said, &told); err != nil {
		return Result{}, fmt.Errorf("%w: its answer cannot be read: %w", ErrFailed, err)
	}
	for _, where := range slices.Sorted(maps.Keys(told.Errors)) {
		for _, e := range told.Errors[where] {
			return Result{}, fmt.Errorf("%w: %s", ErrIncomplete, line(e.Error))
		}
	}
	if told.Stats.Files == 0 {
		return Result{}, fmt.Errorf("%w: it read no file", ErrIncomplete)
	}
	b, err := readFile(file)
	return Result{SARIF: b}, err
}

func (p *Program) govulncheck(ctx context.Context, s Scan) (Result, error) {
	if err := goModule(s.Dir); err != nil {
		return Result{}, err
	}
	args := []string{"-format", "sarif"}
	if s.Database != "" {
		args = append(args, "-db", s.Database)
	}
	b, err := p.start(ctx, s, append(args, "./...")...)
	if err != nil {
		return Result{}, err
	}
	var doc struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Properties struct {
						DB       string `json:"db"`
						Modified string `json:"db_last_modified"`
					} `json:"properties"`
				} `json:"driver"`
			} `json:"tool"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(b, &doc); err != nil || len(doc.Runs) == 0 {
		return Result{}, fmt.Errorf("%w: its answer is no SARIF", ErrFailed)
	}
	db := doc.Runs[0].Tool.Driver.Properties
	if at, err := time.Parse(time.RFC3339, db.Modified); err != nil || at.Year() < 2000 {
		return Result{}, fmt.Errorf("%w: the advisory database %s holds nothing, or does not say of when it is", ErrIncomplete, line(db.DB))
	}
	return Result{SARIF: b, Database: db.Modified}, nil
}

func (p *Program) semgrep(ctx context.Context, s Scan, tmp string) (Result, error) {
	if len(s.Rules) == 0 {
		return Result{}, fmt.Errorf("%w: it needs rules", ErrFailed)
	}
	f, err := os.Create(filepath.Join(tmp, "rules.yaml")) // the folder is ours alone
	if err != nil {
		return Result{}, err
	}
	rules := f.Name()
	_, err = f.Write(s.Rules)
	if err := errors.Join(err, f.Close()); err != nil {
		return Result{}, err
	}
	s.Env = append(slices.Clone(s.Env), "SEMGREP_SEND_METRICS=off", "SEMGREP_ENABLE_VERSION_CHECK=0", "SEMGREP_SETTINGS_FILE="+filepath.Join(tmp, "settings.yml"))
	b, err := p.start(ctx, s, "scan", "--sarif", "--quiet", "--metrics=off", "--disable-version-check", "--disable-nosem", "--no-git-ignore", "--config", rules, ".")
	if err != nil {
		return Result{}, err
	}
	res := Result{SARIF: b}
	if _, err := os.Lstat(filepath.Join(s.Dir, ".semgrepignore")); err == nil {
		res.Notes = append(res.Notes, "the repository's .semgrepignore says what is not scanned")
	}
	return res, nil
}

// goModule reports whether there is Go to scan.
func goModule(dir string) error {
	for _, name := range []string{"go.mod", "go.work"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: there is no go.mod here", ErrIncomplete)
}

// start runs the program and returns its output. A status other than 0 is an error.
func (p *Program) start(ctx context.Context, s Scan, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.Dir, s.Env, 5*time.Second
	out, errs := &limited{limit: MaxOutput}, &limited{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: it took too long", ErrFailed)
	case err != nil:
		said := line(lastLine(errs.buf.Bytes()))
		if said == "" {
			said = err.Error()
		}
		return nil, fmt.Errorf("%w: %s", ErrFailed, said)
	case out.over:
		return nil, fmt.Errorf("%w: it wrote more than %d bytes", ErrFailed, MaxOutput)
	}
	return out.buf.Bytes(), nil
}

// limited keeps the first bytes that are written to it. The buffer is not embedded: io.Copy would call
// its ReadFrom, which knows no limit.
type limited struct {
	buf   bytes.Buffer
	limit int
	over  bool
}

func (l *limited) Write(b []byte) (int, error) {
	room := max(0, l.limit-l.buf.Len())
	l.over = l.over || len(b) > room
	l.buf.Write(b[:min(room, len(b))])
	return len(b), nil
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// line makes one short line of what a program said.
func line(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	return s
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: it wrote no report", ErrFailed)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxOutput+1))
	if err == nil && len(b) > MaxOutput {
		err = fmt.Errorf("%w: it wrote more than %d bytes", ErrFailed, MaxOutput)
	}
	return b, err
}
