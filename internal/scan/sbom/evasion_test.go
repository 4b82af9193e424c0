package sbom

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/licence"
)

// TestForeignLicences holds bills by others to rules that they would like to get around: each row has the
// rule that tells of the component, or none.
func TestForeignLicences(t *testing.T) {
	const head = `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"x","documentNamespace":"https://example.com/x","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},` +
		`"hasExtractedLicensingInfos":[{"licenseId":"LicenseRef-Evil","name":"MIT","extractedText":"t"},{"licenseId":"LicenseRef-own","name":"MIT","extractedText":"t"},{"licenseId":"LicenseRef-bad","name":"MIT","extractedText":"t"}],`
	spdx := func(fields string) string {
		return head + `"packages":[{"name":"p","SPDXID":"SPDXRef-a","downloadLocation":"NOASSERTION",` + fields + `}]}`
	}
	cdx := func(fields string) string {
		return `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"name":"p",` + fields + `}]}`
	}
	library := func(licences string) string { return cdx(`"type":"library","licenses":[` + licences + `]`) }
	for _, tt := range []struct {
		name, doc string
		rule      string // the finding; empty: allowed
		text      string
	}{
		{"SPDX, allowed", spdx(`"licenseConcluded":"MIT"`), "", ""},
		{"a name of the list for a LicenseRef", spdx(`"licenseConcluded":"LicenseRef-Evil"`), LicenceUnknown, `"LicenseRef-Evil", called "MIT"`},
		{"the same among others", spdx(`"licenseDeclared":"MIT AND (LicenseRef-Evil)"`), LicenceUnknown, `"LicenseRef-Evil", called "MIT"`},
		{"a LicenseRef that may be avoided", spdx(`"licenseDeclared":"MIT OR LicenseRef-Evil"`), "", ""},
		{"a LicenseRef that a rule allows", spdx(`"licenseConcluded":"LicenseRef-own"`), "", ""},
		{"a LicenseRef that a rule denies", spdx(`"licenseConcluded":"MIT AND LicenseRef-bad"`), LicenceDenied, "LicenseRef-bad"},
		{"a LicenseRef of another document", spdx(`"licenseConcluded":"DocumentRef-d:LicenseRef-own"`), LicenceUnknown, "DocumentRef-d:LicenseRef-own"},
		{"a conclusion that forgets what is declared", spdx(`"licenseConcluded":"MIT","licenseDeclared":"AGPL-3.0-only"`), LicenceDenied, "AGPL-3.0-only"},
		{"a conclusion that chooses", spdx(`"licenseConcluded":"MIT","licenseDeclared":"MIT OR AGPL-3.0-only"`), "", ""},
		{"a conclusion about what declares nothing", spdx(`"licenseConcluded":"MIT","licenseDeclared":"NONE","licenseInfoFromFiles":["NONE"]`), "", ""},
		{"what files say", spdx(`"licenseConcluded":"MIT","licenseInfoFromFiles":["MIT","AGPL-3.0-only"]`), LicenceDenied, "AGPL-3.0-only"},
		{"NONE", spdx(`"licenseConcluded":"NONE"`), LicenceUnknown, `"NONE"`},
		{"NONE alone declared", spdx(`"licenseDeclared":"NONE"`), LicenceUnknown, "nobody knows"},
		{"NOASSERTION", spdx(`"licenseConcluded":"NOASSERTION"`), LicenceUnknown, "nobody knows"},
		{"NOASSERTION in lower case", spdx(`"licenseConcluded":"noassertion"`), LicenceUnknown, `"noassertion"`},
		{"blanks", spdx(`"licenseConcluded":"  "`), LicenceUnknown, "nobody knows"},
		{"empty parentheses", spdx(`"licenseConcluded":"()"`), LicenceUnknown, `"()"`},

		{"CycloneDX, allowed", library(`{"license":{"id":"MIT"}}`), "", ""},
		{"by name", library(`{"license":{"name":"MIT"}}`), "", ""},
		{"a name that is an expression", library(`{"license":{"name":"MIT OR AGPL-3.0-only"}}`), LicenceUnknown, `"MIT OR AGPL-3.0-only"`},
		{"another case", library(`{"license":{"id":"agpl-3.0-ONLY"}}`), LicenceDenied, "AGPL-3.0-only"},
		{"a deprecated spelling", library(`{"license":{"id":"AGPL-3.0"}}`), LicenceDenied, "AGPL-3.0-only"},
		{"parentheses", library(`{"expression":"(((AGPL-3.0-only)))"}`), LicenceDenied, "AGPL-3.0-only"},
		{"parentheses without end", library(`{"expression":"` + strings.Repeat("(", 90) + "MIT" + strings.Repeat(")", 90) + `"}`), LicenceUnknown, "MIT"},
		{"beside another entry", library(`{"license":{"id":"MIT"}},{"expression":"AGPL-3.0-only"}`), LicenceDenied, "AGPL-3.0-only"},
		{"or later", library(`{"expression":"AGPL-3.0-or-later"}`), LicenceDenied, "AGPL-3.0-or-later"},
		{"or later, with an exception", library(`{"expression":"AGPL-3.0-or-later WITH Classpath-exception-2.0"}`), LicenceDenied, "AGPL-3.0-or-later"},
		{"what was found in it", cdx(`"type":"library","licenses":[{"license":{"id":"MIT"}}],"evidence":{"licenses":[{"license":{"id":"AGPL-3.0-only"}}]}`), LicenceDenied, "AGPL-3.0-only"},
		{"a library that calls itself a system", cdx(`"type":"operating-system","purl":"pkg:npm/evil@1","licenses":[{"license":{"id":"AGPL-3.0-only"}}]`), LicenceDenied, "pkg:npm/evil@1"},
		{"a system of a bill by others", cdx(`"type":"operating-system"`), LicenceUnknown, "component:"},
		{"the root", `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"component":{"type":"application","name":"p","licenses":[{"license":{"id":"AGPL-3.0-only"}}]}}}`, LicenceDenied, "AGPL-3.0-only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := licence.NewRules([]string{"MIT", "LicenseRef-own"}, []string{"AGPL-3.0-only", "LicenseRef-bad"})
			if err != nil {
				t.Fatal(err)
			}
			f, err := Read([]byte(tt.doc))
			if err != nil {
				t.Fatal(err)
			}
			got := CheckLicences(f.Components, rules, nil)
			switch {
			case tt.rule == "" && (got.Allowed != 1 || len(got.Findings) != 0):
				t.Errorf("%+v", got)
			case tt.rule != "" && (len(got.Findings) != 1 || got.Findings[0].Rule != tt.rule || !strings.Contains(got.Findings[0].Text, tt.text)):
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestLicenceOf gives a package the licence that the rules say, and no other package that looks like it.
func TestLicenceOf(t *testing.T) {
	rules, err := licence.NewRules([]string{"MIT"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	bare := Component{Name: "firmware", Version: "1", Type: Library, Hashes: []Hash{}}
	of := map[string]string{"pkg:npm/old@1.0.0": "MIT", "pkg:npm/all": "MIT", bare.Ref(): "MIT"}
	for purl, allowed := range map[string]bool{
		"pkg:npm/old@1.0.0":                                                 true,
		"pkg:npm/old@1.0.0?arch=x#sub":                                      true,
		"pkg:npm/all@2.0.0?arch=x":                                          true,
		"pkg:npm/all@1:2.0":                                                 true,
		"pkg:npm/old@1.0.1":                                                 false,
		"pkg:npm/old@1.0.0?download_url=https://elsewhere":                  false,
		"pkg:npm/old@1.0.0?arch=x&VCS_URL=git%2Bhttps://elsewhere":          false,
		"pkg:npm/old@1.0.0?repository%5Furl=elsewhere":                      false,
		"pkg:npm/old@1.0.0?arch=x#a?download_url=https://elsewhere#b":       false,
		"pkg:npm/all@2.0.0?download_url=https://elsewhere/all-2.0.0.tar.gz": false,
		"pkg:npm/all@https:%2F%2Felsewhere":                                 false,
		"pkg:npm/all@npm:evil":                                              false,
		"pkg:npm/all@1/../evil":                                             false,
		"pkg:npm/all@1@evil":                                                false,
		"":                                                                  true,
	} {
		v := &Inventory{}
		c := bare
		if c.Purl = purl; purl != "" {
			c.Name = "x"
		}
		if err := v.Include(c, nil); err != nil {
			t.Errorf("%s: %v", purl, err)
			continue
		}
		if got := CheckLicences(v.Components(), rules, of); (got.Allowed == 1) != allowed {
			t.Errorf("%s: %+v", purl, got)
		}
	}
}

// TestIncludeSystem passes over the system that we add, and over nothing that is merged with it.
func TestIncludeSystem(t *testing.T) {
	rules, err := licence.NewRules([]string{"MIT"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range []string{"s", "sc", "cs"} {
		v := &Inventory{}
		for _, step := range order {
			add := func() error { return v.IncludeSystem("debian", "12") }
			if step == 'c' {
				add = func() error { return v.Include(Component{Type: System, Name: "debian", Version: "12"}, nil) }
			}
			if err := add(); err != nil {
				t.Fatal(err)
			}
		}
		if got := CheckLicences(v.Components(), rules, nil); len(got.Findings) != strings.Count(order, "c") || got.Allowed != 0 {
			t.Errorf("%s: %+v", order, got)
		}
	}
}

// TestForeignDigests finds what a bill says that it is about, wherever it says it.
func TestForeignDigests(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	const root = `"type":"container","bom-ref":"root","name":"app"`
	const pack = `"SPDXID":"SPDXRef-root","name":"app"`
	for _, tt := range []struct{ name, doc, old, now string }{
		{"version", cdxOf, root, root + `,"version":"` + digest + `"`},
		{"version, in capitals", cdxOf, root, root + `,"version":"` + strings.ToUpper(digest) + `"`},
		{"version with a name", cdxOf, root, root + `,"version":"v1@` + digest + `"`},
		{"name", cdxOf, root, strings.Replace(root, `"app"`, `"app@`+digest+`"`, 1)},
		{"package URL", cdxOf, root, root + `,"purl":"pkg:oci/app@sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?arch=amd64"`},
		{"package URL, plain", cdxOf, root, root + `,"purl":"pkg:oci/app@` + digest + `"`},
		{"property", cdxOf, root, root + `,"properties":[{"name":"sallyport:digest","value":"` + digest + `"}]`},
		{"versionInfo", spdxOf, pack, pack + `,"versionInfo":"` + digest + `"`},
		{"described by", spdxOf, `"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-root"`, `"SPDXRef-root","relationshipType":"DESCRIBED_BY","relatedSpdxElement":"SPDXRef-DOCUMENT","comment":"` + digest + `"`},
	} {
		doc := strings.Replace(tt.doc, tt.old, tt.now, 1)
		if tt.name != "described by" { // which is of the package's own checksum
			doc = strings.NewReplacer(`"hashes":[{"alg":"SHA-256","content":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]`, `"hashes":[]`,
				`"checksums":[{"algorithm":"SHA256","checksumValue":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]`, `"checksums":[]`).Replace(doc)
		}
		f, err := Read([]byte(doc))
		if err != nil || len(f.Digests) != 1 || f.Digests[0] != digest {
			t.Errorf("%s: %+v, %v", tt.name, f, err)
		}
	}
	weak, err := Read([]byte(strings.Replace(cdxOf, `"hashes":[{"alg":"SHA-256","content":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]`, `"hashes":[{"alg":"MD5","content":"d41d8cd98f00b204e9800998ecf8427e"}]`, 1)))
	if err != nil || len(weak.Digests) != 1 || weak.Digests[0] != "md5:d41d8cd98f00b204e9800998ecf8427e" {
		t.Errorf("%+v, %v", weak, err)
	}
	file, err := Read([]byte(strings.Replace(spdxOf, `"relationships"`, `"documentDescribes":["SPDXRef-f"],"files":[{"SPDXID":"SPDXRef-f","fileName":"f","checksums":[{"algorithm":"SHA1","checksumValue":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}]}],"relationships"`, 1)))
	if err != nil || len(file.Digests) != 2 {
		t.Errorf("%+v, %v", file, err)
	}
}
