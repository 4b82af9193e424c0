package tool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake writes a shell script under a scanner's name: none of these tests starts a real one.
func fake(t *testing.T, dir, name, script string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	tree, bin := t.TempDir(), t.TempDir()
	fake(t, tree, Gosec, "exit 0")
	for name, folders := range map[string][]string{"nowhere": nil, "in the work tree": {tree}, "by a relative path": {".", "bin", ""}, "an empty folder": {bin}} {
		if p, err := Find(Gosec, folders, tree); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if err := os.Symlink(filepath.Join(tree, Gosec), filepath.Join(bin, Gosec)); err != nil {
		t.Fatal(err)
	}
	if p, err := Find(Gosec, []string{bin}, tree); err == nil {
		t.Errorf("through a link into the work tree: %+v", p)
	}
	write(t, bin, Govulncheck, "not executable")
	if p, err := Find(Govulncheck, []string{bin}, tree); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("what is no program: %+v, %v", p, err)
	}
	other := t.TempDir()
	fake(t, other, Gosec, "exit 0")
	p, err := Find(Gosec, []string{tree, bin, other}, tree)
	if err != nil || p.Path != filepath.Join(other, Gosec) || len(p.SHA256) != 64 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, path := range []string{"gosec", "./gosec", filepath.Join(tree, Gosec)} {
		if p, err := At(Gosec, path, tree); err == nil {
			t.Errorf("at %s: %+v", path, p)
		}
	}
	if _, err := Find("sh", []string{"/bin"}, tree); err == nil {
		t.Error("a shell is taken for a scanner")
	}
}

func TestFolders(t *testing.T) {
	tree, bin := t.TempDir(), t.TempDir()
	link := filepath.Join(bin, "link")
	if err := os.Symlink(tree, link); err != nil {
		t.Fatal(err)
	}
	path := strings.Join([]string{".", "", tree, filepath.Join(tree, "node_modules", ".bin"), link, bin, "bin"}, string(filepath.ListSeparator))
	if got := Folders(path, tree); len(got) != 1 || got[0] != bin {
		t.Errorf("%q", got)
	}
}

const clean = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x","properties":{"db":"d","db_last_modified":"2026-08-21T00:00:00Z"}}},"results":[]}]}`

func TestRun(t *testing.T) {
	emptyDB := strings.Replace(clean, "2026-08-21", "0001-01-01", 1)
	gosec := func(errs string, files string) string {
		return `while [ "$1" != -out ]; do shift; done; echo '` + clean + `' > "$2"; echo '{"Golang errors": {` + errs + `}, "Stats": {"files": ` + files + `}}'`
	}
	for _, tt := range []struct {
		name, tool, script string
		module             bool
		rules              string
		want               error
		said               string
	}{
		{"gosec scans", Gosec, gosec("", "3"), true, "", nil, ""},
		{"gosec where packages do not compile", Gosec, gosec(`"a.go": [{"error": "expected )"}]`, "3"), true, "", ErrIncomplete, "expected )"},
		{"gosec reads nothing", Gosec, gosec("", "0"), true, "", ErrIncomplete, "no file"},
		{"gosec without a module", Gosec, gosec("", "3"), false, "", ErrIncomplete, "go.mod"},
		{"gosec fails", Gosec, "echo oh no >&2; exit 1", true, "", ErrFailed, "oh no"},
		{"gosec says nothing", Gosec, "exit 0", true, "", ErrFailed, "cannot be read"},
		{"gosec writes no report", Gosec, `echo '{"Stats": {"files": 1}}'`, true, "", ErrFailed, "no report"},
		{"govulncheck scans", Govulncheck, "echo '" + clean + "'", true, "", nil, ""},
		{"govulncheck over an empty database", Govulncheck, "echo '" + emptyDB + "'", true, "", ErrIncomplete, "holds nothing"},
		{"govulncheck without its database", Govulncheck, "echo fetching: no such host >&2; exit 1", true, "", ErrFailed, "no such host"},
		{"semgrep scans", Semgrep, "echo '" + clean + "'", false, "rules: []", nil, ""},
		{"semgrep without rules", Semgrep, "echo '" + clean + "'", false, "", ErrFailed, "needs rules"},
		{"semgrep fails", Semgrep, "exit 7", false, "rules: []", ErrFailed, "status 7"},
		{"semgrep hangs", Semgrep, "exec sleep 60", false, "rules: []", ErrFailed, "too long"},
		{"semgrep floods", Semgrep, "head -c 40000000 /dev/zero", false, "rules: []", ErrFailed, "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bin, dir := t.TempDir(), t.TempDir()
			if tt.module {
				write(t, dir, "go.mod", "module m\n")
			}
			// A fake that is asked for its version says one.
			p, err := At(tt.tool, fake(t, bin, tt.tool, `[ "$1" = --version ] && { echo 1.2.3; exit; }`+"\n"+tt.script), dir)
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			if tt.said == "too long" {
				var cancel func()
				ctx, cancel = contextFor(t, time.Second)
				defer cancel()
			}
			res, err := p.Run(ctx, Scan{Dir: dir, Env: []string{"PATH=/bin:/usr/bin"}, Rules: []byte(tt.rules)})
			if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.said)) {
				t.Fatalf("%v, want %v: %s", err, tt.want, tt.said)
			}
			if err == nil && (strings.TrimSpace(string(res.SARIF)) != clean || p.Version != "1.2.3") {
				t.Errorf("%s version %q", res.SARIF, p.Version)
			}
		})
	}
}

// Semgrep is given the rules' bytes, and no way to others; the fake writes down what it was given.
func TestSemgrepIsPinned(t *testing.T) {
	bin, dir, note := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "note")
	p, err := At(Semgrep, fake(t, bin, Semgrep, `[ "$1" = --version ] && { echo 1.2.3; exit; }
{ echo "$@"; while [ "$1" != --config ]; do shift; done; cat "$2"; env; } > `+note+"\necho '"+clean+"'"), dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".semgrepignore", "*\n")
	res, err := p.Run(t.Context(), Scan{Dir: dir, Env: []string{"PATH=/bin:/usr/bin"}, Rules: []byte("rules: [mine]\n")})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Notes) != 1 || !strings.Contains(res.Notes[0], ".semgrepignore") {
		t.Errorf("notes %q", res.Notes)
	}
	b, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--metrics=off", "--disable-nosem", "--no-git-ignore", "rules: [mine]", "SEMGREP_SEND_METRICS=off", "SEMGREP_SETTINGS_FILE="} {
		if !strings.Contains(string(b), want) {
			t.Errorf("without %s:\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "auto") {
		t.Errorf("rules of somebody else:\n%s", b)
	}
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}
