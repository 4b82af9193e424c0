package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

// TestImage reads one image in three forms. What it holds is the same, and only an image that was taken
// apart by sallyport is known by its manifest.
func TestImage(t *testing.T) {
	img := newImage(t)
	dir := t.TempDir()
	for _, e := range img.layout() {
		write(t, filepath.Join(dir, "layout", e.name), []byte(e.content))
	}
	ociTar := write(t, filepath.Join(dir, "oci.tar"), archive(t, img.layout()...))
	dockerTar := write(t, filepath.Join(dir, "docker.tar"), archive(t,
		entry{"manifest.json", `[{"Config":"` + sum(img.config) + `.json","RepoTags":["team/app:v1"],"Layers":["layer.tar"]}]`},
		entry{sum(img.config) + ".json", string(img.config)}, entry{"layer.tar", string(img.layer)}))
	for _, tt := range []struct{ subject, form, digest, is string }{
		{"oci-layout:" + filepath.Join(dir, "layout"), "oci-layout", sum(img.manifest), "image"},
		{ociTar, "oci-archive", fileSum(t, ociTar), "file"},
		{dockerTar, "docker-archive", fileSum(t, dockerTar), "file"},
	} {
		t.Run(tt.form, func(t *testing.T) {
			b := bom(t, tt.subject)
			if b.Looked == nil || b.Looked.Form != tt.form || b.Digest != "sha256:"+tt.digest || b.Subject != tt.is || b.Complete {
				t.Fatalf("%+v", b)
			}
			if got := b.licence("pkg:npm/left@1.3.0"); got != "MIT OR Apache-2.0" {
				t.Errorf("npm's left: %s", got)
			}
			if got := b.licence("pkg:npm/own@2.0.0"); !strings.HasPrefix(got, "LicenseRef-") {
				t.Errorf("npm's own: %s", got)
			}
			found := map[string]bool{}
			for _, c := range b.Components {
				found[c.Type+" "+c.Name+" "+c.Version+" "+c.Licence] = true
			}
			for _, want := range []string{"operating-system debian 12 ", "library zlib1g 1:1.2.13 Zlib"} {
				if !found[want] {
					t.Errorf("%q is not among %v", want, found)
				}
			}
		})
	}
}

func fileSum(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return sum(b)
}

// TestFiles reads archives and an executable.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for name, content := range map[string]string{
		"META-INF/MANIFEST.MF":                           "Manifest-Version: 1.0\nImplementation-Title: tool\nImplementation-Version: 4.5\n",
		"META-INF/maven/org.example/tool/pom.properties": "groupId=org.example\nartifactId=tool\nversion=4.5\n",
		"META-INF/LICENSE":                               mit,
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var gzipped bytes.Buffer
	g := gzip.NewWriter(&gzipped)
	if _, err := g.Write(archive(t, entry{"site-packages/demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nLicense: BSD-3-Clause\n"},
		entry{"package-lock.json", `{"name":"s","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"s"},"node_modules/left-pad":{"version":"1.3.0"}}}`})); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file, purl, licence string
	}{
		"jar":                  {write(t, filepath.Join(dir, "tool.jar"), zipped.Bytes()), "pkg:maven/org.example/tool@4.5", "MIT"},
		"tgz":                  {write(t, filepath.Join(dir, "a.tgz"), gzipped.Bytes()), "pkg:pypi/demo@1.0", "BSD-3-Clause"},
		"tgz with a lock file": {filepath.Join(dir, "a.tgz"), "pkg:npm/left-pad@1.3.0", ""},
		"Go executable":        {filepath.Join(bin, "sallyport"), "pkg:golang/github.com/spf13/cobra@v1.10.2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := bom(t, tt.file)
			if b.Digest != "sha256:"+fileSum(t, tt.file) || b.Subject != "file" {
				t.Errorf("it is of %s %s", b.Subject, b.Digest)
			}
			if got := b.licence(tt.purl); got != tt.licence {
				t.Errorf("%s has the licence %q; %+v", tt.purl, got, b)
			}
		})
	}
}

