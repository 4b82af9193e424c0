package config

import (
	"strings"
	"testing"
	"time"
)

const promptHead = "version: 1\nrepository: github.com/acme/app\nprompt:\n"

const promptWhole = promptHead + `  listen: 127.0.0.1:0
  providers:
    - name: anthropic
      dialect: anthropic
      endpoints: ["https://api.anthropic.com"]
      credential: env:KEY
  models: [{provider: anthropic, name: claude-*, expires: 2027-01-31}]
  keys:
    - {name: k, hash: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", principal: "agent:claude-code"}
  pass: [images]
  timeouts: {idle: 1m}
`

func TestPrompt(t *testing.T) {
	c, err := Parse([]byte(promptWhole))
	if err != nil || !c.Prompt.Used() || c.Prompt.Keys[0].Principal != "agent:claude-code" {
		t.Fatalf("%+v, %v", c.Prompt, err)
	}
	for _, r := range []struct{ name, old, new, want string }{
		{"all addresses without TLS", "127.0.0.1:0", "0.0.0.0:1", "tls"},
		{"a relative socket", "127.0.0.1:0", "unix:sock", "absolute"},
		{"a name", "127.0.0.1:0", "localhost:1", "neither"},
		{"an unknown dialect", "dialect: anthropic", "dialect: claude", "dialect"},
		{"a vendor in the clear", "https://api.anthropic.com", "http://api.anthropic.com", "https"},
		{"a password in an address", "https://api", "https://u:p@api", "https"},
		{"a slash at the end", "anthropic.com\"", "anthropic.com/\"", "slash"},
		{"the key itself", "env:KEY", "very-secret", "no place"},
		{"a model of nobody", "provider: anthropic, name", "provider: other, name", "providers"},
		{"an odd day", "2027-01-31", "2027-13-31", "neither a date"},
		{"a key as its hash", "sha256:e3", "e3", "no sha256"},
		{"a principal without kind", "agent:claude-code", "claude-code", "kind:name"},
		{"an unknown pass", "[images]", "[image]", "not one of"},
		{"an odd time", "idle: 1m", "idle: 1", "not a time"},
		{"a misspelt key", "pass:", "passes:", "passes"},
		{"a key twice", "models:", "pass: []\n  models:", "pass"},
	} {
		text := strings.Replace(promptWhole, r.old, r.new, 1)
		if text == promptWhole {
			t.Errorf("%s: nothing was changed", r.name)
		}
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), r.want) || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%s: %v, want %q", r.name, err, r.want)
		}
	}
	if _, err := Parse([]byte(promptHead + "  listen: 127.0.0.1:0\n")); err == nil {
		t.Error("a section without providers passes")
	}
}

// A day counts until it is over.
func TestParseUntil(t *testing.T) {
	until, err := ParseUntil("2027-01-31")
	if want := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC); err != nil || !until.Equal(want) {
		t.Errorf("%v, %v", until, err)
	}
	if _, err := ParseUntil("tomorrow"); err == nil {
		t.Error("tomorrow is a day")
	}
}
