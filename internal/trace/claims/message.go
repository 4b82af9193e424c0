package claims

import "strings"

// maxMessage bounds what is read of a message or of a pull request's text.
const maxMessage = 256 << 10

// The lines that name a session, by their key in lower case, and whose sessions they are.
var sessionKeys = map[string]string{
	"claude-session": "claude-code", "agent-logs-url": "copilot", "amp-thread-id": "amp",
	"chainloop-trace-sessions": "", "entire-checkpoint": "", "entire-session": "", "replit-commit-session-id": "replit",
}

// The links that name a session anywhere in a text.
var sessionLinks = []struct{ prefix, agent string }{
	{"https://claude.ai/code/session_", "claude-code"},
	{"https://cursor.com/agents", "cursor"},
	{"https://app.devin.ai/sessions/", "devin"},
	{"https://jules.google.com/task/", "jules"},
	{"https://ampcode.com/threads/", "amp"},
	{"https://chatgpt.com/codex/tasks/", "codex-cloud"},
}

// The keys of lines that say that an agent helped.
var assistKeys = map[string]bool{
	"assisted-by": true, "generated-by": true, "ai-assisted-by": true, "ai-generated-with": true, "made-with": true,
}

// maxSaid bounds how much is taken from one text.
const maxSaid = 64

// FromMessage reads what a commit's message, or a pull request's text, says of agents' sessions and
// their help. Names with an address are persons', or are known by the address: both are the marker
// table's business.
func FromMessage(text string) []Claim {
	if len(text) > maxMessage {
		text = text[:maxMessage]
	}
	l := &list{kind: Text}
	seen := map[string]bool{}
	session := func(id, agent, note string) {
		id = clip(id)
		if id == "" || seen[id] || len(l.all) >= maxSaid {
			return
		}
		seen[id] = true
		l.add(Claim{By: ByAgent, Agent: agent, Session: id, Note: note})
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, ":")
		folded := strings.ToLower(strings.TrimSpace(key))
		value = strings.TrimSpace(value)
		if agent, known := sessionKeys[folded]; ok && known {
			for id := range strings.SplitSeq(value, ",") {
				session(strings.TrimSpace(id), agent, "the line "+folded)
			}
			continue
		}
		if ok && assistKeys[folded] && !strings.Contains(value, "@") && value != "" && len(l.all) < maxSaid {
			agent, model, note := assistant(value)
			l.add(Claim{By: ByMixed, Agent: agent, Model: model, Note: note})
		}
		for _, link := range sessionLinks {
			if i := strings.Index(line, link.prefix); i >= 0 {
				session(untilSpace(line[i:]), link.agent, "a link")
			}
		}
	}
	return l.all
}

// untilSpace cuts a link where it ends in a text.
func untilSpace(s string) string {
	if i := strings.IndexAny(s, " \t\"'<>)]}`"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimRight(s, ".,;:")
}

// assistant takes what stands in Assisted-by apart: AGENT:MODEL [TOOL]… as the Linux kernel has it,
// "Agent (Model)", or words, of which those with a number are a model's name.
func assistant(value string) (agent, model, note string) {
	var tools []string
	for {
		before, after, ok := strings.Cut(value, "[")
		if !ok {
			break
		}
		tool, rest, closed := strings.Cut(after, "]")
		if !closed {
			break
		}
		if t := strings.TrimSpace(tool); t != "" && len(tools) < 8 {
			tools = append(tools, t)
		}
		value = before + rest
	}
	if len(tools) > 0 {
		note = "with " + strings.Join(tools, ", ")
	}
	value = strings.TrimSpace(value)
	if name, version, ok := strings.Cut(value, ":"); ok && !strings.Contains(name, " ") {
		version, _, _ = strings.Cut(strings.TrimSpace(version), " ")
		return name, version, note
	}
	if name, inner, ok := strings.Cut(value, "("); ok {
		inner, _, _ = strings.Cut(inner, ")")
		return strings.TrimSpace(name), strings.TrimSpace(inner), note
	}
	if strings.ContainsAny(value, "0123456789") {
		return value, value, note
	}
	return value, "", note
}
