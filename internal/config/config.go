// Package config reads .sallyport/sallyport.yaml, schema version 1.
//
// The [Config] struct is the manual: each field's comment gives its meaning, its default and
// what is refused. Four rules hold for all of it:
//
//   - The file is decoded strictly. A key that the schema does not have, a key that stands
//     twice, a key without a value, an alias, a second document or a file over [MaxSize] is an
//     error, never a guess. A misspelt `enforce` must not leave a gate in another mode.
//   - Absence has one meaning, and it is the strict one: no mode enforces, no list of refs
//     gates every branch and tag, no list of policy sets judges by the built-in baseline.
//   - An empty list is not absence. `sets: []` stays empty, and a policy of no sets is shut.
//   - Secrets have no place here. A log is named by its public verifier key; private keys are
//     files or references that the command line is given.
//
// The file counts only as it stands at the policy ref, under the pinned root; this package
// does not know where the bytes came from.
package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Path is where the configuration stands in a repository.
const Path = ".sallyport/sallyport.yaml"

// MaxSize is the most that a configuration may weigh, in bytes.
const MaxSize = 256 << 10

// Baseline names the built-in policy set.
const Baseline = "baseline"

// Bounds of lists, so that a small file cannot ask for much work.
const (
	maxPatterns = 256
	maxSets     = 16
)

// ErrInvalid is wrapped by every error of [Parse].
var ErrInvalid = errors.New("invalid configuration")

// A Config is one repository's configuration.
type Config struct {
	// Version is the schema's version. Required; 1 is the only one there is.
	Version int `yaml:"version"`

	// Repository is the name by which approvals and decisions speak of this repository, host
	// first: "github.com/acme/app". An approval given for another name does not count here, so
	// a fork that shares commits shares no approvals. Required; no scheme, no user, no
	// trailing slash or ".git".
	Repository string `yaml:"repository"`

	// Mode says what a refusal does to its caller: "observe" exits 0 and says so, "warn"
	// prints the reasons and exits 0, "enforce" fails the caller. What is recorded is the same
	// in all three. Default: enforce.
	Mode sallyport.Mode `yaml:"mode"`

	// Gates says what each gate guards.
	Gates Gates `yaml:"gates"`

	// ReviewRefs are the patterns of refs on which changes wait for review: pushes to them
	// pass without a decision, whatever gates.merge.refs says. Default: none. For patterns see
	// [MatchRef].
	ReviewRefs []string `yaml:"review_refs"`

	// Policy says which policy sets judge.
	Policy Policy `yaml:"policy"`

	// Data changes what the baseline is told. Only these keys can be changed.
	Data Data `yaml:"data"`

	// Level names the settings that hold where this file says nothing: observe (the baseline's,
	// in mode observe), baseline or strict; `sallyport policy show` lists what is in force.
	// Default: baseline.
	Level Level `yaml:"level"`
	// Rules gives single rules a mode of their own, by reason code. A code that no policy set has
	// leaves the policy inapplicable: nothing is decided, and nothing opens.
	Rules map[string]Rule `yaml:"rules"`
	// Approvals ask for more approvals, or others, where a change touches what they name. All
	// that apply must be met.
	Approvals []Approval `yaml:"approvals"`
	// Findings says from which severity open findings shut the gate or wait.
	Findings Findings `yaml:"findings"`
	// Codeowners is "required" if every changed file that CODEOWNERS on the target's side gives
	// to somebody needs an approval that counts by one of its owners, or "off". Default: off,
	// and required at level strict.
	Codeowners string `yaml:"codeowners"`
	// Disclosure says whether commits by agents carry a trailer that names the agent: required,
	// forbidden or allowed. Default: allowed.
	Disclosure string `yaml:"disclosure"`
	// Advisories say whether it has to be known of packages that a change brings whether they are
	// vulnerable or malicious, and how fresh that knowledge has to be.
	Advisories Advisories `yaml:"advisories"`
	// Licences say under which licences what is shipped may come.
	Licences Licences `yaml:"licences"`
	// Exceptions bound how long an exception may last.
	Exceptions Exceptions `yaml:"exceptions"`
	// Log says which transparency log holds the decisions: the word "local" (the default) for
	// the one in this machine's state folder, or a mapping with an origin and a key.
	Log Log `yaml:"log"`
	// CI says whose identity tokens confirm what a build's job says of itself.
	CI CI `yaml:"ci"`
	// Pipeline says what `sallyport pipeline` does between a commit and its release.
	Pipeline Pipeline `yaml:"pipeline"`
	// Prompt says what the prompt gate, `sallyport proxy`, lets pass.
	Prompt Prompt `yaml:"prompt"`
	// Runs say how `sallyport run` starts agents.
	Runs Runs `yaml:"runs"`
}

