package app

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/scan"
)

// The merge gate finds what the rules of internal/scan miss and the engine for prompts knows, once each, in
// new lines only.
func TestSecretMatcher(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("deploy:" + "t7#Kq9!vLm2"))
	key := "AKIA" + "Q3XK7LM2NPZ5RTVW"
	encoded := base64.StdEncoding.EncodeToString([]byte("machine ci\nid = " + key + "\n"))
	for _, row := range []struct{ name, text, want string }{
		{"found by both, told once", "id = " + key + "\n", "aws-access-token@1"},
		{"basic credentials", "x\nAuthorization: Basic " + basic + "\n", "basic-auth@2"},
		{"the same without credentials", "x\nAuthorization: Basic " + strings.Repeat("QUJD", 6) + "\n", ""},
		{"a key in base64", "data: " + encoded + "\n", "aws-access-key@1"},
		{"no key in base64", "data: " + base64.StdEncoding.EncodeToString([]byte("machine ci\nid = none of them here\n")) + "\n", ""},
		{"AWS's own example", "id = AKIAIOSFODNN7" + "EXAMPLE\n", ""},
		{"an honest assignment", "token := tokens[0]\npassword := req.Password\n", ""},
	} {
		var got []string
		for _, m := range (secretMatcher{}).Find("a.txt", []byte(row.text), nil) {
			got = append(got, m.Rule+"@"+string(rune('0'+m.Line)))
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: got %v, want %q", row.name, got, row.want)
		}
	}
	text := []byte("old: Basic " + basic + "\nnew\n")
	if got := (secretMatcher{}).Find("a", text, []scan.Range{{First: 2, Last: 2}}); len(got) > 0 {
		t.Errorf("an old line was judged: %v", got)
	}
	if (secretMatcher{}).Digest() == scan.Secrets().Digest() {
		t.Error("the digest does not name the engine")
	}
}
