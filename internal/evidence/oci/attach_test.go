package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// What is attached is found, with its type, by the API or by the tag; doing it again changes
// nothing.
func TestAttach(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		t.Run(fmt.Sprintf("referrers API %t", referrers), func(t *testing.T) {
			f := newFixture(t, referrers, nil)
			image := f.image("v1", "content")
			want := ReferrersTag
			if referrers {
				want = ReferrersAPI
			}
			var first Attached
			for i := range 2 {
				a, err := Attach(context.Background(), f.ref, f.bundle(digestOf(image)), quick)
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = a
				}
				if a.Layout != want || a.Manifest != first.Manifest || a.Known != (!referrers && i == 1) || a.Subject != digestOf(image) {
					t.Errorf("attached %+v, first %+v", a, first)
				}
			}
			r := f.find(f.ref)
			if len(r.Items) != 1 || f.verified(r.Items) != 1 || r.Items[0].Layout != want || r.Items[0].Manifest != first.Manifest {
				t.Errorf("%+v", r)
			}
			if referrers {
				return
			}
			s := newSession(f.ref, quick, "pull")
			index, _, err := s.tag(context.Background(), first.Tag)
			if err != nil || len(index.Members) != 1 || index.Members[0].ArtifactType != bundleType03 || index.Members[0].MediaType != typeManifest {
				t.Errorf("index %+v, %v", index, err)
			}
		})
	}
}

// What others have put into the index stays as it is, fields and types that nobody knows included.
func TestAttachKeepsOthers(t *testing.T) {
	f := newFixture(t, false, nil)
	image := f.image("v1", "content")
	strange := f.blob("application/vnd.example.strange", []byte("strange"), object{"urls": []string{"https://example.com/<a>&b"}, "data": "c3RyYW5nZQ==", "x-own": 1.50})
	typed := with(f.put("", bundleAs("", bundleType03)(f, image)), object{"artifactType": typeEmpty, "annotations": object{"by": "another"}})
	f.put(fallbackTag(digestOf(image)), with(f.index(strange, typed), object{"annotations": object{"index": "kept"}, "x-index": []int{1}}))
	a, err := Attach(context.Background(), f.ref, f.bundle(digestOf(image)), quick)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(f.ref, quick, "pull")
	got, _, err := s.tag(context.Background(), a.Tag)
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests   []json.RawMessage `json:"manifests"`
		Annotations map[string]string `json:"annotations"`
		Own         []int             `json:"x-index"`
	}
	if err := json.Unmarshal(got.raw, &index); err != nil || len(index.Manifests) != 3 || index.Annotations["index"] != "kept" || len(index.Own) != 1 {
		t.Fatalf("%v: %s", err, got.raw)
	}
	for i, want := range []object{strange, typed} {
		w, _ := sallyport.EncodeJSON(want)
		if !sameJSON(index.Manifests[i], w) {
			t.Errorf("member %d: %s, want %s", i, index.Manifests[i], w)
		}
	}
	// Ours, listed without its type by a client that did not know it, gets the type.
	f.put(a.Tag, f.index(strange, desc(typeManifest, nil, object{"digest": a.Manifest, "size": manifestSize(t, f, a.Manifest)})))
	if a, err = Attach(context.Background(), f.ref, f.bundle(digestOf(image)), quick); err != nil || a.Known {
		t.Fatal(a, err)
	}
	if got, _, err = s.tag(context.Background(), a.Tag); err != nil || len(got.Members) != 2 || got.Members[1].ArtifactType != bundleType03 {
		t.Errorf("%+v, %v", got, err)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

func manifestSize(t *testing.T, f *fixture, d sallyport.Digest) int64 {
	t.Helper()
	m, err := newSession(f.ref, quick, "pull").manifest(context.Background(), string(d), d)
	if err != nil {
		t.Fatal(err)
	}
	return m.size
}

// Writers at once lose nothing, with conditional writes and without.
func TestAttachTogether(t *testing.T) {
	for _, conditional := range []bool{true, false} {
		t.Run(fmt.Sprintf("conditions %t", conditional), func(t *testing.T) {
			f := newFixture(t, false, func(next http.Handler) http.Handler {
				if conditional {
					return conditions(next)
				}
				return next
			})
			image := f.image("v1", "content")
			const writers = 6
			var wg sync.WaitGroup
			errs := make([]error, writers)
			for i := range writers {
				st := statement(digestOf(image))
				st.Predicate = json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))
				b := f.sign(st)
				wg.Add(1)
				go func() {
					defer wg.Done()
					o := quick
					o.Settle = 200 * time.Millisecond
					_, errs[i] = Attach(context.Background(), f.ref, b, o)
				}()
			}
			wg.Wait()
			for _, err := range errs {
				if err != nil {
					t.Error(err)
				}
			}
			if r := f.find(f.ref); f.verified(r.Items) != writers {
				t.Errorf("%d of %d are found", f.verified(r.Items), writers)
			}
		})
	}
}

