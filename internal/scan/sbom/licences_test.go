package sbom

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/licence"
)

func TestCheckLicences(t *testing.T) {
	rules, err := licence.NewRules([]string{"MIT", "Apache-2.0"}, []string{"GPL-3.0-only"})
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{"pkg:golang/example.com/known": "MIT", "pkg:npm/pinned@2.0.0": "Apache-2.0", "pkg:npm/worse": "GPL-3.0-only"}
	for _, tt := range []struct {
		purl  string
		terms []string
		rule  string
		text  string
	}{
		{"pkg:npm/a@1", []string{"MIT"}, "", ""},
		{"pkg:npm/b@1", []string{"GPL-3.0-only OR MIT"}, "", ""},
		{"pkg:npm/c@1", []string{"GPL-3.0", "MIT"}, LicenceDenied, "GPL-3.0-only"},
		{"pkg:npm/d@1", []string{"BSD-3-Clause"}, LicenceUnlisted, "BSD-3-Clause"},
		{"pkg:npm/e@1", nil, LicenceUnknown, "nobody knows"},
		{"pkg:npm/f@1", []string{"NOASSERTION"}, LicenceUnknown, "nobody knows"},
		{"pkg:npm/g@1", []string{"Ask us"}, LicenceUnknown, `"Ask us"`},
		{"pkg:npm/h@1", []string{"MIT", "Ask us"}, LicenceUnknown, `"Ask us"`},
		{"pkg:npm/i@1", []string{"LicenseRef-MIT"}, LicenceUnknown, `"LicenseRef-MIT"`},
		{"pkg:npm/j@1", []string{"MIT License"}, LicenceUnknown, `"MIT License"`},
		{"pkg:golang/example.com/known@v1.0.0", nil, "", ""},
		{"pkg:golang/example.com/known@v1.0.0?goos=linux#sub", nil, "", ""},
		{"pkg:npm/pinned@2.0.0", []string{"Ask us"}, "", ""},
		{"pkg:npm/pinned@2.0.1", []string{"Ask us"}, LicenceUnknown, "Ask us"},
		{"pkg:npm/worse@1", []string{"MIT"}, LicenceDenied, "GPL-3.0-only"},
	} {
		t.Run(tt.purl, func(t *testing.T) {
			v := &Inventory{}
			if err := v.Include(Component{Name: "x", Purl: tt.purl}, tt.terms); err != nil {
				t.Fatal(err)
			}
			got := CheckLicences(v.Components(), rules, of)
			switch {
			case tt.rule == "" && (got.Allowed != 1 || len(got.Findings) != 0):
				t.Errorf("%+v", got)
			case tt.rule != "" && (len(got.Findings) != 1 || got.Allowed != 0 || got.Findings[0].Rule != tt.rule || !strings.Contains(got.Findings[0].Text, tt.text)):
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestInclude merges what two readers tell of one package, whichever comes first.
func TestInclude(t *testing.T) {
	var want string
	for i, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		v := &Inventory{}
		parts := []Component{{Name: "a", Purl: "pkg:npm/a@1", Paths: []string{"x"}}, {Name: "a", Purl: "pkg:npm/a@1", Paths: []string{"y"}}, {Name: "no purl", Version: "1", Type: Application}}
		terms := [][]string{{"MIT"}, {"Apache-2.0 OR MIT", "Ask us"}, nil}
		for _, j := range order {
			if err := v.Include(parts[j], terms[j]); err != nil {
				t.Fatal(err)
			}
		}
		spdx, err := v.SPDX(Description{Name: "n", Subject: Image, Digest: "sha256:00", Readers: []Reader{{"syft", "1"}}})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = string(spdx)
			for _, s := range []string{`"licenseDeclared": "(Apache-2.0 OR MIT) AND LicenseRef-`, `"extractedText": "Ask us"`, `"CONTAINS"`, `"named by x, y"`, `Tool: syft-1`} {
				if !strings.Contains(want, s) {
					t.Errorf("%s is missing in %s", s, want)
				}
			}
		}
		if string(spdx) != want {
			t.Errorf("another order gives other bytes: %s", spdx)
		}
	}
	for _, bad := range []string{"pkg:", "pkg:npm", "npm/a", "pkg:npm/", "pkg:npm/a b", "pkg:npm/%zz", "pkg:np m/a", "pkg:npm/a?x", "pkg:npm/a\x00"} {
		if err := (&Inventory{}).Include(Component{Name: "a", Purl: bad}, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
