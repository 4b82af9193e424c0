// Package sigstore verifies what Sigstore clients sign: files and statements, under a key or under
// a certificate that lives for minutes. It asks no server, ever: all that it believes is in the
// bundle and in the [Root] that it is given.
//
// [Root.Verify] takes a bundle (https://docs.sigstore.dev/about/bundle/), versions 0.1 to 0.3, and
// checks in this order:
//
//  1. the bundle: at most [MaxBundle] bytes, one JSON value, no key twice, a media type that is
//     known; a signature over a file, or one envelope (DSSE) with one signature and in-toto's
//     payload type;
//  2. the log: each entry of a log that the root names has its promise and its proof verified, and
//     is about exactly this signature, key and content. A certificate needs one, if the root
//     names a log. With a key, entries are verified where they are, and one is needed only if
//     [Signer.Logged] says so;
//  3. the time: a certificate was valid when the log or a timestamp authority of the root saw the
//     signature. Without such a time a certificate proves nothing;
//  4. the certificate: up to an authority of the root, with a signed certificate timestamp if the
//     root names logs of certificates;
//  5. the signature, over the artifact or over the statement, one of whose subjects has the
//     artifact's digest, under an algorithm that both name;
//  6. who: the certificate's subject and the issuer of the token by which the authority knew it
//     are those that the caller expects, whole. A pattern has to match all of it.
//
// A statement is returned as evidence's strict reader would read it: sigstore-go verifies it, and
// package evidence's rules about what a statement may look like are the caller's to apply.
//
// The signature checks are sigstore-go's; which of them are asked for, and what is refused before
// it looks, is decided here. Entries of logs that the root does not name are passed over, as its
// specification says, and never count.
//
// [Convert] reads what came before bundles, and what carries them: cosign's detached signatures,
// its legacy bundle, lines of bundles, GitHub's and npm's lists of attestations.
package sigstore

import "errors"

// MaxBundle is the largest bundle that is read, in bytes. Attestations of images are seen with
// several MiB; whoever signs more should sign a digest.
const MaxBundle = 32 << 20

// Why a bundle does not verify. Every error of [Root.Verify] wraps exactly one.
var (
	ErrBundle    = errors.New("the bundle cannot be read")
	ErrLog       = errors.New("its log entry does not verify")
	ErrTime      = errors.New("nothing in it proves a time at which it could be signed")
	ErrChain     = errors.New("its certificate is not one of the trusted root")
	ErrSignature = errors.New("the signature does not verify")
	ErrArtifact  = errors.New("it is about something else")
	ErrSigner    = errors.New("somebody else signed")
)
