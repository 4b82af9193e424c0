package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/artifact"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/gate/release"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/policy/exception"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// releaseSettings are what the governed configuration asks of a release. Where it says nothing of
// vulnerabilities, what it says of them at the merge gate holds.
func (w *workspace) releaseSettings() sallyport.ReleaseSettings {
	s := w.cfg.ReleaseSettings()
	if s.Advisories.ShutAt != "" {
		return s
	}
	s.Advisories.ShutAt = string(sallyport.High)
	if f := w.data.Findings; f != nil {
		s.Advisories.ShutAt = orDefault(f.Kinds[string(sallyport.FindingVulnerability)].ShutAt, orDefault(f.ShutAt, s.Advisories.ShutAt))
	}
	return s
}

// finder is release.Finder over the released commit and the advisory database.
type finder struct{ w *workspace }

// maxDefinitions bounds how many definitions of CI jobs are read.
const maxDefinitions = 2000

// Find looks up, in the database as it is now, what the commit's lock files and the bills of materials name, and
// reads the commit's CI definitions for caches and moving names. VEX and exceptions settle what is about the subject
// that they name: of the commit all, of a file what its own bill names beside the commit's.
func (f finder) Find(ctx context.Context, q release.Question) (release.Found, error) {
	w := f.w
	w.opts.step("looking up packages")
	entries, err := w.repo.Ls(ctx, q.Commit, "")
	if err != nil {
		return release.Found{}, err
	}
	var locks scan.Locks
	if err := w.readLocks(ctx, entries, &locks); err != nil {
		return release.Found{}, err
	}
	parts := partsOf(q, &locks)
	advice := w.advise(ctx)
	found := release.Found{Look: sallyport.AdvisoryLook{State: "looked"}}
	none := 0
	for _, p := range parts {
		found.Look.Files += p.locks.Files
		found.Look.Bills += p.locks.Bills
		found.Look.Packages += p.locks.Packages()
		none += p.locks.None
	}
	switch {
	case advice.DB == nil && advice.Missing:
		found.Look.State = "missing"
	case advice.DB == nil:
		found.Look.State = "unusable"
	case found.Look.Packages+none == 0:
		found.Look.State = "nothing"
	}
	built, n, err := w.definitions(ctx, entries)
	if err != nil {
		return release.Found{}, err
	}
	found.Definitions = n
	found.Exceptions = exception.Judge(q.Evidence, w.exceptionContext(q.Ref, nil, q.At))
	for i, p := range parts {
		findings, subjects := advice.Look(p.locks), []sallyport.Digest{sallyport.GitCommit(q.Commit)}
		if i == 0 {
			findings = append(findings, built...)
		} else {
			subjects = append(subjects, p.subject)
			for j := range findings {
				findings[j].Subject = p.subject
			}
		}
		findings = w.triagedFor(q.Evidence, findings, nil, q.At, subjects...)
		found.Findings = append(found.Findings, exception.AcceptReleased(findings, found.Exceptions, subjects...)...)
	}
	return found, nil
}

// A part is what is named of one subject of a release.
type part struct {
	subject sallyport.Digest
	locks   *scan.Locks
}

// partsOf sorts bills by what they are about: the commit first, with its lock files, then each file. What is settled for
// one file is settled for no other.
func partsOf(q release.Question, commit *scan.Locks) []part {
	parts := []part{{sallyport.GitCommit(q.Commit), commit}}
	of := func(d sallyport.Digest) *scan.Locks {
		if i := slices.IndexFunc(parts, func(p part) bool { return p.subject == d }); i >= 0 {
			return parts[i].locks
		}
		parts = append(parts, part{d, commit.Beside()})
		return parts[len(parts)-1].locks
	}
	for _, ofCommit := range []bool{true, false} { // so that what the commit names is known before what files name beside it
		for _, b := range q.Bills {
			if (b.Subject == parts[0].subject) != ofCommit {
				continue
			}
			locks := of(b.Subject)
			bill, err := scan.ParseBill(b.Body)
			if err != nil {
				locks.Bills++
				locks.Unread(b.About, "its bill of materials: "+err.Error())
				continue
			}
			locks.AddBill(b.About, bill)
		}
	}
	for _, a := range q.Untold {
		of(a.Digest).Unread(a.Name, "no bill of materials of it, or of the commit, counts")
	}
	return parts
}

// readLocks reads the lock and manifest files of a commit.
func (w *workspace) readLocks(ctx context.Context, entries []git.Entry, locks *scan.Locks) error {
	var paths, oids []string
	for _, e := range entries {
		switch {
		case e.IsSubmodule():
			locks.Unread(e.Path, "it is a submodule, whose content is not in this repository")
		case !scan.Wanted(e.Path):
		case !e.IsFile():
			locks.Files++
			locks.Unread(e.Path, "it is a link, and what it leads to is not followed")
		default:
			paths, oids = append(paths, e.Path), append(oids, e.OID)
		}
	}
	return w.repo.Blobs(ctx, oids, scan.MaxLock, func(i int, content []byte, err error) error {
		switch {
		case errors.Is(err, git.ErrTooLarge):
			locks.Files++
			locks.Unread(paths[i], fmt.Sprintf("it is larger than the %d bytes that are read", scan.MaxLock))
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", sallyport.Path(paths[i]), err)
		}
		locks.AddFile(paths[i], content)
		return nil
	})
}

