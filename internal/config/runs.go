package config

import (
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Runs say how `sallyport run` starts agents. Like all of this file they are read at the policy ref, so
// that neither an agent nor a flag loosens them.
type Runs struct {
	// Confinement is "required" if a run without it is refused, or "optional" if a run may go
	// on without where none can be had, which its record says. Default: required.
	Confinement string `yaml:"confinement"`

	// Mechanisms are those that may confine a run: bubblewrap, namespaces, seatbelt, srt, nono. Default: any
	// that is there, the best first.
	Mechanisms []string `yaml:"mechanisms"`

	// Environment are further variables that pass into a run: names, or beginnings with an asterisk.
	// A value that looks like a secret is replaced all the same. Default: none; see docs/runs.md for those
	// that always pass.
	Environment []string `yaml:"environment"`

	// Read are absolute paths that a run may read beside the system's and its workspace. Default: none.
	Read []string `yaml:"read"`

	// Write are absolute paths outside of the workspace that a run may write. What it writes there is in no
	// record. Default: none.
	Write []string `yaml:"write"`

	// Checkpoint is how often a long run signs what it has done so far, 1m to 24h. Default: 15m.
	Checkpoint string `yaml:"checkpoint"`

	// Timestamps is the address of the authority (RFC 3161) that says when a run's key signed; see
	// docs/keys.md. Default: none, and then a run authority's certificates prove nothing.
	Timestamps string `yaml:"timestamps"`

	// Auditors are public keys (age1…) of whoever may read what a run's texts were: prompts and arguments are
	// then kept in its record, encrypted to them. Default: none, and no text is kept.
	Auditors []string `yaml:"auditors"`
}

// auditorPattern is an age public key. Others that age knows, such as those of SSH, say too little about how
// they are kept.
var auditorPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^age1[02-9ac-hj-np-z]{58}$`) })

// maxAuditors bounds the keys that each text is encrypted to.
const maxAuditors = 16

func validAuditors(key string, keys []string) error {
	if len(keys) > maxAuditors {
		return bad(key, "has more than %d keys", maxAuditors)
	}
	for i, k := range keys {
		if !auditorPattern().MatchString(k) || slices.Contains(keys[:i], k) {
			return bad(key, "%q is no public key as age-keygen prints it (age1…), or stands twice", clip(k))
		}
	}
	return nil
}

// How confinement is demanded.
const (
	ConfinementRequired = "required"
	ConfinementOptional = "optional"
)

// DefaultCheckpoint is how often a long run signs what it has done so far.
const DefaultCheckpoint = 15 * time.Minute

// Mechanisms that confine runs.
var runMechanisms = []string{"bubblewrap", "namespaces", "seatbelt", "srt", "nono"}

// Confined reports whether a run has to be confined.
func (r Runs) Confined() bool { return r.Confinement != ConfinementOptional }

// Every returns how often checkpoints are made.
func (r Runs) Every() time.Duration {
	if d, err := time.ParseDuration(r.Checkpoint); err == nil && r.Checkpoint != "" {
		return d
	}
	return DefaultCheckpoint
}

var variablePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}\*?$`) })

// never are variables that no configuration lets into a run: they hand over the operator's keys, or have
// every program load code.
var never = []string{"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "SSH_ASKPASS", "GIT_ASKPASS", "DBUS_SESSION_BUS_ADDRESS", "LD_PRELOAD", "LD_AUDIT",
	"LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "HOME", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"SALLYPORT_TOKEN", "SALLYPORT_GATEWAY", "SALLYPORT_RUN_ID", "SALLYPORT_RUN_KEY", "SALLYPORT_VERIFIER_KEY", "SALLYPORT_KEY_PASSPHRASE"}

func (r Runs) validate(raw map[string]any) error {
	given, _ := raw["runs"].(map[string]any)
	if _, ok := given["confinement"]; ok && r.Confinement != ConfinementRequired && r.Confinement != ConfinementOptional {
		return bad("runs.confinement", "%q is neither required nor optional", clip(r.Confinement))
	}
	if r.Mechanisms != nil && len(r.Mechanisms) == 0 {
		return bad("runs.mechanisms", "is empty; leave it out for any, or name some of %s", strings.Join(runMechanisms, ", "))
	}
	for _, m := range r.Mechanisms {
		if !slices.Contains(runMechanisms, m) {
			return bad("runs.mechanisms", "%q is none of %s", clip(m), strings.Join(runMechanisms, ", "))
		}
	}
	if err := validAuditors("runs.auditors", r.Auditors); err != nil {
		return err
	}
	if len(r.Environment) > maxPatterns || len(r.Read) > maxPatterns || len(r.Write) > maxPatterns {
		return bad("runs", "a list has more than %d entries", maxPatterns)
	}
	for _, v := range r.Environment {
		name := strings.TrimSuffix(v, "*")
		if !variablePattern().MatchString(v) {
			return bad("runs.environment", "%q is no name of a variable, or the beginning of one and an asterisk", clip(v))
		}
		for _, n := range never {
			if n == v || name != v && strings.HasPrefix(n, name) {
				return bad("runs.environment", "%q would let %s into runs, which hands over what a run must not have", clip(v), n)
			}
		}
	}
	for key, paths := range map[string][]string{"runs.read": r.Read, "runs.write": r.Write} {
		for _, p := range paths {
			if !filepath.IsAbs(p) || filepath.Clean(p) != p || p == "/" || strings.ContainsAny(p, "\x00\n") {
				return bad(key, "%q is no absolute path in its shortest form, below the root", clip(p))
			}
		}
	}
	if _, ok := given["checkpoint"]; ok {
		d, err := time.ParseDuration(r.Checkpoint)
		if err != nil || d < time.Minute || d > 24*time.Hour {
			return bad("runs.checkpoint", "%q is not a time from 1m to 24h", clip(r.Checkpoint))
		}
	}
	if _, ok := given["timestamps"]; ok {
		u, err := url.Parse(r.Timestamps)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			return bad("runs.timestamps", "%q is no https address without a user", clip(r.Timestamps))
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
