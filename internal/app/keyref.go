package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/key/kms"
	"github.com/sallyport-dev/sallyport/internal/key/run"
)

// Variables that hold the passphrase of a key file, as CI systems hand secrets to jobs: ours, and
// cosign's, which counts where ours is not set.
const (
	passphraseVariable       = "SALLYPORT_KEY_PASSPHRASE" //nolint:gosec // the name of the variable, not what it holds
	cosignPassphraseVariable = "COSIGN_PASSWORD"          //nolint:gosec // as above
)

// passphrase is what key.Load asks.
func (a *App) passphrase() ([]byte, error) {
	for _, name := range []string{passphraseVariable, cosignPassphraseVariable} {
		if p := a.Getenv(name); p != "" {
			return []byte(p), nil
		}
	}
	return nil, key.ErrEncrypted
}

// openKey opens the key that signs, wherever ref says that it is. It is the one way in for every
// command that signs attestations.
func (a *App) openKey(ctx context.Context, ref string) (*key.Key, error) {
	r, err := key.ParseRef(ref)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	var k *key.Key
	switch r.Kind {
	case key.Env:
		v := a.Getenv(r.Rest)
		if v == "" {
			return nil, fmt.Errorf("open key: %w: the variable %s is empty or not set", key.ErrMissing, r.Rest)
		}
		if k, err = key.Parse([]byte(v), a.passphrase); err != nil {
			err = fmt.Errorf("the variable %s: %w", r.Rest, err)
		}
	case key.Run:
		k, err = run.Open(ctx, r.Rest)
	case key.Service, key.Token, key.Plugin:
		k, err = kms.Helper{Getenv: a.Getenv}.Open(ctx, r)
	default:
		k, err = key.Load(ref, a.passphrase)
	}
	var ssh *key.SSHError
	switch {
	case err == nil:
		return k, nil
	case errors.Is(err, key.ErrEncrypted):
		return nil, withHint(err, "put the passphrase into "+passphraseVariable)
	case errors.Is(err, key.ErrMissing) && r.Kind == key.File:
		return nil, withHint(err, "sallyport key generate FILE")
	case errors.Is(err, kms.ErrMissing):
		return nil, withHint(err, "install sallyport with its helpers, or build them: make helpers (docs/keys.md)")
	case errors.As(err, &ssh):
		return nil, withHint(err, "other kinds: "+key.Kinds())
	}
	return nil, err
}

// loadKey is openKey for what is signed after something that may be interrupted: the key stays
// usable then, so that a run that failed is attested as well. A helper has its own time limit.
func (a *App) loadKey(ctx context.Context, ref string) (*key.Key, error) {
	return a.openKey(context.WithoutCancel(ctx), ref)
}

// keyVariables names the variables by which a key is reached. A command whose doings are signed
// with it must not have them, or it could sign what it likes.
func keyVariables(ref string) []string {
	names := []string{passphraseVariable, cosignPassphraseVariable, runKeyVariable}
	r, err := key.ParseRef(ref)
	if err != nil {
		return names
	}
	if r.Kind == key.Env {
		names = append(names, r.Rest)
	}
	return append(names, kms.Secrets(r)...)
}
