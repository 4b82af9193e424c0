package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
)

// ruleUnreadFormat marks a lock file that nothing here reads.
const ruleUnreadFormat = "unread-format"

// local is where a package is from that lies in the repository.
const local = "file"

// dependencies fills in what j's file says about packages, before and after the change. A lock or
// manifest file that cannot be read is a finding, and so is one of a format that nothing reads:
// "no dependencies" is never said of it.
func (s *Scanner) dependencies(ctx context.Context, j *job) {
	f := j.file
	before := f.Path
	if f.OldPath != "" {
		before = f.OldPath
	}
	oldFormat, newFormat := dep.FormatOf(fold(string(before))), dep.FormatOf(fold(string(f.Path)))
	if !hasBlob(f.OldBlob) || f.OldMode == modeSubmodule {
		oldFormat = nil
	}
	if !hasBlob(f.NewBlob) {
		newFormat = nil
	}
	if oldFormat == nil && newFormat == nil || f.OldBlob == f.NewBlob && oldFormat == newFormat && f.OldMode == f.NewMode {
		return
	}
	tell := func(kind sallyport.FindingKind, rule string, severity sallyport.Severity, text, what string) {
		j.DependencyFindings = append(j.DependencyFindings, finding(kind, rule, severity, f.Path, 0, text, what))
	}
	unread := func(err error) {
		tell(sallyport.FindingUnscanned, "dependencies-unread", sallyport.High, "which packages it names is not known: it "+err.Error(), f.NewBlob)
	}

	var old, now []dep.Package
	if oldFormat != nil && oldFormat.Readable() && f.OldMode != modeSymlink {
		// What was no lock file before counts as empty: all that it names now is new.
		b, err := s.blobs.Blob(ctx, f.OldBlob, dep.MaxSize)
		if err != nil && !errors.Is(err, ErrTooLarge) {
			j.final = false
		}
		if err == nil {
			old, _ = oldFormat.Read(b)
		}
	}
	switch {
	case newFormat == nil:
	case f.NewMode == modeSymlink:
		unread(errors.New("is a link, and what it leads to is not followed"))
	case f.NewMode == modeSubmodule:
		unread(errors.New("is a submodule, whose content is not in this repository"))
	case !newFormat.Readable():
		tell(sallyport.FindingDependency, ruleUnreadFormat, sallyport.Medium, "which packages it names is not known: nothing here reads files of this name", f.NewBlob)
	default:
		b, err := s.blobs.Blob(ctx, f.NewBlob, dep.MaxSize)
		switch {
		case errors.Is(err, ErrTooLarge):
			err = fmt.Errorf("is larger than the %d bytes that are read", dep.MaxSize)
		case err != nil:
			j.final = false
			err = errors.New("could not be had")
		default:
			now, err = newFormat.Read(b)
		}
		if err != nil {
			unread(err)
			return
		}
	}
	if oldFormat != newFormat {
		s.compare(j, before, oldFormat, old, nil, tell)
		old = nil
	}
	s.compare(j, f.Path, newFormat, old, now, tell)
}

// compare adds what differs between two readings of one format.
func (s *Scanner) compare(j *job, p sallyport.Path, format *dep.Format, old, now []dep.Package, tell func(sallyport.FindingKind, string, sallyport.Severity, string, string)) {
	if format == nil {
		return
	}
	for _, c := range dep.Compare(old, now, format.Sums) {
		n := &c.New
		what := n.Name + "\x00" + n.Version + "\x00" + n.Resolved + "\x00" + n.Hash
		if n.Problem != "" && c.Kind != dep.Removed {
			tell(sallyport.FindingDependency, "lock-mismatch", sallyport.High, n.Problem, what)
		}
		if c.Rewritten {
			tell(sallyport.FindingDependency, "lock-rewritten", sallyport.High, fmt.Sprintf("%s %s is the version that it was, and other bytes are wanted for it now", n.Name, n.Version), what)
		}
		if format.Sums {
			continue
		}
		d := sallyport.Dependency{
			Purl: n.Purl(), Ecosystem: n.Ecosystem, Name: n.Name, Version: n.Version, Change: c.Kind, Direct: n.Direct, Dev: n.Dev,
			InstallScript: n.Script, Registry: n.Registry, DefaultRegistry: n.Default, Integrity: n.Integrity, Lock: format.Lock, Path: p,
		}
		switch {
		case c.Kind != dep.Updated:
		case c.Old.Registry == local && n.Registry != local:
			d.Change = dep.Added // what lay in the repository was nobody's: the package of that name was not looked up
		default:
			d.OldVersion = c.Old.Version
		}
		j.Dependencies = append(j.Dependencies, d)
	}
}
