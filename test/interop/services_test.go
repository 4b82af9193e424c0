//go:build peers

package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A service is a fake of a key management service: it speaks as much of the wire format as
// Sigstore's real clients use to sign, and holds its keys in memory. Neither AWS KMS nor Vault
// runs here; what is tested is the clients, the helper and everything around them.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	key    crypto.Signer // what is named and signs
	signer crypto.Signer // signs instead, if it is set
	denied bool
	calls  []string
}

func (s *service) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// sign signs a digest as a service would.
func (s *service) sign(digest []byte) ([]byte, error) {
	k := s.key
	if s.signer != nil {
		k = s.signer
	}
	h := map[int]crypto.Hash{32: crypto.SHA256, 48: crypto.SHA384}[len(digest)]
	return k.Sign(rand.Reader, digest, h)
}

func (s *service) spki(t *testing.T) []byte {
	b, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Error(err)
	}
	return b
}

type object = map[string]any

// newFakeAWS speaks JSON 1.1 over TLS, as AWS KMS does.
func newFakeAWS(t *testing.T, key crypto.Signer) *service {
	s := &service{key: key}
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	arn := "arn:aws:kms:us-east-1:111122223333:key/" + id
	spec, alg := "ECC_NIST_P256", "ECDSA_SHA_256"
	switch k := key.Public().(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P384() {
			spec, alg = "ECC_NIST_P384", "ECDSA_SHA_384"
		}
	case *rsa.PublicKey:
		spec, alg = "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
		s.calls = append(s.calls, op)
		var q struct{ Message, MessageType, SigningAlgorithm string }
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &q)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		reply := func(o object) { _ = json.NewEncoder(w).Encode(o) }
		if s.denied || !strings.Contains(r.Header.Get("Authorization"), "Credential=fake/") {
			w.WriteHeader(http.StatusBadRequest)
			reply(object{"__type": "AccessDeniedException", "message": "User is not authorized to perform: kms:" + op})
			return
		}
		switch op {
		case "DescribeKey":
			reply(object{"KeyMetadata": object{"KeyId": id, "Arn": arn, "Enabled": true, "KeyState": "Enabled", "KeyUsage": "SIGN_VERIFY",
				"KeySpec": spec, "CustomerMasterKeySpec": spec, "SigningAlgorithms": []string{alg}}})
		case "GetPublicKey":
			reply(object{"KeyId": arn, "PublicKey": s.spki(t), "KeySpec": spec, "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": []string{alg}})
		case "Sign":
			m, err := base64.StdEncoding.DecodeString(q.Message)
			if err != nil || q.MessageType != "DIGEST" || q.SigningAlgorithm != alg {
				t.Errorf("the service was asked to sign a %s with %s: %v", q.MessageType, q.SigningAlgorithm, err)
			}
			sig, err := s.sign(m)
			if err != nil {
				t.Error(err)
			}
			reply(object{"KeyId": arn, "Signature": sig, "SigningAlgorithm": alg})
		default:
			w.WriteHeader(http.StatusBadRequest)
			reply(object{"__type": "UnsupportedOperationException", "message": op})
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that trusts it not is a case
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// authority returns the certificate of a TLS server.
func (s *service) authority() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// newFakeVault speaks the transit engine's API, which OpenBao has as well.
func newFakeVault(t *testing.T, key crypto.Signer) *service {
	s := &service{key: key}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, r.Method+" "+r.URL.Path)
		var q struct {
			Input, Signature string
			Prehashed        bool
		}
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &q)
		reply := func(status int, o object) { w.WriteHeader(status); _ = json.NewEncoder(w).Encode(o) }
		switch {
		case s.denied || r.Header.Get("X-Vault-Token") != "fake-token":
			reply(http.StatusForbidden, object{"errors": []string{"permission denied"}})
		case r.URL.Path == "/v1/transit/keys/release":
			public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.spki(t)}))
			reply(http.StatusOK, object{"data": object{"type": "ecdsa-p256", "latest_version": 1, "keys": object{"1": object{"public_key": public}}}})
		case strings.HasPrefix(r.URL.Path, "/v1/transit/sign/release"):
			m, err := base64.StdEncoding.DecodeString(q.Input)
			if err != nil || !q.Prehashed {
				t.Errorf("the service was asked to sign something that is no digest: %v", err)
			}
			sig, err := s.sign(m)
			if err != nil {
				t.Error(err)
			}
			reply(http.StatusOK, object{"data": object{"signature": "vault:v1:" + base64.StdEncoding.EncodeToString(sig)}})
		case strings.HasPrefix(r.URL.Path, "/v1/transit/verify/release"): // cosign has the service verify
			m, _ := base64.StdEncoding.DecodeString(q.Input)
			sig, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(q.Signature, "vault:v1:"))
			pub, ok := s.key.Public().(*ecdsa.PublicKey)
			reply(http.StatusOK, object{"data": object{"valid": ok && ecdsa.VerifyASN1(pub, m, sig)}})
		default:
			reply(http.StatusNotFound, object{"errors": []string{}})
		}
	}))
	t.Cleanup(s.Close)
	return s
}
