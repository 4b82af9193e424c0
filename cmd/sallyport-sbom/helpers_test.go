package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

// bin holds sallyport and this helper, built for these tests.
var bin string

func TestMain(m *testing.M) {
	if abi, err := strconv.Atoi(os.Getenv("CONFINE_ABI")); err == nil {
		os.Exit(landlockedAs(abi))
	}
	if os.Getenv("CONFINE") != "" {
		os.Exit(confined())
	}
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "sallyport-sbom-test-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(bin)
		// Test programs are not told their commit, so neither of these may be.
		for dir, name := range map[string]string{"../..": "sallyport", ".": deep.Program} {
			cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, name), map[string]string{"sallyport": "./cmd/sallyport", deep.Program: "."}[name])
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// look asks a worker.
func look(t *testing.T, kind, path string) *deep.Answer {
	t.Helper()
	w, err := deep.Starter{Executable: filepath.Join(bin, "sallyport")}.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a, err := w.Ask(context.Background(), kind, path, []string{".git"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sallyport runs the program itself and returns what it printed.
func sallyport(t *testing.T, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sallyport"), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "GIT_CONFIG_NOSYSTEM=1")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("sallyport %s ends with %d:\n%s%s", strings.Join(args, " "), got, out.String(), said.String())
	}
	return out.String(), said.String()
}

// A bill is what sbom --json prints, as far as it is looked at here.
type bill struct {
	Digest   string
	Subject  string
	Complete bool
	Looked   *struct {
		Form     string
		Confined deep.Confinement
	}
	Files []struct {
		Path, Why string
		Unread    bool
	}
	Components []struct {
		Purl, Type, Name, Version, Licence, Ecosystem string
		Paths                                         []string
		Terms                                         []struct{ Ref, Name string }
	}
}

func bom(t *testing.T, args ...string) bill {
	t.Helper()
	out, _ := sallyport(t, 0, append([]string{"sbom", "--json"}, args...)...)
	var b bill
	if err := json.Unmarshal([]byte(out), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b bill) licence(purl string) string {
	for _, c := range b.Components {
		if c.Purl == purl {
			return c.Licence
		}
	}
	return "not in the bill"
}

type entry struct{ name, content string }

// archive makes a tar file.
func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content)), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// mit is the text of a licence.
const mit = `MIT License

Copyright (c) 2026 Example

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

// layers are an image's content: a Debian package and two of npm.
func layers(t *testing.T) []byte {
	t.Helper()
	return archive(t,
		entry{"etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"},
		entry{"var/lib/dpkg/status", "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2.13\nMaintainer: A <a@example.com>\nDescription: compression\n\n"},
		entry{"usr/share/doc/zlib1g/copyright", "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Zlib\n"},
		entry{"app/node_modules/left/package.json", `{"name":"left","version":"1.3.0","license":"(MIT OR Apache-2.0)"}`},
		entry{"app/node_modules/own/package.json", `{"name":"own","version":"2.0.0","license":"Ask us first"}`},
	)
}

// anImage is one with one layer.
type anImage struct {
	config, manifest, layer []byte
}

func newImage(t *testing.T) anImage {
	t.Helper()
	layer := layers(t)
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}`, sum(layer))
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%d}]}`, sum([]byte(config)), len(config), sum(layer), len(layer))
	return anImage{[]byte(config), []byte(manifest), layer}
}

func (i anImage) layout() []entry {
	return []entry{
		{"oci-layout", `{"imageLayoutVersion":"1.0.0"}`},
		{"index.json", fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d}]}`, sum(i.manifest), len(i.manifest))},
		{"blobs/sha256/" + sum(i.manifest), string(i.manifest)},
		{"blobs/sha256/" + sum(i.config), string(i.config)},
		{"blobs/sha256/" + sum(i.layer), string(i.layer)},
	}
}
