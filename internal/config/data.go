package config

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Classes are the classes of files that a policy can protect, as the scanner names them.
var classes = []string{"build", "deploy", "ci", "dependency", "lockfile", "agent-config", "policy", "binary", "generated"}

var grades = []sallyport.Grade{sallyport.Declared, sallyport.Observed, sallyport.Recomputed, sallyport.Present, sallyport.Attested}

// Overrides returns the fields that were set, under their keys in the policy's data: what was
// left out is absent, what was set to an empty list is an empty list.
func (d Data) Overrides() map[string]any {
	m := map[string]any{}
	if d.ProtectedClasses != nil {
		m["protected_classes"] = d.ProtectedClasses
	}
	if d.Unattributed != "" {
		m["unattributed"] = d.Unattributed
	}
	for key, list := range map[string][]sallyport.Grade{
		"person_grades": d.PersonGrades, "run_grades": d.RunGrades, "approval_grades": d.ApprovalGrades,
	} {
		if list != nil {
			m[key] = list
		}
	}
	if d.ApprovalsRequired != 0 {
		m["approvals_required"] = d.ApprovalsRequired
	}
	if d.RequiredReports != nil {
		m["required_reports"] = d.RequiredReports
	}
	d.Dependencies.override(m)
	return m
}

// maxReports bounds data.required_reports.
const maxReports = 64

func checkReports(rs []RequiredReport) error {
	if len(rs) > maxReports {
		return bad("data.required_reports", "names %d reports, the most is %d", len(rs), maxReports)
	}
	for i, r := range rs {
		switch {
		case r.Kind != "sarif" && r.Kind != "junit":
			return bad("data.required_reports", "%q is no kind of report; it is sarif or junit", clip(r.Kind))
		case len(r.Tool) > 128:
			return bad("data.required_reports", "a tool's name is longer than 128 bytes")
		case slices.Contains(rs[:i], r):
			return bad("data.required_reports", "%s %q stands twice", r.Kind, clip(r.Tool))
		}
	}
	return nil
}

func (d Data) validate(raw map[string]any) error {
	for i, c := range d.ProtectedClasses {
		if !slices.Contains(classes, c) {
			return bad("data.protected_classes", "%q is no class of files; the classes are %s", clip(c), strings.Join(classes, ", "))
		}
		if slices.Contains(d.ProtectedClasses[:i], c) {
			return bad("data.protected_classes", "%q stands twice", c)
		}
	}
	if err := checkReports(d.RequiredReports); err != nil {
		return err
	}
	given, _ := raw["data"].(map[string]any)
	switch d.Unattributed {
	case "agent", "vouchable":
	default:
		if _, ok := given["unattributed"]; ok {
			return bad("data.unattributed", "%q is unknown; it is agent or vouchable", clip(d.Unattributed))
		}
	}
	for _, g := range []struct {
		key  string
		list []sallyport.Grade
	}{
		{"data.person_grades", d.PersonGrades}, {"data.run_grades", d.RunGrades}, {"data.approval_grades", d.ApprovalGrades},
	} {
		for i, v := range g.list {
			if !slices.Contains(grades, v) {
				return bad(g.key, "%q is no grade; the grades are declared, observed, recomputed, present and attested", clip(string(v)))
			}
			if slices.Contains(g.list[:i], v) {
				return bad(g.key, "%q stands twice", v)
			}
		}
	}
	if _, ok := given["approvals_required"]; ok && (d.ApprovalsRequired < 1 || d.ApprovalsRequired > 16) {
		return bad("data.approvals_required", "%d is not between 1 and 16", d.ApprovalsRequired)
	}
	return d.Dependencies.validate()
}

func (l Log) validate() error {
	if l.Local() {
		return nil
	}
	if l.Origin == "" || l.Key == "" {
		return bad("log", "origin and key belong together, and one of them is missing")
	}
	if len(l.Origin) > 256 || strings.ContainsAny(l.Origin, "+ \t\r\n") {
		return bad("log.origin", "%q is not a log's origin: it has no space and no plus", clip(l.Origin))
	}
	name, rest, _ := strings.Cut(l.Key, "+")
	hash, key, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(key)
	if len(l.Key) > 4096 || len(hash) != 8 || err != nil || len(raw) < 2 {
		return bad("log.key", "is not a verifier key, origin+hash+base64, as `sallyport log init` prints it")
	}
	if name != l.Origin {
		return bad("log.key", "is the key of %q, and the origin is %q", clip(name), l.Origin)
	}
	return l.validateRemote()
}

func (l Log) validateRemote() error {
	if l.CheckpointMaxAge != "" {
		if l.URL == "" {
			return bad("log.checkpoint_max_age", "says how old a checkpoint at log.url may be, which is missing")
		}
		d, err := time.ParseDuration(l.CheckpointMaxAge)
		if err != nil || d < time.Minute || d > 8784*time.Hour {
			return bad("log.checkpoint_max_age", "%q is not a time from 1m to 8784h", clip(l.CheckpointMaxAge))
		}
	}
	if l.URL == "" {
		return nil
	}
	u, err := url.Parse(l.URL)
	local := err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost")
	switch {
	case err != nil || len(l.URL) > 2048 || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return bad("log.url", "%q is not an address without user, query and fragment", clip(l.URL))
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && local:
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
	default:
		return bad("log.url", "%q is neither https://…, file:///… nor http on this machine", clip(l.URL))
	}
	return nil
}

// Advice returns one sentence for each choice that weakens a gate and is allowed all the same.
// It never changes what the configuration means. The time is that of the enforcement point, by which
// rules have come into force or have not.
func (c Config) Advice(now time.Time) []string {
	var out []string
	if !c.Mode.Enforces() {
		out = append(out, "mode is "+string(c.Mode)+": a refusal does not fail the caller")
	}
	if slices.Contains(c.Data.PersonGrades, sallyport.Declared) {
		out = append(out, "data.person_grades accepts declared: an agent has its operator's ordinary key as well")
	}
	if slices.Contains(c.Data.RunGrades, sallyport.Declared) {
		out = append(out, "data.run_grades accepts declared: an agent can write such evidence about itself")
	}
	if slices.Contains(c.Data.ApprovalGrades, sallyport.Declared) {
		out = append(out, "data.approval_grades accepts declared: an ordinary key approves without anyone's touch")
	}
	if c.Policy.Sets != nil && !slices.Contains(c.Policy.Sets, Baseline) {
		out = append(out, "policy.sets leaves the baseline out")
	}
	return append(out, c.teamAdvice(now)...)
}
