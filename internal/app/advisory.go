package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/scan"
	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
	"github.com/sallyport-dev/sallyport/internal/scan/dep"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// advisoryFile is the database's name in the state folder.
const advisoryFile = "advisories.db"

// AdvisoryOptions say which database, and what is asked of it.
type AdvisoryOptions struct {
	Database string        // empty: in the state folder of the repository
	MaxAge   time.Duration // 0: any
}

func (a *App) advisoryPath(ctx context.Context, o Options, ao AdvisoryOptions) (_ string, err error) {
	if ao.Database != "" {
		return ao.Database, nil
	}
	if o.StateDir != "" {
		return filepath.Join(o.StateDir, advisoryFile), nil
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return "", withHint(err, "outside of a repository, name the database: --database FILE")
	}
	defer done(&err, w.Close)
	return w.path(advisoryFile), nil
}

// An AdvisorySource is what a database is made of.
type AdvisorySource struct {
	Paths  []string
	AsOf   time.Time // when the records were made, if the caller knows better than they say
	Covers []string  // ecosystems of which they are all that there are

	// Signatures are files with signatures over paths: see [App.AdvisorySign]. Of what is signed AsOf and Covers count for
	// nothing.
	Signatures []string
}

// AdvisoryImport makes a database of exactly the records of a source.
func (a *App) AdvisoryImport(ctx context.Context, o Options, ao AdvisoryOptions, src AdvisorySource) (*AdvisoryStatus, error) {
	if src.AsOf.After(a.now()) {
		return nil, usagef("--as-of: %s is still to come", src.AsOf.Format(time.RFC3339))
	}
	for _, eco := range src.Covers {
		if !advisory.Keeps(eco) {
			return nil, usagef("--covers: %.40q is no ecosystem that is kept; there are %s", eco, strings.Join(advisory.Names(), ", "))
		}
	}
	var from []advisory.Origin
	for _, p := range src.Paths {
		from = append(from, advisory.Origin{Path: p, AsOf: src.AsOf, Covers: src.Covers})
	}
	signed, err := a.signedSources(ctx, o, src.Signatures)
	if err != nil {
		return nil, err
	}
	return a.advisoryImport(ctx, o, ao, from, signed...)
}

func (a *App) advisoryImport(ctx context.Context, o Options, ao AdvisoryOptions, from []advisory.Origin, signed ...advisory.Signed) (*AdvisoryStatus, error) {
	path, err := a.advisoryPath(ctx, o, ao)
	if err != nil {
		return nil, err
	}
	if ao.Database == "" {
		if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
	}
	meta, err := advisory.Import(ctx, path, from, a.now(), signed...)
	if errors.Is(err, advisory.ErrSource) {
		return nil, withHint(err, "the database is as it was; docs/advisories.md says what is read")
	}
	if err != nil {
		return nil, err
	}
	s := a.advisoryStatus(path, meta, ao)
	a.tellSigners(ctx, o, s)
	return s, nil
}

// tellSigners says whose signatures count under the trust roots of the repository, if this is one.
func (a *App) tellSigners(ctx context.Context, o Options, s *AdvisoryStatus) {
	if !slices.ContainsFunc(s.meta.Sources, func(src advisory.Source) bool { return len(src.Signature) > 0 }) {
		return
	}
	err := a.withGoverned(ctx, o, func(w *workspace) error {
		by, unsigned := w.signers(ctx, s.meta)
		for i := range s.Sources {
			s.Sources[i].Signer = by[i]
			if _, err := w.sourceSigner(ctx, &s.meta.Sources[i]); err != nil {
				s.Sources[i].Unsigned = err.Error()
			}
		}
		for i := range s.Ecosystems {
			_, no := unsigned[s.Ecosystems[i].Name]
			s.Ecosystems[i].Signed = !no
		}
		s.Signer = allSigners(by)
		return nil
	})
	if err != nil {
		for i := range s.Sources {
			s.Sources[i].Unsigned = "nothing here says whose signature it is: " + err.Error()
		}
	}
}

