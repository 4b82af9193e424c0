package hook

import (
	_ "embed" // the plugin
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The marks round what is ours in a TOML file. Keys stand at the top and tables at the end, since after the
// first table every key would belong to it.
const (
	tomlKeys   = "# sallyport: keys"
	tomlTables = "# sallyport: hooks"
	tomlEnd    = "# sallyport: end"
)

// codexRequirements lays the managed hooks into requirements.toml.
func (o Options) codexRequirements(before []byte) ([]byte, error) {
	rest, err := withoutMarked(string(before))
	if err != nil {
		return nil, err
	}
	if o.Remove {
		if strings.TrimSpace(rest) == "" {
			return nil, nil
		}
		return []byte(rest), nil
	}
	if regexp.MustCompile(`(?m)^\s*(allow_managed_hooks_only\s*=|\[+\s*"?hooks"?\s*[\].]|"?hooks"?\s*[.=])`).MatchString(rest) {
		return nil, errors.New("the file has hooks of its own, and is left alone: add the lines that --dry-run --print shows by hand")
	}
	const dir = "/etc/codex/hooks" // as the agent will see it, wherever the files are written now
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nallow_managed_hooks_only = true\n%s\n%s", tomlKeys, tomlEnd, rest)
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s\n[hooks]\nmanaged_dir = %s\n", tomlTables, strconv.Quote(dir))
	for _, e := range entries(Codex) {
		fmt.Fprintf(&b, "\n[[hooks.%s]]\n", e.name)
		if e.kind == PreTool || e.kind == PostTool {
			b.WriteString("matcher = \"*\"\n")
		}
		fmt.Fprintf(&b, "[[hooks.%s.hooks]]\ntype = \"command\"\ncommand = %s\ntimeout = %d\n", e.name, strconv.Quote(o.command(Codex, e.kind)), timeoutSeconds)
	}
	b.WriteString(tomlEnd + "\n")
	return []byte(b.String()), nil
}

// withoutMarked returns s without what stands between our marks.
func withoutMarked(s string) (string, error) {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(s) {
		switch mark := strings.TrimSpace(line); {
		case mark == tomlKeys || mark == tomlTables:
			if inside {
				return "", fmt.Errorf("%q stands inside our own lines: mend the file by hand", mark)
			}
			inside = true
		case mark == tomlEnd && inside:
			inside = false
		case !inside:
			b.WriteString(line)
		}
	}
	if inside {
		return "", fmt.Errorf("%q is missing: mend the file by hand", tomlEnd)
	}
	return b.String(), nil
}

// plugin is what OpenCode loads. BINARY stands for the program's path, as a JSON string.
//
//go:embed opencode.js
var plugin string

// openCode returns the plugin, and for the managed tier the configuration that names it.
func (o Options) openCode(path string, before []byte) (map[string][]byte, error) {
	bin, err := json.Marshal(o.Binary)
	if err != nil {
		return nil, err
	}
	code := []byte(strings.Replace(plugin, `"BINARY"`, string(bin), 1))
	if o.Tier != Managed {
		if len(before) > 0 && !strings.Contains(string(before), pluginMark) {
			return nil, fmt.Errorf("%s: the file is not ours, and is left alone", path)
		}
		if o.Remove {
			code = nil
		}
		return map[string][]byte{path: code}, nil
	}
	doc, err := settingsObject(before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	at := filepath.Join(filepath.Dir(path), "sallyport.js")
	address := (&url.URL{Scheme: "file", Path: "/etc/opencode/sallyport.js"}).String() // as the agent will see it
	list, ok := doc["plugin"].([]any)
	if doc["plugin"] != nil && !ok {
		return nil, fmt.Errorf("%s: plugin is no list, and the file is left alone", path)
	}
	list = slices.DeleteFunc(list, func(v any) bool { return v == address })
	if o.Remove {
		code = nil
	} else {
		list = append(list, address)
	}
	if doc["plugin"] = list; len(list) == 0 {
		delete(doc, "plugin")
	}
	files := map[string][]byte{at: code}
	if len(doc) == 0 {
		files[path] = nil
		return files, nil
	}
	files[path], err = settingsJSON(doc)
	return files, err
}

// pluginMark is in every version of our plugin.
const pluginMark = "sallyport hook install opencode"
