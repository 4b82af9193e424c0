package app

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/intoto"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
)

// LayoutOptions say which in-toto layout an artifact has to fulfil.
type LayoutOptions struct {
	Subject            string   // a file, or a digest
	Layout             string   // a file
	Keys               []string // public key files of the layout's owners, all of whom have to have signed
	Links              string   // a folder of link metadata; empty: the layout's
	WithoutInspections bool
}

// A LayoutVerification is what verifying a layout gave.
type LayoutVerification struct {
	Subject string             `json:"subject"`
	Digests []sallyport.Digest `json:"digests"`
	Layout  string             `json:"layout"`
	intoto.Result
}

// VerifyLayout verifies that an artifact is the product of a supply chain. It asks no server, and runs nothing
// that the layout says. An error that wraps [ErrRefused] means that it is not.
func (a *App) VerifyLayout(ctx context.Context, o LayoutOptions) (*LayoutVerification, error) {
	artifact, _, err := artifactOf(o.Subject)
	if err != nil {
		return nil, err
	}
	layout, err := readLimit(o.Layout, intoto.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("read the layout: %w", err)
	}
	var owners []crypto.PublicKey
	for _, name := range o.Keys {
		b, err := readSmall(name)
		if err != nil {
			return nil, fmt.Errorf("read the key of the layout's owner: %w", err)
		}
		k, err := sigstore.ParsePublicKey(b)
		if err != nil {
			return nil, fmt.Errorf("read the key of the layout's owner: %s: %w", name, err)
		}
		owners = append(owners, k)
	}
	dir := o.Links
	if dir == "" {
		dir = filepath.Dir(o.Layout)
	}
	links, err := readLinkFiles(ctx, dir)
	if err != nil {
		return nil, err
	}
	res, err := intoto.Verify(layout, links, artifact.Digest, intoto.Options{Owners: owners, Now: a.now(), WithoutInspections: o.WithoutInspections})
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrRefused, o.Layout, err)
		switch {
		case errors.Is(err, intoto.ErrThreshold):
			err = withHint(err, fmt.Sprintf("%d files in %s were looked at; name another folder of links with --links DIR", len(links), dir))
		case errors.Is(err, intoto.ErrUnable) && !o.WithoutInspections:
			err = withHint(err, "look at what they would check and do it elsewhere; --without-inspections then passes them over")
		}
		return nil, err
	}
	v := &LayoutVerification{Subject: o.Subject, Digests: []sallyport.Digest{}, Layout: o.Layout, Result: res}
	for _, algorithm := range []string{"sha256", "sha384", "sha512"} {
		if d := artifact.Digest(algorithm); d != "" {
			v.Digests = append(v.Digests, d)
		}
	}
	return v, nil
}

// artifactOf reads a file, or a digest, which has no path.
func artifactOf(subject string) (a sigstore.Artifact, path string, err error) {
	if d, err := sallyport.ParseDigest(subject); err == nil {
		a, err = sigstore.Digested(d)
		return a, "", err
	}
	if a, err = sigstore.File(subject); err != nil {
		return a, "", withHint(fmt.Errorf("%q is no subject: %w", subject, err), "a subject is a file, or a digest such as sha256:…")
	}
	return a, subject, nil
}

// readLinkFiles reads the files of a folder whose names end as those of link metadata do.
func readLinkFiles(ctx context.Context, dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the links: %w", err)
	}
	out := map[string][]byte{}
	total := 0
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.Type().IsRegular() || ext != ".link" && ext != ".json" && ext != ".jsonl" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := readLimit(filepath.Join(dir, e.Name()), intoto.MaxSize)
		if err != nil {
			return nil, fmt.Errorf("read the links: %w", err)
		}
		if total += len(b); total > 32*intoto.MaxSize || len(out) == intoto.MaxLinks {
			return nil, fmt.Errorf("read the links: %s holds more than %d files or %d MiB", dir, intoto.MaxLinks, 32*intoto.MaxSize>>20)
		}
		out[e.Name()] = b
	}
	return out, nil
}
