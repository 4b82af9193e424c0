package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// tamper answers the requests that match itself, and leaves the rest to the registry.
func tamper(match func(*http.Request) bool, answer http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if match(r) {
				answer(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func getOf(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == http.MethodGet && strings.Contains(r.URL.Path, part) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// A place that cannot be looked at makes the result incomplete, whatever was found elsewhere; the
// twin without the fault is complete.
func TestIncomplete(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(3 * time.Second):
		}
	}
	page := func(body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", typeIndex)
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			io.WriteString(w, body)
		}
	}
	const empty = `{"schemaVersion":2,"mediaType":"` + typeIndex + `","manifests":[]}`
	for _, c := range []struct {
		name   string
		match  func(*http.Request) bool
		answer http.HandlerFunc
		want   string
	}{
		{"no fault", func(*http.Request) bool { return false }, nil, ""},
		{"the API answers 500", getOf("/referrers/"), status(500), "500"},
		{"the API answers 403", getOf("/referrers/"), status(403), "403"},
		{"the API answers 429", getOf("/referrers/"), status(429), "429"},
		{"a tag answers 500", getOf(".att"), status(500), "500"},
		{"a tag answers 401", getOf(".sig"), status(401), "401"},
		{"the API does not answer", getOf("/referrers/"), slow, "in time"},
		{"a tag does not answer", getOf(".sbom"), slow, "in time"},
		{"an unasked filter", getOf("/referrers/"), page(empty, "OCI-Filters-Applied", "artifactType"), "filtered"},
		{"no JSON", getOf("/referrers/"), page("<html>"), "cannot be read"},
		{"a key twice", getOf("/referrers/"), page(strings.Replace(empty, "{", `{"manifests":[{}],`, 1)), "twice"},
		{"no index", getOf("/referrers/"), page(`{"schemaVersion":2,"mediaType":"`+typeManifest+`","layers":[]}`, "Content-Type", typeManifest), "no index"},
		{"too long", getOf("/referrers/"), page(empty + strings.Repeat(" ", MaxManifest)), "more than 4194304 bytes"},
		{"pages without end", getOf("/referrers/"), func() http.HandlerFunc {
			var n atomic.Int64
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", fmt.Sprintf(`<%s?n=%d>; rel="next"`, r.URL.Path, n.Add(1)))
				page(empty)(w, r)
			}
		}(), "pages"},
		{"a page that is its own next", getOf("/referrers/"), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<`+r.URL.RequestURI()+`>; rel="next"`)
			page(empty)(w, r)
		}, "pages"},
		{"the next page at another host", getOf("/referrers/"), page(empty, "Link", `<https://registry.example.net/v2/team/app/referrers/x>; rel=next`), "not where it is"},
		{"the next page at another path", getOf("/referrers/"), page(empty, "Link", `</v2/other/app/referrers/x>; rel="next"`), "is said to be at"},
		{"a Link header that cannot be read", getOf("/referrers/"), page(empty, "Link", `</v2/team/app/referrers/x; rel="next"`), "Link header"},
		{"an index that cannot be read at the tag", func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/sha256-") && !strings.Contains(r.URL.Path, ".")
		}, page(`{"schemaVersion":2,"manifests":7}`), "no list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, true, tamper(c.match, c.answer))
			image := f.image("v1", "content")
			f.put(cosignTag(digestOf(image), "att"), f.attached(nil, "", f.blob(bundleType03, f.bundle(digestOf(image)), nil)))
			o := quick
			if c.want == "in time" {
				o.Timeout = 300 * time.Millisecond
			}
			r, err := Find(context.Background(), f.ref, o)
			if c.want == "" {
				if err != nil || len(r.Items) != 1 {
					t.Fatalf("%v, %d items", err, len(r.Items))
				}
				return
			}
			if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
			failed := 0
			for _, p := range r.Places {
				if p.Outcome == Failed {
					failed++
				}
			}
			if failed != 1 || len(r.Places) != 5 {
				t.Errorf("%d failed of %d places: %v", failed, len(r.Places), r.Places)
			}
		})
	}
}

