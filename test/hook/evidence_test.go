package hook

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// A server takes what verifies under its own rules, at the places where it is looked for, and has
// an objection in its log before anybody asks the gate.
func TestEvidenceVerified(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	const ref = "refs/sallyport/evidence"
	s.agentWork("work")
	s.AttestRun("main", "HEAD")
	s.pushEvidence()
	held := s.ref(ref)
	refused := func(name, says string) {
		t.Helper()
		a := s.push(ref)
		s.refused(a, ref, held)
		if got := a.remote(); !strings.Contains(got, says) || strings.Count(got, "\n") > 2 {
			t.Errorf("%s: %s", name, got)
		}
		s.Git("update-ref", ref, held)
	}
	s.Attest(s.Run("main", "HEAD"), scene.Rogue)
	refused("signed by nobody", "does not count here: the key that signed is not in the trust roots")

	s.Approve(scene.Bob)
	path, _, _ := strings.Cut(s.Git("diff", "--name-only", held, ref), "\n")
	blob := s.Rev(ref + ":" + path)
	in := fmt.Sprintf("commit %s\ncommitter x <x@example.com> 1700000000 +0000\ndata 1\nx\nfrom %s\nM 100644 %s ff/00000000000000-%032d.json\n", ref, held, blob, 0)
	if _, err := s.TryGit(scene.Who(scene.Alice), []byte(in), "fast-import", "--quiet", "--force"); err != nil {
		t.Fatal(err)
	}
	refused("filed where nobody looks", "it would lie where it is not looked for")

	size := func() (st struct{ Size uint64 }) {
		t.Helper()
		r := s.Sallyport("log", "status", "--repo", s.server, "--json")
		if r.Status == 0 {
			if err := json.Unmarshal([]byte(r.Stdout), &st); err != nil {
				t.Fatal(err)
			}
		}
		return st
	}
	before := size()
	s.Approve(scene.Carol, "--decline")
	s.pushEvidence()
	if after := size(); after.Size != before.Size+1 {
		t.Errorf("the server's log has %d entries, had %d", after.Size, before.Size)
	}
}

// Where junk lies on the ref all the same, pruning it is not losing evidence; dropping evidence
// with it is.
func TestEvidencePruned(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	const ref = "refs/sallyport/evidence"
	s.agentWork("work")
	s.AttestRun("main", "HEAD")
	s.Approve(scene.Bob)
	s.pushEvidence()
	junk := s.WriteObject("blob", []byte(`{"verificationMaterial":{"publicKey":{"hint":"x"}}}`))
	good := s.Git("ls-tree", ref)
	dirty, err := s.TryGit(scene.Who(scene.Mallory), []byte(good+"\n100644 blob "+junk+"\tjunk.json\n"), "mktree")
	if err != nil {
		t.Fatal(err)
	}
	tip := s.Git("commit-tree", "-p", ref, "-m", "x", dirty)
	s.Git("push", "-q", s.server, tip+":refs/heads/side") // not gated; brings the objects
	if _, err := s.onServer("update-ref", ref, tip); err != nil {
		t.Fatal(err)
	}
	run := sallyport.SHA256(s.KeptOf(predicate.AgentRunType)[0]).Hex()[:32]
	a := s.push("--force", s.Git("commit-tree", "-m", "x", s.Git("mktree", "--missing"))+":"+ref)
	s.refused(a, ref, tip)
	if !strings.Contains(a.remote(), "2 of 3 attestations on the server would be lost") {
		t.Errorf("got %s", a.remote())
	}
	s.Must("evidence", "prune", "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--remote", s.server)
	if got, err := s.onServer("ls-tree", "-r", "--name-only", ref); err != nil || strings.Contains(got, "junk") || !strings.Contains(got, run) {
		t.Errorf("the server holds %q, %v", got, err)
	}
}
