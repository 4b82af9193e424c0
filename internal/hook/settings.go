package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Tier is whose settings a hook stands in.
type Tier string

// The tiers, the strongest first. What stands in a managed file, the agent's user cannot switch off without
// being an administrator; what stands in a project or user file, the agent itself can edit.
const (
	Managed Tier = "managed"
	User    Tier = "user"
	Project Tier = "project"
)

// Options say which hooks to install, and where.
type Options struct {
	Tier    Tier
	Binary  string // the absolute path of sallyport
	Root    string // goes before managed paths; empty: the file system's root
	Home    string // the user's home, for the tier User
	Project string // the repository's folder, for the tier Project
	// Models are the only models that the agent may offer, where it can be told; empty leaves it alone.
	Models []string
	// Env is given to hooks by agents that clean their hooks' environment.
	Env map[string]string
	// Read returns the file at a path, or nil if there is none. Nil: there are no files.
	Read func(path string) ([]byte, error)
	// Confined says that a supervisor's cage is round the agent. Then a managed file does not forbid the mode
	// without which Gemini CLI runs nothing unattended.
	Confined bool
	// Remove takes the hooks out instead.
	Remove bool
}

// maxSettings bounds a settings file that is read, in bytes.
const maxSettings = 4 << 20

// timeoutSeconds is how long an agent waits for a hook. Sallyport answers within [Deadline] or denies, so
// that it is the agent's limit that is never met: there, most agents go on.
const timeoutSeconds = 30

// Settings returns the files that make agent a call Sallyport's hooks, by path and with their whole new
// content: what stands in them already stays. A nil content says that the file is to be removed.
func Settings(a Agent, o Options) (map[string][]byte, error) {
	if !filepath.IsAbs(o.Binary) {
		return nil, fmt.Errorf("%q is no absolute path of a program", o.Binary)
	}
	if strings.ContainsFunc(o.Binary, func(r rune) bool { return r < ' ' || r == '\'' || r == '"' || r == '\\' || r == 0x7f }) {
		return nil, fmt.Errorf("the path %q cannot be written into a settings file: it has a quote or a control character", o.Binary)
	}
	if o.Read == nil {
		o.Read = func(string) ([]byte, error) { return nil, nil }
	}
	path, err := o.path(a)
	if err != nil {
		return nil, err
	}
	before, err := o.Read(path)
	if err != nil {
		return nil, err
	}
	if len(before) > maxSettings {
		return nil, fmt.Errorf("%s: %w: %d bytes, the limit is %d", path, strict.ErrTooLarge, len(before), maxSettings)
	}
	var after []byte
	switch {
	case a == OpenCode:
		return o.openCode(path, before)
	case a == Codex && o.Tier == Managed:
		after, err = o.codexRequirements(before)
	default:
		after, err = o.mergeJSON(a, before)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	files := map[string][]byte{path: after}
	if a == Codex && o.Tier == Managed && !o.Remove {
		// Codex wants the folder to be there, and refuses to start without it.
		files[filepath.Join(filepath.Dir(path), "hooks", "README")] = []byte("The hooks in requirements.toml start sallyport by its own path; this folder has to exist.\n")
	}
	return files, nil
}

// path is the file that holds the hooks of a in the tier.
func (o Options) path(a Agent) (string, error) {
	var at map[Agent]string
	var below string
	switch o.Tier {
	case Managed:
		below = filepath.Join("/", o.Root)
		at = map[Agent]string{
			Claude: "etc/claude-code/managed-settings.json", Codex: "etc/codex/requirements.toml",
			Gemini: "etc/gemini-cli/settings.json", Copilot: "etc/github-copilot/policy.d/sallyport.json",
			Cursor: "etc/cursor/hooks.json", OpenCode: "etc/opencode/opencode.json",
		}
	case User:
		below = o.Home
		at = map[Agent]string{
			Claude: ".claude/settings.json", Codex: ".codex/hooks.json", Gemini: ".gemini/settings.json",
			Copilot: ".copilot/hooks/sallyport.json", Cursor: ".cursor/hooks.json",
			OpenCode: ".config/opencode/plugin/sallyport.js",
		}
	case Project:
		below = o.Project
		at = map[Agent]string{
			Claude: ".claude/settings.json", Codex: ".codex/hooks.json", Gemini: ".gemini/settings.json",
			Copilot: ".github/hooks/sallyport.json", Cursor: ".cursor/hooks.json", OpenCode: ".opencode/plugin/sallyport.js",
		}
	default:
		return "", fmt.Errorf("unknown tier %q, want managed, user or project", o.Tier)
	}
	name, known := at[a]
	switch {
	case !known:
		return "", fmt.Errorf("unknown agent %q", a)
	case !filepath.IsAbs(below):
		return "", fmt.Errorf("%q is no absolute path of a folder", below)
	}
	return filepath.Join(below, name), nil
}

// command is the line that an agent runs for an event.
func (o Options) command(a Agent, k Kind) string {
	bin := o.Binary
	if strings.ContainsFunc(bin, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+", r))
	}) {
		bin = quote(bin)
	}
	return fmt.Sprintf("%s hook %s --agent %s", bin, k, a)
}

