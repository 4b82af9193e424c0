package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// VerifyOptions say what to verify.
type VerifyOptions struct {
	Subject string
	Key     string // a public key file; empty means the trust roots
	Type    string // only this predicate type; needed with Key
}

// Verified is one attestation that verifies.
type Verified struct {
	Attestation   sallyport.Digest    `json:"attestation"`
	PredicateType string              `json:"predicate_type"`
	Signer        sallyport.Principal `json:"signer"`
	Key           string              `json:"key"`
	Grade         sallyport.Grade     `json:"grade"`
	Source        string              `json:"source"`
}

// Verification is what verifying the evidence about a subject gave.
type Verification struct {
	Subject  string              `json:"subject"`
	Verified []Verified          `json:"verified"`
	Dropped  []sallyport.Dropped `json:"dropped"`
	Looked   []string            `json:"looked"`
	named    bool                // an attestation that the caller named failed
}

// ExitStatus is 0 if something verifies and nothing that the caller named fails.
func (v Verification) ExitStatus() int {
	if len(v.Verified) == 0 || v.named {
		return sallyport.ExitShut
	}
	return sallyport.ExitOpen
}

// Verify verifies the attestations about a subject.
func (a *App) Verify(ctx context.Context, o Options, vo VerifyOptions) (_ Verification, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return Verification{}, err
	}
	defer done(&err, w.Close)
	subjects, _, err := w.subject(ctx, vo.Subject)
	if err != nil {
		return Verification{}, err
	}
	keys, err := w.verifyKeys(ctx, vo.Key, vo.Type)
	if err != nil {
		return Verification{}, err
	}
	presented, err := readBundles(o.Bundles)
	if err != nil {
		return Verification{}, err
	}
	found, dropped, err := w.collector().Collect(ctx, subjects)
	if err != nil {
		return Verification{}, err
	}
	res := Verification{Subject: vo.Subject, Verified: []Verified{}, Dropped: append([]sallyport.Dropped{}, dropped...), Looked: append(w.places(), o.Bundles...)}
	v := w.newVerifier(keys)
	seen := map[sallyport.Digest]bool{} // the same bytes may be kept and have travelled
	for i, att := range append(presented, found...) {
		named := i < len(presented)
		if d := att.Digest(); seen[d] && !named {
			continue
		} else {
			seen[d] = true
		}
		ev, err := v.Verify(ctx, att)
		if err == nil && named && !aboutAny(ev, subjects) {
			err = fmt.Errorf("it is about something else than %s", vo.Subject)
		}
		if err != nil {
			res.Dropped = append(res.Dropped, sallyport.Dropped{Attestation: att.Digest(), Source: att.Source, Why: err.Error()})
			res.named = res.named || named
			continue
		}
		if named && vo.Type != "" && ev.Statement.PredicateType != predicateType(vo.Type) {
			res.Dropped = append(res.Dropped, sallyport.Dropped{Attestation: att.Digest(), Source: att.Source, Why: fmt.Sprintf("it is of type %.200s", ev.Statement.PredicateType)})
			res.named = true
			continue
		}
		if !aboutAny(ev, subjects) || (vo.Type != "" && ev.Statement.PredicateType != predicateType(vo.Type)) {
			continue
		}
		res.Verified = append(res.Verified, Verified{ev.Attestation, ev.Statement.PredicateType, ev.Signer, ev.Key, ev.Grade, ev.Source})
	}
	return res, nil
}

// verifyKeys returns the keys of the trust roots in force, or the one that the caller trusts.
func (w *workspace) verifyKeys(ctx context.Context, file, typ string) ([]evidence.Key, error) {
	if file != "" {
		b, err := readSmall(file)
		if err != nil {
			return nil, fmt.Errorf("read the public key: %w", err)
		}
		k, err := evidence.KeyFor(b, predicateType(typ))
		return []evidence.Key{k}, err
	}
	if err := w.findTip(ctx); err != nil {
		return nil, err
	}
	if err := w.governed(ctx, ""); err != nil {
		return nil, err
	}
	return w.keys(), nil
}

func aboutAny(ev sallyport.Evidence, subjects []sallyport.Digest) bool {
	for _, s := range subjects {
		if ev.About(s) {
			return true
		}
	}
	return false
}

// readSmall reads a file of at most a mebibyte.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20+1))
	if err == nil && len(b) > 1<<20 {
		err = fmt.Errorf("%s is larger than a mebibyte", name)
	}
	return b, err
}

// digestFile returns the SHA-256 of a file, read as a stream.
func digestFile(name string) (sallyport.Digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return sallyport.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), nil
}
