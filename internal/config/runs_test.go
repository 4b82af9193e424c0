package config

import (
	"strings"
	"testing"
	"time"
)

func TestRuns(t *testing.T) {
	for in, want := range map[string]string{
		"runs: {confinement: optional, mechanisms: [bubblewrap, namespaces], environment: [GOFLAGS, CARGO_*], read: [/opt/tools], write: [/var/cache/go], checkpoint: 5m, timestamps: \"https://tsa.example.com/\"}": "",
		"runs: {confinement: required}":                           "",
		"runs: {timestamps: \"http://127.0.0.1:1/\"}":             "",
		"runs: {confinement: none}":                               "neither required nor optional",
		"runs: {confinement: \"\"}":                               "neither required nor optional",
		"runs: {mechanisms: []}":                                  "is empty",
		"runs: {mechanisms: [docker]}":                            "is none of",
		"runs: {environment: [SSH_AUTH_SOCK]}":                    "hands over",
		"runs: {environment: [\"SSH_*\"]}":                        "hands over",
		"runs: {environment: [\"LD_PRE*\"]}":                      "hands over",
		"runs: {environment: [\"*\"]}":                            "no name of a variable",
		"runs: {environment: [\"A=B\"]}":                          "no name of a variable",
		"runs: {read: [relative]}":                                "no absolute path",
		"runs: {write: [/]}":                                      "no absolute path",
		"runs: {write: [/a/../b]}":                                "no absolute path",
		"runs: {checkpoint: 1s}":                                  "from 1m to 24h",
		"runs: {timestamps: \"http://tsa.example.com/\"}":         "no https address",
		"runs: {auditors: [age1" + strings.Repeat("q", 58) + "]}": "",
		"runs: {auditors: [age1" + strings.Repeat("b", 58) + "]}": "no public key",
		"runs: {auditors: [\"ssh-ed25519 AAAA\"]}":                "no public key",
		"runs: {auditors: [age1" + strings.Repeat("q", 58) + ", age1" + strings.Repeat("q", 58) + "]}": "stands twice",
		"runs: {unconfined: true}": "unconfined",
	} {
		c, err := Parse([]byte("version: 1\nrepository: example.com/a\n" + in + "\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
		if err == nil && c.Runs.Every() < time.Minute {
			t.Errorf("%s: a checkpoint every %v", in, c.Runs.Every())
		}
	}
	if c := Default(); !c.Runs.Confined() || c.Runs.Every() != DefaultCheckpoint {
		t.Errorf("without a configuration: %+v", c.Runs)
	}
}
