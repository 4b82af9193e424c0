package render

import (
	"bufio"
	"fmt"
	"io"
)

// An ImportReport is what `sallyport agent import` answers.
type ImportReport struct {
	Sources []ImportSource `json:"sources"`
}

// An ImportSource is one place that was read.
type ImportSource struct {
	Kind     string   `json:"kind"`
	Source   string   `json:"source"`
	Records  int      `json:"records"`
	Claims   int      `json:"claims"`
	Commits  int      `json:"commits"` // that claims name
	Unread   int      `json:"unread"`  // records that are not of the format
	Problems []string `json:"problems"`
}

// Imports writes a report for people.
func Imports(w io.Writer, r ImportReport, o Options) error {
	bw := bufio.NewWriter(w)
	t := text{w: bw, o: o}
	for _, s := range r.Sources {
		fmt.Fprintf(bw, "%s from %s: %s, %s about %s\n", Clean(s.Kind), Clean(s.Source), plural(s.Records, "record"), plural(s.Claims, "claim"), plural(s.Commits, "commit"))
		if s.Unread > 0 {
			t.para("  ", "", fmt.Sprintf("%s could not be read:", plural(s.Unread, "record")), yellow)
			for i, p := range s.Problems {
				if i == maxSame {
					break
				}
				t.para("  ", "- ", p, "")
			}
		}
	}
	t.para("", "", "claims are of grade declared: they are shown, and open nothing", dim)
	return bw.Flush()
}
