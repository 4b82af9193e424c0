package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/evidence/pack"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/predicate"
)

// packVersion names the format of a pack's first member.
const packVersion = "sallyport.dev/evidence-pack/v1"

// Members of a pack.
const (
	packIndex    = "pack.json"
	packDecision = "decision.json" // as it was recorded
	packInput    = "input.json"    // what policy saw
	packVSA      = "vsa.json"      // the signed verification summary
	packProof    = "log/proof.json"
	packStamp    = "log/checkpoint.tsr" // a timestamp of the proof's checkpoint, if it was asked for
	packPolicy   = "policy/"            // policy sets and settings, by digest
	packGoverned = "governed/"          // the governed files that were in force
	packEvidence = "evidence/"          // the attestations that were considered, by digest
	packAnchors  = "anchors/"           // the statements that carry some of them over from an older root, by digest
	packOlden    = "olden/"             // the governed files that were in force under it, by the first digits of its digest
)

// A packHead says what a pack is about.
type packHead struct {
	Version  string           `json:"version"`
	Decision sallyport.Digest `json:"decision"`
	Root     sallyport.Digest `json:"root"`
	// Digests of what nothing else binds to the byte: the summary, where it is advice, and the proof, whose
	// checkpoint may carry signatures of others.
	Summary sallyport.Digest `json:"summary"`
	Proof   sallyport.Digest `json:"proof"`
	Stamp   sallyport.Digest `json:"timestamp,omitempty"`
	Log     string           `json:"log"` // the public verifier key of the log that the proof is of
}

// A PackReport says what a pack holds and proves.
type PackReport struct {
	Decision  sallyport.Decision `json:"decision"`
	ID        sallyport.Digest   `json:"id"`
	Root      sallyport.Digest   `json:"root"`
	Log       string             `json:"log"`        // the log's key
	LogPinned bool               `json:"log_pinned"` // it is the governed configuration's, or the caller's
	Index     uint64             `json:"index"`      // of the decision in it
	Evidence  int                `json:"evidence"`   // attestations that verify again
	Signer    string             `json:"signer"`     // of the summary, as the trust roots name it; empty: it is advice
	When      []PackTime         `json:"when"`       // by when it was decided, as others than the verifier and the log say; empty: nothing proves it
	Size      int                `json:"size"`
}

// A PackTime is a time at which a decision had been made, by the word of somebody other than who made it.
type PackTime struct {
	Kind string    `json:"kind"` // timestamp-authority or witness
	By   string    `json:"by"`
	Time time.Time `json:"time"`
}

// ExportPack writes everything that is needed to derive a decision again to one file. If tsa is not empty, the
// timestamp authority there, one of the governed trusted root, says by when the log's checkpoint existed.
func (a *App) ExportPack(ctx context.Context, o Options, id, file, tsa string) (PackReport, error) {
	b, r, err := a.packOf(ctx, o, id, tsa)
	if err != nil {
		return PackReport{}, err
	}
	return r, durable.WriteFile(file, b, 0o644)
}

// packOf makes the pack of a decision; see ExportPack.
func (a *App) packOf(ctx context.Context, o Options, id, tsa string) (b []byte, r PackReport, err error) {
	p, err := a.LogProve(ctx, o, id)
	if err != nil {
		return nil, PackReport{}, err
	}
	proof, err := sallyport.EncodeJSON(p)
	if err != nil {
		return nil, PackReport{}, err
	}
	err = a.withState(ctx, o, func(w *workspace, s *state) error {
		w.db = s.db
		defer func() { w.db = nil }()
		files, d, err := w.packFiles(ctx, s, id, proof)
		if err != nil {
			return err
		}
		if tsa != "" {
			if err := stampPack(ctx, files, p.Checkpoint, tsa); err != nil {
				return err
			}
		}
		if b, err = pack.Write(files); err != nil {
			return err
		}
		// What would not verify elsewhere is not written.
		if r, err = a.VerifyPack(ctx, b, PackOptions{Root: d.Root, LogKey: s.marker.VerifierKey, Advice: true}); err != nil {
			return fmt.Errorf("check the pack: %w", err)
		}
		return nil
	})
	return b, r, err
}

