package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/hook"
	"github.com/sallyport-dev/sallyport/internal/run/confine"
	"github.com/sallyport-dev/sallyport/internal/run/profile"
)

// hookAgents are the agents whose hooks a run installs.
var hookAgents = map[string]hook.Agent{
	"claude-code": hook.Claude, "codex-cli": hook.Codex, "copilot-cli": hook.Copilot, "gemini-cli": hook.Gemini, "opencode": hook.OpenCode,
}

// runHooks returns the settings by which a confined agent calls Sallyport's hooks, by their paths below /etc:
// an administrator's, which the agent can neither edit nor switch off. What this machine's administrator has
// there stays in force beside them. It is nil for an agent whose hooks are not known.
func runHooks(agent string, f profile.Fill) (map[string]string, error) {
	a, ok := hookAgents[agent]
	if !ok {
		return nil, nil
	}
	files, err := hook.Settings(a, hook.Options{
		Tier: hook.Managed, Binary: confine.InitPath, Confined: true, Read: readSettings,
		Env: map[string]string{hookGatewayEnv: f.Gateway, hookTokenEnv: f.Token},
	})
	if err != nil {
		return nil, fmt.Errorf("generate the settings of the agent's hooks: %w", err)
	}
	etc := map[string]string{}
	for path, content := range files {
		if name, ok := strings.CutPrefix(path, "/etc/"); ok && content != nil {
			etc[name] = string(content)
		}
	}
	return etc, nil
}

// homeHooks does the same for an agent that nothing confines, in its home folder, where it can edit them.
func homeHooks(agent, home string, f profile.Fill) (bool, error) {
	a, ok := hookAgents[agent]
	if !ok {
		return false, nil
	}
	binary, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("find this program for the agent's hooks: %w", err)
	}
	files, err := hook.Settings(a, hook.Options{
		Tier: hook.User, Binary: binary, Home: home, Read: readSettings,
		Env: map[string]string{hookGatewayEnv: f.Gateway, hookTokenEnv: f.Token},
	})
	if err != nil {
		return false, fmt.Errorf("generate the settings of the agent's hooks: %w", err)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return false, err
		}
		if err := os.WriteFile(path, files[path], 0o600); err != nil {
			return false, err
		}
	}
	return true, nil
}

func readSettings(path string) ([]byte, error) {
	b, err := readAtMost(path, 4<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
