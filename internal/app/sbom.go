package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// SBOMOptions say of what a bill of materials is made.
type SBOMOptions struct {
	// Subject is a folder, git:REV for what a commit holds, a file, oci:REF for an image in a registry, or
	// oci-layout:FOLDER for one on disk. Files and images are looked into by a helper program.
	Subject  string
	Deep     bool   // look into a folder, too
	Models   bool   // add the files of a folder that hold machine learning models
	Platform string // of an image, where an index holds several
	Empty    bool   // a file or an image in which nothing is found is expected
	Name     string // of the subject; empty: the folder's or file's name
	Version  string
}

// A SBOM is a bill of materials, ready to be written in either format.
type SBOM struct {
	Name       string           `json:"name"`
	Version    string           `json:"version,omitempty"`
	Digest     sallyport.Digest `json:"digest,omitempty"`  // of the commit, the file or the image's manifest that was read
	Subject    sbom.Subject     `json:"subject,omitempty"` // tree, file or image; empty: lock files
	Looked     *Looked          `json:"looked,omitempty"`  // the program that looked into it, if any
	Created    string           `json:"created"`
	Complete   bool             `json:"complete"` // every package that a file asks for is pinned; never of what was looked into
	Files      []sbom.File      `json:"files"`
	Components []sbom.Component `json:"components"`

	// Licences is what the rules for licences say, where they were asked.
	Licences *sbom.LicenceCheck `json:"licences,omitempty"`

	inventory   *sbom.Inventory
	description sbom.Description
}

// SPDX is the bill as SPDX 2.3 in JSON.
func (s *SBOM) SPDX() ([]byte, error) { return s.inventory.SPDX(s.description) }

// CycloneDX is the bill as CycloneDX 1.6 in JSON.
func (s *SBOM) CycloneDX() ([]byte, error) { return s.inventory.CycloneDX(s.description) }

// SBOM reads the lock and manifest files below a folder, or of a commit. One that cannot be read is
// an error: a bill without it would look whole.
//
// No clock is read. A commit's bill is as old as the commit, and a folder's is from SOURCE_DATE_EPOCH
// (https://reproducible-builds.org/specs/source-date-epoch/), or without it from 1970.
func (a *App) SBOM(ctx context.Context, o Options, so SBOMOptions) (*SBOM, error) {
	var v sbom.Inventory
	d := sbom.Description{Name: so.Name, Version: so.Version, Tool: Version()}
	inside, err := so.needsHelper()
	if err != nil {
		return nil, err
	}
	var looked *Looked
	rev, commit := strings.CutPrefix(so.Subject, "git:")
	switch {
	case inside && so.Deep && isFolder(so.Subject):
		looked, err = a.sbomOfTree(ctx, orDefault(so.Subject, "."), so.Models, &v, &d)
	case inside:
		looked, err = a.sbomInside(ctx, so, &v, &d)
	case commit:
		err = a.sbomOfCommit(ctx, o, rev, &v, &d)
	default:
		err = a.sbomOfFolder(ctx, orDefault(so.Subject, "."), &v, &d)
	}
	if err == nil && so.Models {
		err = a.sbomModels(ctx, orDefault(so.Subject, "."), &v, &d)
	}
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(v.Files(), func(f sbom.File) bool { return f.Format != passedOver && f.Format != leadsOut }) && looked == nil && len(v.Components()) == 0 {
		return nil, withHint(errors.New("there is no lock or manifest file that is read: a bill of nothing would look like a project that needs nothing"), "docs/dependencies.md lists the files")
	}
	if looked != nil && d.Subject != sbom.Tree && !so.Empty && !slices.ContainsFunc(v.Components(), func(c sbom.Component) bool { return c.Type != sbom.System }) {
		return nil, withHint(fmt.Errorf("nothing was found in %s, which was read as %s: a bill of nothing would look like software that needs nothing", sallyport.Path(so.Subject), looked.Form),
			"look into what it was made from (a folder with --deep), or say --empty if it holds no packages")
	}
	return &SBOM{
		Name: d.Name, Version: d.Version, Digest: sallyport.Digest(d.Digest), Created: d.Created.UTC().Format(time.RFC3339),
		Subject: d.Subject, Looked: looked, Complete: v.Complete() && d.Subject == sbom.Project,
		Files: v.Files(), Components: v.Components(), inventory: &v, description: d,
	}, nil
}

