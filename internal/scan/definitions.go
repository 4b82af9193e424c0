package scan

import (
	"fmt"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
	ci "github.com/sallyport-dev/sallyport/internal/scan/workflow"
)

// MaxLock is how large a lock or manifest file may be, in bytes.
const MaxLock = dep.MaxSize

// inputRules are those that tell of what a build takes in and others could have written: a cache, or what a name
// that moves stands for.
var inputRules = []string{"release-cache", "untrusted-cache", "unpinned-action", "unpinned-image", "unpinned-include"}

// IsDefinition reports whether a path is one of a definition of CI jobs.
func IsDefinition(p string) bool {
	kind := ci.KindOf(fold(p), false)
	return kind == ci.GitHub || kind == ci.GitLab
}

// BuildInputs returns what the jobs of a definition take in that others could have written, whether or not a change
// brought it. Of one that cannot be had (err) or read, that is not known, and is told.
func BuildInputs(p string, content []byte, err error) []sallyport.Finding {
	var hits []ci.Hit
	if err == nil {
		hits, err = ci.Scan(ci.KindOf(fold(p), false), plainText(content))
	}
	if err != nil {
		return []sallyport.Finding{finding(sallyport.FindingUnscanned, "ci-definition", sallyport.High, sallyport.Path(p), 0,
			"the CI definition could not be read: "+sallyport.Path(err.Error()).String(), p)}
	}
	seen := map[string]int{}
	var out []sallyport.Finding
	for _, h := range hits {
		if !slices.Contains(inputRules, h.Rule) {
			continue
		}
		seen[h.Rule+"\x00"+h.Key]++
		out = append(out, finding(sallyport.FindingWorkflow, h.Rule, h.Severity, sallyport.Path(p), h.Line, h.Text, fmt.Sprintf("%s\x00%d", h.Key, seen[h.Rule+"\x00"+h.Key])))
	}
	return out
}
