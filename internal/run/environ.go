package run

import (
	"slices"
	"strings"
)

// Allowed are the variables that pass into every run. What gives access to something is not among
// them: agents' sockets (ssh, gpg), session buses, tokens, and what makes programs load code.
var Allowed = []string{
	"PATH", "SHELL", "USER", "LOGNAME", "TERM", "COLORTERM", "COLUMNS", "LINES", "LANG", "LANGUAGE", "LC_*", "TZ",
	"NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "EDITOR", "VISUAL", "PAGER",
	"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
}

// Clean returns the variables of environ that the list allows, each a name or a name's beginning and an
// asterisk. A value that secret reports is replaced by what hide returns for it.
func Clean(environ, allow []string, secret func(name, value string) bool, hide func(name, value string) string) []string {
	var out []string
	for _, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || name == "" || !slices.ContainsFunc(allow, func(p string) bool { return matches(p, name) }) {
			continue
		}
		if value != "" && secret(name, value) {
			value = hide(name, value)
		}
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

func matches(pattern, name string) bool {
	if before, ok := strings.CutSuffix(pattern, "*"); ok {
		return before != "" && strings.HasPrefix(name, before)
	}
	return pattern == name
}

// Sentinel returns what stands for the secret value of a variable inside a run.
func Sentinel(name string) string { return "sallyport-withheld-" + strings.ToLower(name) }

// overlay returns env with further variables, which take the place of those of their names: of two, programs
// do not agree which counts.
func overlay(env, further []string) []string {
	set := map[string]bool{}
	for _, v := range further {
		name, _, _ := strings.Cut(v, "=")
		set[name] = true
	}
	out := make([]string, 0, len(env)+len(further))
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); !set[name] {
			out = append(out, v)
		}
	}
	return append(out, further...)
}