// stampPack adds a timestamp of the checkpoint to the members.
func stampPack(ctx context.Context, files map[string][]byte, checkpoint, tsa string) error {
	b, ok := files[packGoverned+trustedRootPath]
	if !ok {
		return withHint(errors.New("the governed files hold no trusted root, so that nobody could verify a timestamp"), "add "+trustedRootPath+" to what is governed, and decide anew")
	}
	k, err := evidence.ParseTrustedRoot(b)
	if err != nil {
		return err
	}
	if files[packStamp], err = evidence.StampBytes(ctx, []byte(checkpoint), tsa, k); err != nil {
		return err
	}
	var head packHead
	if err := strict.JSON(files[packIndex], 1<<16, &head); err != nil {
		return err
	}
	head.Stamp = sallyport.SHA256(files[packStamp])
	files[packIndex], err = sallyport.EncodeJSON(head)
	return err
}

// ReadPack reads a pack's file.
func ReadPack(name string) ([]byte, error) { return readLimit(name, pack.MaxSize) }

// packFiles gathers the members.
func (w *workspace) packFiles(ctx context.Context, s *state, id string, proof []byte) (map[string][]byte, sallyport.Decision, error) {
	rec, err := s.db.Decision(ctx, id)
	if err != nil {
		return nil, sallyport.Decision{}, withHint(err, "sallyport log tail lists decisions")
	}
	d, err := sallyport.ParseDecision(rec.Body)
	if err != nil {
		return nil, d, err
	}
	head, err := sallyport.EncodeJSON(packHead{Version: packVersion, Decision: rec.ID, Root: d.Root, Summary: sallyport.SHA256(rec.VSA), Proof: sallyport.SHA256(proof), Log: s.marker.VerifierKey})
	if err != nil {
		return nil, d, err
	}
	files := map[string][]byte{packIndex: head, packDecision: rec.Body, packInput: rec.Input, packVSA: rec.VSA, packProof: proof}
	for _, p := range d.Policies {
		if files[packPolicy+p.Digest.Hex()], err = s.db.Blob(ctx, p.Digest); err != nil {
			return nil, d, fmt.Errorf("read policy set %s: %w", p.Name, err)
		}
	}
	governed, err := w.governedAs(ctx, d.Root)
	if err != nil {
		return nil, d, err
	}
	for name, b := range governed {
		// Signatures over a root are no part of its digest, so nothing here would bind them.
		if !strings.HasPrefix(name, policy.SignaturesDir) {
			files[packGoverned+name] = b
		}
	}
	wanted := map[sallyport.Digest]bool{}
	for _, e := range d.Evidence {
		wanted[e] = true
	}
	keep := func(att sallyport.Attestation, err error) error {
		if err == nil && wanted[att.Digest()] {
			files[packEvidence+att.Digest().Hex()] = att.Raw
			delete(wanted, att.Digest())
		}
		return nil
	}
	if err := w.eachHere(ctx, keep); err != nil {
		return nil, d, err
	}
	remembered, err := w.remembered(ctx)
	if err != nil {
		return nil, d, err
	}
	presented, err := readBundles(w.opts.Bundles)
	if err != nil {
		return nil, d, err
	}
	for _, att := range append(remembered, presented...) {
		_ = keep(att, nil)
	}
	if err := w.packAnchors(ctx, d, files); err != nil {
		return nil, d, err
	}
	if len(wanted) > 0 {
		for missing := range wanted {
			return nil, d, withHint(fmt.Errorf("%d attestations that the decision considered are not here, such as %s", len(wanted), missing),
				"sallyport evidence fetch, or name their files with --bundle")
		}
	}
	return files, d, nil
}

// governedAs returns the governed files with a digest, from the history of the target ref. The zero digest
// has none.
func (w *workspace) governedAs(ctx context.Context, root sallyport.Digest) (map[string][]byte, error) {
	if root.Zero() {
		return nil, nil
	}
	if w.gov.Files != nil && policy.RootDigest(w.gov.Files) == root {
		return w.gov.Files, nil
	}
	src := source{w.repo}
	commits, err := src.History(ctx, w.target.Base)
	if err != nil {
		return nil, err
	}
	for _, c := range append([]string{w.target.Base}, commits...) {
		files, err := src.Files(ctx, c)
		if err == nil && policy.RootDigest(files) == root {
			return files, nil
		}
		if err != nil && !errors.Is(err, policy.ErrGoverned) {
			return nil, err
		}
	}
	return nil, withHint(fmt.Errorf("the governed files %s are not in the history of %s", root, orDefault(w.target.Ref, "the target")), "name the branch with --target")
}

