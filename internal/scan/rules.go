package scan

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/words"
)

//go:embed rules/gitleaks.json
var gitleaksRules []byte

//go:embed rules/own.json
var ownRules []byte

// A ruleFile is a file of rules; rules/README.md explains it.
type ruleFile struct {
	Source  string       `json:"source"`
	Version string       `json:"version"`
	SHA256  string       `json:"sha256"`
	Allow   []*allowlist `json:"allow"`
	Rules   []*rule      `json:"rules"`
}

// A rule is one kind of secret. What is derived from its expression is computed when the rule
// is first needed: most runs need a handful of the rules.
type rule struct {
	ID         string       `json:"id"`
	Title      string       `json:"title"`
	Regexp     string       `json:"regexp"`
	Path       string       `json:"path"`
	Group      int          `json:"group"`
	Entropy    float64      `json:"entropy"`
	Keywords   []string     `json:"keywords"`
	Contextual bool         `json:"contextual"`
	Allow      []*allowlist `json:"allow"`

	path, re lazyRegexp
	once     sync.Once
	err      error

	// everywhere is set when a match need not contain a keyword; the rule then runs over all of
	// a text in which one of its keywords stands.
	everywhere  bool
	left, right reach

	probe      func() *regexp.Regexp // nil if none
	probeRunes int
	lead       *lead                 // nil if none
	tail       func() *regexp.Regexp // what follows a keyword in a match; nil if the probe says as much
}

