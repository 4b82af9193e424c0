package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

const teamYAML = `level: strict
rules:
  attestation-missing: {effective_on: 2027-01-31}
  secret: {mode: enforce}
  finding: {mode: warn}
approvals:
  - {paths: ["billing/**", "*.tf"], required: 2, roles: [security]}
  - {classes: [deploy], paths: ["prod/**"], required: 3}
  - {severity: high, required: 2}
findings:
  shut_at: high
  wait_at: medium
  kinds:
    workflow: {shut_at: critical, wait_at: low}
codeowners: required
disclosure: forbidden
exceptions: {max_days: 30}
`

func TestTeam(t *testing.T) {
	c, err := Parse([]byte(head + teamYAML))
	if err != nil {
		t.Fatal(err)
	}
	if c.Level != LevelStrict || c.Mode != sallyport.Enforce || c.Rules["attestation-missing"].EffectiveOn != "2027-01-31" || c.Rules["finding"].Mode != sallyport.Warn ||
		len(c.Approvals) != 3 || c.Approvals[0].Roles[0] != "security" || c.Findings.Kinds["workflow"].WaitAt != "low" ||
		c.Codeowners != "required" || c.Disclosure != "forbidden" || c.Exceptions.MaxDays != 30 {
		t.Errorf("%+v", c)
	}
	day := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC) // of attestation-missing
	if got := c.Advice(day); len(got) != 1 || !strings.Contains(got[0], "rules.finding") {
		t.Errorf("advice %q", got)
	}
	if got := c.Advice(day.Add(-time.Second)); len(got) != 2 || !strings.Contains(got[0], "rules.attestation-missing is enforced from 2027-01-31 only") {
		t.Errorf("the day before: advice %q", got)
	}
	if got := c.Advice(day.In(time.FixedZone("west", -3600))); len(got) != 1 {
		t.Errorf("the same moment elsewhere: advice %q", got)
	}
	if err := c.CheckDays(day.AddDate(0, 0, -MaxDaysAhead)); err != nil {
		t.Errorf("a day as far ahead as may be: %v", err)
	}
	if err := c.CheckDays(day.AddDate(0, 0, -MaxDaysAhead-1)); err == nil || !strings.Contains(err.Error(), "more than 366 days ahead") {
		t.Errorf("a day further ahead: %v", err)
	}
	if err := c.CheckDays(day.AddDate(100, 0, 0)); err != nil {
		t.Errorf("a day that is past: %v", err)
	}
	if c, err = Parse([]byte(head + "level: observe\n")); err != nil || c.Mode != sallyport.Observe {
		t.Errorf("level observe: mode %q, %v", c.Mode, err)
	}
	if c, err = Parse([]byte(head + "level: observe\nmode: warn\n")); err != nil || c.Mode != sallyport.Warn {
		t.Errorf("level observe, mode warn: mode %q, %v", c.Mode, err)
	}
}

func TestTeamThatFails(t *testing.T) {
	for in, want := range map[string]string{
		"level: lax":                                                          "line 3: level: \"lax\" is unknown",
		"level: \"\"":                                                         "level: \"\" is unknown",
		"level: observe\nmode: enforce":                                       "mode: is enforce, and level: observe",
		"rules: {Secret: {mode: warn}}":                                       "is no reason code",
		"rules: {secret: {mode: warned}}":                                     "rules.secret.mode: \"warned\"",
		"rules: {secret: {}}":                                                 "rules.secret: says nothing",
		"rules: {secret: {effective_on: soon}}":                               "is no day",
		"rules: {secret: {effective_on: 2027-02-30}}":                         "is no day",
		"rules: {secret: {mode: observe, effective_on: 2027-01-01}}":          "its mode is observe",
		"rules: {secret: {until: 2027-01-01}}":                                "unknown field",
		"rules:\n  secret:":                                                   "has no value",
		"approvals: [{required: 2}]":                                          "names no classes, paths or severity",
		"approvals: [{paths: [a]}]":                                           "required is 0",
		"approvals: [{paths: [a], required: 17}]":                             "required is 17",
		"approvals: [{paths: ['[a]'], required: 1}]":                          "only *, ** and ? are special",
		"approvals: [{classes: [prod], required: 1}]":                         "is no class",
		"approvals: [{severity: none, required: 1}]":                          "is no severity",
		"approvals: [{severity: high, classes: [ci], required: 1}]":           "make it two",
		"approvals: [{paths: [a], required: 1, roles: [boss]}]":               "is no role",
		"approvals: [{paths: [a], required: 1, roles: [security, security]}]": "stands twice",
		"findings: {shut_at: grave}":                                          "is no severity",
		"findings: {kinds: {secret: {shut_at: none}}}":                        "secret always shuts",
		"findings: {kinds: {workflow: {wait_at: x}}}":                         "is no severity",
		"codeowners: yes":                                                     "codeowners",
		"codeowners: \"\"":                                                    "codeowners: \"\" is unknown",
		"disclosure: never":                                                   "disclosure: \"never\" is unknown",
		"exceptions: {max_days: 0}":                                           "not between 1 and 180",
		"exceptions: {max_days: 181}":                                         "not between 1 and 180",
		"exceptions: {days: 1}":                                               "unknown field",
	} {
		_, err := Parse([]byte(head + in + "\n"))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error that says %s", in, err, want)
		}
	}
}
