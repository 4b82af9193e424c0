package sigstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxSigningConfig is the largest signing configuration that is read, in bytes.
const MaxSigningConfig = 1 << 20

// How long each service may take. A log answers when its next checkpoint is there.
const (
	serviceTimeout = 30 * time.Second
	logTimeout     = 90 * time.Second
)

// Services are whom keyless signing asks: a certificate authority, timestamp authorities and logs.
type Services struct {
	authority root.Service
	times     []root.Service
	logs      []root.Service
}

// ParseServices reads a Sigstore signing configuration
// (application/vnd.dev.sigstore.signingconfig.v0.2+json) and chooses the services that are to be used
// at now. A service without encryption is refused unless it is on this machine: the token that is
// sent to the authority is as good as its owner for minutes.
func ParseServices(b []byte, now time.Time) (*Services, error) {
	if err := strict.CheckJSON(b, MaxSigningConfig); err != nil {
		return nil, fmt.Errorf("read the signing configuration: %w", err)
	}
	c, err := root.NewSigningConfigFromJSON(b)
	if err != nil {
		return nil, fmt.Errorf("read the signing configuration: %s", oneLine(err))
	}
	var s Services
	if s.authority, err = root.SelectService(c.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now); err != nil {
		return nil, fmt.Errorf("the signing configuration: certificate authority: %s", oneLine(err))
	}
	if len(c.TimestampAuthorityURLs()) > 0 {
		if s.times, err = root.SelectServices(c.TimestampAuthorityURLs(), c.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now); err != nil {
			return nil, fmt.Errorf("the signing configuration: timestamp authority: %s", oneLine(err))
		}
	}
	if len(c.RekorLogURLs()) > 0 {
		if s.logs, err = root.SelectServices(c.RekorLogURLs(), c.RekorLogURLsConfig(), sign.RekorAPIVersions, now); err != nil {
			return nil, fmt.Errorf("the signing configuration: log: %s", oneLine(err))
		}
	}
	if len(s.times) == 0 && len(s.logs) == 0 {
		return nil, errors.New("the signing configuration names neither a log nor a timestamp authority: nothing would prove when a certificate of minutes signed")
	}
	for _, service := range append(append([]root.Service{s.authority}, s.times...), s.logs...) {
		if err := checkURL(service.URL); err != nil {
			return nil, fmt.Errorf("the signing configuration: %w", err)
		}
	}
	return &s, nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%.200q is no service's URL", s)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "https" || u.Scheme == "http" && (ip != nil && ip.IsLoopback() || u.Hostname() == "localhost") {
		return nil
	}
	return fmt.Errorf("%.200q is not https", s)
}

// SignKeyless signs content with a key that is made for it and forgotten, under a certificate that the
// authority issues for the identity of an OIDC token. Trust, if it is not nil, has to verify the bundle
// before it is returned; without it only the services' own answers were checked.
func (s *Services) SignKeyless(ctx context.Context, token string, c Content, trust *Root) ([]byte, Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, Identity{}, err
	}
	k, err := newKeypair(key, c)
	if err != nil {
		return nil, Identity{}, fmt.Errorf("sign: %w", err)
	}
	o := sign.BundleOptions{
		Context:                    ctx,
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: s.authority.URL, Timeout: serviceTimeout, Retries: 1}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: token},
	}
	for _, t := range s.times {
		o.TimestampAuthorities = append(o.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: t.URL, Timeout: serviceTimeout, Retries: 1}))
	}
	for _, l := range s.logs {
		o.TransparencyLogs = append(o.TransparencyLogs, sign.NewRekor(&sign.RekorOptions{BaseURL: l.URL, Timeout: logTimeout, Retries: 1, Version: l.MajorAPIVersion}))
	}
	raw, err := makeBundle(ctx, c, k, o)
	if err != nil {
		return nil, Identity{}, err
	}
	p, err := parse(raw)
	if err != nil {
		return nil, Identity{}, fmt.Errorf("check what was signed: %w", err)
	}
	who, err := p.claims()
	if err != nil {
		return nil, Identity{}, fmt.Errorf("check what was signed: %w", err)
	}
	if trust != nil {
		if _, err := trust.verify(p, c.Artifact, Signer{Subject: who.Subject, Issuer: who.Issuer}); err != nil {
			return nil, Identity{}, fmt.Errorf("check what was signed: %w", err)
		}
	}
	return raw, who, nil
}
