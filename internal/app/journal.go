package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/run/record"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Kinds of the log's entries about records: the end of a segment, and the note of an erasure. The
// digest is that of the bytes in the record's folder, which the store keeps too.
const (
	kindRecord  = "record"
	kindErasure = "record-erasure"
)

// recordsDir is where records lie below the state folder, each in a folder with the run's id as its
// name.
const recordsDir = "records"

// RecordOptions say which records a call is about.
type RecordOptions struct {
	Names []string // runs, gateways or folders; none: all that are kept
	Dir   string   // the folder that holds them; empty: records in the state folder
	Alone bool     // compare records with nothing but themselves
}

// records are folders of records, and what is known about them elsewhere.
type records struct {
	w       *workspace // nil outside a repository
	folders []recordFolder
	runs    []record.Attested
	closed  []record.Closed
	noted   []record.Erasure
	note    string // what the records were not compared with, and why
}

// recordFolder is the folder of a record, and what its place says that it is of.
type recordFolder struct{ path, name string }

// openRecords finds the records. Outside a repository those that are named by folder can be read,
// and are compared with nothing but themselves.
func (a *App) openRecords(ctx context.Context, o Options, ro RecordOptions) (*records, error) {
	rs := &records{}
	w, err := a.open(ctx, o)
	switch {
	case err == nil:
		rs.w = w
	case errors.Is(err, git.ErrNotRepository) && (ro.Dir != "" || len(ro.Names) > 0):
		rs.note = "this is no repository: the records are compared with themselves only"
	default:
		return nil, err
	}
	root := ro.Dir
	if root == "" && rs.w != nil {
		root = w.path(recordsDir)
	}
	if err := rs.find(root, ro); err != nil {
		return nil, errors.Join(err, rs.Close())
	}
	return rs, nil
}

func (rs *records) Close() error {
	if rs.w == nil {
		return nil
	}
	return rs.w.Close()
}

func (rs *records) find(root string, ro RecordOptions) error {
	if len(ro.Names) == 0 {
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read the records: %w", err)
		}
		for _, e := range entries {
			// A folder that lost its header is a record all the same, and verify says so.
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				rs.folders = append(rs.folders, recordFolder{filepath.Join(root, e.Name()), e.Name()})
			}
		}
		return nil
	}
	for _, name := range ro.Names {
		inside := filepath.Join(root, name)
		switch fi, err := os.Stat(inside); {
		case root != "" && filepath.IsLocal(name) && filepath.Base(name) == name && err == nil && fi.IsDir():
			rs.folders = append(rs.folders, recordFolder{inside, name})
			continue
		}
		if fi, err := os.Stat(name); err != nil || !fi.IsDir() {
			return withHint(fmt.Errorf("there is no record %q", name), "sallyport record list; a folder that lies elsewhere is named by its path")
		}
		rs.folders = append(rs.folders, recordFolder{path: name})
	}
	return nil
}

// hear reads what the evidence and the log say of records.
func (rs *records) hear(ctx context.Context) error {
	if rs.w == nil {
		return nil
	}
	if err := rs.hearLog(ctx); err != nil {
		return err
	}
	err := rs.w.findTip(ctx)
	if err == nil {
		err = rs.w.governed(ctx, "")
	}
	if err != nil {
		rs.note = "no rules are in force here, so no attestation verifies: " + err.Error()
		return nil //nolint:nilerr // records are read without rules too, and the note says what is not known
	}
	evs, err := rs.w.verifiedAbout(ctx, []sallyport.Digest{evidence.TypeDigest(predicate.AgentRunType)})
	if err != nil {
		return err
	}
	for _, ev := range evs {
		if ev.Statement.PredicateType != predicate.AgentRunType {
			continue
		}
		if p, err := predicate.DecodeAgentRun(ev.Statement.Predicate); err == nil {
			rs.runs = append(rs.runs, attestedRecord(ev.Attestation, p))
		}
	}
	return nil
}

func attestedRecord(d sallyport.Digest, p predicate.AgentRun) record.Attested {
	at := record.Attested{Attestation: d, Run: p.RunID, Repository: p.Repository, Sealed: p.Sealed, Records: p.Records, Head: p.RecordHead}
	if p.Prompts != nil {
		at.Prompts = p.Prompts.Commitment
	}
	return at
}

// expect returns what is known elsewhere of the record in a folder.
func (rs *records) expect(f recordFolder) record.Expect {
	x := record.Expect{}
	if rs.w == nil {
		return x
	}
	x.Now, x.Log, x.Noted = rs.w.app.now(), true, rs.noted
	r, err := record.Open(f.path)
	if err != nil {
		return x
	}
	h := r.Header()
	if h.Run != "" {
		x.Run = f.name
	}
	if rs.w.cfg.Repository != "" {
		x.Repository = rs.w.cfg.Repository
	}
	seal, _ := r.Seal()
	for _, a := range rs.runs {
		if h.Run != "" && a.Run == h.Run || seal != nil && a.Head == seal.Head.String() {
			x.Attested = append(x.Attested, a)
		}
	}
	for _, c := range rs.closed {
		if c.Record == r.ID() || c.Run != "" && c.Run == h.Run {
			x.Anchored = append(x.Anchored, c)
		}
	}
	return x
}