// AdvisoryStatus describes a database as of now.
type AdvisoryStatus struct {
	Path       string              `json:"path"`
	Digest     sallyport.Digest    `json:"digest"`
	Built      time.Time           `json:"built"`
	Records    int                 `json:"records"`
	Packages   int                 `json:"packages"`
	Signer     string              `json:"signer"` // who signed all of the data; empty: some of it was signed by nobody
	Ecosystems []AdvisoryEcosystem `json:"ecosystems"`
	Sources    []AdvisoryOrigin    `json:"sources"`
	Stale      bool                `json:"stale"` // by the age that was asked for, one is too old, or of unknown age
	meta       *advisory.Meta
}

// An AdvisoryEcosystem is what a database holds of one ecosystem, and how old that is.
type AdvisoryEcosystem struct {
	advisory.EcosystemMeta
	AgeHours *int `json:"age_hours"` // null: nobody says how old
	Stale    bool `json:"stale"`
	Signed   bool `json:"signed"` // all of its sources were, and the signatures count
}

// An AdvisoryOrigin is a source of a database, and whose word it is.
type AdvisoryOrigin struct {
	advisory.Source
	Signer   string `json:"signer"`             // empty: nobody whose signature counts here
	Unsigned string `json:"unsigned,omitempty"` // why that is so, where it has a signature
}

func (a *App) advisoryStatus(path string, meta *advisory.Meta, ao AdvisoryOptions) *AdvisoryStatus {
	s := &AdvisoryStatus{Path: path, Digest: meta.Digest, Built: meta.Built, Records: meta.Records, Packages: meta.Packages, Sources: []AdvisoryOrigin{}, meta: meta}
	for _, src := range meta.Sources {
		src.Signature = nil // it is for programs that verify it
		s.Sources = append(s.Sources, AdvisoryOrigin{Source: src})
	}
	for _, e := range meta.Ecosystems {
		v := AdvisoryEcosystem{EcosystemMeta: e}
		age, known := e.Age(a.now())
		if known {
			h := int(age.Hours())
			v.AgeHours = &h
		}
		v.Stale = ao.MaxAge > 0 && (!known || age > ao.MaxAge)
		s.Stale = s.Stale || v.Stale
		s.Ecosystems = append(s.Ecosystems, v)
	}
	return s
}

// AdvisoryStatus reads all of the database, and says what is in it.
func (a *App) AdvisoryStatus(ctx context.Context, o Options, ao AdvisoryOptions) (_ *AdvisoryStatus, err error) {
	db, path, err := a.openAdvisories(ctx, o, ao)
	if err != nil {
		return nil, err
	}
	defer done(&err, db.Close)
	if err := db.Verify(); err != nil {
		return nil, withHint(err, importAgain)
	}
	s := a.advisoryStatus(path, db.Meta(), ao)
	a.tellSigners(ctx, o, s)
	return s, nil
}

const importAgain = "make it again: sallyport advisory import PATH..."

func (a *App) openAdvisories(ctx context.Context, o Options, ao AdvisoryOptions) (*advisory.DB, string, error) {
	path, err := a.advisoryPath(ctx, o, ao)
	if err != nil {
		return nil, "", err
	}
	db, err := advisory.Open(path)
	if err != nil {
		return nil, "", withHint(err, importAgain)
	}
	return db, path, nil
}

// A PackageReport is what is known about one package.
type PackageReport struct {
	Purl      string           `json:"purl"`
	Ecosystem string           `json:"ecosystem"` // the type of the package URL
	Name      string           `json:"name"`
	Version   string           `json:"version"`
	Paths     []string         `json:"paths"` // the files that name it
	Matches   []advisory.Match `json:"matches"`
	// Unknown says in a word why nobody can tell, and Why in words: ecosystem, version, damaged or stale. Empty if
	// the answer is known.
	Unknown   string   `json:"unknown"`
	Why       string   `json:"why"`
	Undecided []string `json:"undecided"` // the advisories that could not be decided
}

