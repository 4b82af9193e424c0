package oci

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A tokens is a token service: it knows one user, and gives out tokens that it remembers.
type tokens struct {
	mu    sync.Mutex
	asked []string // scopes
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	scope, refresh := r.URL.Query().Get("scope"), ""
	if r.Method == http.MethodPost {
		scope, refresh = r.PostFormValue("scope"), r.PostFormValue("refresh_token")
	}
	s.mu.Lock()
	s.asked = append(s.asked, scope)
	s.mu.Unlock()
	if user == "ada" && password == "pw" || refresh == "idt" {
		io.WriteString(w, `{"token":"good","expires_in":60}`)
		return
	}
	if user != "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	io.WriteString(w, `{"access_token":"stranger"}`)
}

func TestLogin(t *testing.T) {
	service := &tokens{}
	realm := httptest.NewServer(service)
	defer realm.Close()
	bearer := `Bearer realm="` + realm.URL + `/token",service="registry",scope="repository:other/app:pull,push,delete"`
	basic := `Basic realm="registry"`
	login := base64.StdEncoding.EncodeToString([]byte("ada:pw"))
	for _, c := range []struct {
		name      string
		challenge string
		accepts   string // the Authorization that opens
		config    string
		want      string // of the error
	}{
		{"stranger", bearer, "Bearer stranger", `{}`, ""},
		{"token", bearer, "Bearer good", `{"auths":{"HOST":{"auth":"` + login + `"}}}`, ""},
		{"token, by an address", bearer, "Bearer good", `{"auths":{"https://HOST/v2/":{"username":"ada","password":"pw"}}}`, ""},
		{"identity token", bearer, "Bearer good", `{"auths":{"HOST":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("x:")) + `","identitytoken":"idt"}}}`, ""},
		{"registry token", bearer, "Bearer given", `{"auths":{"HOST":{"registrytoken":"given"}}}`, ""},
		{"password", basic, "Basic " + login, `{"auths":{"HOST":{"auth":"` + login + `"}}}`, ""},
		{"both are offered", "Negotiate, " + basic + ", " + bearer, "Bearer good", `{"auths":{"HOST":{"auth":"` + login + `"}}}`, ""},
		{"no login", bearer, "Bearer good", `{"auths":{"other.example.com":{"auth":"` + login + `"}}}`, "401"},
		{"no login for a password", basic, "Basic " + login, `{}`, "401"},
		{"wrong password", bearer, "Bearer good", `{"auths":{"HOST":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("ada:no")) + `"}}}`, "log in at"},
		{"wrong registry token", bearer, "Bearer good", `{"auths":{"HOST":{"registrytoken":"old"}}}`, "401"},
		{"helper", bearer, "Bearer good", `{"auths":{"HOST":{}},"credsStore":"desktop"}`, `helper "desktop"`},
		{"helper for this registry", basic, "Basic " + login, `{"credHelpers":{"HOST":"gcloud"}}`, `helper "gcloud"`},
		{"malformed login", basic, "Basic " + login, `{"auths":{"HOST":{"auth":"!"}}}`, "malformed"},
		{"realm of this machine's other services, without TLS elsewhere", `Bearer realm="http://registry.example.net/token"`, "Bearer good", `{}`, "without TLS"},
		{"no realm", `Bearer service="x"`, "Bearer good", `{}`, "no token service"},
		{"unknown scheme", `Digest realm="x"`, "x", `{}`, "401"},
	} {
		t.Run(c.name, func(t *testing.T) {
			closed := false
			f := newFixture(t, true, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if closed && r.Header.Get("Authorization") != c.accepts {
						w.Header().Set("WWW-Authenticate", c.challenge)
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			f.image("v1", "content")
			closed = true
			service.asked = nil
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(c.config, "HOST", f.host)), 0o600); err != nil {
				t.Fatal(err)
			}
			config, err := ReadDockerConfig(path)
			if err != nil {
				t.Fatal(err)
			}
			o := quick
			o.Credentials = config.Credential
			_, err = Find(context.Background(), f.ref, o)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if c.want == "401" && !errors.Is(err, ErrUnauthorized) {
				t.Errorf("%v is not ErrUnauthorized", err)
			}
			for _, scope := range service.asked {
				if scope != "repository:team/app:pull" {
					t.Errorf("a token was asked for %q", scope)
				}
			}
			if err != nil && (strings.Contains(err.Error(), login) || strings.Contains(err.Error(), "pw")) {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// A registry may send us elsewhere for content; the login stays at home.
func TestRedirects(t *testing.T) {
	var got []string
	var content []byte
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		w.Write(content)
	}))
	defer other.Close()
	for _, c := range []struct {
		name, location string
		want           string
	}{
		{"to another host", other.URL + "/blob?signed=1", ""},
		{"without TLS", "http://registry.example.net/blob", "without TLS"},
		{"to a link-local address", "http://169.254.169.254/latest", "without TLS"},
		{"to nowhere", "", "nowhere"},
		{"to a file", "file:///etc/passwd", "no address"},
		{"with a login in it", "https://a:b@registry.example.net/", "no address"},
		{"in a circle", "SELF", "more than 5 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got = nil
			f := newFixture(t, true, tamper(getOf("/blobs/"), func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", strings.Replace(c.location, "SELF", r.URL.Path, 1))
				w.WriteHeader(http.StatusTemporaryRedirect)
			}))
			image := f.image("v1", "content")
			content = f.bundle(digestOf(image))
			f.put("", bundleAs(bundleType03, bundleType03)(f, image))
			o := quick
			o.Credentials = func(string) (Credential, error) { return Credential{RegistryToken: "secret"}, nil }
			s := newSession(f.ref, o, "pull")
			s.auth = "Bearer secret"
			fi := &finder{s: s}
			m, err := s.manifest(context.Background(), "v1", "")
			if err != nil {
				t.Fatal(err)
			}
			fi.res.Subjects = []Subject{{Digest: m.digest}}
			fi.read(context.Background(), fi.look(context.Background()))
			if c.want == "" {
				if len(fi.res.Items) != 1 || len(got) != 1 || got[0] != "" {
					t.Errorf("items %d, the other host got %q, %v", len(fi.res.Items), got, fi.causes)
				}
				return
			}
			if len(fi.causes) != 1 || !strings.Contains(fi.causes[0].Error(), c.want) {
				t.Errorf("causes %v, want %q", fi.causes, c.want)
			}
		})
	}
}

// A registry elsewhere does not make us ask this machine's own services.
func TestMayReach(t *testing.T) {
	for _, c := range []struct {
		registry, to string
		ok           bool
	}{
		{"registry.example.com", "https://blobs.example.net/x", true},
		{"registry.example.com", "https://10.1.2.3/x", true},
		{"registry.example.com", "http://registry.example.com/x", false},
		{"registry.example.com", "https://127.0.0.1/x", false},
		{"registry.example.com", "https://localhost:8443/x", false},
		{"registry.example.com", "https://[::1]/x", false},
		{"registry.example.com", "https://[::ffff:127.0.0.1]/x", false},
		{"registry.example.com", "https://169.254.169.254/x", false},
		{"registry.example.com", "https://0.0.0.0/x", false},
		{"127.0.0.1:5000", "http://localhost:6000/x", true},
		{"127.0.0.1:5000", "https://blobs.example.net/x", true},
		{"127.0.0.1:5000", "http://10.1.2.3/x", false},
	} {
		s := newSession(Reference{Registry: c.registry, Repository: "a"}, Options{}, "pull")
		u, err := url.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.mayReach(u); (err == nil) != c.ok {
			t.Errorf("%s to %s: %v", c.registry, c.to, err)
		}
	}
}

// Nothing leaves the machine without TLS, whatever localhost resolves to.
func TestPlainOnlyLocal(t *testing.T) {
	req, err := http.NewRequest(http.MethodGet, "http://192.0.2.1:5000/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	link, err := http.NewRequest(http.MethodGet, "https://169.254.169.254/latest", nil)
	if err != nil {
		t.Fatal(err)
	}
	direct := transport().(byScheme)
	direct.secure.(*http.Transport).Proxy = nil
	if resp, err := direct.RoundTrip(link); err == nil || !strings.Contains(err.Error(), "link-local") {
		if err == nil {
			resp.Body.Close()
		}
		t.Errorf("error %v", err)
	}
	if resp, err := transport().RoundTrip(req); err == nil || !strings.Contains(err.Error(), "without TLS") {
		if err == nil {
			resp.Body.Close()
		}
		t.Errorf("error %v", err)
	}
}

func TestReadDockerConfig(t *testing.T) {
	dir := t.TempDir()
	if c, err := ReadDockerConfig(filepath.Join(dir, "none.json")); err != nil || c == nil {
		t.Errorf("a file that does not exist: %v", err)
	}
	for name, content := range map[string]string{"broken": "{", "twice": `{"auths":{},"auths":{}}`, "long": strings.Repeat(" ", MaxConfig) + "{}"} {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadDockerConfig(p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c := &DockerConfig{Auths: map[string]dockerAuth{"https://index.docker.io/v1/": {Username: "ada", Password: "pw"}}}
	if got, err := c.Credential("docker.io"); err != nil || got.Username != "ada" {
		t.Errorf("the hub's older name: %+v, %v", got, err)
	}
}
