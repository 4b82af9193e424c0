package app

import (
	"path/filepath"

	"github.com/sallyport-dev/sallyport/internal/run/record"
	"github.com/sallyport-dev/sallyport/predicate"
)

// runRecords is where records of runs lie below the state folder, each in a folder with the run's id as
// its name.
const runRecords = "records"

// A runJournal is the record of one run, as [run.Journal] and for commitments.
type runJournal struct{ w *record.Writer }

// newRunJournal begins the run's record.
func (w *workspace) newRunJournal(rep *RunReport, s *sealer) (runJournal, error) {
	agent := rep.Agent
	if rep.Version != "" {
		agent += " " + rep.Version
	}
	j, err := record.CreateWith(filepath.Join(w.path(runRecords), rep.RunID), record.Header{
		Run: rep.RunID, Repository: rep.Repository, Operator: rep.Operator, Agent: agent, Supervisor: "sallyport " + Version(),
		Started: predicate.FormatTime(s.start.at), Auditors: w.cfg.Runs.Auditors,
	}, record.Options{Now: w.app.now})
	return runJournal{j}, err
}

// Append implements [run.Journal].
func (j runJournal) Append(kind string, body any) error {
	_, err := j.w.Append(record.Kind(kind), body)
	return err
}

// AppendText implements [run.Journal]: an entry with a commitment to a text.
func (j runJournal) AppendText(kind string, body any, name string, text []byte) (string, error) {
	c := j.w.Commit(record.Kind(name), text)
	_, err := j.w.Append(record.Kind(kind), body, c)
	return string(c.Digest), err
}
