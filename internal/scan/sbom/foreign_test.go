package sbom

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const spdxOf = `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"app","documentNamespace":"https://example.com/1",
"creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: maker-1"]},
"hasExtractedLicensingInfos":[{"licenseId":"LicenseRef-x","extractedText":"Ask us","name":"Ask us"}],
"packages":[{"SPDXID":"SPDXRef-root","name":"app","downloadLocation":"NOASSERTION","checksums":[{"algorithm":"SHA256","checksumValue":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]},
{"SPDXID":"SPDXRef-a","name":"a","versionInfo":"1","downloadLocation":"NOASSERTION","licenseConcluded":"NOASSERTION","licenseDeclared":"MIT","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}],
"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-root"},{"spdxElementId":"SPDXRef-root","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-a"}]}`

const cdxOf = `{"bomFormat":"CycloneDX","specVersion":"1.5","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":1,
"metadata":{"timestamp":"2026-01-01T00:00:00Z","tools":{"components":[{"type":"application","name":"maker","version":"1"}]},"component":{"type":"container","bom-ref":"root","name":"app","hashes":[{"alg":"SHA-256","content":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}},
"components":[{"type":"library","bom-ref":"a","name":"a","version":"1","purl":"pkg:npm/a@1","licenses":[{"license":{"id":"MIT"}}],"components":[{"type":"library","name":"inner","licenses":[{"expression":"MIT OR X11"}]}]}],
"dependencies":[{"ref":"root","dependsOn":["a"]}]}`

func TestRead(t *testing.T) {
	for format, doc := range map[string]string{"SPDX": spdxOf, "CycloneDX": cdxOf} {
		f, err := Read([]byte(doc))
		parts := map[string]int{"SPDX": 2, "CycloneDX": 3}[format] // with what it is about
		if err != nil || f.Format != format || f.Name != "app" || len(f.Components) != parts || len(f.Digests) != 1 || f.Creators[0] != "Tool: maker-1" {
			t.Fatalf("%+v, %v", f, err)
		}
		found := false
		for _, c := range f.Components {
			found = found || c.Purl == "pkg:npm/a@1" && c.Licence == "MIT"
		}
		if !found {
			t.Errorf("%+v", f.Components)
		}
	}
	for _, tt := range []struct{ doc, old, now string }{
		{spdxOf, `SPDX-2.3`, `SPDX-2.2`},
		{spdxOf, `"CC0-1.0"`, `"MIT"`},
		{spdxOf, `"creators":["Tool: maker-1"]`, `"creators":[]`},
		{spdxOf, `"2026-01-01T00:00:00Z"`, `"yesterday"`},
		{spdxOf, `"https://example.com/1"`, `"here"`},
		{spdxOf, `"SPDXID":"SPDXRef-a"`, `"SPDXID":"SPDXRef-root"`},
		{spdxOf, `"SPDXID":"SPDXRef-a"`, `"SPDXID":"SPDXRef-DOCUMENT"`},
		{spdxOf, `"SPDXID":"SPDXRef-a"`, `"SPDXID":"SPDXRef-a b"`},
		{spdxOf, `"relatedSpdxElement":"SPDXRef-a"`, `"relatedSpdxElement":"SPDXRef-b"`},
		{spdxOf, `pkg:npm/a@1`, `npm/a@1`},
		{spdxOf, `e3b0`, `e3b`},
		{spdxOf, `"SHA256"`, `"SHA512"`},
		{spdxOf, `"name":"a"`, `"Name":"a"`},
		{spdxOf, `"name":"a"`, `"name":"a","name":"b"`},
		{spdxOf, `"packages":[`, `"packages":[7,`},
		{spdxOf, `"name":"a"`, `"name":"a\u001b"`},
		{spdxOf, `"dataLicense"`, `"bomFormat":"CycloneDX","dataLicense"`},
		{spdxOf, `"licenseId":"LicenseRef-x"`, `"licenseId":"AGPL-3.0-only"`},
		{spdxOf, `"licenseId":"LicenseRef-x"`, `"licenseId":"LicenseRef-x OR LicenseRef-y"`},
		{spdxOf, `"licenseId":"LicenseRef-x"`, `"licenseId":"DocumentRef-d:LicenseRef-x"`},
		{cdxOf, `"id":"MIT"`, `"id":"MIT OR AGPL-3.0-only"`},
		{cdxOf, `"type":"container"`, `"type":"book"`},
		{cdxOf, `"type":"container"`, `"type":"container","version":"sha256:0\nattestation"`},
		{cdxOf, `"type":"container"`, `"type":"container","properties":[{"name":"sallyport:digest","value":"a b"}]`},
		{cdxOf, `"1.5"`, `"1.3"`},
		{cdxOf, `urn:uuid:3e67`, `urn:uuid:3e6`},
		{cdxOf, `"version":1,`, `"version":0,`},
		{cdxOf, `"bom-ref":"a"`, `"bom-ref":"root"`},
		{cdxOf, `"dependsOn":["a"]`, `"dependsOn":["b"]`},
		{cdxOf, `{"ref":"root"`, `{"ref":"root"},{"ref":"root"`},
		{cdxOf, `pkg:npm/a@1`, `pkg:npm/`},
		{cdxOf, `"type":"library"`, `"type":"book"`},
		{cdxOf, `"name":"inner"`, `"name":""`},
		{cdxOf, `{"license":{"id":"MIT"}}`, `{"license":{"id":"MIT"},"expression":"MIT"}`},
		{cdxOf, `{"license":{"id":"MIT"}}`, `{}`},
		{cdxOf, `e3b0`, `zzzz`},
		{cdxOf, `"2026-01-01T00:00:00Z"`, `"2026"`},
		{cdxOf, `}]}`, `}]}{}`},
	} {
		broken := strings.Replace(tt.doc, tt.old, tt.now, 1)
		if f, err := Read([]byte(broken)); !errors.Is(err, ErrForeign) || broken == tt.doc {
			t.Errorf("%s for %s was read: %+v, %v", tt.now, tt.old, f, err)
		}
	}
	if _, err := Read(make([]byte, MaxForeign+1)); err == nil {
		t.Error("a document that is too large was read")
	}
}

// TestReadOwn reads what is written here.
func TestReadOwn(t *testing.T) {
	v := &Inventory{}
	for _, c := range []Component{{Name: "a", Purl: "pkg:npm/a@1"}, {Name: "debian", Type: System}, {Name: "m", Type: Model, Facts: []Fact{{"format", "gguf"}}}} {
		if err := v.Include(c, []string{"MIT", "Ask us"}); err != nil {
			t.Fatal(err)
		}
	}
	d := Description{Name: "n", Created: time.Unix(0, 0), Subject: Single, Digest: "sha256:" + strings.Repeat("0", 64)}
	for _, write := range []func(Description) ([]byte, error){v.SPDX, v.CycloneDX} {
		b, err := write(d)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := Read(b); err != nil || len(f.Components) < 3 || len(f.Digests) != 1 {
			t.Errorf("%+v, %v\n%s", f, err, b)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(spdxOf))
	f.Add([]byte(cdxOf))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := Read(b); (got == nil) == (err == nil) {
			t.Fatalf("%v, %v", got, err)
		}
	})
}
