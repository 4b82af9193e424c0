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
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// Names in the folder that a pipeline leaves.
const (
	markerFile     = ".sallyport-pipeline" // says that the folder is a pipeline's, and locks it
	logFolder      = "logs"                // what commands wrote; for whoever ran them alone
	summaryFile    = "pipeline.json"       // written last: without it the folder is not whole
	checksumsFile  = "SHA256SUMS"
	signerFile     = "signer.pub"
	cycloneDXFile  = "sbom.cdx.json"
	spdxFile       = "sbom.spdx.json"
	scanFile       = "scan.sarif"
	vsaFile        = "release.vsa.sigstore.json"
	provenanceFile = "provenance.sigstore.json" // of the artifacts
	ownFile        = "pipeline.sigstore.json"   // provenance of what the pipeline itself made
	bundleSuffix   = ".sigstore.json"
)

// reservedName reports whether the folder has a file of its own by this name, in any case.
func reservedName(name string) bool {
	n := strings.ToLower(name)
	return strings.HasSuffix(n, bundleSuffix) || strings.HasPrefix(n, "report-") ||
		slices.Contains([]string{markerFile, logFolder, summaryFile, strings.ToLower(checksumsFile), signerFile, cycloneDXFile, spdxFile, scanFile}, n)
}

// A releaseFolder is the folder that a pipeline writes. Files of an earlier run stay until this one is over,
// so that what is still true of them need not be made again; those that this run neither wrote nor took over are removed then.
type releaseFolder struct {
	path string
	lock *durable.Lock

	mu     sync.Mutex
	kept   map[string]bool // names that are of this run
	signed []string        // names of statements, in the order in which they came
}

// openReleaseFolder makes the folder, or takes over one that a pipeline wrote before. What makes a folder look
// finished is removed at once.
func openReleaseFolder(ctx context.Context, path string) (*releaseFolder, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	marker := filepath.Join(path, markerFile)
	if info, err := os.Lstat(marker); len(entries) > 0 && (err != nil || !info.Mode().IsRegular()) {
		return nil, withHint(fmt.Errorf("%s holds files that no pipeline wrote, and they would be removed", path), "name an empty folder, or one that is not there yet")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	lock, err := durable.Acquire(ctx, marker)
	if err != nil {
		return nil, withHint(fmt.Errorf("lock %s: %w", path, err), "wait for the other pipeline, or name another folder")
	}
	f := &releaseFolder{path: path, lock: lock, kept: map[string]bool{markerFile: true}}
	for _, name := range []string{summaryFile, vsaFile, checksumsFile, checksumsFile + bundleSuffix} {
		if err := os.Remove(f.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.close()
			return nil, fmt.Errorf("clear the folder: %w", err)
		}
	}
	if err := os.RemoveAll(f.at(logFolder)); err != nil {
		f.close()
		return nil, fmt.Errorf("clear the folder: %w", err)
	}
	return f, nil
}

func (f *releaseFolder) at(name string) string { return filepath.Join(f.path, name) }

func (f *releaseFolder) close() {
	if f != nil {
		_ = f.lock.Release()
	}
}

// keep says that a file is of this run.
func (f *releaseFolder) keep(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept[name] = true
}

// write writes a file that anybody can make again.
func (f *releaseFolder) write(name string, b []byte) error {
	f.keep(name)
	// Never through what lies there: it may be a link.
	if err := os.Remove(f.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return writeNew(f.at(name), b, 0o644)
}

func writeNew(path string, b []byte, perm fs.FileMode) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return errors.Join(err, out.Close())
}

// statement notes that a bundle with a statement lies in the folder.
func (f *releaseFolder) statement(name string) {
	f.keep(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signed = append(f.signed, name)
}

// statements are the paths of the bundles, by name.
func (f *releaseFolder) statements() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, name := range f.signed {
		out = append(out, f.at(name))
	}
	slices.Sort(out)
	return out
}

// take copies a file into the folder and holds it to its digest: from here on the build's process, should one
// be left, changes nothing that is published.
func (f *releaseFolder) take(from, name string, want sallyport.Digest) error {
	f.keep(name)
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Remove(f.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(f.at(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if got := sallyport.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))); got != want {
		return fmt.Errorf("%s changed after the build", from)
	}
	return nil
}

// files lists what is of this run and no bundle, by name: what the checksums are about.
func (f *releaseFolder) files() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for name := range f.kept {
		if name != markerFile && name != checksumsFile && !strings.HasSuffix(name, bundleSuffix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// publish removes what is of an earlier run, and writes the summary last.
func (f *releaseFolder) publish(r PipelineReport) error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !f.kept[e.Name()] && !e.IsDir() {
			if err := os.Remove(f.at(e.Name())); err != nil {
				return fmt.Errorf("remove a file of an earlier run: %w", err)
			}
		}
	}
	b, err := sallyport.EncodeJSON(r.Summary())
	if err != nil {
		return err
	}
	return durable.WriteFile(f.at(summaryFile), append(b, '\n'), 0o644)
}

// A PipelineSummary is what a pipeline says of itself for machines. It is signed by nobody: what it says stands
// in statements that are.
type PipelineSummary struct {
	Version   string           `json:"version"`
	Commit    sallyport.Digest `json:"commit"`
	Ref       string           `json:"ref"`
	Outcome   string           `json:"outcome"` // open, waiting, shut, or undecided if the gate was not asked or a step is broken
	Output    string           `json:"output"`
	Decision  sallyport.Digest `json:"decision,omitempty"`
	Reasons   []string         `json:"reasons"` // codes of the gate's
	Steps     []PipelineStep   `json:"steps"`
	Artifacts []PipelineFile   `json:"artifacts"`
}

// A PipelineStep is one step in a summary.
type PipelineStep struct {
	Name         string `json:"name"`
	State        string `json:"state"`
	Detail       string `json:"detail,omitempty"`
	Error        string `json:"error,omitempty"`
	Milliseconds int64  `json:"milliseconds"`
}

// Summary returns the report for machines.
func (r PipelineReport) Summary() PipelineSummary {
	s := PipelineSummary{
		Version: "v1", Commit: r.Commit, Ref: r.Ref, Output: r.Output, Reasons: []string{}, Artifacts: append([]PipelineFile{}, r.Artifacts...),
		Outcome: map[int]string{sallyport.ExitOpen: "open", sallyport.ExitShut: "shut", sallyport.ExitWaiting: "waiting"}[r.ExitStatus()],
	}
	if s.Outcome == "" {
		s.Outcome = "undecided"
	}
	if r.Release != nil {
		s.Decision, s.Reasons = r.Release.Receipt.ID, codesOf(r.Release.Decision.Reasons)
	}
	for _, step := range r.Steps {
		state, _ := step.State.MarshalText()
		one := PipelineStep{Name: step.Name, State: string(state), Detail: step.Detail, Milliseconds: step.Duration.Milliseconds()}
		if step.Err != nil {
			one.Error = step.Err.Error()
		}
		s.Steps = append(s.Steps, one)
	}
	return s
}
