package workflow

import (
	"bytes"
	"regexp"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/words"
)

// A switchOff is one way to tell an agent that it need not ask.
type switchOff struct {
	name  string // what is told
	word  string // stands in all that expr matches
	expr  func() *regexp.Regexp
	grave bool // its name alone says what it does, whoever is called
}

// switchesOff lists flags, settings and variables of agents, as their makers document them. The
// names are spelt in two parts so that this very file is no finding.
var switchesOff = []switchOff{
	{"--dangerously" + "-skip-permissions", "dangerously" + "-skip-permissions", lazily(`dangerously-` + `skip-permissions\b`), true},
	{"--dangerously" + "-bypass-approvals-and-sandbox", "dangerously" + "-bypass", lazily(`--dangerously-` + `bypass-approvals-and-sandbox\b`), true},
	{"--dangerously" + "-allow-all", "ngerously", lazily(`--dangerously-` + `allow-all\b|\bdangerously` + `AllowAll["']?\s*[:=]\s*true`), true},
	{"--trust" + "-all-tools", "trust" + "-all-tools", lazily(`--trust-` + `all-tools\b`), true},
	{"--allow" + "-all-tools", "allow" + "-all-", lazily(`--allow-` + `all-(?:tools|paths|urls)\b`), true},
	{"--skip" + "-permissions-unsafe", "permissions" + "-unsafe", lazily(`--skip-` + `permissions-unsafe\b`), true},
	{"--yolo", "yo" + "lo", lazily(`(?:^|[\s"',\[=])--yo` + `lo\b|\bapproval[-_]?[mM]ode["']?(?:\s*[:=]\s*|\s+)["']?yo` + `lo\b`), true},
	{"--full" + "-auto", "full" + "-auto", lazily(`--full-` + `auto\b`), true},
	{"bypass" + "Permissions", "bypass" + "Permissions", lazily(`\bbypass` + `Permissions\b`), true},
	{"danger" + "-full-access", "danger" + "-full-access", lazily(`\bdanger-` + `full-access\b`), true},
	{"approval policy never", "never", lazily(`(?:\bapproval_policy["']?\s*[=:]\s*\\?["']?never\b|--ask-for-approval[\s=]+["']?never\b|--ask-for-approval["'],\s*["']never\b)`), true},
	{"COPILOT" + "_ALLOW_ALL", "COPILOT_ALLOW_ALL", lazily(`\bCOPILOT_ALLOW_ALL["']?\s*[:=]\s*["']?(?:true|1)\b`), true},
	{"chat.tools" + ".autoApprove", "utoApprove", lazily(`\bchat\.tools\.(?:global\.)?autoApprove["']?\s*:\s*true\b|"autoApprove"\s*:\s*\[\s*"\*"`), true},
	{"safety-strategy: unsafe", "unsafe", lazily(`\bsafety[-_]strategy\s*:\s*["']?unsafe\b`), true},
	{"--yes-always", "yes-always", lazily(`--yes-always\b|^\s*yes-always\s*:\s*true\b`), true},
	{"GOOSE_MODE=auto", "GOOSE_MODE", lazily(`\bGOOSE_MODE["']?\s*[:=]\s*["']?auto\b`), true},
	{"autoAccept", "autoAccept", lazily(`"autoAccept"\s*:\s*true\b`), true},
	{"enableAllProjectMcpServers", "enableAllProjectMcpServers", lazily(`"enableAllProjectMcpServers"\s*:\s*true\b`), true},
	{"alwaysAllow: *", "alwaysAllow", lazily(`"alwaysAllow"\s*:\s*\[\s*"\*"`), true},
	{"permission: allow", "permission", lazily(`"permission"\s*:\s*"allow"|\bOPENCODE_PERMISSION["']?\s*[:=]\s*["']?\\?"?allow\b`), true},

	{"-y", " -y", lazily(`\b(?:gemini|qwen|cline|crush)(?:-cli|-code)?(?:@\S+)?\s(?:[^|;&\n]*\s)?-y\b`), false},
	{"-a never", " never", lazily(`\bcodex\b[^|;&\n]*\s-a\s+never\b`), false},
	{"--allow-all", "--allow-all", lazily(`\bcopilot\b[^|;&\n]*\s--allow-all(?:\s|$|["'])`), false},
	{"--force", "cursor-agent", lazily(`\bcursor-agent\b[^|;&\n]*\s(?:-f|--force)\b`), false},
	{"--auto high", "high", lazily(`\bdroid\b[^|;&\n]*\s--auto\s+high\b`), false},
	{"-a", "chat", lazily(`\b(?:q|kiro-cli)\s+chat\b[^|;&\n]*\s-a\b`), false},
	{"all commands allowed", "ash", lazily(`(?i)--?allowed[-_]?tools["']?[\s=:,]+["']?(?:[^"'\n]*,\s*)?bash(?:\(\*\)|\(:\*\))?["'\s,]|"Bash\((?:\*|:\*)\)"`), false},
}

