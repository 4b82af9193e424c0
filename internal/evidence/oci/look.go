package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport-dev/sallyport"
)

// look asks every place of every subject, and returns what they list.
func (f *finder) look(ctx context.Context) []candidate {
	type lookup struct {
		subject Subject
		place   Place
		list    []descriptor
		direct  *fetched
		err     error
	}
	var all []*lookup
	for _, sub := range f.res.Subjects {
		add := func(layout, name string) {
			if name != "" {
				all = append(all, &lookup{subject: sub, place: Place{Layout: layout, Subject: sub.Digest, Name: name}})
			}
		}
		add(ReferrersAPI, string(sub.Digest))
		add(ReferrersTag, fallbackTag(sub.Digest))
		add(SignatureTag, cosignTag(sub.Digest, "sig"))
		add(AttestationTag, cosignTag(sub.Digest, "att"))
		add(SBOMTag, cosignTag(sub.Digest, "sbom"))
	}
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, l := range all {
		g.Go(func() error {
			if l.place.Layout == ReferrersAPI {
				l.list, l.place.Status, l.err = f.s.referrers(ctx, l.subject.Digest)
			} else {
				l.direct, l.place.Status, l.err = f.s.tag(ctx, l.place.Name)
			}
			return nil
		})
	}
	_ = g.Wait()
	var out []candidate
	for _, l := range all {
		p := l.place
		src := source(p.Layout, p.Name)
		switch {
		case errors.Is(l.err, errUnread) && p.Layout != ReferrersTag:
			p.Outcome = Answered
			f.odd("", src, "%v", l.err)
		case l.err != nil:
			f.failed(p, l.err)
			continue
		case p.Layout == ReferrersAPI && p.Status != http.StatusOK:
			p.Outcome = NotOffered
		case p.Status != http.StatusOK:
			p.Outcome = Absent
		case p.Layout == ReferrersTag && !l.direct.isIndex():
			p.Outcome = Answered
			f.odd(l.direct.digest, src, "the tag leads to no index, but to %s", l.direct.MediaType)
		case p.Layout == ReferrersTag:
			p.Outcome, l.list = Answered, l.direct.Members
		case p.Layout != ReferrersAPI:
			p.Outcome, p.Listed = Answered, 1
			out = append(out, candidate{subject: l.subject, layout: p.Layout, source: src, direct: l.direct, desc: descriptor{Digest: l.direct.digest}})
		default:
			p.Outcome = Answered
		}
		if l.list != nil {
			p.Listed = len(l.list)
		}
		for _, d := range l.list {
			out = append(out, candidate{subject: l.subject, layout: p.Layout, source: src, desc: d})
		}
		f.res.Places = append(f.res.Places, p)
	}
	return out
}

// tag fetches what a tag leads to. A tag that does not exist is a status of 404 and no error.
func (s *session) tag(ctx context.Context, name string) (*fetched, int, error) {
	a, err := s.do(ctx, request{method: http.MethodGet, path: s.url("manifests", name), header: http.Header{"Accept": {accepted}}, limit: MaxManifest})
	switch {
	case err != nil:
		return nil, 0, err
	case a.status == http.StatusNotFound:
		return nil, a.status, nil
	case a.status != http.StatusOK:
		return nil, a.status, a.fail()
	}
	m, err := open(a, "")
	if err != nil && !errors.Is(err, ErrDigest) {
		err = fmt.Errorf("%w: %w", errUnread, err)
	}
	return &m, a.status, err
}

// referrers asks the referrers API for all pages. A status other than 200 without an error says
// that the registry has none: some answer so otherwise than by the 404 that OCI asks for.
func (s *session) referrers(ctx context.Context, d sallyport.Digest) ([]descriptor, int, error) {
	list := []descriptor{}
	path := s.url("referrers", string(d))
	seen := map[string]bool{}
	for page := 0; path != ""; page++ {
		if seen[path] || page >= MaxPages {
			return nil, http.StatusOK, fmt.Errorf("the list of referrers has more than %d pages, or none that is the last", MaxPages)
		}
		seen[path] = true
		a, err := s.do(ctx, request{method: http.MethodGet, path: path, header: http.Header{"Accept": {typeIndex}}, limit: MaxManifest})
		if err != nil {
			return nil, 0, err
		}
		switch a.status {
		case http.StatusOK:
		case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
			if page == 0 {
				return nil, a.status, nil
			}
			return nil, a.status, a.fail()
		default:
			return nil, a.status, a.fail()
		}
		if applied := a.header.Get("OCI-Filters-Applied"); applied != "" {
			return nil, a.status, fmt.Errorf("the registry has filtered the list by %.60q, and nobody asked it to", applied)
		}
		m, err := parseManifest(a.body, a.header.Get("Content-Type"))
		if err != nil {
			return nil, a.status, err
		}
		if !m.isIndex() {
			return nil, a.status, errors.New("the list of referrers is no index")
		}
		list = append(list, m.Members...)
		if len(list) > MaxReferrers {
			return nil, a.status, fmt.Errorf("more than %d referrers are listed", MaxReferrers)
		}
		next, err := nextPage(a.header.Values("Link"))
		if err != nil {
			return nil, a.status, err
		}
		if next == "" {
			break
		}
		u, err := s.resolve(s.origin+path, next)
		if err != nil {
			return nil, a.status, err
		}
		if u.EscapedPath() != s.url("referrers", string(d)) {
			return nil, a.status, fmt.Errorf("the next page of referrers is said to be at %.100q", u.Path)
		}
		path = u.RequestURI()
	}
	return list, http.StatusOK, nil
}

// nextPage reads the target of the Link header (RFC 8288) whose relation is next. A header that
// cannot be read is an error: it may have said that there is more.
func nextPage(values []string) (string, error) {
	bad := errors.New("the registry's Link header, which may lead to more referrers, cannot be read")
	for _, s := range values {
		for s = strings.TrimLeft(s, " \t,"); s != ""; s = strings.TrimLeft(s, " \t,") {
			target, rest, ok := strings.Cut(s, ">")
			if !ok || !strings.HasPrefix(target, "<") {
				return "", bad
			}
			next := false
			for s = strings.TrimLeft(rest, " \t"); strings.HasPrefix(s, ";"); s = strings.TrimLeft(s, " \t") {
				var name, value string
				name, s = cutToken(strings.TrimLeft(s[1:], " \t"))
				s = strings.TrimLeft(s, " \t")
				if strings.HasPrefix(s, "=") {
					if value, s, ok = cutValue(strings.TrimLeft(s[1:], " \t")); !ok {
						return "", bad
					}
				}
				next = next || strings.EqualFold(name, "rel") && slices.ContainsFunc(strings.Fields(value), func(r string) bool { return strings.EqualFold(r, "next") })
			}
			if s != "" && s[0] != ',' {
				return "", bad
			}
			if !next {
				continue
			}
			if _, err := url.Parse(target[1:]); err != nil || target == "<" {
				return "", bad
			}
			return target[1:], nil
		}
	}
	return "", nil
}
