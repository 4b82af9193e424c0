package app

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/report"
)

// reporter is merge.Reporter over the files that the caller brought.
type reporter struct {
	files []report.File
	root  string
}

func (r reporter) Reports(c *sallyport.Change, evidence []sallyport.Evidence) ([]sallyport.ReportInput, []sallyport.Finding) {
	return report.Judge(c, evidence, r.files, r.root)
}

// reports reads the files that the caller brought. One that cannot be read, or that says that it
// is about another commit, is an error: whoever brought it meant it to be judged.
func (w *workspace) reports() (reporter, error) {
	r := reporter{root: w.repo.WorkTree()}
	for _, kind := range []struct {
		name  string
		files []string
	}{{report.SARIF, w.opts.SARIF}, {report.JUnit, w.opts.JUnit}} {
		for _, name := range kind.files {
			f, err := readReport(kind.name, name, r.root)
			if err != nil {
				return reporter{}, fmt.Errorf("read the report %s: %w", name, err)
			}
			for _, one := range f.Reports {
				if !one.About(w.target.Head) {
					return reporter{}, withHint(
						fmt.Errorf("the report %s is about commit %s, and the check is about %s", name, one.Revisions[0], w.target.Head),
						"run "+one.Tool+" on the head and bring that report")
				}
			}
			r.files = append(r.files, f)
		}
	}
	return r, nil
}

func readReport(kind, name, root string) (report.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return report.File{}, errors.Unwrap(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, report.MaxSize+1))
	if err != nil {
		return report.File{}, err
	}
	if len(b) > report.MaxSize {
		return report.File{}, fmt.Errorf("it is larger than the %d bytes that are read", report.MaxSize)
	}
	rs, err := report.Read(kind, b, root)
	return report.File{Source: name, Kind: kind, Digest: sallyport.SHA256(b), Reports: rs}, err
}
