package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// A made log is written by this test alone, from the specification.
type made struct {
	t      testing.TB
	dir    string
	key    tlog.Key
	leaves [][]byte
}

func newLog(t testing.TB, n int) *made {
	t.Helper()
	k, err := tlog.NewKey("example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	m := &made{t: t, dir: t.TempDir(), key: k}
	m.grow(n)
	return m
}

func (m *made) grow(n int) tlog.Head {
	m.t.Helper()
	for range n {
		i := len(m.leaves)
		kind := "decision"
		if i%100 == 7 {
			kind = "revocation"
		}
		leaf, err := tlog.Leaf(kind, sallyport.SHA256(fmt.Append(nil, i)))
		if err != nil {
			m.t.Fatal(err)
		}
		m.leaves = append(m.leaves, leaf)
	}
	for from := 0; from < len(m.leaves); from += width {
		to := min(from+width, len(m.leaves))
		var b []byte
		for _, l := range m.leaves[from:to] {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(l))), l...)
		}
		m.write(partial(entriesPath(uint64(from/width)), uint64(to-from)), b)
	}
	return m.sign(time.Unix(1_800_000_000, 0))
}

func (m *made) sign(at time.Time) tlog.Head {
	m.t.Helper()
	f := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	r := f.NewEmptyRange(0)
	root := rfc6962.DefaultHasher.EmptyRoot()
	for _, l := range m.leaves {
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(l), nil); err != nil {
			m.t.Fatal(err)
		}
	}
	if len(m.leaves) > 0 {
		var err error
		if root, err = r.GetRootHash(nil); err != nil {
			m.t.Fatal(err)
		}
	}
	h := tlog.Head{Size: uint64(len(m.leaves)), Root: root}
	d, err := m.key.Dated(func() time.Time { return at })
	if err != nil {
		m.t.Fatal(err)
	}
	text, err := note.Sign(&note.Note{Text: tlog.CheckpointBody(m.key.Origin, h)}, m.key.Signer, d)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("checkpoint", text)
	return h
}

func (m *made) write(path string, b []byte) {
	m.t.Helper()
	p := filepath.Join(m.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(p, b, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *made) read(known *tlog.Head) (Snapshot, error) {
	l, err := New("file://" + m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	return l.Read(context.Background(), m.key.Verifier, known, "revocation")
}

func TestRead(t *testing.T) {
	for _, n := range []int{0, 1, 8, 255, 256, 257, 700} {
		m := newLog(t, n)
		s, err := m.read(nil)
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		if want := (n + 92) / 100; len(s.Entries) != want || s.Checkpoint.Size != uint64(n) || !s.Time.Equal(time.Unix(1_800_000_000, 0)) {
			t.Errorf("%d entries: got %d of them, size %d, time %v, want %d", n, len(s.Entries), s.Checkpoint.Size, s.Time, want)
		}
		for _, e := range s.Entries {
			if e.Digest != sallyport.SHA256(fmt.Append(nil, e.Index)) || e.Kind != "revocation" {
				t.Errorf("entry %+v", e)
			}
		}
	}
}

func TestReadOverHTTP(t *testing.T) {
	m := newLog(t, 300)
	files := http.FileServer(http.Dir(m.dir))
	mux := http.NewServeMux()
	mux.Handle("/log/", http.StripPrefix("/log/", files))
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/log/checkpoint", http.StatusFound) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for path, want := range map[string]error{"/log": nil, "/log/": nil, "/nowhere": tlog.ErrMissing, "/moved": tlog.ErrMissing} {
		l, err := New(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Read(t.Context(), m.key.Verifier, nil, "revocation")
		if !errors.Is(err, want) || (want == nil && (err != nil || len(s.Entries) != 3)) {
			t.Errorf("%s: %d entries, %v, want %v", path, len(s.Entries), err, want)
		}
	}
}

// Each way in which a log can lie, and the same log without the lie is read.
func TestLies(t *testing.T) {
	for _, tt := range []struct {
		name string
		lie  func(m *made)
		want error
	}{
		{"an entry is another", func(m *made) {
			leaf, _ := tlog.Leaf("decision", sallyport.SHA256([]byte("x")))
			h := m.leaves[7]
			m.leaves[7] = leaf
			m.rewrite()
			m.leaves[7] = h
		}, tlog.ErrRewritten},
		{"an entry is hidden", func(m *made) {
			all := m.leaves
			m.leaves = append(append([][]byte{}, all[:7]...), all[8:]...)
			m.rewrite()
			m.leaves = all
		}, tlog.ErrRewritten},
		{"a bundle is missing", func(m *made) { os.RemoveAll(filepath.Join(m.dir, "tile/entries/000")) }, tlog.ErrRewritten},
		{"a bundle is cut short", func(m *made) { m.write("tile/entries/000", []byte{0, 9, 1}) }, tlog.ErrRewritten},
		{"a bundle is too large", func(m *made) { m.write("tile/entries/000", make([]byte, maxBundle+1)) }, tlog.ErrRewritten},
		{"it was rewritten since", func(m *made) { m.leaves[7] = m.leaves[8]; m.grow(0) }, tlog.ErrRewritten},
		{"it was rolled back", func(m *made) { m.leaves = m.leaves[:200]; m.grow(0) }, tlog.ErrRolledBack},
		{"another key signed", func(m *made) {
			k, err := tlog.NewKey(m.key.Origin)
			if err != nil {
				m.t.Fatal(err)
			}
			mine := m.key
			m.key = k
			m.sign(time.Unix(1_800_000_000, 0))
			m.key = mine
		}, tlog.ErrForeign},
		{"no checkpoint", func(m *made) { os.Remove(filepath.Join(m.dir, "checkpoint")) }, tlog.ErrMissing},
		{"a checkpoint that is none", func(m *made) { m.write("checkpoint", []byte("x")) }, tlog.ErrRewritten},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newLog(t, 299)
			known := m.grow(0)
			m.grow(1)
			if _, err := m.read(&known); err != nil {
				t.Fatalf("before the lie: %v", err)
			}
			tt.lie(m)
			if s, err := m.read(&known); !errors.Is(err, tt.want) || len(s.Entries) != 0 {
				t.Errorf("got %d entries, %v, want %v", len(s.Entries), err, tt.want)
			}
		})
	}
}

// rewrite writes the bundles and leaves the checkpoint.
func (m *made) rewrite() {
	text, err := os.ReadFile(filepath.Join(m.dir, "checkpoint"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.grow(0)
	m.write("checkpoint", text)
}

func TestPaths(t *testing.T) {
	for index, want := range map[uint64]string{0: "tile/entries/000", 999: "tile/entries/999", 1000: "tile/entries/x001/000", 1234067: "tile/entries/x001/x234/067"} {
		if got := entriesPath(index); got != want {
			t.Errorf("%d: got %s, want %s", index, got, want)
		}
	}
	if _, err := New("ftp://example.com/log"); err == nil {
		t.Error("accepted ftp")
	}
}

// FuzzEntries: what is read as a bundle is written again byte for byte.
func FuzzEntries(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 0})
	f.Add([]byte{0, 5, 'a'})
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseEntries(b)
		if err != nil {
			return
		}
		var out []byte
		for _, e := range entries {
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(e))), e...)
		}
		if string(out) != string(b) || len(entries) > width {
			t.Errorf("read %x, wrote %x", b, out)
		}
	})
}
