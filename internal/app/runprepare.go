package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/mask"
	"github.com/sallyport-dev/sallyport/internal/run"
	"github.com/sallyport-dev/sallyport/internal/run/profile"
	"github.com/sallyport-dev/sallyport/internal/scan"
	"github.com/sallyport-dev/sallyport/predicate"
)

// instructions returns the files that configure or instruct agents, as they lie in the workspace. Those
// that git ignores are looked for by name, since agents read them all the same.
func (w *workspace) instructions(s *runStart) []predicate.Material {
	found := map[string]string{}
	for _, f := range s.files.Files {
		if f.SHA256 != "" && len(f.Path) <= 4096 && slices.Contains(scan.Classify(sallyport.Path(f.Path), f.Mode, nil), scan.ClassAgentConfig) {
			found[f.Path] = f.SHA256
		}
	}
	root, err := os.OpenRoot(w.repo.WorkTree())
	if err == nil {
		defer root.Close()
		for _, name := range []string{".claude", ".codex", ".cursor", ".gemini", ".opencode", ".mcp.json", "CLAUDE.local.md", "AGENTS.override.md"} {
			ignoredInstructions(root, name, found)
		}
	}
	out := []predicate.Material{}
	for _, p := range slices.Sorted(maps.Keys(found)) {
		if out = append(out, predicate.Material{Name: sallyport.Path(p).String(), Digest: "sha256:" + found[p]}); len(out) >= maxInstructions {
			break
		}
	}
	return out
}

// Bounds of what is read of files that instruct agents.
const (
	maxInstructions = 5000
	maxInstruction  = 4 << 20
)

func ignoredInstructions(root *os.Root, name string, found map[string]string) {
	_ = fs.WalkDir(root.FS(), name, func(p string, e fs.DirEntry, err error) error {
		if err != nil || len(found) > maxInstructions {
			return fs.SkipAll
		}
		if _, ok := found[p]; ok || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err != nil || info.Size() > maxInstruction {
			return nil //nolint:nilerr // what cannot be read is no instruction either
		}
		if b, err := root.ReadFile(p); err == nil {
			found[p] = sallyport.SHA256(b).Hex()
		}
		return nil
	})
}

// serverFiles are where agents find definitions of MCP servers, and under which key.
var serverFiles = map[string]string{
	".mcp.json": "mcpServers", ".cursor/mcp.json": "mcpServers", ".gemini/settings.json": "mcpServers", ".claude/settings.json": "mcpServers",
	".vscode/mcp.json": "servers", "opencode.json": "mcp",
}

// servers returns the MCP servers that the workspace configures, with the digests of their definitions.
func (w *workspace) servers() []predicate.ToolServer {
	root, err := os.OpenRoot(w.repo.WorkTree())
	if err != nil {
		return nil
	}
	defer root.Close()
	var out []predicate.ToolServer
	for _, name := range slices.Sorted(maps.Keys(serverFiles)) {
		info, err := root.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxInstruction {
			continue
		}
		b, err := root.ReadFile(name)
		if err != nil {
			continue
		}
		out = append(out, serversIn(b, serverFiles[name])...)
	}
	return out
}

// serversIn reads the definitions below a key of a JSON file. A definition's digest is that of its JSON
// without white space.
func serversIn(b []byte, key string) []predicate.ToolServer {
	var file map[string]json.RawMessage
	if strict.LaxJSON(b, maxInstruction, &file) != nil {
		return nil
	}
	var defs map[string]json.RawMessage
	if json.Unmarshal(file[key], &defs) != nil {
		return nil
	}
	var out []predicate.ToolServer
	for _, name := range slices.Sorted(maps.Keys(defs)) {
		var compact bytes.Buffer
		if name == "" || len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) || json.Compact(&compact, defs[name]) != nil || len(out) >= 500 {
			continue
		}
		out = append(out, predicate.ToolServer{Name: name, Digest: string(sallyport.SHA256(compact.Bytes()))})
	}
	return out
}

// A runHome is the home folder that a run gets, and loses at its end: what the agent puts there instructs no
// later run.
type runHome struct {
	dir, socket string
}

// newHome makes the folders of a run. base is where homes are; the folder for the socket is
// short, since a socket's address may have a hundred bytes.
func newHome(base, id string) (*runHome, error) {
	h := &runHome{dir: filepath.Join(base, id)}
	for _, d := range []string{h.dir, filepath.Join(h.dir, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("make the run's home folder: %w", err)
		}
	}
	var err error
	if h.socket, err = os.MkdirTemp("", "sallyport-run-"); err != nil {
		h.remove()
		return nil, fmt.Errorf("make the folder of the run's socket: %w", err)
	}
	return h, nil
}