// ours reports whether a command line is one that this package wrote, for whichever binary.
func ours(command string) bool {
	_, rest, ok := strings.Cut(command, " hook ")
	if !ok || !strings.Contains(command, "sallyport") {
		return false
	}
	kind, agent, ok := strings.Cut(rest, " --agent ")
	if !ok {
		return false
	}
	_, err1 := ParseKind(kind)
	_, err2 := ParseAgent(agent)
	return err1 == nil && err2 == nil
}

// An entry is an event of an agent, under the name that its settings have for it.
type entry struct {
	name string
	kind Kind
}

// entries lists what is hooked. The agents' other events say nothing that a decision or the record needs.
func entries(a Agent) []entry {
	switch a {
	case Gemini:
		return []entry{{"SessionStart", SessionStart}, {"BeforeAgent", Prompt}, {"BeforeTool", PreTool}, {"AfterTool", PostTool}, {"SessionEnd", SessionEnd}}
	case Copilot:
		return []entry{{"sessionStart", SessionStart}, {"userPromptSubmitted", Prompt}, {"preToolUse", PreTool}, {"postToolUse", PostTool}, {"sessionEnd", SessionEnd}}
	case Cursor:
		return []entry{
			{"sessionStart", SessionStart}, {"beforeSubmitPrompt", Prompt}, {"preToolUse", PreTool}, {"beforeShellExecution", PreTool},
			{"beforeMCPExecution", PreTool}, {"beforeReadFile", PreTool}, {"postToolUse", PostTool}, {"sessionEnd", SessionEnd},
		}
	case Claude:
		return []entry{
			{"SessionStart", SessionStart}, {"UserPromptSubmit", Prompt}, {"PreToolUse", PreTool}, {"PostToolUse", PostTool},
			{"PostToolUseFailure", PostTool}, {"SessionEnd", SessionEnd},
		}
	default:
		return []entry{{"SessionStart", SessionStart}, {"UserPromptSubmit", Prompt}, {"PreToolUse", PreTool}, {"PostToolUse", PostTool}, {"SessionEnd", SessionEnd}}
	}
}

// mergeJSON lays the hooks into a JSON settings file.
func (o Options) mergeJSON(a Agent, before []byte) ([]byte, error) {
	doc, err := settingsObject(before)
	if err != nil {
		return nil, err
	}
	hooks, ok := object(doc, "hooks")
	if !ok {
		return nil, errors.New("hooks is no object, and the file is left alone")
	}
	for name, v := range hooks {
		list, ok := v.([]any)
		if !ok {
			continue // theirs, and not for us to understand
		}
		if list = withoutOurs(list); len(list) == 0 {
			delete(hooks, name)
		} else {
			hooks[name] = list
		}
	}
	if !o.Remove {
		for _, e := range entries(a) {
			list, ok := hooks[e.name].([]any)
			if hooks[e.name] != nil && !ok {
				return nil, fmt.Errorf("hooks.%s is no list, and the file is left alone", e.name)
			}
			hooks[e.name] = append(list, o.hook(a, e))
		}
		if a == Copilot || a == Cursor {
			if doc["version"] == nil {
				doc["version"] = 1
			}
		}
		if err := o.harden(a, doc); err != nil {
			return nil, err
		}
	}
	if len(hooks) > 0 {
		doc["hooks"] = hooks
	} else {
		delete(doc, "hooks")
	}
	if o.Remove && (len(doc) == 0 || len(doc) == 1 && doc["version"] != nil) {
		return nil, nil
	}
	return settingsJSON(doc)
}

