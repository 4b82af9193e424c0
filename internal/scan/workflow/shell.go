package workflow

import (
	"regexp"
	"strings"
	"sync"
)

// lazily compiles a pattern when it is first asked for: most checks see no CI definition.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

var (
	// agentCommand finds a coding agent or a model that is started from a shell.
	agentCommand = lazily(`(?i)(?:^|[\s;&|("'` + "`" + `$/])(?:` +
		`(?:claude|gemini|codex|opencode|aider|goose|qwen|crush|auggie|droid|cursor-agent|openhands|kiro-cli|copilot|cline|aichat)(?:@[\w.-]+)?["']?(?:\s|,|$)` +
		`|q\s+chat\b|q\s+--|amp\s+(?:-x|--execute|--dangerously)|llm\s+(?:-|["'$])|gh\s+(?:copilot|models)\b` +
		`|@(?:anthropic-ai/claude-code|openai/codex|google/gemini-cli|github/copilot|sourcegraph/amp|qwen-code/qwen-code)\b)`)
	// pipedShell finds a download that is run unseen.
	pipedShell = lazily(`(?i)(?:\b(?:curl|wget|iwr|irm|invoke-webrequest|invoke-restmethod)\b[^\n;]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:env\s+(?:\S+=\S*\s+)*)?(?:/\S*/)?(?:ba|z|da|k|fi)?(?:sh|python[0-9.]*|node|perl|ruby|iex|invoke-expression|tclsh|php)\b` +
		`|\b(?:ba|z|da|k)?sh\s+(?:-\S+\s+)*<\(\s*(?:curl|wget)\b|(?:\bsource|(?:^|\s)\.)\s+<\(\s*(?:curl|wget)\b` +
		`|\b(?:eval|(?:ba|z|da|k)?sh\s+-\w*c)\s+["']?(?:\$\(|` + "`" + `)\s*(?:curl|wget)\b|\b(?:iex|invoke-expression)\b[^\n]*\b(?:iwr|irm|invoke-webrequest|invoke-restmethod|downloadstring)\b)`)
	// interpreter finds a command that takes program text as an argument.
	interpreter = lazily(`(?i)(?:\beval\b|\b(?:ba|z|da|k)?sh\s+(?:-\S+\s+)*-\w*c\b|\bpython[0-9.]*\s+-c\b|\bnode\s+(?:-e|--eval|-p)\b|\bperl\s+-\w*e\b|\bruby\s+-e\b|\biex\b|\binvoke-expression\b|\bssh\s|\bxargs\b.*\bsh\b)`)
	// publishes finds what puts an artifact where others take it from.
	publishes  = lazily(`(?i)\b(?:(?:npm|pnpm|yarn|bun|lerna|vsce|ovsx|cargo|poetry|uv|flit|hatch|pdm|jsr|deno|dart\s+pub)\s+(?:\S+\s+){0,3}publish\b|changeset\s+publish|semantic-release\b|twine\s+upload|gem\s+push|docker\s+(?:\S+\s+){0,3}push\b|buildx\s+build[^\n]*--push|helm\s+push|oras\s+push|crane\s+push|cosign\s+sign|gh\s+release\s+(?:create|upload)|glab\s+release\s+create|goreleaser\s+(?:release\b)?|mvn\s[^\n]*\bdeploy\b|gradlew?\s[^\n]*\bpublish\w*|(?:nuget|dotnet\s+nuget)\s+push|kubectl\s+(?:apply|set\s+image|rollout)|helm\s+(?:upgrade|install)|terraform\s+apply|aws\s+s3\s+(?:cp|sync)|release-cli\b)`)
	assignment = lazily(`^\s*(?:(?:export|local|readonly|declare|typeset)\s+(?:-\S+\s+)*)?([A-Za-z_]\w*)\+?=(.*)$`)
	heredoc    = lazily(`<<-?\s*(["']?)([A-Za-z_]\w*)["']?`)
)

// A logical line is what a shell reads as one, with the number of its first line in the script.
type logicalLine struct {
	text string
	at   int
}

func logicalLines(script string) []logicalLine { return joinLines(script, " ", 1<<16) }