// Whoever changes a byte of what has been asked for by digest is caught, wherever it is.
func TestLies(t *testing.T) {
	edit := func(match func(*http.Request) bool, change func([]byte) []byte) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !match(r) {
					next.ServeHTTP(w, r)
					return
				}
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				b := change(rec.Body.Bytes())
				w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
				w.WriteHeader(rec.Code)
				w.Write(b)
			})
		}
	}
	space := func(b []byte) []byte { return append(bytes.Clone(b), ' ') }
	flip := func(b []byte) []byte { return bytes.Replace(b, []byte("v0.3"), []byte("v0.4"), 1) }
	var image, manifest, blob string
	for _, c := range []struct {
		name   string
		match  func(*http.Request) bool
		change func([]byte) []byte
	}{
		{"the image, by digest", func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/"+image) }, space},
		{"the attached manifest", func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/"+manifest) }, flip},
		{"its length", func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/"+manifest) }, space},
		{"the bundle", func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/blobs/"+blob) }, flip},
		{"the bundle, cut short", func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/blobs/"+blob) }, func(b []byte) []byte { return b[:len(b)/2] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			image, manifest, blob = "none", "none", "none"
			f := newFixture(t, true, edit(func(r *http.Request) bool { return r.Method == http.MethodGet && c.match(r) }, c.change))
			i := f.image("v1", "content")
			raw := f.bundle(digestOf(i))
			m := f.put("", bundleAs(bundleType03, bundleType03)(f, i))
			if r := f.find(f.ref.at(digestOf(i))); f.verified(r.Items) != 1 {
				t.Fatalf("nobody lies, and nothing is found: %+v", r)
			}
			image, manifest, blob = string(digestOf(i)), string(digestOf(m)), string(sallyport.SHA256(raw))
			r, err := Find(context.Background(), f.ref.at(digestOf(i)), quick)
			if !errors.Is(err, ErrDigest) || len(r.Items) != 0 {
				t.Errorf("error %v, %d items", err, len(r.Items))
			}
		})
	}
	t.Run("a tag, and another digest in the header", func(t *testing.T) {
		f := newFixture(t, true, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				for k, v := range rec.Header() {
					w.Header()[k] = v
				}
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/manifests/v1") {
					w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
				}
				w.WriteHeader(rec.Code)
				w.Write(rec.Body.Bytes())
			})
		})
		f.image("v1", "content")
		if _, err := Find(context.Background(), f.ref, quick); !errors.Is(err, ErrDigest) {
			t.Errorf("error %v", err)
		}
	})
}

// What is no evidence is told as odd, and does not make the result incomplete: anybody who may
// push could do so otherwise.
func TestOdd(t *testing.T) {
	for _, c := range []struct {
		name string
		push func(f *fixture, image object)
		want string
	}{
		{"another tool's signature", func(f *fixture, i object) {
			f.put("", f.attached(i, "application/vnd.cncf.notary.signature", f.blob("application/jose+json", []byte("{}"), nil)))
		}, "application/vnd.cncf.notary.signature"},
		{"a bundle about another image", func(f *fixture, i object) {
			f.put("", f.attached(i, bundleType03, f.blob(bundleType03, f.bundle(sallyport.SHA256([]byte("other"))), nil)))
		}, "is about"},
		{"a signature moved to another image's tag", func(f *fixture, i object) {
			p, notes := f.simple(sallyport.SHA256([]byte("other")))
			f.put(cosignTag(digestOf(i), "sig"), f.attached(nil, "", f.blob(typeSimple, p, notes)))
		}, "is about"},
		{"a payload without a signature", func(f *fixture, i object) {
			p, _ := f.simple(digestOf(i))
			f.put(cosignTag(digestOf(i), "sig"), f.attached(nil, "", f.blob(typeSimple, p, nil)))
		}, "no signature"},
		{"a member that is gone", func(f *fixture, i object) {
			f.put(fallbackTag(digestOf(i)), f.index(object{"mediaType": "application/vnd.example", "digest": sallyport.SHA256([]byte("gone")), "size": 3}))
		}, "does not have it"},
		{"a member attached to another", func(f *fixture, i object) {
			other := f.image("", "other")
			d := f.put("", bundleAs(bundleType03, bundleType03)(f, other))
			f.put(fallbackTag(digestOf(i)), f.index(d))
		}, "is attached to"},
		{"a bundle that is none", func(f *fixture, i object) {
			f.put("", f.attached(i, bundleType03, f.blob(bundleType03, []byte("{"), nil)))
		}, "cannot be read"},
		{"a layer over the limit", func(f *fixture, i object) {
			d := with(f.blob(bundleType03, []byte("{}"), nil), object{"size": 11 << 20})
			f.put("", f.attached(i, bundleType03, d))
		}, "too large"},
		{"no index at the referrers tag", func(f *fixture, i object) {
			f.put(fallbackTag(digestOf(i)), f.attached(nil, "", f.blob(bundleType03, f.bundle(digestOf(i)), nil)))
		}, "no index"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, true, nil)
			image := f.image("v1", "content")
			c.push(f, image)
			r := f.find(f.ref)
			if len(r.Items) != 0 || len(r.Odd) != 1 || !strings.Contains(r.Odd[0].Why, c.want) {
				t.Errorf("items %v, odd %+v; want %q", r.Items, r.Odd, c.want)
			}
		})
	}
}