// TestSameBytes writes one bill twice, and in between the input is elsewhere and of another time.
func TestSameBytes(t *testing.T) {
	img := newImage(t)
	outs := map[string][]string{}
	for range 2 {
		dir := t.TempDir()
		name := write(t, filepath.Join(dir, "app.tar"), archive(t, img.layout()...))
		sallyport(t, 0, "sbom", name, "--output", "spdx="+dir+"/a", "--output", "cyclonedx="+dir+"/b")
		for _, f := range []string{"a", "b"} {
			b, err := os.ReadFile(filepath.Join(dir, f))
			if err != nil {
				t.Fatal(err)
			}
			outs[f] = append(outs[f], string(b))
		}
	}
	for f, o := range outs {
		if o[0] != o[1] {
			t.Errorf("%s differs:\n%s\n%s", f, o[0], o[1])
		}
	}
	if !strings.Contains(outs["a"][0], `"licenseDeclared": "MIT OR Apache-2.0"`) || !strings.Contains(outs["b"][0], `"expression": "MIT OR Apache-2.0"`) {
		t.Error("a licence is missing")
	}
}

// TestDeep looks into a folder: what lock files pin is told once, by our readers' rules, and what
// Syft adds is there as well.
func TestDeep(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "package-lock.json"), []byte(`{"name":"s","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"s","version":"1.0.0"},"node_modules/left-pad":{"version":"1.3.0"}}}`))
	write(t, filepath.Join(dir, "vendor.tar.gz"), []byte("no archive at all"))
	if out, err := exec.Command("cp", filepath.Join(bin, "sallyport"), filepath.Join(dir, "tool")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := bom(t, "--deep", dir)
	count := map[string]int{}
	for _, c := range b.Components {
		count[c.Purl]++
	}
	if count["pkg:npm/left-pad@1.3.0"] != 1 || count["pkg:golang/github.com/spf13/cobra@v1.10.2"] != 1 || b.Complete || b.Subject != "tree" {
		t.Errorf("%+v", b)
	}
	flat := bom(t, dir)
	if len(flat.Components) != 1 || flat.Looked != nil {
		t.Errorf("%+v", flat)
	}
}

// TestHostile reads what is no honest input. None gives a bill that looks whole.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	img := newImage(t)
	layout := img.layout()
	layout[4].content = "other bytes"
	for _, e := range layout {
		write(t, filepath.Join(dir, "layout", e.name), []byte(e.content))
	}
	if _, said := sallyport(t, 1, "sbom", "oci-layout:"+filepath.Join(dir, "layout")); !strings.Contains(said, "digest") {
		t.Error(said)
	}
	cut := archive(t, img.layout()...)
	name := write(t, filepath.Join(dir, "cut.tar"), cut[:len(cut)-3000])
	cmd := exec.Command(filepath.Join(bin, "sallyport"), "sbom", name, "--json")
	if out, err := cmd.Output(); err == nil {
		var b bill
		if err := json.Unmarshal(out, &b); err != nil || b.Complete {
			t.Errorf("%s", out)
		}
	}
	// A link out of the archive leads nowhere.
	climb := write(t, filepath.Join(dir, "climb.tar"), archive(t, entry{"../../package-lock.json", `{"lockfileVersion":3,"packages":{"":{},"node_modules/evil":{"version":"1.0.0"}}}`}))
	cmd = exec.Command(filepath.Join(bin, "sallyport"), "sbom", climb)
	out, _ := cmd.CombinedOutput()
	if _, err := os.Stat(filepath.Join(filepath.Dir(dir), "package-lock.json")); err == nil {
		t.Errorf("it wrote outside: %s", out)
	}
}

// TestNothing: a bill of nothing is written only if that is expected.
func TestNothing(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "a.tar"), archive(t, entry{"readme", "hello"}))
	if _, said := sallyport(t, 1, "sbom", file); !strings.Contains(said, "nothing was found") || !strings.Contains(said, "--empty") {
		t.Error(said)
	}
	if b := bom(t, "--empty", file); len(b.Components) != 0 || b.Complete {
		t.Errorf("%+v", b)
	}
}