// PackOptions are what the reader of a pack knows from elsewhere.
type PackOptions struct {
	Root   sallyport.Digest // that was pinned
	LogKey string           // the log's verifier key; empty: the one that the governed configuration names
	// Reanchored is the file that `evidence reanchor` wrote about the pack, and AnchorKey the public key of its
	// signer. They take the place of Root, and LogKey is then that of the log that holds the statement.
	Reanchored, AnchorKey []byte
	// Advice takes a pack whose summary no verifier of the trust roots signed, or whose log nobody vouches
	// for. Whoever has the governed files can make one that says anything.
	Advice bool
	// Witnesses are the verifier keys of witnesses: each of them has to have cosigned the log's checkpoint.
	Witnesses []string
}

// VerifyPack verifies a pack with nothing but what it holds and what the caller knows.
//
// What is wrong is an error that wraps [ErrRefused].
func (a *App) VerifyPack(ctx context.Context, b []byte, o PackOptions) (PackReport, error) {
	_, r, err := a.verifyPack(ctx, b, o)
	return r, err
}

func (a *App) verifyPack(ctx context.Context, b []byte, o PackOptions) (*packVerifier, PackReport, error) {
	refuse := func(format string, args ...any) (*packVerifier, PackReport, error) {
		return nil, PackReport{}, fmt.Errorf("%w: %w", ErrRefused, fmt.Errorf(format, args...))
	}
	const otherwise = "a pack is what sallyport evidence export writes; for signatures and attestations there is sallyport verify FILE --bundle BUNDLE"
	files, err := pack.Read(b)
	if err != nil {
		return refuse("%w", withHint(err, otherwise))
	}
	var head packHead
	if err := strict.JSON(files[packIndex], 1<<16, &head); err != nil || head.Version != packVersion {
		return refuse("%w", withHint(fmt.Errorf("%s is not that of %s", packIndex, packVersion), otherwise+"; or it is of a newer version of sallyport"))
	}
	d, err := sallyport.ParseDecision(files[packDecision])
	if err != nil {
		return refuse("%s: %w", packDecision, err)
	}
	var over *predicate.Reanchor
	if o.Reanchored != nil {
		if over, err = a.reanchored(ctx, &o, head.Decision); err != nil {
			return refuse("%w", err)
		}
	}
	v := &packVerifier{files: files, head: head, d: d, used: map[string]bool{packIndex: true, packDecision: true, packInput: true, packVSA: true, packProof: true}}
	for _, step := range []func() error{
		func() error { return v.bound(o.Root) },
		func() error { return v.trust(ctx, a) },
		func() error { return v.logged(o.LogKey) },
		func() error { return v.dated(o.Witnesses) },
		func() error { return v.vouched(o.Advice) },
		v.policies,
		func() error { return v.derived(ctx) },
		v.nothingElse,
	} {
		if err := ctx.Err(); err != nil {
			return nil, PackReport{}, err
		}
		if err := step(); err != nil {
			return refuse("%w", err)
		}
	}
	if over != nil {
		if err := v.carriedBy(*over); err != nil {
			return refuse("%w", err)
		}
	}
	return v, PackReport{
		Decision: d, ID: head.Decision, Root: d.Root, Log: v.logKey, LogPinned: v.logPinned, Index: v.index,
		Evidence: len(d.Evidence), Signer: v.signer, When: v.when, Size: len(b),
	}, nil
}

// at is the moment of the decision, by which what it considered is verified again.
func (v *packVerifier) at() (time.Time, error) { return time.Parse(time.RFC3339, v.d.Time) }

// nothingElse refuses members that prove nothing.
func (v *packVerifier) nothingElse() error {
	for name := range v.files {
		if !v.used[name] {
			return fmt.Errorf("%s belongs to nothing in the pack", name)
		}
	}
	return nil
}

// encoded is a value as it is compared.
func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// governedFiles returns the governed files of the pack.
func (v *packVerifier) governedFiles() map[string][]byte {
	files := map[string][]byte{}
	for name, b := range v.files {
		if rel, ok := strings.CutPrefix(name, packGoverned); ok && !strings.HasPrefix(rel, policy.SignaturesDir) {
			files[rel], v.used[name] = b, true
		}
	}
	return files
}

// raw returns the bytes of an attestation, or of the summary.
func (v *packVerifier) raw(d sallyport.Digest) []byte {
	if b, ok := v.files[packEvidence+d.Hex()]; ok {
		return b
	}
	if b := v.files[packVSA]; sallyport.SHA256(b) == d {
		return b
	}
	return nil
}

// evidenceNames returns the members that are attestations, sorted.
func (v *packVerifier) evidenceNames() []string {
	var names []string
	for name := range v.files {
		if strings.HasPrefix(name, packEvidence) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
