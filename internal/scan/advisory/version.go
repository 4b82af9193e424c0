package advisory

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/google/osv-scalibr/semantic"
)

// ErrVersion is returned for what is no version of its ecosystem. The library that compares is
// lenient, and makes something of any text; an answer that rests on that would be made up.
var ErrVersion = errors.New("no version that can be compared")

// longestVersion bounds what is compared, in bytes: the library takes the square of a number's length.
const longestVersion = 256

// shapes are what a version looks like, by ecosystem; "" is SemVer's.
var shapes = sync.OnceValue(func() map[string]*regexp.Regexp {
	const tail = `(?:[-+][0-9A-Za-z.+~_-]*)?`
	return map[string]*regexp.Regexp{
		// A version may be short, 1 or 1.2, and only a full one has a pre-release or a build, as Go has it.
		"":          regexp.MustCompile(`^[vV]?[0-9]+(?:\.[0-9]+(?:\.[0-9]+` + tail + `)?)?$`),
		lenient:     regexp.MustCompile(`^[vV]?[0-9]+(?:\.[0-9]+){0,3}` + tail + `$`),
		"PyPI":      regexp.MustCompile(`(?i)^v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview)[-_.]?[0-9]*)?(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?(?:[-_.]?dev[-_.]?[0-9]*)?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?$`),
		"Maven":     regexp.MustCompile(`^[0-9A-Za-z._+-]*[0-9][0-9A-Za-z._+-]*$`),
		"NuGet":     regexp.MustCompile(`^[vV]?[0-9]+(?:\.[0-9]+){0,3}` + tail + `$`),
		"RubyGems":  regexp.MustCompile(`^[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z._-]+)?$`),
		"Packagist": regexp.MustCompile(`(?i)^v?[0-9]+(?:\.[0-9]+)*(?:[-_.+]?[0-9A-Za-z.+_-]*)?$`),
		"Hackage":   regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)*$`),
		"CRAN":      regexp.MustCompile(`^[0-9]+(?:[.-][0-9]+)*$`),
	}
})

// lenient is what advisories write where SemVer is meant.
const lenient = "lenient"

// semverLike are the ecosystems whose versions are spelt as SemVer.
var semverLike = map[string]bool{"Go": true, "npm": true, "crates.io": true, "Hex": true, "Pub": true, "SwiftURL": true}

// A version is one that can be compared with others of its ecosystem. The zero version is older than all.
type version struct{ semantic.Version }

// parseVersion reads the version of a package by the ecosystem's rules, or by SemVer's.
func parseVersion(ecosystem, v string, semver bool) (version, error) {
	return parseShape(ecosystem, v, semver, "")
}

// parseEvent reads a version that an advisory names, as parseVersion does. Advisories are written by people, and
// one that writes 1.5-rc1 is understood.
func parseEvent(ecosystem, v string, semver bool) (version, error) {
	return parseShape(ecosystem, v, semver, lenient)
}

func parseShape(ecosystem, v string, semver bool, like string) (version, error) {
	shape, rules := ecosystem, ecosystem
	if semverLike[ecosystem] {
		shape = like
	}
	if semver && ecosystem != "Go" {
		shape, rules = like, "npm"
	}
	re := shapes()[shape]
	if re == nil || len(v) > longestVersion || !re.MatchString(v) {
		return version{}, fmt.Errorf("%w: %.80q", ErrVersion, v)
	}
	switch rules {
	case "PyPI":
		// A build of one's own, 1.0+cu118, is 1.0 wherever a version is asked for (PEP 440).
		v, _, _ = strings.Cut(v, "+")
	case "RubyGems":
		v = withoutPlatform(v)
	case "Packagist":
		if strings.HasSuffix(strings.ToLower(v), "x-dev") {
			return version{}, fmt.Errorf("%w: %.80q is a branch", ErrVersion, v)
		}
	}
	p, err := semantic.Parse(strings.TrimPrefix(v, "V"), rules)
	if err != nil {
		return version{}, fmt.Errorf("%w: %.80q", ErrVersion, v)
	}
	return version{p}, nil
}

// withoutPlatform cuts off the platform that Bundler writes behind a gem's version, 1.2.3-x86_64-linux, which
// would otherwise be read as a pre-release.
func withoutPlatform(v string) string {
	base, platform, ok := strings.Cut(v, "-")
	if !ok {
		return v
	}
	first, _, _ := strings.Cut(platform, "-")
	switch {
	case strings.HasPrefix(first, "x86"), strings.HasPrefix(first, "x64"), strings.HasPrefix(first, "arm"), strings.HasPrefix(first, "aarch64"),
		first == "java", first == "jruby", first == "universal", first == "mswin32", first == "mswin64", first == "mingw32":
		return base
	}
	return v
}

// compare is negative if v is older than w.
func (v version) compare(w version) (int, error) {
	switch {
	case v.Version == nil && w.Version == nil:
		return 0, nil
	case v.Version == nil:
		return -1, nil
	case w.Version == nil:
		return 1, nil
	}
	c, err := v.Compare(w.Version)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrVersion, err)
	}
	return c, nil
}
