package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/evidence/oci"
)

// An Image is what is attached to an image in a registry, none of it verified.
type Image struct {
	oci.Result
	Items []ImageItem `json:"items"`
}

// An ImageItem is one thing attached to an image, and the files that it was saved to: first what
// a verifier takes, then what it was made of.
type ImageItem struct {
	oci.Item
	Saved []string `json:"saved,omitempty"`
	// NoBundle says why what is signed could not be put together as a bundle when it was saved.
	NoBundle string `json:"no_bundle,omitempty"`
}

// Signed counts the items that carry a signature, good or bad.
func (i Image) Signed() int {
	n := 0
	for _, it := range i.Items {
		if it.Kind.Signed() {
			n++
		}
	}
	return n
}

// registries says how registries are reached: with the logins of the caller's Docker
// configuration, which is read only if a registry demands one.
func (a *App) registries() oci.Options {
	read := sync.OnceValues(func() (*oci.DockerConfig, error) {
		dir := a.Getenv("DOCKER_CONFIG")
		if dir == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return &oci.DockerConfig{}, nil //nolint:nilerr // without a home there are no logins
			}
			dir = filepath.Join(home, ".docker")
		}
		return oci.ReadDockerConfig(filepath.Join(dir, "config.json"))
	})
	return oci.Options{Credentials: func(registry string) (oci.Credential, error) {
		c, err := read()
		if err != nil {
			return oci.Credential{}, err
		}
		return c.Credential(registry)
	}}
}

// FindEvidence returns what is attached to an image. If that may not be all, it comes with an
// error. With save, the content of each item is kept in that folder, in a file named by digest.
func (a *App) FindEvidence(ctx context.Context, image, save string) (Image, error) {
	ref, err := parseImage(image)
	if err != nil {
		return Image{}, err
	}
	res, err := oci.Find(ctx, ref, a.registries())
	if err != nil && !errors.Is(err, oci.ErrIncomplete) {
		return Image{}, registryError(ref, err)
	}
	out := Image{Result: res, Items: []ImageItem{}}
	for _, it := range res.Items {
		saved := ImageItem{Item: it}
		if save != "" {
			var err error
			if err = saved.save(save); err != nil {
				return Image{}, fmt.Errorf("save what was found: %w", err)
			}
		}
		out.Items = append(out.Items, saved)
	}
	return out, registryError(ref, err)
}

// AttachEvidence attaches the bundle in a file to an image.
func (a *App) AttachEvidence(ctx context.Context, image, file string) (oci.Attached, error) {
	ref, err := parseImage(image)
	if err != nil {
		return oci.Attached{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return oci.Attached{}, fmt.Errorf("read the bundle: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, evidence.MaxBundle+1))
	if err != nil {
		return oci.Attached{}, fmt.Errorf("read the bundle: %w", err)
	}
	res, err := oci.Attach(ctx, ref, b, a.registries())
	return res, registryError(ref, err)
}

func parseImage(image string) (oci.Reference, error) {
	ref, err := oci.ParseReference(image)
	if err != nil {
		return ref, usageError{err}
	}
	return ref, nil
}

func registryError(ref oci.Reference, err error) error {
	switch {
	case errors.Is(err, oci.ErrUnauthorized):
		return withHint(err, "log in to "+ref.Registry+" with a tool that writes Docker's config.json; docs/oci.md says which logins are read")
	case errors.Is(err, oci.ErrDigest):
		return withHint(err, "the registry, or something between it and here, has changed what was pushed: trust nothing from it until that is explained")
	case errors.Is(err, oci.ErrIncomplete):
		return withHint(err, "what was found may not be all: try again, and take nothing found for no answer")
	}
	return err
}

// save writes the content of an item, what is signed as a Sigstore bundle too. The names are
// digests of what is in the files: nothing that a registry says chooses a path.
func (it *ImageItem) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	write := func(b []byte, suffix string) error {
		d := sallyport.SHA256(b)
		name := filepath.Join(dir, d.Algorithm()+"-"+d.Hex()+suffix)
		it.Saved = append(it.Saved, name)
		return os.WriteFile(name, b, 0o644)
	}
	if it.Kind.Signed() {
		b, err := it.SigstoreBundle()
		if err != nil {
			it.NoBundle = err.Error()
		} else if err := write(b, ".bundle.json"); err != nil {
			return err
		}
	}
	switch it.Kind {
	case oci.DSSE:
		return write(it.Raw, ".dsse.json")
	case oci.SimpleSigning:
		if err := write(it.Raw, ".payload"); err != nil {
			return err
		}
		return write([]byte(base64.StdEncoding.EncodeToString(it.Signature)), ".sig")
	case oci.Statement:
		return write(it.Raw, ".statement.json")
	case oci.Document:
		return write(it.Raw, ".document")
	}
	return nil
}