// anchored compiles re when it is first needed: most keywords in ordinary text are rejected
// before, and it costs as much as reading a page of text.
func anchored(re *syntax.Regexp) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A(?:` + re.String() + `)`) })
}

func (r *rule) expr() *regexp.Regexp { return r.re.get(r.Regexp) }

// A lazyRegexp is compiled when it is first used.
type lazyRegexp struct {
	once sync.Once
	re   *regexp.Regexp
}

func (l *lazyRegexp) get(expr string) *regexp.Regexp {
	l.once.Do(func() { l.re = regexp.MustCompile(expr) })
	return l.re
}

func (l *lazyRegexp) match(expr string, b []byte) bool { return l.get(expr).Match(b) }

// prepare derives how the rule can be run. Its expressions are compiled when they first run.
func (r *rule) prepare() error {
	r.once.Do(func() { r.err = r.derive() })
	return r.err
}

func (r *rule) derive() error {
	tree, err := syntax.Parse(r.Regexp, syntax.Perl)
	if err != nil {
		return fmt.Errorf("rule %s: %w", r.ID, err)
	}
	tree = spread(tree)
	probe, at, whole := probeOf(tree, r.Keywords)
	if probe != nil {
		for _, s := range reachOf(probe, false) {
			r.probeRunes += s.runes
		}
		r.probeRunes++
		r.lead = leadOf(probe, r.Keywords)
		r.probe = anchored(probe)
		if !whole {
			r.tail = anchored(at.right)
		}
	} else {
		var ok bool
		if at, ok = locate(tree, r.Keywords); !ok {
			r.everywhere = true
			return nil
		}
	}
	r.left, r.right = reachOf(at.left, true), reachOf(at.right, false)
	return nil
}

// An allowlist says what is not a secret.
type allowlist struct {
	Paths     []string `json:"paths"`
	Regexps   []string `json:"regexps"`
	Target    string   `json:"target"` // "" (the secret), match or line
	And       bool     `json:"and"`
	Stopwords []string `json:"stopwords"`

	path, re lazyRegexp
	once     sync.Once
	stop     *words.Set
}

func anyOf(exprs []string) string { return "(?:" + strings.Join(exprs, ")|(?:") + ")" }

func (a *allowlist) allowsPath(path []byte) bool {
	return len(a.Paths) > 0 && a.path.match(anyOf(a.Paths), path)
}

// allows reports whether the list allows a secret in a file that allowsPath may allow.
func (a *allowlist) allows(path, secret, match, line []byte) bool {
	regexpOK := func() bool {
		target := secret
		switch a.Target {
		case "match":
			target = match
		case "line":
			target = line
		}
		return len(target) > 0 && a.re.match(anyOf(a.Regexps), target)
	}
	stopOK := func() bool {
		a.once.Do(func() { a.stop = words.New(a.Stopwords) })
		return a.stop.Contains(secret)
	}
	if !a.And {
		return len(a.Regexps) > 0 && regexpOK() || len(a.Stopwords) > 0 && stopOK()
	}
	if len(a.Paths) > 0 && !a.allowsPath(path) {
		return false
	}
	if len(a.Regexps) > 0 && !regexpOK() {
		return false
	}
	return len(a.Stopwords) == 0 || stopOK()
}

// A ruleSet is what the matcher applies.
type ruleSet struct {
	rules    []*rule
	allow    []*allowlist // of gitleaks, for every rule
	words    *words.Set   // over the keywords of all rules
	byWord   [][]int      // the rules that have the keyword
	pathOnly []*rule
	digest   sallyport.Digest
}

// matcherVersion changes with what the matcher makes of the same rules, so that cached results
// of an older one are not taken for its own.
const matcherVersion = "1"

// defaultRules returns the rule set that the binary carries.
var defaultRules = sync.OnceValue(func() *ruleSet {
	set, err := loadRules(gitleaksRules, ownRules)
	if err != nil {
		panic(err) // the files are embedded, and a test loads them
	}
	return set
})

// digestOf names the rules in files, and what the matcher makes of them.
func digestOf(files ...[]byte) sallyport.Digest {
	sum := sha256.New()
	fmt.Fprintf(sum, "sallyport secret matcher %s\n", matcherVersion)
	for _, b := range files {
		sum.Write(b)
	}
	return sallyport.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
}

func loadRules(files ...[]byte) (*ruleSet, error) {
	set := &ruleSet{digest: digestOf(files...)}
	index := map[string]int{}
	var list []string
	for _, b := range files {
		var f ruleFile
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&f); err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		set.allow = append(set.allow, f.Allow...)
		for _, r := range f.Rules {
			if r.Regexp == "" {
				set.pathOnly = append(set.pathOnly, r)
				continue
			}
			if len(r.Keywords) == 0 {
				return nil, fmt.Errorf("read rules: %s has no keyword", r.ID)
			}
			for _, w := range r.Keywords {
				i, ok := index[w]
				if !ok {
					i = len(list)
					index[w] = i
					list = append(list, w)
					set.byWord = append(set.byWord, nil)
				}
				set.byWord[i] = append(set.byWord[i], len(set.rules))
			}
			set.rules = append(set.rules, r)
		}
	}
	set.words = words.New(list)
	return set, nil
}

// severity ranks a match of r: a secret of a shape that nothing else has outranks one that is
// known by its surroundings.
func (r *rule) severity() sallyport.Severity {
	if r.Contextual {
		return sallyport.High
	}
	return sallyport.Critical
}

// prefix returns up to four characters of secret that are public, since every secret of the
// rule's kind starts with them.
func (r *rule) prefix(secret []byte) string {
	if r.Contextual {
		return ""
	}
	n := 0
	for _, k := range r.Keywords {
		if len(k) <= len(secret) && strings.EqualFold(k, string(secret[:len(k)])) {
			n = max(n, len(k))
		}
	}
	return string(secret[:min(n, 4)])
}

// entropy returns the Shannon entropy of b in bits for each byte, over its runes.
func entropy(b []byte) float64 {
	var ascii [utf8.RuneSelf]int
	var other map[rune]int
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		i += n
		if r < utf8.RuneSelf {
			ascii[r]++
			continue
		}
		if other == nil {
			other = map[rune]int{}
		}
		other[r]++
	}
	sum := 0.0
	add := func(count int) {
		if count > 0 {
			f := float64(count) / float64(len(b))
			sum -= f * math.Log2(f)
		}
	}
	for _, n := range ascii {
		add(n)
	}
	for _, n := range other {
		add(n)
	}
	return sum
}
