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

	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/evidence/oci"
)

// An Image is what is attached to an image in a registry, none of it verified.
type Image struct {
	oci.Result
	Items []ImageItem `json:"items"`
}

// An ImageItem is one thing attached to an image, and the file that it was saved to.
type ImageItem struct {
	oci.Item
	Saved string `json:"saved,omitempty"`
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
			if saved.Saved, err = saveItem(save, it); err != nil {
				return Image{}, err
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

var savedAs = map[oci.Kind]string{
	oci.Bundle: ".bundle.json", oci.DSSE: ".dsse.json", oci.SimpleSigning: ".payload", oci.Statement: ".statement.json", oci.Document: ".document",
}

// saveItem writes the content of an item, and beside a payload its signature, as cosign spells it.
// The names are digests: nothing that a registry says chooses a path.
func saveItem(dir string, it oci.Item) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("save what was found: %w", err)
	}
	name := filepath.Join(dir, it.Digest.Algorithm()+"-"+it.Digest.Hex())
	files := map[string][]byte{savedAs[it.Kind]: it.Raw}
	if it.Kind == oci.SimpleSigning {
		files[".sig"] = []byte(base64.StdEncoding.EncodeToString(it.Signature))
	}
	for suffix, b := range files {
		if err := os.WriteFile(name+suffix, b, 0o644); err != nil {
			return "", fmt.Errorf("save what was found: %w", err)
		}
	}
	return name + savedAs[it.Kind], nil
}
