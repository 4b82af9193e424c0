package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
	"github.com/sallyport-dev/sallyport/internal/evidence/tuf"
)

// Bounds of an update of the trusted root.
const (
	trustTimeout  = time.Minute // for all files together
	trustRedirect = 3
)

// TrustOptions say which repository of The Update Framework a trusted root comes from, and where it is kept.
type TrustOptions struct {
	Store   string // a folder; empty: see [App.trustStore]
	Mirror  string // where the repository is: a URL or a folder; empty: the public Sigstore instance's
	Root    string // a file with the repository's root that is pinned; empty: the public instance's
	To      string // a file that the trusted root is written to as well
	Offline bool   // open no connection: Mirror has to be a folder
}

// A TrustStatus says which trusted root is in use.
type TrustStatus struct {
	Name         string           `json:"name"`
	Digest       sallyport.Digest `json:"digest"`
	Shipped      bool             `json:"shipped"` // with the program: nothing was fetched
	Repository   *tuf.Info        `json:"repository,omitempty"`
	Age          string           `json:"age,omitempty"` // since it was fetched
	Stale        bool             `json:"stale"`         // the repository's word has ended, or there is none
	Certificates int              `json:"certificate_authorities"`
	Logs         int              `json:"logs"`
	Times        int              `json:"timestamp_authorities"`
	Store        string           `json:"store"` // the file
}

// TrustUpdate fetches what is new of a repository. If that fails, what was in use stays.
func (a *App) TrustUpdate(ctx context.Context, o TrustOptions) (_ *TrustStatus, err error) {
	pinned, path, err := a.trustFile(o)
	if err != nil {
		return nil, err
	}
	get, mirror, closed, err := a.mirror(ctx, o)
	if err != nil {
		return nil, err
	}
	defer closed()
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	lock, err := durable.Acquire(ctx, path+".lock")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	before, err := readLimit(path, tuf.MaxState)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	after, _, err := tuf.Update(pinned, before, mirror, get, a.now())
	if err == nil { // what cannot be used is not kept
		var s *tuf.State
		if s, _, err = tuf.Load(pinned, after); err == nil {
			if _, err = sigstore.ParseRoot(s.TrustedRoot); err != nil {
				err = fmt.Errorf("%w: %w", tuf.ErrInvalid, err)
			}
		}
	}
	if err != nil {
		err = fmt.Errorf("update the trusted root from %s: %w", mirror, err)
		for _, attack := range []error{tuf.ErrExpired, tuf.ErrRollback, tuf.ErrUnsigned, tuf.ErrTooLarge, tuf.ErrMismatch, tuf.ErrInvalid} {
			if errors.Is(err, attack) && !errors.Is(err, tuf.ErrState) {
				err = fmt.Errorf("%w: %w", ErrRefused, err)
				break
			}
		}
		return nil, withHint(err, a.stays(o, path))
	}
	if err := durable.WriteFile(path, after, 0o600); err != nil {
		return nil, err
	}
	return a.TrustShow(o)
}

// stays says what is in use after an update failed.
func (a *App) stays(o TrustOptions, path string) string {
	s, err := a.TrustShow(TrustOptions{Store: o.Store, Root: o.Root})
	switch {
	case err != nil:
		return "what is kept cannot be used either; move " + path + " away to begin anew at the pinned root"
	case s.Shipped:
		return "in use stays what this program ships: " + s.Name
	}
	return fmt.Sprintf("in use stays the trusted root %s, %s old", s.Name, s.Age)
}

