package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/predicate"
)

// reanchorVersion names the format of the file that `evidence reanchor` writes.
const reanchorVersion = "sallyport.dev/reanchored/v1"

// maxReanchored bounds that file.
const maxReanchored = 16 << 20

// A reanchorFile is a statement that carries a pack over, with the proof that the new log holds it.
type reanchorFile struct {
	Version   string          `json:"version"`
	Statement json.RawMessage `json:"statement"` // the bundle
	Proof     tlog.Proof      `json:"proof"`
}

// ReadReanchored reads the file of a statement that carries a pack over, and that of its signer's public key.
func ReadReanchored(file, key string) (statement, public []byte, err error) {
	if statement, err = readLimit(file, maxReanchored); err != nil {
		return nil, nil, fmt.Errorf("read the reanchoring: %w", err)
	}
	if public, err = readSmall(key); err != nil {
		return nil, nil, fmt.Errorf("read the public key: %w", err)
	}
	return statement, public, nil
}

// parseReanchored reads the file of a statement, and verifies nothing.
func parseReanchored(b []byte) (reanchorFile, error) {
	var f reanchorFile
	if err := strict.JSON(b, maxReanchored, &f); err != nil {
		return f, fmt.Errorf("read the reanchoring: %w", err)
	}
	if f.Version != reanchorVersion {
		return f, fmt.Errorf("the reanchoring is not that of %s", reanchorVersion)
	}
	return f, nil
}

