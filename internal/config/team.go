package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
)

// A Level names a choice of settings that the baseline ships.
type Level string

// The levels.
const (
	LevelObserve  Level = "observe"  // the baseline's settings, and mode: observe
	LevelBaseline Level = "baseline" // the default
	LevelStrict   Level = "strict"
)

// A Rule is one rule's mode, under its reason code.
type Rule struct {
	// Mode is the rule's own: it goes before the repository's, both ways. Default: the
	// repository's.
	Mode sallyport.Mode `yaml:"mode"`
	// EffectiveOn is the day (2027-01-31, UTC) from which the rule is enforced. Before it, it
	// warns. Beside a mode that does not enforce it would contradict it, and is refused.
	EffectiveOn string `yaml:"effective_on"`
}

// An Approval asks for more approvals, or others, where a change touches what it names. Classes
// and Paths, if both are there, must both fit one file.
type Approval struct {
	// Classes are those of files, as in data.protected_classes.
	Classes []string `yaml:"classes"`
	// Paths are patterns: * and ? match within one folder, ** any number of folders. They match
	// whatever a file system could take for the path: another case, another Unicode form, a dot
	// at the end.
	Paths []string `yaml:"paths"`
	// Severity asks where the change has a finding of it or graver, accepted ones too.
	Severity sallyport.Severity `yaml:"severity"`
	// Required is how many different persons must approve, 1 to 16.
	Required int `yaml:"required"`
	// Roles are the roles of which each of them must have one. Default: any reviewer.
	Roles []string `yaml:"roles"`
}

// Findings says what open findings do, by severity: low, medium, high, critical, or none for
// never.
type Findings struct {
	// ShutAt is the severity from which an open finding shuts the gate. Default: high.
	ShutAt string `yaml:"shut_at"`
	// WaitAt is the severity from which it waits for an approval. Default: none.
	WaitAt string `yaml:"wait_at"`
	// Kinds are limits for single kinds of finding. Secrets, hidden characters, what could not
	// be scanned and malicious packages have none: they always shut, unless an exception accepts them.
	Kinds map[string]FindingLimits `yaml:"kinds"`
}

// FindingLimits are the limits of one kind.
type FindingLimits struct {
	ShutAt string `yaml:"shut_at"`
	WaitAt string `yaml:"wait_at"`
}

// Exceptions bound exceptions further than the format does.
type Exceptions struct {
	// MaxDays is the longest that an exception may last, 1 to 180. Default: 180.
	MaxDays int `yaml:"max_days"`
}

const (
	maxRules     = 512
	maxApprovals = 64
)

