package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/helper"
	"github.com/sallyport-dev/sallyport/internal/evidence/oci"
	"github.com/sallyport-dev/sallyport/internal/scan/deep"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
	"github.com/sallyport-dev/sallyport/internal/scan/weights"
)

// layoutPrefix names a folder that holds an image in the OCI image layout.
const layoutPrefix = "oci-layout:"

// Looked says how another program looked into a subject.
type Looked struct {
	Program  string           `json:"program"`
	Version  string           `json:"version"`
	Form     string           `json:"form"` // as what it read the subject
	Confined deep.Confinement `json:"confined"`
}

// needsHelper reports whether a subject is looked into by another program.
func (so *SBOMOptions) needsHelper() (bool, error) {
	image, ok := imageOf(so.Subject)
	if so.Platform != "" && !ok && !strings.HasPrefix(so.Subject, layoutPrefix) {
		return false, usagef("--platform chooses from an image, oci:REF or oci-layout:FOLDER")
	}
	if so.Models && !isFolder(so.Subject) {
		return false, usagef("--models looks for models in a folder")
	}
	switch {
	case ok && image == "" || so.Subject == layoutPrefix:
		return false, usagef("%s names no image", so.Subject)
	case ok, strings.HasPrefix(so.Subject, layoutPrefix):
		return true, nil
	case strings.HasPrefix(so.Subject, "git:"):
		if so.Deep {
			return false, usagef("--deep looks into a folder: check the commit out, and name the folder")
		}
		return false, nil
	}
	info, err := os.Stat(orDefault(so.Subject, "."))
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return false, withHint(fmt.Errorf("read %s: %w", so.Subject, err), "a bill is of a folder, a file, git:REV, oci:REF or oci-layout:FOLDER")
	}
	return so.Deep || !info.IsDir(), nil
}

// sbomInside fills in what the helper program finds in an image or a file.
func (a *App) sbomInside(ctx context.Context, so SBOMOptions, v *sbom.Inventory, d *sbom.Description) (_ *Looked, err error) {
	if d.Created, err = a.epoch(); err != nil {
		return nil, err
	}
	w, err := a.sbomWorker()
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	kind, path := deep.Layout, w.Input()
	var name string
	image, remote := imageOf(so.Subject)
	layout, local := strings.CutPrefix(so.Subject, layoutPrefix)
	switch {
	case remote:
		ref, err := parseImage(image)
		if err != nil {
			return nil, err
		}
		got, err := oci.Export(ctx, ref, so.Platform, path, a.registries())
		if err != nil {
			return nil, platformHint(fmt.Errorf("fetch %s: %w", ref, err))
		}
		d.Subject, d.Digest, name = sbom.Image, string(got.Digest), ref.Registry+"/"+ref.Repository
	case local:
		got, err := oci.ExportLayout(ctx, layout, so.Platform, path)
		if err != nil {
			return nil, platformHint(err)
		}
		d.Subject, d.Digest, name = sbom.Image, string(got.Digest), baseName(layout)
	default:
		file, digest, err := w.Stage(ctx, so.Subject)
		if err != nil {
			return nil, err
		}
		kind, path, name = deep.File, file, baseName(so.Subject)
		d.Subject, d.Digest = sbom.Single, "sha256:"+digest
	}
	d.Name = orDefault(d.Name, name)
	return a.look(ctx, w, kind, path, false, v, d)
}

func platformHint(err error) error {
	if errors.Is(err, oci.ErrPlatform) {
		return withHint(err, "--platform OS/ARCHITECTURE, or the image's digest")
	}
	return err
}

func baseName(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		p = abs
	}
	return filepath.Base(p)
}

// sbomOfTree reads the lock files of a folder, and has the helper program look into the folder.
func (a *App) sbomOfTree(ctx context.Context, dir string, models bool, v *sbom.Inventory, d *sbom.Description) (_ *Looked, err error) {
	w, err := a.sbomWorker() // which prepares itself meanwhile
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	if err := a.sbomOfFolder(ctx, dir, v, d); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	d.Subject = sbom.Tree
	return a.look(ctx, w, deep.Folder, abs, models, v, d)
}

