// Package dep reads lock and manifest files and says which packages they name.
//
// It works on bytes alone: no network, no other file, no program that is started. A file is known
// by its name ([FormatOf]) and read whole ([Format.Read]); [Compare] says what changed between two
// readings. Specifications: https://github.com/package-url/purl-spec for package URLs, and for each
// format what its own tool writes; docs/dependencies.md lists them, with what is not read.
//
// A reader refuses what it does not understand. Whoever installs from the file may be more
// lenient, and a package in the part that was skipped would land unseen. So the parsers here know
// exactly the subset of JSON, YAML, TOML and XML that the tools write, and a key that stands twice,
// whose meaning depends on who reads it, is an error.
package dep

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Version changes when the readers make something else of the same bytes. Results that are kept
// name it.
const Version = "2"

const (
	// MaxSize is how large a file may be, in bytes.
	MaxSize = 32 << 20
	// maxPackages is how many packages one file may name.
	maxPackages = 200_000
	// maxVersions is how many versions of one package it may name: comparing takes its square.
	maxVersions = 2000
	// maxField bounds a name, a version and what else is kept of a package, in bytes.
	maxField = 2048
)

// ErrUnread is wrapped by errors about files that cannot be read. Their text is one line, says
// where, and quotes nothing but names of packages.
var ErrUnread = errors.New("cannot be read")

// ErrUnknown is returned for lock files whose format has no reader.
var ErrUnknown = errors.New("no reader for this format")

// The states of [Package.Integrity].
const (
	Present   = "present"   // the file holds a digest of the package
	Missing   = "missing"   // it holds digests, and none of this package
	Elsewhere = "elsewhere" // the format, or this kind of entry, holds none
)

// A Package is one package that a file names.
type Package struct {
	Ecosystem string // the type of its package URL
	Name      string // as its ecosystem writes it: @scope/name, group:artifact
	Version   string // exact in a lock file, in a manifest what is asked for
	Exact     bool   // Version is one version, and part of the package URL
	Direct    bool   // the file says that the project asks for it
	Dev       bool   // not needed at run time, by what the file says
	Script    bool   // the file says that it runs code when it is installed

	// Registry is the host that the file names, "file" for a path, or empty if it names none.
	Registry string
	Default  bool // it comes from the ecosystem's default registry, or the file leaves that open

	Integrity string // Present, Missing or Elsewhere
	Hash      string // the digests as written
	Resolved  string // where from, as written

	// Problem is what contradicts itself in the entry, one sentence, empty if nothing does.
	Problem string
}

// A Format is a kind of file.
type Format struct {
	Name      string // "package-lock.json", as in docs
	Ecosystem string
	Lock      bool // it pins versions

	// Sums marks a list of digests that names more than what is used: only a digest that
	// changes says something.
	Sums bool

	read func(b []byte) ([]Package, error)
}

// Readable reports whether there is a reader for the format.
func (f *Format) Readable() bool { return f.read != nil }

// Read returns the packages that the file names, each once, sorted by name and version. Errors wrap
// ErrUnread or are ErrUnknown.
func (f *Format) Read(b []byte) (ps []Package, err error) {
	if f.read == nil {
		return nil, ErrUnknown
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrUnread, len(b), MaxSize)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(b) && f.Ecosystem != typeMaven && f.Ecosystem != typeNuget {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrUnread)
	}
	defer func() {
		if p := recover(); p != nil {
			ps, err = nil, fmt.Errorf("%w: it confuses its reader", ErrUnread)
		}
	}()
	ps, err = f.read(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnread, err)
	}
	if len(ps) > maxPackages {
		return nil, fmt.Errorf("%w: more than %d packages", ErrUnread, maxPackages)
	}
	for i := range ps {
		p := &ps[i]
		p.Ecosystem = f.Ecosystem
		if p.Version != RegistryEntry { // one spelling, so that another is no other package
			switch f.Ecosystem {
			case typePyPI:
				p.Name = normalPython(p.Name)
			case typeComposer:
				p.Name = strings.ToLower(p.Name)
			}
		}
		if err := check(p); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnread, err)
		}
	}
	ps = merge(ps)
	for i, from := 1, 0; i < len(ps); i++ {
		if ps[i].Name != ps[from].Name {
			from = i
		} else if i-from > maxVersions {
			return nil, fmt.Errorf("%w: more than %d versions of %q", ErrUnread, maxVersions, clip(ps[i].Name))
		}
	}
	return ps, nil
}

// check refuses what no package can be called, and what would not be safe to show.
func check(p *Package) error {
	if p.Name == "" {
		return errors.New("a package has no name")
	}
	if strings.TrimSpace(p.Name) != p.Name || strings.ContainsAny(p.Name, "?#%\\\"'<>|") {
		return fmt.Errorf("%q is no name of a package", clip(p.Name))
	}
	for _, s := range []string{p.Name, p.Version, p.Registry} {
		if len(s) > maxField {
			return fmt.Errorf("%q is longer than %d bytes", clip(s), maxField)
		}
		if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			return fmt.Errorf("%q holds what cannot be shown", clip(s))
		}
	}
	for _, s := range strings.Split(p.Name, "/") {
		if s == "" || s == "." || s == ".." {
			return fmt.Errorf("%q is no name of a package", clip(p.Name))
		}
	}
	if p.Ecosystem == typeNpm && p.Version != RegistryEntry && !npmName().MatchString(p.Name) {
		return fmt.Errorf("%q is no name of a package", clip(p.Name))
	}
	if p.Integrity == "" {
		p.Integrity = Missing
	}
	return nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// Purl returns the package URL, or nothing for an entry that is no package.
func (p *Package) Purl() string {
	if p.Version == RegistryEntry {
		return ""
	}
	v := p.Version
	if !p.Exact {
		v = ""
	}
	return purl(p.Ecosystem, p.Name, v)
}

func order(a, b *Package) int {
	return cmp.Or(
		strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Registry, b.Registry),
		strings.Compare(a.Resolved, b.Resolved), strings.Compare(a.Hash, b.Hash), strings.Compare(a.Integrity, b.Integrity),
		strings.Compare(a.Problem, b.Problem), cmp.Compare(btoi(a.Exact), btoi(b.Exact)), cmp.Compare(btoi(a.Default), btoi(b.Default)),
	)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// merge sorts, and makes one of entries that differ in nothing but how the package is used: it is
// direct if one of them is, and for development if all are.
func merge(ps []Package) []Package {
	slices.SortFunc(ps, func(a, b Package) int { return order(&a, &b) })
	out := ps[:0]
	for _, p := range ps {
		if n := len(out); n > 0 && order(&out[n-1], &p) == 0 {
			out[n-1].Direct = out[n-1].Direct || p.Direct
			out[n-1].Dev = out[n-1].Dev && p.Dev
			out[n-1].Script = out[n-1].Script || p.Script
			continue
		}
		out = append(out, p)
	}
	return out
}
