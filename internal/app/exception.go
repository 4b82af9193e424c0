package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/policy/exception"
	"github.com/sallyport-dev/sallyport/predicate"
)

// ExceptionOptions say what to hold off.
type ExceptionOptions struct {
	Refs          []string // fully qualified or branch names; empty: the target
	Codes         []string
	Scope         predicate.ExceptionScope
	Justification string
	Ticket        string
	From          time.Time // zero: now
	Expires       time.Time
}

// ExceptionView is an exception as it stands for the target, by whom and until when.
type ExceptionView struct {
	sallyport.Exception
	Refs   []string `json:"refs"`
	Issued string   `json:"issued"`
	Source string   `json:"source"`
}

// AddException signs an exception, logs it and keeps it. What is known to do nothing is refused
// before anything is signed.
func (a *App) AddException(ctx context.Context, o Options, eo ExceptionOptions, keyRef string) (v ExceptionView, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) (err error) {
		v, err = w.grant(ctx, eo, keyRef, nil)
		return err
	})
	return v, err
}

// grant signs, logs and keeps an exception. Of the change at hand, if there is one, ineligible says who had a part
// in it.
func (w *workspace) grant(ctx context.Context, eo ExceptionOptions, keyRef string, ineligible map[string]string) (v ExceptionView, err error) {
	signer, who, err := w.openReviewer(ctx, keyRef)
	if err != nil {
		return v, err
	}
	p := predicate.Exception{
		Action: predicate.ExceptionGrant, Who: who, Repository: w.repository(), Codes: eo.Codes, Scope: &eo.Scope,
		Justification: eo.Justification, Ticket: eo.Ticket, ExpiresAt: predicate.FormatTime(eo.Expires),
	}
	for _, ref := range eo.Refs {
		p.TargetRefs = append(p.TargetRefs, qualify(ref))
	}
	if len(p.TargetRefs) == 0 {
		p.TargetRefs = []string{w.target.Ref}
	}
	if !eo.From.IsZero() {
		p.NotBefore = predicate.FormatTime(eo.From)
	}
	if err := w.exceptable(p.Codes); err != nil {
		return v, err
	}
	now := w.app.now()
	st, err := exception.NewStatement(p, now, Version())
	if err != nil {
		return v, err
	}
	if err := exception.CheckScope(p.Codes, p.Scope); err != nil {
		return v, err
	}
	// The key's grade is not known before it signs; all else is, and shows here.
	c := w.exceptionContext(p.TargetRefs[0], ineligible, now)
	if max := c.MaxLife; max > 0 && eo.Expires.Sub(orNow(eo.From, now)) > max {
		return v, fmt.Errorf("an exception may last %d days here (exceptions.max_days)", max/(24*time.Hour))
	}
	if !c.Eligible(who) {
		return v, withHint(fmt.Errorf("%s does not have the role security in the roster that is in force", who),
			"a person with the role root adds it to "+rosterPath+" on the target branch")
	}
	if part, took := ineligible[who]; took {
		return v, fmt.Errorf("%s had a part in the change (%s), and nobody excepts their own", who, part)
	}
	_, ev, err := w.sign(ctx, st, signer, who)
	if err != nil {
		return v, err
	}
	return viewOf(exception.Judge([]sallyport.Evidence{ev}, c)[0], ev), nil
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
}

// exceptable refuses codes that no rule gives, and those that may never be excepted.
func (w *workspace) exceptable(codes []string) error {
	known := slices.Clone(releaseCodes())
	for _, s := range w.sets {
		rules, err := policy.Rules(s)
		if err != nil {
			return err
		}
		for _, r := range rules {
			known = append(known, r.Code)
		}
	}
	for _, code := range codes {
		if exception.Never(w.exceptionContext("", nil, w.app.now()).Never, code) {
			return fmt.Errorf("%s may never be excepted", code)
		}
		if !slices.Contains(known, code) {
			return withHint(fmt.Errorf("no rule in force has the code %q", code), "sallyport policy show lists them")
		}
	}
	return nil
}

func viewOf(x sallyport.Exception, ev sallyport.Evidence) ExceptionView {
	v := ExceptionView{Exception: x, Source: ev.Source, Refs: []string{}}
	if p, err := predicate.DecodeException(ev.Statement.Predicate); err == nil {
		v.Refs, v.Issued = p.TargetRefs, p.IssuedAt
	}
	return v
}

// ListExceptions judges every exception that is kept here, for the target and for a change that
// nobody with a role in it had a part in.
func (a *App) ListExceptions(ctx context.Context, o Options) (list []ExceptionView, err error) {
	list = []ExceptionView{}
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		evidence, err := w.verifiedAbout(ctx, []sallyport.Digest{sallyport.Digest(predicate.ExceptionSubject(w.repository()))})
		if err != nil {
			return err
		}
		by := map[sallyport.Digest]sallyport.Evidence{}
		for _, ev := range evidence {
			by[ev.Attestation] = ev
		}
		for _, x := range exception.Judge(evidence, w.exceptionContext(w.target.Ref, nil, a.now())) {
			list = append(list, viewOf(x, by[x.Attestation]))
		}
		return nil
	})
	return list, err
}

// ShowException returns the exception whose attestation has this digest, or begins with it.
func (a *App) ShowException(ctx context.Context, o Options, digest string) (ExceptionView, error) {
	list, err := a.ListExceptions(ctx, o)
	if err != nil {
		return ExceptionView{}, err
	}
	var found []ExceptionView
	for _, v := range list {
		if strings.HasPrefix(string(v.Attestation), digest) || strings.HasPrefix(v.Attestation.Hex(), digest) {
			found = append(found, v)
		}
	}
	switch {
	case digest == "" || len(found) == 0:
		return ExceptionView{}, withHint(fmt.Errorf("there is no exception %q", digest), "sallyport exception list names them")
	case len(found) > 1:
		return ExceptionView{}, fmt.Errorf("%d exceptions begin with %q", len(found), digest)
	}
	return found[0], nil
}

// RevokeException signs that an exception ends now. The revocation is evidence, and an entry of the
// log: losing the file does not bring the exception back.
func (a *App) RevokeException(ctx context.Context, o Options, digest, why, keyRef string) (g Given, err error) {
	v, err := a.ShowException(ctx, o, digest)
	if err != nil {
		return Given{}, err
	}
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		signer, who, err := w.openReviewer(ctx, keyRef)
		if err != nil {
			return err
		}
		if c := w.exceptionContext(w.target.Ref, nil, a.now()); who != v.By && !c.Eligible(who) {
			return errors.New("an exception is revoked by whoever granted it, or by a person with the role security")
		}
		st, err := exception.NewStatement(predicate.Exception{
			Action: predicate.ExceptionRevoke, Who: who, Repository: w.repository(), Revokes: string(v.Attestation), Justification: why,
		}, a.now(), Version())
		if err != nil {
			return err
		}
		g, _, err = w.sign(ctx, st, signer, who)
		return err
	})
	return g, err
}
