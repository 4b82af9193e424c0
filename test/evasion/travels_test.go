package evasion

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/predicate"
	"github.com/sallyport-dev/sallyport/test/scene"
)

const evidenceRef = "refs/sallyport/evidence"

// travels are attacks on evidence on its way: the ref that carries it, and the log of somebody
// else that says what takes something back. What is kept here is on the ref alone.
var travels = []row{
	{
		name: "evidence ref deleted", attack: "the ref by which evidence travels is deleted", from: approved,
		do: onRef(func(s *scene.Scene) { s.Git("update-ref", "-d", evidenceRef) }), status: sallyport.ExitShut,
		codes: []string{"approval-missing", "attestation-missing"},
	},
	{
		name: "evidence ref rewound", attack: "the ref is set back to before the last approval", from: approved,
		do: onRef(func(s *scene.Scene) { s.Git("update-ref", evidenceRef, evidenceRef+"^") }), status: sallyport.ExitWaiting,
		codes: waits,
	},
	{
		name: "evidence under another name", attack: "the evidence of the run is moved to where nobody looks for it", from: attested,
		do: onRef(func(s *scene.Scene) {
			id := strings.Fields(s.Git("ls-tree", "-r", evidenceRef))[2]
			importInto(s, func(w *bufio.Writer) { fmt.Fprintf(w, "deleteall\nM 100644 %s ff/00000000000000-00.json\n", id) })
		}), status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "evidence ref flooded", attack: fmt.Sprintf("%d files in the name of a reviewer's key, among which an objection could be; the twin's name nobody who counts", floodFiles), from: approved,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			flood(s, either(attack, fingerprint(s, scene.Bob), "SHA256:nobody"), floodFiles)
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "evidence-flood",
	},
	{
		name: "evidence of 200 MB", attack: fmt.Sprintf("the evidence of the run is overwritten with %d MiB of nothing", bigEvidence>>20), from: attested,
		do: onRef(func(s *scene.Scene) {
			names := strings.Fields(s.Git("ls-tree", "-r", "--name-only", evidenceRef))
			big := s.WriteObject("blob", make([]byte, bigEvidence))
			importInto(s, func(w *bufio.Writer) {
				for _, n := range names {
					fmt.Fprintf(w, "M 100644 %s %s\n", big, n)
				}
			})
		}),
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "hidden revocation", attack: "a revocation that somebody else's log holds is taken off the ref", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s, owner := follow(s)
			workToApprove(s)
			first := s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			before := blobs(s)
			s.Must("approval", "revoke", string(first), "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--key", s.KeyRef(scene.Bob), "--state", owner)
			s.Must("log", "checkpoint", "--repo", s.Repo, "--state", owner)
			revoked := blobs(s)
			s.Approve(scene.Bob)
			if attack {
				importInto(s, func(w *bufio.Writer) {
					for path, id := range revoked {
						if before[path] != id {
							fmt.Fprintf(w, "D %s\n", path)
						}
					}
				})
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "evidence-gap",
	},
	{
		name: "hidden revocation of an exception", attack: "the revocation of an exception that somebody else's log holds is taken off the ref", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s, owner := follow(s)
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			first := s.Sign(exceptionOf(s, scene.Erin, nil), scene.Erin)
			s.Keep(first)
			s.Must("evidence", "publish", "--repo", s.Repo)
			before := blobs(s)
			s.Must("exception", "revoke", string(sallyport.SHA256(first)), "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--key", s.KeyRef(scene.Erin), "--state", owner)
			s.Must("log", "checkpoint", "--repo", s.Repo, "--state", owner)
			revoked := blobs(s)
			s.Keep(s.Sign(exceptionOf(s, scene.Erin, func(p *predicate.Exception) { p.Nonce = strings.Repeat("1e", 16) }), scene.Erin))
			if attack {
				importInto(s, func(w *bufio.Writer) {
					for path, id := range revoked {
						if before[path] != id {
							fmt.Fprintf(w, "D %s\n", path)
						}
					}
				})
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "evidence-gap",
	},
	{
		name: "stale checkpoint", attack: "the newest checkpoint of the log is older than policy allows", from: plain,
		do: followed(func(s *scene.Scene, owner string) {
			sign(s, owner, func(k tlog.Key) []note.Signer { return []note.Signer{k.Signer, dated(s, k, 2*time.Hour)} })
		}),
		status: sallyport.ExitUndecided, says: "log-stale",
	},
	{
		name: "checkpoint without a time", attack: "the time is taken off the checkpoint", from: plain,
		do: followed(func(s *scene.Scene, owner string) {
			sign(s, owner, func(k tlog.Key) []note.Signer { return []note.Signer{k.Signer} })
		}),
		status: sallyport.ExitUndecided, says: "log-stale",
	},
	{
		name: "checkpoint dated by another key", attack: "the checkpoint is old, and somebody else's key dates it anew", from: plain,
		do: followed(func(s *scene.Scene, owner string) {
			sign(s, owner, func(k tlog.Key) []note.Signer {
				other, err := tlog.NewKey(k.Origin)
				if err != nil {
					s.TB.Fatal(err)
				}
				return []note.Signer{k.Signer, dated(s, other, 0)}
			})
		}),
		status: sallyport.ExitUndecided, says: "log-stale",
	},
	{
		name: "log out of reach", attack: "the log that the configuration names cannot be read", from: plain,
		do:     followed(func(s *scene.Scene, owner string) { remove(s, filepath.Join(owner, "log")) }),
		status: sallyport.ExitUndecided, says: "log-missing",
	},
	{
		name: "external log rolled back", attack: "an older copy of the log is served, signed anew", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s, owner := follow(s)
			workToApprove(s)
			old := filepath.Join(s.Dir, "old")
			s.CopyFolder(filepath.Join(owner, "log"), old)
			s.Check("--state", owner) // the owner decides too, and the log grows
			s.Must("log", "checkpoint", "--repo", s.Repo, "--state", owner)
			s.Approve(scene.Bob)
			s.Approve(scene.Carol)
			s.Check()
			if attack {
				s.CopyFolder(old, filepath.Join(owner, "log"))
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "log-rolled-back",
	},
}

// onRef plays a check in which nothing is kept here, and the attacker has been at the ref.
func onRef(attacker func(s *scene.Scene)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		remove(s, s.State("evidence"))
		if attack {
			attacker(s)
		}
		return s.Check()
	}
}

// workToApprove is an agent's work that two persons have to approve.
func workToApprove(s *scene.Scene) {
	s.Git("switch", "-q", "-c", "work")
	addFeature(s)
	s.Append("deploy/prod.yaml", manifest)
	s.AgentCommit("Wait before a pod is ready")
	s.AttestRun("main", "HEAD")
}

// follow restages a repository whose configuration names a log that lives in another state folder,
// the owner's, and is read where that lies.
func follow(s *scene.Scene) (_ *scene.Scene, owner string) {
	s.TB.Helper()
	owner = filepath.Join(s.Dir, "owner")
	s.Must("log", "init", "--repo", s.Repo, "--state", owner, "--origin", "example.com/log")
	var st struct{ Key string }
	if err := json.Unmarshal([]byte(s.Must("log", "status", "--repo", s.Repo, "--state", owner, "--json")), &st); err != nil {
		s.TB.Fatal(err)
	}
	s = s.Restage(s.TB, scene.Options{Files: map[string]string{
		".sallyport/sallyport.yaml": scene.Config + "log:\n  origin: example.com/log\n  key: " + st.Key +
			"\n  url: file://" + owner + "/log\n  checkpoint_max_age: 1h\n",
	}})
	s.Must("log", "checkpoint", "--repo", s.Repo, "--state", owner)
	return s, owner
}

// followed plays an approved change under somebody else's log, and what the attacker does to it.
func followed(attacker func(s *scene.Scene, owner string)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s, owner := follow(s)
		workToApprove(s)
		s.Approve(scene.Bob)
		s.Approve(scene.Carol)
		if attack {
			attacker(s, owner)
		}
		return s.Check()
	}
}

// sign signs the owner's checkpoint anew.
func sign(s *scene.Scene, owner string, signers func(tlog.Key) []note.Signer) {
	s.TB.Helper()
	secret, err := os.ReadFile(filepath.Join(owner, "log.key"))
	if err != nil {
		s.TB.Fatal(err)
	}
	k, err := tlog.ParseKey(string(secret))
	if err != nil {
		s.TB.Fatal(err)
	}
	file := filepath.Join(owner, "log", "checkpoint")
	text, err := os.ReadFile(file)
	if err != nil {
		s.TB.Fatal(err)
	}
	cp, err := tlog.OpenCheckpoint(text, k.Verifier)
	if err != nil {
		s.TB.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: tlog.CheckpointBody(cp.Origin, cp.Head)}, signers(k)...)
	if err != nil {
		s.TB.Fatal(err)
	}
	if err := os.WriteFile(file, signed, 0o644); err != nil {
		s.TB.Fatal(err)
	}
}

