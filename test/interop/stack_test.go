//go:build peers

package interop

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A stack is a Sigstore instance on this machine: Fulcio, Rekor v2 on POSIX files and a timestamp
// authority, all built from the versions that test/peers pins, and an issuer of identity tokens of our
// own, which stands in for a public one.
type stack struct {
	t      *testing.T
	dir    string
	issuer string
	key    *ecdsa.PrivateKey
	root   string // trusted_root.json
	config string // the signing configuration
}

const rekorName = "rekor-local"

// build builds a server from test/peers, or takes one that is built already, which the variable names.
func build(t *testing.T, module, pkg, variable string) string {
	t.Helper()
	if p := os.Getenv(variable); p != "" {
		return p
	}
	path := filepath.Join(t.TempDir(), module)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Dir = filepath.Join("..", "peers", module)
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("build %s: %v\n%s", module, err, out)
		}
		t.Skipf("NOT TESTED: %s cannot be built here: %v: %s", module, err, lastLine(out))
	}
	return path
}

func newStack(t *testing.T) *stack {
	t.Helper()
	fulcio := build(t, "fulcio", "github.com/sigstore/fulcio", "SALLYPORT_FULCIO")
	rekor := build(t, "rekor", "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix", "SALLYPORT_REKOR")
	tsa := build(t, "tsa", "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server", "SALLYPORT_TSA")
	s := &stack{t: t, dir: t.TempDir()}
	s.serveIssuer()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	s.check(err)
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	s.check(err)
	write(t, s.dir, "rekor.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	write(t, s.dir, "fulcio.yaml", fmt.Sprintf("oidc-issuers:\n  %s:\n    issuer-url: %s\n    client-id: sigstore\n    type: email\n", s.issuer, s.issuer))
	port := func() string { return fmt.Sprint(freePort(t)) }
	fulcioPort, rekorPort, tsaPort := port(), port(), port()
	s.start(fulcio, "serve", "--host=127.0.0.1", "--port="+fulcioPort, "--grpc-host=127.0.0.1", "--grpc-port="+port(), "--metrics-port="+port(),
		"--ca=ephemeralca", "--ct-log-url=", "--config-path="+filepath.Join(s.dir, "fulcio.yaml"), "--legacy-unix-domain-socket="+filepath.Join(s.dir, "f.sock"))
	s.start(rekor, "serve", "--http-port="+rekorPort, "--grpc-port="+port(), "--http-metrics-port="+port(), "--hostname="+rekorName,
		"--storage-dir="+filepath.Join(s.dir, "rekor"), "--signer-filepath="+filepath.Join(s.dir, "rekor.pem"), "--checkpoint-interval=1s")
	s.start(tsa, "serve", "--host=127.0.0.1", "--port="+tsaPort, "--timestamp-signer=memory", "--disable-ntp-monitoring")
	local := func(port, path string) string { return "http://127.0.0.1:" + port + path }
	s.get(local(rekorPort, "/healthz"))
	var trust struct {
		Chains []struct{ Certificates []string }
	}
	s.check(json.Unmarshal(s.get(local(fulcioPort, "/api/v2/trustBundle")), &trust))
	s.writeRoot(pub, chain([]byte(strings.Join(trust.Chains[0].Certificates, ""))), chain(s.get(local(tsaPort, "/api/v1/timestamp/certchain"))),
		local(fulcioPort, ""), local(tsaPort, "/api/v1/timestamp"))
	s.writeConfig(local(fulcioPort, ""), local(rekorPort, ""), local(tsaPort, "/api/v1/timestamp"))
	return s
}

func (s *stack) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *stack) start(path string, args ...string) {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, filepath.Base(path)+".log"))
	s.check(err)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	cmd.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}
	s.check(cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if s.t.Failed() {
			if b, err := os.ReadFile(log.Name()); err == nil {
				s.t.Logf("%s:\n%s", filepath.Base(path), b[max(0, len(b)-2000):])
			}
		}
	})
}

