// Package answers looks at what the built binary answers: by policy that was written for another
// tool, and about changes whose author chose every name so that it would be taken for something
// else.
package answers

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/forms"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) {
	scene.InMemory()
	os.Exit(scene.Main(m))
}

// legacy is a policy set of Rego v0, as it was written, beside the baseline.
var legacy = map[string]string{
	".sallyport/sallyport.yaml":       scene.Config + "policy:\n  sets: [baseline, legacy]\n",
	".sallyport/legacy/manifest.yaml": "rego_version: 0\nentrypoints:\n  deny: data.agent.policy.deny\n  allow: data.agent.merge.allow\n",
	".sallyport/legacy/policy.rego": `package agent.policy
# deny merge if no attestation
deny[msg] {
  input.pull_request.from_agent == true
  not input.pull_request.has_attestation
  msg = "Agent-generated change requires attestation and human approval."
}
`,
	".sallyport/legacy/merge.rego": `package agent.merge
default allow = false
# allow only if pr has attestation and human_approved
allow {
  input.pull_request.from_agent == false
}
allow {
  input.pull_request.from_agent == true
  input.pull_request.has_attestation == true
  input.pull_request.human_approved == true
}
`,
}

// saysLegacy is what the words of the old policies say about three facts.
func saysLegacy(fromAgent, hasAttestation, humanApproved bool) []string {
	codes := []string{}
	if fromAgent && !(hasAttestation && humanApproved) {
		codes = append(codes, "not-allowed")
	}
	if fromAgent && !hasAttestation {
		codes = append(codes, "policy")
	}
	return codes
}

// Over both values of each input, through the binary: policy eval says what the words say.
func TestLegacyEval(t *testing.T) {
	s := scene.New(t, scene.Options{Files: legacy})
	work(s)
	v := s.Check()
	if !v.Decided() {
		t.Fatal(v.Result)
	}
	var input map[string]any
	if err := json.Unmarshal([]byte(s.Must("explain", string(v.ID), "--input", "--repo", s.Repo)), &input); err != nil {
		t.Fatal(err)
	}
	for bits := range 8 {
		facts := []bool{bits&4 != 0, bits&2 != 0, bits&1 != 0}
		for i, name := range []string{"from_agent", "has_attestation", "human_approved"} {
			input["pull_request"].(map[string]any)[name] = facts[i]
		}
		b, err := json.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(s.Dir, "input.json")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r := s.Sallyport("policy", "eval", "--repo", s.Repo, "--root", string(s.Pin), "--input", file)
		var verdict struct {
			PerSet []struct {
				Name    string
				Outcome string
				Codes   []string
			} `json:"per_set"`
		}
		if err := json.Unmarshal([]byte(r.Stdout), &verdict); err != nil {
			t.Fatal(r)
		}
		want := saysLegacy(facts[0], facts[1], facts[2])
		set := verdict.PerSet[1]
		if (r.Status == sallyport.ExitOpen) != (verdict.PerSet[0].Outcome == "open" && len(want) == 0) {
			t.Errorf("%v: status %d", facts, r.Status)
		}
		if set.Name != "legacy" || !slices.Equal(set.Codes, want) || (set.Outcome == "open") != (len(want) == 0) {
			t.Errorf("%v: got %+v, want %v", facts, set, want)
		}
	}
}

// work makes a change by an agent that nobody has seen yet.
func work(s *scene.Scene) {
	s.Git("switch", "-q", "-c", "work")
	s.Append("server.py", "\n\ndef version():\n    return \"1.1\"\n")
	s.AgentCommit("Tell the version")
}

