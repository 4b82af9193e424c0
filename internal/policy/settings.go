package policy

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/policy/exception"
	shipped "github.com/sallyport-dev/sallyport/policy"
)

// A RuleMode says what the reasons of one code do to the caller. It never changes what is
// recorded.
type RuleMode struct {
	// Mode is that of the code; empty leaves it to the repository.
	Mode sallyport.Mode `json:"mode,omitempty"`
	// EffectiveOn is the day, 2006-01-02 in UTC, from which it is enforced. Before it, it warns.
	EffectiveOn string `json:"effective_on,omitempty"`
}

// A Threshold asks for approvals by so many different persons where a change touches what it
// names. Of Classes and Paths a file must meet both, if both are there.
type Threshold struct {
	Classes  []string           `json:"classes,omitempty"`
	Paths    []string           `json:"paths,omitempty"`
	Severity sallyport.Severity `json:"severity,omitempty"` // of a finding that is open or accepted
	Required int                `json:"required"`
	Roles    []string           `json:"roles,omitempty"` // one of which each approver must have
}

// Limits says from which severity an open finding shuts, and from which it waits. "none" never
// does.
type Limits struct {
	ShutAt string `json:"shut_at,omitempty"`
	WaitAt string `json:"wait_at,omitempty"`
}

// FindingLimits are the limits, and those of single kinds of finding.
type FindingLimits struct {
	Limits
	Kinds map[string]Limits `json:"kinds,omitempty"`
}

// ExceptionRules bound exceptions.
type ExceptionRules struct {
	MaxDays int      `json:"max_days,omitempty"` // 1 to 180
	Never   []string `json:"never,omitempty"`    // codes that may not be excepted or softened; "*" ends a prefix
	Modes   []string `json:"modes,omitempty"`    // those of Never that may be softened all the same
}

// MaxLife is the longest that an exception may last; zero leaves it to the predicate.
func (r *ExceptionRules) MaxLife() time.Duration {
	if r == nil {
		return 0
	}
	return time.Duration(r.MaxDays) * 24 * time.Hour
}

// The values of [Data].Codeowners and [Data].Disclosure.
const (
	OwnersOff      = "off"
	OwnersRequired = "required"

	DisclosureAllowed   = "allowed"
	DisclosureRequired  = "required"
	DisclosureForbidden = "forbidden"
)

// A Level is a named choice of settings. What a repository states itself goes before it.
type Level struct {
	Title             string         `json:"title"`
	Mode              sallyport.Mode `json:"mode,omitempty"` // observe, or nothing
	ApprovalsRequired int            `json:"approvals_required,omitempty"`
	Data              Data           `json:"data"`
}

// levels reads the levels that the baseline ships.
var levels = sync.OnceValue(func() map[string]Level {
	var d struct {
		Levels map[string]Level `json:"levels"`
	}
	b, err := fs.ReadFile(shipped.Baseline(), dataJSON)
	if err == nil {
		err = strict.LaxJSON(b, maxSetBytes, &d)
	}
	if err != nil {
		return nil // a test keeps this from happening; no name is then a level
	}
	return d.Levels
})

// FindLevel returns the level with this name: observe, baseline or strict.
func FindLevel(name string) (Level, bool) {
	l, ok := levels()[name]
	return l, ok
}

// Over returns d with the settings of below in place of those that it leaves open.
func (d Data) Over(below Data) Data {
	if d.ProtectedClasses == nil {
		d.ProtectedClasses = below.ProtectedClasses
	}
	if d.Unattributed == "" {
		d.Unattributed = below.Unattributed
	}
	if d.PersonGrades == nil {
		d.PersonGrades = below.PersonGrades
	}
	if d.RunGrades == nil {
		d.RunGrades = below.RunGrades
	}
	if d.ApprovalGrades == nil {
		d.ApprovalGrades = below.ApprovalGrades
	}
	if d.RequiredReports == nil {
		d.RequiredReports = below.RequiredReports
	}
	if d.Dependencies.Registries == nil {
		d.Dependencies = below.Dependencies
	}
	if d.Modes == nil {
		d.Modes = below.Modes
	}
	if d.Thresholds == nil {
		d.Thresholds = below.Thresholds
	}
	if d.Codeowners == "" {
		d.Codeowners = below.Codeowners
	}
	if d.Disclosure == "" {
		d.Disclosure = below.Disclosure
	}
	d.Findings = d.Findings.over(below.Findings)
	if r := below.Exceptions; r != nil {
		mine := ExceptionRules{}
		if d.Exceptions != nil {
			mine = *d.Exceptions
		}
		if mine.MaxDays == 0 {
			mine.MaxDays = r.MaxDays
		}
		if mine.Never == nil {
			mine.Never = r.Never
		}
		if mine.Modes == nil {
			mine.Modes = r.Modes
		}
		d.Exceptions = &mine
	}
	return d
}

