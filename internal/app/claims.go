package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/trace/claims"
)

// Bounds of what is imported.
const (
	maxImportFiles  = 50_000
	maxImportClaims = 500_000
	maxNote         = 1 << 20
	maxClaimsFile   = 256 << 20
	// maxClaimsTold is how many claims about a change a gate's input holds.
	maxClaimsTold = 500
)

// Where tools keep their records in a repository.
const gitAIRef = "refs/notes/ai"

var entireRefs = []string{"refs/heads/entire/checkpoints/v1", "refs/remotes/origin/entire/checkpoints/v1"}

// ImportOptions say whose records are imported, and from where.
type ImportOptions struct {
	From   string // a kind; empty: by what is there
	Paths  []string
	Commit string // that a text is about
}

// An imported is one import as it is kept: an import from the same place takes its place.
type imported struct {
	Version int            `json:"version"`
	Kind    claims.Kind    `json:"kind"`
	Source  string         `json:"source"`
	At      string         `json:"at"`
	Claims  []claims.Claim `json:"claims"`
}

// ImportClaims reads what other tools noted, and keeps it as claims in the state folder.
func (a *App) ImportClaims(ctx context.Context, o Options, in ImportOptions) (_ render.ImportReport, err error) {
	if in.From != "" && !slices.Contains(claims.Kinds, claims.Kind(in.From)) {
		return render.ImportReport{}, usagef("--from %s: there are git-ai, agent-trace, entire, chainloop and text", in.From)
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return render.ImportReport{}, err
	}
	defer done(&err, w.Close)
	im := &importing{workspace: w, report: render.ImportReport{Sources: []render.ImportSource{}}, kind: claims.Kind(in.From)}
	if in.Commit != "" {
		if im.commit, err = w.repo.Resolve(ctx, in.Commit); err != nil {
			return im.report, fmt.Errorf("find %s: %w", in.Commit, err)
		}
	}
	if len(in.Paths) == 0 {
		err = im.refs(ctx)
	} else {
		for _, p := range in.Paths {
			if err = im.path(p); err != nil {
				break
			}
		}
	}
	return im.report, err
}

// importing is one call of ImportClaims.
type importing struct {
	*workspace
	kind   claims.Kind
	commit string
	report render.ImportReport
	total  int
}

// refs imports what lies in the repository itself.
func (im *importing) refs(ctx context.Context) error {
	if im.kind != "" && im.kind != claims.GitAI && im.kind != claims.Entire {
		return usagef("--from %s needs a file or a folder: no ref holds such records", im.kind)
	}
	found := false
	for _, r := range append([]string{gitAIRef}, entireRefs...) {
		kind := claims.Entire
		if r == gitAIRef {
			kind = claims.GitAI
		}
		if im.kind != "" && im.kind != kind {
			continue
		}
		tip, err := im.repo.Ref(ctx, r)
		if errors.Is(err, git.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", r, err)
		}
		found = true
		im.opts.step("reading " + r)
		if err := im.ref(ctx, kind, r, tip); err != nil {
			return err
		}
	}
	if !found {
		return withHint(errors.New("the repository has no notes of git-ai and no checkpoints of Entire"), "fetch them (git fetch origin refs/notes/ai:refs/notes/ai), or name files: sallyport agent import PATH…")
	}
	return nil
}

