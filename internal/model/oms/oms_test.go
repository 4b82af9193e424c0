package oms

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// folder writes files into a folder of their own; a value that begins with "->" is a link.
func folder(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func signed(t testing.TB, root *os.Root, o Options) []byte {
	t.Helper()
	files, refused, err := Scan(context.Background(), root, o)
	if err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	st, err := New("m", files, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sallyport.EncodeJSON(st)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var model = map[string]string{"a.bin": "a", "b.bin": "b", "sub/c.json": "c", ".git/HEAD": "x"}

func with(name, content string) map[string]string {
	m := map[string]string{}
	for k, v := range model {
		m[k] = v
	}
	if m[name] = content; content == "" {
		delete(m, name)
	}
	return m
}

func TestCompare(t *testing.T) {
	o := Options{Ignore: Defaults()}
	linked := Options{Ignore: Defaults(), AllowSymlinks: true}
	for _, tt := range []struct {
		name  string
		o     Options
		files map[string]string
		want  string
	}{
		{"as it was", o, model, ""},
		{"what is left out changed", o, with(".git/HEAD", "y"), ""},
		{"changed", o, with("a.bin", "x"), "changed a.bin"},
		{"added", o, with("sub/d.py", "x"), "added sub/d.py"},
		{"added in a folder that is called like one that is left out", o, with("sub/.git/x", "x"), "added sub/.git/x"},
		{"missing", o, with("sub/c.json", ""), "missing sub/c.json"},
		{"a link to what it was", o, with("a.bin", "->b.bin"), "refused a.bin"},
		{"a link inside, where links are followed", linked, with("a.bin", "->b.bin"), "changed a.bin"},
		{"a link that leads out", linked, with("a.bin", "->../../outside"), "refused a.bin"},
		{"a link to the root", linked, with("a.bin", "->/etc/hostname"), "refused a.bin"},
		{"a link to a folder", linked, with("d", "->sub"), "refused d"},
		{"a link to nowhere", linked, with("d", "->none"), "refused d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, err := Parse(signed(t, folder(t, model), tt.o))
			if err != nil {
				t.Fatal(err)
			}
			diffs, err := st.Compare(context.Background(), folder(t, tt.files))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range diffs {
				got = append(got, d.String())
			}
			if text := strings.Join(got, "\n"); tt.want == "" && text != "" || !strings.HasPrefix(text, tt.want) || len(got) > 1 {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	good := signed(t, folder(t, model), Options{Ignore: Defaults()})
	for _, tt := range []struct{ old, with, want string }{
		{Type, "https://model_signing/Digests/v0.1", "statement of type"},
		{`"method":"files"`, `"method":"shards"`, "by the method"},
		{`"hash_type":"sha256"`, `"hash_type":"blake2b"`, "by the hash"},
		{`"name":"a.bin"`, `"name":"../a.bin"`, "no path below"},
		{`"name":"a.bin"`, `"name":"/a.bin"`, "no path below"},
		{`"name":"a.bin"`, `"name":"b.bin"`, "stands twice"},
		{`"digest":"ca978112`, `"digest":"da978112`, "come to"},
		{`"digest":"ca978112`, `"digest":"CA978112`, "no sha256 digest"},
		{`"algorithm":"sha256"`, `"algorithm":"md5"`, "no sha256 digest"},
	} {
		bad := bytes.Replace(good, []byte(tt.old), []byte(tt.with), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("there is no %q", tt.old)
		}
		if _, err := Parse(bad); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.with, err, tt.want)
		}
	}
	if _, err := New("m", nil, Options{}); err == nil {
		t.Error("nothing can be signed")
	}
}

// FuzzParse: what is read has files whose digests come to its root, each below the folder and once.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m","digest":{"sha256":"bf5d3affb73efd2ec6c36ad3112dd933efed63c4e1cbffcfa88e2759c144f2d8"}}],"predicateType":"https://model_signing/signature/v1.0","predicate":{"serialization":{"method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":[]},"resources":[{"name":"a.bin","digest":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","algorithm":"sha256"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, r := range s.Resources {
			if seen[r.Name] || strings.HasPrefix(r.Name, "/") || strings.Contains("/"+r.Name+"/", "/../") {
				t.Errorf("it lists %q", r.Name)
			}
			seen[r.Name] = true
		}
		if RootOf(s.Resources) != s.Root || len(s.Resources) == 0 {
			t.Error("its root is another's")
		}
	})
}
