//go:build e2e && linux

package agents

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/agents/vendor"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// forbidden is what the fake vendor asks each client for first, and permitted what it asks for when that was
// refused. They differ in the file that is written.
const (
	forbidden = "printf 'exit 0' > .git/hooks/pre-push"
	permitted = "printf 'exit 0' > permitted.txt"
)

func refuse(c vendor.Conversation) vendor.Reply {
	commands := []string{forbidden, permitted}
	n := len(c.Results)
	if n >= len(commands) {
		return vendor.Reply{Text: "All done."}
	}
	if tool := c.Has("exec_command"); tool != "" {
		return vendor.Reply{Call: &vendor.Call{Tool: tool, Args: map[string]any{"cmd": commands[n]}}}
	}
	tool := c.Has("Bash", "bash", "run_shell_command")
	return vendor.Reply{Call: &vendor.Call{Tool: tool, Args: map[string]any{"command": commands[n], "description": "as asked"}}}
}

// TestHooksRefuse lets the real clients meet a vendor that asks for a tool call which policy shuts. Their hooks
// stand in the administrator's files, laid over /etc, as sallyport hook install --managed writes them. The file is
// not written, the model is told why, and the next call, which policy lets pass, goes through.
func TestHooksRefuse(t *testing.T) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		why := "bubblewrap is not installed, which lays the settings over /etc"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip("NOT TESTED: " + why)
	}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			program := c.program(t)
			home, dir, image := t.TempDir(), t.TempDir(), t.TempDir()
			git(t, dir, "init", "-q")
			binary := scene.Binary()
			v := &vendor.Vendor{Script: refuse}
			server := httptest.NewServer(v)
			defer server.Close()
			env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TERM=xterm", "LANG=C.UTF-8"}, c.direct(t, home, server.URL)...)
			tier := []string{"--managed", "--root-dir", image}
			if c.name == "gemini" {
				// Its managed settings switch off the yolo mode, without which it runs no command unattended. What they hold
				// for hooks is the same.
				tier = []string{"--user"}
				if err := os.Mkdir(filepath.Join(image, "etc"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			install := exec.Command(binary, append([]string{"hook", "install", c.name, "--binary", binary}, tier...)...)
			install.Env = env
			if out, err := install.CombinedOutput(); err != nil {
				t.Fatalf("install: %v\n%s", err, out)
			}
			args := append(overlay(t, filepath.Join(image, "etc")), "--", program)
			out, err := run(t, dir, env, bwrap, append(args, c.args...)...)
			if err != nil {
				t.Logf("the client ended with %v:\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(dir, ".git/hooks/pre-push")); err == nil {
				t.Errorf("the forbidden file is there:\n%s", out)
			}
			if _, err := os.Stat(filepath.Join(dir, "permitted.txt")); err != nil {
				t.Errorf("the permitted file is not there:\n%s", out)
			}
			told := false
			for _, r := range v.Requests() {
				told = told || strings.Contains(string(r.Body), "tool-protected-path")
			}
			if !told {
				t.Errorf("the model was not told why:\n%s", out)
			}
			journal, err := os.ReadFile(filepath.Join(dir, ".git/sallyport/hooks.jsonl"))
			if err != nil || strings.Count(string(journal), `"kind":"pre-tool"`) < 2 {
				t.Errorf("the events were not kept: %v\n%s", err, journal)
			}
		})
	}
}

// overlay returns bubblewrap's arguments for the machine as it is, with the folders of etc in /etc.
func overlay(t *testing.T, etc string) []string {
	t.Helper()
	args := []string{"--dev-bind", "/", "/", "--tmpfs", "/etc"}
	real, err := os.ReadDir("/etc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range real {
		if _, err := os.Lstat(filepath.Join(etc, e.Name())); err != nil {
			args = append(args, "--ro-bind-try", "/etc/"+e.Name(), "/etc/"+e.Name())
		}
	}
	laid, err := os.ReadDir(etc)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range laid {
		args = append(args, "--ro-bind", filepath.Join(etc, e.Name()), "/etc/"+e.Name())
	}
	return args
}
