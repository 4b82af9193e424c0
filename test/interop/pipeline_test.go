//go:build peers

package interop

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// TestCosignVerifiesPipeline holds that sha256sum and cosign verify what the pipeline leaves, and refuse a file that
// is another.
func TestCosignVerifiesPipeline(t *testing.T) {
	c := newCosign(t)
	s := scene.New(t, scene.Options{NoRoot: true})
	k := filepath.Join(s.Dir, "release")
	s.Must("key", "generate", k)
	s.Write(".gitignore", "dist/\n")
	s.Write("go.mod", "module example.com/app\n\ngo 1.26\n")
	s.Write(".sallyport/sallyport.yaml", `version: 1
repository: example.com/acme/service
gates: {release: {adoption: `+s.Rev("HEAD")+`}}
pipeline:
  tests: [{name: unit, run: ["true"]}]
  build: {run: [sh, -c, "mkdir -p dist; git archive -o dist/app.tar HEAD"]}
  artifacts: [dist/app.tar]
  output: dist/release
`)
	s.Git("add", "-A")
	s.Git("commit", "-q", "-m", "Pipeline")
	// Nothing is pinned here, so the gate is shut; the folder is whole all the same.
	if r := s.Sallyport("pipeline", "--repo", s.Repo, "--key", k, "--target", "main"); r.Status != 2 || !strings.Contains(r.Stdout, "release-not-pinned") {
		t.Fatalf("got %v", r)
	}
	out := filepath.Join(s.Repo, "dist", "release")
	at := func(name string) string { return filepath.Join(out, name) }
	sums := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = out
	if said, err := sums.CombinedOutput(); err != nil || strings.Count(string(said), ": OK") < 5 {
		t.Errorf("sha256sum: %v\n%s", err, said)
	}
	if status, said := c.run("verify-blob", "--key", at("signer.pub"), "--bundle", at("SHA256SUMS.sigstore.json"), "--insecure-ignore-tlog", at("SHA256SUMS")); status != 0 {
		t.Errorf("cosign refuses the checksums: %s", said)
	}
	for _, tt := range []struct{ bundle, typ, file, other string }{
		{"provenance.sigstore.json", "slsaprovenance1", "app.tar", "sbom.cdx.json"},
		{"sbom.cdx.sigstore.json", "cyclonedx", "app.tar", "SHA256SUMS"},
		{"sbom.spdx.sigstore.json", "https://in-toto.io/attestation/reference/v0.1", "app.tar", "SHA256SUMS"},
		{"pipeline.sigstore.json", "slsaprovenance1", "sbom.spdx.json", "app.tar"},
	} {
		verify := func(file string) (int, string) {
			return c.run("verify-blob-attestation", "--key", at("signer.pub"), "--bundle", at(tt.bundle), "--insecure-ignore-tlog", "--type", tt.typ, at(file))
		}
		if status, said := verify(tt.file); status != 0 {
			t.Errorf("cosign refuses %s for %s: %s", tt.bundle, tt.file, said)
		}
		if status, said := verify(tt.other); status == 0 {
			t.Errorf("cosign takes %s for %s: %s", tt.bundle, tt.other, said)
		}
	}
}
