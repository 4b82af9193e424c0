package app

import (
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// policyData turns the configuration into the policy's settings: what it states, else what its
// level does, else the baseline's.
func policyData(c config.Config) policy.Data {
	d := policy.Data{
		ProtectedClasses: c.Data.ProtectedClasses, Unattributed: c.Data.Unattributed,
		PersonGrades: c.Data.PersonGrades, RunGrades: c.Data.RunGrades, ApprovalGrades: c.Data.ApprovalGrades,
		Codeowners: c.Codeowners, Disclosure: c.Disclosure,
	}
	for code, r := range c.Rules {
		if d.Modes == nil {
			d.Modes = map[string]policy.RuleMode{}
		}
		d.Modes[code] = policy.RuleMode{Mode: r.Mode, EffectiveOn: r.EffectiveOn}
	}
	for _, a := range c.Approvals {
		d.Thresholds = append(d.Thresholds, policy.Threshold{
			Classes: a.Classes, Paths: a.Paths, Severity: a.Severity, Required: a.Required, Roles: a.Roles,
		})
	}
	if f := c.Findings; f.ShutAt != "" || f.WaitAt != "" || f.Kinds != nil {
		d.Findings = &policy.FindingLimits{Limits: policy.Limits{ShutAt: f.ShutAt, WaitAt: f.WaitAt}}
		for kind, l := range f.Kinds {
			if d.Findings.Kinds == nil {
				d.Findings.Kinds = map[string]policy.Limits{}
			}
			d.Findings.Kinds[kind] = policy.Limits{ShutAt: l.ShutAt, WaitAt: l.WaitAt}
		}
	}
	if n := c.Exceptions.MaxDays; n != 0 {
		d.Exceptions = &policy.ExceptionRules{MaxDays: n}
	}
	level, _ := policy.FindLevel(orDefault(string(c.Level), string(config.LevelBaseline)))
	return d.Over(level.Data).WithDefaults()
}

// approvalsRequired is the least number of approvals that the configuration or its level asks
// for.
func approvalsRequired(c config.Config) int {
	if n := c.Data.ApprovalsRequired; n != 0 {
		return n
	}
	level, _ := policy.FindLevel(string(c.Level))
	return level.ApprovalsRequired
}
