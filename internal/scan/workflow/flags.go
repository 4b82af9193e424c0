package workflow

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
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
	looked := map[int]bool{}       // by where the lines begin
	done, line, counted := 0, 0, 0 // text up to done was looked at; line is that of counted
	look := func(from, to int) {
		if !looked[from] {
			looked[from] = true
			line += bytes.Count(text[counted:from], []byte("\n"))
			counted = from
			out = unguardedBlock(out, kind, text[from:to], line)
		}
	}
	switchWords().Scan(text, func(word, end int) {
		if at := end - switchWords().Len(word); at >= done {
			var from int
			from, done = joinedLines(text, at, done)
			look(from, done)
		}
	})
	// A word may itself be cut in two by a backslash at the end of a line.
	line, counted = 0, 0
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], '\\')
		if n < 0 {
			break
		}
		from, to := joinedLines(text, at+n, at)
		if bytes.IndexByte(text[from:to-1], '\n') >= 0 && switchWords().Contains([]byte(strings.Join(texts(joinLines(string(text[from:to]), "", to-from)), "\n"))) {
			look(from, to)
		}
		at = to
	}
	slices.SortFunc(out, byPlace)
	return out
}

func byPlace(a, b Hit) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.Key, b.Key)) }

// joins reports whether a line goes on with the next one.
func joins(line []byte) bool { return bytes.HasSuffix(bytes.TrimRight(line, " \t\r"), []byte(`\`)) }

// joinedLines returns the extent of the line that holds the byte at, with the lines that
// backslashes join to it. It does not begin before least, which is the end of such an extent.
func joinedLines(text []byte, at, least int) (from, to int) {
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

// unguardedBlock adds to out what some whole lines of a text switch off. The first of them is line
// first, from 0. What a backslash joins is read as one line with a space where it was, as one without,
// since a shell puts nothing there, and line by line, since no comment goes on.
func unguardedBlock(out []Hit, kind Kind, block []byte, first int) []Hit {
	ls := joinLines(string(block), " ", len(block))
	if bytes.IndexByte(block, '\\') >= 0 {
		ls = append(ls, joinLines(string(block), "", len(block))...)
		for i, l := range strings.Split(string(block), "\n") {
			ls = append(ls, logicalLine{l, i})
		}
	}
	type place struct {
		line int
		key  string
	}
	at := map[place]int{} // in out
	physical := bytes.Split(block, []byte("\n"))
	for _, l := range ls {
		for i := range switchesOff {
			s := &switchesOff[i]
			if len(out) >= maxHits || !strings.Contains(l.text, strings.TrimSpace(s.word)) || !s.expr().MatchString(l.text) {
				continue
			}
			severity := unguardedSeverity(kind, l.text, s)
			if severity == "" {
				continue
			}
			p := place{first + l.at + 1 + continued(physical, l, strings.TrimSpace(s.word)), s.name}
			if n, ok := at[p]; ok {
				if severity.Rank() > out[n].Severity.Rank() {
					out[n].Severity = severity
				}
				continue
			}
			at[p] = len(out)
			out = append(out, Hit{
				Rule: "agent-unguarded", Severity: severity, Line: p.line, Key: s.name,
				Text: "an agent is started or set up so that it asks nobody before it acts (" + s.name + ")",
			})
		}
	}
	return out
}

// continued returns how many lines after the first of l the word stands.
func continued(lines [][]byte, l logicalLine, word string) int {
	for i := l.at; i < len(lines); i++ {
		if bytes.Contains(lines[i], []byte(word)) {
			return i - l.at
		}
		if !joins(lines[i]) {
			break
		}
	}
	return 0
}

func texts(ls []logicalLine) []string {
	out := make([]string, len(ls))
	for i, l := range ls {
		out[i] = l.text
	}
	return out
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
