// Package interop holds what Sallyport makes against programs and libraries of others, and theirs
// against Sallyport, through the built binary.
package interop

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) { os.Exit(scene.Main(m)) }

// A proof is what log prove prints, as docs/log.md describes it; nothing of ours reads it here.
type proof struct {
	Origin     string   `json:"origin"`
	Index      int64    `json:"index"`
	Leaf       string   `json:"leaf"`
	TreeSize   int64    `json:"treeSize"`
	Hashes     [][]byte `json:"hashes"`
	Checkpoint string   `json:"checkpoint"`
}

// verify checks a proof with the Go checksum database's implementation of Merkle trees and signed
// notes, and the note's signature once more with nothing but Ed25519.
func (p proof) verify(t *testing.T, key string, decision sallyport.Digest) string {
	t.Helper()
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(p.Checkpoint), note.VerifierList(v))
	if err != nil {
		return err.Error()
	}
	_, rest, _ := strings.Cut(key, "+") // name, hash and key, which may hold plus signs itself
	_, rest, _ = strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(rest)
	if err != nil || len(raw) != 33 {
		t.Fatalf("key %q: %v", key, err)
	}
	sig, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || !ed25519.Verify(raw[1:], []byte(n.Text), sig[4:]) {
		return "the checkpoint's signature does not verify"
	}
	lines := strings.Split(n.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || lines[0] != p.Origin || size != p.TreeSize {
		return "the checkpoint is of another tree"
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return err.Error()
	}
	if p.Leaf != "sallyport.dev/log/v1 decision "+string(decision)+"\n" {
		return "the entry is another"
	}
	path := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		if copy(path[i][:], h) != tlog.HashSize {
			return "a hash is too short"
		}
	}
	if err := tlog.CheckRecord(path, size, root, p.Index, tlog.RecordHash([]byte(p.Leaf))); err != nil {
		return err.Error()
	}
	return ""
}

// What log prove prints verifies elsewhere, at every place of a log of several sizes, and no longer
// once a bit of it is another.
func TestProof(t *testing.T) {
	s := scene.New(t, scene.Options{})
	s.Git("switch", "-q", "-c", "work")
	var ids []sallyport.Digest
	for i := range 3 {
		s.Append("server.py", "# "+strconv.Itoa(i)+"\n")
		s.AgentCommit("Say " + strconv.Itoa(i))
		ids = append(ids, s.Check().ID)
	}
	var st struct{ Key string }
	if err := json.Unmarshal([]byte(s.Must("log", "status", "--repo", s.Repo, "--json")), &st); err != nil {
		t.Fatal(err)
	}
	// A proof is about the newest checkpoint, which may be of an earlier tree until the last entry is
	// asked for; in a tree of one entry there would be no hash to spoil.
	s.Must("log", "prove", string(ids[len(ids)-1]), "--repo", s.Repo)
	for i, id := range ids {
		out := s.Must("log", "prove", string(id), "--repo", s.Repo)
		var p proof
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			t.Fatal(err)
		}
		if why := p.verify(t, st.Key, id); why != "" {
			t.Errorf("entry %d: %s", i, why)
		}
		for name, spoil := range map[string]func(*proof){
			"another index": func(p *proof) { p.Index = (p.Index + 1) % p.TreeSize },
			"another hash":  func(p *proof) { p.Hashes[0][0] ^= 1 },
			"another root": func(p *proof) {
				p.Checkpoint = strings.Replace(p.Checkpoint, fmt.Sprintf("\n%d\n", p.TreeSize), fmt.Sprintf("\n%d\n", p.TreeSize+1), 1)
			},
			"another decision":  func(p *proof) { p.Leaf = strings.Replace(p.Leaf, "decision", "decline", 1) },
			"a hash is missing": func(p *proof) { p.Hashes = p.Hashes[1:] },
		} {
			var q proof
			if err := json.Unmarshal([]byte(out), &q); err != nil {
				t.Fatal(err)
			}
			spoil(&q)
			if q.verify(t, st.Key, id) == "" {
				t.Errorf("entry %d, %s: it still verifies", i, name)
			}
			if i > 0 {
				continue // ours is asked about one of them
			}
			b, err := json.Marshal(struct {
				Version string `json:"version"`
				proof
			}{"sallyport.dev/log-proof/v1", q})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(s.Dir, "spoilt.json")
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
			if r := s.Sallyport("log", "verify", "--proof", file, "--key", st.Key, "--decision", string(id)); r.Status != sallyport.ExitShut {
				t.Errorf("entry %d, %s: we say %v", i, name, r)
			}
		}
	}
}
