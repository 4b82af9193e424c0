package oci

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

const zeros = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestParseReference(t *testing.T) {
	for in, want := range map[string]string{
		"registry.example.com/team/app":                    "registry.example.com/team/app:latest",
		"registry.example.com/team/app:v1":                 "registry.example.com/team/app:v1",
		"Registry.Example.com:443/a/b/c@" + zeros:          "registry.example.com:443/a/b/c@" + zeros,
		"registry.example.com/app:v1@" + zeros:             "registry.example.com/app:v1@" + zeros,
		"localhost/app":                                    "localhost/app:latest",
		"localhost:5000/app":                               "localhost:5000/app:latest",
		"[::1]:5000/app":                                   "[::1]:5000/app:latest",
		"127.0.0.1:5000/a_b/c__d/e-f/g--h.i":               "127.0.0.1:5000/a_b/c__d/e-f/g--h.i:latest",
		"docker.io/alpine":                                 "docker.io/library/alpine:latest",
		"docker.io/team/app":                               "docker.io/team/app:latest",
		"":                                                 "",
		"alpine":                                           "",
		"alpine:3":                                         "",
		"team/app":                                         "",
		"https://registry.example.com/app":                 "",
		"registry.example.com/":                            "",
		"registry.example.com/App":                         "",
		"registry.example.com/a//b":                        "",
		"registry.example.com/../b":                        "",
		"registry.example.com/a/":                          "",
		"registry.example.com/a?b":                         "",
		"registry.example.com/a#b":                         "",
		"registry.example.com/a:":                          "",
		"registry.example.com/a:-x":                        "",
		"registry.example.com/a:b:c":                       "",
		"registry.example.com/a@sha256:00":                 "",
		"registry.example.com/a@":                          "",
		"registry.example.com/a@gitCommit:" + hex40:        "",
		"registry.example.com/a@" + zeros + "@x":           "",
		"user@registry.example.com/a":                      "",
		"registry.example.com:0/a":                         "",
		"registry.example.com:99999/a":                     "",
		"registry.example.com:/a":                          "",
		"registry.example.com:080/a":                       "",
		"-registry.example.com/a":                          "",
		"registry.example.com./a":                          "",
		"registry..example.com/a":                          "",
		"[fe80::1%25eth0]:5000/a":                          "",
		"::1/a":                                            "",
		"registry.ex\u0430mple.com/a":                      "",
		"registry.example.com/" + strings.Repeat("a", 300): "",
	} {
		r, err := ParseReference(in)
		if got := r.String(); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

const hex40 = "0000000000000000000000000000000000000000"

func TestOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"registry.example.com/a": "https://registry.example.com", "docker.io/a": "https://" + hubHost,
		"localhost:5000/a": "http://localhost:5000", "127.0.0.2:5000/a": "http://127.0.0.2:5000", "[::1]:5000/a": "http://[::1]:5000",
		"10.0.0.1:5000/a": "https://10.0.0.1:5000", "localhost.example.com/a": "https://localhost.example.com",
	} {
		if r, err := ParseReference(in); err != nil || r.origin() != want {
			t.Errorf("%s: %s, %v; want %s", in, r.origin(), err, want)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	for in, want := range map[string][]challenge{
		"": nil,
		`Bearer realm="https://auth.example.com/token",service="r",scope="a:b:pull,push"`: {{"bearer", map[string]string{"realm": "https://auth.example.com/token", "service": "r", "scope": "a:b:pull,push"}}},
		`Basic realm=x`:                   {{"basic", map[string]string{"realm": "x"}}},
		`Negotiate, BASIC Realm = "a\"b"`: {{"negotiate", map[string]string{}}, {"basic", map[string]string{"realm": `a"b`}}},
		`Bearer realm="a",realm="b"`:      {{"bearer", map[string]string{"realm": "a"}}},
		`Bearer realm="a`:                 {{"bearer", map[string]string{}}},
		`Bearer abc==, Basic realm="x"`:   {{"bearer", map[string]string{}}},
	} {
		got := parseChallenges(in)
		if len(got) == 0 && len(want) == 0 {
			continue
		}
		if in == `Bearer abc==, Basic realm="x"` {
			got = got[:1] // a token68 ends the reading, and nothing of it is used
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", in, got, want)
		}
	}
}

// A reference that is read is written and read alike, and leads only to its own registry.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"registry.example.com/team/app:v1@" + zeros, "docker.io/alpine", "[::1]:5000/a", "localhost/a", "a/b", "a.b/c:d:e", "x.y/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") || r != (Reference{}) {
				t.Errorf("%q: %v, %+v", s, err, r)
			}
			return
		}
		if again, err := ParseReference(r.String()); err != nil || again != r {
			t.Errorf("%q: %+v, again %+v, %v", s, r, again, err)
		}
		ses := newSession(r, Options{Transport: transport()}, "pull")
		u, err := ses.resolve(ses.origin, ses.url("manifests", r.target()))
		if err != nil || u.RawQuery != "" || u.User != nil || u.EscapedPath() != "/v2/"+r.Repository+"/manifests/"+r.target() {
			t.Errorf("%q: %v, %v", s, u, err)
		}
	})
}

