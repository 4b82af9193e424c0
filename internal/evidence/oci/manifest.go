package oci

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Media types.
const (
	typeIndex        = "application/vnd.oci.image.index.v1+json"
	typeManifest     = "application/vnd.oci.image.manifest.v1+json"
	typeArtifact     = "application/vnd.oci.artifact.manifest.v1+json" // from drafts of OCI 1.1; ORAS wrote it
	typeDockerList   = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeDocker       = "application/vnd.docker.distribution.manifest.v2+json"
	typeEmpty        = "application/vnd.oci.empty.v1+json"
	typeBundlePrefix = "application/vnd.dev.sigstore.bundle"
	typeDSSE         = "application/vnd.dsse.envelope.v1+json"
	typeSimple       = "application/vnd.dev.cosign.simplesigning.v1+json"
	typeStatement    = "application/vnd.in-toto+json"
)

// accepted is what is asked for where a manifest of any kind is wanted.
const accepted = typeIndex + ", " + typeManifest + ", " + typeDockerList + ", " + typeDocker + ", " + typeArtifact

// A descriptor names content by digest.
type descriptor struct {
	MediaType    string
	Digest       sallyport.Digest
	Size         int64
	ArtifactType string
	Annotations  map[string]string
	Platform     string // "linux/arm64/v8"
}

// A manifest is what a registry keeps under a digest or a tag: an index with members, or an image
// or artifact with layers.
type manifest struct {
	MediaType    string
	ArtifactType string
	Config       descriptor // zero in an index or an artifact
	Layers       []descriptor
	Members      []descriptor
	Subject      *descriptor
}

func (m manifest) isIndex() bool { return m.MediaType == typeIndex || m.MediaType == typeDockerList }

// artifactType is the type as OCI 1.1 derives it: that of the configuration, if there is no other.
func (m manifest) artifactType() string {
	if m.ArtifactType != "" {
		return m.ArtifactType
	}
	return m.Config.MediaType
}

// fields are an object's members by their exact names. encoding/json would take "Subject" for
// "subject", and other readers would not.
type fields map[string]json.RawMessage

func (f fields) read(name string, v any) error {
	raw, ok := f[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s is malformed", name)
	}
	return nil
}

// parseManifest reads a manifest. contentType is what the registry calls it; a manifest that says
// itself what it is must agree.
func parseManifest(raw []byte, contentType string) (manifest, error) {
	var f fields
	if err := strict.LaxJSON(raw, MaxManifest, &f); err != nil {
		return manifest{}, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	var m manifest
	var version int
	contentType = strings.ToLower(strings.TrimSpace(before(contentType, ";")))
	if err := firstOf(f.read("mediaType", &m.MediaType), f.read("artifactType", &m.ArtifactType), f.read("schemaVersion", &version)); err != nil {
		return manifest{}, err
	}
	_, hasMembers := f["manifests"]
	_, hasLayers := f["layers"]
	_, hasBlobs := f["blobs"]
	switch {
	case m.MediaType == "" && known(contentType):
		m.MediaType = contentType
	case m.MediaType == "" && hasMembers: // the field was optional in OCI 1.0
		m.MediaType = typeIndex
	case m.MediaType == "" && hasLayers:
		m.MediaType = typeManifest
	case known(contentType) && known(m.MediaType) && contentType != m.MediaType:
		return manifest{}, fmt.Errorf("the registry calls the manifest %.100q, and it calls itself %.100q", contentType, m.MediaType)
	}
	if !known(m.MediaType) {
		return manifest{}, fmt.Errorf("its media type %.100q is not read", orElse(m.MediaType, contentType))
	}
	// What is an index to one reader and an image to another has two meanings under one digest.
	if m.isIndex() && (hasLayers || hasBlobs) || !m.isIndex() && hasMembers || version != 2 && m.MediaType != typeArtifact {
		return manifest{}, fmt.Errorf("it is no well-formed %s", m.MediaType)
	}
	var err error
	switch {
	case m.isIndex():
		m.Members, err = parseDescriptors(f["manifests"], "manifests", 10*MaxReferrers)
	case m.MediaType == typeArtifact:
		m.Layers, err = parseDescriptors(f["blobs"], "blobs", 10*MaxReferrers)
	default:
		m.Layers, err = parseDescriptors(f["layers"], "layers", 10*MaxReferrers)
		if raw := f["config"]; err == nil && raw != nil {
			m.Config, err = parseDescriptor(raw)
		}
	}
	if err != nil {
		return manifest{}, err
	}
	if raw, ok := f["subject"]; ok && string(raw) != "null" {
		d, err := parseDescriptor(raw)
		if err != nil {
			return manifest{}, fmt.Errorf("subject: %w", err)
		}
		m.Subject = &d
	}
	return m, nil
}

func known(mediaType string) bool {
	switch mediaType {
	case typeIndex, typeManifest, typeArtifact, typeDockerList, typeDocker:
		return true
	}
	return false
}

func parseDescriptors(raw json.RawMessage, name string, limit int) ([]descriptor, error) {
	var list []json.RawMessage
	if raw != nil {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("%s is no list", name)
		}
	}
	if len(list) > limit {
		return nil, fmt.Errorf("%s has %d entries, the limit is %d", name, len(list), limit)
	}
	out := make([]descriptor, 0, len(list))
	for i, raw := range list {
		d, err := parseDescriptor(raw)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		out = append(out, d)
	}
	return out, nil
}

func parseDescriptor(raw json.RawMessage) (descriptor, error) {
	var f fields
	if err := json.Unmarshal(raw, &f); err != nil || f == nil {
		return descriptor{}, errors.New("a descriptor is no object")
	}
	var d descriptor
	var digest string
	var platform fields
	d.Size = -1
	if err := firstOf(f.read("mediaType", &d.MediaType), f.read("digest", &digest), f.read("size", &d.Size),
		f.read("artifactType", &d.ArtifactType), f.read("annotations", &d.Annotations), f.read("platform", &platform)); err != nil {
		return descriptor{}, err
	}
	var err error
	if d.Digest, err = sallyport.ParseDigest(digest); err != nil || !isContent(d.Digest) {
		return descriptor{}, fmt.Errorf("a descriptor's digest %.150q is none of content", digest)
	}
	if d.Size < 0 {
		return descriptor{}, fmt.Errorf("the descriptor of %s has no size", d.Digest.Short())
	}
	var parts [3]string
	if err := firstOf(platform.read("os", &parts[0]), platform.read("architecture", &parts[1]), platform.read("variant", &parts[2])); err != nil {
		return descriptor{}, err
	}
	d.Platform = strings.TrimSuffix(strings.Join(parts[:], "/"), "/")
	if d.Platform == "/" {
		d.Platform = ""
	}
	return d, nil
}

// check holds content to the descriptor that led to it.
func (d descriptor) check(b []byte) error {
	if int64(len(b)) != d.Size {
		return fmt.Errorf("%w: %s has %d bytes, and its descriptor says %d", ErrDigest, d.Digest, len(b), d.Size)
	}
	return checkDigest(d.Digest, b)
}

func checkDigest(want sallyport.Digest, b []byte) error {
	got := sallyport.SHA256(b)
	if want.Algorithm() == "sha512" {
		sum := sha512.Sum512(b)
		got = sallyport.Digest("sha512:" + hex.EncodeToString(sum[:]))
	}
	if got != want {
		return fmt.Errorf("%w: asked for %s, and it is %s", ErrDigest, want, got)
	}
	return nil
}

func before(s, sep string) string { s, _, _ = strings.Cut(s, sep); return s }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
