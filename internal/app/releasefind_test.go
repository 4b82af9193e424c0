package app

import (
	"slices"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/policy/exception"
)

// TestReleaseCodes: what may be excepted at the release gate are codes of its set.
func TestReleaseCodes(t *testing.T) {
	n := 0
	for _, code := range releaseCodes() {
		if exception.OfRelease(code) {
			n++
		}
	}
	if n != 7 || !slices.Contains(releaseCodes(), "release-not-pinned") || exception.OfRelease("release-not-pinned") {
		t.Errorf("%d codes of %q may be excepted", n, releaseCodes())
	}
}
