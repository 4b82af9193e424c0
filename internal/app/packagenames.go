package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/scan"
	"github.com/sallyport-dev/sallyport/internal/scan/registry"
)

const (
	namesFile = "names.db"      // the index's name in the state folder
	namesList = "package-names" // names the index among the lists of data that judged
)

// NamesOptions say which names to import.
type NamesOptions struct {
	Index string            // a file; empty: in the state folder of the repository
	Files map[string]string // by type of package URL
	AsOf  time.Time
	// Digests pin files: each has to be one of them, if there are any.
	Digests []sallyport.Digest
}

// NamesStatus is what an index of names holds.
type NamesStatus struct {
	Path string `json:"path"`
	registry.Meta
	MaxAge string   `json:"max_age,omitempty"` // how old the repository's rules let names be
	Stale  []string `json:"stale"`             // the ecosystems whose names are older, or of unknown age
}

func (a *App) namesPath(ctx context.Context, o Options, no NamesOptions) (_ string, err error) {
	if no.Index != "" {
		return no.Index, nil
	}
	if o.StateDir != "" {
		return filepath.Join(o.StateDir, namesFile), nil
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return "", withHint(err, "outside of a repository, name the index: --index FILE")
	}
	defer done(&err, w.Close)
	return w.path(namesFile), nil
}

// NamesImport makes an index of exactly the names in the files.
func (a *App) NamesImport(ctx context.Context, o Options, no NamesOptions) (*NamesStatus, error) {
	if no.AsOf.After(a.now()) {
		return nil, usagef("--as-of: %s is still to come", no.AsOf.Format(time.RFC3339))
	}
	path, err := a.namesPath(ctx, o, no)
	if err != nil {
		return nil, err
	}
	var from []registry.Origin
	for _, typ := range registry.Types {
		if file, ok := no.Files[typ]; ok {
			from = append(from, registry.Origin{Type: typ, Path: file, AsOf: no.AsOf, Pins: no.Digests})
		}
	}
	if no.Index == "" {
		if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
	}
	meta, err := registry.Import(ctx, path, from, a.now())
	if errors.Is(err, registry.ErrSource) {
		return nil, withHint(err, "the index is as it was; docs/advisories.md says what is read")
	}
	if err != nil {
		return nil, err
	}
	return a.namesStatus(ctx, o, path, meta), nil
}

// NamesShow reads all of an index, and says what is in it.
func (a *App) NamesShow(ctx context.Context, o Options, no NamesOptions) (_ *NamesStatus, err error) {
	path, err := a.namesPath(ctx, o, no)
	if err != nil {
		return nil, err
	}
	x, err := registry.Open(path)
	if err == nil {
		defer done(&err, x.Close)
		err = x.Verify()
	}
	if err != nil {
		return nil, withHint(err, "make it: sallyport advisory names npm=FILE")
	}
	return a.namesStatus(ctx, o, path, x.Meta()), nil
}

// namesStatus holds an index to the age that the rules in force allow, where there is a repository that has some.
func (a *App) namesStatus(ctx context.Context, o Options, path string, meta *registry.Meta) *NamesStatus {
	s := &NamesStatus{Path: path, Meta: *meta, Stale: []string{}}
	_ = a.withGoverned(ctx, o, func(w *workspace) error { // an index is made and shown outside of a repository too
		most := w.cfg.Advisories.NamesAge()
		if most == 0 {
			return nil
		}
		s.MaxAge = strings.TrimSuffix(strings.TrimSuffix(most.String(), "0s"), "0m")
		for _, e := range meta.Ecosystems {
			if e.Stale(a.now(), most) {
				s.Stale = append(s.Stale, e.Type)
			}
		}
		return nil
	})
	return s
}

// names opens the index of names, once, and notes for the input which judges.
func (w *workspace) names() *scan.Names {
	if w.named != nil {
		return w.named
	}
	c := w.cfg.Advisories
	w.named = &scan.Names{Required: c.NamesDemanded(), MinAge: c.PackageAge(), MaxAge: c.NamesAge(), Now: w.app.now()}
	x, err := registry.Open(w.path(namesFile))
	switch {
	case errors.Is(err, registry.ErrMissing):
	case err != nil:
		// The finding that tells of it is part of a decision, and names no path of this machine.
		w.named.Why = errors.New("the index of names cannot be opened")
		for _, known := range []error{registry.ErrDamaged, registry.ErrForeign} {
			if errors.Is(err, known) {
				w.named.Why = known
			}
		}
	default:
		w.named.Index = x
		w.lists = append(w.lists, sallyport.ListInput{Name: namesList, Version: registry.Format, Digest: x.Meta().Digest})
	}
	return w.named
}
