package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/run/record"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// keepRecord writes the record of a run, as its supervisor does, below the state folder of
// $WORK/service, and $WORK/RUN.json, the predicate that seals it. The word after the run says how it
// ends: sealed, or killed before it could. With the word audited, texts are kept for the key in $WORK/auditor.key.
func keepRecord(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: record RUN sealed|killed [audited]")
	}
	run, work := args[0], ts.Getenv("WORK")
	h := record.Header{Run: run, Repository: scene.Repository, Operator: "alice", Agent: "claude-code 1.0", Supervisor: "sallyport test"}
	if len(args) > 2 {
		id, err := age.GenerateX25519Identity()
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(work, "auditor.key"), []byte(id.String()+"\n"), 0o600))
		h.Auditors = []string{id.Recipient().String()}
	}
	w, err := record.CreateWith(filepath.Join(work, "service", ".git", "sallyport", "records", run), h, record.Options{MaxBytes: 1200})
	ts.Check(err)
	add := func(kind record.Kind, body map[string]any, with ...record.Commitment) {
		_, err := w.Append(kind, body, with...)
		ts.Check(err)
	}
	add(record.KindStart, map[string]any{"program": "claude"})
	for i, model := range []string{"claude-opus-4", "claude-haiku-4"} {
		id := string(rune('a' + i))
		add(record.KindRequest, map[string]any{"id": id, "principal": map[string]string{"kind": "agent", "name": run}, "provider": "anthropic",
			"models": []map[string]string{{"name": model}}, "masked": map[string]int{"secret:aws-access-key": 1}}, w.Commit("prompt", []byte("please "+id)))
		add(record.KindResponse, map[string]any{"id": id, "models": []map[string]string{{"name": model}}, "status": 200, "outcome": "complete",
			"usage": map[string]int{"input": 10, "output": 5}}, w.Commit("answer", []byte("done "+id)))
		add(record.KindTool, map[string]any{"name": "Bash"})
	}
	add(record.KindRefused, map[string]any{"kind": "network", "address": "203.0.113.7:443", "code": "network-closed"})
	defer w.Close()
	if args[1] == "killed" {
		return
	}
	s, err := w.Seal(record.End{Conclusion: "success"})
	ts.Check(err)
	now := time.Now()
	body, err := json.Marshal(predicate.AgentRun{
		RunID: run, Agent: predicate.Agent{Name: "claude-code"}, Operator: "alice", Repository: scene.Repository,
		StartedAt: predicate.FormatTime(now.Add(-time.Minute)), EndedAt: predicate.FormatTime(now),
		Supervisor: predicate.Supervisor{Version: "test", Separation: predicate.SeparationHost},
		Changes:    predicate.Changes{Commits: []string{}, Hunks: []string{}, Blobs: []predicate.Blob{}},
		Sealed:     true, Records: s.Records, RecordHead: s.Head.String(), Conclusion: predicate.ConclusionSuccess,
		Prompts: &predicate.Prompts{Requests: s.Requests, Commitment: string(s.Prompts)},
	})
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(work, run+".json"), body, 0o644))
	ts.Setenv("SEALED_HEAD", s.Head.String())
	ts.Setenv("RECORD_ID", string(sallyport.Digest(s.Record.String())))
}

// relabelEntries calls the entries of one kind another one in a store, as somebody who can write it would.
func relabelEntries(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: relabel STORE KIND KIND")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(`DROP TRIGGER entry_no_update`)
	ts.Check(err)
	_, err = db.Exec(`UPDATE entry SET kind = ? WHERE kind = ?`, args[2], args[1])
	ts.Check(err)
}