var (
	codePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,127}$`) })
	severities  = []string{"low", "medium", "high", "critical", "none"}
	rosterRoles = []string{"reviewer", "root", "operator", "auditor", "security"}
	alwaysShut  = []string{"secret", "unicode", "unscanned", "malicious-package"}
)

// validateTeam checks the keys that teams choose by. Whether a rule's code exists is known only
// where the policy sets are.
func (c Config) validateTeam(raw map[string]any) error {
	_, level := raw["level"]
	switch {
	case c.Level == LevelObserve && c.Mode.Enforces() && c.Mode != "":
		return bad("mode", "is enforce, and level: observe enforces nothing; drop one of them")
	case c.Level == "" && !level, c.Level == LevelObserve, c.Level == LevelBaseline, c.Level == LevelStrict:
	default:
		return bad("level", "%q is unknown; it is observe, baseline or strict", clip(string(c.Level)))
	}
	if len(c.Rules) > maxRules {
		return bad("rules", "has %d rules, the most is %d", len(c.Rules), maxRules)
	}
	for _, code := range slices.Sorted(maps.Keys(c.Rules)) {
		if err := c.Rules[code].validate(code); err != nil {
			return err
		}
	}
	if len(c.Approvals) > maxApprovals {
		return bad("approvals", "has %d entries, the most is %d", len(c.Approvals), maxApprovals)
	}
	for _, a := range c.Approvals {
		if err := a.validate(); err != nil {
			return err
		}
	}
	for _, w := range []struct {
		key, value string
		list       []string
	}{
		{"codeowners", c.Codeowners, []string{"required", "off"}},
		{"disclosure", c.Disclosure, []string{"required", "forbidden", "allowed"}},
	} {
		if _, stated := raw[w.key]; stated && !slices.Contains(w.list, w.value) {
			return bad(w.key, "%q is unknown; it is %s", clip(w.value), strings.Join(w.list, ", "))
		}
	}
	if given, ok := raw["exceptions"].(map[string]any); ok {
		if _, ok := given["max_days"]; ok && (c.Exceptions.MaxDays < 1 || c.Exceptions.MaxDays > 180) {
			return bad("exceptions.max_days", "%d is not between 1 and 180", c.Exceptions.MaxDays)
		}
	}
	return c.Findings.validate()
}

func (r Rule) validate(code string) error {
	key := "rules." + code
	if !codePattern().MatchString(code) {
		return bad("rules", "%q is no reason code", clip(code))
	}
	switch r.Mode {
	case "", sallyport.Observe, sallyport.Warn, sallyport.Enforce:
	default:
		return bad(key+".mode", "%q is unknown; it is observe, warn or enforce", clip(string(r.Mode)))
	}
	if r == (Rule{}) {
		return bad(key, "says nothing; give it a mode or effective_on, or leave it out")
	}
	if r.EffectiveOn == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, r.EffectiveOn); err != nil {
		return bad(key+".effective_on", "%q is no day such as 2027-01-31", clip(r.EffectiveOn))
	}
	if r.Mode == sallyport.Observe || r.Mode == sallyport.Warn {
		return bad(key+".effective_on", "says from when the rule is enforced, and its mode is %s", r.Mode)
	}
	return nil
}

func (a Approval) validate() error {
	switch {
	case a.Required < 1 || a.Required > 16:
		return bad("approvals", "required is %d, not between 1 and 16", a.Required)
	case len(a.Classes)+len(a.Paths) == 0 && a.Severity == "":
		return bad("approvals", "an entry names no classes, paths or severity; for every change there is data.approvals_required")
	case len(a.Classes) > 0 && a.Severity != "":
		return bad("approvals", "an entry names classes and a severity; make it two")
	case len(a.Paths) > maxPatterns:
		return bad("approvals", "an entry has %d paths, the most is %d", len(a.Paths), maxPatterns)
	}
	for _, c := range a.Classes {
		if !slices.Contains(classes, c) {
			return bad("approvals", "%q is no class of files; the classes are %s", clip(c), strings.Join(classes, ", "))
		}
	}
	for _, p := range a.Paths {
		if _, err := glob.Parse(p); err != nil {
			return bad("approvals", "%s", err)
		}
	}
	if a.Severity != "" && (a.Severity == "none" || !slices.Contains(severities, string(a.Severity))) {
		return bad("approvals", "%q is no severity: low, medium, high or critical", clip(string(a.Severity)))
	}
	for i, r := range a.Roles {
		if !slices.Contains(rosterRoles, r) {
			return bad("approvals", "%q is no role; the roles are %s", clip(r), strings.Join(rosterRoles, ", "))
		}
		if slices.Contains(a.Roles[:i], r) {
			return bad("approvals", "the role %q stands twice", r)
		}
	}
	return nil
}

func (f Findings) validate() error {
	check := func(key, s string) error {
		if s != "" && !slices.Contains(severities, s) {
			return bad(key, "%q is no severity; it is low, medium, high, critical or none", clip(s))
		}
		return nil
	}
	if err := check("findings.shut_at", f.ShutAt); err != nil {
		return err
	}
	if err := check("findings.wait_at", f.WaitAt); err != nil {
		return err
	}
	if len(f.Kinds) > maxRules {
		return bad("findings.kinds", "has %d kinds, the most is %d", len(f.Kinds), maxRules)
	}
	for _, kind := range slices.Sorted(maps.Keys(f.Kinds)) {
		key := "findings.kinds." + kind
		switch {
		case slices.Contains(alwaysShut, kind):
			return bad("findings.kinds", "%s always shuts; an exception can accept a single finding (sallyport exception add)", kind)
		case !codePattern().MatchString(kind):
			return bad("findings.kinds", "%q is no kind of finding", clip(kind))
		}
		if err := check(key+".shut_at", f.Kinds[kind].ShutAt); err != nil {
			return err
		}
		if err := check(key+".wait_at", f.Kinds[kind].WaitAt); err != nil {
			return err
		}
	}
	return nil
}

// MaxDaysAhead is how far ahead, from when a root is made over it, a rule's day may lie. What is to
// warn for longer is a mode, and says so.
const MaxDaysAhead = 366

// CheckDays returns an error if the day of a rule lies further ahead of now than [MaxDaysAhead].
func (c Config) CheckDays(now time.Time) error {
	last := now.UTC().AddDate(0, 0, MaxDaysAhead).Format(time.DateOnly)
	for _, code := range slices.Sorted(maps.Keys(c.Rules)) {
		if day := c.Rules[code].EffectiveOn; day > last {
			return bad("rules."+code+".effective_on", "%s is more than %d days ahead; what is to warn for longer is mode: warn", day, MaxDaysAhead)
		}
	}
	return nil
}

// teamAdvice is Advice about what teams choose.
func (c Config) teamAdvice(now time.Time) []string {
	var out []string
	today := now.UTC().Format(time.DateOnly)
	for _, code := range slices.Sorted(maps.Keys(c.Rules)) {
		switch r := c.Rules[code]; {
		case r.Mode == sallyport.Observe || r.Mode == sallyport.Warn:
			out = append(out, "rules."+code+" is "+string(r.Mode)+": a refusal by it alone does not fail the caller")
		case today < r.EffectiveOn:
			out = append(out, "rules."+code+" is enforced from "+r.EffectiveOn+" only: until then a refusal by it alone does not fail the caller")
		}
	}
	if c.Findings.ShutAt == "critical" || c.Findings.ShutAt == "none" {
		out = append(out, "findings.shut_at is "+c.Findings.ShutAt+": findings of high severity pass")
	}
	return out
}