// An AdvisoryReport is what is known about all packages that were asked for.
type AdvisoryReport struct {
	Database AdvisoryStatus `json:"database"`
	Checked  int            `json:"checked"` // packages about which everything is known
	Affected int            `json:"affected"`
	Unknown  int            `json:"unknown"` // packages and files about which something is not known
	// Against are the ecosystems that were looked in.
	Against  []string        `json:"against"`
	Packages []PackageReport `json:"packages"` // all of them, by package URL
	Files    []sbom.File     `json:"files"`
	Time     time.Time       `json:"time"`
}

// Status is the exit status: shut if something is affected, undecided if something is not known.
func (r *AdvisoryReport) Status() int {
	switch {
	case r.Affected > 0:
		return sallyport.ExitShut
	case r.Unknown > 0 || r.Checked == 0:
		return sallyport.ExitUndecided
	}
	return sallyport.ExitOpen
}

// Undecided says why there is no answer, where [AdvisoryReport.Status] is undecided.
func (r *AdvisoryReport) Undecided() error {
	if len(r.Packages) == 0 {
		return withHint(errors.New("there is no package to look up"), "docs/dependencies.md lists the files that are read")
	}
	return withHint(fmt.Errorf("of %d packages and %d files, it is not known for %d whether anything affects them", len(r.Packages), len(r.Files), r.Unknown),
		"import records of what is missing (sallyport advisory import PATH...), or pin what is open")
}

// AdvisoryMatch says what is known about package URLs, and about what the lock files in folders, single
// files and commits (git:REV) pin.
func (a *App) AdvisoryMatch(ctx context.Context, o Options, ao AdvisoryOptions, purls, locks []string) (_ *AdvisoryReport, err error) {
	db, path, err := a.openAdvisories(ctx, o, ao)
	if err != nil {
		return nil, err
	}
	defer done(&err, db.Close)
	r := &AdvisoryReport{Database: *a.advisoryStatus(path, db.Meta(), ao), Time: a.now().UTC(), Packages: []PackageReport{}, Files: []sbom.File{}}
	a.tellSigners(ctx, o, &r.Database)
	for _, p := range purls {
		pr, err := parsePurl(p)
		if err != nil {
			return nil, err
		}
		r.Packages = append(r.Packages, pr)
	}
	for _, l := range locks {
		files, components, err := a.lockFiles(ctx, o, l)
		if err != nil {
			return nil, err
		}
		r.Files = append(r.Files, files...)
		for _, c := range components {
			r.Packages = append(r.Packages, PackageReport{Purl: c.Purl, Ecosystem: c.Ecosystem, Name: c.Name, Version: c.Version, Paths: c.Paths})
		}
	}
	for _, f := range r.Files {
		if f.Unread || f.Open > 0 {
			r.Unknown++
		}
	}
	for i := range r.Packages {
		r.match(db, &r.Packages[i])
	}
	slices.SortStableFunc(r.Packages, func(x, y PackageReport) int { return strings.Compare(x.Purl, y.Purl) })
	return r, nil
}

// match fills in what is known about p.
func (r *AdvisoryReport) match(db *advisory.DB, p *PackageReport) {
	ans := db.Match(advisory.Package{Type: p.Ecosystem, Name: p.Name, Version: p.Version})
	p.Matches, p.Unknown, p.Why, p.Undecided = ans.Matches, ans.Unknown, ans.Why, ans.Undecided
	eco, _ := advisory.Ecosystem(p.Ecosystem)
	if p.Unknown == "" {
		for _, e := range r.Database.Ecosystems {
			if e.Name == eco && e.Stale {
				p.Unknown, p.Why = "stale", "the records of "+eco+" are "+ageText(e.AgeHours)
			}
		}
	}
	if _, kept := db.Meta().Ecosystem(eco); kept && ans.Unknown != advisory.UnknownDamaged && !slices.Contains(r.Against, eco) {
		r.Against = append(r.Against, eco)
		slices.Sort(r.Against)
	}
	if p.Matches == nil {
		p.Matches = []advisory.Match{}
	}
	if p.Undecided == nil {
		p.Undecided = []string{}
	}
	if p.Paths == nil {
		p.Paths = []string{}
	}
	switch {
	case len(p.Matches) > 0:
		r.Affected++
	case p.Unknown != "":
		r.Unknown++
	default:
		r.Checked++
	}
}

