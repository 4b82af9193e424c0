// Package sbom makes a software bill of materials of what lock files pin.
//
// An [Inventory] is filled with the lock and manifest files of a project, one at a time and in any
// order, and holds the packages that they name:
//
//   - every package that a lock file pins, once for each package URL, with the files that say so;
//   - of a manifest that has no lock file of its ecosystem beside or above it, the packages that it
//     names by one exact version. What it leaves open is counted in [File.Open].
//
// A bill is complete if every file was read and every package that a file asks for is pinned. A
// manifest below a lock file counts as pinned by it only if the lock file, or another one, holds each
// package that it names, and in that version where it names one; what it names beside that is open.
// Lock files of a format that nothing here reads, and places that could not be looked into
// ([Inventory.Omit]), are told as [File.Unread]. Both formats say so of a bill that is not complete.
//
// Lists of digests that name more than what is used (go.sum) add nothing. The readers are those
// with which the merge gate tells what a change brings (package dep), so that a bill and a verdict
// cannot disagree about a file. What no lock file says, [Inventory.Include] adds: what was found by
// looking into archives, images, executables and folders, with licences. A package that both tell of
// is one component.
//
// [Inventory.SPDX] writes SPDX 2.3 and [Inventory.CycloneDX] CycloneDX 1.6, as JSON. Both depend on
// nothing but the inventory and the [Description]: no clock, no random identifier, no order of a
// map. The same input gives the same bytes.
//
// Specifications: https://spdx.github.io/spdx-spec/v2.3/, https://cyclonedx.org/docs/1.6/json/,
// https://github.com/package-url/purl-spec.
package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// Bounds of an inventory.
const (
	MaxFiles    = 20_000
	MaxPackages = 1_000_000
)

// MaxFileSize is how large one file may be, in bytes.
const MaxFileSize = dep.MaxSize

// ErrTooMany is returned for a project beyond the bounds: a bill of a part of it would look whole.
var ErrTooMany = errors.New("too many packages or files for one bill of materials")

// A Description says what a bill is about, and who made it when.
type Description struct {
	Name    string // of the project; must not be empty
	Version string // may be empty
	Digest  string // "ALGORITHM:HEX" of what was read, such as a commit's; may be empty
	Created time.Time
	Tool    string // version of the program

	// Subject is what was read; empty is a project's lock files.
	Subject Subject
	Readers []Reader // the programs that looked into it, beside this one
}

// A Subject is a kind of thing that a bill is about.
type Subject string

// The subjects.
const (
	Project Subject = ""      // the lock files of a project
	Tree    Subject = "tree"  // a folder, with the files that lie in it
	Single  Subject = "file"  // a file: an archive, a package, an executable
	Image   Subject = "image" // a container image
)

// A Reader is a program that found components.
type Reader struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// A File is a lock or manifest file that was read, or a file that could not be.
type File struct {
	Path     string `json:"path"` // with slashes, from the project's root
	Format   string `json:"format"`
	SHA256   string `json:"sha256"` // hex; empty for a place that was not read
	Lock     bool   `json:"lock"`
	Packages int    `json:"packages"`      // that it adds to the bill, also if other files add them too
	Open     int    `json:"open"`          // packages that it asks for, and that nothing pins
	Unread   bool   `json:"unread"`        // nothing here reads its format: what it pins is not in the bill
	Why      string `json:"why,omitempty"` // of a file that was looked into, and could not be read
}

// A Component is a package of the bill.
type Component struct {
	Purl      string   `json:"purl"`
	Ecosystem string   `json:"ecosystem"` // the type of the package URL
	Name      string   `json:"name"`      // as its ecosystem writes it
	Version   string   `json:"version"`
	Direct    bool     `json:"direct"` // a file says that the project asks for it itself
	Dev       bool     `json:"dev"`    // every file that names it says that it is not needed at run time
	Hashes    []Hash   `json:"hashes"` // of the archive, where a file states one
	Paths     []string `json:"paths"`  // the files that name it

	Type    string `json:"type"`            // as CycloneDX has it, such as library or machine-learning-model
	Licence string `json:"licence"`         // an SPDX expression; empty: none is known
	Terms   []Term `json:"terms,omitempty"` // what its LicenseRefs stand for
	Facts   []Fact `json:"facts,omitempty"` // of a model: what its header says

	locked bool // a lock file or a manifest tells of it
	system bool // the operating system of what was looked into, which we add
}

