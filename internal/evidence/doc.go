// Package evidence turns attestations into evidence, and back.
//
// An attestation is bytes: a Sigstore bundle that carries a DSSE envelope around an in-toto
// statement. It becomes evidence when [Verifier.Verify] has checked, in this order:
//
//  1. the bundle: at most 10 MiB, one JSON value, no key twice, a media type that is known, a
//     DSSE envelope of in-toto's payload type with exactly one signature;
//  2. the signature, under a key of the trust roots that the bundle's hint names. Only if there
//     is no hint at all is each key tried;
//  3. that this key may sign this predicate type. Types are compared exactly;
//  4. that the key was not revoked or, if it was superseded or retired, that a timestamp or log
//     entry proves an earlier time (see [Revocation]); that it is valid now, by the enforcement
//     point's clock, or that a timestamp or log entry proves that it signed while it was; and that
//     the statement does not claim to be from the future;
//  5. the statement: version 1 (0.1 is read too), no key twice, at least one subject, each with
//     a well-formed digest;
//  6. the predicate, if its type is one of Sallyport's own: shape, and agreement with the
//     subjects (package predicate).
//
// Whatever fails is an error of one sentence that wraps one of the errors below, and the zero
// Evidence. A statement is decoded before step 3, since the type stands in it, but nothing in it
// is believed until every step has passed.
//
// Keys come in two kinds. A PEM key (Ed25519, ECDSA P-256 or P-384, RSA of 2048, 3072 or 4096
// bits) signs the envelope as Sigstore clients expect, and its hint is the base64 of the SHA-256
// of its SubjectPublicKeyInfo, which is cosign's convention. An SSH key signs our own variant, so
// that reviewers can use the keys and security keys that they have: the signature in the
// envelope is a binary SSHSIG over the pre-authentication encoding in the namespace
// [SSHNamespace], and the hint is the key's fingerprint, "SHA256:…". No other tool verifies that
// variant today; everything around the signature is the standard.
//
// The grade of evidence is what the trust roots say that the key proves. A touched security key
// is the only one that can prove presence: without the touch, or with an ordinary key, present
// and attested fall to declared.
//
// A bundle that was signed with a certificate needs a trusted root (see [Keyless]), and a timestamp
// or log entry that proves when. Of a bundle that was signed with a key they are looked at only if
// the key was revoked or has ended.
//
// The certificate of a run's key (package runcert) is of an authority of the trust roots (see
// [RunAuthority]), and of no trusted root, which is needed for the time alone. What such a key signed is
// evidence only if it names the certificate's own run, repository and principal.
//
// One key may be written as PEM, as an SSH line and in an OpenPGP certificate. It has a hint in each, and
// a revocation in one place ends it in all: keys are known by the SHA-256 of their SubjectPublicKeyInfo.
//
// [Dir] keeps attestations in files named by digest. It verifies nothing but that a file still
// holds what its name says. [Sign], [SignSSH] and [VSA] make statements for others to verify.
package evidence

import "errors"

// Why an attestation is not evidence. Every error of [Verifier.Verify] wraps exactly one.
var (
	ErrBundle     = errors.New("the bundle cannot be read")
	ErrSignature  = errors.New("the signature does not verify")
	ErrUnknownKey = errors.New("the key that signed is not in the trust roots")
	ErrNotAllowed = errors.New("the key may not sign this predicate type")
	ErrRevoked    = errors.New("the key that signed was revoked")
	ErrExpired    = errors.New("the key or the statement is not valid at this time")
	ErrStatement  = errors.New("the statement is not valid")
)

// MaxBundle is the largest bundle that is read or written, in bytes.
const MaxBundle = 10 << 20
