package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A packVerifier is one verification of a pack.
type packVerifier struct {
	files map[string][]byte
	head  packHead
	d     sallyport.Decision
	used  map[string]bool // members that something vouches for

	cfg       config.Config
	gov       policy.Governing
	logKey    string
	logPinned bool
	index     uint64
	signer    string
	keys      []evidence.Key       // of the trust roots then
	evidence  []sallyport.Evidence // what verifies again, the summary too if a trusted verifier signed it
}

// bound checks that every part is the one that the decision names, and the decision the one that the pack
// is about, under the root that the caller knows.
func (v *packVerifier) bound(root sallyport.Digest) error {
	d := v.d
	if got := sallyport.SHA256(v.files[packDecision]); got != v.head.Decision {
		return fmt.Errorf("the decision is %s, and the pack is about %s", got, v.head.Decision)
	}
	if got := sallyport.SHA256(v.files[packInput]); got != d.Input {
		return fmt.Errorf("the input is %s, and the decision names %s", got, d.Input)
	}
	if got := sallyport.SHA256(v.files[packVSA]); got != v.head.Summary {
		return fmt.Errorf("the verification summary is %s, and the pack names %s", got, v.head.Summary)
	}
	if got := sallyport.SHA256(v.files[packProof]); got != v.head.Proof {
		return fmt.Errorf("the proof is %s, and the pack names %s", got, v.head.Proof)
	}
	if d.Root != root || v.head.Root != root {
		return fmt.Errorf("the decision was made under the root %s, and not under %s", orNone(d.Root), orNone(root))
	}
	if got := policy.RootDigest(v.governedFiles()); got != d.Root {
		return fmt.Errorf("the governed files are %s, and the decision names %s", orNone(got), orNone(d.Root))
	}
	for _, p := range d.Policies {
		name := packPolicy + p.Digest.Hex()
		if b, ok := v.files[name]; !ok || sallyport.SHA256(b) != p.Digest {
			return fmt.Errorf("policy set %s is missing, or not %s", p.Name, p.Digest)
		}
		v.used[name] = true
	}
	for _, e := range d.Evidence {
		name := packEvidence + e.Hex()
		if b, ok := v.files[name]; !ok || sallyport.SHA256(b) != e {
			return fmt.Errorf("the attestation %s is missing, or has other bytes", e)
		}
		v.used[name] = true
	}
	return nil
}

func orNone(d sallyport.Digest) string { return orDefault(string(d), "none") }

// trust verifies every attestation, and the summary, under the trust roots of the pack at the time of the
// decision.
func (v *packVerifier) trust(ctx context.Context, a *App) error {
	at, err := v.at()
	if err != nil {
		return fmt.Errorf("the decision's time: %w", err)
	}
	w, err := a.asOf(v.governedFiles(), at, v.d.Solo)
	if err != nil {
		return err
	}
	v.cfg, v.gov, v.keys = w.cfg, w.gov, w.keys()
	verifier, err := v.anchors(ctx, w)
	if err != nil {
		return err
	}
	for _, name := range v.evidenceNames() {
		ev, err := verifier.Verify(ctx, sallyport.Attestation{Raw: v.files[name], Source: name})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v.evidence = append(v.evidence, ev)
	}
	return v.summary(ctx, verifier)
}

// summary checks the verification summary. A verifier that the trust roots do not know has made advice: then
// its summary has to say what the decision says all the same.
func (v *packVerifier) summary(ctx context.Context, verifier engine.Verifier) error {
	st, err := evidence.Statement(v.files[packVSA])
	if err != nil {
		return fmt.Errorf("%s: %w", packVSA, err)
	}
	ev, err := verifier.Verify(ctx, sallyport.Attestation{Raw: v.files[packVSA], Source: packVSA})
	switch {
	case err == nil:
		st = ev.Statement
		if ev.Signer.Kind == sallyport.Workload && ev.Grade != sallyport.Declared {
			v.signer = orDefault(ev.Signer.Name, string(ev.Signer.Kind))
			v.evidence = append(v.evidence, ev)
		}
	case !errors.Is(err, evidence.ErrUnknownKey) && !errors.Is(err, evidence.ErrNotAllowed):
		return fmt.Errorf("%s: %w", packVSA, err)
	}
	s, err := predicate.DecodeSummary(st.Predicate)
	if err != nil {
		return fmt.Errorf("%s: %w", packVSA, err)
	}
	if s.Decision != string(v.head.Decision) || s.Gate != string(v.d.Gate) || s.Outcome != v.d.Outcome.String() {
		return fmt.Errorf("%s is the summary of another decision", packVSA)
	}
	return nil
}

