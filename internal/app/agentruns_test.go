package app

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

// A run that has a record here and no evidence is told as a claim, and an auditor reads what was asked.
func TestAgentRunReplaysItsRecord(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", repo},
		{"-C", repo, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "begin"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "auditor.key")
	if err := os.WriteFile(key, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(repo, ".git", "sallyport", "runs", "r1")
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := record.Create(folder, record.Header{Run: "r1", Repository: "example.com/r", Operator: "alice", Agent: "claude-code 2.1", Supervisor: "test", Auditors: []string{id.Recipient().String()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []record.Kind{record.KindStart, record.KindRequest, record.KindRefused} {
		var with []record.Commitment
		if kind == record.KindRequest {
			with = append(with, w.Commit("prompt", []byte("please \x1b[31mscale up")))
		}
		if _, err := w.Append(kind, struct{}{}, with...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Seal(record.End{Conclusion: "success"}); err != nil {
		t.Fatal(err)
	}

	a := &App{Getenv: func(string) string { return "" }}
	o := Options{Repo: repo}
	runs, err := a.AgentRuns(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 1 || runs[0].ID != "r1" || runs[0].State != render.RunRecorded || runs[0].Grade != "declared" {
		t.Errorf("runs %+v, want r1, recorded", runs)
	}
	for _, c := range []struct {
		name, auditor, want, not string
	}{
		{"without a key", "", "without evidence: a claim", "scale up"},
		{"as an auditor", key, `please \x1b[31mscale up`, "\x1b"},
	} {
		rep, err := a.AgentRun(t.Context(), o, AgentRunOptions{Run: "r1", Auditor: c.auditor, Standing: true})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var b bytes.Buffer
		if err := render.Run(&b, rep, render.Options{Width: 100}); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(b.String()), " ")
		for _, want := range []string{strings.Join(strings.Fields(c.want), " "), "4 entries, sealed", "refused", "▪"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: want %q in\n%s", c.name, want, b.String())
			}
		}
		if strings.Contains(b.String(), c.not) {
			t.Errorf("%s: %q must not be in\n%s", c.name, c.not, b.String())
		}
	}
}