func (a *App) sbomWorker() (*deep.Worker, error) {
	w, err := deep.Starter{}.Start()
	switch {
	case errors.Is(err, helper.ErrMissing):
		return nil, withHint(err, "install sallyport-sbom from the release that sallyport is of, or build it with make helpers; lock files alone need no helper: name a folder or git:REV, without --deep")
	case errors.Is(err, helper.ErrUnsafe):
		return nil, withHint(err, "install it again from the release that sallyport is of")
	}
	return w, err
}

// look has a worker read one input, and takes over what it found.
func (a *App) look(ctx context.Context, w *deep.Worker, kind, path string, models bool, v *sbom.Inventory, d *sbom.Description) (*Looked, error) {
	answer, err := w.Ask(ctx, kind, path, []string{".git"})
	if err != nil {
		return nil, err
	}
	read := map[string]bool{} // by our own readers, which no other program's failure undoes
	for _, f := range v.Files() {
		read[f.Path] = !f.Unread
	}
	for _, u := range answer.Unread {
		if !read[u.Path] {
			v.Miss(u.Path, u.Why)
		}
	}
	if s := answer.System; s != nil {
		if err := v.IncludeSystem(orDefault(s.Name, "unknown"), s.Version); err != nil {
			return nil, err
		}
	}
	for _, c := range answer.Components {
		if models && len(c.Paths) == 1 && weights.Format(c.Paths[0]) != "" {
			continue // its header is read here, and its digest taken
		}
		part := sbom.Component{Purl: c.Purl, Name: c.Name, Version: c.Version, Type: componentTypes[c.Kind], Paths: c.Paths, Ecosystem: c.Kind}
		for _, h := range c.Hashes {
			part.Hashes = append(part.Hashes, sbom.Hash{Algorithm: strings.ToUpper(h.Algorithm), Hex: h.Hex})
		}
		if err := v.Include(part, c.Licences); err != nil {
			return nil, fmt.Errorf("%w: component %s: %w", deep.ErrAnswer, sallyport.Path(c.Name), err)
		}
	}
	version := strings.TrimPrefix(w.Syft, "v")
	d.Readers = append(d.Readers, sbom.Reader{Name: "syft", Version: version})
	return &Looked{Program: "syft", Version: version, Form: answer.Form, Confined: answer.Confined}, nil
}

// componentTypes are what is no library, by Syft's word for it.
var componentTypes = map[string]string{"binary": sbom.Application, "model": sbom.Model, "linux-kernel": sbom.Application}

// epoch is when a bill says that it was made, if what it is of has no time of its own: no clock is read.
func (a *App) epoch() (time.Time, error) {
	s := a.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Unix(0, 0), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > lastSecond {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %.40q, not a number of seconds since 1970", s)
	}
	return time.Unix(n, 0), nil
}

// AttestSBOM signs a bill about what was read, by its digest.
func (a *App) AttestSBOM(ctx context.Context, o Options, bill *SBOM, format string, at AttestOptions) (Attested, error) {
	if bill.Digest.Zero() {
		return Attested{}, usagef("a folder has no digest that a statement could be bound to: name git:REV, a file or an image")
	}
	var err error
	switch at.Subjects = []string{string(bill.Digest)}; format {
	case "spdx":
		at.Type = sbom.SPDXType
		at.Predicate, err = bill.SPDX()
	case "cyclonedx":
		at.Type = sbom.CycloneDXType
		at.Predicate, err = bill.CycloneDX()
	default:
		return Attested{}, usagef("--attest takes spdx or cyclonedx")
	}
	if err != nil {
		return Attested{}, err
	}
	if commit, ok := strings.CutPrefix(string(bill.Digest), "gitCommit:"); ok {
		at.Subjects = []string{"git:" + commit} // and its tree
	}
	return a.Attest(ctx, o, at)
}
