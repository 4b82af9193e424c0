package identity

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// environRules are the entries of the marker table about environment variables.
var environRules = sync.OnceValue(func() []*rule {
	rules, err := parseEnviron(markerData)
	if err != nil {
		panic(err) // the data is part of the program, and a test parses it
	}
	return rules
})

func parseEnviron(b []byte) ([]*rule, error) {
	var all []*rule
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("marker table: %w", err)
	}
	rules := slices.DeleteFunc(all, func(r *rule) bool { return r.Type != "env" || r.Kind != kindAgent })
	for _, r := range rules {
		re, err := regexp.Compile(r.Pattern)
		if err != nil {
			return nil, fmt.Errorf("marker table: %s: %w", r.Agent, err)
		}
		r.re = func() *regexp.Regexp { return re }
	}
	return rules, nil
}

// An Environment says which agent a process was started by, as its environment has it. It is a claim:
// any process can set or clear a variable, so that what is found is a lower bound and what is
// not found proves nothing.
type Environment struct {
	Agent   string   // empty if nothing was found; Unnamed if an agent is meant and not named
	Markers []string // the names of the variables that say so, sorted
	Session string   // the agent's own name for its session, if a variable tells
}

// sessionVariables hold what agents call their sessions: the key by which a run's record, a hook's
// report and a build can be told to belong together.
var sessionVariables = []string{"CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID"}

var sessionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`) })

// FromEnvironment looks for agents' variables in an environment, in the form of [os.Environ]. Values
// are not returned, but for a session's name.
func FromEnvironment(environ []string) Environment {
	var e Environment
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if len(kv) > 4096 {
			kv = kv[:4096]
		}
		for _, r := range environRules() {
			if !r.re().MatchString(kv) {
				continue
			}
			if !slices.Contains(e.Markers, name) {
				e.Markers = append(e.Markers, name)
			}
			switch agent := r.Agent; {
			case agent == anyAgent && e.Agent == "":
				e.Agent = Unnamed
			case agent != anyAgent && (e.Agent == "" || e.Agent == Unnamed):
				e.Agent = agent
			}
		}
		if slices.Contains(sessionVariables, name) && sessionName().MatchString(value) {
			e.Session = value
		}
	}
	slices.Sort(e.Markers)
	return e
}
