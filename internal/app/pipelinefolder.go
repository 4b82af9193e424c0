package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// Names in the folder that a pipeline leaves.
const (
	markerFile     = ".sallyport-pipeline" // says that the folder is a pipeline's to replace
	logFolder      = "logs"                // what commands wrote; for whoever ran them alone
	summaryFile    = "pipeline.json"
	checksumsFile  = "SHA256SUMS"
	signerFile     = "signer.pub"
	cycloneDXFile  = "sbom.cdx.json"
	spdxFile       = "sbom.spdx.json"
	scanFile       = "scan.sarif"
	vsaFile        = "release.vsa.sigstore.json"
	provenanceFile = "provenance.sigstore.json" // of the artifacts
	ownFile        = "pipeline.sigstore.json"   // provenance of what the pipeline itself made
	bundleSuffix   = ".sigstore.json"
	failedSuffix   = ".failed" // of the folder of a run that came to no decision
)

// reservedName reports whether the folder has a file of its own by this name, in any case.
func reservedName(name string) bool {
	n := strings.ToLower(name)
	return strings.HasSuffix(n, bundleSuffix) || strings.HasPrefix(n, "report-") || strings.HasPrefix(n, "scanner-") ||
		slices.Contains([]string{markerFile, logFolder, summaryFile, strings.ToLower(checksumsFile), signerFile, cycloneDXFile, spdxFile, scanFile}, n)
}

// A releaseFolder is the folder that a pipeline writes.
//
// Commands of the commit run while it is made, so nothing lies on disk that is not read again: what the
// pipeline makes stays in memory until the last command has ended, and is then written into a new folder
// beside the final one, which is private until it takes its place. Of a folder that an earlier run left,
// statements and files are read for what they prove; it is replaced whole, and only by a run that came to
// a decision. What another run comes to is put beside it.
type releaseFolder struct {
	path   string
	failed string   // where a run that came to no decision puts what it has
	old    *os.Root // what an earlier run left, nil if there is none

	mu     sync.Mutex
	files  map[string][]byte           // what is to be written, by name
	logs   map[string][]byte           // what commands wrote, by step
	sums   map[string]sallyport.Digest // of all that is to be released: files, and artifacts
	signed []string                    // names of statements
	work   string                      // the new folder, once there is one
}

// openReleaseFolder looks at the place: one that holds what no pipeline wrote is not touched.
func openReleaseFolder(path, failed string) (*releaseFolder, error) {
	f := &releaseFolder{path: path, failed: failed, files: map[string][]byte{}, logs: map[string][]byte{}, sums: map[string]sallyport.Digest{}}
	for _, p := range []string{path, failed} {
		if err := replaceable(p); err != nil {
			return nil, err
		}
	}
	old, err := os.OpenRoot(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f.old = old
	return f, nil
}

// replaceable refuses a path where something lies that a pipeline did not write.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(filepath.Join(path, markerFile)); len(entries) > 0 && (err != nil || !info.Mode().IsRegular()) {
		return withHint(fmt.Errorf("%s holds files that no pipeline wrote, and they would be removed", path), "name an empty folder, or one that is not there yet")
	}
	return nil
}

// close removes what did not take its place.
func (f *releaseFolder) close() {
	if f == nil {
		return
	}
	if f.old != nil {
		f.old.Close()
	}
	if f.work != "" {
		os.RemoveAll(f.work)
	}
}

// at is where a file lies while the folder is made.
func (f *releaseFolder) at(name string) string { return filepath.Join(f.work, name) }

// write keeps a file for the folder. Two of one name are a mistake.
func (f *releaseFolder) write(name string, b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, twice := f.files[name]; twice {
		return fmt.Errorf("two steps write %s", name)
	}
	f.files[name], f.sums[name] = b, sallyport.SHA256(b)
	return nil
}

// statement keeps a bundle that holds a statement.
func (f *releaseFolder) statement(name string, bundle []byte) error {
	if err := f.write(name, bundle); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signed = append(f.signed, name)
	return nil
}

// statements returns the attestations, by name.
func (f *releaseFolder) statements() []sallyport.Attestation {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := slices.Sorted(slices.Values(f.signed))
	var out []sallyport.Attestation
	for _, name := range names {
		out = append(out, sallyport.Attestation{Raw: f.files[name], Source: name})
	}
	return out
}