// definitions reads the CI definitions of a commit, and returns what they restore and run that others could have
// written, and how many there are.
func (w *workspace) definitions(ctx context.Context, entries []git.Entry) ([]sallyport.Finding, int, error) {
	var paths, oids, links []string
	for _, e := range entries {
		switch {
		case e.IsSubmodule() || !scan.IsDefinition(e.Path):
		case !e.IsFile():
			links = append(links, e.Path)
		default:
			paths, oids = append(paths, e.Path), append(oids, e.OID)
		}
	}
	if len(paths) > maxDefinitions {
		return nil, 0, fmt.Errorf("the commit holds more than %d definitions of CI jobs", maxDefinitions)
	}
	var found []sallyport.Finding
	for _, p := range links {
		found = append(found, scan.BuildInputs(p, nil, errors.New("it is a link, and what it leads to is not followed"))...)
	}
	err := w.repo.Blobs(ctx, oids, scan.MaxBlob, func(i int, content []byte, err error) error {
		if err != nil && !errors.Is(err, git.ErrTooLarge) {
			return fmt.Errorf("read %s: %w", sallyport.Path(paths[i]), err)
		}
		found = append(found, scan.BuildInputs(paths[i], content, err)...)
		return nil
	})
	return found, len(paths) + len(links), err
}

// sources compares those artifacts that have to hold the commit's tree with it.
func (w *workspace) sources(ctx context.Context, files []string, p *release.Params) error {
	var tree []artifact.TreeFile
	for i := range p.Artifacts {
		a := &p.Artifacts[i]
		a.Source.Differences = []string{}
		a.Source.Wanted = slices.ContainsFunc(p.Settings.SourceArchives, func(pattern string) bool {
			ok, err := path.Match(pattern, a.Name)
			return err == nil && ok
		})
		if !a.Source.Wanted {
			continue
		}
		if tree == nil {
			w.opts.step("reading the tree")
			var err error
			if tree, err = w.treeFiles(ctx, p.Commit); err != nil {
				return err
			}
		}
		res, err := compareSource(ctx, files[i], a.Digest, tree, p.Commit)
		if err != nil {
			return fmt.Errorf("compare %s with the tree: %w", a.Name, err)
		}
		a.Source.Equal, a.Source.Files, a.Source.Differences = res.Equal, res.Files, res.Differences
		if res.More > 0 {
			a.Source.Differences = append(a.Source.Differences, fmt.Sprintf("and %d more", res.More))
		}
	}
	return nil
}

// maxTreeFile bounds one file of a tree that an archive is compared with, in bytes.
const maxTreeFile = 1 << 30

// treeFiles returns the files of a commit with the digests of their content, which git's own object ids may
// stand for with more than one content.
func (w *workspace) treeFiles(ctx context.Context, commit string) ([]artifact.TreeFile, error) {
	entries, err := w.repo.Ls(ctx, commit, "")
	if err != nil {
		return nil, err
	}
	tree := make([]artifact.TreeFile, len(entries))
	var oids []string
	var at []int
	for i, e := range entries {
		tree[i] = artifact.TreeFile{Path: e.Path, Mode: e.Mode}
		if !e.IsSubmodule() {
			oids, at = append(oids, e.OID), append(at, i)
		}
	}
	err = w.repo.Blobs(ctx, oids, maxTreeFile, func(i int, content []byte, err error) error {
		if err != nil {
			return fmt.Errorf("read %s: %w", sallyport.Path(tree[at[i]].Path), err)
		}
		tree[at[i]].SHA256 = sallyport.SHA256(content).Hex()
		return nil
	})
	return tree, err
}

// compareSource compares an archive with a tree. It is the one that was digested, or an error.
func compareSource(ctx context.Context, name string, digest sallyport.Digest, tree []artifact.TreeFile, commit string) (_ artifact.TreeReport, err error) {
	f, err := os.Open(name)
	if err != nil {
		return artifact.TreeReport{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return artifact.TreeReport{}, err
	}
	res, err := artifact.CompareTree(ctx, artifact.Input{Name: name, Data: f, Size: info.Size()}, commit, tree, artifact.Limits{})
	if err != nil {
		return artifact.TreeReport{}, err
	}
	again := sha256.New()
	if _, err := io.Copy(again, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return artifact.TreeReport{}, err
	}
	if hex.EncodeToString(again.Sum(nil)) != digest.Hex() {
		return artifact.TreeReport{}, errors.New("it changed while it was read")
	}
	return res, nil
}

// heldRoots returns the digests of the governed files that the target's tip has had, its last 1000 versions.
func (w *workspace) heldRoots(ctx context.Context) (map[sallyport.Digest]bool, error) {
	folder := strings.TrimSuffix(policy.GovernedDir, "/")
	out, err := w.repo.Output(ctx, 1<<20, nil, "rev-list", "--first-parent", "--max-count=1000", w.target.Base, "--", folder)
	if err != nil {
		return nil, err
	}
	roots, seen := map[sallyport.Digest]bool{}, map[string]bool{}
	for _, c := range strings.Fields(string(out)) {
		e, err := w.repo.Entry(ctx, c, folder)
		if errors.Is(err, git.ErrNotFound) || err == nil && seen[e.OID] {
			continue
		}
		if err != nil {
			return nil, err
		}
		seen[e.OID] = true
		files, err := source{w.repo}.Files(ctx, c)
		if errors.Is(err, policy.ErrGoverned) {
			continue // it was never in force
		}
		if err != nil {
			return nil, err
		}
		roots[policy.RootDigest(files)] = true
	}
	return roots, nil
}
