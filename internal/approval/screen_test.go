package approval

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

var update = flag.Bool("update", false, "rewrite the expected screens")

// example is the change that a reviewer of a small service might see.
func example() ScreenInput {
	s := newScene()
	in := sallyport.Input{
		Repository:  "github.com/acme/app",
		PullRequest: sallyport.PullRequest{Number: 41},
		Change: sallyport.ChangeInput{
			Commits: []sallyport.CommitInput{
				{ID: commit("1"), Title: "feat: retry uploads", Author: sallyport.Ident{Name: "Alice Example"},
					Attribution: sallyport.Attribution{Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "claude-code"}, Grade: sallyport.Declared}},
				{ID: commit("2"), Title: "fix: typo", Author: sallyport.Ident{Name: "Alice Example"}},
				{ID: commit("3"), Title: "docs: say how", Author: sallyport.Ident{Name: "Carol"},
					Attribution: sallyport.Attribution{Principal: sallyport.Principal{Kind: sallyport.Person, Name: "carol"}, Grade: sallyport.Present}},
				{ID: commit("4"), Title: "Merge branch 'main'", Merge: true, Evil: true},
			},
			Files: []sallyport.FileInput{
				{Path: "upload/retry.go", Status: "added", NewMode: "100644", Added: 80, Attribution: sallyport.Weights{Agent: 80}, Uncovered: sallyport.Weights{Agent: 80}},
				{Path: "deploy/prod.yaml", Status: "modified", OldMode: "100644", NewMode: "100755", Added: 3, Removed: 1, Classes: []string{"deploy"}, Attribution: sallyport.Weights{Unattributed: 4}, Uncovered: sallyport.Weights{Unattributed: 4}},
				{Path: "docs/retry.md", OldPath: "docs/again.md", Status: "renamed", Added: 12, Attribution: sallyport.Weights{Person: 12}},
				{Path: "go.sum", Status: "modified", Added: 2, Removed: 2, Classes: []string{"dependency", "lockfile"}, Attribution: sallyport.Weights{Bot: 4}},
			},
			Coverage: sallyport.Coverage{
				Units: sallyport.Weights{Agent: 1, Unattributed: 2, Person: 2, Bot: 2},
				Lines: sallyport.Weights{Agent: 80, Unattributed: 4, Person: 12, Bot: 4}, Attested: 0, Total: 100,
			},
			Residue:           []sallyport.FileInput{{Path: "deploy/prod.yaml", Added: 3, Removed: 1}},
			ApprovalsRequired: 2,
		},
		Findings: []sallyport.Finding{
			{Kind: sallyport.FindingSecret, Rule: "aws-access-token", Severity: sallyport.Critical, Path: "upload/retry.go", Line: 14, Text: "an AWS access key id, AKIA...", State: "accepted"},
			{Kind: sallyport.FindingUnicode, Rule: "bidi-control", Severity: sallyport.High, Path: "AGENTS.md", Line: 3, Text: "U+202E right-to-left override", State: "open"},
		},
		Agents: []sallyport.AgentInput{{Name: "claude-code", Approved: true, Operator: "alice", Weight: 80}, {Name: "helper", Weight: 1}},
	}
	return ScreenInput{
		Reviewer: "bob", Input: in, Change: s.c.Change, Policies: policies, Protected: []string{"deploy", "ci"}, Expires: now.Add(DefaultLifetime),
		Reasons: []sallyport.Reason{
			{Code: "hidden-unicode", Outcome: sallyport.Shut, Text: "AGENTS.md holds a right-to-left override"},
			{Code: "approval-missing", Outcome: sallyport.Waiting, Text: "deploy/prod.yaml was changed by nobody who is known"},
			{Code: "unattributed", Outcome: sallyport.Waiting, Text: "4 lines are accounted for by nobody"},
			{Code: "approval-missing", Outcome: sallyport.Waiting, Text: "another"},
		},
	}
}

func TestScreen(t *testing.T) {
	got := Screen(example())
	checkScreen(t, got, 0)
	golden := filepath.Join("testdata", "screen.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if again := Screen(example()); again != got {
		t.Error("the same input gives another screen")
	}
}

// A screen is printable ASCII, and fits one.
func checkScreen(t *testing.T, s string, extra int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	if len(lines) > 75+extra {
		t.Errorf("the screen has %d lines", len(lines))
	}
	for i, l := range lines {
		if len(l) > Width {
			t.Errorf("line %d has %d columns: %q", i+1, len(l), l)
		}
		for _, c := range []byte(l) {
			if c < ' ' || c > '~' {
				t.Fatalf("line %d holds %#x: %q", i+1, c, l)
			}
		}
	}
}