// settingsObject reads a settings file, of which everything is written again: numbers keep the digits that they
// have, also those that no float64 holds.
func settingsObject(before []byte) (map[string]any, error) {
	doc := map[string]any{}
	if len(bytes.TrimSpace(before)) == 0 {
		return doc, nil
	}
	err := strict.CheckJSON(before, maxSettings)
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(before))
		dec.UseNumber()
		err = dec.Decode(&doc)
	}
	if err != nil {
		return nil, fmt.Errorf("the file is no plain JSON, and is left alone: %w", err)
	}
	if doc == nil {
		return nil, errors.New("the file is no JSON object, and is left alone")
	}
	return doc, nil
}

// settingsJSON writes it, with < > & as they were and not as escapes for web pages.
func settingsJSON(doc map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(doc)
	return b.Bytes(), err
}

// object returns the object that doc has under name, or an empty one.
func object(doc map[string]any, name string) (map[string]any, bool) {
	if doc[name] == nil {
		return map[string]any{}, true
	}
	m, ok := doc[name].(map[string]any)
	return m, ok
}

// hook is one entry of a list of hooks.
func (o Options) hook(a Agent, e entry) map[string]any {
	command := o.command(a, e.kind)
	switch a {
	case Copilot:
		return map[string]any{"type": "command", "bash": command, "timeoutSec": timeoutSeconds}
	case Cursor:
		return map[string]any{"command": command, "timeout": timeoutSeconds, "failClosed": true}
	case Gemini:
		h := map[string]any{"type": "command", "name": "sallyport", "command": command, "timeout": timeoutSeconds * 1000}
		if len(o.Env) > 0 {
			h["env"] = o.Env
		}
		return map[string]any{"hooks": []any{h}}
	default:
		m := map[string]any{"hooks": []any{map[string]any{"type": "command", "command": command, "timeout": timeoutSeconds}}}
		if e.kind == PreTool || e.kind == PostTool {
			m["matcher"] = "*"
		}
		return m
	}
}

// withoutOurs takes our hooks out of a list of hooks, or of groups of them.
func withoutOurs(list []any) []any {
	return slices.DeleteFunc(list, func(v any) bool {
		m, ok := v.(map[string]any)
		if !ok {
			return false
		}
		for _, key := range []string{"command", "bash"} {
			if s, ok := m[key].(string); ok && ours(s) {
				return true
			}
		}
		inner, ok := m["hooks"].([]any)
		if !ok || len(inner) == 0 {
			return false
		}
		inner = withoutOurs(inner)
		m["hooks"] = inner
		return len(inner) == 0
	})
}

// harden sets what keeps a managed hook from being switched off. It goes away with the file and not with
// the hooks: an administrator may have wanted it before.
func (o Options) harden(a Agent, doc map[string]any) error {
	if o.Tier != Managed {
		return nil
	}
	set := func(section, key string, v any) error {
		m, ok := object(doc, section)
		if !ok {
			return fmt.Errorf("%s is no object, and the file is left alone", section)
		}
		m[key] = v
		doc[section] = m
		return nil
	}
	switch a {
	case Claude:
		doc["allowManagedHooksOnly"] = true
		delete(doc, "disableAllHooks")
		if len(o.Models) > 0 {
			doc["availableModels"], doc["enforceAvailableModels"] = o.Models, true
		}
		return errors.Join(set("permissions", "disableBypassPermissionsMode", "disable"), set("sandbox", "failIfUnavailable", true))
	case Gemini:
		if o.Confined {
			return set("hooksConfig", "enabled", true)
		}
		return errors.Join(set("hooksConfig", "enabled", true), set("security", "disableYoloMode", true))
	}
	return nil
}
