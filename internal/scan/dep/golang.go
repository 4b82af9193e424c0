package dep

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"
)

// readGoMod reads go.mod. A module that is replaced by another is what it is replaced by; one that
// is replaced by a folder has no version.
func readGoMod(b []byte) ([]Package, error) {
	f, err := modfile.Parse("go.mod", b, nil)
	if err != nil {
		var list modfile.ErrorList
		if errors.As(err, &list) && len(list) > 0 {
			return nil, fmt.Errorf("line %d: not a module file", list[0].Pos.Line)
		}
		return nil, errors.New("not a module file")
	}
	out := make([]Package, 0, len(f.Require))
	replaced := map[string]bool{}
	for _, r := range f.Replace {
		p := Package{Name: r.New.Path, Version: r.New.Version, Exact: r.New.Version != "", Direct: true, Integrity: Elsewhere}
		if modfile.IsDirectoryPath(r.New.Path) {
			p.Name = r.Old.Path
			p.local(r.New.Path)
		} else {
			// It is fetched as any module is, and takes the place of one by another name.
			p.Resolved = r.Old.Path + " => " + r.New.Path
			p.Default = r.Old.Path == r.New.Path
			if !p.Default {
				p.Registry, _, _ = strings.Cut(r.New.Path, "/")
			}
		}
		if r.Old.Version == "" {
			replaced[r.Old.Path] = true
		} else {
			replaced[r.Old.Path+"@"+r.Old.Version] = true
		}
		out = append(out, p)
	}
	for _, r := range f.Require {
		if replaced[r.Mod.Path] || replaced[r.Mod.Path+"@"+r.Mod.Version] {
			continue
		}
		out = append(out, Package{
			Name: r.Mod.Path, Version: r.Mod.Version, Exact: true, Direct: !r.Indirect, Default: true, Integrity: Elsewhere,
		})
	}
	return out, nil
}

// readGoSum reads go.sum: the digests of modules' zip files.
func readGoSum(b []byte) ([]Package, error) {
	var out []Package
	for n, line := range lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("line %d: not module, version and digest", n)
		}
		out = append(out, Package{
			Name: f[0], Version: f[1], Exact: !strings.HasSuffix(f[1], "/go.mod"), Default: true, Integrity: Present, Hash: f[2],
		})
	}
	return out, nil
}
