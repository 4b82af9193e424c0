package tessera

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

const testOrigin = "log.example/test"

// A fixture is a new log, its key, and everything that Append acknowledged.
type fixture struct {
	dir    string
	signer note.Signer
	key    string
	acked  map[uint64][]byte
	head   tlog.Head
}

func newKey(t testing.TB, name string) (note.Signer, string) {
	t.Helper()
	s, vk, _ := newSigningKey(t, name)
	return s, vk
}

func newSigningKey(t testing.TB, name string) (s note.Signer, verifierKey, signingKey string) {
	t.Helper()
	sk, vk, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = note.NewSigner(sk); err != nil {
		t.Fatal(err)
	}
	return s, vk, sk
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f, _ := newFixtureWithKey(t)
	return f
}

func newFixtureWithKey(t testing.TB) (_ *fixture, signingKey string) {
	t.Helper()
	f := &fixture{dir: filepath.Join(t.TempDir(), "log"), acked: map[uint64][]byte{}}
	f.signer, f.key, signingKey = newSigningKey(t, testOrigin)
	h, err := Create(t.Context(), f.dir, testOrigin, f.signer)
	if err != nil {
		t.Fatal(err)
	}
	f.head = h
	return f, signingKey
}

func (f *fixture) options() Options {
	return Options{Origin: testOrigin, Signer: f.signer, VerifierKey: f.key, Known: &f.head}
}

func (f *fixture) open(t testing.TB) *Log {
	t.Helper()
	l, err := Open(t.Context(), f.dir, f.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func testDigest(i int) sallyport.Digest { return sallyport.SHA256(fmt.Appendf(nil, "%d", i)) }

func leafOf(t testing.TB, i int) []byte {
	t.Helper()
	b, err := tlog.Leaf("decision", testDigest(i))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// grow appends n leaves in one session, many at once so that it is quick.
func (f *fixture) grow(t testing.TB, n int) {
	t.Helper()
	l := f.open(t)
	type result struct {
		leaf  []byte
		index uint64
		head  tlog.Head
		err   error
	}
	results := make(chan result)
	slots := make(chan struct{}, 512)
	start := len(f.acked)
	for i := range n {
		leaf := leafOf(t, start+i)
		go func() {
			slots <- struct{}{}
			index, head, err := l.Append(context.Background(), leaf)
			<-slots
			results <- result{leaf, index, head, err}
		}()
	}
	for range n {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		if f.acked[r.index] != nil {
			t.Fatalf("index %d was given twice", r.index)
		}
		f.acked[r.index] = r.leaf
		if r.head.Size > f.head.Size {
			f.head = r.head
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// check verifies the whole log and finds every acknowledged entry at its index.
func (f *fixture) check(t testing.TB) Report {
	t.Helper()
	rep, err := Verify(t.Context(), f.dir, f.key, &f.head)
	if err != nil {
		t.Fatal(err)
	}
	got := map[uint64]Entry{}
	r := NewReader(f.dir, f.key)
	for from := uint64(0); from < rep.Head.Size; {
		es, err := r.Entries(t.Context(), from, MaxEntries)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			got[e.Index] = e
		}
		from += uint64(len(es))
	}
	for index, leaf := range f.acked {
		kind, d, err := tlog.ParseLeaf(leaf)
		if err != nil {
			t.Fatal(err)
		}
		if e := got[index]; e.Kind != kind || e.Digest != d {
			t.Errorf("entry %d is %s %s, acknowledged was %s %s", index, e.Kind, e.Digest, kind, d)
		}
	}
	return rep
}

// copyDir is what a backup does, and an attacker who restores one.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// age makes the published checkpoint look old.
func age(t testing.TB, dir string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "checkpoint"), old, old); err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}
