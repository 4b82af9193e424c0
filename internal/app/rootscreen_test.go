package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

func TestLineDiff(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		want       []string
	}{
		{"nothing", "a\nb\n", "a\nb\n", nil},
		{"a line changed", "a\nb\nc\n", "a\nx\nc\n", []string{"- b", "+ x"}},
		{"a line added", "a\nc\n", "a\nb\nc\n", []string{"+ b"}},
		{"a line taken away", "a\nb\nc\n", "a\nc\n", []string{"- b"}},
		{"moved", "a\nb\nc\n", "b\nc\na\n", []string{"- a", "+ a"}},
		{"from nothing", "", "a\n", []string{"+ a"}},
		{"the last end of line", "a\n", "a", []string{"- a", "+ a (no newline at the end)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := lineDiff(tt.a, tt.b); !ok || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, ok := lineDiff(strings.Repeat("a\n", 5000), strings.Repeat("b\n", 5000)); ok {
		t.Error("a difference that is too large to show was shown")
	}
}

// A signer sees every line that changes, or is told that they do not, and nothing that an author
// wrote moves the cursor.
func TestRootScreen(t *testing.T) {
	root := policy.Root{Version: 1, Repository: "example.com/a", Threshold: 1, Keys: []policy.RootKey{{Person: "alice", Fingerprint: "SHA256:a"}}}
	next := policy.Root{Version: 2, Repository: "example.com/a", Threshold: 1, Solo: "bob", Keys: []policy.RootKey{{Person: "bob", Fingerprint: "SHA256:b"}}}
	screen := rootScreen(screenOf{
		ref: "refs/heads/main", prev: root, next: next, version: policy.Version{Root: sallyport.SHA256(nil)},
		before: map[string][]byte{".sallyport/a": []byte("old\n"), ".sallyport/gone": []byte("x\n"), policy.RootPath: nil},
		after:  map[string][]byte{".sallyport/a": []byte("n\x1b[2Jew\u202e\n"), ".sallyport/big": []byte(strings.Repeat("y\n", maxDiffLines+1)), policy.SignaturesDir + "x": nil, policy.RootPath: nil},
	})
	for _, want := range []string{
		"version 1 -> version 2", "  - alice  SHA256:a", "  + bob  SHA256:b", "solo: no, a team -> bob", "threshold: 1 of 1\n",
		"  ~ .sallyport/a becomes sha256:", "      - old\n", "  - .sallyport/gone is removed\n      - x\n",
		"  + .sallyport/big is added: sha256:", "too much for one screen: read it with git diff before you sign", "  0 unchanged",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen does not show %q:\n%s", want, screen)
		}
	}
	if strings.ContainsAny(screen, "\x1b\u202e") || strings.Contains(screen, policy.SignaturesDir) {
		t.Errorf("the screen holds what nobody should see: %q", screen)
	}
}
