package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
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
		Sealed:     true, Records: int64(len(commits)) + 1, RecordHead: string(sallyport.SHA256(fmt.Appendf(nil, "run-%d %s", s.runs, strings.Join(commits, " ")))),
		Conclusion: predicate.ConclusionSuccess,
	}
	fields := strings.Split(strings.TrimRight(s.Git("diff", "--raw", "--no-abbrev", "--no-renames", "-z", base, head), "\x00"), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		meta := strings.Fields(fields[i]) // :oldmode newmode oldblob newblob status
		if len(meta) == 5 && meta[4] != "D" {
			run.Changes.Blobs = append(run.Changes.Blobs, predicate.Blob{Path: fields[i+1], Mode: meta[1], GitBlob: meta[3]})
		}
	}
	run.Changes.Hunks = s.hunks(base, head)
	return run
}

// hunks returns the digests of the hunks between two revisions.
func (s *Scene) hunks(base, head string) []string {
	s.TB.Helper()
	repo, err := git.Open(s.TB.Context(), s.Repo)
	if err != nil {
		s.TB.Fatal(err)
	}
	defer repo.Close()
	c, err := change.New(repo, nil).Change(s.TB.Context(), change.Request{
		TargetRef: "refs/heads/main", Action: change.ActionUpdate, Base: s.Git("rev-parse", base+"^{commit}"), Head: s.Git("rev-parse", head+"^{commit}"),
	})
	if err != nil {
		s.TB.Fatal(err)
	}
	hunks := []string{}
	for i := range c.Files {
		units := c.Files[i].Units
		for n, u := range units {
			if n == 0 || u.Place != units[n-1].Place || u.Hunk != units[n-1].Hunk {
				hunks = append(hunks, u.Hunk.Hex())
			}
		}
	}
	return hunks
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

// An Envelope is the part of a bundle that tests take apart.
type Envelope struct {
	Payload     []byte `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		KeyID string `json:"keyid,omitempty"`
		Sig   []byte `json:"sig"`
	} `json:"signatures"`
}

// EditBundle returns a bundle with another envelope in it, and every other byte's meaning kept.
func (s *Scene) EditBundle(bundle []byte, edit func(*Envelope)) []byte {
	s.TB.Helper()
	// In the order of ours, since an approval has one spelling.
	var doc struct {
		MediaType string          `json:"mediaType"`
		Material  json.RawMessage `json:"verificationMaterial"`
		Envelope  Envelope        `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &doc); err != nil {
		s.TB.Fatal(err)
	}
	edit(&doc.Envelope)
	out, err := json.Marshal(doc)
	if err != nil {
		s.TB.Fatal(err)
	}
	return out
}

// Kept returns the bundle with a digest from the state folder.
func (s *Scene) Kept(d sallyport.Digest) []byte {
	s.TB.Helper()
	all, _, err := evidence.NewDir(s.State("evidence")).All(context.Background())
	if err != nil {
		s.TB.Fatal(err)
	}
	for _, a := range all {
		if a.Digest() == d {
			return a.Raw
		}
	}
	s.TB.Fatalf("no attestation %s is kept", d)
	return nil
}

// KeptOf returns every bundle in the state folder whose statement has the predicate type.
func (s *Scene) KeptOf(predicateType string) [][]byte {
	s.TB.Helper()
	all, _, err := evidence.NewDir(s.State("evidence")).All(context.Background())
	if err != nil {
		s.TB.Fatal(err)
	}
	var out [][]byte
	for _, a := range all {
		if s.Statement(a.Raw).PredicateType == predicateType {
			out = append(out, a.Raw)
		}
	}
	return out
}

// Keep puts a bundle among the evidence, as whoever can write there might.
func (s *Scene) Keep(bundle []byte) {
	s.TB.Helper()
	if _, err := evidence.NewDir(s.State("evidence")).Put(context.Background(), bundle); err != nil {
		s.TB.Fatal(err)
	}
}

// LoseEvidence removes all evidence from the state folder and the evidence ref.
func (s *Scene) LoseEvidence() {
	s.TB.Helper()
	if err := os.RemoveAll(s.State("evidence")); err != nil {
		s.TB.Fatal(err)
	}
	s.Git("update-ref", "-d", "refs/sallyport/evidence")
}

// Statement returns what a bundle says, not verified.
func (s *Scene) Statement(bundle []byte) (st sallyport.Statement) {
	s.TB.Helper()
	s.EditBundle(bundle, func(e *Envelope) {
		if err := json.Unmarshal(e.Payload, &st); err != nil {
			s.TB.Fatal(err)
		}
	})
	return st
}

// Forge signs what somebody else's approval says, edited, with another key.
func (s *Scene) Forge(bundle []byte, k Key, edit func(*predicate.Approval)) []byte {
	s.TB.Helper()
	st := s.Statement(bundle)
	p, err := predicate.DecodeApproval(st.Predicate)
	if err != nil {
		s.TB.Fatal(err)
	}
	edit(&p)
	if st.Predicate, err = json.Marshal(p); err != nil {
		s.TB.Fatal(err)
	}
	return s.Sign(st, k)
}

// Sign signs a statement with a key of any kind and returns the bundle.
func (s *Scene) Sign(st sallyport.Statement, k Key) []byte {
	s.TB.Helper()
	ctx := context.Background()
	var out []byte
	var err error
	if k == Supervisor || k == Rogue {
		var signer *key.Key
		if signer, err = key.Load(s.KeyRef(k), nil); err == nil {
			out, err = evidence.Sign(ctx, st, signer)
		}
	} else {
		out, err = evidence.SignSSH(ctx, st, s.SSHSigner(k))
	}
	if err != nil {
		s.TB.Fatal(err)
	}
	return out
}
