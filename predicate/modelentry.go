package predicate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An EndpointKind says where a model is reached.
type EndpointKind string

// The kinds of endpoint. No other value is valid.
const (
	EndpointExternal EndpointKind = "external" // somebody else's: what is sent there has left
	EndpointInternal EndpointKind = "internal" // this machine, or a network of one's own
)

// A ModelEntry is one model of a registry: how it is called, where it is reached, where it comes from,
// and who may use it for what until when.
//
// Lists that say who may use it are never empty: what is for everybody says "*". Its digest is that of
// its canonical bytes; see [ModelEntry.Canonical].
type ModelEntry struct {
	Provider string `json:"provider" yaml:"provider"` // anthropic, openai, google, bedrock, vertex, azure or a word of one's own
	Name     string `json:"name" yaml:"name"`         // as the provider's interface takes it, without date and without region
	Version  string `json:"version,omitempty" yaml:"version"`
	Digest   string `json:"digest,omitempty" yaml:"digest"` // of local weights: the root digest of their manifest

	// Other names that mean this model. Aliases are exact. Patterns may hold * for letters, digits,
	// dot, hyphen and underscore. Snapshots admits the name with a date behind it, and Latest the name
	// that means the newest one. Regions are the prefixes by which a provider is told to answer from
	// elsewhere, such as us or global.
	Aliases   []string `json:"aliases,omitempty" yaml:"aliases"`
	Patterns  []string `json:"patterns,omitempty" yaml:"patterns"`
	Snapshots bool     `json:"snapshots,omitempty" yaml:"snapshots"`
	Latest    bool     `json:"latest,omitempty" yaml:"latest"`
	Regions   []string `json:"regions,omitempty" yaml:"regions"`

	Endpoints []ModelEndpoint `json:"endpoints" yaml:"endpoints"`

	Licence     string            `json:"licence" yaml:"licence"` // SPDX expression, or where the terms stand
	Datasets    []ModelDataset    `json:"datasets,omitempty" yaml:"datasets"`
	Tuning      []ModelTuning     `json:"tuning,omitempty" yaml:"tuning"`
	Evaluations []ModelEvaluation `json:"evaluations,omitempty" yaml:"evaluations"`
	Notes       string            `json:"notes,omitempty" yaml:"notes"`

	Owner        string   `json:"owner" yaml:"owner"`               // roster id of who answers for it
	Uses         []string `json:"uses" yaml:"uses"`                 // words of one's own, such as code or review
	Principals   []string `json:"principals" yaml:"principals"`     // KIND:NAME, such as agent:claude-code
	Repositories []string `json:"repositories" yaml:"repositories"` // path patterns
	NotBefore    string   `json:"notBefore,omitempty" yaml:"not_before"`
	Expires      string   `json:"expires" yaml:"expires"` // the first moment at which it is not allowed any more
}

// A ModelEndpoint is a URL under which a model is reached.
type ModelEndpoint struct {
	URL  string       `json:"url" yaml:"url"` // https://host[:port]/path; all below the path is meant
	Kind EndpointKind `json:"kind" yaml:"kind"`
}

// A ModelDataset is data that a model was trained or tuned on.
type ModelDataset struct {
	Name    string `json:"name" yaml:"name"`
	Source  string `json:"source,omitempty" yaml:"source"`
	Digest  string `json:"digest,omitempty" yaml:"digest"`
	Licence string `json:"licence,omitempty" yaml:"licence"`
}

// A ModelTuning is one step by which a model was made from another.
type ModelTuning struct {
	Method   string         `json:"method" yaml:"method"` // fine-tune, rlhf, dpo, distillation, quantisation …
	Base     string         `json:"base,omitempty" yaml:"base"`
	By       string         `json:"by,omitempty" yaml:"by"`
	Date     string         `json:"date,omitempty" yaml:"date"` // day
	Datasets []ModelDataset `json:"datasets,omitempty" yaml:"datasets"`
}

// A ModelEvaluation is one result of measuring a model.
type ModelEvaluation struct {
	Name   string `json:"name" yaml:"name"`
	Metric string `json:"metric,omitempty" yaml:"metric"`
	Value  string `json:"value" yaml:"value"`
	Date   string `json:"date,omitempty" yaml:"date"`     // day
	Report string `json:"report,omitempty" yaml:"report"` // sha256 of the report
}

// Limits of an entry.
const (
	maxModelName  = 512
	maxModelList  = 256
	maxModelNotes = 4096
)

// Canonical returns the bytes that an entry's digest is over: its JSON with the fields in the order of
// [ModelEntry], without spaces, without what is absent, and without escapes that JSON does not ask for.
func (e ModelEntry) Canonical() ([]byte, error) {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(out.String(), "\n")), nil
}

