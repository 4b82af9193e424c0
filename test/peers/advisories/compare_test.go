//go:build peers

// Package advisories compares what ours says about packages with what grype and govulncheck say, from the same
// records. docs/advisories.md has the figures, and explains every difference.
package advisories

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
)

// fixture is the subset of two public databases that lies in the repository. $ADVISORIES names a folder with whole
// ones, Go.zip and PyPI.zip.
const fixture = "../../../internal/scan/advisory/testdata/osv"

// least is how many versions have to be compared for the comparison to say something.
const least = 500

// A query is a package in a version.
type query struct{ ecosystem, name, version string }

func (q query) String() string { return q.ecosystem + "\t" + q.name + "\t" + q.version }

// A record is what the comparison needs of one.
type record struct {
	ID        string   `json:"id"`
	Withdrawn string   `json:"withdrawn"`
	Aliases   []string `json:"aliases"`
	Affected  []struct {
		Package struct{ Ecosystem, Name string }
		Ranges  []struct {
			Type   string
			Events []map[string]string
		}
		Versions []string
	}
}

// A set is the records of one folder.
type set struct {
	zips    []string
	records map[string]*record
	raw     map[string][]byte
}

func load(t *testing.T) *set {
	t.Helper()
	dir := cmp.Or(os.Getenv("ADVISORIES"), fixture)
	s := &set{records: map[string]*record{}, raw: map[string][]byte{}}
	for _, name := range []string{"Go.zip", "PyPI.zip"} {
		p := filepath.Join(dir, name)
		s.zips = append(s.zips, p)
		z, err := zip.OpenReader(p)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			var rec record
			if err := json.Unmarshal(b, &rec); err != nil {
				t.Fatal(err)
			}
			s.records[rec.ID], s.raw[rec.ID] = &rec, b
		}
	}
	return s
}

// queries are the versions at which an answer can change, and those around them: what every record names, the next
// patch, a version before and one after it by the ecosystem's own rules. Of what a record lists, five are taken.
func (s *set) queries(ecosystem string) []query {
	all := map[query]bool{}
	for _, r := range s.records {
		for _, a := range r.Affected {
			if a.Package.Ecosystem != ecosystem {
				continue
			}
			add := func(v string) {
				if v != "0" && v != "" {
					all[query{ecosystem, a.Package.Name, v}] = true
				}
			}
			for _, g := range a.Ranges {
				if g.Type == "GIT" {
					continue
				}
				for _, e := range g.Events {
					for _, v := range e {
						add(v)
						for _, w := range around(ecosystem, v) {
							add(w)
						}
					}
				}
			}
			for i := range min(5, len(a.Versions)) {
				add(a.Versions[i*len(a.Versions)/min(5, len(a.Versions))])
			}
			if ecosystem == "Go" {
				add("0.0.1")
				add("99.0.0")
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b query) int { return strings.Compare(a.String(), b.String()) })
}

var plain = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)

// around are the neighbours of a version without letters.
func around(ecosystem, v string) []string {
	if !plain.MatchString(v) || v == "0" {
		return nil
	}
	parts := strings.Split(v, ".")
	n, err := strconv.ParseUint(parts[len(parts)-1], 10, 63)
	if err != nil {
		return nil
	}
	next := strings.Join(append(slices.Clone(parts[:len(parts)-1]), strconv.FormatUint(n+1, 10)), ".")
	if ecosystem == "PyPI" {
		return []string{next, v + "rc1", v + ".post1", v + ".dev1", v + ".0"}
	}
	return []string{next, v + "-rc.1", v + "-0.20200101000000-0123456789ab", v + "+incompatible"}
}

// ours answers by a database of ours: the ids of the records that it names, with aliases.
func (s *set) ours(t *testing.T, qs []query) map[query][][]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.db")
	var from []advisory.Origin
	for _, z := range s.zips {
		from = append(from, advisory.Origin{Path: z, Covers: []string{strings.TrimSuffix(filepath.Base(z), ".zip")}})
	}
	if _, err := advisory.Import(context.Background(), file, from, time.Now()); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out := map[query][][]string{}
	types := map[string]string{"Go": "golang", "PyPI": "pypi"}
	for _, q := range qs {
		v := q.version
		if q.ecosystem == "Go" {
			v = "v" + v
		}
		a := db.Match(advisory.Package{Type: types[q.ecosystem], Name: q.name, Version: v})
		groups := [][]string{}
		for _, m := range a.Matches {
			groups = append(groups, append([]string{m.ID}, m.Aliases...))
		}
		if a.Unknown != "" {
			groups = append(groups, append([]string{"not known"}, a.Undecided...))
		}
		out[q] = groups
	}
	return out
}

// differences compares our answers with another's. An advisory is the same if one of its ids is.
func differences(qs []query, ours map[query][][]string, theirs map[query][]string) (same int, out []string) {
	for _, q := range qs {
		var only []string
		named := map[string]bool{}
		for _, g := range ours[q] {
			hit := false
			for _, id := range g {
				named[id] = true
				hit = hit || slices.Contains(theirs[q], id)
			}
			if !hit {
				only = append(only, "only ours: "+strings.Join(g, " "))
			}
		}
		for _, id := range theirs[q] {
			if !named[id] {
				only = append(only, "only theirs: "+id)
			}
		}
		if len(only) == 0 {
			same++
		}
		for _, o := range only {
			out = append(out, q.String()+"\t"+o)
		}
	}
	return same, out
}

