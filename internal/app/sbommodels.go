package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
	"github.com/sallyport-dev/sallyport/internal/scan/weights"
)

// maxModels is how many files with models one bill holds.
const maxModels = 10_000

// sbomModels adds the files below a folder that hold models, each with its digest and what its header says.
// One whose header cannot be read is there with its digest, and the bill says that it could not be read.
func (a *App) sbomModels(ctx context.Context, dir string, v *sbom.Inventory, d *sbom.Description) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	defer root.Close()
	d.Subject = sbom.Tree
	found := 0
	return fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read %s: %w", p, err)
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && (e.Name() == ".git" || e.Name() == "node_modules"):
			return fs.SkipDir
		case e.IsDir() || weights.Format(p) == "":
			return nil
		case !e.Type().IsRegular():
			v.Miss(p, "it is a link or a device, and what it leads to is not followed")
			return nil
		}
		if found++; found > maxModels {
			return fmt.Errorf("%w: more than %d files with models", sbom.ErrTooMany, maxModels)
		}
		return includeModel(ctx, root, p, v)
	})
}

func includeModel(ctx context.Context, root *os.Root, p string, v *sbom.Inventory) error {
	f, err := root.Open(p)
	if err != nil {
		return fmt.Errorf("read %s: %w", sallyport.Path(p), err)
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, untilDone{ctx, f})
	if err != nil {
		return fmt.Errorf("read %s: %w", sallyport.Path(p), err)
	}
	m, err := weights.Read(weights.Format(p), f, size)
	if err != nil {
		v.Miss(p, err.Error())
	}
	c := sbom.Component{
		Type: sbom.Model, Ecosystem: "model", Name: orDefault(m.Name, path.Base(p)), Paths: []string{p},
		Hashes: []sbom.Hash{{Algorithm: "SHA256", Hex: hex.EncodeToString(h.Sum(nil))}},
		Facts:  []sbom.Fact{{Name: "format", Value: m.Format}},
	}
	if m.Architecture != "" {
		c.Facts = append(c.Facts, sbom.Fact{Name: "architecture", Value: m.Architecture})
	}
	for _, f := range m.Facts {
		c.Facts = append(c.Facts, sbom.Fact(f))
	}
	return v.Include(c, []string{m.Licence})
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
