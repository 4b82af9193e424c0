package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Bounds of what is taken from one event.
const (
	maxName  = 512      // of a session, tool or event
	maxPath  = 16 << 10 // of a path or an address
	maxItems = 2000     // of each list
)

// A fieldSet names the members of an agent's document. An empty name is one that the agent does not have.
type fieldSet struct {
	event, session, dir, tool, input string
	events                           map[string]Kind // the agent's name of each event that is understood
}

var snake = fieldSet{event: "hook_event_name", session: "session_id", dir: "cwd", tool: "tool_name", input: "tool_input"}

func snakeWith(events map[string]Kind) fieldSet {
	f := snake
	f.events = events
	return f
}

// fields says how each agent spells what is relied on.
func fields(a Agent) fieldSet {
	switch a {
	case Claude:
		return snakeWith(map[string]Kind{
			"PreToolUse": PreTool, "PostToolUse": PostTool, "PostToolUseFailure": PostTool,
			"UserPromptSubmit": Prompt, "SessionStart": SessionStart, "SessionEnd": SessionEnd,
		})
	case Codex:
		return snakeWith(map[string]Kind{
			"PreToolUse": PreTool, "PostToolUse": PostTool, "UserPromptSubmit": Prompt,
			"SessionStart": SessionStart, "SessionEnd": SessionEnd,
		})
	case Gemini:
		return snakeWith(map[string]Kind{
			"BeforeTool": PreTool, "AfterTool": PostTool, "BeforeAgent": Prompt,
			"SessionStart": SessionStart, "SessionEnd": SessionEnd,
		})
	case Copilot: // which does not say what event it is; its other dialect is Claude's
		return fieldSet{session: "sessionId", dir: "cwd", tool: "toolName", input: "toolArgs"}
	case Cursor:
		return fieldSet{
			event: "hook_event_name", session: "conversation_id", dir: "cwd", tool: "tool_name", input: "tool_input",
			events: map[string]Kind{
				"preToolUse": PreTool, "beforeShellExecution": PreTool, "beforeMCPExecution": PreTool, "beforeReadFile": PreTool,
				"postToolUse": PostTool, "afterShellExecution": PostTool, "afterMCPExecution": PostTool, "afterFileEdit": PostTool,
				"beforeSubmitPrompt": Prompt, "sessionStart": SessionStart, "sessionEnd": SessionEnd, "stop": SessionEnd,
			},
		}
	default: // OpenCode, whose document our own plugin writes
		return fieldSet{
			event: "event", session: "sessionID", dir: "directory", tool: "tool", input: "args",
			events: map[string]Kind{
				"pre-tool": PreTool, "post-tool": PostTool, "prompt": Prompt,
				"session-start": SessionStart, "session-end": SessionEnd,
			},
		}
	}
}

