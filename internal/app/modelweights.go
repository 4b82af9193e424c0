package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
	"github.com/sallyport-dev/sallyport/internal/model/oms"
)

// ModelWeights is what verifying the files of a model gave.
type ModelWeights struct {
	Model       string           `json:"model"` // as its signer calls it
	Root        sallyport.Digest `json:"root"`
	Files       int              `json:"files"`
	Ignored     []string         `json:"ignored"` // what the signer left out
	Signature   Signature        `json:"signature"`
	Differences []oms.Difference `json:"differences"`
	TrustedRoot string           `json:"trusted_root"`
}

// VerifyWeights verifies the signature over a model's files, and the files below dir against it. The signature is
// verified before anything that it says is believed.
func (a *App) VerifyWeights(ctx context.Context, dir, signature string, o ArtifactOptions) (ModelWeights, error) {
	raw, err := readLimit(signature, sigstore.MaxBundle)
	if err != nil {
		return ModelWeights{}, fmt.Errorf("read the signature: %w", err)
	}
	v := artifactVerifier{app: a, o: o}
	if err := v.trust(); err != nil {
		return ModelWeights{}, err
	}
	if v.pgp != nil || v.signer.SSH != "" {
		return ModelWeights{}, usagef("model signatures are Sigstore bundles: --key is a PEM file")
	}
	pieces, err := sigstore.Convert(raw)
	if err != nil || len(pieces) != 1 || pieces[0].Statement() == nil {
		return ModelWeights{}, fmt.Errorf("%w: %s holds no signed list of a model's files", ErrRefused, signature)
	}
	st, err := oms.Parse(pieces[0].Statement())
	if err != nil {
		return ModelWeights{}, fmt.Errorf("%w: %s: %w", ErrRefused, signature, err)
	}
	about, err := sigstore.Digested(st.Root)
	if err != nil {
		return ModelWeights{}, fmt.Errorf("%w: %s: %w", ErrRefused, signature, err)
	}
	res, err := pieces[0].Verify(v.root, about, v.signer)
	if err != nil {
		return ModelWeights{}, fmt.Errorf("%w: %s: %w", ErrRefused, signature, err)
	}
	// What is believed from here on is what was signed.
	if st, err = oms.Parse(res.Statement); err != nil {
		return ModelWeights{}, fmt.Errorf("%w: %s: %w", ErrRefused, signature, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ModelWeights{}, fmt.Errorf("read the model: %w", err)
	}
	defer root.Close()
	w := ModelWeights{
		Model: st.Name, Root: st.Root, Files: len(st.Resources), Ignored: append([]string{}, st.Serialization.IgnorePaths...), TrustedRoot: v.res.Root,
		Signature: Signature{Source: signature, Format: "bundle", Verified: true, Type: res.PredicateType, Identity: res.Identity, Key: v.key, Times: res.Times, Entries: res.Entries},
	}
	w.Differences, err = st.Compare(ctx, root, pathBelow(dir, signature)...)
	if w.Differences == nil {
		w.Differences = []oms.Difference{}
	}
	return w, err
}

// pathBelow returns the path of a file below a folder, if it lies there.
func pathBelow(dir, file string) []string {
	d, err1 := filepath.Abs(dir)
	f, err2 := filepath.Abs(file)
	if err1 != nil || err2 != nil {
		return nil
	}
	rel, err := filepath.Rel(d, f)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return nil
	}
	return []string{filepath.ToSlash(rel)}
}

// WeightsOptions say which files of a model are signed, and with what.
type WeightsOptions struct {
	Dir, Name     string // the model's folder; what the model is called (default: the folder's name)
	Signature     string // where the bundle goes
	AllowSymlinks bool
	Ignore        []string
	Sign          SignOptions // key or identity; the rest is filled in
}

// SignWeights signs the files of a model. What is left out beside Ignore is what the reference implementation leaves out,
// and the signature itself.
func (a *App) SignWeights(ctx context.Context, o WeightsOptions) (_ Signed, root sallyport.Digest, err error) {
	folder, err := os.OpenRoot(o.Dir)
	if err != nil {
		return Signed{}, "", fmt.Errorf("read the model: %w", err)
	}
	defer folder.Close()
	so := oms.Options{AllowSymlinks: o.AllowSymlinks, Ignore: append(append(oms.Defaults(), o.Ignore...), pathBelow(o.Dir, o.Signature)...)}
	files, refused, err := oms.Scan(ctx, folder, so)
	if err != nil {
		return Signed{}, "", err
	}
	if len(refused) > 0 {
		return Signed{}, "", withHint(fmt.Errorf("nothing was signed: %s", refused[0]), "take it away, leave it out with --ignore, or follow links that stay in the folder with --allow-symlinks")
	}
	abs, err := filepath.Abs(o.Dir)
	if err != nil {
		return Signed{}, "", err
	}
	st, err := oms.New(orDefault(o.Name, filepath.Base(abs)), files, so)
	if err != nil {
		return Signed{}, "", err
	}
	body, err := sallyport.EncodeJSON(st)
	if err != nil {
		return Signed{}, "", err
	}
	tmp, err := os.CreateTemp("", "sallyport-model-*.json")
	if err != nil {
		return Signed{}, "", err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(body); err != nil {
		return Signed{}, "", err
	}
	if err := tmp.Close(); err != nil {
		return Signed{}, "", err
	}
	o.Sign.Files, o.Sign.InToto, o.Sign.Bundle = []string{tmp.Name()}, true, o.Signature
	signed, err := a.Sign(ctx, o.Sign)
	if err != nil {
		return Signed{}, "", err
	}
	signed[0].File = o.Dir
	return signed[0], oms.RootOf(files), nil
}