func dated(s *scene.Scene, k tlog.Key, ago time.Duration) note.Signer {
	s.TB.Helper()
	d, err := k.Dated(func() time.Time { return time.Now().Add(-ago) })
	if err != nil {
		s.TB.Fatal(err)
	}
	return d
}

// fingerprint returns that of a key, as bundles name it.
func fingerprint(s *scene.Scene, k scene.Key) string { return s.SSHSigner(k).Fingerprint() }

// blobs returns what the evidence ref holds, by path.
func blobs(s *scene.Scene) map[string]string {
	s.TB.Helper()
	held := map[string]string{}
	for line := range strings.Lines(s.Git("ls-tree", "-r", evidenceRef)) {
		f := strings.Fields(line)
		held[f[3]] = f[2]
	}
	return held
}

// flood puts files onto the evidence ref that name a key and are no evidence, beside what is there.
func flood(s *scene.Scene, hint string, n int) {
	s.TB.Helper()
	var in bytes.Buffer
	tree := bytes.NewBufferString(s.Git("ls-tree", evidenceRef) + "\n")
	for i := range n {
		body := fmt.Sprintf(`{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":%q}},"n":%d}`, evidence.BundleMediaType, hint, i)
		fmt.Fprintf(&in, "blob\ndata %d\n%s\n", len(body), body)
		fmt.Fprintf(tree, "100644 blob %x\t%06d.json\n", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(body), body)), i)
	}
	if _, err := s.TryGit(scene.Who(scene.Mallory), in.Bytes(), "fast-import", "--quiet"); err != nil {
		s.TB.Fatal(err)
	}
	id, err := s.TryGit(scene.Who(scene.Mallory), tree.Bytes(), "mktree", "--missing")
	if err != nil {
		s.TB.Fatal(err)
	}
	s.Git("update-ref", evidenceRef, s.Git("commit-tree", "-p", evidenceRef, "-m", "more", id))
}

// importInto makes a commit on the evidence ref through git fast-import.
func importInto(s *scene.Scene, changes func(w *bufio.Writer)) {
	s.TB.Helper()
	var in bytes.Buffer
	w := bufio.NewWriter(&in)
	fmt.Fprintf(w, "commit %s\ncommitter x <x@example.com> 1700000000 +0000\ndata 1\nx\nfrom %s\n", evidenceRef, s.Rev(evidenceRef))
	changes(w)
	w.Flush()
	if _, err := s.TryGit(scene.Who(scene.Mallory), in.Bytes(), "fast-import", "--quiet", "--force"); err != nil {
		s.TB.Fatal(err)
	}
}