// ID returns the entry's digest, "sha256:…".
func (e ModelEntry) ID() string {
	b, err := e.Canonical()
	if err != nil {
		return "" // strings and booleans: there is no such error
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Validate checks the shape of e. It knows no roster.
func (e ModelEntry) Validate() error {
	var c checker
	e.check(&c)
	if c.err != nil {
		return fmt.Errorf("invalid model entry: %w", c.err)
	}
	return nil
}

func (e ModelEntry) check(c *checker) {
	c.provider("provider", e.Provider)
	c.modelName("name", e.Name)
	if e.Version != "" {
		c.modelName("version", e.Version)
	}
	if e.Digest != "" {
		c.digest("digest", e.Digest, "sha256")
	}
	if e.Version != "" && (e.Snapshots || e.Latest) {
		c.fail("version", errors.New("stands beside snapshots or latest, which mean other versions"))
	}
	c.modelNames("aliases", e.Aliases)
	c.modelNames("patterns", e.Patterns)
	for _, p := range e.Patterns {
		if strings.IndexByte(p, '*') < 4 {
			c.fail("patterns", fmt.Errorf("%q has no * or fewer than four characters before it", p))
		}
	}
	c.atMost("regions", len(e.Regions), maxModelList)
	for _, r := range e.Regions {
		c.provider("regions", r)
	}
	e.checkEndpoints(c)
	c.text("licence", e.Licence, maxURI)
	datasets(c, "datasets", e.Datasets)
	c.atMost("tuning", len(e.Tuning), maxModelList)
	for _, t := range e.Tuning {
		c.text("tuning.method", t.Method, maxName)
		optionalText(c, "tuning.base", t.Base, maxURI)
		optionalText(c, "tuning.by", t.By, maxName)
		optionalDay(c, "tuning.date", t.Date)
		datasets(c, "tuning.datasets", t.Datasets)
	}
	c.atMost("evaluations", len(e.Evaluations), maxModelList)
	for _, v := range e.Evaluations {
		c.text("evaluations.name", v.Name, maxName)
		optionalText(c, "evaluations.metric", v.Metric, maxName)
		c.text("evaluations.value", v.Value, maxName)
		optionalDay(c, "evaluations.date", v.Date)
		optionalDigest(c, "evaluations.report", v.Report)
	}
	if e.Notes != "" {
		c.length("notes", e.Notes, maxModelNotes)
	}
	c.word("owner", e.Owner, maxName)
	c.someWords("uses", e.Uses)
	c.someWords("principals", e.Principals)
	for _, p := range e.Principals {
		if kind, name, ok := strings.Cut(p, ":"); p != "*" && (!ok || name == "" || !slices.Contains(modelPrincipals, kind)) {
			c.fail("principals", fmt.Errorf("%q is neither * nor KIND:NAME with one of %s", p, strings.Join(modelPrincipals, ", ")))
		}
	}
	c.someWords("repositories", e.Repositories)
	until := c.time("expires", e.Expires)
	if e.NotBefore != "" {
		if from := c.time("notBefore", e.NotBefore); c.err == nil && !until.After(from) {
			c.fail("expires", errors.New("is not after notBefore"))
		}
	}
}

// modelPrincipals are the kinds of principal that an entry can name. An operator is the person who
// started an agent.
var modelPrincipals = []string{"person", "agent", "bot", "workload", "operator"}

func (e ModelEntry) checkEndpoints(c *checker) {
	if len(e.Endpoints) == 0 {
		c.fail("endpoints", errors.New("is empty: a model that is reached nowhere is none"))
	}
	c.atMost("endpoints", len(e.Endpoints), maxModelList)
	seen := map[string]bool{}
	for _, p := range e.Endpoints {
		c.word("endpoints.url", p.URL, maxURI)
		c.oneOf("endpoints.kind", string(p.Kind), string(EndpointExternal), string(EndpointInternal))
		u, err := url.Parse(p.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
			c.fail("endpoints.url", fmt.Errorf("%q is no URL such as https://api.example.com/v1", p.URL))
		case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(p.URL, "#"):
			c.fail("endpoints.url", fmt.Errorf("%q holds credentials, a query or a fragment", p.URL))
		}
		if seen[p.URL] {
			c.fail("endpoints.url", fmt.Errorf("%q stands twice", p.URL))
		}
		seen[p.URL] = true
	}
}

func datasets(c *checker, field string, list []ModelDataset) {
	c.atMost(field, len(list), maxModelList)
	for _, d := range list {
		c.text(field+".name", d.Name, maxName)
		optionalText(c, field+".source", d.Source, maxURI)
		optionalDigest(c, field+".digest", d.Digest)
		optionalText(c, field+".licence", d.Licence, maxName)
	}
}

func optionalText(c *checker, field, s string, limit int) {
	if s != "" {
		c.text(field, s, limit)
	}
}

func optionalDay(c *checker, field, s string) {
	if s == "" {
		return
	}
	if d, err := time.Parse(time.DateOnly, s); err != nil || d.Format(time.DateOnly) != s {
		c.fail(field, fmt.Errorf("%q is no day such as 2026-01-31", s))
	}
}

// provider is a word of a-z, 0-9, dot, underscore and hyphen.
func (c *checker) provider(field, s string) {
	c.length(field, s, 64)
	if strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}) {
		c.fail(field, fmt.Errorf("%q holds more than a to z, digits, dot, underscore and hyphen", s))
	}
}

// modelName is visible ASCII: a name in which a letter looks like another is not written by accident.
func (c *checker) modelName(field, s string) {
	c.length(field, s, maxModelName)
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		c.fail(field, fmt.Errorf("%q holds a space, a quotation mark, a backslash or what is not ASCII", s))
	}
}

func (c *checker) modelNames(field string, list []string) {
	c.atMost(field, len(list), maxModelList)
	for i, s := range list {
		c.modelName(field, s)
		if slices.Contains(list[:i], s) {
			c.fail(field, fmt.Errorf("%q stands twice", s))
		}
	}
}

// someWords is a list that is not empty.
func (c *checker) someWords(field string, list []string) {
	if len(list) == 0 {
		c.fail(field, errors.New(`is empty: say "*" where all are meant`))
	}
	c.atMost(field, len(list), maxModelList)
	for _, s := range list {
		c.word(field, s, maxURI)
	}
}