// joinLines puts glue where a backslash at the end of a line was. A line that has most bytes already
// is joined to no more.
func joinLines(script, glue string, most int) []logicalLine {
	var out []logicalLine
	var cur strings.Builder
	at := 0
	for i, l := range strings.Split(script, "\n") {
		if cur.Len() == 0 {
			at = i
		}
		t := strings.TrimRight(l, " \t\r")
		if joined, ok := strings.CutSuffix(t, `\`); ok && cur.Len() < most {
			cur.WriteString(joined + glue)
			continue
		}
		cur.WriteString(l)
		out = append(out, logicalLine{cur.String(), at})
		cur.Reset()
	}
	if cur.Len() > 0 {
		out = append(out, logicalLine{cur.String(), at})
	}
	return out
}

// comment reports whether a line of a script is nothing but a comment.
func comment(line string) bool {
	t := strings.TrimSpace(line)
	return strings.HasPrefix(t, "#") && !strings.HasPrefix(t, "#!")
}

// A varUse is one place where a shell expands a variable.
type varUse struct {
	name   string
	line   int    // of the script, from 0
	text   string // the logical line
	bare   bool   // outside quotation marks
	single bool   // inside single ones, where this shell does not expand it
}

// varUses lists the expansions of variables in a POSIX or PowerShell script. Quotation is followed
// as far as strings, command substitutions and here-documents go; where that loses its way at
// the end of a line, it starts again on the next.
func varUses(script string) []varUse {
	var out []varUse
	end := "" // of the here-document that the line is in
	for _, l := range logicalLines(script) {
		if end != "" && strings.TrimSpace(l.text) == end {
			end = ""
			continue
		}
		if end == "" && comment(l.text) {
			continue
		}
		out = append(out, usesIn(l, end != "")...)
		if end == "" {
			if m := heredoc().FindStringSubmatch(l.text); m != nil {
				end = m[2]
			}
		}
	}
	return out
}

func usesIn(l logicalLine, inDocument bool) []varUse {
	var out []varUse
	type level struct{ double, single bool }
	stack := []level{{double: inDocument}}
	s := l.text
	for i := 0; i < len(s); i++ {
		cur := &stack[len(stack)-1]
		switch c := s[i]; {
		case c == '\\' && !cur.single:
			i++
		case c == '\'' && !cur.double:
			cur.single = !cur.single
		case c == '"' && !cur.single:
			if !inDocument || len(stack) > 1 {
				cur.double = !cur.double
			}
		case c == '$' && strings.HasPrefix(s[i:], "$(") && !cur.single && len(stack) < 32:
			stack = append(stack, level{})
			i++
		case c == ')' && len(stack) > 1 && !cur.double && !cur.single:
			stack = stack[:len(stack)-1]
		case c == '$':
			name, n := varName(s[i+1:])
			if name != "" {
				bare := !cur.double && !cur.single
				if bare && len(stack) == 1 && harmlessBare(s[:i]) {
					bare = false
				}
				out = append(out, varUse{name, l.at, s, bare, cur.single})
				i += n
			}
		}
	}
	return out
}

// varName reads a name after a dollar sign: X, {X…}, env:X, {env:X}.
func varName(s string) (name string, n int) {
	start := 0
	if strings.HasPrefix(s, "{") {
		start = 1
		for start < len(s) && (s[start] == '#' || s[start] == '!') {
			start++
		}
	}
	if len(s) >= start+4 && strings.EqualFold(s[start:start+4], "env:") {
		start += 4
	}
	i := start
	for i < len(s) && (s[i] == '_' || s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || i > start && s[i] >= '0' && s[i] <= '9') {
		i++
	}
	return s[start:i], i
}

// harmlessBare reports whether a shell splits no words after before: the right side of an
// assignment, the inside of [[ ]], the word of a case.
func harmlessBare(before string) bool {
	if i := strings.LastIndex(before, "[["); i >= 0 && !strings.Contains(before[i:], "]]") {
		return true
	}
	t := strings.TrimSpace(before)
	if strings.HasSuffix(t, "case") {
		return true
	}
	i := strings.LastIndexAny(before, " \t;&|(")
	last := before[i+1:]
	return strings.HasSuffix(last, "=") && assignment().MatchString(last)
}

// tainted follows taints through the assignments of a script: what is given a tainted value is
// tainted as well. It returns all tainted names.
func tainted(script string, vars map[string]taint) map[string]taint {
	out := make(map[string]taint, len(vars))
	for k, v := range vars {
		out[k] = v
	}
	for range 3 { // a chain may run against the order of lines only in loops and functions
		grew := false
		for _, l := range logicalLines(script) {
			m := assignment().FindStringSubmatch(l.text)
			if m == nil || out[m[1]].level > 0 {
				continue
			}
			for _, u := range usesIn(logicalLine{m[2], l.at}, false) {
				if t := out[u.name]; t.level > 0 && !u.single {
					out[m[1]], grew = t, true
				}
			}
		}
		if !grew {
			break
		}
	}
	return out
}
