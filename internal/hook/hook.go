// Package hook speaks the hook contracts of coding agents: what each of them writes to a hook's standard
// input, what each of them does with its answer, and which files make it call a hook at all.
//
// # An event in
//
// An agent starts a command, writes one JSON document to its standard input and waits. [Decode] reads that
// document into an [Event], which is the same for all agents:
//
//   - the document is bounded, one JSON object, and holds no key twice: an agent that reads the first of two
//     commands and a hook that reads the second are not talking about the same thing;
//   - what is relied on has to be there and to have its type: the name of the event where the agent states it,
//     the tool's name, the tool's arguments, and in them whatever this package takes for a command, a path or
//     an address. Unknown fields are ignored, since agents add some every month;
//   - a tool that is not known is read with suspicion: what looks like a path in its arguments is taken for one
//     that it writes.
//
// # An answer out
//
// [Encode] turns a [Decision] into the bytes and the exit status that the agent acts on. The zero Decision
// denies. Three things hold for every agent:
//
//   - to allow is to have no objection, and never to approve: agents have prompts and rules of their own,
//     and an answer that says "allow" would switch them off;
//   - where an agent cannot ask its user, what should be asked is denied, with a reason that says so;
//   - what cannot be read, and what goes wrong, denies. A panic denies as well: Go's exit status for it is 2,
//     which is the one that blocks in every agent but one, and in that one every status but 0 does.
//
// # What it is worth
//
// A hook is advice. The agent, or what the agent runs, can write a script and start that; hooks can be
// switched off; and every agent has cases in which a hook that does not answer is taken for one that
// agrees ([Contract].Opens lists them). What keeps an agent from doing something is the sandbox of a run,
// and what keeps it from landing is the merge gate. Hooks tell an agent early, in words that it can act on,
// and they leave a trace whose absence can be seen.
//
// The package reads no file and starts nothing. [Settings] says which files an agent needs; whoever calls it
// writes them.
package hook

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// MaxInput is the most that is read from an agent, in bytes. Agents put whole files into a tool's arguments.
const MaxInput = 16 << 20

// Deadline is how long a hook takes at the most. What is not decided by then is denied.
const Deadline = 10 * time.Second

// An Agent is a client whose hooks are known.
type Agent string

// The agents.
const (
	Claude   Agent = "claude"
	Codex    Agent = "codex"
	Gemini   Agent = "gemini"
	Copilot  Agent = "copilot"
	Cursor   Agent = "cursor"
	OpenCode Agent = "opencode"
)

// Agents lists them, in the order in which they are shown.
func Agents() []Agent { return []Agent{Claude, Codex, Gemini, Copilot, Cursor, OpenCode} }

// ParseAgent reads an agent's name.
func ParseAgent(s string) (Agent, error) {
	for _, a := range Agents() {
		if string(a) == s {
			return a, nil
		}
	}
	return "", fmt.Errorf("unknown agent %q, want one of claude, codex, gemini, copilot, cursor, opencode", s)
}

// A Kind is what an event is about.
type Kind string

// The kinds of event.
const (
	PreTool      Kind = "pre-tool"      // a tool is about to run, and may be kept from it
	PostTool     Kind = "post-tool"     // a tool has run
	Prompt       Kind = "prompt"        // a person has said something
	SessionStart Kind = "session-start" // or goes on
	SessionEnd   Kind = "session-end"
)

// Kinds lists them, in the order in which a session meets them.
func Kinds() []Kind { return []Kind{SessionStart, Prompt, PreTool, PostTool, SessionEnd} }

// ParseKind reads the name of a kind of event.
func ParseKind(s string) (Kind, error) {
	for _, k := range Kinds() {
		if string(k) == s {
			return k, nil
		}
	}
	return "", fmt.Errorf("unknown event %q, want one of session-start, prompt, pre-tool, post-tool, session-end", s)
}

// A Class is what a tool does, as far as its name and arguments tell.
type Class string

// The classes of tool. The zero Class is that of a tool that nobody here knows.
const (
	Unknown Class = ""
	Shell   Class = "shell"   // runs a command line
	Write   Class = "write"   // changes files
	Read    Class = "read"    // reads files
	Network Class = "network" // fetches an address, or searches
	Server  Class = "mcp"     // a tool of an MCP server
	Inner   Class = "inner"   // plans, asks, delegates: nothing outside the agent
)

// An Event is one call of a hook.
type Event struct {
	Agent   Agent  `json:"agent"`
	Kind    Kind   `json:"kind"`
	Session string `json:"session,omitempty"` // as the agent names it
	Dir     string `json:"dir,omitempty"`     // the agent's working directory
	Tool    string `json:"tool,omitempty"`    // as the agent names it
	Class   Class  `json:"class,omitempty"`
	Call    Call   `json:"call,omitzero"`
	// Digest is that of the bytes that the agent wrote. They hold prompts and file contents, so that only
	// the digest leaves this process.
	Digest sallyport.Digest `json:"digest"`
}

// A Call is what a tool is about to do, taken from its arguments.
type Call struct {
	Commands []string `json:"commands,omitempty"` // command lines for a shell
	Writes   []string `json:"writes,omitempty"`   // paths, as given
	Reads    []string `json:"reads,omitempty"`
	URLs     []string `json:"urls,omitempty"`
	Server   string   `json:"server,omitempty"` // of an MCP tool, as far as its name tells
}

// A Verdict is what a hook says. The zero Verdict denies.
type Verdict int

// The verdicts.
const (
	Deny  Verdict = iota
	Ask           // a person is to decide
	Allow         // no objection
)

func (v Verdict) String() string {
	switch v {
	case Ask:
		return "ask"
	case Allow:
		return "allow"
	default:
		return "deny"
	}
}

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// A Decision is a verdict with its reasons.
type Decision struct {
	Verdict Verdict            `json:"verdict"`
	Reasons []sallyport.Reason `json:"reasons"`
}

// Codes of reasons that no rule gives.
const (
	CodeUnreadable = "tool-call-unreadable" // what the agent said cannot be read
	CodeNoDecision = "tool-call-undecided"  // something went wrong here
)

// ErrUnreadable is wrapped by every error of [Decode].
var ErrUnreadable = errors.New("the agent's event cannot be read")

// Refusal is the decision about an event that could not be judged.
func Refusal(code string, err error) Decision {
	return Decision{Verdict: Deny, Reasons: []sallyport.Reason{{
		Code: code, Outcome: sallyport.Shut, Text: err.Error(),
		Next: "sallyport hook install shows which versions of which agents are known; a newer Sallyport may know this one",
	}}}
}
