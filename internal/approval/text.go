package approval

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// ascii returns s if it is printable ASCII that does not start with a quotation mark, and
// otherwise a Go-quoted form in ASCII. What an agent may have named cannot move the cursor,
// reorder the line or pass a Cyrillic letter for a Latin one.
func ascii(s string) string {
	if strings.HasPrefix(s, `"`) {
		return strconv.QuoteToASCII(s)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// quote is ascii for names inside sentences: what is empty or holds a space is quoted too.
func quote(s string) string {
	if s == "" || strings.Contains(s, " ") {
		return strconv.QuoteToASCII(s)
	}
	return ascii(s)
}

// oneLine makes an error's text safe to stand in a sentence.
func oneLine(err error) string { return ascii(err.Error()) }

// cut shortens s, which is ASCII, to n columns in its middle, so that a path keeps both its
// folder and its ending.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if n < 8 {
		return s[:max(n, 0)]
	}
	tail := (n - 3) * 3 / 5
	return s[:n-3-tail] + "..." + s[len(s)-tail:]
}

// trim shortens s, which is ASCII, to n columns at its end.
func trim(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:max(0, n-3)] + "..."
}

// first returns the first n bytes of s.
func first(s string, n int) string { return s[:min(n, len(s))] }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func kindName(k sallyport.PrincipalKind) string {
	switch k {
	case sallyport.Person:
		return "a person"
	case sallyport.Agent:
		return "an agent"
	case sallyport.Bot:
		return "a bot"
	case sallyport.Workload:
		return "a workload"
	}
	return "nobody that the roster knows"
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