// Gates says what each gate guards.
type Gates struct {
	Merge   MergeGate   `yaml:"merge"`
	Release ReleaseGate `yaml:"release"`
}

// A MergeGate says which refs the merge gate guards.
type MergeGate struct {
	// Refs are the patterns of the refs that a change reaches only through the gate. Default:
	// every branch and every tag. An empty list is refused: it would gate nothing and look as
	// if it did something.
	Refs []string `yaml:"refs"`

	// Ignore are patterns of refs that Refs matches and that are not gated after all.
	// A ref named exactly in Refs cannot be ignored. Default: none.
	Ignore []string `yaml:"ignore"`
}

// A Policy says which policy sets judge. The strictest of their outcomes holds.
type Policy struct {
	// Sets names them: "baseline" is the built-in set, any other name a folder under
	// .sallyport/. Default: [baseline]. An empty list stays empty, and the gate stays shut.
	Sets []string `yaml:"sets"`
}

// Data overrides what the baseline policy is told. A field left out keeps the baseline's
// value, so that a better default of a later version reaches whoever did not choose.
type Data struct {
	// ProtectedClasses are the classes of files that an agent may not change without an
	// approval: build, deploy, ci, dependency, lockfile, agent-config, policy, binary,
	// generated. Naming a class that does not exist is an error, since it would protect
	// nothing.
	ProtectedClasses []string `yaml:"protected_classes"`

	// Unattributed says what may account for a change that nobody signed for: "agent", a run's
	// evidence alone; or "vouchable", a reviewer's approval too, recorded as such.
	Unattributed string `yaml:"unattributed"`

	// PersonGrades are the grades at which a commit counts as a person's. "declared" lets an
	// ordinary key say who typed, and an agent has that key as well.
	PersonGrades []sallyport.Grade `yaml:"person_grades"`

	// RunGrades are the grades at which a run's evidence counts.
	RunGrades []sallyport.Grade `yaml:"run_grades"`

	// ApprovalGrades are the grades at which an approval counts.
	ApprovalGrades []sallyport.Grade `yaml:"approval_grades"`

	// ApprovalsRequired is the least number of different persons who must approve, 1 to 16.
	// The gate asks for more where its rules do: two where no pusher is authenticated.
	// Default: 0, which leaves the number to those rules.
	ApprovalsRequired int `yaml:"approvals_required"`

	// RequiredReports are reports of other tools without which nothing lands: each a kind, sarif
	// or junit, and, if not any tool will do, the tool's name as its reports give it, in any case.
	// Only a report that a verified statement about the head holds or names answers the demand,
	// at another grade than declared. Default: none.
	RequiredReports []RequiredReport `yaml:"required_reports"`

	// Dependencies says where packages may come from.
	Dependencies Dependencies `yaml:"dependencies"`
}

// A RequiredReport names a report that has to be there.
type RequiredReport struct {
	Kind string `yaml:"kind" json:"kind"`
	Tool string `yaml:"tool" json:"tool,omitempty"`
}

// A Log names a transparency log. The zero Log is the local one.
type Log struct {
	// Origin is the log's name, the first line of its checkpoints.
	Origin string `yaml:"origin"`

	// Key is the log's public verifier key as `sallyport log init` prints it:
	// origin+hash+base64.
	Key string `yaml:"key"`

	// URL is where others read the log: the folder that holds its checkpoint, as https://…,
	// file:///… or, on this machine, http://127.0.0.1…. With it, a check whose own state folder
	// does not hold the log reads all of it first, and is shut without what its revocations and
	// declines say. Without it, the log has to be in the state folder.
	URL string `yaml:"url"`

	// CheckpointMaxAge is how old the newest checkpoint at URL may be, such as 12h: one minute
	// to 8784h (a year). Default: 24h. The log's owner renews it with `sallyport log
	// checkpoint`, from a clock.
	CheckpointMaxAge string `yaml:"checkpoint_max_age"`
}

// DefaultCheckpointMaxAge is how old a checkpoint may be unless the configuration says otherwise.
const DefaultCheckpointMaxAge = 24 * time.Hour

// MaxAge returns how old the newest checkpoint may be.
func (l Log) MaxAge() time.Duration {
	if d, err := time.ParseDuration(l.CheckpointMaxAge); err == nil && l.CheckpointMaxAge != "" {
		return d
	}
	return DefaultCheckpointMaxAge
}

// Local reports whether l is the log in this machine's state folder.
func (l Log) Local() bool { return l == Log{} }

// UnmarshalYAML accepts the word "local" or a mapping with both keys.
func (l *Log) UnmarshalYAML(unmarshal func(any) error) error {
	var word string
	if err := unmarshal(&word); err == nil {
		if word != "local" {
			return fmt.Errorf("log: %q is neither the word local nor a mapping with origin and key", clip(word))
		}
		*l = Log{}
		return nil
	}
	type plain Log
	var p plain
	if err := unmarshal(&p); err != nil {
		return err
	}
	if p == (plain{}) {
		return errors.New("log: origin and key are missing")
	}
	*l = Log(p)
	return nil
}

