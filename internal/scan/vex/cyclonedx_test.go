package vex

import (
	"fmt"
	"strings"
	"testing"
)

// cdx is a document with vulnerabilities, and a component "a" that is purl.
func cdx(vulnerabilities ...string) string {
	return `{"bomFormat": "CycloneDX", "specVersion": "1.5", "metadata": {"timestamp": "2026-11-01T00:00:00Z"},
 "components": [{"bom-ref": "a", "purl": "` + purl + `", "components": [{"bom-ref": "inner", "purl": "pkg:npm/inner@1.0.0"}]}],
 "vulnerabilities": [` + strings.Join(vulnerabilities, ",") + `]}`
}

// analysed is an analysis of CVE-1, with more in it.
func analysed(state, more, affects string) string {
	return fmt.Sprintf(`{"id": "CVE-1", "analysis": {"state": %q%s}, "affects": [%s]}`, state, more, affects)
}

func TestCycloneDX(t *testing.T) {
	const a, because = `{"ref": "a"}`, `, "justification": "code_not_reachable"`
	at := func(day string) string { return `, "lastUpdated": "2026-11-` + day + `T00:00:00Z"` }
	for _, tt := range []struct{ name, doc, want string }{
		{"not affected", cdx(analysed("not_affected", because, a)), "not-affected"},
		{"not affected, in words", cdx(analysed("not_affected", `, "detail": "Never called."`, a)), "not-affected"},
		{"a false positive", cdx(analysed("false_positive", because, a)), "not-affected"},
		{"resolved", cdx(analysed("resolved", "", a)), "fixed"},
		{"resolved by a pedigree that nobody reads", cdx(analysed("resolved_with_pedigree", because, a)), "open"},
		{"exploitable", cdx(analysed("exploitable", because, a)), "open"},
		{"in triage", cdx(analysed("in_triage", because, a)), "open"},
		{"a state that there is not", cdx(analysed("fixed", because, a)), "open"},
		{"a state in capitals", cdx(analysed("Resolved", because, a)), "open"},
		{"no analysis", cdx(`{"id": "CVE-1", "affects": [` + a + `]}`), "open"},
		{"another advisory", cdx(strings.Replace(analysed("resolved", "", a), "CVE-1", "CVE-2", 1)), "open"},
		{"an equal of another", cdx(strings.Replace(analysed("resolved", "", a), `"CVE-1"`, `"X", "references": [{"id": "GHSA-1", "source": {"name": "G"}}]`, 1)), "fixed"},
		{"another component", cdx(analysed("resolved", "", `{"ref": "inner"}`)), "open"},
		{"nothing that it is about", cdx(analysed("resolved", "", "")), "open"},
		{"a reference to nothing", cdx(analysed("resolved", "", `{"ref": "b"}`)), "open"},
		{"by its package URL", cdx(analysed("resolved", "", `{"ref": "`+purl+`"}`)), "fixed"},
		{"by a BOM-Link", cdx(analysed("resolved", "", `{"ref": "urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1#`+strings.ReplaceAll(purl, "@", "%40")+`"}`)), "fixed"},
		{"by a link to somewhere", cdx(analysed("resolved", "", `{"ref": "https://example.com/#`+purl+`"}`)), "open"},
		{"any version", cdx(analysed("resolved", "", `{"ref": "pkg:npm/left-pad"}`)), "open"},
		{"its version among others", cdx(analysed("resolved", "", `{"ref": "a", "versions": [{"version": "1.0.0"}, {"version": "1.2.0", "status": "affected"}]}`)), "fixed"},
		{"other versions", cdx(analysed("resolved", "", `{"ref": "a", "versions": [{"version": "1.0.0"}, {"range": "vers:npm/>=1.0.0"}]}`)), "open"},
		{"its version, unknown", cdx(analysed("resolved", "", `{"ref": "a", "versions": [{"version": "1.2.0", "status": "unknown"}]}`)), "open"},
		{"taken back", cdx(analysed("resolved", at("02"), a), analysed("exploitable", at("03"), a)), "open"},
		{"taken back in a word that there is not", cdx(analysed("resolved", at("02"), a), analysed("maybe", at("03"), a)), "open"},
		{"taken back for other versions", cdx(analysed("resolved", at("02"), a), analysed("exploitable", at("03"), `{"ref": "a", "versions": [{"version": "9.0.0"}]}`)), "open"},
		{"taken back nobody knows when", cdx(analysed("resolved", at("02"), a), analysed("in_triage", `, "lastUpdated": "soon"`, a)), "open"},
		{"said again", cdx(analysed("exploitable", at("02"), a), analysed("resolved", at("03"), a)), "fixed"},
		{"of two at one time the stricter", cdx(analysed("resolved", "", a), analysed("exploitable", "", a)), "open"},
		{"of a time to come", cdx(analysed("resolved", `, "lastUpdated": "2027-01-01T00:00:00Z"`, a)), "open"},
		{"first said in time", cdx(analysed("resolved", `, "firstIssued": "2026-01-01T00:00:00Z"`, a)), "fixed"},
	} {
		d, err := ParseCycloneDX([]byte(tt.doc))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := State([]*Document{d}, purl, []string{"GHSA-1", "CVE-1"}, now); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	ok := cdx(analysed("resolved", "", a))
	for _, bad := range []string{
		"", "[]", "{}", strings.Replace(ok, "1.5", "1.7", 1), strings.Replace(ok, "1.5", "1.3", 1), strings.Replace(ok, `"CycloneDX"`, `"SPDX"`, 1),
		strings.Replace(ok, `"inner"`, `"a"`, 1), strings.Replace(ok, "2026-11-01T00:00:00Z", "soon", 1), strings.Replace(ok, `"CVE-1"`, `""`, 1),
		cdx(analysed("not_affected", "", a)), cdx(analysed("false_positive", "", a)), strings.Replace(ok, `"metadata"`, `"vulnerabilities": [], "metadata"`, 1),
	} {
		if _, err := ParseCycloneDX([]byte(bad)); err == nil {
			t.Errorf("%s: is read", bad)
		}
	}
}

// A later word of either format counts over an earlier one of the other.
func TestFormatsTogether(t *testing.T) {
	open, err := Parse([]byte(document(says("CVE-1", purl, "affected", `, "timestamp": "2026-11-05T00:00:00Z"`))))
	if err != nil {
		t.Fatal(err)
	}
	away, err := ParseCycloneDX([]byte(cdx(analysed("resolved", `, "lastUpdated": "2026-11-04T00:00:00Z"`, `{"ref": "a"}`))))
	if err != nil {
		t.Fatal(err)
	}
	if got := State([]*Document{open, away}, purl, []string{"CVE-1"}, now); got != "open" {
		t.Errorf("got %s", got)
	}
}

// FuzzCycloneDX: a document takes nothing away about a package that its text does not name.
func FuzzCycloneDX(f *testing.F) {
	f.Add([]byte(cdx(analysed("resolved", "", `{"ref": "a"}`))))
	f.Add([]byte(cdx(analysed("not_affected", `, "detail": "x"`, `{"ref": "urn:cdx:1/1#pkg:npm/x%401"}`), analysed("exploitable", "", `{"ref": "inner", "versions": [{"version": "1.0.0"}]}`))))
	f.Add([]byte(`{"bomFormat": "CycloneDX", "specVersion": "1.4", "components": null, "vulnerabilities": null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseCycloneDX(b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("an error of more than a line: %q", err)
			}
			return
		}
		if got := State([]*Document{d}, "pkg:npm/never-named@9.9.9", []string{"CVE-1"}, now); got != "open" && !strings.ContainsAny(string(b), "\\%") && !strings.Contains(string(b), "never-named") {
			t.Errorf("got %s", got)
		}
	})
}
