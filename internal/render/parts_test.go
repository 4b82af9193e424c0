package render

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		name        string
		total       int
		a, p, b, un int
		want        string
	}{
		{"nothing", 0, 0, 0, 0, 0, "...................."},
		{"all of one", 9, 9, 0, 0, 0, "aaaaaaaaaaaaaaaaaaaa"},
		{"halves", 10, 5, 0, 0, 5, "aaaaaaaaaa??????????"},
		{"a trace shows", 100000, 99999, 0, 0, 1, "aaaaaaaaaaaaaaaaaaa?"},
		{"a trace first", 100000, 1, 99999, 0, 0, "appppppppppppppppppp"},
		{"thirds leave no gap", 3, 1, 1, 0, 1, "aaaaaaaapppppp??????"},
		{"a remainder", 10, 5, 0, 0, 0, "aaaaaaaaaa.........."},
		{"more than the total", 5, 10, 10, 0, 0, "aaaaaaaaaaaaaaaaaaap"},
		{"negative", 5, -1, 5, 0, 0, "pppppppppppppppppppp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Bar(20, tt.total, Part{"a", tt.a}, Part{"p", tt.p}, Part{"b", tt.b}, Part{"?", tt.un})
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
	if Bar(0, 1, Part{"a", 1}) != "" {
		t.Error("a bar of no width is not empty")
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		width    int
		want     string
	}{
		{"fits", "a b c", 5, "a b c"},
		{"breaks", "a b c", 3, "a b|c"},
		{"long word stays whole", "see abcdefghij now", 5, "see|abcdefghij|now"},
		{"wide characters", "日本 語", 4, "日本|語"},
		{"no width", "a b c", 0, "a b c"},
		{"nothing", "", 3, ""},
	} {
		if got := strings.Join(wrap(tt.in, tt.width), "|"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A place leads to the file it names, whatever the file is called.
func TestSARIFLocations(t *testing.T) {
	for _, tt := range []struct {
		name, place string
		path        string // what the URI stands for; empty for a logical location
		line        int
	}{
		{"path", "deploy/prod.yaml", "deploy/prod.yaml", 0},
		{"path and line", "deploy/prod.yaml:12", "deploy/prod.yaml", 12},
		{"space and percent", "a b%2f.go:1", "a b%2f.go", 1},
		{"colon first", "c:x/y.go", "c:x/y.go", 0},
		{"question and hash", "what?#.go", "what?#.go", 0},
		{"quoted bytes", sallyport.Path("a\xff\n.go").String() + ":3", "a\xff\n.go", 3},
		{"two slashes", "//evil.example/x", "//evil.example/x", 0},
		{"scheme", "https://evil.example/x", "https://evil.example/x", 0},
		{"commit", string(subject), "", 0},
		{"nothing", "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loc := locationOf(decision(sallyport.Shut, ""), tt.place)
			if tt.path == "" {
				if loc.Physical != nil || len(loc.Logical) != 1 || loc.Logical[0].FullyQualifiedName != string(subject) {
					t.Errorf("got %+v, want the subject", loc)
				}
				return
			}
			u, err := url.Parse(loc.Physical.Artifact.URI)
			if err != nil {
				t.Fatal(err)
			}
			if u.IsAbs() || u.Host != "" || strings.HasPrefix(u.Path, "/") {
				t.Errorf("%q leads out of the repository", loc.Physical.Artifact.URI)
			}
			if got := strings.TrimPrefix(u.Path, "./"); got != tt.path {
				t.Errorf("got path %q, want %q", got, tt.path)
			}
			line := 0
			if loc.Physical.Region != nil {
				line = loc.Physical.Region.StartLine
			}
			if line != tt.line {
				t.Errorf("got line %d, want %d", line, tt.line)
			}
		})
	}
}

// A finding keeps its fingerprint when lines above it are added, and shares it with no other.
func TestFingerprints(t *testing.T) {
	prints := func(rs ...sallyport.Reason) []string {
		var out []string
		seen := map[string]int{}
		for _, r := range rs {
			out = append(out, resultOf(decision(sallyport.Shut, ""), r.Code, r, 0, seen).PartialFingerprints["sallyportReason/v1"])
		}
		return out
	}
	moved := secret
	moved.Place, moved.Text = "upload/retry.go:99", "worded otherwise"
	a, b := prints(secret, secret, secretToo, conflict), prints(moved, moved, secretToo, conflict)
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("fingerprint %d changed from %s to %s", i, a[i], b[i])
		}
		for j := range i {
			if a[i] == a[j] {
				t.Errorf("reasons %d and %d share the fingerprint %s", i, j, a[i])
			}
		}
	}
}

func TestAgents(t *testing.T) {
	r := DetectReport{
		Range: "main..feat/retry",
		Commits: []sallyport.CommitInput{
			{ID: sallyport.GitCommit(strings.Repeat("1a", 20)), Title: "feat: retry uploads",
				Attribution: sallyport.Attribution{Principal: sallyport.Principal{Kind: sallyport.Agent, Name: "claude-code"}, Grade: sallyport.Declared, Model: "claude-x", Operator: "alice",
					Why: []string{"trailer Co-Authored-By names noreply@anthropic.com"}},
				Signature: sallyport.SignatureCheck{Kind: "ssh", State: sallyport.SignatureGood, Person: "alice", Grade: sallyport.Declared}},
			{ID: sallyport.GitCommit(strings.Repeat("2b", 20)), Title: "fix: typo", Signature: sallyport.SignatureCheck{Kind: "none", State: sallyport.SignatureNone},
				Attribution: sallyport.Attribution{Why: []string{"it says alice@example.com, and is not signed"}}},
			{ID: sallyport.GitCommit(strings.Repeat("3c", 20)), Title: "docs: say how", Merge: true, Evil: true,
				Attribution: sallyport.Attribution{Principal: sallyport.Principal{Kind: sallyport.Person, Name: "carol"}, Grade: sallyport.Present, Why: []string{"signed by the security key of carol, touched"}}},
		},
		Files: []sallyport.FileInput{
			{Path: "upload/retry.go", Attribution: sallyport.Weights{Agent: 80}},
			{Path: "deploy/prod.yaml", Classes: []string{"deploy"}, Attribution: sallyport.Weights{Agent: 2, Unattributed: 12345}},
			{Path: "docs/日本.md", Attribution: sallyport.Weights{Person: 1}},
		},
		Coverage: sallyport.Coverage{Units: sallyport.Weights{Agent: 2, Person: 1, Unattributed: 3}, Lines: sallyport.Weights{Agent: 82, Person: 1, Unattributed: 12345}, Total: 12428, Attested: 1},
		Findings: []sallyport.Finding{{Kind: sallyport.FindingIdentity, Severity: sallyport.High, Commit: subject, Text: "the bot's number is not its own"}},
	}
	var b bytes.Buffer
	if err := Agents(&b, r, Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	golden(t, "agents.txt", b.Bytes())
	b.Reset()
	if err := AgentsJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	golden(t, "agents.json", b.Bytes())
	b.Reset()
	if err := Agents(&b, DetectReport{Range: "a..a"}, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "agents-empty.txt", b.Bytes())
	b.Reset()
	if err := AgentsJSON(&b, DetectReport{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "null") {
		t.Errorf("a list is null: %s", b.String())
	}
	b.Reset()
	r.Commits = slices.Repeat(r.Commits[:1], maxCommits+5)
	if err := Agents(&b, r, Options{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "and 5 more;") {
		t.Error("205 commits are listed without an end")
	}
}

// Shares are never rounded to all or to nothing.
func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		name        string
		part, total int
		want        string
	}{
		{"all", 7, 7, "100.0"}, {"nothing", 0, 7, "0.0"}, {"of nothing", 0, 0, "0.0"},
		{"nearly all", 99999, 100000, "99.9"}, {"nearly nothing", 1, 100000, "0.1"}, {"half", 1, 2, "50.0"},
	} {
		if got := percent(tt.part, tt.total); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
