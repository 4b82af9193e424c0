package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport/internal/base/oidc"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// ciTokenVariable names the environment variable that holds a CI job's identity token.
const ciTokenVariable = "SALLYPORT_CI_TOKEN" //nolint:gosec // the name of the variable, not what it holds

// confirmCI verifies a CI job's identity token under the keys that the configuration in force pins, and
// returns what it states of the job. A token that is there and does not verify, or that is of another
// commit than the one checked out, is an error: whoever brought it meant it.
func (w *workspace) confirmCI(ctx context.Context, said *build.CIFacts, token, commit string) (*build.CIFacts, error) {
	// What CI says of the ref that this job is about may be any step's word, and of a release it is a tag:
	// the rules are the default branch's, and those that were pinned.
	t, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, func(string) string { return "" }, w.opts.Target)
	if err != nil {
		return nil, w.targetHint(err, t)
	}
	w.target = t
	if err := w.governed(ctx, ""); err != nil {
		return nil, err
	}
	if !w.gov.Trust.Pinned {
		return nil, withHint(errors.New("there is a token in "+ciTokenVariable+", and no root is pinned: a step of the job could have chosen the keys that it verifies under"),
			"pin the root in the CI settings (SALLYPORT_ROOT), or leave "+ciTokenVariable+" unset: what the job says of itself is declared then")
	}
	if !w.cfg.CI.Used() {
		return nil, withHint(errors.New("there is a token in "+ciTokenVariable+", and the configuration in force says of no CI system whose tokens it believes"),
			"add ci: {system: github, keys: ci-keys.json} to "+configPath+", and the issuer's key set beside it")
	}
	conf, server, name := w.cfg.CI.ForRepository(w.cfg.Repository)
	raw, ok := w.gov.Files[conf.KeysPath()]
	if !ok {
		return nil, fmt.Errorf("the keys of CI tokens: there is no %s at %s", conf.KeysPath(), shortID(w.gov.At))
	}
	keys, err := oidc.ParseKeySet(raw)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", conf.KeysPath(), shortID(w.gov.At), err)
	}
	_, c, err := evidence.CI{
		System: conf.System, Server: server, Issuer: conf.Issuer, Audience: conf.Audience, Repository: name, Keys: keys,
	}.Verify(token, w.app.now())
	if err != nil {
		return nil, withHint(err, "have the job ask for a token of the audience "+conf.Audience+" just before, or leave "+ciTokenVariable+" unset: what it says of CI is declared then")
	}
	if c.SHA != commit {
		return nil, fmt.Errorf("the job's token is of commit %.12s, and %.12s is checked out", c.SHA, commit)
	}
	return said.Confirmed(conf.System, c.Repository, c.Ref, c.SHA, c.Workflow, c.Run, c.Event, c.Runner)
}
