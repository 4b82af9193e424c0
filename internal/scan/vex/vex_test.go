package vex

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const purl = "pkg:npm/left-pad@1.2.0"

var now = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func document(statements ...string) string {
	return `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:x", "author": "A", "version": 1, "timestamp": "2026-11-01T00:00:00Z", "statements": [` +
		strings.Join(statements, ",") + `]}`
}

func says(id, product, status, more string) string {
	return fmt.Sprintf(`{"vulnerability": {"name": %q}, "products": [{"@id": %q}], "status": %q%s}`, id, product, status, more)
}

const why = `, "justification": "vulnerable_code_not_in_execute_path"`

func TestState(t *testing.T) {
	for _, tt := range []struct {
		name, doc, want string
	}{
		{"not affected", document(says("CVE-1", purl, "not_affected", why)), "not-affected"},
		{"fixed", document(says("CVE-1", purl, "fixed", "")), "fixed"},
		{"affected", document(says("CVE-1", purl, "affected", "")), "open"},
		{"looked into", document(says("CVE-1", purl, "under_investigation", "")), "open"},
		{"another advisory", document(says("CVE-2", purl, "fixed", "")), "open"},
		{"another version", document(says("CVE-1", "pkg:npm/left-pad@1.2.1", "fixed", "")), "open"},
		{"any version", document(says("CVE-1", "pkg:npm/left-pad", "fixed", "")), "open"},
		{"an alias", document(`{"vulnerability": {"name": "X", "aliases": ["GHSA-1"]}, "products": [{"@id": "` + purl + `"}], "status": "fixed"}`), "fixed"},
		{"a subcomponent", document(`{"vulnerability": {"name": "CVE-1"}, "products": [{"@id": "pkg:npm/shop@1.0.0", "subcomponents": [{"identifiers": {"purl": "` + purl + `"}}]}], "status": "fixed"}`), "fixed"},
		{"another's subcomponent", document(`{"vulnerability": {"name": "CVE-1"}, "products": [{"@id": "` + purl + `", "subcomponents": [{"@id": "pkg:npm/other@1.0.0"}]}], "status": "fixed"}`), "open"},
		{"taken back", document(says("CVE-1", purl, "fixed", `, "timestamp": "2026-11-02T00:00:00Z"`), says("CVE-1", purl, "affected", `, "timestamp": "2026-11-03T00:00:00Z"`)), "open"},
		{"of two at one time the stricter", document(says("CVE-1", purl, "affected", ""), says("CVE-1", purl, "fixed", "")), "open"},
		{"of a time to come", document(says("CVE-1", purl, "fixed", `, "timestamp": "2027-11-02T00:00:00Z"`)), "open"},
	} {
		d, err := Parse([]byte(tt.doc))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := State([]*Document{d}, purl, []string{"GHSA-1", "CVE-1"}, now); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, bad := range []string{
		"", "[]", "{}", document(says("CVE-1", purl, "not_affected", "")), document(says("CVE-1", purl, "fine", "")), document(says("", purl, "fixed", "")),
		document(says("CVE-1", purl, "fixed", `, "timestamp": "soon"`)), strings.Replace(document(), "openvex.dev", "example.com", 1),
		strings.Replace(document(), `"author"`, `"statements": [], "author"`, 1),
	} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s: is read", bad)
		}
	}
}

// FuzzParse: a document takes nothing away about a package that its text does not name.
func FuzzParse(f *testing.F) {
	f.Add([]byte(document(says("CVE-1", "pkg:npm/x@1", "not_affected", why))))
	f.Add([]byte(document(says("CVE-1", "pkg:npm/x@1", "fixed", ""), says("CVE-1", "pkg:npm/x@1", "affected", ""))))
	f.Add([]byte(`{"@context": "https://openvex.dev/ns", "statements": null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("an error of more than a line: %q", err)
			}
			return
		}
		if got := State([]*Document{d}, "pkg:npm/never-named@9.9.9", []string{"CVE-1"}, now); got != "open" && !strings.Contains(string(b), "\\") && !strings.Contains(string(b), "never-named") {
			t.Errorf("got %s", got)
		}
	})
}
