package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
)

// OSVExports is where OSV publishes a zip file for each ecosystem.
const OSVExports = "https://osv-vulnerabilities.storage.googleapis.com"

// Bounds of a download.
const (
	maxDownload     = 2 << 30
	downloadTimeout = 15 * time.Minute
	headerTimeout   = 30 * time.Second
	maxRedirects    = 3
)

// AdvisoryUpdate downloads the exports of ecosystems, by OSV's names, and makes a database of them and of what
// lies at the paths. from is where the exports are: FROM/ECOSYSTEM/all.zip.
func (a *App) AdvisoryUpdate(ctx context.Context, o Options, ao AdvisoryOptions, from string, ecosystems, paths []string) (_ *AdvisoryStatus, err error) {
	base, err := url.Parse(from)
	if err != nil || !secure(base) || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, usagef("--from: %.200q is neither https://… nor http on this machine", from)
	}
	dir, err := os.MkdirTemp("", "sallyport-advisories-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: headerTimeout, TLSHandshakeTimeout: headerTimeout, ForceAttemptHTTP2: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || !secure(r.URL) {
				return errors.New("it leads elsewhere too often, or to where nothing is encrypted")
			}
			return nil
		},
	}
	defer client.CloseIdleConnections()
	var origins []advisory.Origin
	for _, eco := range ecosystems {
		if !advisory.Keeps(eco) {
			return nil, usagef("%.40q is no ecosystem that is kept; there are %s", eco, strings.Join(advisory.Names(), ", "))
		}
		file := filepath.Join(dir, eco+".zip")
		at := base.JoinPath(eco, "all.zip")
		o.step("downloading " + at.String())
		made, err := a.download(ctx, client, at, file)
		if err != nil {
			return nil, withHint(fmt.Errorf("download %s: %w", at, err), "the database is as it was; without a network: sallyport advisory import PATH...")
		}
		origins = append(origins, advisory.Origin{Path: file, Name: at.String(), AsOf: made, Covers: []string{eco}})
	}
	for _, p := range paths {
		origins = append(origins, advisory.Origin{Path: p})
	}
	return a.advisoryImport(ctx, o, ao, origins)
}

// secure reports whether what comes from u was not changed on the way: https, or this machine.
func secure(u *url.URL) bool {
	switch host := u.Hostname(); u.Scheme {
	case "https":
		return host != ""
	case "http":
		return host == "127.0.0.1" || host == "::1" || host == "localhost"
	}
	return false
}

// download writes what is at u to a file, and returns when the server says that it was made. A server that says
// nothing, or a time to come, leaves that to the records.
func (a *App) download(ctx context.Context, client *http.Client, u *url.URL, file string) (made time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return made, err
	}
	res, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return made, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return made, fmt.Errorf("the server answers %d", res.StatusCode)
	}
	if res.ContentLength > maxDownload {
		return made, fmt.Errorf("%d bytes, the limit is %d", res.ContentLength, int64(maxDownload))
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return made, err
	}
	n, err := io.Copy(f, io.LimitReader(res.Body, maxDownload+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return made, err
	}
	if n > maxDownload {
		return made, fmt.Errorf("more than the limit of %d bytes", int64(maxDownload))
	}
	if made, err = http.ParseTime(res.Header.Get("Last-Modified")); err != nil || made.After(a.now()) {
		return time.Time{}, nil
	}
	return made, nil
}
