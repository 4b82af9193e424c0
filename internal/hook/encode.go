package hook

import (
	"encoding/json"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// An Answer is what a hook hands back to its agent.
type Answer struct {
	Stdout []byte
	Stderr []byte
	Exit   int
}

// blocked is the exit status that blocks in Claude Code, Codex, Gemini CLI and Cursor, and is one of those that
// do in Copilot. Agents take any other failure for an accident, and go on.
const blocked = 2

// maxReason bounds what an agent is told, in bytes.
const maxReason = 4000

// Encode says d in agent a's words.
func Encode(a Agent, k Kind, d Decision) Answer {
	reason := Tell(d)
	if d.Verdict == Allow {
		return Answer{Stdout: []byte("{}\n")}
	}
	if d.Verdict == Ask && k == PreTool {
		switch a {
		case Claude:
			return Answer{Stdout: line(map[string]any{"hookSpecificOutput": map[string]any{
				"hookEventName": "PreToolUse", "permissionDecision": "ask", "permissionDecisionReason": reason,
			}})}
		case Gemini:
			return Answer{Stdout: line(map[string]any{"decision": "ask", "reason": reason, "systemMessage": reason})}
		case Copilot:
			return Answer{Stdout: line(map[string]any{"permissionDecision": "ask", "permissionDecisionReason": reason})}
		case Cursor:
			return Answer{Stdout: line(map[string]any{"permission": "ask", "user_message": reason, "agent_message": reason})}
		}
		reason += " This needs a person, and the agent's hooks cannot ask one: let a person do it."
	}
	deny := Answer{Stderr: []byte(reason + "\n"), Exit: blocked}
	switch {
	case a == Copilot && k == PreTool:
		// Status 0, since only then does it hand the reason on to its model.
		return Answer{Stdout: line(map[string]any{"permissionDecision": "deny", "permissionDecisionReason": reason}), Stderr: deny.Stderr}
	case a == Cursor && k == PreTool:
		deny.Stdout = line(map[string]any{"permission": "deny", "user_message": reason, "agent_message": reason})
	case a == Cursor && k == Prompt:
		deny.Stdout = line(map[string]any{"continue": false, "user_message": reason})
	}
	return deny
}

// Tell says in one paragraph why, and what comes next, for a model and a person to read.
func Tell(d Decision) string {
	var b strings.Builder
	b.WriteString("Sallyport")
	switch d.Verdict {
	case Ask:
		b.WriteString(" asks for a person's decision")
	case Allow:
		b.WriteString(" has no objection")
	default:
		b.WriteString(" refuses this")
	}
	for i, r := range d.Reasons {
		if i == 0 {
			b.WriteString(":")
		}
		b.WriteString(" [" + r.Code + "] " + sentence(r.Text))
		if r.Next != "" {
			b.WriteString(" Instead: " + sentence(r.Next))
		}
		if b.Len() > maxReason {
			break
		}
	}
	if len(d.Reasons) == 0 {
		b.WriteString(".")
	}
	return cut(sallyport.Path(b.String()).String(), maxReason)
}

func sentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// cut shortens s to at most n bytes, at a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func line(v map[string]any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // strings and booleans only
		return []byte("deny\n")
	}
	return append(b, '\n')
}