func (f *FindingLimits) over(below *FindingLimits) *FindingLimits {
	if f == nil || below == nil {
		if f == nil {
			return below
		}
		return f
	}
	out := *f
	if out.ShutAt == "" {
		out.ShutAt = below.ShutAt
	}
	if out.WaitAt == "" {
		out.WaitAt = below.WaitAt
	}
	if out.Kinds == nil {
		out.Kinds = below.Kinds
	}
	return &out
}

// validateTeam checks what is not a list of grades or classes. Whether codes exist is for Compile,
// which has the rule tables.
func (d Data) validateTeam() error {
	for _, code := range slices.Sorted(maps.Keys(d.Modes)) {
		m := d.Modes[code]
		if err := m.validate(); err != nil {
			return fmt.Errorf("rules.%s: %w", code, err)
		}
		if r := d.Exceptions; r != nil && exception.Never(r.Never, code) && !exception.Never(r.Modes, code) && (m.EffectiveOn != "" || m.Mode != "" && !m.Mode.Enforces()) {
			return fmt.Errorf("rules.%s: this rule is always enforced with the repository; only its mode: enforce can be stated", code)
		}
	}
	for i, t := range d.Thresholds {
		if t.Required < 1 || t.Required > 16 {
			return fmt.Errorf("approvals[%d]: required is %d, want 1 to 16", i, t.Required)
		}
	}
	if d.Codeowners != "" && d.Codeowners != OwnersOff && d.Codeowners != OwnersRequired {
		return fmt.Errorf("codeowners is %q, want %q or %q", d.Codeowners, OwnersRequired, OwnersOff)
	}
	switch d.Disclosure {
	case "", DisclosureAllowed, DisclosureRequired, DisclosureForbidden:
	default:
		return fmt.Errorf("disclosure is %q, want required, forbidden or allowed", d.Disclosure)
	}
	if r := d.Exceptions; r != nil && (r.MaxDays < 0 || r.MaxDays > 180) {
		return fmt.Errorf("exceptions.max_days is %d, want 1 to 180", r.MaxDays)
	}
	if f := d.Findings; f != nil {
		if err := f.validate(); err != nil {
			return fmt.Errorf("findings: %w", err)
		}
		for _, kind := range slices.Sorted(maps.Keys(f.Kinds)) {
			if err := f.Kinds[kind].validate(); err != nil {
				return fmt.Errorf("findings.kinds.%s: %w", kind, err)
			}
		}
	}
	return nil
}

func (l Limits) validate() error {
	for _, s := range []string{l.ShutAt, l.WaitAt} {
		if s != "" && s != "none" && sallyport.Severity(s).Rank() == 0 {
			return fmt.Errorf("%q is no severity: low, medium, high, critical or none", s)
		}
	}
	return nil
}

func (m RuleMode) validate() error {
	switch m.Mode {
	case "", sallyport.Observe, sallyport.Warn, sallyport.Enforce:
	default:
		return fmt.Errorf("mode is %q, want observe, warn or enforce", m.Mode)
	}
	if m.EffectiveOn == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, m.EffectiveOn); err != nil {
		return fmt.Errorf("effective_on is %q, want a day such as 2027-01-31", m.EffectiveOn)
	}
	if m.Mode != "" && !m.Mode.Enforces() {
		return fmt.Errorf("effective_on says from when the rule is enforced, and mode is %s", m.Mode)
	}
	return nil
}

// teamSettings adds what d states to m, by the key that rules read it under.
func (d Data) teamSettings(m map[string]any) {
	if d.Codeowners != "" {
		m["codeowners"] = d.Codeowners
	}
	if d.Disclosure != "" {
		m["disclosure"] = d.Disclosure
	}
	if d.Findings != nil {
		m["findings"] = d.Findings
	}
}
