package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/artifact"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/rebuild"
)

// RebuildOptions say which build to run again, and how.
type RebuildOptions struct {
	Bundle     string   // the provenance; empty: the one that is kept about the first artifact
	VerifyKey  string   // a public key file; empty means the trust roots
	Artifacts  []string // files to look into where a rebuild differs
	Pass       []string // variables that the command gets
	Without    []string // variations that are not made
	CutNetwork bool
	Timeout    time.Duration
	Log        string // a file for what the command says
	Keep       string // a folder for the rebuilt artifacts
	Key        string // signs the outcome; empty: nothing is signed
	BuilderID  string // who rebuilds, if it is another builder
	Output     string // a file for the signed outcome; empty to keep it

	// Confirm is asked before the command is run. Nothing runs if it returns an error.
	Confirm func(RebuildPlan) error
}

// A RebuildPlan is what would be run.
type RebuildPlan struct {
	Provenance sallyport.Digest    `json:"provenance"`
	Signer     sallyport.Principal `json:"signer"`
	*rebuild.Plan
}

// A Rebuild is how a second build came out.
type Rebuild struct {
	Equal      bool                `json:"equal"` // every artifact, and no other was made
	Plan       RebuildPlan         `json:"plan"`
	Level      rebuild.Level       `json:"level"`
	Started    time.Time           `json:"started"`
	Finished   time.Time           `json:"finished"`
	Variations []rebuild.Variation `json:"variations"`
	Artifacts  []rebuild.Result    `json:"artifacts"`

	Attestation sallyport.Digest `json:"attestation,omitempty"` // of the signed outcome
}

// RebuildVariations are the variations that can be done without.
var RebuildVariations = rebuild.Optional

// rebuilder is one call of Rebuild.
type rebuilder struct {
	w      *workspace
	ro     RebuildOptions
	ev     sallyport.Evidence
	key    *key.Key
	plan   *rebuild.Plan
	origin map[sallyport.Digest]string // files that hold what is attested
	res    Rebuild
}

// Rebuild runs an attested build again and says whether it gave the same bytes.
func (a *App) Rebuild(ctx context.Context, o Options, ro RebuildOptions) (_ Rebuild, err error) {
	if ro.BuilderID != "" && ro.Key == "" {
		return Rebuild{}, usagef("--builder-id names who signs the outcome: it needs --key")
	}
	for _, v := range ro.Without {
		if !slices.Contains(rebuild.Optional, v) {
			return Rebuild{}, usagef("--without %q: the variations that can be left out are %q", v, rebuild.Optional)
		}
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return Rebuild{}, err
	}
	defer done(&err, w.Close)
	r := &rebuilder{w: w, ro: ro, origin: map[sallyport.Digest]string{}}
	if err := r.prepare(ctx); err != nil {
		return Rebuild{}, err
	}
	if err := r.run(ctx); err != nil {
		return Rebuild{}, err
	}
	return r.res, r.attest(ctx)
}

// prepare does everything that can fail before the command runs.
func (r *rebuilder) prepare(ctx context.Context) error {
	keys, err := r.w.verifyKeys(ctx, r.ro.VerifyKey, rebuild.ProvenanceType)
	if err != nil {
		return err
	}
	if err := r.findProvenance(ctx, r.w.newVerifier(keys)); err != nil {
		return err
	}
	if _, err := r.w.repo.Resolve(ctx, r.plan.Commit); err != nil {
		return withHint(fmt.Errorf("find the commit that was built: %w", err), "fetch it: git fetch origin "+r.plan.Commit)
	}
	if err := r.findOrigins(); err != nil {
		return err
	}
	if err := r.openKey(ctx, keys); err != nil {
		return err
	}
	for _, file := range []string{r.ro.Log, r.ro.Output, filepath.Join(orDefault(r.ro.Keep, "."), ".")} {
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return fmt.Errorf("write %s: there is no folder %s", file, filepath.Dir(file))
		}
	}
	r.res.Plan = RebuildPlan{Provenance: r.ev.Attestation, Signer: r.ev.Signer, Plan: r.plan}
	if r.ro.Confirm == nil {
		return errors.New("nobody was asked whether to run the command")
	}
	return r.ro.Confirm(r.res.Plan)
}

