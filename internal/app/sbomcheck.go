package app

import (
	"context"
	"errors"

	"github.com/sallyport-dev/sallyport/internal/base/licence"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// CheckLicences holds the components of a bill to the rules that are in force on the target branch: those in
// the work tree are whoever's who works there.
func (a *App) CheckLicences(ctx context.Context, o Options, parts []sbom.Component) (_ sbom.LicenceCheck, err error) {
	none := sbom.LicenceCheck{}
	w, err := a.open(ctx, o)
	if err != nil {
		return none, err
	}
	defer done(&err, w.Close)
	t, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, func(string) string { return "" }, TargetOptions{Ref: o.Target.Ref})
	if err != nil {
		return none, w.targetHint(err, t)
	}
	w.target = t
	if err := w.governed(ctx, ""); err != nil {
		return none, err
	}
	l := w.cfg.Licences
	if !l.Used() {
		return none, withHint(errors.New("no rules for licences are in force on the target branch"), "licences: {allow: [MIT, Apache-2.0]} in .sallyport/sallyport.yaml (docs/sbom.md)")
	}
	rules, err := licence.NewRules(l.Allow, l.Deny)
	if err != nil {
		return none, err
	}
	if len(parts) == 0 {
		return none, errors.New("the bill holds no components: rules over nothing say nothing")
	}
	c := sbom.CheckLicences(parts, rules, l.Of)
	c.Advice = append(c.Advice, w.advice...)
	return c, nil
}