// TrustShow says which trusted root is in use. It opens no connection.
func (a *App) TrustShow(o TrustOptions) (*TrustStatus, error) {
	pinned, path, err := a.trustFile(o)
	if err != nil {
		return nil, err
	}
	r, info, raw, err := keptRoot(pinned, path)
	if err != nil {
		return nil, err
	}
	if r == nil {
		if o.Root != "" {
			return nil, withHint(fmt.Errorf("nothing was fetched from the repository of %s", o.Root), "sallyport trust update --mirror URL --root "+o.Root)
		}
		if r, err = sigstore.PublicGood(); err != nil {
			return nil, err
		}
		raw = sigstore.PublicGoodJSON()
	}
	s := &TrustStatus{Name: r.Name(), Digest: sallyport.Digest(r.Digest()), Shipped: info == nil, Repository: info, Stale: true, Store: path}
	s.Certificates, s.Logs, s.Times = r.Authorities()
	if info != nil {
		s.Stale = a.now().After(info.VouchedFor)
		s.Age = days(a.now().Sub(info.Fetched))
	}
	if o.To != "" {
		if err := durable.WriteFile(o.To, raw, 0o644); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// keptRoot returns the trusted root that is kept in a file, verified from the pinned root on, or nil if there is
// none.
func keptRoot(pinned []byte, path string) (*sigstore.Root, *tuf.Info, []byte, error) {
	b, err := readLimit(path, tuf.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	s, info, err := tuf.Load(pinned, b)
	if err != nil {
		return nil, nil, nil, withHint(fmt.Errorf("%s: %w", path, err), "somebody changed it, or it is of another repository: move it away, and run sallyport trust update")
	}
	r, err := sigstore.ParseRoot(s.TrustedRoot)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return r.Named(info.Name()), &info, s.TrustedRoot, nil
}

// trustFile returns the pinned root of the repository, and the file in which its state is kept.
func (a *App) trustFile(o TrustOptions) (pinned []byte, path string, err error) {
	dir := o.Store
	if dir == "" {
		if dir, err = a.trustStore(); err != nil {
			return nil, "", err
		}
	}
	if o.Root == "" {
		if o.Mirror != "" && !folder(o.Mirror) && o.Mirror != tuf.PublicMirror {
			return nil, "", usagef("--mirror is of another repository: name the root that it begins with as well, --root FILE")
		}
		return tuf.PublicRoot(), filepath.Join(dir, "public.json"), nil
	}
	if pinned, err = readLimit(o.Root, tuf.MaxRoot); err != nil {
		return nil, "", fmt.Errorf("read the pinned root: %w", err)
	}
	return pinned, filepath.Join(dir, sallyport.SHA256(pinned).Hex()[:32]+".json"), nil
}

// trustStore is where trusted roots are kept, for the user and not for one repository: what is in it is verified
// from a pinned root on each time, so that it matters to nobody but an attacker of speed who writes there.
func (a *App) trustStore() (string, error) {
	if dir := a.Getenv("SALLYPORT_TRUST"); dir != "" {
		return dir, nil
	}
	if dir := a.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "sallyport", "trust"), nil
	}
	if dir := a.Getenv("HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, ".config", "sallyport", "trust"), nil
	}
	return "", withHint(errors.New("nobody knows where trusted roots are kept"), "name a folder with --store DIR or in $SALLYPORT_TRUST")
}

func folder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// mirror returns how files of the repository are had.
func (a *App) mirror(ctx context.Context, o TrustOptions) (get tuf.Getter, name string, closed func(), err error) {
	name = orDefault(o.Mirror, tuf.PublicMirror)
	if folder(name) {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, "", nil, err
		}
		return fromFolder(root), name, func() { _ = root.Close() }, nil
	}
	base, err := url.Parse(name)
	if err != nil || !secure(base) || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, "", nil, usagef("--mirror: %.200q is no folder, and neither https://… nor http on this machine", name)
	}
	if o.Offline {
		return nil, "", nil, usagef("--offline: the repository is at %s; bring a copy of it along, --mirror FOLDER", name)
	}
	ctx, cancel := context.WithTimeout(ctx, trustTimeout)
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: headerTimeout, TLSHandshakeTimeout: headerTimeout, ForceAttemptHTTP2: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > trustRedirect || !secure(r.URL) {
				return errors.New("it leads elsewhere too often, or to where nothing is encrypted")
			}
			return nil
		},
	}
	return fromServer(ctx, client, base), name, func() { cancel(); client.CloseIdleConnections() }, nil
}

// fromFolder reads files of a copy of the repository, and nothing outside it.
func fromFolder(root *os.Root) tuf.Getter {
	return func(path string, limit int64) ([]byte, error) {
		f, err := root.Open(filepath.FromSlash(path))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, tuf.ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return bounded(f, limit)
	}
}

// fromServer downloads files of the repository.
func fromServer(ctx context.Context, client *http.Client, base *url.URL) tuf.Getter {
	return func(path string, limit int64) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(path).String(), nil)
		if err != nil {
			return nil, err
		}
		res, err := client.Do(req)
		if err != nil {
			if ue := (*url.Error)(nil); errors.As(err, &ue) {
				err = ue.Err
			}
			return nil, err
		}
		defer res.Body.Close()
		switch res.StatusCode {
		case http.StatusOK:
			return bounded(res.Body, limit)
		case http.StatusNotFound, http.StatusGone:
			return nil, tuf.ErrNotFound
		}
		return nil, fmt.Errorf("the server answers %d", res.StatusCode)
	}
}

func bounded(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = tuf.ErrTooLarge
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// days says how long something is, to the day or the hour.
func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	}
	return fmt.Sprintf("%d hours", max(0, int(d/time.Hour)))
}
