package scan

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// A question is what nobody can tell about packages of one file, and one finding however many they are. Its id
// holds which they are, in no order: whoever accepts it accepts that it is open for these, and for none that the file
// brings later.
type question struct {
	at       int // among the findings
	rule     string
	severity sallyport.Severity
	path     sallyport.Path
	about    string
	text     string
	packages []string
}

// ask adds a package to those that it is about. What is asked for by a range has it beside its package URL.
func (q *question) ask(d *sallyport.Dependency) {
	q.packages = append(q.packages, d.Purl+"\x00"+d.Version)
}

func (q *question) finding() sallyport.Finding {
	h := sha256.New()
	for _, p := range slices.Compact(slices.Sorted(slices.Values(q.packages))) {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return finding(sallyport.FindingAdvisory, q.rule, q.severity, q.path, 0, q.text, fmt.Sprintf("%s\x00%s\x00%x", q.rule, q.about, h.Sum(nil)))
}