// A Term is a licence that is not on the SPDX list, in the words of whoever named it.
type Term struct {
	Ref  string `json:"ref"` // LicenseRef-…
	Name string `json:"name"`
}

// A Fact is something that a component says of itself.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Ref names the component in a bill: its package URL, or a digest of what it is.
func (c *Component) Ref() string {
	if c.Purl != "" {
		return c.Purl
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", c.Type, c.Name, c.Version, c.Hashes))
	return "component:" + hex.EncodeToString(sum[:10])
}

// A Hash is the digest of a package's archive.
type Hash struct {
	Algorithm string `json:"algorithm"` // as SPDX writes it: SHA1, SHA256, SHA384, SHA512
	Hex       string `json:"hex"`
}

// An Inventory collects the files of one project. The zero Inventory is empty and ready. It is not
// safe for concurrent use.
type Inventory struct {
	readings []reading
	packages int
	built    bool
	files    []File
	parts    []Component
	found    []Component
}

type reading struct {
	File
	ecosystem string
	packages  []dep.Package
}

// Wants reports whether a file by that path belongs into an inventory. Paths are relative, with
// slashes.
func Wants(p string) bool {
	f := dep.FormatOf(strings.ToLower(p))
	return f != nil && !f.Sums
}

// Add reads one file. An error says why it could not be read, or is [ErrTooMany]; the inventory is
// of no use after it.
func (v *Inventory) Add(p string, content []byte) error {
	f := dep.FormatOf(strings.ToLower(p))
	if f == nil || f.Sums {
		return nil
	}
	if len(content) > MaxFileSize {
		return fmt.Errorf("%s is larger than the %d bytes that are read", p, MaxFileSize)
	}
	var ps []dep.Package
	if f.Readable() {
		var err error
		if ps, err = f.Read(content); err != nil {
			return fmt.Errorf("%s %w", p, err)
		}
	}
	v.packages += len(ps)
	if v.packages > MaxPackages || len(v.readings) == MaxFiles {
		return ErrTooMany
	}
	sum := sha256.Sum256(content)
	v.readings = append(v.readings, reading{
		File:      File{Path: p, Format: f.Name, SHA256: hex.EncodeToString(sum[:]), Lock: f.Lock, Unread: !f.Readable()},
		ecosystem: f.Ecosystem, packages: ps,
	})
	v.built = false
	return nil
}

// Omit notes a place whose files are not read, such as a submodule, and what it is. The bill is not
// complete then.
func (v *Inventory) Omit(p, what string) {
	v.readings = append(v.readings, reading{File: File{Path: p, Format: what, Unread: true}})
	v.built = false
}

// Miss notes a file that could not be read as what it is, and why. The bill is not complete then.
func (v *Inventory) Miss(p, why string) {
	v.readings = append(v.readings, reading{File: File{Path: p, Format: "unread", Unread: true, Why: why}})
	v.built = false
}

// Files returns the files, by path.
func (v *Inventory) Files() []File {
	v.build()
	return v.files
}

// Components returns the packages, by package URL.
func (v *Inventory) Components() []Component {
	v.build()
	return v.parts
}

// Complete reports whether every package that any file asks for is pinned.
func (v *Inventory) Complete() bool {
	for _, f := range v.Files() {
		if f.Open > 0 || f.Unread {
			return false
		}
	}
	return true
}

func (v *Inventory) build() {
	if v.built {
		return
	}
	v.built = true
	slices.SortStableFunc(v.readings, func(a, b reading) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Format, b.Format), cmp.Compare(a.Why, b.Why))
	})
	locked := map[[2]string]bool{} // by ecosystem and folder
	for _, r := range v.readings {
		if r.Lock {
			locked[[2]string{r.ecosystem, path.Dir(r.Path)}] = true
		}
	}
	pinned := func(r reading) bool {
		for dir := path.Dir(r.Path); ; dir = path.Dir(dir) {
			if locked[[2]string{r.ecosystem, dir}] {
				return true
			}
			if dir == "." || dir == "/" {
				return false
			}
		}
	}
	held := map[string]bool{} // by package URL, with and without a version: what any lock file pins
	for _, r := range v.readings {
		if r.Lock {
			for i := range r.packages {
				p := &r.packages[i]
				held[strings.ToLower(p.Purl())], held[unversioned(p)] = true, true
			}
		}
	}
	byPurl := map[string]*Component{}
	v.files = nil
	for _, r := range v.readings {
		if !r.Lock && pinned(r) {
			for i := range r.packages {
				p := &r.packages[i]
				if p.Version != dep.RegistryEntry && p.Registry != "file" && !held[strings.ToLower(p.Purl())] {
					r.Open++
				}
			}
			v.files = append(v.files, r.File)
			continue
		}
		for i := range r.packages {
			p := &r.packages[i]
			purl := p.Purl()
			switch {
			case p.Version == dep.RegistryEntry, purl == "":
			case !p.Exact:
				r.Open++
			default:
				r.Packages++
				add(byPurl, purl, r.Path, p)
			}
		}
		v.files = append(v.files, r.File)
	}
	for i := range v.found {
		merge(byPurl, &v.found[i])
	}
	v.parts = v.parts[:0]
	for _, c := range byPurl {
		v.parts = append(v.parts, *c)
	}
	slices.SortFunc(v.parts, func(a, b Component) int { return cmp.Compare(a.Ref(), b.Ref()) })
}

