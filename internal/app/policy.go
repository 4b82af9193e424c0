package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/store"
)

// PolicyView is the policy in force, and what each rule is for.
type PolicyView struct {
	Source string                `json:"source"`
	Sets   []sallyport.PolicySet `json:"sets"`
	Rules  []policy.Rule         `json:"rules"`
	Advice []string              `json:"advice"`

	Level    string      `json:"level"`
	Settings policy.Data `json:"settings"` // modes of single rules too
}

// withGoverned opens the workspace under what is in force at the tip of o's target.
func (a *App) withGoverned(ctx context.Context, o Options, use func(*workspace) error) (err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return err
	}
	defer done(&err, w.Close)
	if err := w.findTip(ctx); err != nil {
		return err
	}
	if err := w.governed(ctx, ""); err != nil {
		return err
	}
	return use(w)
}

// PolicyShow lists the rules in force.
func (a *App) PolicyShow(ctx context.Context, o Options) (v PolicyView, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		if b, ok := w.eval.(brokenPolicy); ok {
			return b.err
		}
		v = PolicyView{Source: w.gov.Trust.Source, Sets: w.policies, Advice: w.advice, Level: orDefault(string(w.cfg.Level), string(config.LevelBaseline)), Settings: w.data}
		for _, s := range w.sets {
			rules, err := policy.Rules(s)
			if err != nil {
				return err
			}
			v.Rules = append(v.Rules, rules...)
		}
		return nil
	})
	return v, err
}

// PolicyEval evaluates the policy in force over an input document. It records nothing.
func (a *App) PolicyEval(ctx context.Context, o Options, input []byte) (v policy.Verdict, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		switch e := w.eval.(type) {
		case evaluator:
			v, err = e.Evaluator.Evaluate(ctx, sallyport.GateMerge, input)
			return err
		case brokenPolicy:
			return e.err
		}
		return fmt.Errorf("no policy")
	})
	return v, err
}

// PolicyTest runs the cases of the policy set in a folder, or of the built-in baseline.
func (a *App) PolicyTest(ctx context.Context, folder string) (policy.Results, error) {
	set := policy.Builtin()
	if folder != "" {
		files, err := readFolder(folder)
		if err != nil {
			return policy.Results{}, err
		}
		set = policy.Set{Name: filepath.Base(filepath.Clean(folder)), Files: files}
	}
	return policy.Test(ctx, set, nil)
}

// readFolder reads the regular files below a folder, bounded. Nothing outside it is read, whatever
// becomes a link meanwhile.
func readFolder(name string) (map[string][]byte, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("read the policy set: %w", err)
	}
	defer root.Close()
	files := map[string][]byte{}
	total := int64(0)
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", path)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if total += info.Size(); total > 16<<20 || len(files) > 2000 {
			return fmt.Errorf("%s holds more than 2000 files or 16 MiB", name)
		}
		files[path], err = root.ReadFile(path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the policy set: %w", err)
	}
	return files, nil
}

// RulePart is one rule's part in a decision.
type RulePart struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Set   string `json:"set"`
	Spoke bool   `json:"spoke"`
}

// Explanation is a decision derived again from what was recorded.
type Explanation struct {
	ID       sallyport.Digest   `json:"id"`
	Decision sallyport.Decision `json:"decision"`
	Same     bool               `json:"same"`    // the same outcome and reasons follow
	Differs  []string           `json:"differs"` // what does not
	Rules    []RulePart         `json:"rules"`
	Input    json.RawMessage    `json:"-"`
	VSA      []byte             `json:"-"` // the signed verification summary, a Sigstore bundle
}

