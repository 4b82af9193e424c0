//go:build ignore

// Generate converts gitleaks' default configuration into gitleaks.json, the form that package
// scan embeds. It reads the few constructs of TOML that the file uses and fails on any other,
// so that a new version of the file cannot lose a rule or an allowlist on its way here.
//
//	dir=$(go mod download -json github.com/zricethezav/gitleaks/v8@v8.30.1 | jq -r .Dir)
//	go run generate.go -version v8.30.1 "$dir/config/gitleaks.toml"
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

type allowlist struct {
	Paths     []string `json:"paths,omitempty"`
	Regexps   []string `json:"regexps,omitempty"`
	Target    string   `json:"target,omitempty"` // "", match or line
	And       bool     `json:"and,omitempty"`
	Stopwords []string `json:"stopwords,omitempty"`
}

type rule struct {
	ID         string      `json:"id"`
	Title      string      `json:"title"`
	Regexp     string      `json:"regexp,omitempty"`
	Path       string      `json:"path,omitempty"`
	Group      int         `json:"group,omitempty"`
	Entropy    float64     `json:"entropy,omitempty"`
	Keywords   []string    `json:"keywords,omitempty"`
	Contextual bool        `json:"contextual,omitempty"`
	Allow      []allowlist `json:"allow,omitempty"`
}

type file struct {
	Source  string      `json:"source"`
	Version string      `json:"version"`
	SHA256  string      `json:"sha256"` // of the converted file
	Allow   []allowlist `json:"allow"`
	Rules   []rule      `json:"rules"`
}

// assignment is the part that gitleaks puts between a service's name and a value: a rule with
// it knows a secret by what stands before it and not by its own shape.
const assignment = `(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)`

