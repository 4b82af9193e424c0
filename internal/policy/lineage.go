package policy

import (
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// Lineage returns the digests of the root of files and of those that came before it, the newest first: each root names
// the one that it follows by digest, so that whoever vouches for the first, by a pin or by a chain of signatures, vouches
// for all. That a branch has held a root makes it none of them: whoever could push could have put it there.
//
// Earlier gives the bytes of a root.json by its SHA-256, or nothing. The line ends where one is missing, and
// at one that is not the next lower version of the same repository.
func Lineage(files map[string][]byte, earlier func(sallyport.Digest) []byte) []sallyport.Digest {
	s, err := seal(files, "")
	if err != nil {
		return nil
	}
	line, cur := []sallyport.Digest{s.digest}, s.root
	for !cur.Previous.Zero() && len(line) < maxHistory {
		raw := earlier(cur.Previous)
		if raw == nil || sallyport.SHA256(raw) != cur.Previous || slices.Contains(line, cur.Previous) {
			return line
		}
		prev, err := ParseRoot(raw)
		if err != nil || prev.Version != cur.Version-1 || prev.Repository != cur.Repository {
			return line
		}
		line, cur = append(line, cur.Previous), prev
	}
	return line
}
