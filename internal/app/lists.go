package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/data"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/scan"
	"github.com/sallyport-dev/sallyport/internal/scan/names"
)

const (
	agentMarkers = "agent-markers"    // the marks that agents, bots and tools leave
	popularNames = "popular-packages" // the names of packages that others are made to look like
)

// lists are the lists of data that a signed file can bring up to date. Another list is a line here,
// and a reader that takes it.
var lists = map[string]struct {
	version int // of what is built in
	digest  func() sallyport.Digest
	check   func([]byte) error
}{
	agentMarkers: {identity.MarkersVersion, identity.BuiltinMarkers, func(b []byte) error { _, err := identity.ParseMarkers(b); return err }},
	popularNames: {names.BuiltinVersion, names.BuiltinDigest, func(b []byte) error { _, err := names.Parse(b); return err }},
}

// ErrData is wrapped when a data file is not taken. What is in force stays so.
var ErrData = errors.New("the data file is not taken")

func (w *workspace) listPath(name string) string {
	return filepath.Join(w.path("data"), name+".json")
}

// kept returns the signed version of a list in the state folder, verified under the trust roots in
// force. It is an error if there is none, or none that verifies.
func (w *workspace) keptList(ctx context.Context, name string) (data.File, sallyport.Evidence, error) {
	raw, err := readBundles([]string{w.listPath(name)})
	if err != nil {
		return data.File{}, sallyport.Evidence{}, err
	}
	return w.readList(ctx, raw[0], name)
}

func (w *workspace) readList(ctx context.Context, a sallyport.Attestation, name string) (data.File, sallyport.Evidence, error) {
	ev, err := evidence.NewVerifier(w.trust, w.app.now()).Verify(ctx, a)
	if err != nil {
		return data.File{}, ev, err
	}
	f, err := data.Read(ev)
	if err == nil && name != "" && f.Name != name {
		err = fmt.Errorf("it is %s and not %s", f.Name, name)
	}
	return f, ev, err
}

// list returns the list in force: the signed one of the state folder if it verifies, counts now and
// is newer than what is built in, and else what is built in, with no content. Why says what keeps a
// signed one that is there from being used.
func (w *workspace) list(ctx context.Context, name string) (in sallyport.ListInput, content []byte, why string) {
	known := lists[name]
	in = sallyport.ListInput{Name: name, Version: known.version, Digest: known.digest()}
	f, ev, err := w.keptList(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return in, nil, ""
	}
	if err == nil {
		err = f.Counts(w.app.now())
	}
	if err == nil {
		if f.Replaces(known.version) != nil {
			return in, nil, "" // the program has caught up
		}
		err = known.check(f.Content)
	}
	if err != nil {
		return in, nil, fmt.Sprintf("the signed list %s is not used, and the built-in one is: %v", name, err)
	}
	return sallyport.ListInput{Name: name, Version: f.Version, Digest: f.SHA256, Signer: ev.Signer.Name}, f.Content, ""
}

// useLists finds the lists in force, once, and notes for the input which judge.
func (w *workspace) useLists(ctx context.Context) {
	if w.lists != nil {
		return
	}
	take := func(name string, use func(content []byte)) {
		in, content, why := w.list(ctx, name)
		w.lists = append(w.lists, in)
		if why != "" {
			w.target.Note = orDefault(w.target.Note, why)
		}
		if content != nil { // list has checked that it can be read
			use(content)
		}
	}
	take(agentMarkers, func(b []byte) { w.markers, _ = identity.ParseMarkers(b) })
	take(popularNames, func(b []byte) { w.popular, _ = names.Parse(b) })
}

// newScanner returns a scanner that goes by the lists in force.
func (w *workspace) newScanner(ctx context.Context) *scan.Scanner {
	w.useLists(ctx)
	return scan.New(blobs{w.repo}, w.scanCache()).Matching(secretMatcher{}).Popular(w.popular).Advised(w.advise(ctx)).Named(w.names())
}

// marked has an identifier go by the list of markers in force.
func (w *workspace) marked(ctx context.Context, id *identity.Identifier) *identity.Identifier {
	w.useLists(ctx)
	return id.Use(w.markers)
}

// ListView is a list of data and which version of it is in force.
type ListView struct {
	sallyport.ListInput
	NotUsed string `json:"not_used,omitempty"` // why a signed version that is there is not
}

// DataShow says which lists are in force here.
func (a *App) DataShow(ctx context.Context, o Options) (views []ListView, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		for _, name := range []string{agentMarkers, popularNames} {
			in, _, why := w.list(ctx, name)
			views = append(views, ListView{in, why})
		}
		return nil
	})
	return views, err
}

// DataUpdate verifies a signed data file under the trust roots in force at o's target, and keeps it
// in the state folder. It refuses one that is no newer than what is in force, does not count now, or
// cannot be read by what it is for.
func (a *App) DataUpdate(ctx context.Context, o Options, file string) (v ListView, err error) {
	raw, err := readBundles([]string{file})
	if err != nil {
		return v, err
	}
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		f, ev, err := w.readList(ctx, raw[0], "")
		if err != nil {
			return withHint(fmt.Errorf("%w: %w: %w", ErrRefused, ErrData, err), "is its signer's key in "+trustPath+" for "+data.Type+"?")
		}
		known, ok := lists[f.Name]
		switch {
		case !ok:
			err = fmt.Errorf("nothing here reads a list called %s", f.Name)
		default:
			err = f.Counts(a.now())
		}
		version := known.version
		if have, _, kerr := w.keptList(ctx, f.Name); kerr == nil {
			version = max(version, have.Version) // an expired one too: older ones have known gaps
		}
		if err == nil {
			err = f.Replaces(version)
		}
		if err == nil {
			err = known.check(f.Content)
		}
		if err != nil {
			return fmt.Errorf("%w: %w: %w", ErrRefused, ErrData, err)
		}
		if err := durable.MkdirAll(w.path("data"), 0o700); err != nil {
			return err
		}
		if err := durable.WriteFile(w.listPath(f.Name), raw[0].Raw, 0o600); err != nil {
			return fmt.Errorf("keep the data file: %w", err)
		}
		v = ListView{ListInput: sallyport.ListInput{Name: f.Name, Version: f.Version, Digest: f.SHA256, Signer: ev.Signer.Name}}
		return nil
	})
	return v, err
}

// DataSignOptions say what to sign.
type DataSignOptions struct {
	Name    string
	Version int
	Content []byte
	Expires string // a day, the whole of it in UTC
	Key     string
}

// DataSign makes a signed data file.
func (a *App) DataSign(ctx context.Context, so DataSignOptions) ([]byte, error) {
	known, ok := lists[so.Name]
	if !ok {
		return nil, fmt.Errorf("nothing reads a list called %q", so.Name)
	}
	if err := known.check(so.Content); err != nil {
		return nil, err
	}
	day, err := time.Parse(time.DateOnly, so.Expires)
	if err != nil {
		return nil, usagef("--expires: %q is not a day such as 2027-01-31", so.Expires)
	}
	f, err := data.Make(so.Name, so.Version, so.Content, a.now().Truncate(time.Second), day.AddDate(0, 0, 1))
	if err != nil {
		return nil, err
	}
	st, err := f.Statement()
	if err != nil {
		return nil, err
	}
	k, err := a.openKey(ctx, so.Key)
	if err != nil {
		return nil, err
	}
	return evidence.Sign(ctx, st, k)
}
