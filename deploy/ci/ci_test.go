package ci

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

const digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func TestWrite(t *testing.T) {
	for _, forge := range []string{GitHub, GitLab} {
		for _, url := range []string{"", "https://releases.example/v1.2/sallyport?os=linux&arch=amd64"} {
			b, err := Write(forge, Judge{URL: url, SHA256: digest, Version: "sallyport v0.0.0-2026+dirty"})
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			if strings.Contains(text, "@URL@") || strings.Contains(text, "@SHA256@") || strings.Contains(text, "@VERSION@") {
				t.Errorf("%s: a word is left:\n%s", forge, text)
			}
			if !strings.Contains(text, digest) || url != "" && !strings.Contains(text, "'"+url+"'") || url == "" && !strings.Contains(text, "SALLYPORT_URL") {
				t.Errorf("%s: the judge is not in it:\n%s", forge, text)
			}
			var doc map[string]any
			if err := strict.YAML(b, 1<<20, &doc); err != nil {
				t.Errorf("%s: %v", forge, err)
			}
		}
	}
}

// Whatever could end a word of YAML or of the shell is refused, and nothing is written.
func TestWriteRefuses(t *testing.T) {
	good := Judge{URL: "https://releases.example/sallyport", SHA256: digest, Version: "v1"}
	if _, err := Write(GitHub, good); err != nil {
		t.Fatalf("the twin: %v", err)
	}
	for name, j := range map[string]Judge{
		"no digest":          {URL: good.URL},
		"short digest":       {URL: good.URL, SHA256: digest[1:]},
		"upper case":         {URL: good.URL, SHA256: strings.ToUpper(digest)},
		"digest and more":    {URL: good.URL, SHA256: digest + "\n"},
		"plain http":         {URL: "http://releases.example/sallyport", SHA256: digest},
		"a file":             {URL: "file:///sallyport", SHA256: digest},
		"no host":            {URL: "https:///sallyport", SHA256: digest},
		"a password":         {URL: "https://u:p@releases.example/sallyport", SHA256: digest},
		"a quote":            {URL: "https://releases.example/'; true; '", SHA256: digest},
		"an expression":      {URL: "https://releases.example/${{ github.head_ref }}", SHA256: digest},
		"a substitution":     {URL: "https://releases.example/$(id)", SHA256: digest},
		"a newline":          {URL: "https://releases.example/a\nb", SHA256: digest},
		"version of 2 lines": {URL: good.URL, SHA256: digest, Version: "v1\n- run: true"},
	} {
		for _, forge := range []string{GitHub, GitLab} {
			if b, err := Write(forge, j); err == nil || b != nil {
				t.Errorf("%s, %s: written, want an error", name, forge)
			}
		}
	}
	if _, err := Write("jenkins", good); err == nil {
		t.Error("a forge that is not known was written for")
	}
}
