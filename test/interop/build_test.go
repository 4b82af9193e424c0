//go:build peers

package interop

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// Cosign verifies the provenance and the link metadata of a build for the artifact, by its own name for
// the type, and takes that of a failed run for nothing that was made.
func TestCosignVerifiesBuilds(t *testing.T) {
	c := newCosign(t)
	s := scene.New(t, scene.Options{})
	k := filepath.Join(s.Dir, "builder")
	s.Must("key", "generate", k)
	out := filepath.Join(s.Dir, "out")
	artifact := filepath.Join(s.Repo, "artifact")
	s.Must("build", "--repo", s.Repo, "--artifact", "artifact", "--key", k, "--output", out, "--", "sh", "-c", "echo made > artifact")
	changed := write(t, s.Dir, "changed", "made.\n")
	verify := func(bundle, typ, file string) (int, string) {
		return c.run("verify-blob-attestation", "--key", k+".pub", "--bundle", bundle, "--insecure-ignore-tlog", "--type", typ, file)
	}
	provenance, link := filepath.Join(out, "provenance.sigstore.json"), filepath.Join(out, "link.sigstore.json")
	for _, tt := range []struct{ bundle, typ string }{{provenance, "slsaprovenance1"}, {link, "https://in-toto.io/attestation/link/v0.3"}} {
		if status, said := verify(tt.bundle, tt.typ, artifact); status != 0 {
			t.Errorf("cosign refuses %s: status %d\n%s", tt.typ, status, said)
		}
		if status, said := verify(tt.bundle, tt.typ, changed); status == 0 {
			t.Errorf("cosign takes %s for another file\n%s", tt.typ, said)
		}
	}

	failed := filepath.Join(s.Dir, "failed.json")
	if r := s.Sallyport("build", "--repo", s.Repo, "--artifact", "artifact", "--key", k, "--bundle", failed, "--", "sh", "-c", "echo made > artifact; exit 7"); r.Status != 7 {
		t.Fatalf("a failed run: %v", r)
	}
	if _, err := os.Stat(artifact); err != nil {
		t.Fatal(err)
	}
	if status, said := verify(failed, "slsaprovenance1", artifact); status == 0 {
		t.Errorf("cosign takes the provenance of a failed run for the artifact\n%s", said)
	}
}