// ref imports the files of one ref.
func (im *importing) ref(ctx context.Context, kind claims.Kind, name, tip string) error {
	entries, err := im.repo.Ls(ctx, tip, "")
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	var oids, about []string
	for _, e := range entries {
		if !e.IsFile() {
			continue
		}
		if kind == claims.GitAI {
			// A note is called by the commit it is about, in folders of two digits or without.
			commit := strings.ReplaceAll(e.Path, "/", "")
			if !im.repo.IsOID(commit) {
				continue
			}
			about = append(about, commit)
		} else {
			if path.Base(e.Path) != "metadata.json" {
				continue
			}
			about = append(about, e.Path)
		}
		oids = append(oids, e.OID)
	}
	if len(oids) > maxImportFiles {
		return fmt.Errorf("read %s: more than %d records", name, maxImportFiles)
	}
	s := im.source(kind, name)
	err = im.repo.Blobs(ctx, oids, maxNote, func(i int, content []byte, err error) error {
		if err == nil {
			var got []claims.Claim
			if kind == claims.GitAI {
				got, err = claims.FromGitAI(about[i], content)
			} else {
				got, err = claims.FromEntire(content)
			}
			s.all = append(s.all, got...)
		}
		return s.took(about[i], err)
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return s.keep()
}

// path imports a file, or the files of a folder.
func (im *importing) path(name string) error {
	s := im.source(im.kind, "")
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("read the records: %w", err)
	}
	files := []string{name}
	if info.IsDir() {
		files = nil
		err := filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if ext := filepath.Ext(p); d.Type().IsRegular() && (ext == ".json" || ext == ".jsonl") {
				if files = append(files, p); len(files) > maxImportFiles {
					return fmt.Errorf("more than %d files", maxImportFiles)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the records in %s: %w", name, err)
		}
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	s.name = abs
	for _, f := range files {
		b, err := readUpTo(f, claims.MaxText)
		if err != nil {
			return fmt.Errorf("read the record: %w", err)
		}
		got, kind, err := im.read(b)
		if err != nil && !info.IsDir() {
			return fmt.Errorf("%s: %w", f, err)
		}
		switch {
		case err != nil || s.kind == kind:
		case s.kind == "":
			s.kind = kind
		default:
			s.kind = "several"
		}
		s.all = append(s.all, got...)
		if err := s.took(f, err); err != nil {
			return err
		}
	}
	return s.keep()
}

// read reads one file of the kind that was named, or of the one that it looks like.
func (im *importing) read(b []byte) ([]claims.Claim, claims.Kind, error) {
	kind := im.kind
	if kind == "" {
		kind = guessKind(b)
	}
	var got []claims.Claim
	var err error
	switch kind {
	case claims.AgentTrace:
		got, err = claims.FromAgentTrace(b)
	case claims.Entire:
		got, err = claims.FromEntire(b)
	case claims.Chainloop:
		got, err = claims.FromChainloop(b)
	case claims.GitAI, claims.Text:
		if im.commit == "" {
			return nil, kind, withHint(errors.New("a text does not say which commit it is about"), "name it: sallyport agent import --from "+string(kind)+" --commit REV FILE")
		}
		if kind == claims.GitAI {
			got, err = claims.FromGitAI(im.commit, b)
			break
		}
		got = claims.FromMessage(string(b))
		for i := range got {
			got[i].Commit = im.commit
		}
	}
	return got, kind, err
}

// guessKind tells formats apart by what each must have.
func guessKind(b []byte) claims.Kind {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0 || b[0] != '{' && b[0] != '[':
		if bytes.Contains(b, []byte("\n---\n{")) {
			return claims.GitAI
		}
		return claims.Text
	case bytes.Contains(b, []byte(`"checkpoint_id"`)):
		return claims.Entire
	case bytes.Contains(b, []byte(`"session"`)) && bytes.Contains(b, []byte(`"agent"`)) && !bytes.Contains(b, []byte(`"conversations"`)):
		return claims.Chainloop
	}
	return claims.AgentTrace
}

// importSource gathers what one place holds.
type importSource struct {
	im   *importing
	kind claims.Kind
	name string
	all  []claims.Claim
	rep  render.ImportSource
}

func (im *importing) source(kind claims.Kind, name string) *importSource {
	return &importSource{im: im, kind: kind, name: name, rep: render.ImportSource{Problems: []string{}}}
}

// maxProblems is how many records that could not be read are told one by one.
const maxProblems = 20

// took counts a record. One that cannot be read is told, and hides no other.
func (s *importSource) took(name string, err error) error {
	s.rep.Records++
	if err != nil {
		s.rep.Unread++
		if len(s.rep.Problems) < maxProblems {
			s.rep.Problems = append(s.rep.Problems, sallyport.Path(name).String()+": "+err.Error())
		}
	}
	if s.im.total+len(s.all) > maxImportClaims {
		return fmt.Errorf("more than %d claims: import a part at a time", maxImportClaims)
	}
	return nil
}

func (s *importSource) keep() error {
	s.im.total += len(s.all)
	doc := imported{Version: 1, Kind: s.kind, Source: s.name, At: s.im.app.now().UTC().Format(time.RFC3339), Claims: append([]claims.Claim{}, s.all...)}
	b, err := sallyport.EncodeJSON(doc)
	if err != nil {
		return fmt.Errorf("keep the claims: %w", err)
	}
	if len(b) > maxClaimsFile {
		return fmt.Errorf("keep the claims: more than %d bytes", maxClaimsFile)
	}
	dir := s.im.workspace.path("claims")
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the claims: %w", err)
	}
	name := sallyport.SHA256([]byte(string(s.kind) + "\x00" + s.name + "\x00" + s.im.commit)).Hex()[:32] + ".json"
	if err := durable.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		return fmt.Errorf("keep the claims: %w", err)
	}
	commits := map[string]bool{}
	for _, c := range s.all {
		if c.Commit != "" {
			commits[c.Commit] = true
		}
	}
	s.rep.Kind, s.rep.Source, s.rep.Claims, s.rep.Commits = string(s.kind), s.name, len(s.all), len(commits)
	s.im.report.Sources = append(s.im.report.Sources, s.rep)
	return nil
}