// So does check merge, about real changes of which the facts are so: the stricter of both sets
// holds.
func TestLegacyCheck(t *testing.T) {
	staged := scene.New(t, scene.Options{Files: legacy})
	approve := func(s *scene.Scene) { s.Approve(scene.Bob); s.Approve(scene.Carol) }
	for _, c := range []struct {
		name                                     string
		do                                       func(s *scene.Scene)
		fromAgent, hasAttestation, humanApproved bool
		status                                   int
	}{
		{name: "a person's", do: func(s *scene.Scene) {
			s.Git("switch", "-q", "-c", "work")
			s.Append("util.py", "\n\ndef half(n):\n    return n // 2\n")
			s.SignedCommit(scene.Who(scene.Dave), scene.Dave, "Halve")
		}, hasAttestation: true, status: sallyport.ExitOpen},
		{name: "an agent's", do: work, fromAgent: true, status: sallyport.ExitShut},
		{name: "an agent's, attested", do: func(s *scene.Scene) { work(s); s.AttestRun("main", "HEAD") }, fromAgent: true, hasAttestation: true, status: sallyport.ExitShut},
		{name: "an agent's, approved", do: func(s *scene.Scene) { work(s); approve(s) }, fromAgent: true, humanApproved: true, status: sallyport.ExitShut},
		{name: "an agent's, attested and approved", do: func(s *scene.Scene) { work(s); s.AttestRun("main", "HEAD"); approve(s) },
			fromAgent: true, hasAttestation: true, humanApproved: true, status: sallyport.ExitOpen},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := staged.Fork(t)
			c.do(s)
			v := s.Check()
			var codes []string
			for _, r := range v.Decision.Reasons {
				if r.Set == "legacy" {
					codes = append(codes, r.Code)
				}
			}
			slices.Sort(codes)
			var in sallyport.Input
			if err := json.Unmarshal([]byte(s.Must("explain", string(v.ID), "--input", "--repo", s.Repo)), &in); err != nil {
				t.Fatal(err)
			}
			p := in.PullRequest
			if p.FromAgent != c.fromAgent || p.HasAttestation != c.hasAttestation || p.HumanApproved != c.humanApproved {
				t.Fatalf("the facts are %v, %v, %v", p.FromAgent, p.HasAttestation, p.HumanApproved)
			}
			if want := saysLegacy(c.fromAgent, c.hasAttestation, c.humanApproved); v.Status != c.status || !slices.Equal(codes, want) && len(codes)+len(want) > 0 {
				t.Errorf("got %v, want %v of the legacy set\n%v", codes, want, v.Result)
			}
		})
	}
}

// The text as it was once published, with single quotes, is no Rego of any version: nothing can be
// decided, and the answer says where and what to do.
func TestLegacyQuotes(t *testing.T) {
	files := maps.Clone(legacy)
	files[".sallyport/legacy/policy.rego"] = strings.ReplaceAll(files[".sallyport/legacy/policy.rego"], `"`, `'`)
	s := scene.New(t, scene.Options{Files: files, ByHand: true})
	work(s)
	s.AttestRun("main", "HEAD")
	v := s.Check()
	if v.Status != sallyport.ExitUndecided || !slices.Equal(v.Codes(), []string{"policy-error"}) ||
		!strings.Contains(v.Decision.Reasons[0].Text, "legacy/policy.rego:6: a string in single quotes, which no version of Rego has") {
		t.Errorf("got %v\n%+v", v.Result, v.Decision.Reasons)
	}
}

// names are what a change's author calls things, each with a harmless twin.
type names struct{ file, dir, author, email, title, trailer, branch string }

var twin = names{file: "a_file.go", dir: "deploy/a_dir", author: "A_Name", email: "a_name@example.com", title: "A_title", trailer: "A_trailer", branch: "a_branch"}

// Whatever an author calls files, branches and himself, every answer has the structure that it has
// about the harmless twin, read by a parser of its own language.
func TestHostileNames(t *testing.T) {
	staged := scene.New(t, scene.Options{})
	want := answers(t, staged.Fork(t), twin)
	for what, s := range map[string]string{
		"escapes":   "\x1b[2J\x1b]0;t\x07\x9b31m\u009b",
		"lines":     "a\r\nmerge gate: open\n\n# ok\n::error::b",
		"markup":    `<script>alert(1)<!--<img src=x onerror=alert(1)></details></script></testcase>]]>`,
		"Markdown":  "a | b `c` || \\| ``` [x](javascript:alert(1)) ![y](https:e) [the fix](1) www.evil.example @team #123 !4",
		"commands":  "::error file=a,line=1::b%0A::set-output name=x::y ##vso[task.complete result=Succeeded] ##[error]z",
		"bidi":      "\u202etxt.exe\u2066\u200b\ufeff\U000e0041\u2028\u0085",
		"not UTF-8": "a\xff\xfe\xc0b",
		"XML":       "a\x01\x0b\ufffe\"'&amp;< $(id) `id` ; x",
		"long":      strings.Repeat("long|`<", 20),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			clean := strings.NewReplacer("\n", " ", "<", "", ">", "").Replace(s) // git refuses these in names
			n := names{
				file: strings.ReplaceAll(s, "/", "_") + ".go", dir: "deploy/" + strings.Trim(strings.ReplaceAll(s, "//", "/"), "/"),
				author: "A" + clean, email: "a" + clean + "@example.com", title: "T" + strings.NewReplacer("\n", " ", "\r", " ").Replace(s),
				trailer: strings.NewReplacer("\n", " ", "\r", " ").Replace(s), branch: branchName(s),
			}
			got := answers(t, staged.Fork(t), n)
			if strings.Contains(got["codes"], "hidden-unicode") {
				return // a name that hides something is told, by more reasons in every form
			}
			for form, structure := range want {
				if got[form] != structure {
					t.Errorf("%s:\ngot\n%s\nwant\n%s", form, got[form], structure)
				}
			}
		})
	}
}

