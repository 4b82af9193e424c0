// Package storetest is the suite that every backend of package store passes: what is recorded is
// kept once, read back as it was or refused, and survives the process; what contradicts it is a
// conflict. A backend's own tests add what only it promises, such as its schema.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/store"
)

// A Store is what a backend offers. Package store says what the methods promise.
type Store interface {
	Record(ctx context.Context, r store.Record) error
	Decision(ctx context.Context, idOrPrefix string) (store.Record, error)
	Latest(ctx context.Context, gate sallyport.Gate, subject sallyport.Digest) (store.Record, error)
	List(ctx context.Context, limit int) ([]store.Summary, error)
	PutBlob(ctx context.Context, b []byte) (sallyport.Digest, error)
	Blob(ctx context.Context, d sallyport.Digest) ([]byte, error)
	AddEntry(ctx context.Context, kind string, body []byte) (store.Entry, error)
	Pending(ctx context.Context) ([]store.Entry, error)
	Entries(ctx context.Context, limit int) ([]store.Entry, error)
	Entry(ctx context.Context, kind string, d sallyport.Digest) (store.Entry, error)
	EntriesOf(ctx context.Context, kind string) ([]store.Entry, error)
	Integrated(ctx context.Context, seq int64, index uint64, head store.Head) error
	Logged(ctx context.Context, size uint64) (uint64, error)
	MarkLog(ctx context.Context, m store.Marker, head store.Head) error
	Marker(ctx context.Context) (store.Marker, bool, error)
	KnownHead(ctx context.Context) (store.Head, bool, error)
	Close() error
}

// Run runs the suite. Open returns a new, empty store, or the same one again when it is called
// twice with one name within a test.
func Run(t *testing.T, open func(t *testing.T, name string) Store) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, open func(t *testing.T, name string) Store)
	}{
		{"record and read back", testRecord},
		{"recording again", testRecordAgain},
		{"records that cannot be", testRecordRefuses},
		{"latest and list", testLatest},
		{"shortened ids", testPrefixes},
		{"blobs", testBlobs},
		{"the outbox", testOutbox},
		{"contradictions about the log", testLogConflicts},
		{"the marker", testMarker},
		{"many writers", testConcurrent},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open) })
	}
}

// NewRecord makes the i-th decision about a subject.
func NewRecord(t testing.TB, i int, subject sallyport.Digest) store.Record {
	t.Helper()
	input := fmt.Appendf(nil, `{"input":%d}`, i)
	r, err := store.NewRecord(sallyport.Decision{
		Version: "v1", Gate: sallyport.GateMerge, Subject: sallyport.Subject{Digest: subject},
		Outcome: sallyport.Outcome(i % 3), Time: "2026-01-02T03:04:05Z", Input: sallyport.SHA256(input),
		Advice: []string{fmt.Sprint(i)},
	}, input, fmt.Appendf(nil, "vsa %d", i), []byte("policy set"), fmt.Appendf(nil, "text %d", i))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	subjectA = sallyport.GitCommit(strings.Repeat("a", 40))
	subjectB = sallyport.GitCommit(strings.Repeat("b", 40))
)

