//go:build e2e && linux

package agents

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/agents/vendor"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// TestClients plays the story under `sallyport run`: the vendor never sees the secret nor the address,
// the file has the address all the same, the run's attestation covers every line of the commit, the merge
// gate opens on it, and it is shut by one line that is added by hand.
func TestClients(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			program := c.program(t)
			var s *scene.Scene
			v := &vendor.Vendor{}
			srv := httptest.NewServer(v)
			defer srv.Close()
			s = stage(t, srv.URL, c)
			v.Script = play(s.Repo)

			args := []string{"run", "--repo", s.Repo, "--agent", c.agent, "--operator", "alice", "--model", model(c), "--key", s.KeyRef(scene.Supervisor),
				"--target", "main", "--root", string(s.Pin), "--report", filepath.Join(s.Dir, "report.json"), "--", program}
			s.Env = append(s.Env, "FAKE_VENDOR_KEY="+vendorKey)
			out, err := run(t, s.Repo, append(scene.Env(s.Dir), "PATH="+os.Getenv("PATH"), "FAKE_VENDOR_KEY="+vendorKey), scene.Binary(), append(args, c.args...)...)
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, tell(v))
			}
			t.Logf("%s\n%s", out, tell(v))
			if got := s.Read(summary); got != "first line\nowner: "+address+"\nlast line\n" {
				t.Errorf("%s is %q", summary, got)
			}
			for _, hidden := range []string{secret, address} {
				if v.Saw(hidden) {
					t.Errorf("the vendor saw %.7q…", hidden)
				}
			}
			masked := func(kind string) bool {
				return slices.ContainsFunc(v.Requests(), func(r vendor.Request) bool { return strings.Contains(string(r.Body), kind) })
			}
			if !masked("⟦secret:") || !masked("⟦personal:email:") {
				t.Errorf("the vendor saw no sentinels\n%s", tell(v))
			}
			for _, r := range v.Requests() {
				if key := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key") + r.Header.Get("X-Goog-Api-Key"); r.Method == "POST" && !strings.Contains(key, vendorKey) {
					t.Errorf("%s came with the key %q, not with the vendor's", r.Path, key)
				}
			}

			p := attestation(t, s)
			if p.Agent.Name != c.agent || !p.Sealed || p.Conclusion != predicate.ConclusionSuccess || len(p.Models) == 0 || p.Prompts == nil || p.Prompts.Requests < 4 || p.Anchor == nil ||
				!slices.Contains(p.Changes.Commits, s.Rev("HEAD")) || len(p.Tools) == 0 {
				t.Errorf("the run says %+v", p)
			}
			if p.Hooks == nil || !p.Hooks.Installed || p.Hooks.Events == 0 {
				t.Errorf("the agent's hooks were not heard: %+v", p.Hooks)
			}
			t.Logf("hooks: %+v, tools: %+v", p.Hooks, p.Tools)
			opens := s.Check()
			if opens.Status != sallyport.ExitOpen || opens.Decision.Outcome != sallyport.Open {
				t.Errorf("the gate does not open: %v", opens.Result)
			}
			s.Append(summary, "by hand\n")
			s.Git("commit", "-q", "-a", "-m", "One more line")
			if shut := s.Check(); shut.Status != sallyport.ExitShut || !slices.Contains(shut.Codes(), "unattributed") {
				t.Errorf("the gate is not shut: %v", shut.Result)
			}
		})
	}
}

// vendorKey is what opens the vendor's door. The agent never has it.
const vendorKey = "the-vendors-own-key"

func model(c client) string {
	return map[vendor.Dialect]string{vendor.Messages: "claude-fake", vendor.Completions: "gpt-5", vendor.Responses: "gpt-5-codex", vendor.Gemini: "gemini-fake"}[c.dialect]
}

// stage makes a repository that takes declared runs, whose prompt gate knows the fake vendor.
func stage(t *testing.T, url string, c client) *scene.Scene {
	t.Helper()
	config := scene.Config + `data:
  run_grades: [declared, observed]
  unattributed: agent
runs:
  confinement: required
  read: [` + agentsFolder(t) + `]
prompt:
  providers:
    - {name: anthropic, dialect: anthropic, endpoints: ["` + url + `"], credential: env:FAKE_VENDOR_KEY}
    - {name: openai, dialect: openai, endpoints: ["` + url + `"], credential: env:FAKE_VENDOR_KEY}
    - {name: google, dialect: gemini, endpoints: ["` + url + `"], credential: env:FAKE_VENDOR_KEY}
  models:
    - {provider: anthropic, name: claude-*}
    - {provider: openai, name: gpt-*}
    - {provider: google, name: gemini-*}
  mask:
    personal: [email]
`
	s := scene.New(t, scene.Options{Files: map[string]string{".sallyport/sallyport.yaml": config}})
	if c.agent != "claude-code" { // whom the cast's roster has
		s.Write(".sallyport/roster.yaml", strings.Replace(s.Read(".sallyport/roster.yaml"), "- name: claude-code\n", "- name: "+c.agent+"\n", 1))
		s.Pin = s.RootInit()
		s.Commit("Another agent")
	}
	s.Git("config", "user.name", "Alice Example")
	s.Git("config", "user.email", "alice@example.com")
	s.Git("switch", "-q", "-c", "work")
	s.Write(notes, "OWNER="+address+"\nPAYMENTS="+secret+"\n")
	return s
}

// agentsFolder is where the clients' programs lie, links followed.
func agentsFolder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(os.Getenv("SALLYPORT_AGENTS"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// attestation returns the one sealed run that is kept as evidence.
func attestation(t *testing.T, s *scene.Scene) predicate.AgentRun {
	t.Helper()
	for _, bundle := range s.KeptOf(predicate.AgentRunType) {
		p, err := predicate.DecodeAgentRun(s.Statement(bundle).Predicate)
		if err == nil && p.Sealed {
			return p
		}
	}
	t.Fatal("no sealed run is kept")
	return predicate.AgentRun{}
}
