package evidence

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A key that ended today ends what it signed under the trust roots of then, however either names it.
func TestOutlives(t *testing.T) {
	tsa := keylesstest.New(t, now.Add(-48*time.Hour))
	priv, ca := newEd25519(t), p256(t)
	signer, err := sshsig.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	line, err := sshsig.ParseAuthorizedKey(signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	pemKey := keyFor(priv.Public())
	sshKey := pemKey
	sshKey.Public, sshKey.SSH, sshKey.Materials = nil, sshsig.Fingerprint(line), []string{sshsig.Material(line)}
	parsed := func(text string) Key {
		trust, err := ParseTrust([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return trust.Keys[0]
	}
	authority, job := parsed(authorityYAML(t, ca.Public())), parsed(identity)
	run := issue(t, ca, theRun, 15*time.Minute)
	leaf := keyFor(run.Public())
	caAsKey := keyFor(ca.Public())
	payload, err := sallyport.EncodeJSON(statement(commit))
	if err != nil {
		t.Fatal(err)
	}
	gpg := newPGP(t, 0)
	material := hex.EncodeToString([]byte("the certificate's key")) // what the roster knows of it
	pgpKey := Key{Name: "ada", Principal: sallyport.Principal{Kind: sallyport.Person, Name: "ada"}, Types: []string{predicate.ApprovalType},
		Grade: sallyport.Declared, OpenPGP: gpg.Fingerprint(), Materials: []string{material}}
	pgpRaw, err := SignOpenPGP(t.Context(), approvalStatement(t, now), gpg)
	if err != nil {
		t.Fatal(err)
	}
	unmapped := pgpKey
	unmapped.Materials = nil
	pgpTwin := pemKey // a key of another format over the same material
	pgpTwin.Public, pgpTwin.SSH, pgpTwin.Materials = nil, "SHA256:other", pgpKey.Materials

	plain := mustSign(t, statement(commit), priv)
	sshRaw, err := SignSSH(t.Context(), statement(commit), signer)
	if err != nil {
		t.Fatal(err)
	}
	runRaw := stamped(t, mustSign(t, runStatement(nil), run), tsa, now.Add(time.Minute))
	jobRaw := tsa.Bundle(payload, keylesstest.Signing{Identity: keylesstest.Identity{Subject: gateYML, Issuer: actions, Claims: map[int]string{12: "https://github.com/acme/service"}}, From: now, Stamped: now.Add(time.Minute)})

	before := now.Add(time.Hour)
	stolen := func(k Key) Key {
		k.Revoked = &Revocation{At: now.Add(-time.Hour), Reason: Compromised}
		return k
	}
	superseded := func(k Key, at time.Time) Key {
		k.Revoked = &Revocation{At: at, Reason: Superseded}
		return k
	}
	until := func(k Key, at time.Time) Key {
		k.NotAfter = at
		return k
	}
	runs := authority
	limits := *authority.Run
	limits.RevokedRuns = []string{"run-1"}
	runs.Run = &limits
	otherRuns := authority
	limits2 := *authority.Run
	limits2.RevokedRuns = []string{"run-2"}
	otherRuns.Run = &limits2
	elsewhere := job
	elsewhere.Repository = ""
	for _, tt := range []struct {
		name  string
		raw   []byte
		old   Key
		today []Key
		want  error
	}{
		{"PEM, gone today", plain, pemKey, nil, nil},
		{"PEM, good today", plain, pemKey, []Key{pemKey}, nil},
		{"PEM, compromised", plain, pemKey, []Key{stolen(pemKey)}, ErrRevoked},
		{"PEM, compromised as SSH", plain, pemKey, []Key{stolen(sshKey)}, ErrRevoked},
		{"PEM, good as PEM and compromised as SSH", plain, pemKey, []Key{pemKey, stolen(sshKey)}, ErrRevoked},
		{"PEM, superseded later", plain, pemKey, []Key{superseded(pemKey, before.Add(time.Second))}, nil},
		{"PEM, superseded as SSH at that very time", plain, pemKey, []Key{superseded(sshKey, before)}, ErrRevoked},
		{"PEM, another key compromised", plain, pemKey, []Key{stolen(keyFor(newEd25519(t).Public()))}, nil},
		{"PEM, valid long enough", plain, until(pemKey, before), []Key{until(pemKey, before)}, nil},
		{"PEM, expired then", plain, until(pemKey, before.Add(-time.Second)), nil, ErrExpired},
		{"PEM, expired today", plain, pemKey, []Key{until(pemKey, before.Add(-time.Second))}, ErrExpired},
		{"PEM, expired today as SSH", plain, pemKey, []Key{until(sshKey, before.Add(-time.Second))}, ErrExpired},
		{"SSH, compromised", sshRaw, sshKey, []Key{stolen(sshKey)}, ErrRevoked},
		{"SSH, compromised as PEM", sshRaw, sshKey, []Key{stolen(pemKey)}, ErrRevoked},
		{"SSH, good today", sshRaw, sshKey, []Key{sshKey}, nil},
		{"OpenPGP, good today", pgpRaw, pgpKey, []Key{pgpKey}, nil},
		{"OpenPGP, compromised", pgpRaw, pgpKey, []Key{stolen(pgpKey)}, ErrRevoked},
		{"OpenPGP, compromised in another format", pgpRaw, pgpKey, []Key{stolen(pgpTwin)}, ErrRevoked},
		{"OpenPGP, of which nothing is known", pgpRaw, unmapped, nil, ErrNotAllowed},
		{"identity, good today", jobRaw, job, []Key{job}, nil},
		{"identity, compromised", jobRaw, job, []Key{stolen(job)}, ErrRevoked},
		{"identity, compromised for any repository", jobRaw, job, []Key{stolen(elsewhere)}, ErrRevoked},
		{"run, good today", runRaw, authority, []Key{authority}, nil},
		{"run, authority gone today", runRaw, authority, nil, nil},
		{"run, authority compromised", runRaw, authority, []Key{stolen(authority)}, ErrRevoked},
		{"run, authority superseded before its timestamp", runRaw, authority, []Key{superseded(authority, now)}, ErrRevoked},
		{"run, authority superseded after its timestamp", runRaw, authority, []Key{superseded(authority, now.Add(30*time.Minute))}, nil},
		{"run, authority compromised where it is another kind of key", runRaw, authority, []Key{stolen(caAsKey)}, ErrRevoked},
		{"run, the run revoked", runRaw, authority, []Key{runs}, ErrRevoked},
		{"run, another run revoked", runRaw, authority, []Key{otherRuns}, nil},
		{"run, its own key compromised", runRaw, authority, []Key{stolen(leaf)}, ErrRevoked},
		{"not of then", plain, keyFor(newEd25519(t).Public()), nil, ErrUnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verifier := func(keys ...Key) *Verifier {
				v := NewVerifier(keys, now.Add(2*time.Minute))
				v.SSH, v.OpenPGP, v.Keyless = openSSH, gpg.verifier(now), keyless(t, tsa)
				return v
			}
			if err := verifier(tt.today...).Outlives(verifier(tt.old), tt.raw, before); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
