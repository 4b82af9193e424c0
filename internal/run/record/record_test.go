package record

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func header(run string) Header {
	return Header{Run: run, Repository: "example.com/repo", Operator: "ada", Agent: "agent 1.0", Supervisor: "sallyport test"}
}

type body struct {
	N int `json:"n"`
}

func create(t *testing.T, o Options) *Writer {
	t.Helper()
	w, err := CreateWith(filepath.Join(t.TempDir(), "rec"), header("run-1"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func appendN(t *testing.T, w *Writer, n int) {
	t.Helper()
	for i := range n {
		if _, err := w.Append(KindProcess, body{i}); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(t *testing.T, dir string) []Entry {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []Entry
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestSealed(t *testing.T) {
	var closed []Closed
	w := create(t, Options{MaxBytes: 600, Closed: func(c Closed) { closed = append(closed, c) }})
	appendN(t, w, 10)
	c := w.Commit("prompt", []byte("hello"))
	if _, err := w.Append(KindRequest, body{1}, c); err != nil {
		t.Fatal(err)
	}
	seal, err := w.Seal(End{Conclusion: "success"})
	if err != nil {
		t.Fatal(err)
	}
	got := readAll(t, w.Dir())
	if len(got) != 12 || int64(len(got)) != seal.Records || got[11].Head != seal.Head || got[11].Kind != KindEnd {
		t.Errorf("%d entries, seal %+v", len(got), seal)
	}
	if len(closed) != seal.Segments || !closed[len(closed)-1].Last || closed[len(closed)-1].Head != seal.Head || seal.Segments < 2 {
		t.Errorf("closed %+v", closed)
	}
	if _, err := w.Append(KindWrite, body{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the seal: %v", err)
	}
	if _, _, err := Resume(w.Dir(), Options{}); !errors.Is(err, ErrSealed) {
		t.Errorf("resumed: %v", err)
	}
	if _, err := Create(w.Dir(), header("run-2")); !errors.Is(err, ErrExists) {
		t.Errorf("created over a record: %v", err)
	}
	// Nobody but the owner reads any of it.
	err = filepath.WalkDir(w.Dir(), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Many append at once: each acknowledged entry is there, once, in the order of its number.
func TestConcurrent(t *testing.T) {
	w := create(t, Options{MaxBytes: 20_000})
	var wg sync.WaitGroup
	var mu sync.Mutex
	heads := map[int64]Head{}
	for i := range 64 {
		wg.Go(func() {
			for j := range 10 {
				e, err := w.Append(KindRequest, body{i*100 + j}, w.Commit("prompt", fmt.Appendf(nil, "%d %d", i, j)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				heads[e.Seq] = e.Head
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	n, sum := w.Prompts()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, w.Dir())
	if len(got) != 640 || n != 640 {
		t.Fatalf("%d entries, %d requests", len(got), n)
	}
	for _, e := range got {
		if heads[e.Seq] != e.Head {
			t.Errorf("entry %d was acknowledged with another head", e.Seq)
		}
	}
	// The commitment to all requests is the same after the record was taken up again.
	w2, rec, err := Resume(w.Dir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w2.Close()
	if n2, sum2 := w2.Prompts(); n2 != n || sum2 != sum || rec.Records != 640 || rec.Bytes != 0 {
		t.Errorf("resumed: %d %s, %+v; want %d %s", n2, sum2, rec, n, sum)
	}
}

// A maker that was killed before the header was written left nothing that stands in the way; a record
// that lost its header is not written over.
func TestUnborn(t *testing.T) {
	w := create(t, Options{})
	w.Close()
	if err := os.Remove(filepath.Join(w.Dir(), headerFile)); err != nil {
		t.Fatal(err)
	}
	w, err := Create(w.Dir(), header("run-1"))
	if err != nil {
		t.Fatal(err)
	}
	appendN(t, w, 1)
	w.Close()
	if err := os.Remove(filepath.Join(w.Dir(), headerFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(w.Dir(), header("run-1")); err == nil || !strings.Contains(err.Error(), "holds entries") {
		t.Errorf("written over entries: %v", err)
	}
}

// A disk that is full, or a folder that went read-only: what can't be written is refused and undone, and
// the record goes on once it can.
func TestWriteFails(t *testing.T) {
	w := create(t, Options{})
	appendN(t, w, 1)
	good := w.file
	bad, err := os.Open(filepath.Join(w.Dir(), segmentName(1))) // not for writing
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	w.file = bad
	if _, err := w.Append(KindWrite, body{1}); err == nil {
		t.Fatal("acknowledged what was not written")
	}
	w.file = good
	e, err := w.Append(KindWrite, body{2})
	if err != nil || e.Seq != 2 {
		t.Fatalf("after the failure: %d, %v", e.Seq, err)
	}
	w.Close()
	if got := readAll(t, w.Dir()); len(got) != 2 {
		t.Errorf("%d entries, want 2", len(got))
	}
}

func TestTwoWriters(t *testing.T) {
	w := create(t, Options{})
	if _, _, err := Resume(w.Dir(), Options{}); err == nil || !strings.Contains(err.Error(), "another process writes") {
		t.Errorf("second writer: %v", err)
	}
}

// The last write of a writer that was killed is cut at every byte: what was whole stays, and what was
// not is put aside and told.
func TestTornAtEveryByte(t *testing.T) {
	w := create(t, Options{})
	appendN(t, w, 2)
	seg := filepath.Join(w.Dir(), segmentName(1))
	before, err := os.ReadFile(seg)
	if err != nil {
		t.Fatal(err)
	}
	appendN(t, w, 2)
	w.Close()
	after, err := os.ReadFile(seg)
	if err != nil {
		t.Fatal(err)
	}
	hdr, err := os.ReadFile(filepath.Join(w.Dir(), headerFile))
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(before); cut <= len(after); cut++ {
		for _, junk := range []string{[]string{"", "\x00\x00\x00", "\n\n"}[cut%3]} {
			dir := filepath.Join(t.TempDir(), "rec")
			for name, b := range map[string][]byte{headerFile: hdr, segmentName(1): append(after[:cut:cut], junk...)} {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w, rec, err := Resume(dir, Options{})
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			w.Close()
			want := int64(2 + strings.Count(string(after[len(before):cut]), "\n"))
			if junk == "\n\n" && cut < len(after) && after[cut] == '\n' {
				want++ // the junk is what was missing
			}
			got := readAll(t, dir)
			if rec.Records != want || int64(len(got)) != want+1 || got[want].Kind != KindRecovered {
				t.Fatalf("cut at %d: %+v, %d entries; want %d", cut, rec, len(got), want)
			}
			if total := rec.Offset + rec.Bytes; total != int64(cut+len(junk)) {
				t.Fatalf("cut at %d: %d bytes are accounted for", cut, total)
			}
		}
	}
}