// claimIndex is what was imported here.
func (w *workspace) claimIndex() (*claims.Index, error) {
	dir := w.path("claims")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the imported claims: %w", err)
	}
	var all []claims.Claim
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" || !e.Type().IsRegular() {
			continue
		}
		b, err := readUpTo(filepath.Join(dir, e.Name()), maxClaimsFile)
		if err != nil {
			return nil, fmt.Errorf("read the imported claims: %w", err)
		}
		var doc imported
		if err := json.Unmarshal(b, &doc); err != nil || doc.Version != 1 {
			return nil, withHint(fmt.Errorf("the imported claims in %s cannot be read", filepath.Join(dir, e.Name())), "remove the file, and import again: sallyport agent import")
		}
		if all = append(all, doc.Claims...); len(all) > maxImportClaims {
			return nil, fmt.Errorf("more than %d claims are imported: remove some of %s", maxImportClaims, dir)
		}
	}
	return claims.NewIndex(all), nil
}

// claimsAbout returns what is claimed about commits, at most maxClaimsTold.
func (w *workspace) claimsAbout(commits []sallyport.Commit) ([]sallyport.ClaimInput, error) {
	x, err := w.claimIndex()
	if err != nil {
		return nil, err
	}
	var out []sallyport.ClaimInput
	for i := range commits {
		for _, c := range x.About(commits[i].ID.Hex(), commits[i].Message) {
			if len(out) == maxClaimsTold {
				return out, nil
			}
			out = append(out, sallyport.ClaimInput{
				Source: string(c.Kind), Commit: commits[i].ID, Path: sallyport.Path(c.Path), Start: c.Start, End: c.End, By: c.By,
				Agent: claimedName(c.Agent), Model: c.Model, Session: c.Session, Human: c.Human,
			})
		}
	}
	return out, nil
}

// claimedName is the marker table's name of an agent as a tool calls it, or the tool's own.
func claimedName(s string) string {
	known, _ := identity.AgentNamed(s)
	return cmp.Or(known, s)
}

// readUpTo reads a regular file of at most limit bytes.
func readUpTo(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return b, err
}
