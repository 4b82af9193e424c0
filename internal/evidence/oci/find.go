package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// Find returns what is attached to the image. An error that wraps [ErrIncomplete] comes with what
// was found all the same; with any other, the result is empty.
func Find(ctx context.Context, ref Reference, o Options) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	s := newSession(ref, o, "pull")
	defer s.close()
	image, err := s.manifest(ctx, ref.target(), ref.Digest)
	if err != nil {
		return Result{}, err
	}
	f := &finder{s: s, res: Result{
		Image: ref.String(), Digest: image.digest,
		Subjects: []Subject{{Digest: image.digest, MediaType: image.MediaType}},
		Items:    []Item{}, Odd: []sallyport.Dropped{}, Places: []Place{},
	}}
	found := f.members(ctx, image)
	found = append(found, f.look(ctx)...)
	f.read(ctx, found)
	if len(f.causes) > 0 {
		return f.res, &incompleteError{f.causes}
	}
	f.res.Complete = true
	return f.res, nil
}

// A fetched manifest is one that has been held to its digest.
type fetched struct {
	manifest
	digest sallyport.Digest
	size   int64
	raw    []byte
	etag   string
}

// manifest fetches what the registry has under a tag or digest. want may be zero.
func (s *session) manifest(ctx context.Context, target string, want sallyport.Digest) (fetched, error) {
	a, err := s.do(ctx, request{method: http.MethodGet, path: s.url("manifests", target), header: http.Header{"Accept": {accepted}}, limit: MaxManifest})
	switch {
	case err != nil:
		return fetched{}, err
	case a.status == http.StatusNotFound:
		return fetched{}, fmt.Errorf("%w: %s", ErrNotFound, s.ref)
	case a.status != http.StatusOK:
		return fetched{}, a.fail()
	}
	return open(a, want)
}

// open holds a manifest to the digest by which it was asked for, and to what the registry itself
// says its digest is.
func open(a answer, want sallyport.Digest) (fetched, error) {
	f := fetched{digest: want, size: int64(len(a.body)), raw: a.body, etag: a.header.Get("ETag")}
	if want.Zero() {
		f.digest = sallyport.SHA256(a.body)
	}
	if err := checkDigest(f.digest, a.body); err != nil {
		return fetched{}, err
	}
	if said := a.header.Get("Docker-Content-Digest"); said != "" {
		d, err := sallyport.ParseDigest(said)
		if err != nil || !isContent(d) {
			return fetched{}, fmt.Errorf("%w: it calls its digest %.150q", ErrDigest, said)
		}
		if err := checkDigest(d, a.body); err != nil {
			return fetched{}, err
		}
	}
	var err error
	f.manifest, err = parseManifest(a.body, a.header.Get("Content-Type"))
	return f, err
}

// A candidate is a manifest that a place led to.
type candidate struct {
	subject Subject
	layout  string
	source  string
	desc    descriptor
	direct  *fetched // fetched already
}

type finder struct {
	s      *session
	res    Result
	causes []error
}

// failed records that a place could not be looked at.
func (f *finder) failed(p Place, err error) {
	p.Outcome, p.Why = Failed, err.Error()
	var se statusError
	if errors.As(err, &se) {
		p.Status = se.status
	}
	f.res.Places = append(f.res.Places, p)
	f.causes = append(f.causes, fmt.Errorf("%s %s: %w", p.Layout, p.Name, err))
}

func (f *finder) odd(d sallyport.Digest, source, format string, args ...any) {
	f.res.Odd = append(f.res.Odd, sallyport.Dropped{Attestation: d, Source: source, Why: fmt.Sprintf(format, args...)})
}