// branchName leaves out what git refuses in a ref.
func branchName(s string) string {
	return "b" + strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f && r < 0xa0 || strings.ContainsRune("~^:?*[\\/{.", r) || r == 0xfffd {
			return -1
		}
		return r
	}, s)
}

// answers plays a change in which an author chose the names, and returns the structure of every
// answer about it.
func answers(t *testing.T, s *scene.Scene, n names) map[string]string {
	t.Helper()
	s.Git("switch", "-q", "-c", n.branch)
	s.Write(n.file, "package x\n")
	s.Write(n.dir+"/prod.yaml", "replicas: 3\n")
	s.Write("secret_"+n.file, "token = \"ghp_"+"16C7e42F292c6912E7710c838347Ae178B4a"+"\"\n")
	s.CommitAs(scene.Ident{Name: n.author, Email: n.email}, n.title+"\n\nReviewed-by: "+n.trailer+"\nCo-Authored-By: Claude <noreply@anthropic.com>\n")
	dir := t.TempDir()
	out := func(name string) string { return filepath.Join(dir, name) }
	structures := map[string]func([]byte) (string, error){"json": forms.JSON, "sarif": forms.SARIF, "junit": forms.XML, "markdown": forms.Markdown}
	check := func() scene.Verdict {
		v := s.Check("--output", "sarif="+out("sarif"), "--output", "junit="+out("junit"), "--output", "markdown="+out("markdown"), "--output", "json="+out("json"), "--output", "text=-")
		if v.Status != sallyport.ExitShut {
			t.Fatal(v.Result)
		}
		return v
	}
	v := check()
	got := map[string]string{"codes": fmt.Sprint(v.Codes())}
	read := func(form, content string, structure func([]byte) (string, error)) {
		if what := forms.Acts(content); what != "" {
			t.Errorf("%s: not shown but carried out: %q", form, what)
		}
		text, err := structure([]byte(content))
		if err != nil {
			t.Errorf("%s: %v\n%.3000s", form, err, content)
		}
		got[form] = text
	}
	lines := func(b []byte) (string, error) { return fmt.Sprint(strings.Count(string(b), "\n")), nil }
	read("text", v.Stdout+v.Stderr, forms.Text)
	files := func() {
		for form, structure := range structures {
			b, err := os.ReadFile(out(form))
			if err != nil {
				t.Fatal(err)
			}
			read(form, string(b), structure)
		}
	}
	files()
	// In which order files stand, and what a trailer says of a model, is the author's to choose.
	valid := func(b []byte) (string, error) { _, err := forms.JSON(b); return "", err }
	read("detect", s.Must("agent", "detect", "--repo", s.Repo, "--target", "main"), lines)
	read("detect as json", s.Must("agent", "detect", "--repo", s.Repo, "--target", "main", "--json"), valid)
	read("approval request", s.Must("approval", "request", "--repo", s.Repo, "--target", "main", "--root", string(s.Pin)), lines)
	s.Git("switch", "-q", "main")
	s.Git("merge", "-q", "--ff-only", n.branch)
	read("what-would", s.Must("policy", "what-would", "--repo", s.Repo, "--target", "main"), lines)
	read("what-would as json", s.Must("policy", "what-would", "--repo", s.Repo, "--target", "main", "--json"), forms.JSON)
	// An agent's name comes from a trailer, and which agent it is decides what else is said: here
	// only that nothing acts, and that each form is what it should be.
	want := maps.Clone(got)
	s.Git("switch", "-q", "-c", "named")
	s.Append(n.file, "// more\n")
	s.CommitAs(scene.Ident{Name: n.author, Email: n.email}, "More\n\nAssisted-by: "+n.trailer+"\nCo-Authored-By: "+n.trailer+" <noreply@anthropic.com>\n")
	s.Append("secret_"+n.file, "token = \"ghp_"+"26C7e42F292c6912E7710c838347Ae178B4b"+"\"\n")
	s.CommitAs(scene.Ident{Name: n.author, Email: n.email}, "More\n\nAgent: "+n.trailer+"\nAssisted-by: "+n.trailer+"\n")
	v = check()
	read("text", v.Stdout+v.Stderr, forms.Text)
	files()
	return want
}
