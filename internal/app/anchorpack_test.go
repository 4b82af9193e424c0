package app

import (
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// FuzzReanchored: a statement that nobody signed carries no pack over, whatever the file says.
func FuzzReanchored(f *testing.F) {
	key := []byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n")
	for _, s := range []string{
		"", "{}", `{"version":"sallyport.dev/reanchored/v1","statement":{},"proof":{}}`,
		`{"version":"sallyport.dev/reanchored/v1","statement":{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AA=="}]},"verificationMaterial":{"publicKey":{"hint":"x"}}},"proof":{"version":"sallyport.dev/log-proof/v1","origin":"x","index":0,"leaf":"","treeSize":1,"hashes":[],"checkpoint":""}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := PackOptions{Reanchored: b, AnchorKey: key, LogKey: "x+00000000+AAAA"}
		if r, err := (&App{}).reanchored(t.Context(), &o, sallyport.SHA256(nil)); err == nil || r != nil || o.Root != "" {
			t.Fatalf("%+v", r)
		}
	})
}