// earlier reads a file that an earlier run left.
func (f *releaseFolder) earlier(name string) ([]byte, error) {
	if f.old == nil {
		return nil, fs.ErrNotExist
	}
	in, _, err := openPlain(f.old, name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxBundle+1))
	if err == nil && len(b) > maxBundle {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxBundle)
	}
	return b, err
}

// openPlain opens a regular file. It neither waits for a pipe nor follows a link.
func openPlain(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no regular file", name)
	}
	in, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	after, err := in.Stat()
	if err != nil || !os.SameFile(before, after) {
		in.Close()
		return nil, nil, errors.Join(err, fmt.Errorf("%s changed while it was opened", name))
	}
	return in, after, nil
}

// begin makes the new folder. It has to be after the last command.
func (f *releaseFolder) begin() error {
	if f.work != "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".new-")
	if err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	f.work = dir
	return writeNew(f.at(markerFile), []byte("This folder is a pipeline's, and is replaced by its next run.\n"), 0o644)
}

func writeNew(path string, b []byte, perm fs.FileMode) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return errors.Join(err, out.Close())
}

// take copies a file of a folder and holds it to its digest: from here on whoever made it changes nothing that is
// published.
func (f *releaseFolder) take(dir, from, name string, want sallyport.Digest) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return f.copy(root, from, name, want)
}

func (f *releaseFolder) copy(root *os.Root, from, name string, want sallyport.Digest) error {
	if err := f.begin(); err != nil {
		return err
	}
	in, info, err := openPlain(root, from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(f.at(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644|info.Mode().Perm()&0o111)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if got := sallyport.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))); got != want {
		os.Remove(f.at(name))
		return fmt.Errorf("%s is not what was built: it changed since", from)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sums[name] = want
	return nil
}

// drop forgets a file that was copied.
func (f *releaseFolder) drop(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sums, name)
	os.Remove(f.at(name))
}

// flush writes what is in memory and not on disk yet.
func (f *releaseFolder) flush() error {
	if err := f.begin(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, b := range f.files {
		if err := writeNew(f.at(name), b, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// listed returns the digests of what the checksums are about, by name.
func (f *releaseFolder) listed() map[string]sallyport.Digest {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]sallyport.Digest{}
	for name, d := range f.sums {
		if name != checksumsFile && !strings.HasSuffix(name, bundleSuffix) {
			out[name] = d
		}
	}
	return out
}

// check holds everything on disk to what was meant to be written.
func (f *releaseFolder) check(ctx context.Context) error {
	root, err := os.OpenRoot(f.work)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, want := range f.sums {
		in, _, err := openPlain(root, name)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, in)
		in.Close()
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case sallyport.Digest("sha256:"+hex.EncodeToString(h.Sum(nil))) != want:
			return fmt.Errorf("%s is not what was written", name)
		}
	}
	return nil
}

// publish puts the folder into its place: the final one if the run came to a decision, else one beside it.
func (f *releaseFolder) publish(r *PipelineReport) error {
	if err := f.flush(); err != nil {
		return err
	}
	if len(f.logs) > 0 {
		if err := os.Mkdir(f.at(logFolder), 0o700); err != nil {
			return err
		}
	}
	for step, b := range f.logs {
		if err := writeNew(filepath.Join(f.at(logFolder), step+".log"), b, 0o600); err != nil {
			return fmt.Errorf("keep what the command wrote: %w", err)
		}
	}
	r.Output = f.path
	if r.Release == nil {
		r.Output = f.failed
	}
	b, err := sallyport.EncodeJSON(r.Summary())
	if err != nil {
		return err
	}
	if err := writeNew(f.at(summaryFile), append(b, '\n'), 0o644); err != nil {
		return err
	}
	return f.place(r.Output)
}

// place renames the new folder to a path, and removes what lay there.
func (f *releaseFolder) place(path string) error {
	if err := replaceable(path); err != nil {
		return err
	}
	if err := os.Chmod(f.work, 0o755); err != nil {
		return err
	}
	away := path + ".old-" + filepath.Base(f.work)
	err := os.Rename(path, away)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the folder into its place: %w", err)
	}
	switch err := os.Rename(f.work, path); {
	case err == nil:
		f.work = ""
	case path == f.failed: // it may lie on another file system, and nothing is lost if it is not whole
		if err := os.CopyFS(path, os.DirFS(f.work)); err != nil {
			return fmt.Errorf("keep what the run came to: %w", err)
		}
	default:
		return fmt.Errorf("put the folder into its place: %w", errors.Join(err, os.Rename(away, path)))
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return os.RemoveAll(away)
}
