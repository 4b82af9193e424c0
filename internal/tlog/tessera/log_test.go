package tessera

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/transparency-dev/tessera/client"

	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// One entry after another, and each head is the next one's prefix.
func TestAppendOneByOne(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	for i := range 20 {
		index, head, err := l.Append(t.Context(), leafOf(t, i))
		if err != nil {
			t.Fatal(err)
		}
		if index != uint64(i) || head.Size != uint64(i)+1 {
			t.Fatalf("entry %d got index %d and size %d", i, index, head.Size)
		}
		want, err := newTree(folder(f.dir), head.Size).head(t.Context(), head.Size)
		if err != nil || !want.Equal(head) {
			t.Fatalf("head %v, tiles give %v (%v)", head, want, err)
		}
		f.acked[index], f.head = leafOf(t, i), head
	}
	f.check(t)
}

// Sizes round the places where tiles and their parents fill up, over several sessions.
func TestGrow(t *testing.T) {
	f := newFixture(t)
	for _, n := range []int{1, 254, 1, 1, 255, 1, 300} {
		f.grow(t, n)
		rep := f.check(t)
		if rep.Head.Size != uint64(len(f.acked)) || rep.Kinds["decision"] != rep.Head.Size {
			t.Fatalf("report %+v after %d entries", rep, len(f.acked))
		}
	}
}

// A log with full tiles: proofs, consistency, partial files gone. SALLYPORT_LONG_TESTS fills a
// tile of the second level too, which takes 65,536 entries.
func TestLargeLog(t *testing.T) {
	first, size := 600, 3000
	gone := []string{"tile/0/000.p", "tile/entries/000.p", "tile/entries/010.p"}
	if os.Getenv("SALLYPORT_LONG_TESTS") != "" {
		size = 66_000
		gone = append(gone, "tile/1/000.p", "tile/entries/255.p")
	}
	f := newFixture(t)
	f.grow(t, first)
	early := f.head
	f.grow(t, size-first)
	l := f.open(t)
	for _, index := range []int{0, 255, 256, first - 1, first, 1023, 1024, size - 257, size - 1} {
		p, err := l.Prove(t.Context(), uint64(index))
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.VerifyProof(p, f.acked[uint64(index)], f.key); err != nil {
			t.Error(err)
		}
	}
	cp, hashes, err := l.ProveConsistency(t.Context(), early)
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.VerifyConsistency(early, cp.Head, hashes); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range gone {
		if _, err := os.Stat(filepath.Join(f.dir, p)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there (%v)", p, err)
		}
	}
	f.check(t)
	tail, err := NewReader(f.dir, f.key).Tail(t.Context(), 3)
	if err != nil || len(tail) != 3 || tail[2].Index != uint64(size)-1 {
		t.Errorf("tail %v, %v", tail, err)
	}
}

// The folder is what tlog-tiles says: a client that knows nothing of us follows it.
func TestForeignClient(t *testing.T) {
	f := newFixture(t)
	f.grow(t, 700)
	l := f.open(t)
	if _, err := l.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	ff := client.FileFetcher{Root: f.dir}
	text, err := ff.ReadCheckpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cp, err := tlog.OpenCheckpoint(text, f.key)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := client.NewProofBuilder(t.Context(), cp.Size, ff.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for index := range cp.Size {
		hashes, err := pb.InclusionProof(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.VerifyProof(tlog.NewProof(index, f.acked[index], hashes, cp), f.acked[index], f.key); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing is published for nobody, and the next opener makes up for it.
func TestPublication(t *testing.T) {
	f := newFixture(t)
	f.grow(t, 3)
	r := NewReader(f.dir, f.key)
	if _, err := r.Prove(t.Context(), 2); !errors.Is(err, tlog.ErrUnpublished) {
		t.Fatalf("proof before publication: %v", err)
	}
	age(t, f.dir)
	l := f.open(t)
	// Publication is under way in the background; asking for it joins in.
	cp, err := l.Checkpoint(t.Context())
	if err != nil || cp.Size != 3 {
		t.Fatalf("checkpoint %v, %v", cp.Head, err)
	}
	p, err := r.Prove(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.VerifyProof(p, f.acked[2], f.key); err != nil {
		t.Error(err)
	}
	if _, err := l.Prove(t.Context(), 3); err == nil {
		t.Error("an entry that does not exist was proven")
	}
	l.Close()
	if _, err := l.Checkpoint(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("checkpoint of a closed log: %v", err)
	}
	if _, _, err := l.Append(t.Context(), leafOf(t, 9)); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
}

// Writers that come at once take turns; readers need not wait.
func TestWritersTakeTurns(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range 8 {
		wg.Go(func() {
			l, err := Open(context.Background(), f.dir, Options{Origin: testOrigin, Signer: f.signer, VerifierKey: f.key})
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			index, head, err := l.Append(context.Background(), leafOf(t, i))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			f.acked[index] = leafOf(t, i)
			if head.Size > f.head.Size {
				f.head = head
			}
		})
	}
	wg.Wait()
	if rep := f.check(t); rep.Head.Size != 8 {
		t.Errorf("the log holds %d entries", rep.Head.Size)
	}
}

func TestOpenWaitsNoLongerThanItsContext(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, f.dir, f.options())
	wantErr(t, "second writer", err, durable.ErrHeld)
	if _, err := NewReader(f.dir, f.key).Check(t.Context(), &f.head); err != nil {
		t.Errorf("reader beside a writer: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	f := newFixture(t)
	if _, err := Create(t.Context(), f.dir, testOrigin, f.signer); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a log: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	_, err := Create(t.Context(), other, "log.example/other", f.signer)
	wantErr(t, "create with another name's key", err, tlog.ErrForeign)
	if names, _ := os.ReadDir(filepath.Dir(other)); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestAppendRefusesWhatIsNoLeaf(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte("hello\n"), "two lines": append(leafOf(t, 1), leafOf(t, 2)...),
		"long": []byte(strings.Repeat("x", 1000)),
	} {
		if _, _, err := l.Append(t.Context(), b); !errors.Is(err, tlog.ErrLeaf) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkOpenAppendClose(b *testing.B) {
	f := newFixture(b)
	i := 0
	for b.Loop() {
		l, err := Open(b.Context(), f.dir, f.options())
		if err != nil {
			b.Fatal(err)
		}
		if _, f.head, err = l.Append(b.Context(), leafOf(b, i)); err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkOpenClose(b *testing.B) {
	f := newFixture(b)
	f.grow(b, 1000)
	for b.Loop() {
		l, err := Open(b.Context(), f.dir, f.options())
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
