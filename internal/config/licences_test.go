package config

import (
	"strings"
	"testing"
)

func TestLicences(t *testing.T) {
	for in, want := range map[string]string{
		"licences: {allow: [MIT, Apache-2.0], deny: [GPL-3.0-only]}":            "",
		"licences: {deny: [GPL-3.0-only], of: {\"pkg:npm/a\": \"MIT OR X11\"}}": "",
		"licences: {allow: [MIT License]}":                                      "licences: ",
		"licences: {allow: [MIT OR Apache-2.0]}":                                "more than one",
		"licences: {allow: [GPL-2.0], deny: [GPL-2.0-only]}":                    "allowed and denied",
		"licences: {of: {\"pkg:npm/a\": MIT}}":                                  "licences.of",
		"licences: {allow: [MIT], of: {\"npm/a\": MIT}}":                        "licences.of",
		"licences: {allow: [MIT], of: {\"pkg:npm/a\": Mine}}":                   "licences.of",
		"licences: {allow: [MIT], forbid: [X11]}":                               "forbid",
	} {
		c, err := Parse([]byte("version: 1\nrepository: example.com/a\n" + in + "\n"))
		if want == "" && (err != nil || !c.Licences.Used()) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", in, err)
		}
	}
}
