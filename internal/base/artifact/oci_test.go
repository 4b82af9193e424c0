package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The blobs of two images are paired by their roles, so that the difference is told inside the
// layer and not as one layer gone and another come.
func TestImageLayout(t *testing.T) {
	image := func(text string) string {
		var files []file
		blob := func(s string) string {
			sum := sha256.Sum256([]byte(s))
			files = append(files, file{name: "blobs/sha256/" + hex.EncodeToString(sum[:]), text: s, mtime: noon})
			return "sha256:" + hex.EncodeToString(sum[:])
		}
		base := blob(packTar(t, file{name: "base", text: "same", mtime: noon}))
		layer := blob(packTar(t, file{name: "app/built", text: text, mtime: noon}))
		config := blob(fmt.Sprintf(`{"rootfs":{"diff_ids":[%q,%q]}}`, base, layer))
		manifest := blob(fmt.Sprintf(`{"config":{"digest":%q},"layers":[{"digest":%q},{"digest":%q}]}`, config, base, layer))
		index := file{name: "index.json", text: fmt.Sprintf(`{"manifests":[{"digest":%q}]}`, manifest), mtime: noon}
		return packTar(t, append([]file{index}, files...)...)
	}
	r := compare(t, image("2026-11-26"), image("2026-11-27"))
	got := told(r)
	if r.Counts[Missing]+r.Counts[Extra] > 0 || !slices.Contains(got, "manifest 1, layer 2!app/built: timestamp line 1: 2026-11-26 | 2026-11-27") {
		t.Errorf("got:\n%s", strings.Join(got, "\n"))
	}
	for _, d := range r.Differences {
		if !strings.Contains(d.Member, "layer 2") && d.What != Digest {
			t.Errorf("%v is more than what follows", d)
		}
	}
	symmetric(t, r, compare(t, image("2026-11-27"), image("2026-11-26")))
}
