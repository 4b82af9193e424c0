package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A writer whose caller goes away, in its turn or while it waits for it, writes all or nothing, and
// the next one is not hindered.
func TestCancelledWrites(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "state.db"))
	var mu sync.Mutex
	acked := map[string]bool{}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 60 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration((g*60+i)%23)*50*time.Microsecond)
				body := fmt.Sprintf("%d/%d", g, i)
				e, err := db.AddEntry(ctx, "revocation", []byte(body))
				cancel()
				if err == nil {
					mu.Lock()
					acked[string(e.Digest)] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	e, err := db.AddEntry(t.Context(), "revocation", []byte("the last word"))
	if err != nil {
		t.Fatalf("after cancelled writes: %v", err)
	}
	acked[string(e.Digest)] = true
	list, err := db.EntriesOf(t.Context(), "revocation")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if _, err := db.Blob(t.Context(), e.Digest); err != nil {
			t.Errorf("entry %d has no content: %v", e.Seq, err)
		}
		delete(acked, string(e.Digest))
	}
	if len(acked) > 0 {
		t.Errorf("%d entries were acknowledged and are not there", len(acked))
	}
	pending, err := db.Pending(t.Context())
	if err != nil || len(pending) != len(list) {
		t.Errorf("%d entries, %d pending, %v", len(list), len(pending), err)
	}
	t.Logf("%d of 241 were written", len(list))
}

// Nobody writes after Close, and Close waits for who does.
func TestWriteAfterClose(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "state.db"))
	if _, err := db.AddEntry(t.Context(), "revocation", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.AddEntry(t.Context(), "revocation", []byte("y")); err == nil {
		t.Error("it was written after Close")
	}
	if err := db.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// A transaction whose function panics is rolled back, and the next one has a connection.
func TestPanicInTransaction(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "state.db"))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = db.write(t.Context(), func(w tx) error {
			if _, err := addEntry(t.Context(), w, "revocation", "sha256:aa"); err == nil {
				t.Error("a digest that is none was taken")
			}
			panic("in a transaction")
		})
	}()
	failed := errors.New("on purpose")
	if err := db.write(t.Context(), func(w tx) error {
		if _, err := putBlob(t.Context(), w, []byte("never")); err != nil {
			return err
		}
		return failed
	}); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if _, err := db.AddEntry(t.Context(), "revocation", []byte("x")); err != nil {
		t.Error(err)
	}
	var n int
	if err := db.sql.QueryRow(`SELECT count(*) FROM blob`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d blobs, %v", n, err)
	}
}
