//go:build peers

package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/test/scene"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	signType    = "https://sigstore.dev/cosign/sign/v1" // what cosign 3 states when it signs an image
)

// distribution starts the CNCF's registry, built from the versions that test/peers/distribution
// pins, and returns its host. SALLYPORT_REGISTRY names one that is built already.
func distribution(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SALLYPORT_REGISTRY")
	if path == "" {
		path = filepath.Join(t.TempDir(), "registry")
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "github.com/distribution/distribution/v3/cmd/registry")
		build.Dir = filepath.Join("..", "peers", "distribution")
		if out, err := build.CombinedOutput(); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("build distribution: %v\n%s", err, out)
			}
			t.Skipf("distribution cannot be built here: %v: %s", err, lastLine(out))
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := write(t, dir, "config.yml", fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", filepath.Join(dir, "data"), host))
	cmd := exec.Command(path, "serve", config)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 200 {
		if resp, err := http.Get("http://" + host + "/v2/"); err == nil {
			resp.Body.Close()
			return host
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the registry does not answer\n%s", said.String())
	return ""
}

// withReferrers starts a registry in this process that has the referrers API.
func withReferrers(t *testing.T) string {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func send(t *testing.T, method, address, contentType string, b []byte) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, address, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if out, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s", method, address, resp.Status, out)
	}
	return resp
}

func pushBlob(t *testing.T, host, mediaType string, b []byte) map[string]any {
	t.Helper()
	base := "http://" + host + "/v2/team/app/blobs/uploads/"
	resp := send(t, http.MethodPost, base, "", nil)
	u, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("digest", string(sallyport.SHA256(b)))
	u.RawQuery = q.Encode()
	send(t, http.MethodPut, u.String(), "application/octet-stream", b)
	return map[string]any{"mediaType": mediaType, "digest": sallyport.SHA256(b), "size": len(b)}
}

func pushManifest(t *testing.T, host, tag, mediaType string, m map[string]any) map[string]any {
	t.Helper()
	m["schemaVersion"], m["mediaType"] = 2, mediaType
	b, err := sallyport.EncodeJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	d := sallyport.SHA256(b)
	if tag == "" {
		tag = string(d)
	}
	send(t, http.MethodPut, "http://"+host+"/v2/team/app/manifests/"+url.PathEscape(tag), mediaType, b)
	return map[string]any{"mediaType": mediaType, "digest": d, "size": len(b)}
}

func pushImage(t *testing.T, host, tag, arch string) map[string]any {
	t.Helper()
	config := []byte(`{"architecture":"` + arch + `","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Labels":{"of":"a test"}}}`)
	return pushManifest(t, host, tag, ociManifest, map[string]any{"config": pushBlob(t, host, "application/vnd.oci.image.config.v1+json", config), "layers": []any{}})
}

// A foundImage is what evidence find --json prints, as far as it is looked at here.
type foundImage struct {
	Complete bool
	Items    []struct {
		Kind, Subject, Layout, Source string
		Saved                         []string
		PredicateType                 string `json:"predicate_type"`
		Signature                     []byte
	}
	Odd    []sallyport.Dropped
	Places []struct{ Layout, Outcome string }
}

func findImage(t *testing.T, s *scene.Scene, image string) foundImage {
	t.Helper()
	r := s.Sallyport("evidence", "find", image, "--json", "--save", t.TempDir())
	var f foundImage
	if err := json.Unmarshal([]byte(r.Stdout), &f); err != nil || !f.Complete {
		t.Fatalf("find %s: %v, %v", image, r, err)
	}
	return f
}

// Images signed by cosign, in both of its formats, are found and verify; what we attach cosign
// finds and verifies; in a registry with the referrers API and in a real one without it.
func TestRegistries(t *testing.T) {
	c := newCosign(t)
	for name, start := range map[string]func(*testing.T) string{"distribution, no referrers API": distribution, "with the referrers API": withReferrers} {
		t.Run(name, func(t *testing.T) {
			s := scene.New(t, scene.Options{})
			host := start(t)
			image := pushImage(t, host, "v1", "amd64")
			digest := string(image["digest"].(sallyport.Digest))
			ref := host + "/team/app@" + digest
			predicate := write(t, s.Dir, "predicate.json", `{"built":true}`)
			config := filepath.Join(s.Dir, "signing.json")
			c.must("signing-config", "create", "--out", config)
			theirs, ours := filepath.Join(s.Dir, "theirs"), filepath.Join(s.Dir, "ours")
			c.must("generate-key-pair", "--output-key-prefix", theirs)
			s.Must("key", "generate", ours)

			// Before anything is signed there is nothing, and each place has said so.
			if f := findImage(t, s, ref); len(f.Items)+len(f.Odd) != 0 || len(f.Places) != 5 {
				t.Fatalf("%+v", f)
			}

			const typ = "https://example.com/built/v1"
			c.must("attest", "--yes", "--allow-http-registry", "--key", theirs+".key", "--signing-config", config, "--predicate", predicate, "--type", typ, ref)
			c.must("sign", "--yes", "--allow-http-registry", "--key", theirs+".key", "--signing-config", config, ref)
			bundle := filepath.Join(s.Dir, "bundle.json")
			const ourType = "https://example.com/ours/v1"
			s.Must("attest", digest, "--repo", s.Repo, "--type", ourType, "--predicate", predicate, "--key", ours, "--bundle", bundle)
			s.Must("evidence", "attach", host+"/team/app:v1", "--bundle", bundle)
			s.Must("evidence", "attach", host+"/team/app:v1", "--bundle", bundle)

			f := findImage(t, s, host+"/team/app:v1")
			if len(f.Items) != 3 || len(f.Odd) != 0 {
				t.Fatalf("%d items: %+v", len(f.Items), f)
			}
			for _, it := range f.Items {
				key, other := theirs+".pub", ours+".pub"
				if it.PredicateType == ourType {
					key, other = other, key
				}
				verify := func(subject, key string) scene.Result {
					return s.Sallyport("verify", subject, "--repo", s.Repo, "--bundle", it.Saved[0], "--key", key, "--type", it.PredicateType)
				}
				if r := verify(it.Subject, key); it.Kind != "bundle" || it.Subject != digest || r.Status != 0 {
					t.Errorf("%+v: %v", it, r)
				}
				if r := verify(it.Subject, other); r.Status != sallyport.ExitShut {
					t.Errorf("%+v, under another key: %v", it, r)
				}
				if r := verify("sha256:"+strings.Repeat("0", 64), key); r.Status != sallyport.ExitShut {
					t.Errorf("%+v, for another image: %v", it, r)
				}
			}
			check := func(name string, want bool, args ...string) {
				t.Helper()
				if status, out := c.run(append(args, "--allow-http-registry", "--insecure-ignore-tlog", ref)...); (status == 0) != want {
					t.Errorf("%s: cosign's status is %d\n%s", name, status, out)
				}
			}
			check("ours", true, "verify-attestation", "--key", ours+".pub", "--type", ourType)
			check("ours, under another key", false, "verify-attestation", "--key", theirs+".pub", "--type", ourType)
			check("ours, as another type", false, "verify-attestation", "--key", ours+".pub", "--type", otherType)
			check("theirs, after ours was attached", true, "verify-attestation", "--key", theirs+".pub", "--type", typ)
			check("their signature, after ours was attached", true, "verify", "--key", theirs+".pub")

			// An image that we sign verifies with cosign, and one that cosign signs with us.
			s.Must("sign", "oci:"+ref, "--key", ours)
			check("our signature", true, "verify", "--key", ours+".pub")
			s.Must("verify", "oci:"+ref, "--key", ours+".pub")
			s.Must("verify", "oci:"+ref, "--key", theirs+".pub")
			s.Must("verify", "oci:"+ref, "--key", theirs+".pub", "--type", typ)
			if r := s.Sallyport("verify", "oci:"+ref, "--key", theirs+".pub", "--type", ourType); r.Status != sallyport.ExitShut {
				t.Errorf("theirs, as our type: %v", r)
			}

			testOlderCosign(t, c, s, host, theirs)
			testIndex(t, c, s, host, theirs, config)
		})
	}
}

// testOlderCosign signs as cosign did before version 3.
func testOlderCosign(t *testing.T, c cosign, s *scene.Scene, host, key string) {
	image := pushImage(t, host, "older", "arm64")
	digest := string(image["digest"].(sallyport.Digest))
	ref := host + "/team/app@" + digest
	old := []string{"--yes", "--allow-http-registry", "--key", key + ".key", "--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"}
	c.must(append(append([]string{"sign"}, old...), ref)...)
	predicate := write(t, s.Dir, "older.json", `{"built":true}`)
	c.must(append(append([]string{"attest", "--predicate", predicate, "--type", "https://example.com/built/v1"}, old...), ref)...)
	f := findImage(t, s, ref)
	if len(f.Items) != 2 || len(f.Odd) != 0 {
		t.Fatalf("%+v", f)
	}
	s.Must("verify", "oci:"+ref, "--key", key+".pub")
	s.Must("verify", "oci:"+ref, "--key", key+".pub", "--type", "https://example.com/built/v1")
	if r := s.Sallyport("verify", "oci:"+host+"/team/app:v1", "--key", key+".pub", "--type", otherType); r.Status != sallyport.ExitShut {
		t.Errorf("as another type: %v", r)
	}
	pub := publicKey(t, key+".pub")
	for _, it := range f.Items {
		raw, err := os.ReadFile(it.Saved[1])
		if err != nil {
			t.Fatal(err)
		}
		message, sig, want := raw, it.Signature, "signature tag"
		if it.Kind == "dsse" {
			want = "attestation tag"
			e, err := dsse.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			message, sig = e.PAE(), e.Signature
			verify := func(key string) scene.Result {
				return s.Sallyport("verify", digest, "--repo", s.Repo, "--bundle", it.Saved[0], "--key", key, "--type", it.PredicateType)
			}
			if r := verify(key + ".pub"); r.Status != 0 {
				t.Errorf("the envelope, as a bundle: %v", r)
			}
			if r := verify(filepath.Join(s.Dir, "ours.pub")); r.Status != sallyport.ExitShut {
				t.Errorf("the envelope, as a bundle, under another key: %v", r)
			}
		} else {
			if b, err := os.ReadFile(it.Saved[2]); err != nil || string(b) != base64.StdEncoding.EncodeToString(sig) {
				t.Errorf("the saved signature: %q, %v", b, err)
			}
			c.must("verify-blob", "--key", key+".pub", "--insecure-ignore-tlog", "--signature", it.Saved[2], it.Saved[1])
		}
		sum := sha256.Sum256(message)
		if it.Layout != want || it.Subject != digest || !ecdsa.VerifyASN1(pub, sum[:], sig) {
			t.Errorf("%+v does not verify as from the %s", it, want)
		}
	}
}

func publicKey(t *testing.T, file string) *ecdsa.PublicKey {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("%s holds no key", file)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ecdsa.PublicKey)
}

// testIndex has cosign sign an index and each of its members, one after another: every signature
// is found at its own digest.
func testIndex(t *testing.T, c cosign, s *scene.Scene, host, key, config string) {
	var members []map[string]any
	for _, arch := range []string{"riscv64", "s390x"} {
		m := pushImage(t, host, "", arch)
		m["platform"] = map[string]any{"os": "linux", "architecture": arch}
		members = append(members, m)
	}
	index := pushManifest(t, host, "many", ociIndex, map[string]any{"manifests": members})
	ref := host + "/team/app@" + string(index["digest"].(sallyport.Digest))
	c.must("sign", "--yes", "--allow-http-registry", "--recursive", "--key", key+".key", "--signing-config", config, ref)
	f := findImage(t, s, host+"/team/app:many")
	count := map[string]int{}
	for _, it := range f.Items {
		if it.PredicateType == signType {
			count[it.Subject]++
		}
	}
	for _, d := range append(members, index) {
		if n := count[string(d["digest"].(sallyport.Digest))]; n != 1 {
			t.Errorf("%d signatures of %v, want 1: %+v", n, d["digest"], f.Items)
		}
	}
	if len(f.Items) != 3 || len(f.Odd) != 0 {
		t.Errorf("%+v", f)
	}
}