// unversioned is a package's URL without its version, in lower case.
func unversioned(p *dep.Package) string {
	q := *p
	q.Exact = false
	return strings.ToLower(q.Purl())
}

func add(byPurl map[string]*Component, purl, file string, p *dep.Package) {
	c := byPurl[purl]
	if c == nil {
		c = &Component{Purl: purl, Ecosystem: p.Ecosystem, Name: p.Name, Version: p.Version, Type: Library, Dev: true, locked: true, Hashes: []Hash{}, Paths: []string{}}
		byPurl[purl] = c
	}
	c.Direct = c.Direct || p.Direct
	c.Dev = c.Dev && p.Dev
	if n := len(c.Paths); n == 0 || c.Paths[n-1] != file { // files come in order
		c.Paths = append(c.Paths, file)
	}
	for _, h := range hashes(p.Ecosystem, p.Hash) {
		if !slices.Contains(c.Hashes, h) {
			c.Hashes = append(c.Hashes, h)
		}
	}
	slices.SortFunc(c.Hashes, func(a, b Hash) int { return cmp.Or(cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.Hex, b.Hex)) })
}

// identity is a digest of all that a bill says, in hex: two bills of one identity are one.
func (v *Inventory) identity(d Description) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %d %q\n", d.Name, d.Version, d.Digest, d.Created.Unix(), d.Tool)
	for _, f := range v.Files() {
		fmt.Fprintf(h, "%q %s\n", f.Path, f.SHA256)
	}
	if len(v.found) > 0 { // what lock files pin follows from their digests; the rest does not
		fmt.Fprintf(h, "%q %q\n", d.Subject, d.Readers)
		for _, c := range v.Components() {
			fmt.Fprintf(h, "%q\n", fmt.Sprint(c))
		}
		for _, f := range v.Files() {
			fmt.Fprintf(h, "%q %q %q\n", f.Path, f.Format, f.Why)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// encode writes JSON for people to read, with a line feed at its end. Whatever is no UTF-8 in a name
// becomes U+FFFD, as JSON demands.
func encode(doc any) ([]byte, error) {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
