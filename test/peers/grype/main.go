// Command grype asks grype's matchers about packages, with advisories in OSV format in place of a database. It is
// a program of its own since grype brings a database driver of the same name as the product's.
//
//	grype EXPORT.zip... <packages >answers
//
// A line of packages is ecosystem, name and version, with tabs between; the answer is the same with the ids of the advisories
// that match, joined by commas. Ranges are given to grype as version constraints: introduced 1, fixed 2 as ">=1,<2", and a
// listed version as "=1". What grype makes of names, versions and constraints is its own.
package main

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/anchore/grype/grype"
	"github.com/anchore/grype/grype/db/v6/name"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/version"
	"github.com/anchore/grype/grype/vulnerability"
	"github.com/anchore/grype/grype/vulnerability/mock"
	syft "github.com/anchore/syft/syft/pkg"
)

type record struct {
	ID        string `json:"id"`
	Withdrawn string `json:"withdrawn"`
	Affected  []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Type   string              `json:"type"`
			Events []map[string]string `json:"events"`
		} `json:"ranges"`
		Versions []string `json:"versions"`
	} `json:"affected"`
}

type ecosystem struct {
	format   version.Format
	kind     syft.Type
	language syft.Language
	purl     string
}

var ecosystems = map[string]ecosystem{
	"Go":   {version.GolangFormat, syft.GoModulePkg, syft.Go, "pkg:golang/"},
	"PyPI": {version.PythonFormat, syft.PythonPkg, syft.Python, "pkg:pypi/"},
}

// known are the advisories by ecosystem and name.
var known = map[string][]vulnerability.Vulnerability{}

func main() {
	log.SetFlags(0)
	for _, file := range os.Args[1:] {
		if err := read(file); err != nil {
			log.Fatal(file, ": ", err)
		}
	}
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for in.Scan() {
		f := strings.Split(in.Text(), "\t")
		if len(f) != 3 {
			log.Fatalf("not ecosystem, name and version: %q", in.Text())
		}
		fmt.Fprintf(out, "%s\t%s\n", in.Text(), strings.Join(ask(f[0], f[1], f[2]), ","))
	}
	if err := in.Err(); err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// key is where advisories about a package are looked for before grype is asked which of them match.
func key(eco, pkgName string) string {
	return eco + "\t" + strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(pkgName))
}

func ask(eco, pkgName, v string) []string {
	e := ecosystems[eco]
	p := pkg.Package{ID: "p", Name: pkgName, Version: v, Type: e.kind, Language: e.language, PURL: e.purl + pkgName + "@" + v}
	m := grype.VulnerabilityMatcher{
		VulnerabilityProvider: mock.VulnerabilityProvider(slices.Clone(known[key(eco, pkgName)])...),
		Matchers:              matcher.NewDefaultMatchers(matcher.Config{}),
	}
	found, _, err := m.FindMatches([]pkg.Package{p}, pkg.Context{})
	if err != nil {
		return []string{"error: " + strings.ReplaceAll(err.Error(), "\n", " ")}
	}
	var ids []string
	for _, x := range found.Sorted() {
		ids = append(ids, x.Vulnerability.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func read(file string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return err
		}
		var rec record
		if err := json.Unmarshal(b, &rec); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if rec.Withdrawn != "" {
			continue
		}
		add(&rec)
	}
	return nil
}

func add(rec *record) {
	for _, a := range rec.Affected {
		e, ok := ecosystems[a.Package.Ecosystem]
		if !ok {
			continue
		}
		var parts []string
		for _, g := range a.Ranges {
			if g.Type != "GIT" {
				parts = append(parts, constraints(g.Events)...)
			}
		}
		parts = append(parts, listed(parts, a.Versions, e.format)...)
		parts = slices.DeleteFunc(parts, func(c string) bool {
			_, err := version.GetConstraint(c, e.format)
			if err != nil {
				log.Printf("%s: %q is no constraint to grype: %v", rec.ID, c, err)
			}
			return err != nil
		})
		if len(parts) == 0 {
			continue
		}
		all := strings.Join(parts, " || ")
		if slices.Contains(parts, "") {
			all = "" // every version
		}
		constraint, err := version.GetConstraint(all, e.format)
		if err != nil {
			log.Fatalf("%s: %q is no constraint to grype: %v", rec.ID, all, err)
		}
		k := key(a.Package.Ecosystem, a.Package.Name)
		known[k] = append(known[k], vulnerability.Vulnerability{
			Reference: vulnerability.Reference{ID: rec.ID, Namespace: "osv:language:" + string(e.language)}, PackageName: name.Normalize(a.Package.Name, e.kind), Constraint: constraint,
		})
	}
}

// listed are the versions of a record's list as constraints, less those that grype itself finds in the record's intervals: there
// they change no answer, and grype compares with each of them for each question. TensorFlow's records list some hundred
// versions each, and their ranges hold them all.
func listed(intervals, versions []string, f version.Format) (out []string) {
	var ranges []version.Constraint
	for _, i := range intervals {
		if c, err := version.GetConstraint(i, f); err == nil {
			ranges = append(ranges, c)
		}
	}
	for _, v := range versions {
		held := slices.ContainsFunc(ranges, func(c version.Constraint) bool {
			ok, err := c.Satisfied(version.New(v, f))
			return err == nil && ok
		})
		if !held {
			out = append(out, "="+v)
		}
	}
	return out
}

// constraints are the intervals of a range, whose events stand in order.
func constraints(events []map[string]string) (out []string) {
	from, open := "", false
	for _, e := range events {
		if v, ok := e["introduced"]; ok {
			from, open = ">="+v, true
			if v == "0" {
				from = ""
			}
		}
		for kind, op := range map[string]string{"fixed": "<", "last_affected": "<="} {
			if v, ok := e[kind]; ok && open {
				out, open = append(out, strings.Trim(from+","+op+v, ",")), false
			}
		}
	}
	if open {
		out = append(out, from)
	}
	return out
}
