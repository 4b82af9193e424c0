package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/scan"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A FindingView is a finding as the merge gate sees it, after triage and exceptions.
type FindingView struct {
	sallyport.Finding
	Code       string   `json:"code"` // the reason code that tells of it
	Package    string   `json:"package,omitempty"`
	Advisories []string `json:"advisories,omitempty"` // all ids of the advisory

	malicious bool
	fixed     []string
}

// A FindingList is what scans found in a change.
type FindingList struct {
	TargetRef string           `json:"target_ref"`
	Base      sallyport.Digest `json:"base,omitempty"`
	Head      sallyport.Digest `json:"head"`
	Open      int              `json:"open"`
	Database  sallyport.Digest `json:"database,omitempty"` // of the advisories that were looked in
	Findings  []FindingView    `json:"findings"`           // the open ones first, then by severity, place and id
	Note      string           `json:"note,omitempty"`

	time   time.Time
	oldest time.Time         // how old the advisories are
	looked bool              // packages were looked up
	titles map[string]string // of rules, by code
}

// findings rehearses the merge gate, so that what is listed is what it would judge.
func (a *App) findings(ctx context.Context, o Options) (_ *rehearsal, _ *FindingList, err error) {
	r, err := a.rehearse(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	c := &r.Examined.Change
	l := &FindingList{TargetRef: r.target.Ref, Base: c.Base, Head: c.Head, Findings: []FindingView{}, Note: r.target.Note, time: a.now().UTC()}
	about := map[string]scan.AdviceAbout{}
	if r.known != nil {
		about = r.known.About
		if r.known.DB != nil {
			meta := r.known.DB.Meta()
			l.Database, l.looked = meta.Digest, true
			for i, e := range meta.Ecosystems {
				if i == 0 || e.AsOf.Before(l.oldest) {
					l.oldest = e.AsOf
				}
			}
		}
	}
	l.titles = map[string]string{}
	for _, s := range r.sets {
		rules, err := policy.Rules(s)
		if err != nil {
			return nil, nil, errors.Join(err, r.Close())
		}
		for _, rule := range rules {
			l.titles[rule.Code] = rule.Title
		}
	}
	for _, f := range r.Input.Findings {
		f.State = orDefault(f.State, sallyport.FindingOpen)
		v := FindingView{Finding: f, Code: f.Kind.Code()}
		if b, ok := about[f.ID]; ok {
			v.Package, v.Advisories, v.malicious, v.fixed = b.Purl, b.IDs, b.Malicious, b.Fixed
		}
		if f.State == sallyport.FindingOpen {
			l.Open++
		}
		l.Findings = append(l.Findings, v)
	}
	slices.SortStableFunc(l.Findings, func(x, y FindingView) int {
		if a, b := x.State == sallyport.FindingOpen, y.State == sallyport.FindingOpen; a != b {
			if a {
				return -1
			}
			return 1
		}
		if d := y.Severity.Rank() - x.Severity.Rank(); d != 0 {
			return d
		}
		if d := strings.Compare(string(x.Path), string(y.Path)); d != 0 {
			return d
		}
		return strings.Compare(x.ID, y.ID)
	})
	return r, l, nil
}

// FindingList lists what scans found in the change that o is about, as the merge gate would see it now. Nothing is decided
// or recorded.
func (a *App) FindingList(ctx context.Context, o Options) (_ *FindingList, err error) {
	r, l, err := a.findings(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, r.Close)
	return l, nil
}

// find returns the one finding whose id begins with id.
func (l *FindingList) find(id string) (FindingView, error) {
	var found []FindingView
	for _, f := range l.Findings {
		if len(id) >= 8 && strings.HasPrefix(f.ID, id) {
			found = append(found, f)
		}
	}
	switch {
	case len(id) < 8:
		return FindingView{}, withHint(usagef("%.40q is no id of a finding: it takes eight characters of one at least", id), "sallyport finding list prints them")
	case len(found) == 0:
		return FindingView{}, withHint(fmt.Errorf("the change has no finding %.64q", id), "sallyport finding list names them, with the same --target and --head")
	}
	for _, f := range found[1:] {
		if f.ID != found[0].ID {
			return FindingView{}, fmt.Errorf("several findings begin with %q", id)
		}
	}
	return found[0], nil // in several commits, perhaps
}

// FindingAcceptOptions say until when, why, and by whose key.
type FindingAcceptOptions struct {
	Until  time.Time
	Reason string
	Ticket string
	Key    string // empty: nothing is signed, and the answer says who could
}

// A FindingAccepted is an exception for one finding, or what it would take.
type FindingAccepted struct {
	Finding   FindingView              `json:"finding"`
	Refs      []string                 `json:"refs"`
	Scope     predicate.ExceptionScope `json:"scope"`
	Until     string                   `json:"until"`
	Roles     []string                 `json:"roles"`     // who signs needs all of them
	Signers   []string                 `json:"signers"`   // the persons who have them, and had no part in the change
	Exception *ExceptionView           `json:"exception"` // null if nothing was signed
	Note      string                   `json:"note,omitempty"`
}

// FindingAccept signs an exception for exactly one finding of the change that o is about: for its code, its id, its rule and its
// path, on the way to the target. The id stands for the kind, the rule, the path and what was found, and so for one version of a
// package. Policy's own bounds hold, as for [App.AddException].
func (a *App) FindingAccept(ctx context.Context, o Options, id string, fo FindingAcceptOptions) (_ *FindingAccepted, err error) {
	r, l, err := a.findings(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, r.Close)
	f, err := l.find(id)
	if err != nil {
		return nil, err
	}
	switch f.State {
	case sallyport.FindingFixed, sallyport.FindingNotAffected:
		return nil, fmt.Errorf("the finding %s is %s already: there is nothing to accept", f.ID, f.State)
	}
	if err := r.exceptable([]string{f.Code}); err != nil {
		return nil, err
	}
	scope, err := scopeOf(f)
	if err != nil {
		return nil, err
	}
	res := &FindingAccepted{
		Finding: f, Refs: []string{r.target.Ref}, Scope: scope, Until: predicate.FormatTime(fo.Until),
		Roles: []string{string(identity.RoleSecurity)}, Signers: []string{},
	}
	for _, p := range r.roster.Persons {
		if r.roster.HasRole(p.ID, identity.RoleSecurity) && r.Examined.Ineligible[p.ID] == "" {
			res.Signers = append(res.Signers, p.ID)
		}
	}
	slices.Sort(res.Signers)
	if f.Kind == sallyport.FindingSecret {
		res.Note = "the id leaves the secret out: another secret of this kind in the same place is accepted as well"
	}
	if fo.Key == "" {
		return res, nil
	}
	key, _, err := r.openReviewer(ctx, fo.Key)
	if err != nil {
		return nil, err
	}
	if g := r.gradeOf(key); g != sallyport.Present && g != sallyport.Attested {
		return nil, withHint(fmt.Errorf("this key signs at grade %s, and an exception takes a touched, enrolled security key", orDefault(string(g), "none")),
			"it can be signed by: "+orDefault(strings.Join(res.Signers, ", "), "nobody in the roster"))
	}
	v, err := r.grant(ctx, ExceptionOptions{
		Refs: res.Refs, Codes: []string{f.Code}, Scope: scope, Justification: fo.Reason, Ticket: fo.Ticket, Expires: fo.Until,
	}, fo.Key, r.Examined.Ineligible)
	if err != nil {
		return nil, err
	}
	res.Exception = &v
	if !v.Counts {
		return res, errors.New("the exception was signed and does nothing: " + v.Why)
	}
	return res, nil
}

// scopeOf is the narrowest scope that covers a finding.
func scopeOf(f FindingView) (predicate.ExceptionScope, error) {
	s := predicate.ExceptionScope{Findings: []string{f.ID}}
	if f.Rule != "" {
		s.Rules = []string{f.Rule}
	}
	if f.Path != "" {
		// A path is not a pattern. What a pattern cannot hold stands for one character each: the id, which has the
		// path in it, leaves only this one.
		pattern := strings.Map(func(r rune) rune {
			if strings.ContainsRune(`[]{}\!`, r) {
				return '?'
			}
			return r
		}, string(f.Path))
		g, err := glob.Parse(pattern)
		switch {
		case err == nil && g.Match(string(f.Path)):
			s.Paths = []string{pattern}
		case f.Kind == sallyport.FindingSecret:
			return s, fmt.Errorf("no pattern can name %s alone, and a secret is accepted by its path too", f.Path)
		}
	}
	return s, nil
}
