//go:build e2e && linux

package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/test/agents/vendor"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// turn is how long a client may take for its turn: some start slowly on a loaded machine.
const turn = 3 * time.Minute

// A client is a real agent's program, and how it is asked for one turn without a person.
type client struct {
	name    string // of the program
	pkg     string // of npm
	dialect vendor.Dialect
	args    []string
	agent   string                                        // as the roster and the run have it
	direct  func(t *testing.T, home, url string) []string // environment that reaches url without Sallyport
}

// task is what the clients are asked. The fake vendor does not read it.
const task = "Read notes.txt, write summary.txt and commit it."

var clients = []client{
	{
		name: "claude", agent: "claude-code", pkg: "@anthropic-ai/claude-code", dialect: vendor.Messages,
		args: []string{"-p", task, "--allowedTools", "Read,Write,Bash", "--output-format", "json"},
		direct: func(_ *testing.T, _, url string) []string {
			return []string{"ANTHROPIC_BASE_URL=" + url, "ANTHROPIC_API_KEY=sk-ant-fake", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"}
		},
	},
	{
		name: "codex", agent: "codex-cli", pkg: "@openai/codex", dialect: vendor.Responses,
		args: []string{"exec", "--sandbox", "danger-" + "full-access", "--skip-git-repo-check", "--json", task},
		direct: func(t *testing.T, home, url string) []string {
			write(t, filepath.Join(home, ".codex", "config.toml"), `model = "gpt-5-codex"
model_provider = "lab"
[model_providers.lab]
name = "lab"
base_url = "`+url+`/v1"
env_key = "LAB_API_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`)
			return []string{"LAB_API_KEY=sk-fake"}
		},
	},
	{
		name: "gemini", agent: "gemini-cli", pkg: "@google/gemini-cli", dialect: vendor.Gemini,
		args: []string{"-p", task, "--" + "yolo", "--skip-trust"},
		direct: func(t *testing.T, home, url string) []string {
			write(t, filepath.Join(home, ".gemini", "settings.json"), `{"security":{"auth":{"selectedType":"gemini-api-key"}},"privacy":{"usageStatisticsEnabled":false},"general":{"disableAutoUpdate":true,"enableAutoUpdate":false},"telemetry":{"enabled":false}}`)
			return []string{"GEMINI_API_KEY=fake", "GOOGLE_GEMINI_BASE_URL=" + url}
		},
	},
	{
		name: "opencode", agent: "opencode", pkg: "opencode-ai", dialect: vendor.Completions,
		args: []string{"run", task},
		direct: func(t *testing.T, home, url string) []string {
			write(t, filepath.Join(home, ".config", "opencode", "opencode.json"), `{"$schema":"https://opencode.ai/config.json","autoupdate":false,"share":"disabled","model":"lab/fake-model","small_model":"lab/fake-model",
 "provider":{"lab":{"npm":"@ai-sdk/openai-compatible","name":"lab","options":{"baseURL":"`+url+`/v1","apiKey":"sk-fake"},"models":{"fake-model":{"name":"fake","tool_call":true,"limit":{"context":100000,"output":8000}}}}}}`)
			return []string{"OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1"}
		},
	},
	{
		name: "copilot", agent: "copilot-cli", pkg: "@github/copilot", dialect: vendor.Completions,
		args: []string{"-p", task, "--allow-" + "all-tools"},
		direct: func(_ *testing.T, _, url string) []string {
			return []string{
				"COPILOT_OFFLINE=true", "COPILOT_PROVIDER_BASE_URL=" + url + "/v1", "COPILOT_PROVIDER_TYPE=openai",
				"COPILOT_PROVIDER_WIRE_API=completions", "COPILOT_PROVIDER_API_KEY=sk-fake", "COPILOT_MODEL=gpt-5",
			}
		},
	},
}

// TestMain runs the tests in a network namespace of their own, in which there is a loopback device and
// nothing else: these are programs of vendors, and none of what they try may reach anybody.
func TestMain(m *testing.M) {
	if os.Getenv("SALLYPORT_TEST_NETNS") != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "bring up the loopback device:", err)
			os.Exit(1)
		}
		// Codex does not keep its programs below the system's temporary folder.
		if base, err := os.UserCacheDir(); err == nil && os.MkdirAll(base, 0o755) == nil {
			_ = os.Setenv("TMPDIR", base)
		}
		os.Exit(scene.Main(m))
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c := exec.Command(self, os.Args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), "SALLYPORT_TEST_NETNS=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err = c.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "no network namespace, without which no vendor's program is started:", err)
		os.Exit(1)
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// program returns the path of a client, from the folder that SALLYPORT_AGENTS names.
func (c client) program(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SALLYPORT_AGENTS")
	p := filepath.Join(dir, "node_modules", ".bin", c.name)
	if _, err := os.Stat(p); dir == "" || err != nil {
		why := fmt.Sprintf("%s is not installed: SALLYPORT_AGENTS=%q names no folder that test/agents/install.sh has filled", c.pkg, dir)
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip("NOT TESTED: " + why)
	}
	return p
}

// run starts the command and returns what it printed.
func run(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), turn)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, env
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %v", turn)
	}
	return out.String(), err
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
