package oci

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Bounds of an image that is exported.
const (
	MaxImage     = 16 << 30 // bytes of its layers, as they are stored
	maxImageTime = time.Hour
)

// ErrPlatform is returned where an index holds several images, and none or more than one is for the
// platform that was asked for.
var ErrPlatform = errors.New("which image of the index is meant is not clear")

// An Exported image lies in a folder of its own.
type Exported struct {
	Digest   sallyport.Digest // of the image's manifest
	Index    sallyport.Digest // that it was chosen from; empty if there was none
	Platform string           // as the index says
}

// Export fetches one image with its layers into dir, in the OCI image layout
// (https://github.com/opencontainers/image-spec/blob/main/image-layout.md). Each of its parts has
// been held to its digest and size. Of an index it takes the image for platform, such as
// linux/arm64, or the only one.
func Export(ctx context.Context, ref Reference, platform, dir string, o Options) (Exported, error) {
	ctx, cancel := context.WithTimeout(ctx, maxImageTime)
	defer cancel()
	if o.Timeout == 0 {
		o.Timeout = maxImageTime
	}
	s := newSession(ref, o, "pull")
	defer s.close()
	top, err := s.manifest(ctx, ref.target(), ref.Digest)
	if err != nil {
		return Exported{}, err
	}
	return export(ctx, s, top, platform, dir)
}

// ExportLayout does the same with an image in an OCI image layout on disk. What it copies is what
// has the digest, whoever else writes to the folder.
func ExportLayout(ctx context.Context, src, platform, dir string) (Exported, error) {
	l, err := os.OpenRoot(src)
	if err != nil {
		return Exported{}, fmt.Errorf("open the image layout: %w", err)
	}
	defer l.Close()
	f, err := l.Open("index.json")
	if err != nil {
		return Exported{}, fmt.Errorf("%s is no OCI image layout: %w", src, err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, MaxManifest+1))
	if err != nil {
		return Exported{}, fmt.Errorf("read index.json: %w", err)
	}
	m, err := parseManifest(raw, "")
	if err != nil {
		return Exported{}, fmt.Errorf("index.json: %w", err)
	}
	if !m.isIndex() {
		return Exported{}, errors.New("index.json is no index")
	}
	from := folder{l}
	top := fetched{manifest: m, digest: sallyport.SHA256(raw), raw: raw}
	if len(m.Members) == 1 { // it is the folder's list, and what it names may be an index or an image
		if top, err = from.byDescriptor(ctx, m.Members[0]); err != nil {
			return Exported{}, err
		}
	}
	return export(ctx, from, top, platform, dir)
}

// A shelf is where manifests and blobs are.
type shelf interface {
	byDescriptor(ctx context.Context, d descriptor) (fetched, error)
	copy(ctx context.Context, d descriptor, w io.Writer) error
}

func export(ctx context.Context, from shelf, top fetched, platform, dir string) (Exported, error) {
	out := Exported{Digest: top.digest}
	image, mediaType := top, top.MediaType
	if top.isIndex() {
		d, err := choose(top.Members, platform)
		if err != nil {
			return Exported{}, err
		}
		if image, err = from.byDescriptor(ctx, d); err != nil {
			return Exported{}, err
		}
		if image.isIndex() {
			return Exported{}, fmt.Errorf("%w: the index names another index; name the image by its digest", ErrPlatform)
		}
		out = Exported{Digest: image.digest, Index: top.digest, Platform: d.Platform}
		mediaType = image.MediaType
	}
	if mediaType != typeManifest && mediaType != typeDocker {
		return Exported{}, fmt.Errorf("%w: it is a %s and no image", errUnread, mediaType)
	}
	parts := append([]descriptor{image.Config}, image.Layers...)
	var sum int64
	for _, d := range parts {
		if sum += d.Size; d.Size < 0 || d.Size > MaxImage || sum > MaxImage {
			return Exported{}, fmt.Errorf("%w: the image has more than %d bytes", errTooLarge, int64(MaxImage))
		}
	}
	if image.Config.Digest.Zero() || image.Config.Size > MaxManifest {
		return Exported{}, errors.New("the image has no configuration that can be read")
	}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": typeIndex,
		"manifests": []map[string]any{{"mediaType": mediaType, "digest": image.digest, "size": len(image.raw)}},
	})
	if err != nil {
		return Exported{}, err
	}
	for name, b := range map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index, blobPath(image.digest): image.raw} {
		if err := writeNew(filepath.Join(dir, name), func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
			return Exported{}, err
		}
	}
	seen := map[sallyport.Digest]bool{}
	for _, d := range parts {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		err := writeNew(filepath.Join(dir, blobPath(d.Digest)), func(w io.Writer) error { return d.pour(ctx, from, w) })
		if err != nil {
			return Exported{}, fmt.Errorf("fetch %s: %w", d.Digest.Short(), err)
		}
	}
	return out, nil
}

