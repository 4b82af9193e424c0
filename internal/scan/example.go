package scan

import "bytes"

// PublicExample reports whether a rule for secrets of a known shape would find secret, and lists it as one
// that is none: a service's own example, a key that is meant to be public. For matchers that are joined
// with [Secrets], so that they do not find anew what its rules let pass.
func PublicExample(secret []byte) bool {
	m, ok := loadedMatcher().(*windowMatcher)
	if !ok {
		return false
	}
	low := bytes.ToLower(secret)
	for _, r := range m.set.rules {
		if r.Contextual || len(r.Allow) == 0 {
			continue
		}
		for _, k := range r.Keywords {
			if bytes.Contains(low, []byte(k)) && r.expr().Match(secret) && m.allowed(r, nil, secret, secret, secret) {
				return true
			}
		}
	}
	return false
}