// TestAttest signs a bill about a file and an image, by what was read.
func TestAttest(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "app.tar"), archive(t, newImage(t).layout()...))
	sallyport(t, 0, "key", "generate", filepath.Join(dir, "key"))
	if out, err := exec.Command("git", "init", "-q", filepath.Join(dir, "repo")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bundle := filepath.Join(dir, "bundle")
	sallyport(t, 0, "sbom", file, "-C", filepath.Join(dir, "repo"), "--attest", "spdx", "--key", filepath.Join(dir, "key"), "--bundle", bundle)
	b, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		DSSE struct{ Payload string } `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(doc.DSSE.Payload)
	if err != nil || !bytes.Contains(payload, []byte(`{"sha256":"`+fileSum(t, file)+`"}`)) || !bytes.Contains(payload, []byte(`"https://spdx.dev/Document/v2.3"`)) {
		t.Errorf("%v %.300s", err, payload)
	}
	if _, said := sallyport(t, 64, "sbom", dir, "--deep", "--attest", "spdx", "--key", filepath.Join(dir, "key")); !strings.Contains(said, "no digest") {
		t.Error(said)
	}
}

// TestMissing runs sallyport without its helper, and with one that is none.
func TestMissing(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("cp", filepath.Join(bin, "sallyport"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := write(t, filepath.Join(dir, "a.zip"), []byte("PK"))
	out := filepath.Join(dir, "bom")
	for _, helperIs := range []string{"", "#!/bin/sh\necho '{\"protocol\":\"1\",\"build\":\"other\",\"syft\":\"v1\"}'\n"} {
		if helperIs != "" {
			if err := os.WriteFile(filepath.Join(dir, deep.Program), []byte(helperIs), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(filepath.Join(dir, "sallyport"), "sbom", file, "--output", "spdx="+out)
		said, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(said), deep.Program) || !strings.Contains(string(said), "install") {
			t.Errorf("%d: %s", cmd.ProcessState.ExitCode(), said)
		}
		if _, err := os.Stat(out); err == nil {
			t.Error("a bill was written")
		}
	}
}

// TestLicenceRules holds an image's licences to the rules of a repository's target branch.
func TestLicenceRules(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "repo")
	write(t, filepath.Join(repo, ".sallyport", "sallyport.yaml"), []byte("version: 1\nrepository: example.com/a\nlicences:\n  allow: [MIT]\n  deny: [Zlib]\n"))
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "-m", "Begin"}} {
		if out, err := exec.Command("git", append([]string{"-C", repo}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	image := write(t, filepath.Join(dir, "app.tar"), archive(t, newImage(t).layout()...))
	out, _ := sallyport(t, 2, "sbom", image, "-C", repo, "--check", "--target", "main")
	for _, want := range []string{"licence-denied: pkg:deb/debian/zlib1g", "licence-unknown: pkg:npm/own@2.0.0: ", `"Ask us first"`, "licences: 1 allowed, 2 findings"} {
		if !strings.Contains(out, want) {
			t.Errorf("not told: %s\n%s", want, out)
		}
	}
}

// TestRegistry fetches an image for one platform out of an index. The bill is of that image's manifest, and
// the same as of the image on disk but for its name.
func TestRegistry(t *testing.T) {
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer s.Close()
	img := newImage(t)
	push := func(method, path, mediaType string, b []byte) {
		t.Helper()
		req, err := http.NewRequest(method, s.URL+"/v2/team/app/"+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s", method, path, resp.Status)
		}
	}
	for _, b := range [][]byte{img.config, img.layer} {
		push(http.MethodPost, "blobs/uploads/?digest=sha256:"+sum(b), "application/octet-stream", b)
	}
	push(http.MethodPut, "manifests/sha256:"+sum(img.manifest), "application/vnd.oci.image.manifest.v1+json", img.manifest)
	index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d,"platform":{"os":"linux","architecture":"amd64"}}]}`, sum(img.manifest), len(img.manifest))
	push(http.MethodPut, "manifests/v1", "application/vnd.oci.image.index.v1+json", []byte(index))
	ref := "oci:" + strings.TrimPrefix(s.URL, "http://") + "/team/app:v1"
	b := bom(t, ref, "--platform", "linux/amd64")
	if b.Digest != "sha256:"+sum(img.manifest) || b.Subject != "image" || b.licence("pkg:npm/left@1.3.0") != "MIT OR Apache-2.0" {
		t.Errorf("%+v", b)
	}
	if _, said := sallyport(t, 1, "sbom", ref, "--platform", "linux/arm64"); !strings.Contains(said, "linux/amd64") {
		t.Error(said)
	}
	dir := t.TempDir()
	for _, e := range img.layout() {
		write(t, filepath.Join(dir, e.name), []byte(e.content))
	}
	one, _ := sallyport(t, 0, "sbom", ref, "--name", "n", "--output", "spdx=-")
	other, _ := sallyport(t, 0, "sbom", "oci-layout:"+dir, "--name", "n", "--output", "spdx=-")
	if one != other {
		t.Errorf("the registry's image gives other bytes than the same on disk:\n%s\n%s", one, other)
	}
}
