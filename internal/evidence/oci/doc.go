// Package oci finds what is attached to an image in a registry, and attaches bundles to it.
//
// It verifies no signature. [Find] returns bytes, what kind of thing they are, and the digest of
// the one manifest that they are about; whoever verifies them must hold what was signed to that
// same digest again. [Item.SigstoreBundle] gives what is signed as a bundle, whatever it came as.
//
// # Where it looks
//
// The image's manifest is fetched first. If it is an index, each of its members is a subject of
// its own beside the index, to [MaxMembers] in all. For each subject these places are asked:
//
//   - the referrers API of OCI 1.1, all pages and never filtered, since a filter would hide what
//     others have typed wrongly;
//   - the tag "sha256-<hex>", the referrers tag schema for registries without that API. It is asked
//     even where the API answers: what was pushed before the registry learnt it is only there;
//   - the tags "sha256-<hex>.sig", ".att" and ".sbom" of cosign before version 3;
//
// and, of an index, the members that BuildKit marks as attestation manifests of another member.
//
// What a manifest holds is told by the media types of its layers, never by the artifact type of
// the descriptor that led to it: that one is often missing, or that of an empty configuration.
// Only where a layer's type says nothing does the manifest's own artifact type count. What is
// recognised: Sigstore bundles of every version, DSSE envelopes, cosign's simple-signing payloads
// with what stands in their annotations, unsigned in-toto statements, and unsigned bills of
// materials. Everything else that is attached is told as odd, with what it is.
//
// # Which subject
//
// Each thing found has exactly one subject, the manifest that it is attached to, and must itself
// name that digest: a subject of its statement, the digest of a message signature, the manifest
// digest of a simple-signing payload. (A bill of materials that nobody signed names none, and
// proves nothing.) What names another digest only is odd. So evidence about one platform never
// counts for another or for the index, nor that of the index for a platform. The same bytes found
// in two places are one item.
//
// # Nothing found, and could not look
//
// Every place is told with what the registry answered. "Not offered" (the API) and "absent" (a
// tag) are answers. Whatever else went wrong at any place, a status of 500, a timeout, a refused
// login, an answer over its limit or one that was filtered unasked, makes the result incomplete:
// Find returns it together with an error that wraps [ErrIncomplete], so that nothing found is
// never taken for an answer that it is not.
//
// # What is not believed
//
// Bytes are held to the digest and the size of the descriptor that led to them. Bytes that differ
// are an error that wraps [ErrDigest], not something to skip: somebody between the registry's
// index and here is lying. A descriptor whose content the registry no longer has is odd, since
// deleting leaves such behind. Manifests are limited to [MaxManifest] bytes, attached content to
// what a bundle may have (evidence.MaxBundle), manifests attached to all subjects to
// [MaxReferrers], and all that one call reads to [MaxTotal], in [MaxRequests] and [MaxTime].
//
// Registries are spoken to over TLS, and without it only on the loopback interface. Credentials
// are sent to the registry that the reference names and to the token service that this registry
// names, and to nobody else: a redirect to another host is followed without them, at most
// [MaxRedirects] times, and never to one without TLS.
//
// # Attaching
//
// [Attach] pushes an image manifest of OCI 1.1 with the artifact type of the bundle and the
// image as its subject. It has no date, so that attaching the same bundle again changes nothing.
// If the registry does not confirm the subject and has no referrers API, the tag schema's index is
// updated: whatever others put there is kept as it stands, the update is conditional where the
// registry gives an entity tag, and it is read back, twice with a pause between, and done again if
// another writer's index has replaced it. Without conditional writes two writers can still lose an
// entry to each other if one of them stops for longer than the pause between reading and writing.
package oci

import (
	"errors"
	"time"
)

// MaxTime is how long one call of [Find] or [Attach] takes.
const MaxTime = 10 * time.Minute

// Limits of what is read.
const (
	MaxManifest  = 4 << 20   // bytes of a manifest, an index or a page of referrers
	MaxMembers   = 200       // of an index, the nested ones included
	MaxReferrers = 1000      // manifests that are attached to all subjects
	MaxLayers    = 1000      // of an attached manifest; older cosign adds one for each signature
	MaxPages     = 100       // of referrers to one subject
	MaxTotal     = 256 << 20 // bytes that one call reads
	MaxRequests  = 10_000    // that one call makes
	MaxRedirects = 5
)

// What a caller may want to tell apart.
var (
	// ErrIncomplete says that a place could not be looked at, so that what was found may not be all.
	ErrIncomplete = errors.New("not every place could be looked at")
	// ErrDigest says that content does not have the digest or size by which it was asked for.
	ErrDigest = errors.New("the registry's content does not have its digest")
	// ErrNotFound says that the registry has no such image.
	ErrNotFound = errors.New("the registry has no such image")
	// ErrReference says that a reference is malformed.
	ErrReference = errors.New("not an image reference")
	// ErrUnauthorized says that the registry refused the credentials, or that there were none.
	ErrUnauthorized = errors.New("the registry refuses access")
)