// Decode reads what agent a wrote to the standard input of a hook that was installed for events of kind k.
func Decode(a Agent, k Kind, stdin []byte) (Event, error) {
	ev, err := decode(a, k, stdin)
	if err != nil {
		return Event{Agent: a, Kind: k, Digest: sallyport.SHA256(stdin)}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return ev, nil
}

func decode(a Agent, k Kind, stdin []byte) (Event, error) {
	ev := Event{Agent: a, Kind: k, Digest: sallyport.SHA256(stdin)}
	if err := strict.CheckJSON(stdin, MaxInput); err != nil {
		return ev, err
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(stdin, &doc); err != nil || doc == nil {
		return ev, errors.New("want a JSON object")
	}
	f := fields(a)
	if a == Copilot && doc["hook_event_name"] != nil {
		f = fields(Claude) // hooks that are named as Claude's are called as Claude calls them
	}
	if f.event != "" {
		name, err := text(doc, f.event, maxName, true)
		if err != nil {
			return ev, err
		}
		switch got, known := f.events[name]; {
		case !known:
			return ev, fmt.Errorf("unknown event %q", name)
		case got != k:
			return ev, fmt.Errorf("the hook was installed for %s and is called for %s", k, name)
		}
	}
	var err error
	if ev.Session, err = text(doc, f.session, maxName, a != Cursor || k == PreTool); err != nil {
		return ev, err
	}
	if ev.Dir, err = text(doc, f.dir, maxPath, a != Cursor); err != nil {
		return ev, err
	}
	if k != PreTool && k != PostTool {
		return ev, nil
	}
	if a == Cursor && doc[f.tool] == nil {
		return cursorTool(ev, doc)
	}
	if ev.Tool, err = text(doc, f.tool, maxName, true); err != nil {
		return ev, err
	}
	args, err := arguments(doc[f.input])
	if err != nil {
		return ev, fmt.Errorf("%s: %w", f.input, err)
	}
	return classify(ev, args)
}

// arguments reads a tool's arguments: an object, or a string that holds one, which is how some agents and some
// of their versions pass on what the model wrote.
func arguments(raw json.RawMessage) (map[string]any, error) {
	if raw == nil {
		return nil, errors.New("is missing")
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		if err := strict.CheckJSON([]byte(s), MaxInput); err != nil {
			return nil, err
		}
		raw = json.RawMessage(s)
	}
	var args map[string]any
	if err := json.Unmarshal(raw, &args); err != nil || args == nil {
		return nil, errors.New("want an object")
	}
	return args, nil
}

// cursorTool reads the events of Cursor that are about one kind of tool each and name none.
func cursorTool(ev Event, doc map[string]json.RawMessage) (Event, error) {
	name, _ := text(doc, "hook_event_name", maxName, true) // it was read before
	args := map[string]any{}
	take := func(key string) error {
		s, err := text(doc, key, MaxInput, true)
		args[key] = s
		return err
	}
	var err error
	switch name {
	case "beforeShellExecution", "afterShellExecution":
		ev.Tool, err = "Shell", take("command")
	case "beforeReadFile":
		ev.Tool, err = "Read", take("file_path")
	case "afterFileEdit":
		ev.Tool, err = "Write", take("file_path")
	default:
		return ev, errors.New("tool_name is missing")
	}
	if err != nil {
		return ev, err
	}
	return classify(ev, args)
}

// text reads a string member. Empty names and missing members are the empty string unless they are needed.
func text(doc map[string]json.RawMessage, name string, limit int, needed bool) (string, error) {
	raw, ok := doc[name]
	if name == "" || !ok && !needed {
		return "", nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		if !ok {
			return "", fmt.Errorf("%s is missing", name)
		}
		return "", fmt.Errorf("%s is no string", name)
	}
	if len(*s) > limit {
		return "", fmt.Errorf("%s has %d bytes, the limit is %d", name, len(*s), limit)
	}
	if needed && strings.TrimSpace(*s) == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return *s, nil
}

// Names of tools, in lower case, by what they do. A tool that is in none of the lists is unknown, and what it
// is given counts as written.
var (
	shellTools = []string{
		"bash", "shell", "exec_command", "shell_command", "local_shell", "unified_exec", "write_stdin",
		"run_shell_command", "run_terminal_cmd", "run_terminal_command", "powershell", "terminal", "execute", "monitor",
		"write_bash", "write_powershell",
	}
	readTools = []string{
		"read", "view", "cat", "grep", "glob", "ls", "list", "search", "read_file", "read_many_files", "list_directory",
		"search_file_content", "grep_search", "file_search", "list_dir", "codebase_search", "notebookread", "view_image",
		"rg", "lsp", "read_bash", "glob_file_search", "semsearch",
	}
	networkTools = []string{
		"webfetch", "websearch", "web_fetch", "web_search", "google_web_search", "fetch", "fetch_url", "web.run",
	}
	innerTools = []string{
		"todowrite", "todoread", "update_plan", "exitplanmode", "enterplanmode", "askuserquestion", "ask_user", "task", "agent",
		"write_todos", "update_todo", "report_intent", "bashoutput", "killshell", "killbash", "taskoutput", "taskstop",
		"stop_bash", "list_bash", "question", "skill", "toolsearch", "tool_search", "save_memory", "request_user_input",
	}
)

func classOf(tool string) Class {
	name := strings.ToLower(tool)
	switch {
	case strings.HasPrefix(name, "mcp__"), strings.HasPrefix(name, "mcp_"), strings.HasPrefix(name, "mcp:"):
		return Server
	case slices.Contains(shellTools, name):
		return Shell
	case slices.Contains(readTools, name):
		return Read
	case slices.Contains(networkTools, name):
		return Network
	case slices.Contains(innerTools, name):
		return Inner
	}
	return Unknown
}
