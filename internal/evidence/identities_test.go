package evidence

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
)

const (
	actions  = "https://token.actions.githubusercontent.com"
	gateYML  = "https://github.com/acme/service/.github/workflows/gate.yml@refs/heads/main"
	identity = "version: 1\nidentities:\n  - name: ci\n    issuer: " + actions + "\n    subject: " + gateYML + "\n" +
		"    repository: https://github.com/acme/service\n    principal: {kind: workload, name: ci}\n    types: [" + testType + "]\n    grade: observed\n"
)

// A CI job signs an attestation with a certificate, and everything that keeps it from counting.
func TestVerifyCertificate(t *testing.T) {
	a, other := keylesstest.New(t, now), keylesstest.New(t, now)
	in := now.Add(time.Minute)
	job := keylesstest.Identity{Subject: gateYML, Issuer: actions, Claims: map[int]string{12: "https://github.com/acme/service"}}
	as := func(edit func(*keylesstest.Identity)) keylesstest.Identity {
		id := job
		id.Claims = map[int]string{12: job.Claims[12]}
		edit(&id)
		return id
	}
	payload, err := sallyport.EncodeJSON(statement(commit))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		by      *keylesstest.Authority
		signing keylesstest.Signing
		trust   string
		want    error
	}{
		{"good", a, keylesstest.Signing{Identity: job, From: now, Stamped: in}, identity, nil},
		{"any repository", a, keylesstest.Signing{Identity: as(func(i *keylesstest.Identity) { i.Claims = nil }), From: now, Stamped: in}, strings.Replace(identity, "    repository: https://github.com/acme/service\n", "", 1), nil},
		{"another repository", a, keylesstest.Signing{Identity: as(func(i *keylesstest.Identity) { i.Claims[12] = "https://github.com/mallory/service" }), From: now, Stamped: in}, identity, ErrUnknownKey},
		{"no repository", a, keylesstest.Signing{Identity: as(func(i *keylesstest.Identity) { i.Claims = nil }), From: now, Stamped: in}, identity, ErrUnknownKey},
		{"another branch's workflow", a, keylesstest.Signing{Identity: as(func(i *keylesstest.Identity) { i.Subject = strings.Replace(gateYML, "main", "evil", 1) }), From: now, Stamped: in}, identity, ErrUnknownKey},
		{"another issuer", a, keylesstest.Signing{Identity: as(func(i *keylesstest.Identity) { i.Issuer = "https://issuer.example.com" }), From: now, Stamped: in}, identity, ErrUnknownKey},
		{"another authority", other, keylesstest.Signing{Identity: job, From: now, Stamped: in}, identity, ErrSignature},
		{"no time", a, keylesstest.Signing{Identity: job, From: now}, identity, ErrSignature},
		{"outside the validity", a, keylesstest.Signing{Identity: job, From: now, Stamped: now.Add(time.Hour)}, identity, ErrSignature},
		{"for another type", a, keylesstest.Signing{Identity: job, From: now, Stamped: in}, strings.Replace(identity, testType, testType+"x", 1), ErrNotAllowed},
		{"no longer trusted", a, keylesstest.Signing{Identity: job, From: now, Stamped: in}, identity + "    not_after: 2026-04-30\n", ErrExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trust, err := ParseTrust([]byte(tt.trust))
			if err != nil {
				t.Fatal(err)
			}
			raw := tt.by.Bundle(payload, tt.signing)
			v := NewVerifier(trust.Keys, now.Add(2*time.Minute))
			if _, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw}); !errors.Is(err, ErrUnknownKey) {
				t.Errorf("without a trusted root: %v", err)
			}
			v.Keyless = keyless(t, a)
			ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: raw})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %+v, %v, want %v", ev, err, tt.want)
			}
			if err == nil && (ev.Signer != ci || ev.Grade != sallyport.Observed || ev.Key != "identity:"+gateYML+" ("+actions+")") {
				t.Errorf("got %+v", ev)
			}
			changed := editBundle(t, raw, func(b map[string]any) { envelopeOf(b)["payload"] = b64(strings.Replace(string(payload), "1", "2", 1)) })
			if ev, err := v.Verify(t.Context(), sallyport.Attestation{Raw: changed}); err == nil {
				t.Errorf("with another payload: %+v", ev)
			}
		})
	}
}

func TestParseTrustIdentitiesRefuses(t *testing.T) {
	if tr, err := ParseTrust([]byte(identity)); err != nil || len(tr.Keys) != 1 || tr.Keys[0].Hint() == "" {
		t.Fatalf("%+v, %v", tr, err)
	}
	for name, edit := range map[string][2]string{
		"is no URL":           {"issuer: https://", "issuer: "},
		"subject is":          {gateYML, `"*"`},
		"repository is":       {"repository: https://github.com/", "repository: "},
		"want workload":       {"kind: workload", "kind: job"},
		"want declared":       {"grade: observed", "grade: present"},
		"cannot prove":        {"kind: workload", "kind: person"},
		"types has 0 entries": {testType, ""},
		"name is missing":     {"name: ci\n    issuer", "name: ''\n    issuer"},
		"unknown field":       {"grade:", "key: x\n    grade:"},
		"the key is that of":  {"identities:\n", "identities:\n" + strings.Replace(strings.SplitN(identity, "identities:\n", 2)[1], "name: ci\n    issuer", "name: ci2\n    issuer", 1)},
	} {
		text := strings.Replace(identity, edit[0], edit[1], 1)
		if _, err := ParseTrust([]byte(text)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