// members adds the members of an index to the subjects, and returns the attestation manifests
// among them.
func (f *finder) members(ctx context.Context, image fetched) []candidate {
	var out []candidate
	seen := map[sallyport.Digest]bool{image.digest: true}
	queue := []fetched{image}
	for len(queue) > 0 {
		index := queue[0]
		queue = queue[1:]
		if !index.isIndex() {
			continue
		}
		here := map[sallyport.Digest]string{}
		for _, m := range index.Members {
			here[m.Digest] = m.Platform
		}
		for _, m := range index.Members {
			if seen[m.Digest] {
				continue
			}
			seen[m.Digest] = true
			if len(f.res.Subjects) > MaxMembers {
				f.failed(Place{Layout: imageManifest, Subject: index.digest, Name: string(index.digest)}, fmt.Errorf("it has more than %d members", MaxMembers))
				return out
			}
			sub := Subject{Digest: m.Digest, MediaType: m.MediaType, Platform: m.Platform, Index: index.digest}
			if m.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
				of := sallyport.Digest(m.Annotations["vnd.docker.reference.digest"])
				platform, ok := here[of]
				if !ok {
					f.odd(m.Digest, source(AttestationManifest, string(m.Digest)), "it says that it is about %.150q, which is no member of the index", of)
				} else {
					sub.Describes, sub.Platform = of, ""
					out = append(out, candidate{subject: Subject{Digest: of, Platform: platform}, layout: AttestationManifest, source: source(AttestationManifest, string(m.Digest)), desc: m})
				}
			}
			f.res.Subjects = append(f.res.Subjects, sub)
			if m.MediaType == typeIndex || m.MediaType == typeDockerList {
				nested, err := f.s.byDescriptor(ctx, m)
				if err != nil {
					f.failed(Place{Layout: imageManifest, Subject: m.Digest, Name: string(m.Digest)}, err)
					continue
				}
				queue = append(queue, nested)
			}
		}
	}
	return out
}

func source(layout, name string) string { return layout + " " + name }

// byDescriptor fetches the manifest that d names.
func (s *session) byDescriptor(ctx context.Context, d descriptor) (fetched, error) {
	if d.Size > MaxManifest {
		return fetched{}, fmt.Errorf("%w: %s has %d bytes, the limit is %d", errTooLarge, d.Digest.Short(), d.Size, MaxManifest)
	}
	a, err := s.do(ctx, request{method: http.MethodGet, path: s.url("manifests", string(d.Digest)), header: http.Header{"Accept": {accepted}}, limit: MaxManifest})
	switch {
	case err != nil:
		return fetched{}, err
	case a.status != http.StatusOK:
		return fetched{}, a.fail()
	}
	if err := d.check(a.body); err != nil {
		return fetched{}, err
	}
	m, err := open(a, d.Digest)
	if err != nil && !errors.Is(err, ErrDigest) {
		err = fmt.Errorf("%w: %w", errUnread, err)
	}
	return m, err
}

// Content that is what its digest says, and is not evidence.
var (
	errTooLarge = errors.New("it is too large")
	errUnread   = errors.New("it is not read here")
)

// read fetches the manifests that the places led to, each once for each subject, and what they
// hold.
func (f *finder) read(ctx context.Context, found []candidate) {
	type key struct{ subject, manifest sallyport.Digest }
	type reading struct {
		candidate
		items  []Item
		odd    []sallyport.Dropped
		failed []error
	}
	at := map[key]*reading{}
	var all []*reading
	for _, c := range found {
		k := key{c.subject.Digest, c.desc.Digest}
		if r := at[k]; r != nil {
			if r.source != c.source {
				r.source += "; " + c.source
			}
			continue
		}
		r := &reading{candidate: c}
		at[k] = r
		all = append(all, r)
	}
	if len(all) > MaxReferrers {
		f.failed(Place{Layout: imageManifest, Subject: f.res.Digest, Name: string(f.res.Digest)}, fmt.Errorf("more than %d manifests are attached", MaxReferrers))
		return
	}
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, r := range all {
		g.Go(func() error {
			r.items, r.odd, r.failed = f.s.contents(ctx, r.candidate)
			return nil
		})
	}
	_ = g.Wait()
	// The same bytes in two places are one item: whoever counts must not count them twice.
	type same struct {
		subject, digest                   sallyport.Digest
		kind                              Kind
		signature, certificate, timestamp string
	}
	first := map[same]int{}
	for _, r := range all {
		for _, it := range r.items {
			k := same{it.Subject, it.Digest, it.Kind, string(it.Signature), it.Certificate, it.Timestamp}
			if i, ok := first[k]; !ok {
				first[k] = len(f.res.Items)
				f.res.Items = append(f.res.Items, it)
			} else if old := &f.res.Items[i]; !strings.Contains(old.Source, it.Source) {
				old.Source += "; " + it.Source
			}
		}
		f.res.Odd = append(f.res.Odd, r.odd...)
		for _, err := range r.failed {
			f.failed(Place{Layout: attachedContent, Subject: r.subject.Digest, Name: string(r.desc.Digest)}, err)
		}
	}
}

