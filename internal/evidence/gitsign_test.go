package evidence

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/cms"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
)

// A commit of gitsign's own history, which gitsign signed under Sigstore's public authority. Its
// certificate has long run out; Rekor's entry in the signature proves that it had not when it signed.
func TestGitsignCommit(t *testing.T) {
	object, err := os.ReadFile("testdata/gitsign/commit")
	if err != nil {
		t.Fatal(err)
	}
	roots, err := os.ReadFile("testdata/gitsign/trusted_root.json")
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseTrustedRoot(roots)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(object), "\n\n")
	var signed, sig strings.Builder
	in := false
	for line := range strings.Lines(head + "\n") {
		value, starts := strings.CutPrefix(line, "gpgsig ")
		switch {
		case starts:
			in = true
			sig.WriteString(value)
		case in && strings.HasPrefix(line, " "):
			sig.WriteString(line[1:])
		default:
			in = false
			signed.WriteString(line)
		}
	}
	signed.WriteString("\n" + body)
	got, err := k.VerifyCommit([]byte(sig.String()), []byte(signed.String()))
	if err != nil || got.Issuer != "https://accounts.google.com" || !strings.HasSuffix(got.Subject, "@chainguard.dev") || got.Claims != (Claims{}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := k.VerifyCommit([]byte(sig.String()), []byte(strings.Replace(signed.String(), "tree ", "Tree ", 1))); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("another commit: %+v, %v", got, err)
	}
	if got, err := keyless(t, keylesstest.New(t, now)).VerifyCommit([]byte(sig.String()), []byte(signed.String())); !errors.Is(err, ErrUntrustedCA) {
		t.Errorf("under another root: %+v, %v", got, err)
	}
	// Without the logs of the trusted root nothing proves the time.
	var m map[string]any
	if err := json.Unmarshal(roots, &m); err != nil || m["tlogs"] == nil {
		t.Fatal(err)
	}
	delete(m, "tlogs")
	mute, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if k, err = ParseTrustedRoot(mute); err != nil {
		t.Fatal(err)
	}
	if got, err := k.VerifyCommit([]byte(sig.String()), []byte(signed.String())); !errors.Is(err, ErrNotVerified) {
		t.Errorf("without a log: %+v, %v", got, err)
	}
}