func (h *runHome) remove() {
	os.RemoveAll(h.dir)
	if h.socket != "" {
		os.RemoveAll(h.socket)
	}
}

// homes is where the home folders of runs are. It is not below the folder for temporary files, where
// Codex refuses its own helpers.
func (a *App) homes(w *workspace) string {
	if dir := a.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "sallyport", "runs")
	}
	if dir := a.Getenv("HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, ".cache", "sallyport", "runs")
	}
	return w.path("homes")
}

// generate writes the files that an agent has to find in its home.
func (h *runHome) generate(p profile.Profile, f profile.Fill, identity string) error {
	files := p.Generate(f)
	files[".gitconfig"] = identity
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(h.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("write the agent's configuration: %w", err)
		}
		if err := os.WriteFile(file, []byte(files[name]), 0o600); err != nil {
			return fmt.Errorf("write the agent's configuration: %w", err)
		}
	}
	return nil
}

// gitIdentity is the part of the operator's git configuration that a run gets: name and address. No
// credential helper, alias or signing key is among it.
func gitIdentity(name, email string) string {
	quote := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\x00", "").Replace(s) + `"`
	}
	var b strings.Builder
	if name != "" || email != "" {
		fmt.Fprintf(&b, "[user]\n\tname = %s\n\temail = %s\n", quote(name), quote(email))
	}
	b.WriteString("[commit]\n\tgpgSign = false\n[tag]\n\tgpgSign = false\n[credential]\n\thelper =\n")
	return b.String()
}

// gitUser returns the name and address that git would put on a commit here.
func (a *App) gitUser(ctx context.Context, dir string) (name, email string) {
	get := func(variable, key string) string {
		if v := a.Getenv(variable); v != "" {
			return v
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "git", "config", "--get", key)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	return get("GIT_AUTHOR_NAME", "user.name"), get("GIT_AUTHOR_EMAIL", "user.email")
}

// secretValues returns what tells whether a variable's value is kept from a run: by its name, or by what the
// masking engine finds in the value.
func secretValues() (func(name, value string) bool, error) {
	engine, err := mask.New(mask.Options{})
	if err != nil {
		return nil, err
	}
	return func(name, value string) bool {
		return build.SecretName(name) || slices.ContainsFunc(engine.Find(nil, []byte(value)), func(f mask.Finding) bool { return f.Kind.Secret() })
	}, nil
}

// runEnviron is the environment of a run, but for what the gateway's address is part of.
func runEnviron(environ, further []string, p profile.Profile, h *runHome) ([]string, error) {
	looksSecret, err := secretValues()
	if err != nil {
		return nil, err
	}
	env := run.Clean(environ, slices.Concat(run.Allowed, p.Pass, further), looksSecret, func(name, _ string) string { return run.Sentinel(name) })
	return append(env, "HOME="+h.dir, "TMPDIR="+filepath.Join(h.dir, "tmp"), "GIT_TERMINAL_PROMPT=0"), nil
}

// gatewayEnviron is the rest of it.
func gatewayEnviron(p profile.Profile, f profile.Fill, id string) []string {
	env := []string{"SALLYPORT_RUN_ID=" + id, "SALLYPORT_GATEWAY=" + f.Gateway, "SALLYPORT_TOKEN=" + f.Token}
	for _, n := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		env = append(env, n+"="+f.Gateway)
	}
	env = append(env, "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost")
	return append(env, p.Environ(f)...)
}

// instructed are the paths of a workspace by which a file steers an agent's tools or the programs that open
// it, beside what governs the gate and what git runs, which every cage protects. No run writes them.
var instructed = []string{
	".claude/settings.json", ".claude/settings.local.json", ".codex/config.toml", ".codex/hooks.json", ".gemini/settings.json",
	".cursor/hooks.json", ".cursor/mcp.json", ".github/hooks/", ".mcp.json", ".vscode/tasks.json",
}

// agentName is what a run's agent is called where nobody says: by its profile, or as its program is.
func agentName(args []string) (profile.Profile, error) {
	if p, ok := profile.Recognise(args); ok {
		return p, nil
	}
	name := path.Base(filepath.ToSlash(args[0]))
	if name == "." || name == "/" || name == "" {
		return profile.Profile{}, errors.New("the command has no name")
	}
	return profile.Named(name), nil
}