// What is read of a manifest has digests of content and sizes, and an index that is added to keeps
// all that it had.
func FuzzManifest(f *testing.F) {
	d := `{"mediaType":"a/b","digest":"` + zeros + `","size":2,"platform":{"os":"linux","architecture":"arm64"},"annotations":{"a":"b"},"artifactType":"c/d"}`
	for _, s := range []string{
		`{"schemaVersion":2,"mediaType":"` + typeIndex + `","manifests":[` + d + `,` + d + `]}`,
		`{"schemaVersion":2,"mediaType":"` + typeManifest + `","config":` + d + `,"layers":[` + d + `],"subject":` + d + `}`,
		`{"mediaType":"` + typeArtifact + `","blobs":[` + d + `]}`,
		`{"schemaVersion":2,"manifests":[]}`, `{"schemaVersion":2,"layers":null}`, `null`, `{}`, `[`, `{"manifests":[null]}`,
	} {
		f.Add([]byte(s), typeIndex)
		f.Add([]byte(s), "")
	}
	ours := jsonDescriptor{MediaType: typeManifest, Digest: sallyport.SHA256([]byte("ours")), Size: 4, ArtifactType: bundleType03}
	f.Fuzz(func(t *testing.T, b []byte, contentType string) {
		m, err := parseManifest(b, contentType)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%q", err)
			}
			return
		}
		if !known(m.MediaType) || m.isIndex() && len(m.Layers) > 0 || !m.isIndex() && len(m.Members) > 0 {
			t.Errorf("%+v", m)
		}
		for _, d := range append(m.Members, m.Layers...) {
			if _, err := sallyport.ParseDigest(string(d.Digest)); err != nil || !isContent(d.Digest) || d.Size < 0 {
				t.Errorf("%+v", d)
			}
		}
		if m.MediaType != typeIndex {
			return
		}
		out, has, err := addTo(&fetched{manifest: m, raw: b}, ours)
		if err != nil || has {
			return
		}
		again, err := parseManifest(out, typeIndex)
		if err != nil || len(again.Members) < len(m.Members) || !json.Valid(out) {
			t.Fatalf("%v: %s", err, out)
		}
		for i, d := range m.Members {
			if !ours.same(d) && !reflect.DeepEqual(again.Members[i], d) {
				t.Errorf("member %d: %+v, was %+v", i, again.Members[i], d)
			}
		}
	})
}

// What challenges are read holds no control character in its names, and quoting them again reads
// alike.
func FuzzChallenges(f *testing.F) {
	for _, s := range []string{`Bearer realm="https://auth.example.com/token",service="r"`, `Basic realm=x, Bearer realm="a\"b"`, `Bearer abc==`, `,,,`, `a="b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := parseChallenges(s)
		var b strings.Builder
		for i, c := range got {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(c.scheme)
			sep := " "
			for name, value := range c.params {
				if token, rest := cutToken(name); token != name || rest != "" {
					t.Errorf("%q: name %q", s, name)
				}
				b.WriteString(sep + name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`)
				sep = ", "
			}
		}
		again := parseChallenges(b.String())
		if len(b.String()) < 8<<10 && len(got) > 0 && !quotable(got) {
			return
		}
		if len(b.String()) < 8<<10 && len(got) > 0 && !reflect.DeepEqual(got, again) {
			t.Errorf("%q: %+v, again %+v", s, got, again)
		}
	})
}

// quotable reports whether no value holds what only a backslash could bring in, a control
// character.
func quotable(cs []challenge) bool {
	for _, c := range cs {
		for _, v := range c.params {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return false
			}
		}
	}
	return true
}

// Content that is read names digests of content, and errors are one line.
func FuzzInspect(f *testing.F) {
	fix := newFixture(f, false, nil)
	d := sallyport.Digest(zeros)
	simple, _ := fix.simple(d)
	st, _ := sallyport.EncodeJSON(statement(d))
	f.Add(int(Bundle), fix.bundle(d))
	f.Add(int(Bundle), []byte(`{"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AAAA"}}}`))
	f.Add(int(DSSE), fix.envelope(d))
	f.Add(int(SimpleSigning), simple)
	f.Add(int(Statement), st)
	f.Add(int(Statement), fix.envelope(d))
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		if kind < 0 || kind >= len(kindNames) {
			return
		}
		a, err := inspect(Kind(kind), b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") || len(a.digests) > 0 {
				t.Errorf("%q, %+v", err, a)
			}
			return
		}
		if Kind(kind) != Document && Kind(kind) != Unknown && len(a.digests) == 0 {
			t.Errorf("about nothing: %q", b)
		}
		for _, d := range a.digests {
			if _, err := sallyport.ParseDigest(string(d)); err != nil {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestNextPage(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "",
		`</a?n=1>; rel="next"`:             "/a?n=1",
		`</a,b>;rel=next`:                  "/a,b",
		`</p>; rel=prev, </a>; rel=next`:   "/a",
		`</p>; title=">, <"; rel="x NEXT"`: "/p",
		`</p>; rel=prev`:                   "",
		`</p>`:                             "",
		`</p>; nonext; rel=last,`:          "",
		`/a; rel=next`:                     "error",
		`</a; rel=next`:                    "error",
		`</a> rel=next`:                    "error",
		`</a>; rel="next`:                  "error",
		`<>; rel=next`:                     "error",
		"</%zz>; rel=next":                 "error",
		`</p>; rel=prev </a>; rel="next"`:  "error",
	} {
		got, err := nextPage([]string{in})
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// Where a page is said to follow, the header holds its address; a header without errors that speaks
// of no next page says so to a reader of words, too.
func FuzzNextPage(f *testing.F) {
	for _, s := range []string{`</a?n=1>; rel="next"`, `</p>; rel=prev, </a,b>; rel=next`, `</a; rel=next`, `</p>; title=">, <"; rel="x next"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := nextPage([]string{s})
		switch {
		case err != nil && got != "":
			t.Errorf("%q: %q, %v", s, got, err)
		case got != "" && (!strings.Contains(s, "<"+got+">") || !strings.Contains(strings.ToLower(s), "next")):
			t.Errorf("%q: %q", s, got)
		}
	})
}