// Explain derives a recorded decision again: it evaluates the recorded input under the recorded
// policy sets and compares.
func (a *App) Explain(ctx context.Context, o Options, id string) (x Explanation, err error) {
	err = a.withState(ctx, o, func(_ *workspace, s *state) error {
		rec, err := s.db.Decision(ctx, id)
		if err != nil {
			return withHint(err, "sallyport log tail lists decisions")
		}
		d, err := sallyport.ParseDecision(rec.Body)
		if err != nil {
			return err
		}
		x = Explanation{ID: rec.ID, Decision: d, Input: rec.Input, VSA: rec.VSA, Differs: []string{}}
		if got := sallyport.SHA256(rec.Input); got != d.Input {
			x.Differs = append(x.Differs, fmt.Sprintf("the recorded input is %s, the decision names %s", got, d.Input))
		}
		err = x.derive(ctx, s, rec)
		x.Same = err == nil && len(x.Differs) == 0
		return err
	})
	return x, err
}

// derive evaluates again and notes what differs.
func (x *Explanation) derive(ctx context.Context, s *state, rec store.Record) error {
	sets, settings, err := s.recordedPolicy(ctx, x.Decision.Policies)
	if err != nil {
		return err
	}
	compiled, err := policy.Compile(ctx, sets, settings)
	var v policy.Verdict
	if err == nil {
		v, err = compiled.Evaluate(ctx, x.Decision.Gate, rec.Input)
	}
	switch {
	case err != nil && !x.Decision.Undecided:
		x.Differs = append(x.Differs, "the policy can no longer be applied: "+err.Error())
	case err == nil && x.Decision.Undecided:
		x.Differs = append(x.Differs, "the policy could not be applied then, and now it can")
	case err == nil:
		x.compare(v)
	}
	spoke := map[string]bool{}
	for _, r := range x.Decision.Reasons {
		spoke[r.Set+"\x00"+r.Code] = true
	}
	for _, set := range sets {
		rules, err := policy.Rules(set)
		if err != nil {
			continue // a set that does not compile has no table
		}
		for _, r := range rules {
			x.Rules = append(x.Rules, RulePart{Code: r.Code, Title: r.Title, Set: set.Name, Spoke: spoke[set.Name+"\x00"+r.Code]})
		}
	}
	return nil
}

func (x *Explanation) compare(v policy.Verdict) {
	if v.Outcome != x.Decision.Outcome {
		x.Differs = append(x.Differs, fmt.Sprintf("the outcome was %s, now it is %s", x.Decision.Outcome, v.Outcome))
	}
	was, err1 := sallyport.EncodeJSON(append([]sallyport.Excepted{}, x.Decision.Excepted...))
	is, err2 := sallyport.EncodeJSON(append([]sallyport.Excepted{}, v.Excepted...))
	if err1 != nil || err2 != nil || string(was) != string(is) {
		x.Differs = append(x.Differs, fmt.Sprintf("%d reasons were held off by exceptions, %d are now, and they are not the same", len(x.Decision.Excepted), len(v.Excepted)))
	}
	then, err1 := sallyport.EncodeJSON(x.Decision.Reasons)
	now, err2 := sallyport.EncodeJSON(append([]sallyport.Reason{}, v.Reasons...))
	if err1 != nil || err2 != nil || string(then) != string(now) {
		x.Differs = append(x.Differs, fmt.Sprintf("%d reasons were given, %d follow now, and they are not the same", len(x.Decision.Reasons), len(v.Reasons)))
	}
}

// recordedPolicy reads the policy sets and settings that a decision names by digest.
func (s *state) recordedPolicy(ctx context.Context, named []sallyport.PolicySet) ([]policy.Set, policy.Data, error) {
	var sets []policy.Set
	var data policy.Data
	for _, p := range named {
		b, err := s.db.Blob(ctx, p.Digest)
		if err != nil {
			return nil, data, fmt.Errorf("read policy set %s: %w", p.Name, err)
		}
		if set, err := policy.ParseArchive(p.Name, b); err == nil {
			sets = append(sets, set)
			continue
		}
		if data, err = policy.ParseData(b); err != nil {
			return nil, data, fmt.Errorf("read policy set %s: it is neither a set nor settings", p.Name)
		}
	}
	return sets, data, nil
}