// vouched refuses what only the pack itself says.
func (v *packVerifier) vouched(advice bool) error {
	switch {
	case advice:
		return nil
	case v.signer == "":
		return withHint(errors.New("no verifier whom the trust roots name signed the decision: it is advice, and anybody who has the governed files could have made it"), "--advice verifies it as advice")
	case !v.logPinned:
		return withHint(errors.New("nobody but the pack says which log holds the decision"), "name the log's public key with --log-key, or --advice")
	}
	return nil
}

// policies checks that the sets are those that the governed files name for the gate, and that the repository's
// own are as they stand there. Those that are built into the program change with its version; that they are
// what they are called is the verifier's word.
func (v *packVerifier) policies() error {
	names := v.cfg.Policy.Sets
	if v.d.Gate == sallyport.GateRelease {
		names = v.cfg.Gates.Release.PolicySets()
	}
	var got []string
	for _, p := range v.d.Policies {
		got = append(got, p.Name)
		if p.Name == policy.BaselineName || p.Name == policy.ReleaseName || p.Name == "settings" {
			continue
		}
		set, err := v.gov.Set(p.Name)
		if err != nil || set.Digest() != p.Digest {
			return fmt.Errorf("policy set %s is not the one of the governed files", p.Name)
		}
	}
	want := slices.Clone(names)
	if !v.d.Undecided {
		want = append(want, "settings")
	}
	if !slices.Equal(got, want) && !(v.d.Undecided && slices.Equal(got, append(slices.Clone(names), "settings"))) {
		return fmt.Errorf("it was judged by %v, and the governed files name %v", got, want)
	}
	return nil
}

// logged verifies the proof that the log holds the decision: under the caller's key, else under the one that
// the governed configuration names, else under the pack's own, which proves only that the pack agrees with
// itself.
func (v *packVerifier) logged(key string) error {
	v.logKey, v.logPinned = v.head.Log, false
	if l := v.cfg.Log; !l.Local() {
		v.logKey, v.logPinned = l.Key, true
	}
	if key != "" {
		v.logKey, v.logPinned = key, true
	}
	if v.head.Log != v.logKey {
		return fmt.Errorf("the proof is of the log %s, and not of %s", v.head.Log, v.logKey)
	}
	proven, err := VerifyProof(v.files[packProof], v.logKey, v.head.Decision)
	if err != nil {
		return fmt.Errorf("%s: %w", packProof, err)
	}
	v.index = proven.Index
	return nil
}

// derived evaluates the input again under the recorded policy sets and compares all of the outcome.
func (v *packVerifier) derived(ctx context.Context) error {
	head, err := sallyport.EncodeJSON(v.head)
	if err != nil || string(head) != string(v.files[packIndex]) {
		return fmt.Errorf("%s is spelt in another way than it is written", packIndex)
	}
	var sets []policy.Set
	var settings policy.Data
	for _, p := range v.d.Policies {
		b := v.files[packPolicy+p.Digest.Hex()]
		if set, err := policy.ParseArchive(p.Name, b); err == nil {
			sets = append(sets, set)
		} else if settings, err = policy.ParseData(b); err != nil {
			return fmt.Errorf("policy set %s is neither a set nor settings", p.Name)
		}
	}
	compiled, err := policy.Compile(ctx, sets, settings)
	var verdict policy.Verdict
	if err == nil {
		verdict, err = compiled.Evaluate(ctx, v.d.Gate, v.files[packInput])
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case v.d.Undecided && (v.d.Outcome != sallyport.Shut || len(v.d.Reasons) != 1):
		return errors.New("a decision that could not be made is shut, and has one reason")
	case err != nil && !v.d.Undecided:
		return fmt.Errorf("the policy cannot be applied: %w", err)
	case err != nil:
		return nil //nolint:nilerr // as it could not be then
	case v.d.Undecided:
		return errors.New("the policy could not be applied then, and now it can")
	case verdict.Outcome != v.d.Outcome:
		return fmt.Errorf("the outcome was %s, and %s follows", v.d.Outcome, verdict.Outcome)
	case encoded(append([]sallyport.Reason{}, verdict.Reasons...)) != encoded(v.d.Reasons):
		return errors.New("other reasons follow than were given")
	case encoded(append([]sallyport.Excepted{}, verdict.Excepted...)) != encoded(append([]sallyport.Excepted{}, v.d.Excepted...)):
		return errors.New("other reasons are held off by exceptions than were then")
	}
	if !slices.EqualFunc(compiled.Policies(), v.d.Policies, func(a, b sallyport.PolicySet) bool { return a == b }) {
		return errors.New("the policy sets are not those that the decision names")
	}
	return nil
}
