//go:build peers

package dependencies

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/model/card"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
	"github.com/sallyport-dev/sallyport/predicate"
)

// TestSchemas holds what we write to the formats' own JSON Schemas, which the modules of two peers
// bring along, by a validator that is not ours.
func TestSchemas(t *testing.T) {
	jv := filepath.Join(t.TempDir(), "jv")
	build := exec.Command("go", "build", "-o", jv, "github.com/santhosh-tekuri/jsonschema/cmd/jv")
	build.Dir = filepath.Join("..", "jv")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("jv cannot be built from test/peers/jv: %v\n%s", err, out)
	}
	v := &sbom.Inventory{}
	dir := filepath.Join("..", "..", "..", "internal", "scan", "dep", "testdata")
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !sbom.Wants(p) {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, p))
		if err != nil {
			return err
		}
		return v.Add(p, b)
	})
	if err != nil {
		t.Fatal(err)
	}
	// And what is found by looking into things: a licence in the package's own words, a model, an image's system.
	for _, c := range []sbom.Component{
		{Name: "left", Version: "1", Purl: "pkg:deb/debian/left@1?arch=amd64", Paths: []string{"var/lib/dpkg/status"}}, {Name: "debian", Version: "12", Type: sbom.System},
		{Name: "tiny", Type: sbom.Model, Facts: []sbom.Fact{{Name: "architecture", Value: "tiny"}}, Hashes: []sbom.Hash{{Algorithm: "SHA256", Hex: strings.Repeat("0", 64)}}},
	} {
		if err := v.Include(c, []string{"MIT OR Apache-2.0", "Ask us"}); err != nil {
			t.Fatal(err)
		}
	}
	v.Miss("cut.zip", "it is cut short")
	if len(v.Components()) < 30 {
		t.Fatalf("the fixtures have %d packages", len(v.Components()))
	}
	d := sbom.Description{Name: "fixtures", Version: "1", Digest: "sha256:" + strings.Repeat("0", 64), Created: time.Unix(1_795_000_000, 0), Tool: "test",
		Subject: sbom.Single, Readers: []sbom.Reader{{Name: "syft", Version: "1"}}}
	for _, tt := range []struct {
		name, module, schema string
		write                func(sbom.Description) ([]byte, error)
		breaks               [2]string // that the validator sees a fault when there is one
	}{
		{"SPDX", "github.com/anchore/syft", "schema/spdx-json/spdx-schema-2.3.json", v.SPDX, [2]string{`"DEPENDENCY_OF"`, `"NEEDED_BY"`}},
		{"CycloneDX", "github.com/CycloneDX/cyclonedx-go", "schema/bom-1.6.schema.json", v.CycloneDX, [2]string{`"library"`, `"book"`}},
		{"ML-BOM", "github.com/CycloneDX/cyclonedx-go", "schema/bom-1.6.schema.json", models, [2]string{`"performanceMetrics"`, `"performance"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", tt.module)
			list.Dir = filepath.Join("..", "syft")
			list.Env = append(os.Environ(), "GOFLAGS=")
			out, err := list.Output()
			if err != nil {
				t.Fatalf("find %s: %v", tt.module, err)
			}
			schema := local(t, filepath.Join(strings.TrimSpace(string(out)), filepath.FromSlash(tt.schema)))
			b, err := tt.write(d)
			if err != nil {
				t.Fatal(err)
			}
			if said, err := validate(t, jv, schema, b); err != nil {
				t.Errorf("%v\n%s", err, said)
			}
			broken := strings.Replace(string(b), tt.breaks[0], tt.breaks[1], 1)
			if _, err := validate(t, jv, schema, []byte(broken)); err == nil || broken == string(b) {
				t.Errorf("with %s for %s it is valid too", tt.breaks[1], tt.breaks[0])
			}
		})
	}
}

// models writes a registry with everything that an entry can say, and one with the least.
func models(d sbom.Description) ([]byte, error) {
	full := predicate.ModelEntry{
		Provider: "acme", Name: "coder-7b", Version: "2", Digest: "sha256:" + strings.Repeat("1", 64), Licence: "Apache-2.0",
		Datasets: []predicate.ModelDataset{
			{Name: "web", Source: "https://example.com/web", Digest: "sha256:" + strings.Repeat("2", 64), Licence: "CC-BY-4.0"},
			{Name: "unpublished", Source: "the vendor's word"},
		},
		Tuning:      []predicate.ModelTuning{{Method: "rlhf", Base: "acme/base-7b", By: "Acme", Date: "2026-01-02"}},
		Evaluations: []predicate.ModelEvaluation{{Name: "SWE-bench", Metric: "resolved", Value: "0.31"}},
		Notes:       "two\nlines", Endpoints: []predicate.ModelEndpoint{{URL: "http://127.0.0.1:8000", Kind: predicate.EndpointInternal}},
		Owner: "alice", Uses: []string{"code"}, Principals: []string{"*"}, Repositories: []string{"*"}, Expires: "2027-01-01T00:00:00Z",
	}
	least := predicate.ModelEntry{Provider: "anthropic", Name: "claude", Licence: "ask the vendor", Endpoints: []predicate.ModelEndpoint{{URL: "https://*.x.example.com", Kind: predicate.EndpointExternal}}}
	return card.CycloneDX([]card.Model{{ModelEntry: full, State: "approved"}, {ModelEntry: least}}, d.Created, d.Tool)
}

// local copies a schema and what it refers to into one folder, without the addresses at which it would
// otherwise be looked for: nothing is fetched.
func local(t *testing.T, schema string) string {
	t.Helper()
	to := t.TempDir()
	id := regexp.MustCompile(`"\$id": "https?://[^"]*",`)
	for from, name := range map[string]string{
		filepath.Base(schema): filepath.Base(schema), "jsf-0.82.schemax.json": "jsf-0.82.schema.json", "spdx.schema.json": "spdx.schema.json",
	} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(schema), from))
		if errors.Is(err, fs.ErrNotExist) && from != filepath.Base(schema) {
			continue // SPDX's refers to nothing
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), id.ReplaceAll(b, nil), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(to, filepath.Base(schema))
}

func validate(t *testing.T, jv, schema string, doc []byte) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bom.json")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(jv, schema, file).CombinedOutput()
	return string(out), err
}
