package model

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/predicate"
)

// A spelling is a model's name taken apart by the rules of the package comment.
type spelling struct {
	provider string
	full     string // without what says whose it is, region included
	name     string // full without the region
	base     string // name without version
	version  string
	latest   bool
	region   string
}

// Provider returns the word under which a registry knows a provider: known other spellings of it
// are replaced, anything else is left as it is.
func Provider(s string) string {
	switch s {
	case "gemini", "google-ai", "generativelanguage":
		return "google"
	case "aws-bedrock", "amazon-bedrock":
		return "bedrock"
	case "vertex-ai", "vertex_ai", "google-vertex":
		return "vertex"
	case "azure-openai", "azure_openai":
		return "azure"
	}
	return s
}

// maxName bounds what a request may call a model. Resource names of clouds are the longest.
const maxName = 1024

// strange returns the first character of s that no model's name has, and whether there is one.
func strange(s string) (rune, bool) {
	for _, r := range s {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return r, true
		}
	}
	return 0, false
}

// spell takes a name apart. It allocates nothing for names without a publisher.
func spell(provider, model string) spelling {
	s := spelling{provider: Provider(provider), full: model}
	if s.provider == "" {
		if strings.HasPrefix(model, "arn:") {
			s.provider = "bedrock"
		} else if p, rest, ok := strings.Cut(model, "/"); ok {
			s.provider, s.full = Provider(p), rest
		}
	} else if p, rest, ok := strings.Cut(model, "/"); ok && (p == provider || Provider(p) == s.provider) {
		s.full = rest
	}
	switch s.provider {
	case "google":
		s.full = strings.TrimPrefix(s.full, "models/")
	case "vertex":
		s.full = published(s.full)
	case "bedrock":
		s.full = ofARN(s.full)
	}
	s.name = s.full
	if s.provider == "bedrock" {
		if region, rest, ok := strings.Cut(s.full, "."); ok && slices.Contains(bedrockRegions[:], region) {
			s.region, s.name = region, rest
		}
	}
	s.cutVersion()
	return s
}

// bedrockRegions are the prefixes by which Bedrock is told where a request may be answered.
var bedrockRegions = [...]string{"us", "eu", "apac", "jp", "au", "ca", "us-gov", "global"}