// findProvenance verifies the provenance in the bundle, or without one finds it among what is kept
// about the artifacts.
func (r *rebuilder) findProvenance(ctx context.Context, v *evidence.Verifier) (err error) {
	if r.ro.Bundle == "" {
		return r.findKept(ctx, v)
	}
	atts, err := readBundles([]string{r.ro.Bundle})
	if err != nil {
		return err
	}
	if r.ev, err = v.Verify(ctx, atts[0]); err != nil {
		return fmt.Errorf("%w: the provenance %s: %w", ErrRefused, sallyport.Path(r.ro.Bundle), err)
	}
	return r.readPlan()
}

func (r *rebuilder) readPlan() (err error) {
	if r.plan, err = rebuild.ReadPlan(r.ev.Statement); err != nil {
		return withHint(fmt.Errorf("%w: %w", ErrRefused, err), "docs/rebuild.md says which builds can be run again")
	}
	return nil
}

// findKept takes the one provenance that verifies and is about the first artifact. Of several the
// caller has to choose: which build is asked for changes the answer.
func (r *rebuilder) findKept(ctx context.Context, v *evidence.Verifier) error {
	if len(r.ro.Artifacts) == 0 {
		return usagef("name the provenance's bundle, or with --artifact a file about which one is kept")
	}
	d, err := digestFile(r.ro.Artifacts[0])
	if err != nil {
		return err
	}
	found, _, err := r.w.collector().Collect(ctx, []sallyport.Digest{d})
	if err != nil {
		return err
	}
	var all []sallyport.Evidence
	seen := map[sallyport.Digest]bool{} // the same statement may be kept and have travelled
	for _, att := range found {
		ev, err := v.Verify(ctx, att)
		if err == nil && ev.Statement.PredicateType == rebuild.ProvenanceType && ev.About(d) && !seen[ev.Payload] {
			seen[ev.Payload] = true
			all = append(all, ev)
		}
	}
	switch len(all) {
	case 0:
		return withHint(fmt.Errorf("no provenance of %s that verifies is kept: looked in %s", sallyport.Path(r.ro.Artifacts[0]), strings.Join(r.w.places(), " and ")), "name its bundle: sallyport rebuild BUNDLE")
	case 1:
		r.ev = all[0]
		return r.readPlan()
	}
	return withHint(fmt.Errorf("%d provenances of %s are kept", len(all), sallyport.Path(r.ro.Artifacts[0])), "name the bundle of one of them: sallyport evidence list")
}

// findOrigins notes which files hold what is attested: those that the caller names, which have to be
// attested, and those that still lie in the work tree.
func (r *rebuilder) findOrigins() error {
	attested := map[sallyport.Digest]bool{}
	for _, a := range r.plan.Artifacts {
		attested[a.Digest] = true
		if top := r.w.repo.WorkTree(); top != "" {
			file := filepath.Join(top, filepath.FromSlash(r.plan.Directory), filepath.FromSlash(a.Name))
			if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
				if d, err := digestFile(file); err == nil && d == a.Digest {
					r.origin[d] = file
				}
			}
		}
	}
	for _, file := range r.ro.Artifacts {
		f, _, err := openRegular(file)
		if err != nil {
			return err
		}
		f.Close()
		d, err := digestFile(file)
		if err != nil {
			return err
		}
		if !attested[d] {
			return withHint(fmt.Errorf("%w: %s is none of the artifacts that the provenance attests", ErrRefused, sallyport.Path(file)), "its digest is "+string(d))
		}
		r.origin[d] = file
	}
	return nil
}

// openKey loads the key that signs the outcome, and settles the level that it can speak for.
func (r *rebuilder) openKey(ctx context.Context, keys []evidence.Key) error {
	r.res.Level = rebuild.SameMachine
	if r.ro.Key == "" {
		return nil
	}
	k, err := r.w.app.loadKey(ctx, r.ro.Key)
	if err != nil {
		return err
	}
	r.key = k
	if r.ro.BuilderID == "" {
		return nil
	}
	if r.ro.BuilderID == r.plan.Builder {
		return fmt.Errorf("this is the builder of the provenance, %s, and no other", r.plan.Builder)
	}
	hint, err := evidence.Hint(k.Public())
	if err != nil {
		return err
	}
	for _, known := range keys {
		if known.Hint() == hint && slices.Contains(known.Types, rebuild.TestResultType) && r.ro.VerifyKey == "" {
			if known.Principal == r.ev.Signer {
				return fmt.Errorf("the key is one of %s %s, who signed the provenance: that is no other builder", known.Principal.Kind, known.Principal.Name)
			}
			r.res.Level = rebuild.OtherBuilder
		}
	}
	if r.res.Level != rebuild.OtherBuilder {
		return withHint(errors.New("that the key is another principal's cannot be shown: the trust roots do not let it sign test results"),
			"add it to "+trustPath+" with the type "+rebuild.TestResultType+", or leave --builder-id out")
	}
	return nil
}