// RecordReports is what verify answers.
type RecordReports struct {
	Records []record.Report `json:"records"`
	Lost    []LostRecord    `json:"lost"` // records that the log has seen, and that are not here
	Absent  []AbsentRecord  `json:"absent"`
	Note    string          `json:"note,omitempty"`
}

// An AbsentRecord is one that an attestation seals, and that is not here: another supervisor, on another
// machine, may keep it, or it was lost before the log had seen any of it.
type AbsentRecord struct {
	Run         string           `json:"run"`
	Attestation sallyport.Digest `json:"attestation"`
	Records     int64            `json:"records"`
}

// OK reports whether nothing is wrong.
func (r *RecordReports) OK() bool {
	return len(r.Lost) == 0 && !slices.ContainsFunc(r.Records, func(x record.Report) bool { return !x.OK() })
}

// A LostRecord is one that the log has seen, and whose folder is not here.
type LostRecord struct {
	Record  string `json:"record"`
	Run     string `json:"run,omitempty"`
	Gateway string `json:"gateway,omitempty"`
	Records int64  `json:"records"`
	record.Problem
}

// RecordVerify says of each record what it is worth.
func (a *App) RecordVerify(ctx context.Context, o Options, ro RecordOptions) (out RecordReports, err error) {
	out = RecordReports{Records: []record.Report{}, Lost: []LostRecord{}, Absent: []AbsentRecord{}}
	rs, err := a.openRecords(ctx, o, ro)
	if err != nil {
		return out, err
	}
	defer done(&err, rs.Close)
	if ro.Alone {
		rs.note = "the records are compared with themselves only"
	} else if err := rs.hear(ctx); err != nil {
		return out, err
	}
	out.Note = rs.note
	here := map[string]bool{}
	for _, f := range rs.folders {
		x := record.Expect{}
		if !ro.Alone {
			x = rs.expect(f)
		}
		rep := record.Verify(f.path, x)
		here[rep.Record] = true
		out.Records = append(out.Records, rep)
	}
	if len(ro.Names) == 0 && !ro.Alone {
		out.Lost = rs.lost(here)
		out.Absent = rs.absent(out)
	}
	return out, nil
}

func (rs *records) lost(here map[string]bool) []LostRecord {
	out := []LostRecord{}
	for _, c := range slices.Backward(rs.closed) { // the newest end of each
		id := c.Record.String()
		if here[id] {
			continue
		}
		here[id] = true
		name := c.Run + c.Gateway
		out = append(out, LostRecord{id, c.Run, c.Gateway, c.Records, record.Problem{
			Code: record.Truncated, Place: filepath.Join(recordsDir, name), Text: fmt.Sprintf("the log has seen %d entries of the record of %s, and its folder is not here", c.Records, name),
			Next: "restore the folder from a backup; if the record is kept elsewhere, name its folder: sallyport record verify FOLDER",
		}})
	}
	return out
}

// absent returns the sealed records that attestations of this repository speak of and that are not here.
func (rs *records) absent(rep RecordReports) []AbsentRecord {
	out, told := []AbsentRecord{}, map[string]bool{}
	for _, r := range rep.Records {
		told[r.Run] = true
	}
	for _, l := range rep.Lost {
		told[l.Run] = true
	}
	for _, a := range rs.runs {
		if a.Sealed && a.Head != "" && a.Repository == rs.w.cfg.Repository && !told[a.Run] {
			told[a.Run] = true
			out = append(out, AbsentRecord{a.Run, a.Attestation, a.Records})
		}
	}
	return out
}

// RecordAnchor puts the ends of segments and the notes of erasures of records into the log, those
// that it does not hold yet, and returns how many those were. It may be repeated.
func (a *App) RecordAnchor(ctx context.Context, o Options, ro RecordOptions) (n int, err error) {
	rs, err := a.openRecords(ctx, o, ro)
	if err != nil {
		return 0, err
	}
	defer done(&err, rs.Close)
	if rs.w == nil {
		return 0, errors.New("outside a repository there is no log: name one with --repo")
	}
	if err := rs.w.findTip(ctx); err == nil {
		if err := rs.w.governed(ctx, ""); err != nil {
			return 0, err
		}
	}
	for _, f := range rs.folders {
		more, err := rs.w.anchorRecord(ctx, f.path)
		if err != nil {
			return n, err
		}
		n += more
	}
	return n, nil
}

// RecordSeal ends a record whose writer has died: as aborted, which is what is known.
func (a *App) RecordSeal(ctx context.Context, o Options, ro RecordOptions, reason string) (sealed []record.Seal, err error) {
	rs, err := a.openRecords(ctx, o, ro)
	if err != nil {
		return nil, err
	}
	defer done(&err, rs.Close)
	for _, f := range rs.folders {
		w, _, err := record.Resume(f.path, record.Options{Now: a.now})
		if err != nil {
			if errors.Is(err, record.ErrSealed) && strings.Contains(err.Error(), "now:") {
				continue
			}
			return sealed, err
		}
		s, err := w.Seal(record.End{Conclusion: string(predicate.ConclusionAborted), Reason: reason})
		if err != nil {
			return sealed, err
		}
		sealed = append(sealed, s)
	}
	return sealed, nil
}