func ageText(hours *int) string {
	if hours == nil {
		return "of unknown age"
	}
	return fmt.Sprintf("%d hours old", *hours)
}

// parsePurl reads a package URL. Qualifiers and subpaths say nothing about which advisories count; a
// version is needed.
func parsePurl(s string) (PackageReport, error) {
	bare, _, _ := strings.Cut(s, "#")
	bare, _, _ = strings.Cut(bare, "?")
	typ, namespace, name, version, err := dep.ParsePurl(bare)
	if err != nil || version == "" {
		return PackageReport{}, usagef("%.200q is no package URL with a version, such as pkg:npm/left-pad@1.3.0", s)
	}
	typ = strings.ToLower(typ)
	if namespace != "" {
		sep := "/"
		if typ == "maven" {
			sep = ":"
		}
		name = namespace + sep + name
	}
	return PackageReport{Purl: s, Ecosystem: typ, Name: name, Version: version}, nil
}

// lockFiles reads the lock files of a folder, a commit, or one file.
func (a *App) lockFiles(ctx context.Context, o Options, subject string) ([]sbom.File, []sbom.Component, error) {
	info, err := os.Stat(subject)
	if strings.HasPrefix(subject, "git:") || err == nil && info.IsDir() {
		bill, err := a.SBOM(ctx, o, SBOMOptions{Subject: subject})
		if err != nil {
			return nil, nil, err
		}
		return bill.Files, bill.Components, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the lock file: %w", err)
	}
	if !sbom.Wants(filepath.Base(subject)) {
		return nil, nil, withHint(fmt.Errorf("%s is no lock or manifest file that is read", subject), "docs/dependencies.md lists the files")
	}
	f, err := os.Open(subject)
	if err != nil {
		return nil, nil, fmt.Errorf("read the lock file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, sbom.MaxFileSize+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the lock file: %w", err)
	}
	var v sbom.Inventory
	if err := v.Add(filepath.Base(subject), content); err != nil {
		return nil, nil, err
	}
	files, components := v.Files(), v.Components()
	for i := range files {
		files[i].Path = subject
	}
	for i := range components {
		components[i].Paths = []string{subject}
	}
	return files, components, nil
}

// advisoryList names the database among the lists of data that judged.
const advisoryList = "advisories"

// advise opens the database that the configuration names, once, and notes for the input which judges.
func (w *workspace) advise(ctx context.Context) *scan.Advice {
	if w.known != nil {
		return w.known
	}
	c := w.cfg.Advisories
	w.known = &scan.Advice{Required: c.Required, MaxAge: c.Age(), Now: w.app.now()}
	db, err := advisory.Open(w.path(c.File()))
	if err != nil {
		// The finding that tells of it is part of a decision, and names no path of this machine.
		w.known.Missing = errors.Is(err, advisory.ErrMissing)
		w.known.Why = errors.New("the advisory database cannot be opened")
		for _, known := range []error{advisory.ErrDamaged, advisory.ErrForeign} {
			if errors.Is(err, known) {
				w.known.Why = known
			}
		}
		return w.known
	}
	w.known.DB = db
	by, unsigned := w.signers(ctx, db.Meta())
	if c.Signed {
		w.known.Unsigned = unsigned
	}
	w.lists = append(w.lists, sallyport.ListInput{Name: advisoryList, Version: advisory.Format, Digest: db.Meta().Digest, Signer: allSigners(by)})
	return w.known
}
