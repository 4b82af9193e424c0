package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/identity/codeowners"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/policy/exception"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// policyData turns the configuration into the policy's settings: what it states, else what its
// level does, else the baseline's.
func policyData(c config.Config) policy.Data {
	d := policy.Data{
		ProtectedClasses: c.Data.ProtectedClasses, Unattributed: c.Data.Unattributed,
		PersonGrades: c.Data.PersonGrades, RunGrades: c.Data.RunGrades, ApprovalGrades: c.Data.ApprovalGrades,
		Dependencies: policy.Dependencies{Registries: c.Data.Dependencies.Registries},
		Codeowners:   c.Codeowners, Disclosure: c.Disclosure,
	}
	for _, r := range c.Data.RequiredReports {
		d.RequiredReports = append(d.RequiredReports, policy.RequiredReport(r))
	}
	for code, r := range c.Rules {
		if releaseCode(code) {
			continue // of the release gate, which is asked with modes of its own
		}
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

// ModeOf says in words how a rule acts where it has a mode or a day of its own, and nothing else.
func (v PolicyView) ModeOf(r policy.Rule) string {
	m, stated := v.Settings.Modes[r.Code]
	if !stated {
		m.EffectiveOn = r.EffectiveOn
	}
	switch {
	case m.EffectiveOn != "":
		return "enforced from " + m.EffectiveOn + ", and warns until then"
	case m.Mode != "":
		return "mode " + string(m.Mode) + ", whatever the repository's is"
	}
	return ""
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

// excepter is merge.Excepter under what governs the workspace.
type excepter struct{ w *workspace }

func (e excepter) Except(evidence []sallyport.Evidence, targetRef string, findings []sallyport.Finding, ineligible map[string]string, at time.Time) ([]sallyport.Exception, []sallyport.Finding) {
	findings = e.w.triaged(evidence, findings, ineligible, at)
	found := exception.Judge(evidence, e.w.exceptionContext(targetRef, ineligible, at))
	return found, exception.Accept(findings, found, sallyport.GitCommit(e.w.target.Head))
}

func (w *workspace) exceptionContext(targetRef string, ineligible map[string]string, at time.Time) exception.Context {
	c := exception.Context{
		Repository: w.repository(), TargetRef: targetRef, Now: at, MaxLife: w.data.Exceptions.MaxLife(),
		Eligible:   func(person string) bool { return w.roster.HasRole(person, identity.RoleSecurity) },
		Ineligible: ineligible, Stands: w.stands,
	}
	if r := w.data.Exceptions; r != nil {
		c.Never = slices.Clone(r.Never)
	}
	// Of the release gate, what is found in a release may be excepted, and nothing else.
	for _, code := range releaseCodes() {
		if !exception.OfRelease(code) {
			c.Never = append(c.Never, code)
		}
	}
	return c
}

// team is merge.Team: thresholds and owners by the configuration and the target's CODEOWNERS.
type team struct {
	thresholds []threshold
	roster     *identity.Roster
	forge      string // whose logins the owners are; empty if nothing tells
	// exact is the file as it stands; folded has the patterns that fit folded paths, since a
	// file system may take a path for one that differs in its spelling.
	exact, folded *codeowners.File
}

type threshold struct {
	policy.Threshold
	paths, folded []glob.Glob
}

// team reads what the gate has to know of who must be asked.
func (w *workspace) team(ctx context.Context) (*team, error) {
	t := &team{roster: w.roster}
	for _, d := range w.data.Thresholds {
		th := threshold{Threshold: d}
		for _, p := range d.Paths {
			exact, err := glob.Parse(p)
			if err != nil {
				return nil, fmt.Errorf("approvals: %w", err)
			}
			folded, err := glob.Parse(scan.FoldPattern(p))
			if err != nil {
				return nil, fmt.Errorf("approvals: %w", err)
			}
			th.paths, th.folded = append(th.paths, exact), append(th.folded, folded)
		}
		t.thresholds = append(t.thresholds, th)
	}
	if w.data.Codeowners == policy.OwnersOff {
		return t, nil
	}
	return t, w.readOwners(ctx, t)
}

// readOwners reads CODEOWNERS from the target's side. One that cannot be read is an error: nobody
// knows who had to be asked.
func (w *workspace) readOwners(ctx context.Context, t *team) error {
	at := orDefault(w.policyAt, w.target.Base)
	if at == "" {
		return nil // a first ref: nobody owns anything yet
	}
	for _, path := range codeowners.Paths() {
		e, err := w.repo.Entry(ctx, at, path)
		if errors.Is(err, git.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if e.Mode != "100644" && e.Mode != "100755" {
			return withHint(fmt.Errorf("%s at %s is no regular file (mode %s)", path, shortID(at), e.Mode), ownersHint)
		}
		b, err := w.repo.Blob(ctx, e.OID, codeowners.MaxSize)
		if err != nil {
			return withHint(fmt.Errorf("read %s at %s: %w", path, shortID(at), err), ownersHint)
		}
		d := codeowners.Detect(path, b)
		switch {
		case d == codeowners.GitLab:
			t.forge = "gitlab"
		case strings.HasPrefix(path, ".github/"):
			t.forge = "github"
		}
		if t.exact, err = codeowners.Parse(b, d); err == nil {
			t.folded, err = codeowners.Parse([]byte(scan.FoldPattern(string(b))), d)
		}
		if err != nil {
			return withHint(fmt.Errorf("%s at %s: %w", path, shortID(at), err), ownersHint)
		}
		if n := len(t.exact.Skipped); n > 0 {
			w.advice = append(w.advice, fmt.Sprintf("%s: line %d is no rule and was skipped (%d such lines)", path, t.exact.Skipped[0], n))
		}
		return nil
	}
	w.advice = append(w.advice, "codeowners is required, and the target has no CODEOWNERS file: no owner is asked")
	return nil
}

const ownersHint = "mend it on the target branch, or set codeowners: off; until then nothing opens"

func (t *team) Owners(f *sallyport.File, approvers []string) (owners []string, approved bool, unknown []string) {
	if t.exact == nil {
		return nil, false, nil
	}
	approved = true
	seen, strange := map[string]bool{}, map[string]bool{}
	for _, g := range t.groups(f) {
		enough, strangers := t.asked(g, approvers)
		approved = approved && enough
		for _, o := range g.Owners {
			if key := strings.ToLower(o); !seen[key] {
				seen[key] = true
				owners = append(owners, o)
			}
		}
		for _, o := range strangers {
			if key := strings.ToLower(o); !strange[key] {
				strange[key] = true
				unknown = append(unknown, o)
			}
		}
	}
	return owners, approved, unknown
}

// groups are the owners of both names of a file, in any spelling, and of what is in a folder that
// a link or submodule could stand for.
func (t *team) groups(f *sallyport.File) []codeowners.Group {
	var out []codeowners.Group
	for _, p := range []sallyport.Path{f.Path, f.OldPath} {
		if p == "" {
			continue
		}
		exact, folded := string(p), scan.Fold(string(p))
		out = append(append(out, t.exact.Owners(exact)...), t.folded.Owners(folded)...)
		if isLink(f) {
			out = append(append(out, t.exact.Owners(exact+"/x")...), t.folded.Owners(folded+"/x")...)
		}
	}
	return out
}

// isLink reports whether the file is, or was, a symbolic link or a submodule.
func isLink(f *sallyport.File) bool {
	for _, mode := range []string{f.OldMode, f.NewMode} {
		if mode == "120000" || mode == "160000" {
			return true
		}
	}
	return false
}

// asked reports whether enough of a group are among the approvers, and whom of it nobody knows.
func (t *team) asked(g codeowners.Group, approvers []string) (enough bool, unknown []string) {
	persons := map[string]bool{}
	for _, o := range g.Owners {
		ids := t.roster.Owners(t.forge, o)
		if len(ids) == 0 {
			unknown = append(unknown, o)
		}
		for _, id := range ids {
			persons[id] = true
		}
	}
	n := 0
	for _, id := range approvers {
		if persons[id] {
			n++
		}
	}
	return n >= g.Required && g.Required > 0, unknown
}

func (t *team) Thresholds(c *sallyport.Change, findings []sallyport.Finding) []sallyport.ThresholdInput {
	var out []sallyport.ThresholdInput
	for _, th := range t.thresholds {
		in := sallyport.ThresholdInput{Required: th.Required, Roles: append([]string{}, th.Roles...), Paths: []sallyport.Path{}, Why: th.why()}
		applies := th.touched
		if th.Severity != "" {
			applies = func(in *sallyport.ThresholdInput, _ *sallyport.Change) bool { return th.grave(in, findings) }
		}
		if applies(&in, c) {
			slices.Sort(in.Paths)
			in.Paths = slices.Compact(in.Paths)
			out = append(out, in)
		}
	}
	return out
}

func (th threshold) why() string {
	var parts []string
	if len(th.Classes) > 0 {
		parts = append(parts, "files of the classes "+strings.Join(th.Classes, ", "))
	}
	if len(th.Paths) > 0 {
		parts = append(parts, "paths "+strings.Join(th.Paths, ", "))
	}
	if th.Severity != "" {
		parts = append(parts, "findings of severity "+string(th.Severity)+" or graver")
	}
	return "the change touches " + strings.Join(parts, " in ")
}

// matches reports whether a path is one of th's, or could be taken for one. Of a link, so does what
// it could stand for.
func (th threshold) matches(p sallyport.Path, link bool) bool {
	if len(th.paths) == 0 {
		return true
	}
	if p == "" {
		return false
	}
	fits := func(path string) func(glob.Glob) bool {
		return func(g glob.Glob) bool { return g.Match(path) || link && g.Below(path) }
	}
	return slices.ContainsFunc(th.paths, fits(string(p))) || slices.ContainsFunc(th.folded, fits(scan.Fold(string(p))))
}

// touched reports whether the change touches what th is about, and notes where.
func (th threshold) touched(in *sallyport.ThresholdInput, c *sallyport.Change) bool {
	for i := range c.Files {
		f := &c.Files[i]
		if len(th.Classes) > 0 && !slices.ContainsFunc(f.Classes, func(c string) bool { return slices.Contains(th.Classes, c) }) {
			continue
		}
		if link := isLink(f); !th.matches(f.Path, link) && !th.matches(f.OldPath, link) {
			continue
		}
		if in.Place == "" {
			in.Place = f.Path.String()
		}
		in.Paths = append(in.Paths, f.Path)
		if f.OldPath != "" {
			in.Paths = append(in.Paths, f.OldPath)
		}
	}
	return len(in.Paths) > 0
}

// grave reports whether there is a finding that th is about, and notes where. A severity that is
// not known is graver than all.
func (th threshold) grave(in *sallyport.ThresholdInput, findings []sallyport.Finding) bool {
	applies, placed := false, true
	for _, f := range findings {
		rank := f.Severity.Rank()
		if f.State == sallyport.FindingFixed || f.State == sallyport.FindingNotAffected || rank != 0 && rank < th.Severity.Rank() {
			continue
		}
		if f.Path != "" && !th.matches(f.Path, false) {
			continue
		}
		applies = true
		if f.Path == "" {
			placed = false
			continue
		}
		if in.Place == "" {
			in.Place = f.Path.String()
		}
		in.Paths = append(in.Paths, f.Path)
	}
	if !placed {
		in.Paths = []sallyport.Path{} // it is about more than paths can say
	}
	return applies
}