// explained says why a difference is one, or nothing.
func explained(line string) string {
	for _, e := range explanations {
		if e.pattern.MatchString(line) {
			return e.why
		}
	}
	return ""
}

// report prints what differs, and fails for what is not explained.
func report(t *testing.T, with string, qs []query, ours map[query][][]string, theirs map[query][]string) {
	t.Helper()
	if len(qs) < least {
		t.Errorf("only %d versions were compared, and %d are needed", len(qs), least)
	}
	affected := 0
	for _, q := range qs {
		if len(ours[q]) > 0 {
			affected++
		}
	}
	same, diff := differences(qs, ours, theirs)
	why := map[string]int{}
	for _, d := range diff {
		if w := explained(d); w != "" {
			why[w]++
		} else {
			t.Errorf("not explained: %s", d)
		}
	}
	t.Logf("%s: %d versions, %d of them affected, %d answered alike", with, len(qs), affected, same)
	for _, w := range slices.Sorted(maps.Keys(why)) {
		t.Logf("  %d differences: %s", why[w], w)
	}
}

func build(t *testing.T, peer, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), peer)
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir = filepath.Join("..", peer)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s cannot be built from test/peers/%s: %v\n%s", peer, peer, err, b)
	}
	return out
}

// TestGrype compares both ecosystems with grype's matchers.
func TestGrype(t *testing.T) {
	s := load(t)
	program := build(t, "grype", ".")
	for _, eco := range []string{"Go", "PyPI"} {
		qs := s.queries(eco)
		var in bytes.Buffer
		for _, q := range qs {
			if eco == "Go" {
				q.version = "v" + q.version
			}
			fmt.Fprintln(&in, q)
		}
		cmd := exec.Command(program, s.zips...)
		cmd.Stdin, cmd.Stderr = &in, os.Stderr
		b, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		theirs := map[query][]string{}
		for line := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if f[0] == "Go" {
				f[2] = strings.TrimPrefix(f[2], "v")
			}
			if f[3] != "" {
				theirs[query{f[0], f[1], f[2]}] = strings.Split(f[3], ",")
			}
		}
		report(t, "grype, "+eco, qs, s.ours(t, qs), theirs)
	}
}

// TestGovulncheck compares Go with govulncheck's scan at the level of modules. It is given what govulncheck itself extracts
// from a binary, with one module for each version: nothing has to be built, and no such version has to exist.
func TestGovulncheck(t *testing.T) {
	s := load(t)
	program := build(t, "govulncheck", "golang.org/x/vuln/cmd/govulncheck")
	db := s.vulndb(t)
	qs := s.queries("Go")
	type module struct{ Path, Version string }
	var modules []module
	for _, q := range qs {
		modules = append(modules, module{q.name, "v" + q.version})
	}
	blob, err := json.Marshal(map[string]any{"modules": modules, "goVersion": "go99.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "blob")
	write(t, file, append([]byte(`{"name":"govulncheck-extract","version":"0.1.0"}`+"\n"), blob...))
	cmd := exec.Command(program, "-mode=binary", "-scan=module", "-format=json", "-db", "file://"+db, file)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[query][]string{}
	dec := json.NewDecoder(bytes.NewReader(b))
	for dec.More() {
		var m struct {
			Finding *struct {
				OSV   string
				Trace []struct{ Module, Version string }
			}
		}
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.Finding != nil && len(m.Finding.Trace) > 0 {
			at := m.Finding.Trace[0]
			q := query{"Go", at.Module, strings.TrimPrefix(at.Version, "v")}
			theirs[q] = append(theirs[q], m.Finding.OSV)
		}
	}
	report(t, "govulncheck, Go", qs, s.ours(t, qs), theirs)
}

// vulndb writes the records in the layout that govulncheck reads.
func (s *set) vulndb(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	type vuln struct {
		ID       string    `json:"id"`
		Modified time.Time `json:"modified"`
	}
	modules := map[string][]vuln{}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, id := range slices.Sorted(maps.Keys(s.records)) {
		r := s.records[id]
		if !strings.HasPrefix(id, "GO-") {
			continue
		}
		write(t, filepath.Join(dir, "ID", id+".json"), s.raw[id])
		for _, a := range r.Affected {
			if v := modules[a.Package.Name]; len(v) == 0 || v[len(v)-1].ID != id {
				modules[a.Package.Name] = append(v, vuln{id, at})
			}
		}
	}
	type module struct {
		Path  string `json:"path"`
		Vulns []vuln `json:"vulns"`
	}
	var list []module
	for _, p := range slices.Sorted(maps.Keys(modules)) {
		list = append(list, module{p, modules[p]})
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "index", "modules.json"), b)
	write(t, filepath.Join(dir, "index", "vulns.json"), []byte("[]"))
	write(t, filepath.Join(dir, "index", "db.json"), []byte(`{"modified":"2026-01-01T00:00:00Z"}`))
	return dir
}

func write(t *testing.T, p string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
