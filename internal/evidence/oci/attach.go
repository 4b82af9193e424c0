package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// An Attached is what came of attaching.
type Attached struct {
	Image    string           `json:"image"`
	Subject  sallyport.Digest `json:"subject"`  // what the bundle is attached to
	Manifest sallyport.Digest `json:"manifest"` // of the referrer
	Bundle   sallyport.Digest `json:"bundle"`
	Layout   string           `json:"layout"`        // where others find it: [ReferrersAPI] or [ReferrersTag]
	Tag      string           `json:"tag,omitempty"` // of the index that was updated
	Known    bool             `json:"known"`         // it was attached already, and nothing was written to the index
}

// attempts bounds how often the index of the tag schema is tried.
const attempts = 8

// Attach pushes a Sigstore bundle as a referrer of the image. The bundle must be about exactly
// the manifest that ref leads to.
func Attach(ctx context.Context, ref Reference, bundle []byte, o Options) (Attached, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	if len(bundle) > evidence.MaxBundle {
		return Attached{}, fmt.Errorf("the bundle has %d bytes, the limit is %d", len(bundle), evidence.MaxBundle)
	}
	mediaType, err := bundleType(bundle)
	if err != nil {
		return Attached{}, err
	}
	says, err := inspect(Bundle, bundle)
	if err != nil {
		return Attached{}, err
	}
	s := newSession(ref, o, "pull,push")
	defer s.close()
	image, err := s.manifest(ctx, ref.target(), ref.Digest)
	if err != nil {
		return Attached{}, err
	}
	if !slices.Contains(says.digests, image.digest) {
		return Attached{}, fmt.Errorf("the bundle is about %s%s, and %s is %s", says.digests[0], andMore(len(says.digests)-1), ref, image.digest)
	}
	m, d, err := referrer(image, bundle, mediaType, says)
	if err != nil {
		return Attached{}, err
	}
	for _, blob := range [][]byte{emptyConfig, bundle} {
		if err := s.push(ctx, blob); err != nil {
			return Attached{}, fmt.Errorf("push the content: %w", err)
		}
	}
	a, err := s.do(ctx, request{method: http.MethodPut, path: s.url("manifests", string(d.Digest)), header: http.Header{"Content-Type": {typeManifest}}, body: m})
	if err == nil && a.status != http.StatusCreated && a.status != http.StatusOK {
		err = a.fail()
	}
	if err != nil {
		return Attached{}, fmt.Errorf("push the manifest: %w", err)
	}
	res := Attached{Image: ref.String(), Subject: image.digest, Manifest: d.Digest, Bundle: sallyport.SHA256(bundle), Layout: ReferrersAPI}
	listed, status, err := s.referrers(ctx, image.digest)
	switch {
	case err != nil:
		return Attached{}, fmt.Errorf("the bundle is pushed, and whether it is listed cannot be told: %w", err)
	case status == http.StatusOK && (slices.ContainsFunc(listed, d.same) || a.header.Get("OCI-Subject") == string(image.digest)):
		return res, nil
	case status == http.StatusOK:
		return Attached{}, fmt.Errorf("the bundle is pushed as %s, and the registry's list of referrers does not have it", d.Digest)
	}
	res.Layout, res.Tag = ReferrersTag, fallbackTag(image.digest)
	res.Known, err = s.enlist(ctx, res.Tag, d)
	if err != nil {
		return Attached{}, fmt.Errorf("the bundle is pushed as %s, and the tag %s does not list it: %w", d.Digest, res.Tag, err)
	}
	return res, nil
}

var emptyConfig = []byte("{}")

// bundleType is the media type that the bundle gives itself, in the spelling that is used in
// registries.
func bundleType(bundle []byte) (string, error) {
	var b struct {
		MediaType string `json:"mediaType"`
	}
	if err := strict.LaxJSON(bundle, evidence.MaxBundle, &b); err != nil {
		return "", fmt.Errorf("the bundle cannot be read: %w", err)
	}
	switch b.MediaType {
	case evidence.BundleMediaType, typeBundlePrefix + "+json;version=0.3":
		return evidence.BundleMediaType, nil
	case typeBundlePrefix + "+json;version=0.1", typeBundlePrefix + "+json;version=0.2":
		return b.MediaType, nil
	}
	return "", fmt.Errorf("it is no Sigstore bundle: its media type is %.100q", b.MediaType)
}

type jsonDescriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       sallyport.Digest  `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// referrer returns the manifest that attaches the bundle, and the descriptor that lists it.
func referrer(image fetched, bundle []byte, mediaType string, says about) ([]byte, jsonDescriptor, error) {
	notes := map[string]string{"dev.sigstore.bundle.content": "message-signature"}
	if says.predicateType != "" {
		notes = map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": says.predicateType}
	}
	m, err := sallyport.EncodeJSON(struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		ArtifactType  string            `json:"artifactType"`
		Config        jsonDescriptor    `json:"config"`
		Layers        []jsonDescriptor  `json:"layers"`
		Subject       jsonDescriptor    `json:"subject"`
		Annotations   map[string]string `json:"annotations"`
	}{
		2, typeManifest, mediaType,
		jsonDescriptor{MediaType: typeEmpty, Digest: sallyport.SHA256(emptyConfig), Size: int64(len(emptyConfig))},
		[]jsonDescriptor{{MediaType: mediaType, Digest: sallyport.SHA256(bundle), Size: int64(len(bundle))}},
		jsonDescriptor{MediaType: image.MediaType, Digest: image.digest, Size: image.size},
		notes,
	})
	return m, jsonDescriptor{typeManifest, sallyport.SHA256(m), int64(len(m)), mediaType, notes}, err
}

func (d jsonDescriptor) same(other descriptor) bool { return d.Digest == other.Digest }

// push uploads a blob unless the registry has it.
func (s *session) push(ctx context.Context, b []byte) error {
	d := sallyport.SHA256(b)
	a, err := s.do(ctx, request{method: http.MethodHead, path: s.url("blobs", string(d))})
	if err != nil || a.status == http.StatusOK {
		return err
	}
	a, err = s.do(ctx, request{method: http.MethodPost, path: s.url("blobs", "uploads/"), body: []byte{}})
	if err == nil && a.status != http.StatusAccepted {
		err = a.fail()
	}
	if err != nil {
		return err
	}
	u, err := s.resolve(s.origin+s.url("blobs", "uploads/"), a.header.Get("Location"))
	if err != nil {
		return err
	}
	if a.header.Get("Location") == "" {
		return errors.New("the registry names no place to upload to")
	}
	query := u.Query()
	query.Set("digest", string(d))
	u.RawQuery = query.Encode()
	a, err = s.do(ctx, request{method: http.MethodPut, path: u.RequestURI(), header: http.Header{"Content-Type": {"application/octet-stream"}}, body: b})
	if err == nil && a.status != http.StatusCreated {
		err = a.fail()
	}
	return err
}

// enlist adds d to the index that tag leads to, and makes sure that it stays there. It reports
// whether it was there already.
func (s *session) enlist(ctx context.Context, tag string, d jsonDescriptor) (known bool, err error) {
	written := false
	for try := range attempts {
		if try > 0 {
			if err := sleep(ctx, s.opts.Settle/4*time.Duration(try)); err != nil {
				return false, err
			}
		}
		old, status, err := s.tag(ctx, tag)
		if err != nil {
			return false, err
		}
		if status == http.StatusNotFound {
			old = nil
		}
		index, has, err := addTo(old, d)
		if err != nil {
			return false, err
		}
		if !has {
			ok, err := s.replace(ctx, tag, old, index)
			if err != nil {
				return false, err
			}
			if !ok {
				continue // another writer was faster
			}
			written = true
		}
		if !written {
			return true, nil
		}
		if stays, err := s.stays(ctx, tag, d); err != nil || stays {
			return false, err
		}
	}
	return false, fmt.Errorf("other writers have replaced it %d times; try again", attempts)
}

// replace puts index in the place of old, and reports whether the registry did so. Registries
// that know no conditions ignore them.
func (s *session) replace(ctx context.Context, tag string, old *fetched, index []byte) (bool, error) {
	h := http.Header{"Content-Type": {typeIndex}}
	if old == nil {
		h.Set("If-None-Match", "*")
	} else if old.etag != "" {
		h.Set("If-Match", old.etag)
	}
	a, err := s.do(ctx, request{method: http.MethodPut, path: s.url("manifests", tag), header: h, body: index})
	switch {
	case err != nil:
		return false, err
	case a.status == http.StatusPreconditionFailed || a.status == http.StatusConflict:
		return false, nil
	case a.status != http.StatusCreated && a.status != http.StatusOK:
		return false, a.fail()
	}
	return true, nil
}

// stays reports whether the index lists d now and after a pause. A writer who had read the index
// before d was in it would have written by then.
func (s *session) stays(ctx context.Context, tag string, d jsonDescriptor) (bool, error) {
	for i := range 2 {
		if i > 0 {
			if err := sleep(ctx, s.opts.Settle); err != nil {
				return false, err
			}
		}
		now, status, err := s.tag(ctx, tag)
		if err != nil {
			return false, err
		}
		if status == http.StatusNotFound || !slices.ContainsFunc(now.Members, d.same) {
			return false, nil
		}
	}
	return true, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// addTo returns the index old with d added, and everything else as it stands there: members of
// types that nobody here knows, and fields that no specification has. If d is listed with its
// type already, nothing is to be done.
func addTo(old *fetched, d jsonDescriptor) (index []byte, has bool, err error) {
	f := fields{}
	var members []json.RawMessage
	if old == nil {
		f["schemaVersion"], f["mediaType"] = json.RawMessage("2"), json.RawMessage(`"`+typeIndex+`"`)
	} else {
		if old.MediaType != typeIndex {
			return nil, false, fmt.Errorf("the tag leads to %s, which somebody else has put there", old.MediaType)
		}
		if err := json.Unmarshal(old.raw, &f); err != nil {
			return nil, false, fmt.Errorf("read the index: %w", err)
		}
		if err := json.Unmarshal(f["manifests"], &members); err != nil {
			return nil, false, fmt.Errorf("read the index: %w", err)
		}
	}
	entry, err := sallyport.EncodeJSON(d)
	if err != nil {
		return nil, false, err
	}
	if i := slices.IndexFunc(members, func(raw json.RawMessage) bool {
		m, err := parseDescriptor(raw)
		return err == nil && d.same(m)
	}); i >= 0 {
		if m, _ := parseDescriptor(members[i]); m.ArtifactType == d.ArtifactType && m.Size == d.Size {
			return nil, true, nil
		}
		members[i] = entry // ours, listed by somebody who did not know its type
	} else {
		members = append(members, entry)
	}
	if f["manifests"], err = sallyport.EncodeJSON(members); err != nil {
		return nil, false, err
	}
	index, err = sallyport.EncodeJSON(f)
	if err == nil && len(index) > MaxManifest {
		err = fmt.Errorf("the index would have %d bytes, the limit is %d", len(index), MaxManifest)
	}
	return index, false, err
}
