package app

import (
	"net/url"
	"strings"
	"testing"
)

func TestWebAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"https://github.com/acme/app.git":           "https://github.com/acme/app",
		"https://alice:pw@github.com/acme/app":      "https://github.com/acme/app",
		"https://github.com/acme/app?token=pw#x":    "https://github.com/acme/app",
		"git@github.com:acme/app.git":               "https://github.com/acme/app",
		"ssh://git@git.example.com:2222/acme/app":   "https://git.example.com/acme/app",
		"/srv/git/app.git":                          "",
		"../app":                                    "",
		"file:///srv/git/app":                       "",
		`C:\git\app`:                                "",
		"ext::sh -c evil":                           "",
		"":                                          "",
		"git://example.com/app":                     "",
		"https://github.com/acme/app\n@example.com": "",
	} {
		if got := webAddress(remote); got != want {
			t.Errorf("%q: %q, want %q", remote, got, want)
		}
	}
}

// FuzzWebAddress: what a remote is called holds nothing to log in with, and is one word.
func FuzzWebAddress(f *testing.F) {
	f.Add("https://alice:pw@github.com/acme/app.git")
	f.Add("git@github.com:acme/app.git")
	f.Add("a:b@c@d:e")
	f.Add("alice@pw@github.com:acme/app.git")
	f.Fuzz(func(t *testing.T, remote string) {
		got := webAddress(remote)
		if got == "" {
			return
		}
		if strings.ContainsAny(got, " \n\t\x00") || !strings.HasPrefix(got, "https://") {
			t.Errorf("%q", got)
		}
		if u, err := url.Parse(got); err == nil && u.User != nil {
			t.Errorf("%q has a user", got)
		}
	})
}

func TestConcerns(t *testing.T) {
	for _, tt := range []struct {
		file, dir string
		want      bool
	}{
		{"go.mod", ".", true},
		{"sub/go.mod", ".", true},
		{"go.mod", "svc/api", true},
		{"svc/package-lock.json", "svc/api", true},
		{"svc/api/ui/package-lock.json", "svc/api", true},
		{"svc/apis/package-lock.json", "svc/api", false},
		{"other/go.mod", "svc/api", false},
		{"a/testdata/go.mod", ".", false},
		{"node_modules/x/package-lock.json", ".", false},
	} {
		if got := concerns(tt.file, tt.dir); got != tt.want {
			t.Errorf("%s for %s: %v", tt.file, tt.dir, got)
		}
	}
}

// FuzzGoSums: every digest is 32 bytes in hex, under a module and a version.
func FuzzGoSums(f *testing.F) {
	f.Add([]byte("example.com/m v1.0.0 h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=\nexample.com/m v1.0.0/go.mod h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=\n"))
	f.Add([]byte("x y h2:Khu2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for k, v := range goSums(b) {
			if len(v) != 64 || strings.Trim(v, "0123456789abcdef") != "" || strings.Count(k, " ") != 1 || strings.HasSuffix(k, "/go.mod") {
				t.Errorf("%q: %q", k, v)
			}
		}
	})
}
