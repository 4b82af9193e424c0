package app

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/openpgp"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/predicate"
)

// OpenPGPKey is how a reviewer's KEY names an OpenPGP key: this, and its fingerprint.
const OpenPGPKey = "openpgp:"

// A reviewerKey signs a reviewer's statements.
type reviewerKey interface {
	Fingerprint() string
	bundle(ctx context.Context, st sallyport.Statement) ([]byte, error)
}

type sshKey struct{ sshsig.Signer }

func (k sshKey) bundle(ctx context.Context, st sallyport.Statement) ([]byte, error) {
	return evidence.SignSSH(ctx, st, k.Signer)
}

// A gpgKey is an OpenPGP key that gpg holds.
type gpgKey struct {
	app  *App
	name string // of the certificate, as evidence names it
	use  string // fingerprint of the key, or of a subkey
}

func (k gpgKey) Fingerprint() string { return k.name }

func (k gpgKey) Sign(ctx context.Context, message []byte) ([]byte, error) {
	return openpgp.SignGPG(ctx, os.Environ(), k.use, message, k.app.Stderr)
}

func (k gpgKey) bundle(ctx context.Context, st sallyport.Statement) ([]byte, error) {
	return evidence.SignOpenPGP(ctx, st, k)
}

// openReviewer opens the key that ref names, and says whose it is in the roster in force.
func (w *workspace) openReviewer(ctx context.Context, ref string) (reviewerKey, string, error) {
	id, ok := strings.CutPrefix(ref, OpenPGPKey)
	if !ok {
		s, err := openSSH(ctx, ref)
		if err != nil {
			return nil, "", err
		}
		person, err := w.reviewer(s)
		return sshKey{s}, person, err
	}
	p, k, ok := w.roster.PersonByOpenPGP(id)
	if !ok {
		return nil, "", withHint(fmt.Errorf("the OpenPGP key %.80q belongs to nobody in the roster that is in force", id),
			"name it by its whole fingerprint (gpg --list-keys --with-subkey-fingerprint); a person with the role root adds it to "+rosterPath+" on the target branch")
	}
	use := strings.TrimSuffix(strings.TrimPrefix(strings.ToUpper(strings.ReplaceAll(id, " ", "")), "0X"), "!")
	return gpgKey{w.app, k.Fingerprint, use}, p.ID, nil
}

// openPGPApprovalKey is what a person's OpenPGP key may say: approvals and nothing else, at the
// grade of an ordinary key.
func openPGPApprovalKey(k identity.Key) evidence.Key {
	return evidence.Key{
		Name: k.Person + " " + k.Fingerprint, Principal: sallyport.Principal{Kind: sallyport.Person, Name: k.Person},
		Types: []string{predicate.ApprovalType}, OpenPGP: k.Fingerprint,
		Grade: sallyport.Declared, NotAfter: k.NotAfter, Materials: k.Materials,
	}
}

// verifyOpenPGP is evidence.OpenPGPVerifier under the roster's certificates, at the gate's time.
func (w *workspace) verifyOpenPGP(sig, message []byte) (string, error) {
	k, err := w.roster.VerifyOpenPGP(sig, message, w.app.now())
	return k.Fingerprint, err
}