// conditions makes a registry honour If-Match and If-None-Match, as RFC 9110 has them.
func conditions(next http.Handler) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		current := func() (string, *httptest.ResponseRecorder) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, r.URL.String(), nil))
			if rec.Code != http.StatusOK {
				return "", rec
			}
			return `"` + string(sallyport.SHA256(rec.Body.Bytes())) + `"`, rec
		}
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			etag, _ := current()
			if m := r.Header.Get("If-Match"); m != "" && m != etag || r.Header.Get("If-None-Match") == "*" && etag != "" {
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
		}
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			if etag, _ := current(); etag != "" {
				w.Header().Set("ETag", etag)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// What is refused leaves nothing behind in the index.
func TestAttachRefuses(t *testing.T) {
	f := newFixture(t, false, nil)
	image := f.image("v1", "content")
	good := f.bundle(digestOf(image))
	for name, c := range map[string]struct {
		bundle []byte
		want   string
	}{
		"another image's bundle": {f.bundle(sallyport.SHA256([]byte("other"))), "is about"},
		"no bundle":              {[]byte(`{}`), "no Sigstore bundle"},
		"an envelope":            {f.envelope(digestOf(image)), "no Sigstore bundle"},
		"no JSON":                {[]byte("{"), "cannot be read"},
		"a key twice":            {[]byte(strings.Replace(string(good), "{", `{"mediaType":"x",`, 1)), "twice"},
		"too long":               {make([]byte, 11<<20), "the limit is"},
	} {
		if _, err := Attach(context.Background(), f.ref, c.bundle, quick); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if r := f.find(f.ref); len(r.Items)+len(r.Odd) != 0 {
		t.Errorf("left behind: %+v", r)
	}
}

// A registry that fails half-way, or does not list what it took, is an error that says what is
// there by then.
func TestAttachFails(t *testing.T) {
	put := func(part string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Method == http.MethodPut && strings.Contains(r.URL.Path, part) }
	}
	for _, c := range []struct {
		name   string
		match  func(*http.Request) bool
		answer http.HandlerFunc
		want   string
	}{
		{"uploads are refused", func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.RawQuery == "" }, status(403), "push the content"},
		{"an upload elsewhere", func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.RawQuery == "" }, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://registry.example.net/upload")
			w.WriteHeader(http.StatusAccepted)
		}, "not where it is"},
		{"a write is redirected", put("/manifests/sha256:"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://registry.example.net/upload")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "not followed"},
		{"the index is refused", put("/manifests/sha256-"), func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"errors":[{"code":"DENIED","message":"no\nway"}]}`)
		}, `"DENIED", "no\nway"`},
		{"the index is taken and thrown away", put("/manifests/sha256-"), status(201), "other writers"},
		{"the API does not list it", getOf("/referrers/"), func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"schemaVersion":2,"mediaType":"`+typeIndex+`","manifests":[]}`)
		}, "does not have it"},
		{"the API fails", getOf("/referrers/"), status(500), "cannot be told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			armed := false
			f := newFixture(t, false, tamper(func(r *http.Request) bool { return armed && c.match(r) }, c.answer))
			image := f.image("v1", "content")
			armed = true
			o := quick
			o.Settle = 4 * time.Millisecond
			_, err := Attach(context.Background(), f.ref, f.bundle(digestOf(image)), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
		})
	}
}
