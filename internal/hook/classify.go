package hook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Names of arguments, without case and separators, by what they hold.
var (
	commandKeys = []string{"command", "cmd", "script", "commandline", "chars"}
	pathKeys    = []string{
		"filepath", "path", "file", "filename", "notebookpath", "absolutepath", "targetfile", "dirpath", "paths", "files",
		"targetpath", "relativepath", "destination", "source", "oldpath", "newpath", "directory", "targetnotebook",
	}
	urlKeys   = []string{"url", "urls", "uri", "href"}
	patchKeys = []string{"patch", "input", "patchtext", "diff", "command"}
)

// maxNesting bounds how deep arguments are looked into.
const maxNesting = 8

// classify fills in what the tool is about to do.
func classify(ev Event, args map[string]any) (Event, error) {
	ev.Class = classOf(ev.Tool)
	r := reader{patches: ev.Class == Unknown && strings.Contains(fold(ev.Tool), "patch")}
	if err := r.object(args, 0); err != nil {
		return ev, err
	}
	switch {
	case ev.Class == Shell && len(r.commands) == 0 && r.told == 0:
		return ev, fmt.Errorf("the tool %q is called without a command", ev.Tool)
	case ev.Class == Unknown && len(r.commands) > 0:
		ev.Class = Shell
	case ev.Class == Unknown && len(r.paths)+len(r.patched) > 0:
		ev.Class = Write
	case ev.Class == Unknown && len(r.urls) > 0:
		ev.Class = Network
	}
	ev.Call.Commands, ev.Call.URLs = r.commands, r.urls
	switch ev.Class {
	case Read, Shell, Network: // of a shell these are the folder that it starts in
		ev.Call.Reads = r.paths
	case Inner:
		ev.Call.Commands = nil // a task for a helper, which meets these hooks itself
	default:
		ev.Call.Writes = r.paths
	}
	ev.Call.Writes = append(ev.Call.Writes, r.patched...)
	if ev.Class == Server {
		ev.Call.Server = serverOf(ev.Tool)
	}
	return ev, nil
}

// reader collects what a tool's arguments hold.
type reader struct {
	patches                        bool // the tool takes patches
	commands, paths, urls, patched []string
	told                           int // commands that say nothing, such as input for a terminal that is empty
}

func (r *reader) object(args map[string]any, depth int) error {
	if depth > maxNesting {
		return errors.New("the tool's arguments are nested too deeply")
	}
	for name, v := range args {
		if err := r.member(fold(name), v, depth); err != nil {
			return fmt.Errorf("argument %q: %w", name, err)
		}
	}
	if len(r.commands)+len(r.paths)+len(r.urls)+len(r.patched) > maxItems {
		return errors.New("the tool's arguments name too much")
	}
	// Go's maps have no order, and decisions should.
	slices.Sort(r.commands)
	slices.Sort(r.paths)
	slices.Sort(r.urls)
	slices.Sort(r.patched)
	return nil
}

func (r *reader) member(name string, v any, depth int) error {
	if s, ok := v.(string); ok && r.patches && slices.Contains(patchKeys, name) {
		paths, err := patchPaths(s)
		r.patched = append(r.patched, paths...)
		return err
	}
	switch {
	case slices.Contains(commandKeys, name):
		return r.command(v)
	case slices.Contains(pathKeys, name):
		return collect(&r.paths, v, depth, r)
	case slices.Contains(urlKeys, name):
		return collect(&r.urls, v, depth, r)
	}
	switch v := v.(type) {
	case map[string]any:
		return r.object(v, depth+1)
	case []any:
		for _, x := range v {
			if m, ok := x.(map[string]any); ok {
				if err := r.object(m, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// command takes a command line, or a list of words as some agents have it.
func (r *reader) command(v any) error {
	switch v := v.(type) {
	case string:
		if strings.TrimSpace(v) == "" {
			r.told++
			return nil
		}
		r.commands = append(r.commands, v)
		return nil
	case []any:
		var words []string
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return errors.New("want a command of strings")
			}
			words = append(words, quote(s))
		}
		if len(words) == 0 {
			return errors.New("want a command")
		}
		r.commands = append(r.commands, strings.Join(words, " "))
		return nil
	case nil:
		return nil
	default:
		return errors.New("want a command line")
	}
}

// collect takes a string, a list of strings, or objects that hold some.
func collect(to *[]string, v any, depth int, r *reader) error {
	switch v := v.(type) {
	case string:
		if len(v) > maxPath {
			return fmt.Errorf("%d bytes, the limit is %d", len(v), maxPath)
		}
		if v != "" {
			*to = append(*to, v)
		}
	case []any:
		for _, x := range v {
			if err := collect(to, x, depth, r); err != nil {
				return err
			}
		}
	case map[string]any:
		return r.object(v, depth+1)
	case nil, bool, float64:
		// A flag or a number of that name is no path.
	default:
		return errors.New("want a string")
	}
	return nil
}

// patchPaths reads which files a patch in the form of apply_patch touches.
func patchPaths(s string) ([]string, error) {
	var paths []string
	for line := range strings.Lines(s) {
		for _, mark := range []string{"*** Add File:", "*** Update File:", "*** Delete File:", "*** Move to:"} {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), mark); ok {
				if p := strings.TrimSpace(rest); p != "" && len(p) <= maxPath {
					paths = append(paths, p)
				}
			}
		}
	}
	if len(paths) == 0 {
		return nil, errors.New("a patch that names no file")
	}
	return paths, nil
}

// fold lets file_path, filePath and File-Path be one name.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// quote makes a word one word of a command line again.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// serverOf is the MCP server in the name of one of its tools: mcp__SERVER__TOOL, or mcp_SERVER_TOOL.
func serverOf(tool string) string {
	if rest, ok := strings.CutPrefix(tool, "mcp__"); ok {
		server, _, _ := strings.Cut(rest, "__")
		return server
	}
	rest := strings.TrimLeft(strings.TrimPrefix(tool, "mcp"), "_:")
	server, _, _ := strings.Cut(rest, "_")
	return server
}