// Whatever an agent named cannot leave its place on the screen, and a large change cannot push
// what is risky off it.
func TestScreenOfHostileInput(t *testing.T) {
	evil := "x\x1b[2J\x1b[H\r\n  policy      none \u202e\u200b\xff" + strings.Repeat("w", 500)
	in := example()
	in.Reviewer, in.Input.PullRequest.Pusher = evil[:40], evil
	in.Policies = nil
	for i := range 40 {
		c := &in.Input.Change
		c.Commits = append(c.Commits, sallyport.CommitInput{ID: commit(fmt.Sprint(i)), Title: evil, Author: sallyport.Ident{Name: evil, Email: evil}})
		c.Files = append(c.Files, sallyport.FileInput{Path: sallyport.Path(fmt.Sprint(i, evil)), Status: "added", Classes: []string{"generated"}, Added: 1 << 40, Uncovered: sallyport.Weights{Unattributed: 1 << 40}})
		c.Residue = append(c.Residue, sallyport.FileInput{Path: sallyport.Path(evil)})
		in.Input.Findings = append(in.Input.Findings, sallyport.Finding{Kind: "secret", Rule: evil, Severity: sallyport.Low, State: "open", Text: evil, Path: sallyport.Path(evil)})
		in.Input.Agents = append(in.Input.Agents, sallyport.AgentInput{Name: evil, Operator: evil})
		in.Reasons = append(in.Reasons, sallyport.Reason{Code: fmt.Sprint("code-", i, evil), Text: evil}, sallyport.Reason{Code: "w" + fmt.Sprint(i), Outcome: sallyport.Waiting, Text: evil})
		in.Policies = append(in.Policies, sallyport.PolicySet{Name: evil, Digest: sallyport.SHA256([]byte{byte(i)})})
	}
	in.Input.Change.Files = append(in.Input.Change.Files, sallyport.FileInput{Path: ".github/workflows/ci.yml", Status: "modified", Classes: []string{"ci"}, Added: 1})
	got := Screen(in)
	checkScreen(t, got, 0)
	for _, want := range []string{".github/workflows/ci.yml", "MERGE ADDS CHANGES", "45, of which 2 protected", "and 36 more files", string(in.Change.Head), string(in.Change.MergeTree)} {
		if !strings.Contains(got, want) {
			t.Errorf("the screen does not show %q:\n%s", want, got)
		}
	}
	if strings.Count(got, "\n  policy      ") != maxShown {
		t.Error("a forged line stands among the policy sets")
	}
}

// What is signed is shown whole, however long.
func TestScreenShowsWhole(t *testing.T) {
	in := example()
	in.Input.Repository = "git.example/" + strings.Repeat("group/", 40) + "app"
	in.Change.TargetRef = "refs/heads/" + strings.Repeat("release-", 50) + "1"
	in.Change.Head = sallyport.GitCommit(sallyport.SHA256(nil).Hex())
	got := Screen(in)
	checkScreen(t, got, 8)
	flat := strings.ReplaceAll(got, "\n              ", "")
	for _, want := range []string{in.Input.Repository, in.Change.TargetRef, string(in.Change.Head)} {
		if !strings.Contains(flat, want) {
			t.Errorf("the screen does not show %q:\n%s", want, got)
		}
	}
}

func TestRisks(t *testing.T) {
	v := Risks(example())
	if v.Unattributed != 4 || v.Unattested != 80 || v.Protected != 1 {
		t.Errorf("got %+v, want 4 unattributed, 80 unattested, 1 protected", v)
	}
	if want := []string{"approval-missing", "hidden-unicode", "unattributed"}; !reflect.DeepEqual(v.Codes, want) {
		t.Errorf("got codes %q, want %q", v.Codes, want)
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		name        string
		part, total int
		want        string
	}{
		{"nothing", 0, 10, ".........."},
		{"a trace", 1, 1000, "#........."},
		{"half", 5, 10, "#####....."},
		{"nearly all", 999, 1000, "#########."},
		{"all", 7, 7, "##########"},
		{"of nothing", 0, 0, ".........."},
	} {
		if got := bar(tt.part, tt.total, 10); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What exceptions hold off is on the screen, and so is under the signature.
func TestScreenTellsExceptions(t *testing.T) {
	in := example()
	before := Screen(in)
	in.Excepted = []sallyport.Excepted{{Reason: sallyport.Reason{Code: "secret"}}, {Reason: sallyport.Reason{Code: "secret"}}, {Reason: sallyport.Reason{Code: "x\x1b"}}}
	after := Screen(in)
	if before == after || !strings.Contains(after, "held off by exceptions (3): secret, \"x") || strings.Contains(after, "\x1b") {
		t.Errorf("the screen says\n%s", after)
	}
}
