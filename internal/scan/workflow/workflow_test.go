package workflow

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sallyport-dev/sallyport"
)

// scanAs reads a file as the scanner would.
func scanAs(t *testing.T, name string, text []byte) []Hit {
	t.Helper()
	agent := strings.HasPrefix(name, ".claude/") || strings.HasPrefix(name, ".codex/")
	hits, err := Scan(KindOf(strings.ToLower(name), agent), text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return hits
}

var want = regexp.MustCompile(`(?m)^want: ([a-z-]+) (\w+) (\d+)$`)

// Each file of testdata holds what a rule is for, with the incident that it comes from, and a twin
// that differs in nothing but the attack.
func TestTwins(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	proved := map[string]bool{}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			m := want.FindStringSubmatch(string(a.Comment))
			if m == nil || len(a.Files) != 2 {
				t.Fatal("it has no line that says what is wanted, or no twin")
			}
			rule := m[1]
			proved[rule] = true
			bad, good := a.Files[0], a.Files[1]
			if n := differing(bad.Data, good.Data); n > 2 {
				t.Errorf("the twins differ in %d lines", n)
			}
			got := only(rule, scanAs(t, strings.TrimPrefix(bad.Name, "bad/"), bad.Data))
			if len(got) == 0 || fmt.Sprintf("%s %d", got[0].Severity, got[0].Line) != m[2]+" "+m[3] {
				t.Errorf("got %+v, want %s", got, m[0])
			}
			if got := only(rule, scanAs(t, strings.TrimPrefix(good.Name, "good/"), good.Data)); len(got) != 0 {
				t.Errorf("the twin without the attack: got %+v", got)
			}
		})
	}
	for _, r := range Rules {
		if !proved[r.ID] {
			t.Errorf("no fixture for %s", r.ID)
		}
	}
}

// differing counts the lines of a that b does not have at that place.
func differing(a, b []byte) int {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	if len(x) != len(y) {
		// a line was taken out: what is left has to be the same
		long, short := x, y
		if len(y) > len(x) {
			long, short = y, x
		}
		n := 0
		for _, l := range long {
			if len(short) > 0 && bytes.Equal(l, short[0]) {
				short = short[1:]
				continue
			}
			n++
		}
		return n + len(short)
	}
	n := 0
	for i := range x {
		if !bytes.Equal(x[i], y[i]) {
			n++
		}
	}
	return n
}

func only(rule string, hits []Hit) []Hit {
	return slices.DeleteFunc(slices.Clone(hits), func(h Hit) bool { return h.Rule != rule })
}

func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules {
		if seen[r.ID] || r.Title == "" || r.Why == "" || r.Severity == "" || len(r.Labels) == 0 {
			t.Errorf("%s is not explained, or twice: %+v", r.ID, r)
		}
		seen[r.ID] = true
	}
	src := ""
	for _, name := range []string{"github.go", "github_rules.go", "gitlab.go", "flags.go"} {
		src += string(readFile(t, name))
	}
	for _, m := range regexp.MustCompile(`(?:\badd\(|Rule: )"([a-z-]+)"`).FindAllStringSubmatch(src, -1) {
		if !seen[m[1]] {
			t.Errorf("the table lacks %s", m[1])
		}
	}
}

func TestNew(t *testing.T) {
	pin := Hit{Rule: "unpinned-action", Severity: sallyport.High, Key: "a/b@v1", Line: 3}
	moved := pin
	moved.Line = 30
	worse := pin
	worse.Severity = sallyport.Critical
	for _, tt := range []struct {
		name        string
		before, now []Hit
		want        int
	}{
		{"nothing before", nil, []Hit{pin}, 1},
		{"moved", []Hit{pin}, []Hit{moved}, 0},
		{"once more", []Hit{pin}, []Hit{pin, moved}, 1},
		{"graver", []Hit{pin}, []Hit{worse}, 1},
		{"gone", []Hit{pin}, nil, 0},
	} {
		if got := New(tt.before, tt.now); len(got) != tt.want {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}

// The trigger makes an old step grave: that is a finding of the change that brings the trigger.
func TestTriggerMakesOldStepsNew(t *testing.T) {
	text := "on: %s\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n        with: {ref: \"${{ github.event.pull_request.head.sha }}\"}\n"
	before := scanAs(t, ".github/workflows/a.yml", fmt.Appendf(nil, text, "pull_request"))
	now := scanAs(t, ".github/workflows/a.yml", fmt.Appendf(nil, text, "pull_request_target"))
	got := New(before, now)
	if len(only("pwn-request", got)) != 1 || len(only("unpinned-action", got)) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestKindOf(t *testing.T) {
	for name, want := range map[string]Kind{
		".github/workflows/a.yml": GitHub, "sub/.github/workflows/a.yaml": GitHub, "x/action.yml": GitHub, ".gitea/workflows/a.yml": GitHub,
		".gitlab-ci.yml": GitLab, "ci/build.gitlab-ci.yml": GitLab, ".gitlab/ci/a.yml": GitLab,
		"k8s/a.yaml": MaybeGitLab, "a.sh": Script, "package.json": Script, "dockerfile.dev": Script, "a.ts": Source,
		".github/workflows/readme.md": None, "a.png": None,
	} {
		if got := KindOf(name, false); got != want {
			t.Errorf("KindOf(%q) = %d, want %d", name, got, want)
		}
	}
	if KindOf("claude.md", true) != Prose || KindOf(".claude/settings.json", true) != AgentSetting {
		t.Error("files that agents read")
	}
}

func TestUnreadable(t *testing.T) {
	for _, text := range []string{"", "a: [", "- x\n", "on: push\non: push\n", "a: *x\n"} {
		for _, kind := range []Kind{GitHub, GitLab} {
			if hits, err := Scan(kind, []byte(text)); err == nil {
				t.Errorf("%q: got %v and no error", text, hits)
			}
		}
		if hits, err := Scan(MaybeGitLab, []byte(text)); err != nil || len(hits) > 0 {
			t.Errorf("%q, perhaps a pipeline: got %v, %v", text, hits, err)
		}
	}
}