// contents returns what an attached manifest holds about its subject.
func (s *session) contents(ctx context.Context, c candidate) (items []Item, odd []sallyport.Dropped, failed []error) {
	drop := func(d sallyport.Digest, format string, args ...any) {
		odd = append(odd, sallyport.Dropped{Attestation: d, Source: c.source, Why: fmt.Sprintf(format, args...)})
	}
	m := c.direct
	if m == nil {
		got, err := s.byDescriptor(ctx, c.desc)
		switch {
		case isGone(err):
			drop(c.desc.Digest, "it is listed, and the registry does not have it")
			return
		case errors.Is(err, errTooLarge) || errors.Is(err, errUnread):
			drop(c.desc.Digest, "%v", err)
			return
		case err != nil:
			return nil, nil, []error{err}
		}
		m = &got
	}
	switch {
	case m.isIndex():
		drop(m.digest, "it is an index, and evidence is in manifests")
		return
	case m.Subject != nil && m.Subject.Digest != c.subject.Digest:
		drop(m.digest, "it is attached to %s, and found at %s", m.Subject.Digest, c.subject.Digest)
		return
	case len(m.Layers) > MaxLayers:
		return nil, nil, []error{fmt.Errorf("it has %d layers, the limit is %d", len(m.Layers), MaxLayers)}
	case len(m.Layers) == 0:
		drop(m.digest, "it is of type %.100q and holds nothing", m.artifactType())
		return
	}
	for _, layer := range m.Layers {
		kind := kindOf(layer.MediaType, m.ArtifactType)
		if kind == Unknown {
			drop(layer.Digest, "%.100q in a manifest of type %.100q is no evidence that is read here", layer.MediaType, m.artifactType())
			continue
		}
		if layer.Size > evidence.MaxBundle {
			drop(layer.Digest, "%v: it has %d bytes, the limit is %d", errTooLarge, layer.Size, evidence.MaxBundle)
			continue
		}
		raw, err := s.blob(ctx, layer)
		if isGone(err) {
			drop(layer.Digest, "it is listed, and the registry does not have it")
			continue
		} else if err != nil {
			failed = append(failed, err)
			continue
		}
		it, err := newItem(kind, layer, raw, c.subject.Digest)
		if err != nil {
			drop(layer.Digest, "%v", err)
			continue
		}
		it.Platform, it.Manifest, it.Layout, it.Source = c.subject.Platform, m.digest, c.layout, c.source
		items = append(items, it)
	}
	return items, odd, failed
}

func isGone(err error) bool {
	var se statusError
	return errors.As(err, &se) && se.status == http.StatusNotFound
}

// blob fetches the content that d names.
func (s *session) blob(ctx context.Context, d descriptor) ([]byte, error) {
	a, err := s.do(ctx, request{method: http.MethodGet, path: s.url("blobs", string(d.Digest)), limit: evidence.MaxBundle})
	switch {
	case err != nil:
		return nil, err
	case a.status != http.StatusOK:
		return nil, a.fail()
	}
	return a.body, d.check(a.body)
}
