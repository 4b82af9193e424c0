package artifact

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const commitID = "0123456789012345678901234567890123456789"

func hexOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

var aTree = []TreeFile{
	{"README", "100644", hexOf("read me\n")},
	{"bin/run", "100755", hexOf("#!/bin/sh\n")},
	{"lib/link", "120000", hexOf("../README")},
	{"sub", "160000", ""},
}

// inTar returns the tar of the tree with a prefix, after edit has changed each header; more is written at the end.
func inTar(t testing.TB, prefix string, edit func(*tar.Header, *string), more ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, body string) {
		if edit != nil {
			edit(&h, &body)
		}
		if h.Name == "" {
			return
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(body))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": commitID}}, "")
	if prefix != "" {
		put(tar.Header{Typeflag: tar.TypeDir, Name: prefix, Mode: 0o775}, "")
	}
	put(tar.Header{Typeflag: tar.TypeReg, Name: prefix + "README", Mode: 0o664}, "read me\n")
	put(tar.Header{Typeflag: tar.TypeDir, Name: prefix + "bin/", Mode: 0o775}, "")
	put(tar.Header{Typeflag: tar.TypeReg, Name: prefix + "bin/run", Mode: 0o775}, "#!/bin/sh\n")
	put(tar.Header{Typeflag: tar.TypeSymlink, Name: prefix + "lib/link", Linkname: "../README", Mode: 0o777}, "")
	put(tar.Header{Typeflag: tar.TypeDir, Name: prefix + "sub/", Mode: 0o775}, "")
	edit = nil
	for _, h := range more {
		put(h, "more")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compareTo(t testing.TB, b []byte) TreeReport {
	t.Helper()
	r, err := CompareTree(t.Context(), Input{Name: "x", Data: bytes.NewReader(b), Size: int64(len(b))}, commitID, aTree, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCompareTree: each archive that is the tree, and each that differs in one thing, which is named.
func TestCompareTree(t *testing.T) {
	only := func(name string, change func(*tar.Header, *string)) func(*tar.Header, *string) {
		return func(h *tar.Header, body *string) {
			if h.Name == name {
				change(h, body)
			}
		}
	}
	gz := func(b []byte) []byte { return []byte(packGzip(t, string(b), "", noon, 6)) }
	for _, c := range []struct {
		name string
		b    []byte
		want string // in the differences; empty: it is equal
	}{
		{"as git writes it", inTar(t, "", nil), ""},
		{"in a folder", inTar(t, "app-1.0/", nil), ""},
		{"packed by gzip", gz(inTar(t, "app-1.0/", nil)), ""},
		{"one more file", inTar(t, "", nil, tar.Header{Typeflag: tar.TypeReg, Name: "m4/build-to-host.m4", Mode: 0o644}), "m4/build-to-host.m4 is not in the tree"},
		{"one more file beside the folder", inTar(t, "app/", nil, tar.Header{Typeflag: tar.TypeReg, Name: "x", Mode: 0o644}), "is not in the tree"},
		{"one more file in a submodule's folder", inTar(t, "", nil, tar.Header{Typeflag: tar.TypeReg, Name: "sub/x", Mode: 0o644}), "sub/x is not in the tree"},
		{"in a folder that hides", inTar(t, ".git/", nil), ".git/README is not in the tree"},
		{"an empty folder", inTar(t, "", nil, tar.Header{Typeflag: tar.TypeDir, Name: "empty/", Mode: 0o755}), "empty is not in the tree"},
		{"one file less", inTar(t, "", only("bin/run", func(h *tar.Header, _ *string) { h.Name = "" })), "bin/run is in the tree and not in the archive"},
		{"other content", inTar(t, "", only("bin/run", func(_ *tar.Header, b *string) { *b = "#!/bin/sh\nx" })), "bin/run has other content"},
		{"a file that may run and should not", inTar(t, "", only("README", func(h *tar.Header, _ *string) { h.Mode = 0o755 })), "README has the mode 100755, and 100644 in the tree"},
		{"a file that may not run and should", inTar(t, "", only("bin/run", func(h *tar.Header, _ *string) { h.Mode = 0o644 })), "bin/run has the mode 100644"},
		{"a file with the set-user-ID bit", inTar(t, "", only("bin/run", func(h *tar.Header, _ *string) { h.Mode = 0o4755 })), "with special bits"},
		{"a link that leads elsewhere", inTar(t, "", only("lib/link", func(h *tar.Header, _ *string) { h.Linkname = "/etc/passwd" })), "lib/link has other content"},
		{"a file in place of a link", inTar(t, "", only("lib/link", func(h *tar.Header, b *string) {
			h.Typeflag, h.Mode, h.Linkname, *b = tar.TypeReg, 0o644, "", "../README"
		})), "lib/link has the mode 100644, and 120000"},
		{"a hard link", inTar(t, "", only("README", func(h *tar.Header, _ *string) { h.Typeflag, h.Linkname = tar.TypeLink, "bin/run" })), "README is a hard link"},
		{"a name that stands twice", inTar(t, "", nil, tar.Header{Typeflag: tar.TypeReg, Name: "README", Mode: 0o644}), "README stands twice"},
		{"a name that leaves the folder", inTar(t, "", nil, tar.Header{Typeflag: tar.TypeReg, Name: "../x", Mode: 0o644}), "is no name of a file below a folder"},
		{"a further attribute", inTar(t, "", only("README", func(h *tar.Header, _ *string) { h.PAXRecords = map[string]string{"SCHILY.xattr.user.x": "y"} })), "further record SCHILY.xattr.user.x"},
		{"another commit's id", inTar(t, "", func(h *tar.Header, _ *string) {
			if h.Typeflag == tar.TypeXGlobalHeader {
				h.PAXRecords = map[string]string{"comment": strings.Repeat("f", 40)}
			}
		}), "may hold the commit's id alone"},
		{"a path for all members", inTar(t, "", func(h *tar.Header, _ *string) {
			if h.Typeflag == tar.TypeXGlobalHeader {
				h.PAXRecords = map[string]string{"path": "x"}
			}
		}), "a header for all members says path=x"},
		{"data after the end", append(inTar(t, "", nil), "data"...), "data after its last member"},
		{"cut short", inTar(t, "", nil)[:2600], "cannot be read to its end"},
		{"a stream cut short", gz(inTar(t, "", nil))[:200], "cannot be read to its end"},
		{"nothing", nil, "README is in the tree and not in the archive"},
		{"no archive", []byte(strings.Repeat("text ", 300)), "cannot be read to its end"},
	} {
		r := compareTo(t, c.b)
		if got := strings.Join(r.Differences, "; "); r.Equal != (c.want == "") || !strings.Contains(got, c.want) || r.Equal && got != "" {
			t.Errorf("%s: equal %t, %s; want %q", c.name, r.Equal, got, c.want)
		}
	}
}

// TestCompareTreeZip: the same of zips, and what lies between their members.
func TestCompareTreeZip(t *testing.T) {
	pack := func(names ...string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, n := range names {
			h := &zip.FileHeader{Name: n, Method: zip.Deflate}
			body := map[string]string{"README": "read me\n", "bin/run": "#!/bin/sh\n", "lib/link": "../README"}[n]
			switch n {
			case "bin/run":
				h.SetMode(0o755)
			case "lib/link":
				h.SetMode(0o777 | 1<<27) // fs.ModeSymlink
			default:
				h.SetMode(0o644)
			}
			f, err := w.CreateHeader(h)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.SetComment(commitID); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	whole := pack("README", "bin/run", "lib/link")
	if r := compareTo(t, whole); !r.Equal || r.Files != 3 {
		t.Errorf("the tree: %+v", r)
	}
	renamed := bytes.Replace(whole, []byte("README"), []byte("REEDME"), 1) // where it lies, not in the directory
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"one more", pack("README", "bin/run", "lib/link", "x"), "x is not in the tree"},
		{"one twice", pack("README", "bin/run", "lib/link", "README"), "README stands twice"},
		{"another name where it lies", renamed, "has another name where it lies"},
		{"bytes before it", append([]byte("PK\x03\x04 and more than a header in front"), whole...), ""},
		{"another comment", bytes.Replace(whole, []byte(commitID), []byte(strings.Repeat("f", 40)), 1), "its comment is not the commit's id"},
	} {
		r := compareTo(t, c.b)
		if got := strings.Join(r.Differences, "; "); r.Equal || !strings.Contains(got, c.want) {
			t.Errorf("%s: equal %t, %s; want %q", c.name, r.Equal, got, c.want)
		}
	}
}

// TestCompareTreeGit holds the reader to what git itself writes.
func TestCompareTreeGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is missing")
		}
		t.Skip("NOT TESTED: git is missing")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		c := exec.Command("sh", append([]string{"-ec"}, args...)...)
		c.Dir = dir
		c.Env = append(c.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	run(`git init -q; mkdir bin lib; printf 'read me\n' >README; printf '#!/bin/sh\n' >bin/run; chmod +x bin/run; ln -s ../README lib/link; git add -A; git commit -q -m x`)
	commit := strings.TrimSpace(string(run("git rev-parse HEAD")))
	for _, args := range []string{"--format=tar", "--format=tar --prefix=app-1/", "--format=tar.gz --prefix=app-1/", "--format=zip", "--format=zip --prefix=app-1/"} {
		b := run("git archive " + args + " HEAD")
		r, err := CompareTree(t.Context(), Input{Name: "x", Data: bytes.NewReader(b), Size: int64(len(b))}, commit, aTree[:3], Limits{})
		if err != nil || !r.Equal || r.Files != 3 {
			t.Errorf("%s: %+v, %v", args, r, err)
		}
	}
}

// FuzzCompareTree: what is equal has every file of the tree once and no difference; what is not has one that can be shown.
func FuzzCompareTree(f *testing.F) {
	f.Add(inTar(f, "", nil))
	f.Add(inTar(f, "a/", nil))
	f.Add([]byte(packGzip(f, string(inTar(f, "a/", nil)), "", noon, 6)))
	f.Add([]byte(packZip(f, file{name: "README", text: "read me\n", mtime: noon})))
	f.Add([]byte("PK\x05\x06"))
	whole, _ := rawZip(rawTree(), "")
	f.Add(whole)
	f.Add(rawTar("README/", '0', 8, "", "read me\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		r, err := CompareTree(t.Context(), Input{Name: "x", Data: bytes.NewReader(b), Size: int64(len(b))}, commitID, aTree, Limits{Unpacked: 1 << 20, Members: 50})
		if err != nil {
			t.Fatal(err)
		}
		if r.Equal != (len(r.Differences) == 0) || r.Equal && r.Files != 3 {
			t.Fatalf("%+v", r)
		}
		for _, d := range r.Differences {
			if visible(d) != d {
				t.Fatalf("%q cannot be shown", d)
			}
		}
	})
}