// get asks until a server answers.
func (s *stack) get(url string) []byte {
	s.t.Helper()
	var last error
	for range 300 {
		resp, err := http.Get(url)
		if err == nil {
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && resp.StatusCode < 500 {
				return b
			}
			err = fmt.Errorf("%s: %s", resp.Status, b)
		}
		last = err
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("no answer from %s: %v", url, last)
	return nil
}

func chain(b []byte) []string {
	var out []string
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return out
		}
		out, b = append(out, base64.StdEncoding.EncodeToString(block.Bytes)), rest
	}
}

func (s *stack) writeRoot(rekor ed25519.PublicKey, fulcio, tsa []string, fulcioURL, tsaURL string) {
	s.t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(rekor)
	s.check(err)
	id := sha256.Sum256(append([]byte(rekorName+"\n\x01"), rekor...)) // C2SP signed-note's key hash, whole
	validFor := map[string]string{"start": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}
	certificates := func(chain []string) map[string]any {
		var list []map[string]string
		for _, c := range chain {
			list = append(list, map[string]string{"rawBytes": c})
		}
		return map[string]any{"certificates": list}
	}
	b, err := json.Marshal(map[string]any{
		"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs": []any{map[string]any{"baseUrl": "http://" + rekorName, "hashAlgorithm": "SHA2_256", "logId": map[string]any{"keyId": id[:]},
			"publicKey": map[string]any{"rawBytes": spki, "keyDetails": "PKIX_ED25519", "validFor": validFor}}},
		"certificateAuthorities": []any{map[string]any{"uri": fulcioURL, "certChain": certificates(fulcio), "validFor": validFor}},
		"timestampAuthorities":   []any{map[string]any{"uri": tsaURL, "certChain": certificates(tsa), "validFor": validFor}},
	})
	s.check(err)
	s.root = write(s.t, s.dir, "trusted_root.json", string(b))
}

func (s *stack) writeConfig(fulcio, rekor, tsa string) {
	service := func(url string, version int) []any {
		return []any{map[string]any{"url": url, "majorApiVersion": version, "operator": "local",
			"validFor": map[string]string{"start": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}}}
	}
	b, err := json.Marshal(map[string]any{
		"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "caUrls": service(fulcio, 1),
		"rekorTlogUrls": service(rekor, 2), "rekorTlogConfig": map[string]string{"selector": "ANY"},
		"tsaUrls": service(tsa, 1), "tsaConfig": map[string]string{"selector": "ANY"},
	})
	s.check(err)
	s.config = write(s.t, s.dir, "signing_config.json", string(b))
}

// serveIssuer serves what an OpenID Connect provider publishes.
func (s *stack) serveIssuer() {
	s.t.Helper()
	var err error
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.check(err)
	s.issuer = "http://" + l.Addr().String()
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", answer(map[string]any{"issuer": s.issuer, "jwks_uri": s.issuer + "/keys",
		"authorization_endpoint": s.issuer + "/a", "token_endpoint": s.issuer + "/t", "id_token_signing_alg_values_supported": []string{"ES256"},
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}}))
	point, err := s.key.PublicKey.Bytes() // 4, x, y
	s.check(err)
	enc := base64.RawURLEncoding.EncodeToString
	mux.HandleFunc("/keys", answer(map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig",
		"x": enc(point[1:33]), "y": enc(point[33:])}}}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	s.t.Cleanup(func() { _ = server.Close() })
}

// token returns an identity token for an address.
func (s *stack) token(email string) string {
	s.t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]any{"iss": s.issuer, "aud": "sigstore", "sub": email, "email": email, "email_verified": true,
		"iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()})
	s.check(err)
	signed := enc([]byte(`{"alg":"ES256","kid":"k1","typ":"JWT"}`)) + "." + enc(claims)
	sum := sha256.Sum256([]byte(signed))
	a, b, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	s.check(err)
	sig := make([]byte, 64)
	a.FillBytes(sig[:32])
	b.FillBytes(sig[32:])
	return signed + "." + enc(sig)
}