// Root returns a root hash for tests.
func Root(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

func equal(t *testing.T, got, want store.Record) {
	t.Helper()
	if got.ID != want.ID || got.Gate != want.Gate || got.Subject != want.Subject || got.Outcome != want.Outcome || got.Time != want.Time ||
		!bytes.Equal(got.Body, want.Body) || !bytes.Equal(got.Input, want.Input) || !bytes.Equal(got.VSA, want.VSA) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func testRecord(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	r := NewRecord(t, 1, subjectA)
	must(t, s.Record(ctx, r))
	must(t, s.Close())
	s = open(t, "a")
	got, err := s.Decision(ctx, string(r.ID))
	must(t, err)
	equal(t, got, r)
	d, err := sallyport.ParseDecision(got.Body)
	must(t, err)
	if d.Subject.Digest != subjectA {
		t.Errorf("subject %s", d.Subject.Digest)
	}
	for _, b := range r.Blobs {
		got, err := s.Blob(ctx, sallyport.SHA256(b))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("blob %q: %q, %v", b, got, err)
		}
	}
	bare := NewRecord(t, 2, subjectB)
	bare.Input, bare.VSA, bare.Blobs = nil, nil, nil
	must(t, s.Record(ctx, bare))
	got, err = s.Decision(ctx, string(bare.ID))
	must(t, err)
	equal(t, got, bare)
}

func testRecordAgain(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	r := NewRecord(t, 1, subjectA)
	must(t, s.Record(ctx, r))
	again := r
	again.VSA = []byte("the same summary, signed at another time")
	must(t, s.Record(ctx, again))
	list, err := s.List(ctx, 10)
	must(t, err)
	pending, err := s.Pending(ctx)
	must(t, err)
	if len(list) != 1 || len(pending) != 1 {
		t.Errorf("%d decisions and %d entries, want one of each", len(list), len(pending))
	}
	got, err := s.Decision(ctx, string(r.ID))
	must(t, err)
	equal(t, got, r)
	other := r
	other.Body = append(bytes.Clone(r.Body), ' ')
	want(t, "same id, other body", s.Record(ctx, other), store.ErrConflict)
}

func testRecordRefuses(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	for name, bend := range map[string]func(*store.Record){
		"no id":           func(r *store.Record) { r.ID = "" },
		"another id":      func(r *store.Record) { r.ID = sallyport.SHA256(nil) },
		"no subject":      func(r *store.Record) { r.Subject = "" },
		"a branch":        func(r *store.Record) { r.Subject = "main" },
		"no gate":         func(r *store.Record) { r.Gate = "" },
		"an unknown gate": func(r *store.Record) { r.Gate = "back door" },
		"no time":         func(r *store.Record) { r.Time = "" },
		"another outcome": func(r *store.Record) { r.Outcome = sallyport.Open },
		"another input":   func(r *store.Record) { r.Input = []byte("{}") },
		"no decision":     func(r *store.Record) { r.Body = []byte("{}"); r.ID = sallyport.SHA256(r.Body) },
		"the zero record": func(r *store.Record) { *r = store.Record{} },
	} {
		r := NewRecord(t, 1, subjectA)
		bend(&r)
		if err := s.Record(ctx, r); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
	pending, err := s.Pending(ctx)
	must(t, err)
	if len(pending) != 0 {
		t.Errorf("refused records left %d entries", len(pending))
	}
}

func testLatest(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	for i := range 6 {
		must(t, s.Record(ctx, NewRecord(t, i, []sallyport.Digest{subjectA, subjectB}[i%2])))
	}
	got, err := s.Latest(ctx, sallyport.GateMerge, subjectA)
	must(t, err)
	equal(t, got, NewRecord(t, 4, subjectA))
	_, err = s.Latest(ctx, sallyport.GateRelease, subjectA)
	want(t, "another gate", err, store.ErrNotFound)
	_, err = s.Latest(ctx, sallyport.GateMerge, sallyport.GitTree(strings.Repeat("a", 40)))
	want(t, "another subject", err, store.ErrNotFound)
	list, err := s.List(ctx, 4)
	must(t, err)
	if len(list) != 4 || list[0].ID != NewRecord(t, 5, subjectB).ID || list[0].Outcome != sallyport.Open || list[3].Seq != 3 {
		t.Errorf("list %+v", list)
	}
	for _, limit := range []int{0, -1} {
		if list, err := s.List(ctx, limit); err != nil || len(list) != 0 {
			t.Errorf("list of %d: %d, %v", limit, len(list), err)
		}
	}
}

func testPrefixes(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	seen, twice := map[string]store.Record{}, ""
	for i := 0; twice == ""; i++ { // two ids of 4 equal digits come after some 300
		r := NewRecord(t, i, subjectA)
		p := r.ID.Hex()[:store.MinPrefix]
		_, dup := seen[p]
		seen[p] = r
		if dup {
			twice = p
		}
		if dup || i < 3 {
			must(t, s.Record(ctx, r))
		}
	}
	for i := 0; ; i++ { // the first of the two
		if r := NewRecord(t, i, subjectA); strings.HasPrefix(r.ID.Hex(), twice) {
			must(t, s.Record(ctx, r))
			break
		}
	}
	_, err := s.Decision(ctx, twice)
	want(t, "a prefix of two", err, store.ErrAmbiguous)
	r := NewRecord(t, 1, subjectA)
	for _, id := range []string{r.ID.Hex()[:16], "sha256:" + r.ID.Hex()[:20], r.ID.Hex()} {
		got, err := s.Decision(ctx, id)
		must(t, err)
		equal(t, got, r)
	}
	for _, id := range []string{"", "sha256:", r.ID.Hex()[:3], strings.Repeat("0", 64), strings.ToUpper(r.ID.Hex()) + "X", "%%%%", "sha256:____", r.ID.Hex() + "0"} {
		_, err := s.Decision(ctx, id)
		want(t, fmt.Sprintf("id %q", id), err, store.ErrNotFound)
	}
}

func testBlobs(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	for _, b := range [][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte{0, 0xff}, 1<<20)} {
		for range 2 {
			d, err := s.PutBlob(ctx, b)
			must(t, err)
			got, err := s.Blob(ctx, d)
			if err != nil || d != sallyport.SHA256(b) || !bytes.Equal(got, b) {
				t.Errorf("blob of %d bytes: %s, %d bytes, %v", len(b), d, len(got), err)
			}
		}
	}
	_, err := s.Blob(ctx, sallyport.SHA256([]byte("absent")))
	want(t, "absent blob", err, store.ErrNotFound)
}

func testOutbox(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	must(t, s.MarkLog(ctx, store.Marker{Origin: "o", VerifierKey: "k", Created: "2026-01-02T03:04:05Z"}, store.Head{Root: Root(0)}))
	must(t, s.Record(ctx, NewRecord(t, 1, subjectA)))
	revocation, err := s.AddEntry(ctx, "revocation", []byte("a revocation"))
	must(t, err)
	again, err := s.AddEntry(ctx, "revocation", []byte("a revocation"))
	must(t, err)
	if revocation != again {
		t.Errorf("the same entry twice: %+v and %+v", revocation, again)
	}
	pending, err := s.Pending(ctx)
	must(t, err)
	if len(pending) != 2 || pending[0].Kind != store.KindDecision || pending[1] != revocation || pending[0].Logged {
		t.Fatalf("pending %+v", pending)
	}
	for range 2 { // noting it twice is no error
		must(t, s.Integrated(ctx, pending[0].Seq, 0, store.Head{Size: 1, Root: Root(1)}))
	}
	must(t, s.Close())
	s = open(t, "a")
	rest, err := s.Pending(ctx)
	must(t, err)
	if len(rest) != 1 || rest[0] != revocation {
		t.Errorf("pending %+v, want the revocation", rest)
	}
	must(t, s.Integrated(ctx, revocation.Seq, 5, store.Head{Size: 6, Root: Root(6)}))
	all, err := s.Entries(ctx, 10)
	must(t, err)
	if len(all) != 2 || !all[0].Logged || all[0].Index != 5 || all[1].Index != 0 || !all[1].Logged {
		t.Errorf("entries %+v", all)
	}
	for size, want := range map[uint64]uint64{0: 0, 1: 1, 5: 1, 6: 2, 1 << 63: 2} {
		if n, err := s.Logged(ctx, size); n != want || err != nil {
			t.Errorf("logged below %d: %d, %v, want %d", size, n, err, want)
		}
	}
	e, err := s.Entry(ctx, "revocation", revocation.Digest)
	if err != nil || e != all[0] {
		t.Errorf("entry %+v, %v", e, err)
	}
	_, err = s.Entry(ctx, store.KindDecision, revocation.Digest)
	want(t, "another kind", err, store.ErrNotFound)
	other, err := s.AddEntry(ctx, "revocation", []byte("another revocation"))
	must(t, err)
	if of, err := s.EntriesOf(ctx, "revocation"); err != nil || len(of) != 2 || of[0] != e || of[1] != other {
		t.Errorf("entries of a kind %+v, %v, want both revocations, oldest first", of, err)
	}
	if of, err := s.EntriesOf(ctx, "decline"); err != nil || len(of) != 0 {
		t.Errorf("entries of a kind that there is none of %+v, %v", of, err)
	}
	h, ok, err := s.KnownHead(ctx)
	if err != nil || !ok || h.Size != 6 || !bytes.Equal(h.Root, Root(6)) {
		t.Errorf("known head %+v, %v, %v", h, ok, err)
	}
}

func testLogConflicts(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	e, err := s.AddEntry(ctx, "revocation", []byte("1"))
	must(t, err)
	f, err := s.AddEntry(ctx, "revocation", []byte("2"))
	must(t, err)
	want(t, "no log in force", s.Integrated(ctx, e.Seq, 0, store.Head{Size: 1, Root: Root(1)}), store.ErrConflict)
	must(t, s.MarkLog(ctx, store.Marker{Origin: "o", VerifierKey: "k", Created: "2026-01-02T03:04:05Z"}, store.Head{Root: Root(0)}))
	must(t, s.Integrated(ctx, e.Seq, 0, store.Head{Size: 1, Root: Root(1)}))
	for _, tt := range []struct {
		name  string
		seq   int64
		index uint64
		head  store.Head
		want  error // nil: any
	}{
		{"another index for the entry", e.Seq, 1, store.Head{Size: 2, Root: Root(2)}, store.ErrConflict},
		{"another entry at the index", f.Seq, 0, store.Head{Size: 1, Root: Root(1)}, store.ErrConflict},
		{"another root at the size", f.Seq, 0, store.Head{Size: 1, Root: Root(9)}, store.ErrConflict},
		{"an index outside the log", f.Seq, 5, store.Head{Size: 5, Root: Root(5)}, nil},
		{"a short root", f.Seq, 1, store.Head{Size: 2, Root: []byte("x")}, nil},
		{"an entry that does not exist", 999, 1, store.Head{Size: 2, Root: Root(2)}, nil},
	} {
		err := s.Integrated(ctx, tt.seq, tt.index, tt.head)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	// What failed left nothing behind.
	h, _, err := s.KnownHead(ctx)
	must(t, err)
	pending, err := s.Pending(ctx)
	must(t, err)
	if h.Size != 1 || len(pending) != 1 || pending[0] != f {
		t.Errorf("head %+v, pending %+v", h, pending)
	}
}

func testMarker(t *testing.T, open func(*testing.T, string) Store) {
	ctx, s := t.Context(), open(t, "a")
	if _, ok, err := s.Marker(ctx); ok || err != nil {
		t.Errorf("marker in a new store: %v, %v", ok, err)
	}
	if _, ok, err := s.KnownHead(ctx); ok || err != nil {
		t.Errorf("head in a new store: %v, %v", ok, err)
	}
	m := store.Marker{Origin: "o", VerifierKey: "k", Created: "2026-01-02T03:04:05Z"}
	empty := store.Head{Root: Root(0)}
	must(t, s.MarkLog(ctx, m, empty))
	later := m
	later.Created = "2027-01-02T03:04:05Z"
	must(t, s.MarkLog(ctx, later, empty))
	got, ok, err := s.Marker(ctx)
	if err != nil || !ok || got != m {
		t.Errorf("marker %+v, %v, %v", got, ok, err)
	}
	h, ok, err := s.KnownHead(ctx)
	if err != nil || !ok || h.Size != 0 || !bytes.Equal(h.Root, Root(0)) {
		t.Errorf("head %+v, %v, %v", h, ok, err)
	}
	other := m
	other.VerifierKey = "k2"
	want(t, "another key", s.MarkLog(ctx, other, empty), store.ErrConflict)
	want(t, "another empty tree", s.MarkLog(ctx, m, store.Head{Root: Root(1)}), store.ErrConflict)
	if err := s.MarkLog(ctx, store.Marker{}, empty); err == nil {
		t.Error("an empty marker was accepted")
	}
}

func testConcurrent(t *testing.T, open func(*testing.T, string) Store) {
	ctx := t.Context()
	stores := []Store{open(t, "a"), open(t, "a")} // as two processes would
	var wg sync.WaitGroup
	const n = 20
	for i := range n {
		for _, s := range stores { // each decision by both
			wg.Go(func() {
				if err := s.Record(ctx, NewRecord(t, i, subjectA)); err != nil {
					t.Error(err)
				}
				if _, err := s.List(ctx, 5); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, s := range stores {
		list, err := s.List(ctx, 2*n)
		must(t, err)
		pending, err := s.Pending(ctx)
		must(t, err)
		if len(list) != n || len(pending) != n {
			t.Errorf("%d decisions, %d entries, want %d", len(list), len(pending), n)
		}
	}
}