// published turns a resource name of Vertex into PUBLISHER/NAME.
func published(s string) string {
	rest := s
	if strings.HasPrefix(rest, "projects/") {
		parts := strings.SplitN(rest, "/", 5)
		if len(parts) != 5 || parts[1] == "" || parts[2] != "locations" || parts[3] == "" {
			return s
		}
		rest = parts[4]
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 4 || parts[0] != "publishers" || parts[2] != "models" || parts[1] == "" || parts[3] == "" {
		return s
	}
	return parts[1] + "/" + parts[3]
}

// ofARN returns the id in an ARN of a foundation model or of a profile that the cloud itself defines.
func ofARN(s string) string {
	if !strings.HasPrefix(s, "arn:") {
		return s
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[2] != "bedrock" || !strings.HasPrefix(parts[1], "aws") {
		return s
	}
	for _, kind := range [...]string{"foundation-model/", "inference-profile/"} {
		if id, ok := strings.CutPrefix(parts[5], kind); ok && id != "" && !strings.Contains(id, "/") {
			return id
		}
	}
	return s
}

// cutVersion takes the version off the name, by the provider's rules.
func (s *spelling) cutVersion() {
	n := s.name
	s.base = n
	if strings.HasPrefix(n, "ft:") || strings.HasPrefix(n, "arn:") {
		return // made from another model, and none of its versions
	}
	cut := func(at int) { s.base, s.version = n[:at], n[at+1:] }
	newest := func(suffix string) bool {
		base, ok := strings.CutSuffix(n, suffix)
		if ok && base != "" {
			s.base, s.latest = base, true
			return true
		}
		return false
	}
	switch s.provider {
	case "anthropic":
		if !newest("-latest") {
			if at := tail(n, '-', 8); at > 0 {
				cut(at)
			}
		}
	case "openai", "azure":
		if !newest("-latest") {
			if at := dateTail(n); at > 0 {
				cut(at)
			}
		}
	case "google":
		if !newest("-latest") {
			if at := tail(n, '-', 3); at > 0 {
				cut(at)
			}
		}
	case "vertex":
		if newest("@latest") || newest("@default") {
			return
		}
		for _, at := range [...]int{tail(n, '@', 8), tail(n, '@', 3), tail(n, '-', 3)} {
			if at > 0 {
				cut(at)
				return
			}
		}
	case "bedrock":
		if at := revision(n); at > 0 {
			if date := tail(n[:at], '-', 8); date > 0 {
				at = date
			}
			cut(at)
		} else if at := tail(n, '-', 8); at > 0 {
			cut(at)
		}
	default:
		newest(":latest")
	}
}

// tail returns where sep stands if exactly n digits follow it to the end, and 0 if not.
func tail(s string, sep byte, n int) int {
	at := len(s) - n - 1
	if at <= 0 || s[at] != sep || !digits(s[at+1:]) {
		return 0
	}
	return at
}

// dateTail is tail for -YYYY-MM-DD.
func dateTail(s string) int {
	at := len(s) - len("-2025-01-31")
	if at <= 0 || s[at] != '-' || s[at+5] != '-' || s[at+8] != '-' ||
		!digits(s[at+1:at+5]) || !digits(s[at+6:at+8]) || !digits(s[at+9:]) {
		return 0
	}
	return at
}

// revision returns where -vN or -vN:M begins at the end of s, or 0.
func revision(s string) int {
	at := strings.LastIndex(s, "-v")
	if at <= 0 {
		return 0
	}
	major, minor, both := strings.Cut(s[at+2:], ":")
	if major == "" || !digits(major) || both && (minor == "" || !digits(minor)) {
		return 0
	}
	return at
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// fits reports whether pattern matches name: * stands for any number of letters, digits, dots, hyphens and
// underscores, everything else for itself.
func fits(pattern, name string) bool {
	for {
		star := strings.IndexByte(pattern, '*')
		if star < 0 {
			return pattern == name
		}
		if len(name) < star || pattern[:star] != name[:star] {
			return false
		}
		pattern, name = pattern[star+1:], name[star:]
		next := strings.IndexByte(pattern, '*')
		literal := pattern
		if next >= 0 {
			literal = pattern[:next]
		}
		var at int
		if next < 0 { // the last star: what follows it is the end
			if at = len(name) - len(literal); at < 0 || name[at:] != literal {
				return false
			}
		} else if at = strings.Index(name, literal); at < 0 {
			return false
		}
		for i := range at {
			if !wild(name[i]) {
				return false
			}
		}
		if next < 0 {
			return true
		}
		name = name[at:]
	}
}

func wild(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}

// Means reports whether a model that a run says it used could be that of an entry: for looking back, where
// missing one is worse than naming one too many. Case, region and, where the entry admits several, the version
// do not matter, and neither does a provider that the run leaves out.
func Means(e predicate.ModelEntry, provider, model string) bool {
	s := spell(provider, strings.ToLower(model))
	if s.provider != "" && s.provider != e.Provider {
		return false
	}
	if s.provider == "" { // its name alone: it may have versions of the entry's kind
		s = spell(e.Provider, strings.ToLower(model))
	}
	for _, alias := range e.Aliases {
		if strings.EqualFold(alias, s.full) || strings.EqualFold(alias, s.name) {
			return true
		}
	}
	for _, p := range e.Patterns {
		if fits(strings.ToLower(p), s.full) || fits(strings.ToLower(p), s.name) {
			return true
		}
	}
	if strings.EqualFold(e.Name, s.full) || strings.EqualFold(e.Name, s.name) {
		return true
	}
	return strings.EqualFold(e.Name, s.base) && (e.Version == "" || s.version == "" || strings.EqualFold(e.Version, s.version))
}
