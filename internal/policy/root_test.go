package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// governed returns governed files with a root.json that lists them, and its pin.
func governed(t testing.TB, mark string) (map[string][]byte, sallyport.Digest) {
	t.Helper()
	files := map[string][]byte{
		".sallyport/sallyport.yaml":      []byte("version: 1 # " + mark + "\n"),
		".sallyport/roster.yaml":         []byte("persons: []\n"),
		".sallyport/policy/m.rego":       []byte("package sallyport.merge\ndeny := set()\n"),
		".sallyport/policy/m_test.yaml":  []byte("cases: []\n"),
		".sallyport/policies/other.rego": []byte("package other\n"),
	}
	root, err := InitRoot(files, RootOptions{
		Keys:      []RootKey{{"grace", "SHA256:bbb"}, {"ada", "SHA256:aaa"}, {"ada", "SHA256:ccc"}},
		Threshold: 2, Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	files[RootPath] = root
	return files, sallyport.SHA256(root)
}

func changed(files map[string][]byte, path, content string) map[string][]byte {
	c := maps.Clone(files)
	c[path] = []byte(content)
	return c
}

func without(files map[string][]byte, path string) map[string][]byte {
	c := maps.Clone(files)
	delete(c, path)
	return c
}

func TestVerifyRoot(t *testing.T) {
	files, pin := governed(t, "a")
	other, otherPin := governed(t, "b")
	if pin == otherPin {
		t.Fatal("two roots have one digest")
	}
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		pin   sallyport.Digest
		want  error
		names string
	}{
		{"as pinned", files, pin, nil, ""},
		{"no pin", files, "", ErrUnpinned, ""},
		{"no files", nil, pin, ErrRootChanged, RootPath},
		{"another root", other, pin, ErrRootChanged, RootPath},
		{"a file changed", changed(files, ".sallyport/roster.yaml", "persons: [mallory]\n"), pin, ErrRootChanged, "roster.yaml was changed"},
		{"a file missing", without(files, ".sallyport/roster.yaml"), pin, ErrRootChanged, "roster.yaml is missing"},
		{"a file added", changed(files, ".sallyport/trust.yaml", "x"), pin, ErrRootChanged, "trust.yaml was added"},
		{"a file in another case", changed(without(files, ".sallyport/roster.yaml"), ".sallyport/Roster.yaml", "persons: []\n"), pin, ErrRootChanged, "roster.yaml is missing"},
		{"one byte of the root", changed(files, RootPath, string(files[RootPath])+"\n"), pin, ErrRootChanged, RootPath},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := VerifyRoot(tt.files, tt.pin)
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.names) {
				t.Errorf("got %v, want %v that names %q", err, tt.want, tt.names)
			}
			// What a pin does not fit must not look as if it did.
			if tt.pin == pin && (RootDigest(tt.files) == pin) != (tt.want == nil) {
				t.Errorf("RootDigest is %s", RootDigest(tt.files))
			}
		})
	}
}

