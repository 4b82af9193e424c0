//go:build e2e && linux

package agents

import (
	"regexp"

	"github.com/sallyport-dev/sallyport/test/agents/vendor"
)

// The parts of the story that the fake vendor has every client play: the agent reads a file that holds
// a secret and an e-mail address, writes a file that quotes the address as the vendor has seen it, and
// commits that file.
const (
	notes   = "notes.txt"
	summary = "summary.txt"
	address = "grace.hopper" + "@navy-yard.org"
)

// secret is planted in notes.txt. It is spelt in two halves, so that no scan of this file finds it. (It is
// no token of GitHub's: Copilot's own tools hide those.)
var secret = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dcTYooMQau"

// sentinel is what stands for personal data in what a vendor sees.
var sentinel = regexp.MustCompile(`⟦personal:[a-z0-9-]+:[0-9]+⟧`)

// play is the vendor's script.
func play(dir string) vendor.Script {
	return func(c vendor.Conversation) vendor.Reply {
		call := func(tool string, args map[string]any) vendor.Reply {
			return vendor.Reply{Call: &vendor.Call{Tool: tool, Args: args}}
		}
		shell := func(command string) vendor.Reply {
			if tool := c.Has("exec_command"); tool != "" {
				return call(tool, map[string]any{"cmd": command})
			}
			return call(c.Has("Bash", "bash", "run_shell_command"), map[string]any{"command": command, "description": "as asked"})
		}
		switch len(c.Results) {
		case 0:
			switch tool := c.Has("Read", "read", "read_file", "view"); tool {
			case "Read", "read_file":
				return call(tool, map[string]any{"file_path": dir + "/" + notes})
			case "read":
				return call(tool, map[string]any{"filePath": dir + "/" + notes})
			case "view":
				return call(tool, map[string]any{"path": dir + "/" + notes})
			}
			return shell("cat " + notes)
		case 1:
			who := sentinel.FindString(c.Results[0])
			if who == "" {
				who = "nobody"
			}
			content := "first line\nowner: " + who + "\nlast line\n"
			switch tool := c.Has("Write", "write", "write_file", "create"); tool {
			case "Write", "write_file":
				return call(tool, map[string]any{"file_path": dir + "/" + summary, "content": content})
			case "write":
				return call(tool, map[string]any{"filePath": dir + "/" + summary, "content": content})
			case "create":
				return call(tool, map[string]any{"path": dir + "/" + summary, "file_text": content})
			}
			return shell("cat > " + summary + " <<'END'\n" + content + "END")
		case 2:
			return shell("git add " + summary + " && git commit -q -m 'Add a summary'")
		}
		return vendor.Reply{Text: "All done: " + sentinel.FindString(c.Results[0])}
	}
}
