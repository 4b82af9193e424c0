package tlog_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

const origin = "log.example/test"

// A memLog is a log in memory: the plainest implementation of RFC 6962 that there is.
type memLog struct {
	signer note.Signer
	key    string
	leaves [][]byte
}

func newMemLog(t testing.TB, n int) *memLog {
	t.Helper()
	sk, vk, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(sk)
	if err != nil {
		t.Fatal(err)
	}
	m := &memLog{signer: s, key: vk}
	for i := range n {
		leaf, err := tlog.Leaf("decision", sallyport.SHA256(fmt.Appendf(nil, "%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		m.leaves = append(m.leaves, leaf)
	}
	return m
}

// node is the hash of the perfect subtree at a level and index.
func (m *memLog) node(level uint, index uint64) []byte {
	if level == 0 {
		return rfc6962.DefaultHasher.HashLeaf(m.leaves[index])
	}
	return rfc6962.DefaultHasher.HashChildren(m.node(level-1, 2*index), m.node(level-1, 2*index+1))
}

func (m *memLog) head(t testing.TB, n uint64) tlog.Head {
	t.Helper()
	rf := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	r := rf.NewEmptyRange(0)
	for i := range n {
		if err := r.Append(m.node(0, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 {
		return tlog.Head{Root: rfc6962.DefaultHasher.EmptyRoot()}
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Head{Size: n, Root: root}
}

func (m *memLog) hashes(t testing.TB, nodes proof.Nodes) [][]byte {
	t.Helper()
	var hs [][]byte
	for _, id := range nodes.IDs {
		hs = append(hs, m.node(id.Level, id.Index))
	}
	hs, err := nodes.Rehash(hs, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

func (m *memLog) checkpoint(t testing.TB, body string) []byte {
	t.Helper()
	text, err := note.Sign(&note.Note{Text: body}, m.signer)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (m *memLog) prove(t testing.TB, index, size uint64) tlog.Proof {
	t.Helper()
	cp, err := tlog.OpenCheckpoint(m.checkpoint(t, tlog.CheckpointBody(origin, m.head(t, size))), m.key)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.NewProof(index, m.leaves[index], m.hashes(t, nodes), cp)
}

func TestProofs(t *testing.T) {
	m := newMemLog(t, 40)
	for size := uint64(1); size <= 40; size += 3 {
		for index := range size {
			p := m.prove(t, index, size)
			b, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			q, err := tlog.ParseProof(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.VerifyProof(q, m.leaves[index], m.key); err != nil {
				t.Errorf("entry %d in size %d: %v", index, size, err)
			}
		}
	}
}

// Each way to bend a good proof. None verifies.
func TestBentProofs(t *testing.T) {
	m, other := newMemLog(t, 20), newMemLog(t, 20)
	for _, tt := range []struct {
		name string
		bend func(p *tlog.Proof)
		want error
	}{
		{"another leaf", func(p *tlog.Proof) { p.Leaf = string(m.leaves[6]) }, tlog.ErrProof},
		{"another index", func(p *tlog.Proof) { p.Index++ }, tlog.ErrProof},
		{"index beyond the tree", func(p *tlog.Proof) { p.Index = 20 }, tlog.ErrProof},
		{"another tree size", func(p *tlog.Proof) { p.TreeSize++ }, tlog.ErrProof},
		{"another origin", func(p *tlog.Proof) { p.Origin = "log.example/other" }, tlog.ErrProof},
		{"a changed hash", func(p *tlog.Proof) { p.Hashes[0][0] ^= 1 }, tlog.ErrProof},
		{"a missing hash", func(p *tlog.Proof) { p.Hashes = p.Hashes[1:] }, tlog.ErrProof},
		{"a hash too many", func(p *tlog.Proof) { p.Hashes = append(p.Hashes, p.Hashes[0]) }, tlog.ErrProof},
		{"a short hash", func(p *tlog.Proof) { p.Hashes[0] = p.Hashes[0][:31] }, tlog.ErrProof},
		{"a thousand hashes", func(p *tlog.Proof) { p.Hashes = make([][]byte, 1000) }, tlog.ErrProof},
		{"a checkpoint of another size", func(p *tlog.Proof) { p.Checkpoint = m.prove(t, 5, 19).Checkpoint }, tlog.ErrProof},
		{"a checkpoint by another key", func(p *tlog.Proof) { p.Checkpoint = other.prove(t, 5, 20).Checkpoint }, tlog.ErrForeign},
		{"no checkpoint", func(p *tlog.Proof) { p.Checkpoint = "" }, tlog.ErrCheckpoint},
		{"an unsigned checkpoint", func(p *tlog.Proof) { p.Checkpoint, _, _ = strings.Cut(p.Checkpoint, "\n\n") }, tlog.ErrCheckpoint},
		{"an unknown version", func(p *tlog.Proof) { p.Version = "v2" }, tlog.ErrProof},
		{"the zero proof", func(p *tlog.Proof) { *p = tlog.Proof{} }, tlog.ErrProof},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := m.prove(t, 5, 20)
			tt.bend(&p)
			if err := tlog.VerifyProof(p, m.leaves[5], m.key); !errors.Is(err, tt.want) || !errors.Is(err, tlog.ErrProof) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if err := tlog.VerifyProof(m.prove(t, 5, 20), m.leaves[5], other.key); !errors.Is(err, tlog.ErrForeign) {
		t.Errorf("under another key: %v", err)
	}
}

func TestConsistency(t *testing.T) {
	m, fork := newMemLog(t, 30), newMemLog(t, 30)
	fork.leaves[3] = fork.leaves[4]
	for older := uint64(0); older <= 30; older++ {
		for newer := older; newer <= 30; newer++ {
			nodes, err := proof.Consistency(older, newer)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.VerifyConsistency(m.head(t, older), m.head(t, newer), m.hashes(t, nodes)); err != nil {
				t.Errorf("%d to %d: %v", older, newer, err)
			}
			if older > 4 {
				err := tlog.VerifyConsistency(fork.head(t, older), m.head(t, newer), m.hashes(t, nodes))
				if !errors.Is(err, tlog.ErrRewritten) {
					t.Errorf("fork, %d to %d: %v", older, newer, err)
				}
			}
		}
	}
	if err := tlog.VerifyConsistency(m.head(t, 9), m.head(t, 8), nil); !errors.Is(err, tlog.ErrRolledBack) {
		t.Errorf("backwards: %v", err)
	}
	if err := tlog.VerifyConsistency(tlog.Head{}, m.head(t, 8), nil); err == nil {
		t.Error("the zero head is a state")
	}
}

func TestLeaf(t *testing.T) {
	d := sallyport.SHA256([]byte("x"))
	b, err := tlog.Leaf("decision", d)
	if err != nil {
		t.Fatal(err)
	}
	if want := "sallyport.dev/log/v1 decision " + string(d) + "\n"; string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
	longest, err := tlog.Leaf(strings.Repeat("k", 32), d)
	if err != nil || len(longest) > tlog.MaxLeaf {
		t.Errorf("the longest leaf has %d bytes (%v)", len(longest), err)
	}
	for _, kind := range []string{"", "Decision", "a b", "a\n", "-a", "a-", "9a", "é", strings.Repeat("k", 33)} {
		if _, err := tlog.Leaf(kind, d); !errors.Is(err, tlog.ErrLeaf) {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
	for _, d := range []sallyport.Digest{"", "sha256:", sallyport.GitCommit(strings.Repeat("a", 40)), "sha256:" + sallyport.Digest(strings.Repeat("A", 64))} {
		if _, err := tlog.Leaf("decision", d); !errors.Is(err, tlog.ErrLeaf) {
			t.Errorf("digest %q: %v", d, err)
		}
	}
}

func TestCheckpointRefuses(t *testing.T) {
	m := newMemLog(t, 3)
	root := strings.Split(tlog.CheckpointBody(origin, m.head(t, 3)), "\n")[2]
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"another origin", "log.example/other\n3\n" + root + "\n", tlog.ErrForeign},
		{"an extension line", origin + "\n3\n" + root + "\nmore\n", tlog.ErrCheckpoint},
		{"two lines", origin + "\n3\n", tlog.ErrCheckpoint},
		{"a size with a plus", origin + "\n+3\n" + root + "\n", tlog.ErrCheckpoint},
		{"a size with a leading zero", origin + "\n03\n" + root + "\n", tlog.ErrCheckpoint},
		{"a negative size", origin + "\n-3\n" + root + "\n", tlog.ErrCheckpoint},
		{"a size beyond 63 bits", origin + "\n9223372036854775808\n" + root + "\n", tlog.ErrCheckpoint},
		{"a short root", origin + "\n3\nAAAA\n", tlog.ErrCheckpoint},
		{"a root that is not base64", origin + "\n3\n!\n", tlog.ErrCheckpoint},
		{"a root with stray bits", origin + "\n3\n" + root[:42] + "F=\n", tlog.ErrCheckpoint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tlog.OpenCheckpoint(m.checkpoint(t, tt.body), m.key); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if _, err := tlog.OpenCheckpoint(bytes.Repeat([]byte("a"), tlog.MaxCheckpoint+1), m.key); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("a huge one: %v", err)
	}
	if _, err := tlog.OpenCheckpoint(m.checkpoint(t, tlog.CheckpointBody(origin, m.head(t, 3))), "junk"); err == nil {
		t.Error("a key that is none was accepted")
	}
}

// What parses as a leaf is what Leaf makes.
func FuzzParseLeaf(f *testing.F) {
	d := sallyport.SHA256(nil)
	f.Add([]byte("sallyport.dev/log/v1 decision " + string(d) + "\n"))
	f.Add([]byte("sallyport.dev/log/v1 decision " + string(d)))
	f.Add([]byte("sallyport.dev/log/v1  decision " + string(d) + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, d, err := tlog.ParseLeaf(b)
		if err != nil {
			return
		}
		again, err := tlog.Leaf(kind, d)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q parsed as %s %s, which makes %q (%v)", b, kind, d, again, err)
		}
	})
}

// Whatever a proof's bytes are turned into, it verifies only for the leaf at the index that it was
// made for.
func FuzzVerifyProof(f *testing.F) {
	m := newMemLog(f, 11)
	for _, index := range []uint64{0, 5, 10} {
		b, err := m.prove(f, index, 11).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := tlog.ParseProof(b)
		if err != nil {
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
		if tlog.VerifyProof(p, []byte(p.Leaf), m.key) != nil {
			return
		}
		if p.Index >= 11 || p.Leaf != string(m.leaves[p.Index]) {
			t.Errorf("verified: %+v", p)
		}
	})
}

// A body that opens is in its one spelling.
func FuzzOpenCheckpoint(f *testing.F) {
	m := newMemLog(f, 3)
	f.Add(tlog.CheckpointBody(origin, m.head(f, 3)))
	f.Add(origin + "\n03\nAAAA\n")
	f.Fuzz(func(t *testing.T, body string) {
		text, err := note.Sign(&note.Note{Text: body}, m.signer)
		if err != nil {
			return
		}
		cp, err := tlog.OpenCheckpoint(text, m.key)
		if err == nil && tlog.CheckpointBody(cp.Origin, cp.Head) != body {
			t.Errorf("%q opened as %+v", body, cp)
		}
	})
}
