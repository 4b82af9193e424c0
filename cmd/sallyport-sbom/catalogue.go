package main

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/stereoscope/pkg/image/docker"
	"github.com/anchore/stereoscope/pkg/image/oci"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"
	"github.com/anchore/syft/syft/source/directorysource"
	"github.com/anchore/syft/syft/source/filesource"
	"github.com/anchore/syft/syft/source/stereoscopesource"
	_ "modernc.org/sqlite" // databases of RPM packages

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

// catalogue fills in what the input holds.
func catalogue(ctx context.Context, r deep.Request, a *deep.Answer) error {
	src, err := open(ctx, r, a)
	if err != nil {
		return err
	}
	defer src.Close()
	cfg := syft.DefaultCreateSBOMConfig()
	// What is not in the input is not asked for: no registry, no module cache, no toolchain.
	cfg.Packages.Golang = cfg.Packages.Golang.WithSearchRemoteLicenses(false).WithSearchLocalModCacheLicenses(false).
		WithSearchLocalVendorLicenses(true).WithUsePackagesLib(false)
	cfg.Packages.JavaArchive = cfg.Packages.JavaArchive.WithUseNetwork(false).WithUseMavenLocalRepository(false)
	cfg.Packages.JavaScript.SearchRemoteLicenses = false
	cfg.Packages.Python.SearchRemoteLicenses = false
	cfg.Packages.JavaScript = cfg.Packages.JavaScript.WithIncludeDevDependencies(true) // they run where code is built
	bill, err := syft.CreateSBOM(ctx, src, cfg)
	if err != nil {
		return err
	}
	fill(a, bill)
	return nil
}

// open opens the input as what it is.
func open(ctx context.Context, r deep.Request, a *deep.Answer) (source.Source, error) {
	temp := file.NewTempDirGenerator("image")
	var provider image.Provider
	switch a.Form = r.Kind; r.Kind {
	case deep.Folder:
		c := directorysource.Config{Path: r.Path, Base: r.Path}
		for _, name := range r.Exclude {
			c.Exclude.Paths = append(c.Exclude.Paths, "./"+name+"/**") // at the top alone
		}
		return directorysource.New(c)
	case deep.Layout:
		provider = oci.NewDirectoryProvider(temp, r.Path)
	case deep.File:
		form, err := formOf(r.Path)
		if err != nil {
			return nil, err
		}
		switch a.Form = form; form {
		case "oci-archive":
			provider = oci.NewArchiveProvider(temp, r.Path)
		case "docker-archive":
			provider = docker.NewArchiveProvider(temp, r.Path)
		default:
			return filesource.New(filesource.Config{Path: r.Path})
		}
	default:
		return nil, fmt.Errorf("%.40q is no kind of input", r.Kind)
	}
	img, err := provider.Provide(ctx)
	if err != nil {
		return nil, err
	}
	return stereoscopesource.New(img, stereoscopesource.ImageConfig{Reference: r.Path}), nil
}

// formOf tells an image in a tar file from other files.
func formOf(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	t := tar.NewReader(f)
	seen := map[string]bool{}
	for range 100_000 {
		h, err := t.Next()
		if err != nil {
			break // its end, or no tar file
		}
		switch p := path.Clean(h.Name); p {
		case "oci-layout", "index.json", "manifest.json":
			seen[p] = true
		}
	}
	switch {
	case seen["manifest.json"]: // docker save writes both kinds of list
		return "docker-archive", nil
	case seen["oci-layout"] && seen["index.json"]:
		return "oci-archive", nil
	}
	return deep.File, nil
}

// fill takes over what Syft found.
func fill(a *deep.Answer, bill *sbom.SBOM) {
	if d := bill.Artifacts.LinuxDistribution; d != nil && (d.ID != "" || d.Name != "") {
		name := d.ID
		if name == "" {
			name = d.Name
		}
		a.System = &deep.System{Name: text(name), Version: text(d.VersionID)}
	}
	for _, p := range bill.Artifacts.Packages.Sorted() {
		c := deep.Component{
			Purl: text(p.PURL), Kind: text(string(p.Type)), Name: text(p.Name), Version: text(p.Version),
			Licences: licences(p), Hashes: hashes(p), Paths: []string{},
		}
		for _, l := range p.Locations.ToSlice() {
			if s := inside(l.RealPath); s != "" && !slices.Contains(c.Paths, s) {
				c.Paths = append(c.Paths, s)
			}
		}
		slices.Sort(c.Paths)
		a.Components = append(a.Components, c)
	}
	for at, why := range bill.Artifacts.Unknowns {
		if s := inside(at.RealPath); s != "" {
			a.Unread = append(a.Unread, deep.Unread{Path: s, Why: text(strings.Join(why, "; "))})
		}
	}
	slices.SortFunc(a.Unread, func(x, y deep.Unread) int { return strings.Compare(x.Path+"\x00"+x.Why, y.Path+"\x00"+y.Why) })
	a.Unread = slices.Compact(a.Unread)
}

// inside is a path from the root of the input.
func inside(p string) string {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	return text(p)
}

func licences(p pkg.Package) []string {
	out := []string{}
	for _, l := range p.Licenses.ToSlice() {
		s := l.SPDXExpression
		if s == "" {
			s = l.Value
		}
		if s = text(s); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// hashes takes the digest of an archive where the archive itself was read.
func hashes(p pkg.Package) []deep.Hash {
	out := []deep.Hash{}
	if m, ok := p.Metadata.(pkg.JavaArchive); ok {
		for _, d := range m.ArchiveDigests {
			switch d.Algorithm {
			case "sha1", "sha256", "sha384", "sha512":
				out = append(out, deep.Hash{Algorithm: d.Algorithm, Hex: strings.ToLower(d.Value)})
			}
		}
	}
	return out
}

// text makes what a stranger wrote fit into an answer: no control characters, no more than 4 KiB.
func text(s string) string {
	const limit = 4 << 10
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.ContainsFunc(s, unicode.IsControl) {
		s = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, s)
	}
	s = strings.TrimSpace(s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