// packAnchors adds to a pack's files what carries over those attestations of the decision that the roots in force do
// not know any more: the statements, and the governed files of then.
func (w *workspace) packAnchors(ctx context.Context, d sallyport.Decision, files map[string][]byte) error {
	if w.gov.Trust.Root != d.Root {
		return nil // other trust roots judge the pack, and what they do not know is not carried
	}
	if err := w.loadAnchors(ctx); err != nil || w.carried == nil {
		return err
	}
	v := w.newVerifier(w.keys())
	for _, e := range d.Evidence {
		att := sallyport.Attestation{Raw: files[packEvidence+e.Hex()]}
		if _, err := v.Verify(ctx, att); err == nil || att.Raw == nil {
			continue
		}
		by := w.carried.by[e]
		if _, n, ok := w.refusal(ctx, att); ok {
			by = append(slices.Clone(by), n)
		}
		for i, n := range by {
			if _, err := w.verifyCarried(ctx, att, n); err != nil && i < len(w.carried.by[e]) {
				continue
			}
			files[packAnchors+n.statement.Hex()] = n.raw
			root := sallyport.Digest(n.says.Old.Root)
			olden, err := w.governedAs(ctx, root)
			if err != nil {
				return err
			}
			for name, b := range olden {
				if !strings.HasPrefix(name, policy.SignaturesDir) {
					files[path.Join(packOlden, root.Hex()[:16], name)] = b
				}
			}
			if err := w.packLine(ctx, root, files); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// packLine adds the roots that lead from an old one to the one in force.
func (w *workspace) packLine(ctx context.Context, old sallyport.Digest, files map[string][]byte) error {
	roots, err := w.rootFiles(ctx)
	if err != nil {
		return err
	}
	for _, d := range w.carried.line[1:] { // the first is the pack's own
		if d == old {
			break
		}
		files[path.Join(packOlden, d.Hex()[:16], policy.RootPath)] = roots[d]
	}
	return nil
}

// anchors returns a verifier under the trust roots of the pack, that also takes what its statements carry over. They
// count as they do at a gate, but for the log: it is the decision's, which came after them.
func (v *packVerifier) anchors(ctx context.Context, w *workspace) (engine.Verifier, error) {
	plain := w.newVerifier(w.keys())
	w.carried = newAnchors()
	w.olden = map[sallyport.Digest]map[string][]byte{}
	folders := map[string]map[string][]byte{}
	for name, b := range v.files {
		if rel, ok := strings.CutPrefix(name, packOlden); ok {
			folder, rel, _ := strings.Cut(rel, "/")
			if folders[folder] == nil {
				folders[folder] = map[string][]byte{}
			}
			folders[folder][rel] = b
		}
	}
	for folder, files := range folders {
		// One folder a root: a second one, of the same root.json beside other files, is nobody's.
		if root := sallyport.SHA256(files[policy.RootPath]); root.Hex()[:16] == folder {
			w.olden[root] = files
		}
	}
	line, err := w.lineage(ctx)
	if err != nil {
		return nil, err
	}
	for name, raw := range v.files {
		hex, ok := strings.CutPrefix(name, packAnchors)
		if !ok {
			continue
		}
		ev, err := plain.Verify(ctx, sallyport.Attestation{Raw: raw, Source: name})
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		case ev.Attestation.Hex() != hex || ev.Statement.PredicateType != predicate.ReanchorType || ev.Signer.Kind != sallyport.Workload || ev.Grade != sallyport.Observed:
			return nil, fmt.Errorf("%s is no statement that carries evidence over", name)
		}
		r, err := predicate.DecodeReanchor(ev.Statement.Predicate)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		root := sallyport.Digest(r.Old.Root)
		folder := root.Hex()[:16]
		if err := continues(r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		at := slices.Index(line, root)
		if r.Repository != w.repository() || policy.RootDigest(folders[folder]) != root || at < 0 {
			return nil, fmt.Errorf("%s is of another repository, or its trust roots are not in the pack, or the pack's root does not follow them", name)
		}
		for _, d := range line[1 : at+1] {
			v.used[path.Join(packOlden, d.Hex()[:16], policy.RootPath)] = true
		}
		v.used[name] = true
		for rel := range folders[folder] {
			v.used[path.Join(packOlden, folder, rel)] = true
		}
		for _, e := range r.Evidence {
			w.carried.by[sallyport.Digest(e.Attestation)] = append(w.carried.by[sallyport.Digest(e.Attestation)], anchor{ev.Attestation, raw, r, e})
		}
	}
	return carrier{plain, w}, nil
}

// reanchored verifies the file that carries the pack of a decision over, with nothing but the new key and the new
// log's, and returns what it says. It fills in the options what the statement vouches for: the old root and the old
// log's key.
func (a *App) reanchored(ctx context.Context, o *PackOptions, decision sallyport.Digest) (*predicate.Reanchor, error) {
	f, err := parseReanchored(o.Reanchored)
	if err != nil {
		return nil, err
	}
	k, err := evidence.KeyFor(o.AnchorKey, predicate.ReanchorType)
	if err != nil {
		return nil, err
	}
	w := &workspace{app: a}
	ev, err := w.newVerifier([]evidence.Key{k}).Verify(ctx, sallyport.Attestation{Raw: f.Statement, Source: "the reanchoring"})
	if err != nil {
		return nil, fmt.Errorf("the reanchoring: %w", err)
	}
	r, err := predicate.DecodeReanchor(ev.Statement.Predicate)
	if err != nil {
		return nil, err
	}
	if r.Decision != string(decision) {
		return nil, fmt.Errorf("the reanchoring is about the decision %s, and the pack holds %s", r.Decision, decision)
	}
	if o.LogKey == "" || r.NewLog != o.LogKey {
		return nil, fmt.Errorf("the reanchoring is in the log %s, and not in %s", r.NewLog, orDefault(o.LogKey, "one that you name with --log-key"))
	}
	proof, err := f.Proof.Encode()
	if err != nil {
		return nil, err
	}
	proven, err := VerifyProof(proof, o.LogKey, "")
	if err != nil {
		return nil, fmt.Errorf("the reanchoring's proof: %w", err)
	}
	if proven.Kind != kindReanchor || proven.Digest != ev.Attestation {
		return nil, errors.New("the reanchoring's proof is about something else")
	}
	if err := continues(r); err != nil {
		return nil, err
	}
	if o.Root != "" && o.Root != sallyport.Digest(r.Old.Root) {
		return nil, fmt.Errorf("the reanchoring is of the root %s, and not of %s", r.Old.Root, o.Root)
	}
	o.Root, o.LogKey = sallyport.Digest(r.Old.Root), r.Old.Log
	return &r, nil
}

// continues verifies the proof of continuity that a statement holds: the old log held the decision, at the size and the
// time that it states.
func continues(r predicate.Reanchor) error {
	if _, err := VerifyProof([]byte(r.Old.Proof), r.Old.Log, sallyport.Digest(r.Decision)); err != nil {
		return fmt.Errorf("the old log's proof: %w", err)
	}
	p, err := tlog.ParseProof([]byte(r.Old.Proof))
	if err != nil {
		return fmt.Errorf("the old log's proof: %w", err)
	}
	at, err := checkpointAt(p, r.Old.Log)
	switch {
	case err != nil:
		return err
	case at != r.Old.CheckpointAt || int64(p.TreeSize) != r.Old.Size: //nolint:gosec // compared with a size that is positive
		return errors.New("the old log's checkpoint has another size or time than the statement says")
	}
	return nil
}

// checkpointAt returns the time that a log signed with a proof's checkpoint, or nothing if it signed none.
func checkpointAt(p tlog.Proof, key string) (string, error) {
	at, err := tlog.CheckpointTime([]byte(p.Checkpoint), key)
	if errors.Is(err, tlog.ErrUndated) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("the old log's checkpoint: %w", err)
	}
	return predicate.FormatTime(at), nil
}

// carriedBy refuses a pack that holds more than a statement carries.
func (v *packVerifier) carriedBy(r predicate.Reanchor) error {
	if sallyport.SHA256(v.files[packVSA]) != sallyport.Digest(r.Summary) {
		return errors.New("the reanchoring is of another verification summary")
	}
	for _, ev := range v.evidence {
		i := slices.IndexFunc(r.Evidence, func(e predicate.ReanchorEvidence) bool { return e.Attestation == string(ev.Attestation) })
		if i < 0 || r.Evidence[i].Key != ev.Key || r.Evidence[i].PredicateType != ev.Statement.PredicateType {
			return fmt.Errorf("the reanchoring does not carry the attestation %s of the pack", ev.Attestation)
		}
	}
	return nil
}