func TestInitRoot(t *testing.T) {
	files, _ := governed(t, "a")
	again, err := InitRoot(files, RootOptions{
		Keys:      []RootKey{{"ada", "SHA256:ccc"}, {"grace", "SHA256:bbb"}, {"ada", "SHA256:aaa"}},
		Threshold: 2, Expires: time.Date(2027, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600)),
	})
	if err != nil || string(again) != string(files[RootPath]) {
		t.Errorf("the same root came out otherwise: %v\n%s", err, again)
	}
	r, err := ParseRoot(again)
	if err != nil || r.Version != 1 || len(r.Files) != 5 {
		t.Errorf("got %+v, %v", r, err)
	}
	if at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC); !r.Expired(at) || r.Expired(at.Add(-1)) {
		t.Error("expires at another time than it says")
	}
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		o     RootOptions
	}{
		{"no files", nil, RootOptions{}},
		{"only itself", map[string][]byte{RootPath: nil}, RootOptions{}},
		{"a file elsewhere", map[string][]byte{"README.md": nil}, RootOptions{}},
		{"a path that climbs", map[string][]byte{".sallyport/../x": nil}, RootOptions{}},
		{"a path that is not UTF-8", map[string][]byte{".sallyport/\xff": nil}, RootOptions{}},
		{"keys without a threshold", files, RootOptions{Keys: []RootKey{{"ada", "SHA256:a"}}}},
		{"a threshold without keys", files, RootOptions{Threshold: 1}},
		{"a threshold above the persons", files, RootOptions{Threshold: 2, Keys: []RootKey{{"ada", "SHA256:a"}, {"ada", "SHA256:b"}}}},
		{"a key twice", files, RootOptions{Threshold: 1, Keys: []RootKey{{"ada", "SHA256:a"}, {"grace", "SHA256:a"}}}},
		{"a key without a person", files, RootOptions{Threshold: 1, Keys: []RootKey{{"", "SHA256:a"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := InitRoot(tt.files, tt.o); err == nil {
				t.Errorf("made %s", b)
			}
		})
	}
}

// repo is a Source: the files of each commit or tree, and the history of the tip.
type repo struct {
	files   map[string]map[string][]byte
	history []string
	err     error
}

func (r repo) Files(_ context.Context, treeish string) (map[string][]byte, error) {
	if treeish == "link" {
		return nil, fmt.Errorf("%w: .sallyport/x is a symbolic link", ErrGoverned)
	}
	return r.files[treeish], r.err
}

func (r repo) History(context.Context, string) ([]string, error) { return r.history, nil }

func TestResolve(t *testing.T) {
	good, pin := governed(t, "a")
	bad := changed(good, ".sallyport/roster.yaml", "persons: [mallory]\n")
	src := repo{
		files:   map[string]map[string][]byte{"good": good, "bad": bad, "worse": changed(bad, RootPath, "{}")},
		history: []string{"worse", "bad", "good"},
	}
	long := make([]string, maxHistory, maxHistory+1)
	for i := range long {
		long[i] = "bad"
	}
	far := repo{files: src.files, history: append(long, "good")}
	never := repo{files: src.files, history: []string{"worse", "bad"}}
	for _, tt := range []struct {
		name        string
		src         repo
		pin         sallyport.Digest
		tip, result string
		source, at  string
		rootChanged bool
		same        bool // ResultRoot == Root
		advice      int
		err         error
	}{
		{"pinned, the tip matches", src, pin, "good", "good", SourceRef, "good", false, true, 0, nil},
		{"pinned, the change alters the rules", src, pin, "good", "bad", SourceRef, "good", false, false, 0, nil},
		{"pinned, the change deletes the rules", src, pin, "good", "none", SourceRef, "good", false, false, 0, nil},
		{"pinned, the tip was changed", src, pin, "worse", "worse", SourceHistory, "good", true, false, 0, nil},
		{"pinned, the tip was emptied", src, pin, "none", "none", SourceHistory, "good", true, false, 0, nil},
		{"pinned, the tip was changed and this puts it right", src, pin, "worse", "good", SourceHistory, "good", true, true, 0, nil},
		{"pinned, the tip holds a link", src, pin, "link", "good", SourceHistory, "good", true, true, 0, nil},
		{"pinned, the result holds a link", src, pin, "good", "link", SourceRef, "good", false, false, 0, nil},
		{"pinned, the first root arrives", never, pin, "none", "good", SourceResult, "good", false, true, 0, nil},
		{"pinned, the ref is new", never, pin, "", "good", SourceResult, "good", false, true, 0, nil},
		{"pinned, never there", never, pin, "worse", "bad", "", "", false, false, 0, ErrNoRoot},
		{"pinned, too far back", far, pin, "worse", "bad", "", "", false, false, 0, ErrNoRoot},
		{"pinned, nothing at all", repo{}, pin, "", "", "", "", false, false, 0, ErrNoRoot},
		{"unpinned", src, "", "good", "good", SourceRef, "good", false, true, 1, nil},
		{"unpinned, the files are not those of the root", src, "", "bad", "good", SourceRef, "bad", false, false, 2, nil},
		{"unpinned, no policy", src, "", "none", "good", SourceBuiltin, "", false, false, 2, nil},
		{"unpinned, a link", src, "", "link", "good", "", "", false, false, 0, ErrGoverned},
		{"unreadable", repo{err: context.Canceled}, pin, "good", "good", "", "", false, false, 0, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := Resolve(context.Background(), tt.src, Request{Pin: tt.pin, Tip: tt.tip, Result: tt.result})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				if !reflect.DeepEqual(g, Governing{}) {
					t.Errorf("got %+v beside an error", g)
				}
				return
			}
			if g.Trust.Source != tt.source || g.At != tt.at || g.Trust.RootChanged != tt.rootChanged || len(g.Advice) != tt.advice {
				t.Errorf("got %+v, at %q, advice %q", g.Trust, g.At, g.Advice)
			}
			if (g.Trust.Root == g.Trust.ResultRoot) != tt.same || g.Trust.Root.Zero() {
				t.Errorf("root %s, of the result %s", g.Trust.Root, g.Trust.ResultRoot)
			}
			if g.Trust.Pinned != !tt.pin.Zero() || g.Trust.Pinned && VerifyRoot(g.Files, tt.pin) != nil {
				t.Errorf("files in force that are not those of the pin: %+v", g.Trust)
			}
		})
	}
}

func TestGoverningSet(t *testing.T) {
	files, _ := governed(t, "a")
	g := Governing{Files: files}
	s, err := g.Set("policy")
	if err != nil || len(s.Files) != 2 || s.Files["m.rego"] == nil {
		t.Errorf("got %v, %v", s, err)
	}
	if s, err := g.Set(BaselineName); err != nil || s.Digest() != Builtin().Digest() {
		t.Errorf("got %v, %v", s, err)
	}
	for _, name := range []string{"", "missing", "polic"} {
		if s, err := g.Set(name); err == nil {
			t.Errorf("%q: got %v", name, s)
		}
	}
}

func FuzzParseRoot(f *testing.F) {
	files, _ := governed(f, "a")
	f.Add(files[RootPath])
	f.Add([]byte(`{"version":1,"expires":"","threshold":0,"keys":[],"files":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRoot(b)
		if err != nil {
			return
		}
		// Whatever parses pins exactly its own files: without them nothing verifies.
		if VerifyRoot(map[string][]byte{RootPath: b}, sallyport.SHA256(b)) == nil {
			t.Error("a root verified without the files that it lists")
		}
		for _, file := range r.Files {
			if !strings.HasPrefix(file.Path, GovernedDir) {
				t.Errorf("it lists %q", file.Path)
			}
		}
	})
}