// choose picks a member that is an image.
func choose(members []descriptor, platform string) (descriptor, error) {
	var fit []descriptor
	var names []string
	for _, d := range members {
		if d.MediaType != typeManifest && d.MediaType != typeDocker && d.MediaType != typeIndex && d.MediaType != typeDockerList ||
			d.Platform == "unknown/unknown" { // BuildKit's attestations
			continue
		}
		if name := orElse(d.Platform, string(d.Digest)); !slices.Contains(names, name) {
			names = append(names, name)
		}
		if platform == "" || d.Platform == platform || strings.HasPrefix(d.Platform, platform+"/") {
			fit = append(fit, d)
		}
	}
	if len(fit) == 1 {
		return fit[0], nil
	}
	if len(names) > 20 {
		names = append(names[:20], "…")
	}
	return descriptor{}, fmt.Errorf("%w: %d fit %q; it holds %.1000q", ErrPlatform, len(fit), platform, strings.Join(names, ", "))
}

// pour copies the content that d names, and holds it to its size and digest while it does.
func (d descriptor) pour(ctx context.Context, from shelf, w io.Writer) error {
	h := sha256.New()
	if d.Digest.Algorithm() == "sha512" {
		h = sha512.New()
	}
	n := &counter{}
	if err := from.copy(ctx, d, io.MultiWriter(w, h, n)); err != nil {
		return err
	}
	if n.n != d.Size {
		return fmt.Errorf("%w: it has %d bytes, and its descriptor says %d", ErrDigest, n.n, d.Size)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != d.Digest.Hex() {
		return fmt.Errorf("%w: asked for %s, and it is %s", ErrDigest, d.Digest, got)
	}
	return nil
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) { c.n += int64(len(b)); return len(b), nil }

// blobPath is where a layout keeps the content of a digest.
func blobPath(d sallyport.Digest) string {
	return filepath.Join("blobs", d.Algorithm(), d.Hex())
}

// writeNew writes a file that must not be there.
func writeNew(name string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep a part of the image: %w", err)
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// copy fetches the blob that d names from the registry.
func (s *session) copy(ctx context.Context, d descriptor, w io.Writer) error {
	a, err := s.do(ctx, request{method: http.MethodGet, path: s.url("blobs", string(d.Digest)), limit: d.Size, to: w})
	if err == nil && a.status != http.StatusOK {
		err = a.fail()
	}
	return err
}

// A folder is an OCI image layout on disk.
type folder struct{ root *os.Root }

func (l folder) byDescriptor(ctx context.Context, d descriptor) (fetched, error) {
	if d.Size > MaxManifest {
		return fetched{}, fmt.Errorf("%w: %s has %d bytes, the limit is %d", errTooLarge, d.Digest.Short(), d.Size, MaxManifest)
	}
	var b strings.Builder
	if err := d.pour(ctx, l, &b); err != nil {
		return fetched{}, err
	}
	m, err := parseManifest([]byte(b.String()), d.MediaType)
	return fetched{manifest: m, digest: d.Digest, size: d.Size, raw: []byte(b.String())}, err
}

func (l folder) copy(ctx context.Context, d descriptor, w io.Writer) error {
	info, err := l.root.Stat(blobPath(d.Digest))
	if err != nil {
		return fmt.Errorf("the layout lacks %s: %w", d.Digest.Short(), err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", d.Digest.Short())
	}
	f, err := l.root.Open(blobPath(d.Digest))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, untilDone{ctx, io.LimitReader(f, d.Size+1)})
	return err
}

// untilDone reads until a context is done.
type untilDone struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}