// Pages are read to the last.
func TestPages(t *testing.T) {
	var front *fixture
	f := newFixture(t, true, nil)
	image := f.image("v1", "content")
	var list []object
	for i := range 3 {
		st := statement(digestOf(image))
		st.Predicate = fmt.Appendf(nil, `{"n":%d}`, i)
		list = append(list, f.put("", f.attached(image, bundleType03, f.blob(bundleType03, f.sign(st), nil))))
	}
	target, _ := url.Parse("http://" + f.host)
	proxy := httputil.NewSingleHostReverseProxy(target)
	front = newFixture(t, true, func(http.Handler) http.Handler {
		return tamper(getOf("/referrers/"), func(w http.ResponseWriter, r *http.Request) {
			n := len(r.URL.Query().Get("last"))
			if n < 2 {
				w.Header().Set("Link", fmt.Sprintf(`</first,page>; rel=first, <%s?with=a,b&last=%s>; title="a, b; rel=x"; rel="prev Next"`, r.URL.Path, strings.Repeat("x", n+1)))
			}
			w.Header().Set("Content-Type", typeIndex)
			b, _ := sallyport.EncodeJSON(f.index(list[n]))
			w.Write(b)
		})(proxy)
	})
	r := front.find(front.ref)
	if len(r.Items) != 3 || r.Places[0].Listed != 3 {
		t.Errorf("%d items, %v", len(r.Items), r.Places)
	}
}

func TestNotThere(t *testing.T) {
	f := newFixture(t, true, nil)
	f.image("v1", "content")
	if _, err := Find(context.Background(), f.at("v2"), quick); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	gone := Reference{Registry: "127.0.0.1:1", Repository: "team/app", Tag: "v1"}
	if _, err := Find(context.Background(), gone, quick); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Find(ctx, f.ref, quick); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// The limits of what is listed are errors, not lists cut short.
func TestTooMany(t *testing.T) {
	f := newFixture(t, true, tamper(getOf("/referrers/"), func(w http.ResponseWriter, _ *http.Request) {
		var all []object
		for i := range MaxReferrers + 1 {
			all = append(all, desc(typeManifest, []byte(fmt.Sprint(i)), nil))
		}
		b, _ := sallyport.EncodeJSON(object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": all})
		w.Write(b)
	}))
	f.image("v1", "content")
	if _, err := Find(context.Background(), f.ref, quick); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "more than 1000") {
		t.Errorf("error %v", err)
	}
	g := newFixture(t, true, nil)
	var members []object
	for i := range MaxMembers + 1 {
		members = append(members, desc("application/vnd.example", []byte(fmt.Sprint(i)), nil))
	}
	g.put("v1", g.index(members...))
	if _, err := Find(context.Background(), g.ref, quick); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "more than 200") {
		t.Errorf("error %v", err)
	}
}