func isFolder(subject string) bool {
	info, err := os.Stat(orDefault(subject, "."))
	return err == nil && info.IsDir()
}

func (a *App) sbomOfCommit(ctx context.Context, o Options, rev string, v *sbom.Inventory, d *sbom.Description) (err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return err
	}
	defer done(&err, w.Close)
	oid, err := w.repo.Resolve(ctx, rev)
	if err != nil {
		return fmt.Errorf("find %s: %w", rev, err)
	}
	d.Digest = string(sallyport.GitCommit(oid))
	d.Name = orDefault(d.Name, filepath.Base(orDefault(w.repo.WorkTree(), strings.TrimSuffix(w.repo.GitDir(), ".git"))))
	err = w.repo.Commits(ctx, []string{oid}, func(_ int, raw []byte) error {
		d.Created, err = committed(raw)
		return err
	})
	if err != nil {
		return err
	}
	entries, err := w.repo.Ls(ctx, oid, "")
	if err != nil {
		return err
	}
	var paths, oids []string
	for _, e := range entries {
		switch {
		case e.IsSubmodule():
			v.Omit(e.Path, "submodule")
		case !sbom.Wants(e.Path):
		case !e.IsFile():
			return fmt.Errorf("%s is a link, and what it leads to is not followed", sallyport.Path(e.Path))
		default:
			paths, oids = append(paths, e.Path), append(oids, e.OID)
		}
	}
	return w.repo.Blobs(ctx, oids, sbom.MaxFileSize, func(i int, content []byte, err error) error {
		if err != nil {
			return fmt.Errorf("read %s: %w", sallyport.Path(paths[i]), err)
		}
		return v.Add(paths[i], content)
	})
}

// lastSecond is the last of the year 9999, in seconds since 1970: both formats write years of four
// digits.
const lastSecond = 253402300799

// committed is when a commit says that it was made.
func committed(raw []byte) (time.Time, error) {
	head, _, _ := bytes.Cut(raw, []byte("\n\n"))
	for line := range bytes.Lines(head) {
		if f := strings.Fields(string(line)); len(f) >= 3 && f[0] == "committer" {
			if n, err := strconv.ParseInt(f[len(f)-2], 10, 64); err == nil && n >= 0 && n <= lastSecond {
				return time.Unix(n, 0), nil
			}
		}
	}
	return time.Time{}, errors.New("the commit does not say when it was made")
}

// What is not read of a folder, and told: a bill without it is not complete. The repository's own .git alone
// is passed over without a word.
const (
	passedOver = "folder that is passed over"
	leadsOut   = "link that leads out or nowhere"
)

func (a *App) sbomOfFolder(ctx context.Context, dir string, v *sbom.Inventory, d *sbom.Description) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	d.Name = orDefault(d.Name, filepath.Base(abs))
	if d.Created, err = a.epoch(); err != nil {
		return err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read %s: %w", p, err)
		case ctx.Err() != nil:
			return ctx.Err()
		case p == ".git":
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir() && (e.Name() == ".git" || e.Name() == "node_modules"):
			v.Omit(p, passedOver)
			return fs.SkipDir
		case e.Type()&fs.ModeSymlink != 0 && !sbom.Wants(p):
			if _, err := root.Stat(p); err != nil {
				v.Omit(p, leadsOut)
			}
			return nil
		case e.IsDir() || !sbom.Wants(p):
			return nil
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is a link or a device, and what it leads to is not followed", sallyport.Path(p))
		}
		f, err := root.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		content, err := io.ReadAll(io.LimitReader(f, sbom.MaxFileSize+1))
		if err != nil {
			return fmt.Errorf("read %s: %w", p, err)
		}
		return v.Add(p, content) // which refuses what is larger
	})
}
