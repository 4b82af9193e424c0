package scene

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Run describes what the agent did between two revisions, as its supervisor would: the commits,
// and the files as the last one leaves them.
func (s *Scene) Run(base, head string) predicate.AgentRun {
	s.TB.Helper()
	s.runs++
	commits := strings.Fields(s.Git("rev-list", "--reverse", base+".."+head))
	now := time.Now()
	run := predicate.AgentRun{
		RunID: fmt.Sprintf("run-%d", s.runs), Agent: predicate.Agent{Name: "claude-code"}, Operator: "alice",
		Repository: Repository, StartedAt: predicate.FormatTime(now.Add(-time.Minute)), EndedAt: predicate.FormatTime(now),
		Supervisor: predicate.Supervisor{Version: "test", Separation: predicate.SeparationHost},
		Changes:    predicate.Changes{Commits: commits, Hunks: []string{}, Blobs: []predicate.Blob{}},
		Sealed:     true, Records: int64(len(commits)) + 1, RecordHead: string(sallyport.SHA256([]byte(strings.Join(commits, "\n")))),
		Conclusion: predicate.ConclusionSuccess,
	}
	fields := strings.Split(strings.TrimRight(s.Git("diff", "--raw", "--no-abbrev", "--no-renames", "-z", base, head), "\x00"), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		meta := strings.Fields(fields[i]) // :oldmode newmode oldblob newblob status
		if len(meta) == 5 && meta[4] != "D" {
			run.Changes.Blobs = append(run.Changes.Blobs, predicate.Blob{Path: fields[i+1], Mode: meta[1], GitBlob: meta[3]})
		}
	}
	return run
}

// Attest signs a run with a key, about HEAD and all that the run names, and keeps it as
// evidence. More arguments are the command's; --bundle FILE writes it elsewhere.
func (s *Scene) Attest(run predicate.AgentRun, k Key, args ...string) {
	s.TB.Helper()
	body, err := json.Marshal(run)
	if err != nil {
		s.TB.Fatal(err)
	}
	file := filepath.Join(s.Dir, run.RunID+".json")
	if err := os.WriteFile(file, body, 0o644); err != nil {
		s.TB.Fatal(err)
	}
	s.Must(append([]string{"attest", "git:HEAD", "--repo", s.Repo, "--type", "agent-run", "--predicate", file, "--key", s.KeyRef(k)}, args...)...)
}

// AttestRun attests what the agent did between two revisions, as the supervisor does.
func (s *Scene) AttestRun(base, head string) {
	s.TB.Helper()
	s.Attest(s.Run(base, head), Supervisor)
}

// Approve has somebody approve HEAD, and returns the digest of the attestation. That the
// command succeeds does not mean that the approval counts.
func (s *Scene) Approve(k Key, args ...string) sallyport.Digest {
	s.TB.Helper()
	out := s.Must(append(append(s.gate("approval", "give"), "--yes", "--key", s.KeyRef(k)), args...)...)
	for line := range strings.Lines(out) {
		if d, ok := strings.CutPrefix(line, "attestation "); ok {
			return sallyport.Digest(strings.TrimSpace(d))
		}
	}
	s.TB.Fatalf("approval give named no attestation:\n%s", out)
	return ""
}

// Revoke has somebody take an approval back.
func (s *Scene) Revoke(k Key, attestation sallyport.Digest) {
	s.TB.Helper()
	s.Must(append(s.gate("approval", "revoke"), string(attestation), "--key", s.KeyRef(k))...)
}