// What is attached twice, in two manifests or by two ways, is one item.
func TestOnce(t *testing.T) {
	f := newFixture(t, true, nil)
	image := f.image("v1", "content")
	b := f.bundle(digestOf(image))
	layer := f.blob(bundleType03, b, nil)
	f.put("", f.attached(image, bundleType03, layer, layer))
	again := f.attached(image, "application/vnd.example", layer)
	f.put(fallbackTag(digestOf(image)), f.index(f.put("", again)))
	f.put(cosignTag(digestOf(image), "att"), f.attached(nil, "", layer))
	p, notes := f.simple(digestOf(image))
	other := object{"annotations": with(notes["annotations"].(object), object{noteSignature: "b3RoZXI="})}
	f.put(cosignTag(digestOf(image), "sig"), f.attached(nil, "", f.blob(typeSimple, p, notes), f.blob(typeSimple, p, notes), f.blob(typeSimple, p, other)))
	r := f.find(f.ref)
	kinds := map[Kind]int{}
	for _, it := range r.Items {
		kinds[it.Kind]++
	}
	if kinds[Bundle] != 1 || kinds[SimpleSigning] != 2 || len(r.Items) != 3 {
		t.Errorf("%+v", kinds)
	}
	if s := r.Items[0].Source; !strings.Contains(s, ReferrersAPI) || !strings.Contains(s, AttestationTag) {
		t.Errorf("source %q", s)
	}
}

// An image that was signed more often than is read is no image with fewer signatures.
func TestTooManyLayers(t *testing.T) {
	f := newFixture(t, true, nil)
	image := f.image("v1", "content")
	p, notes := f.simple(digestOf(image))
	layer := f.blob(typeSimple, p, notes)
	layers := make([]object, MaxLayers+1)
	for i := range layers {
		layers[i] = layer
	}
	f.put(cosignTag(digestOf(image), "sig"), f.attached(nil, "", layers...))
	if _, err := Find(context.Background(), f.ref, quick); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "1001 layers") {
		t.Errorf("error %v", err)
	}
}

// A registry that is busy is asked again, twice, when it says; whoever writes is told.
func TestBusy(t *testing.T) {
	for _, c := range []struct {
		name  string
		times int64
		after string
		ok    bool
	}{
		{"once", 1, "", true}, {"twice", 2, "0", true}, {"three times", 3, "", false}, {"for an hour", 1, "3600", false}, {"until a date", 2, "Fri, 01 Jan 2100 00:00:00 GMT", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int64
			f := newFixture(t, true, tamper(func(r *http.Request) bool { return getOf(".att")(r) && n.Add(1) <= c.times }, func(w http.ResponseWriter, _ *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			}))
			f.image("v1", "content")
			if _, err := Find(context.Background(), f.ref, quick); (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

// Any other host is spoken to over TLS, and who it is is checked.
func TestTLS(t *testing.T) {
	plain := newFixture(t, true, nil)
	image := plain.image("v1", "content")
	plain.put("", bundleAs(bundleType03, bundleType03)(plain, image))
	target, _ := url.Parse("http://" + plain.host)
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewUnstartedServer(proxy)
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	defer front.Close()
	ref := Reference{Registry: "example.com", Repository: "team/app", Tag: "v1"}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, front.Listener.Addr().String())
	}
	known := front.Client().Transport.(*http.Transport).Clone() // its certificate is for example.com
	known.DialContext = dial
	o := quick
	o.Transport = known
	if r, err := Find(context.Background(), ref, o); err != nil || len(r.Items) != 1 {
		t.Errorf("%v, %+v", err, r.Items)
	}
	stranger := transport().(byScheme)
	secure := stranger.secure.(*http.Transport)
	secure.DialContext, secure.Proxy = dial, nil
	o.Transport = stranger
	if _, err := Find(context.Background(), ref, o); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody knows: %v", err)
	}
}
