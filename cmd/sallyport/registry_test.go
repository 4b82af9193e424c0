package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-dev/sallyport"
)

// registries starts a registry in this process with the image team/app:v1, and says in $IMAGE
// where it is, in $DIGEST what it is, and in $REGISTRY its host. The kinds are:
//
//	referrers  with the referrers API of OCI 1.1
//	plain      without it
//	broken     as referrers, and the tags of attestations answer 500
//	lying      as referrers, and what is asked for by digest has a space at its end
//	private    as plain, for who knows the user ada and the pass word "open"
func registries(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: registry KIND")
	}
	kind := args[0]
	var ready atomic.Bool // the image stands: from here on the registry is what its kind says
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(kind == "referrers" || kind == "broken" || kind == "lying"))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		switch {
		case !ready.Load():
		case kind == "broken" && strings.HasSuffix(r.URL.Path, ".att"):
			w.WriteHeader(http.StatusInternalServerError)
			return
		case kind == "lying" && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/sha256:"):
			rec := httptest.NewRecorder()
			inner.ServeHTTP(rec, r)
			w.Write(append(rec.Body.Bytes(), ' '))
			return
		case kind == "private" && (user != "ada" || pass != "open"):
			w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	send := func(method, path string, b []byte) {
		req, err := http.NewRequest(method, s.URL+"/v2/team/app/"+path, bytes.NewReader(b))
		ts.Check(err)
		req.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		if strings.HasSuffix(path, "/many") {
			req.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		}
		resp, err := http.DefaultClient.Do(req)
		ts.Check(err)
		resp.Body.Close()
		if resp.StatusCode >= 300 {
			ts.Fatalf("%s %s: %s", method, path, resp.Status)
		}
	}
	config := []byte(`{"image":"of a test"}`)
	manifest, err := sallyport.EncodeJSON(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []any{},
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sallyport.SHA256(config), "size": len(config)},
	})
	ts.Check(err)
	send(http.MethodPost, "blobs/uploads/?digest="+string(sallyport.SHA256(config)), config)
	many, err := sallyport.EncodeJSON(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{map[string]any{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": sallyport.SHA256(manifest), "size": len(manifest),
			"platform": map[string]any{"os": "linux", "architecture": "arm64"},
		}},
	})
	ts.Check(err)
	send(http.MethodPut, "manifests/v1", manifest)
	send(http.MethodPut, "manifests/many", many)
	ready.Store(true)
	host := strings.TrimPrefix(s.URL, "http://")
	ts.Setenv("REGISTRY", host)
	ts.Setenv("IMAGE", host+"/team/app:v1")
	ts.Setenv("DIGEST", string(sallyport.SHA256(manifest)))
	ts.Setenv("MANY", string(sallyport.SHA256(many)))
}