// Default is what is in force where there is no configuration: it enforces, gates every branch
// and tag, judges by the baseline and names no repository.
func Default() Config {
	return Config{Version: 1, Mode: sallyport.Enforce, Policy: Policy{Sets: []string{Baseline}}}
}

// Parse decodes and validates a configuration and fills in the defaults. Its errors are one
// line, name the key, and the line where there is one.
func Parse(b []byte) (Config, error) {
	c, err := parse(b)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrInvalid, Path, err)
	}
	return c, nil
}

func parse(b []byte) (Config, error) {
	// The first decoding is for what the second cannot see: a key without a value decodes to
	// the same struct as no key, and would turn "I meant to fill this in" into a default.
	var raw map[string]any
	if err := strict.YAML(b, MaxSize, &raw); err != nil {
		return Config{}, err
	}
	if err := checkNoNull(raw, "", b); err != nil {
		return Config{}, err
	}
	var c Config
	if err := strict.YAML(b, MaxSize, &c); err != nil {
		return Config{}, err
	}
	if err := c.validate(raw); err != nil {
		return Config{}, at(err, b)
	}
	if c.Mode == "" && c.Level == LevelObserve {
		c.Mode = sallyport.Observe
	}
	if c.Mode == "" {
		c.Mode = sallyport.Enforce
	}
	if c.Policy.Sets == nil {
		c.Policy.Sets = []string{Baseline}
	}
	return c, nil
}

// Compiled on first use: a program that only prints its version need not pay for them.
var (
	repositoryPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:-]*(/[A-Za-z0-9_.~-]+)+$`) })
	setPattern        = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`) })
)

// A keyError is a complaint about the value of one key.
type keyError struct{ key, text string }

func (e *keyError) Error() string { return e.key + ": " + e.text }

func bad(key, format string, args ...any) error {
	return &keyError{key, fmt.Sprintf(format, args...)}
}

func (c Config) validate(raw map[string]any) error {
	if _, ok := raw["version"]; !ok {
		return bad("version", "is missing; this version of sallyport reads version 1")
	}
	if c.Version != 1 {
		return bad("version", "%d is unknown; this version of sallyport reads version 1", c.Version)
	}
	if err := checkRepository(c.Repository); err != nil {
		return err
	}
	switch c.Mode {
	case "":
		if _, ok := raw["mode"]; ok {
			return bad("mode", "is empty; it is observe, warn or enforce")
		}
	case sallyport.Observe, sallyport.Warn, sallyport.Enforce:
	default:
		return bad("mode", "%q is unknown; it is observe, warn or enforce", clip(string(c.Mode)))
	}
	if err := c.validateRefs(); err != nil {
		return err
	}
	if err := c.Gates.Release.check(); err != nil {
		return err
	}
	if err := checkSets("policy.sets", c.Policy.Sets); err != nil {
		return err
	}
	if err := c.Data.validate(raw); err != nil {
		return err
	}
	if err := c.validateTeam(raw); err != nil {
		return err
	}
	if err := c.CI.validate(raw); err != nil {
		return err
	}
	if err := c.Advisories.validate(raw); err != nil {
		return err
	}
	if err := c.Pipeline.validate(raw); err != nil {
		return err
	}
	if err := c.Prompt.validate(raw); err != nil {
		return err
	}
	if err := c.Licences.validate(); err != nil {
		return err
	}
	if err := c.Runs.validate(raw); err != nil {
		return err
	}
	return c.Log.validate()
}

func checkRepository(s string) error {
	switch {
	case s == "":
		return bad("repository", "is missing; approvals name the repository by it, such as github.com/acme/app")
	case len(s) > 256:
		return bad("repository", "is longer than 256 bytes")
	case strings.HasSuffix(s, ".git"), strings.Contains(s, ".."), !repositoryPattern().MatchString(s):
		return bad("repository", "%q is not a host and a path, such as github.com/acme/app", clip(s))
	}
	return nil
}

func checkSets(key string, sets []string) error {
	if len(sets) > maxSets {
		return bad(key, "names %d sets, the most is %d", len(sets), maxSets)
	}
	for i, s := range sets {
		if !setPattern().MatchString(s) || strings.Contains(s, "..") {
			return bad(key, "%q is not the name of a folder: small letters, digits, dot, dash and underscore", clip(s))
		}
		if slices.Contains(sets[:i], s) {
			return bad(key, "%q stands twice", s)
		}
	}
	return nil
}

// clip quotes nothing and shortens: it keeps a hostile value from filling the terminal. Its
// callers print it with %q.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