func main() {
	log.SetFlags(0)
	version := flag.String("version", "", "version of gitleaks that the file belongs to")
	flag.Parse()
	if flag.NArg() != 1 || *version == "" {
		log.Fatal("usage: go run generate.go -version VERSION FILE")
	}
	b, err := os.ReadFile(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	sum := sha256.Sum256(b)
	out := file{
		Source: "https://github.com/gitleaks/gitleaks", Version: *version,
		SHA256: hex.EncodeToString(sum[:]),
	}
	if err := convert(string(b), &out); err != nil {
		log.Fatalf("%s: %v", flag.Arg(0), err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(out); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("gitleaks.json", buf.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d rules\n", len(out.Rules))
}

// convert reads the tables [allowlist], [[rules]] and [[rules.allowlists]].
func convert(text string, out *file) error {
	p := &parser{s: text}
	var set func(key string, v any) error
	set = func(string, any) error { return nil } // title and minVersion, before any table
	for {
		p.space()
		switch {
		case p.s == "":
			return nil
		case p.take("[[rules.allowlists]]"):
			r := &out.Rules[len(out.Rules)-1]
			r.Allow = append(r.Allow, allowlist{})
			set = setAllow(&r.Allow[len(r.Allow)-1])
		case p.take("[[rules]]"):
			out.Rules = append(out.Rules, rule{})
			set = setRule(&out.Rules[len(out.Rules)-1])
		case p.take("[allowlist]"):
			out.Allow = append(out.Allow, allowlist{})
			set = setAllow(&out.Allow[len(out.Allow)-1])
		default:
			key, v, err := p.pair()
			if err != nil {
				return err
			}
			if err := set(key, v); err != nil {
				return err
			}
		}
	}
}

func setRule(r *rule) func(string, any) error {
	return func(key string, v any) error {
		switch key {
		case "id":
			r.ID = v.(string)
		case "description":
			if r.Title = titles[r.ID]; r.Title == "" {
				r.Title = title(v.(string))
			}
		case "regex":
			r.Regexp = v.(string)
			r.Contextual = strings.Contains(r.Regexp, assignment)
		case "path":
			r.Path = v.(string)
		case "entropy":
			r.Entropy = v.(float64)
		case "secretGroup":
			r.Group = int(v.(float64))
		case "keywords":
			for _, k := range v.([]string) {
				r.Keywords = append(r.Keywords, strings.ToLower(k))
			}
		default:
			return fmt.Errorf("rule %s: unknown key %q", r.ID, key)
		}
		return nil
	}
}

func setAllow(a *allowlist) func(string, any) error {
	return func(key string, v any) error {
		switch key {
		case "description":
		case "paths":
			a.Paths = v.([]string)
		case "regexes":
			a.Regexps = v.([]string)
		case "stopwords":
			a.Stopwords = v.([]string)
		case "regexTarget":
			if a.Target = v.(string); a.Target == "secret" {
				a.Target = ""
			}
		case "condition":
			a.And = v.(string) == "AND"
		default:
			return fmt.Errorf("allowlist: unknown key %q", key)
		}
		return nil
	}
}

var opening = regexp.MustCompile(`^(?i)(?:(?:we )?(?:identified|detected|discovered|found|uncovered|recognized|spotted)\s+)?(?:(?:an?|the|possible|potential|pattern that resembles|pattern|reference to)\s+)*`)

// titles names what a description does not name first.
var titles = map[string]string{
	"aws-access-token":                       "AWS access key ID",
	"aws-amazon-bedrock-api-key-long-lived":  "Amazon Bedrock API key (long-lived)",
	"aws-amazon-bedrock-api-key-short-lived": "Amazon Bedrock API key (short-lived)",
	"cisco-meraki-api-key":                   "Cisco Meraki API key",
	"clickhouse-cloud-api-secret-key":        "ClickHouse Cloud API secret key",
	"codecov-access-token":                   "Codecov access token",
	"curl-auth-header":                       "Credential in a curl header",
	"curl-auth-user":                         "User and password of curl",
	"flutterwave-public-key":                 "Flutterwave public key",
	"generic-api-key":                        "Secret assigned to a name such as key, token or password",
	"kubernetes-secret-yaml":                 "Kubernetes Secret with its data",
	"sourcegraph-access-token":               "Sourcegraph access token",
}

// title cuts a description down to the name of what was found.
func title(s string) string {
	s, _, _ = strings.Cut(s, ",")
	for _, end := range []string{". ", " risking ", " posing ", " potentially ", " which ", " that "} {
		if i := strings.Index(s, end); i > 25 {
			s = s[:i]
		}
	}
	s = strings.TrimSuffix(opening.ReplaceAllString(s, ""), ".")
	if s == "" {
		return s
	}
	return string(unicode.ToUpper(rune(s[0]))) + s[1:]
}

// A parser reads keys, strings, numbers and arrays of strings.
type parser struct{ s string }

func (p *parser) space() {
	for {
		p.s = strings.TrimLeft(p.s, " \t\r\n,")
		if !strings.HasPrefix(p.s, "#") {
			return
		}
		_, p.s, _ = strings.Cut(p.s, "\n")
	}
}

func (p *parser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.s, prefix)
	if ok {
		p.s = rest
	}
	return ok
}

func (p *parser) pair() (string, any, error) {
	key, rest, ok := strings.Cut(p.s, "=")
	key = strings.TrimSpace(key)
	if !ok || strings.ContainsAny(key, " \t\n[]\"'.") {
		return "", nil, fmt.Errorf("not a key: %.40q", p.s)
	}
	p.s = strings.TrimLeft(rest, " \t")
	if !p.take("[") {
		v, err := p.scalar()
		return key, v, err
	}
	var list []string
	for {
		p.space()
		if p.take("]") {
			return key, list, nil
		}
		v, err := p.scalar()
		if err != nil {
			return "", nil, err
		}
		s, ok := v.(string)
		if !ok {
			return "", nil, fmt.Errorf("%s: not an array of strings", key)
		}
		list = append(list, s)
	}
}

func (p *parser) scalar() (any, error) {
	if p.take("'''") {
		s, rest, ok := strings.Cut(p.s, "'''")
		if !ok {
			return nil, fmt.Errorf("a string without end")
		}
		p.s = rest
		return strings.TrimPrefix(s, "\n"), nil
	}
	line, _, _ := strings.Cut(p.s, "\n")
	if strings.HasPrefix(line, `"`) {
		q, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, fmt.Errorf("%.40q: %w", line, err)
		}
		p.s = p.s[len(q):]
		return strconv.Unquote(q)
	}
	num := strings.TrimRight(line, " \t\r,")
	f, err := strconv.ParseFloat(num, 64)
	if err != nil {
		return nil, fmt.Errorf("not a value: %.40q", line)
	}
	p.s = p.s[len(num):]
	return f, nil
}