func (r *rebuilder) run(ctx context.Context) (err error) {
	var log io.Writer
	if r.ro.Log != "" {
		f, err := os.OpenFile(r.ro.Log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("write the log: %w", err)
		}
		defer f.Close()
		log = f
	}
	r.w.opts.step("running the build again")
	run, err := rebuild.Run(ctx, r.plan, rebuild.Options{
		Checkout: r.w.repo.Checkout, Getenv: r.w.app.Getenv, Pass: r.ro.Pass, Without: r.ro.Without,
		CutNetwork: r.ro.CutNetwork, Timeout: r.ro.Timeout, Log: log, Now: r.w.app.now,
	})
	switch {
	case errors.Is(err, git.ErrMissingObject):
		return withHint(err, "the clone is partial or shallow: fetch the commit whole")
	case errors.Is(err, rebuild.ErrBuild) && len(r.ro.Pass) == 0:
		return withHint(err, "--log FILE keeps what it says; a variable that the build needs is passed on with --pass NAME")
	case err != nil:
		return err
	}
	defer done(&err, run.Close)
	r.res.Started, r.res.Finished, r.res.Variations = run.Started.UTC(), run.Finished.UTC(), run.Variations
	r.res.Artifacts = rebuild.Judge(r.plan, run.Artifacts)
	r.res.Equal = rebuild.AllEqual(r.res.Artifacts)
	return errors.Join(r.explain(ctx, run), r.keep(run))
}

// explain looks into what is different, where the attested file is at hand.
func (r *rebuilder) explain(ctx context.Context, run *rebuild.Rebuilt) error {
	facts := [2]artifact.Facts{{Time: r.plan.Finished}, {Time: run.Started, Roots: run.Roots(), Names: []string{"rebuilder"}}}
	if top := r.w.repo.WorkTree(); top != "" {
		facts[0].Roots = []string{top}
	}
	if u, err := user.Current(); err == nil {
		facts[0].Names = append(facts[0].Names, u.Username)
		facts[0].Roots = append(facts[0].Roots, u.HomeDir)
	}
	for i := range r.res.Artifacts {
		a := &r.res.Artifacts[i]
		file := r.origin[a.Attested]
		if a.Outcome != rebuild.Different || file == "" {
			continue
		}
		r.w.opts.step("comparing " + sallyport.Path(a.Name).String())
		c, err := compareFiles(ctx, file, run.Path(a.Name), facts)
		if err != nil {
			return fmt.Errorf("look into %s: %w", sallyport.Path(a.Name), err)
		}
		if c.A.Digest != a.Attested || c.B.Digest != a.Rebuilt {
			return fmt.Errorf("%s changed while it was compared", sallyport.Path(a.Name))
		}
		c.A.Name, c.B.Name = "attested", "rebuilt"
		a.Comparison = &c
	}
	return nil
}

// keep copies what was rebuilt, for other tools to look into.
func (r *rebuilder) keep(run *rebuild.Rebuilt) error {
	if r.ro.Keep == "" {
		return nil
	}
	for _, a := range run.Artifacts {
		to := filepath.Join(r.ro.Keep, filepath.FromSlash(a.Name))
		if err := copyFile(run.Path(a.Name), to); err != nil {
			return fmt.Errorf("keep %s: %w", sallyport.Path(a.Name), err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, _, err := openRegular(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// attest signs the outcome, whatever it is.
func (r *rebuilder) attest(ctx context.Context) error {
	if r.key == nil {
		return nil
	}
	st, err := rebuild.Statement(r.plan, r.res.Artifacts, rebuild.About{
		Provenance: r.ev.Attestation, Level: r.res.Level, Builder: r.ro.BuilderID,
		Started: r.res.Started, Finished: r.res.Finished, Variations: r.res.Variations,
	})
	if err != nil {
		return err
	}
	bundle, err := evidence.Sign(ctx, st, r.key)
	if err != nil {
		return err
	}
	r.res.Attestation = sallyport.SHA256(bundle)
	if r.ro.Output != "" {
		return writeFile(r.ro.Output, bundle)
	}
	_, err = r.w.keep(ctx, bundle)
	return err
}
