// Package report reads what other tools reported about a change: SARIF 2.1.0, JUnit XML, and
// in-toto statements that hold or name such reports.
//
// A report is somebody's word. What it says against a change is believed, whoever brought it: a
// result in the change is a finding, a failed test is one. That it says nothing against the change
// is believed only of a report that a verified statement binds to the commit: [Judge] joins the
// files that a caller brings with the evidence about the head, and gives each report a grade. A
// file alone is "declared".
//
// A statement binds a report if one of its subjects is the head, its tree or the merge result's
// tree, and it
//
//   - is of the type https://in-toto.io/attestation/test-result/v0.1 and names tests: it is a
//     report of tests itself;
//   - is of that type and has the SHA-256 of a JUnit file as another subject: it vouches for that file.
//     One whose configuration names a SARIF report is a summary of that, and vouches for nothing: who
//     may sign for tests, which run what a change brings, may not sign for scans;
//   - is of the type https://witness.dev/attestations/sarif/v0.1: it holds a SARIF report, or vouches
//     for a SARIF file, by its SHA-256 as another subject or as the report's.
//
// Which results are new: those at a line that the change adds, or in a file that it adds; of a
// file whose head and merge result may differ, all of them, since the line numbers are another
// version's. A result that names a place that cannot be resolved counts as new, since it might
// be; one that names no place is counted and no finding, unless its tool says that the
// change brought it. Suppressions and baseline states are
// claims of whoever wrote the file: a suppressed result stays open.
//
// Sizes, counts and depths are bounded. Specifications: OASIS SARIF 2.1.0; for JUnit, which has
// none, what Ant, Maven, Gradle, pytest and jest write.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// MaxSize is the most that a report may weigh, in bytes.
const MaxSize = 32 << 20

// maxFindings bounds what one report may yield; the rest is counted in one finding.
const maxFindings = 1000

// The kinds of report.
const (
	SARIF = "sarif"
	JUnit = "junit"
)

// ErrInvalid is wrapped by errors about a report that cannot be read.
var ErrInvalid = errors.New("not a report that can be read")

// A Report is one tool's run, as a file or statement tells it.
type Report struct {
	Kind       string
	Tool       string
	Complete   bool
	Why        string   // why it is not complete
	Revisions  []string // commits that it says it is about
	Results    []Result
	Total      int // results; of tests, those that ran
	Suppressed int
	Passed     []string // names of tests that passed, the first maxNames of them
	Omitted    int      // tests that passed beyond those
}

// A Result is one thing that the tool said against something.
type Result struct {
	Rule       string
	Severity   sallyport.Severity
	Text       string
	Suppressed bool
	New        bool    // the tool says that the change brought it
	Places     []Place // none if the tool named none
}

// A Place is where a result is, inside the repository.
type Place struct {
	Path    sallyport.Path
	Line    int  // 0 if the file as a whole
	EndLine int  // at least Line
	Unknown bool // it was named, and cannot be resolved to a path in the repository
}

// About reports whether r says nothing else than that it is about the commit with object id oid.
func (r Report) About(oid string) bool {
	if len(r.Revisions) == 0 || oid == "" {
		return true
	}
	return slices.ContainsFunc(r.Revisions, func(rev string) bool {
		rev = strings.ToLower(rev)
		return len(rev) >= 7 && strings.HasPrefix(oid, rev)
	})
}

// Read reads a file of the given kind. Root is the folder under which the repository lies where the
// tool ran, for reports that name files by their absolute paths; it may be empty.
func Read(kind string, b []byte, root string) ([]Report, error) {
	switch kind {
	case SARIF:
		return readSARIF(b, root)
	case JUnit:
		r, err := readJUnit(b, root)
		if err != nil {
			return nil, err
		}
		return []Report{r}, nil
	}
	return nil, fmt.Errorf("%w: unknown kind %q", ErrInvalid, kind)
}

// place resolves a path that a tool wrote. Ok is false for one that leads out of the repository or
// that nobody can resolve.
func place(name, root string, isURI bool) (sallyport.Path, bool) {
	if isURI {
		if scheme, rest, ok := strings.Cut(name, ":"); ok && len(scheme) > 1 && !strings.Contains(scheme, "/") {
			if !strings.EqualFold(scheme, "file") {
				return "", false
			}
			name = rest
			if rest, ok := strings.CutPrefix(name, "//"); ok {
				host, p, _ := strings.Cut(rest, "/")
				if host != "" && !strings.EqualFold(host, "localhost") {
					return "", false
				}
				name = "/" + p
			}
		}
		if i := strings.IndexAny(name, "?#"); i >= 0 {
			name = name[:i]
		}
		decoded, err := url.PathUnescape(name)
		if err != nil {
			return "", false
		}
		name = decoded
	}
	if strings.Contains(name, `\`) && !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, `\`, "/")
	}
	if name == "" || len(name) > 4096 || strings.ContainsRune(name, 0) {
		return "", false
	}
	if slices.Contains(strings.Split(name, "/"), "..") {
		return "", false
	}
	if strings.HasPrefix(name, "/") {
		under := strings.TrimSuffix(root, "/") + "/"
		clean := path.Clean(name)
		if root == "" || !strings.HasPrefix(clean, under) {
			return "", false
		}
		name = strings.TrimPrefix(clean, under)
	}
	name = path.Clean(name)
	if name == "." || name == "" {
		return "", false
	}
	return sallyport.Path(name), true
}

// said makes what a tool or an author wrote one short line without a secret in it.
func said(s string) string {
	if len(s) > 4096 {
		s = s[:4096]
	}
	if len(matcher().Find("", []byte(s), nil)) > 0 {
		return "(left out: it looks like a secret)"
	}
	var b strings.Builder
	n := 0
	for _, w := range strings.Fields(strings.ToValidUTF8(s, "\ufffd")) {
		if n > 0 {
			b.WriteByte(' ')
		}
		for _, r := range w {
			if n++; n > 200 {
				return b.String() + "…"
			}
			if !unicode.IsPrint(r) || r == utf8.RuneError {
				r = '?'
			}
			b.WriteRune(r)
		}
		n++
	}
	return b.String()
}

func matcher() scan.SecretMatcher { return scan.Secrets() }

// findingID derives the ID of a finding as the scanner does for its own.
func findingID(parts ...string) string {
	h := sha256.New()
	for _, part := range append([]string{"sallyport finding v1"}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Line makes what a tool wrote one short line that holds no secret, for people to read.
func Line(s string) string { return said(s) }