// switchWords holds the words of switchesOff, in their order, without the spaces that some begin
// with: a backslash at the end of a line is one too.
var switchWords = sync.OnceValue(func() *words.Set {
	list := make([]string, len(switchesOff))
	for i := range switchesOff {
		list[i] = strings.TrimSpace(switchesOff[i].word)
	}
	return words.New(list)
})

// unguarded finds, line by line, what switches off an agent's own questions. Only lines in which
// one of the words stands are looked at, with what a backslash at the end joins to them.
func unguarded(kind Kind, text []byte) []Hit {
	if kind == None {
		return nil
	}
	var out []Hit
	done, line, counted := 0, 0, 0 // text up to done was looked at; line is that of counted
	switchWords().Scan(text, func(word, end int) {
		at := end - switchWords().Len(word)
		if at < done {
			return
		}
		var from int
		from, done = joinedLines(text, at, done)
		line += bytes.Count(text[counted:from], []byte("\n"))
		counted = from
		block := text[from:done]
		for _, l := range logicalLines(string(block)) {
			out = unguardedLine(out, kind, block, l, line)
		}
	})
	return out
}

// joinedLines returns the extent of the line that holds the byte at, with the lines that
// backslashes join to it. It does not begin before least, which is the end of such an extent.
func joinedLines(text []byte, at, least int) (from, to int) {
	joins := func(line []byte) bool { return bytes.HasSuffix(bytes.TrimRight(line, " \t\r"), []byte(`\`)) }
	from = bytes.LastIndexByte(text[:at], '\n') + 1
	for from > least {
		before := bytes.LastIndexByte(text[:from-1], '\n') + 1
		if !joins(text[before : from-1]) {
			break
		}
		from = before
	}
	for to = from; to < len(text); {
		line, _, more := bytes.Cut(text[to:], []byte("\n"))
		to += len(line)
		if more {
			to++
		}
		if to > at && !joins(line) {
			break
		}
	}
	return from, to
}

// unguardedLine adds to out what one line of a block of text switches off. The block begins at
// line first, from 0.
func unguardedLine(out []Hit, kind Kind, block []byte, l logicalLine, first int) []Hit {
	for i := range switchesOff {
		s := &switchesOff[i]
		if len(out) >= maxHits || !strings.Contains(l.text, s.word) || !s.expr().MatchString(l.text) {
			continue
		}
		severity := unguardedSeverity(kind, l.text, s)
		if severity == "" {
			continue
		}
		out = append(out, Hit{
			Rule: "agent-unguarded", Severity: severity, Line: first + l.at + 1 + continued(block, l, s.word), Key: s.name,
			Text: "an agent is started or set up so that it asks nobody before it acts (" + s.name + ")",
		})
	}
	return out
}

// continued returns how many lines after the first of l the word stands.
func continued(text []byte, l logicalLine, word string) int {
	lines := bytes.Split(text, []byte("\n"))
	for i := l.at; i < len(lines); i++ {
		if bytes.Contains(lines[i], []byte(word)) {
			return i - l.at
		}
		if !bytes.HasSuffix(bytes.TrimRight(lines[i], " \t\r"), []byte(`\`)) {
			break
		}
	}
	return 0
}

// remark reports whether a line of program text seems to be a comment. It may be code all the
// same, so that it is told and not passed over.
func remark(line string) bool {
	t := strings.TrimSpace(line)
	for _, lead := range []string{"//", "#", "* ", "/*", "--", ";", "<!--", `"""`} {
		if strings.HasPrefix(t, lead) {
			return true
		}
	}
	return false
}

var agentWord = lazily(`(?i)\b(?:claude|gemini|codex|copilot|q|amp|qwen|opencode|droid|cursor-agent|crush|aider|goose|cline|kiro-cli)\b`)

func unguardedSeverity(kind Kind, line string, s *switchOff) sallyport.Severity {
	switch kind {
	case GitHub, GitLab, MaybeGitLab, Script:
		if comment(line) {
			return "" // YAML and shells agree on what a comment is
		}
		if s.name == "all commands allowed" {
			return sallyport.Medium
		}
		return sallyport.High
	case AgentSetting:
		if remark(line) {
			return sallyport.Medium
		}
		return sallyport.High
	case Prose:
		return sallyport.Medium // it may say that nobody should
	case Source:
		switch {
		case remark(line):
			return sallyport.Low
		case s.grave && agentWord().MatchString(line) && invokes(line):
			return sallyport.High
		case s.grave:
			return sallyport.Medium
		}
		return ""
	}
	return ""
}

// invokes reports whether a line of program text names an agent as a command: at the start of a
// string.
var agentString = lazily("(?i)[\"'`](?:\\S*/)?(?:npx\\s+(?:-y\\s+)?)?(?:claude|gemini|codex|copilot|q|amp|qwen|opencode|droid|cursor-agent|crush|aider|goose|cline|kiro-cli|@anthropic-ai/claude-code|@openai/codex|@google/gemini-cli)(?:@\\S+)?[\"'`\\s]")

func invokes(line string) bool { return agentString().MatchString(line) }
