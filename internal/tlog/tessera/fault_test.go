package tessera

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// What an attacker or an accident does to the folder, and what opening and verifying say. A log
// that opens after such a change is the fault; one that only Verify refuses is told apart.
func TestDamage(t *testing.T) {
	edit := func(path string, f func([]byte) []byte) func(*testing.T, *fixture) {
		return func(t *testing.T, fx *fixture) {
			p := filepath.Join(fx.dir, path)
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, f(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(path string) func(*testing.T, *fixture) {
		return func(t *testing.T, fx *fixture) {
			if err := os.RemoveAll(filepath.Join(fx.dir, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	// A leaf that is well formed and was never logged, in place of the entry at that position.
	forge := func(at int) func([]byte) []byte {
		return func(b []byte) []byte {
			entries, err := parseBundle(b)
			if err != nil {
				panic(err)
			}
			entries[at][len(entries[at])-2] ^= 1 // the last hex digit; stays a digit or a letter a–g
			if c := entries[at][len(entries[at])-2]; c > 'f' || c == '`' {
				entries[at][len(entries[at])-2] = '7'
			}
			return b
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(*testing.T, *fixture)
		open   error // nil: opening does not look there
		verify error
	}{
		{"the folder is deleted", remove("."), tlog.ErrMissing, tlog.ErrMissing},
		{"the state is deleted", remove(".state"), tlog.ErrMissing, tlog.ErrMissing},
		{"the state file is deleted", remove(".state/treeState"), tlog.ErrMissing, tlog.ErrMissing},
		{"the checkpoint is deleted", remove("checkpoint"), tlog.ErrMissing, tlog.ErrMissing},
		{"all tiles are deleted", remove("tile"), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the state is empty", edit(".state/treeState", func([]byte) []byte { return nil }), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the state has a key twice", edit(".state/treeState", func(b []byte) []byte {
			return append([]byte(`{"size":1,`), b[1:]...)
		}), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the state claims fewer entries", edit(".state/treeState", func(b []byte) []byte {
			var h tlog.Head
			if json.Unmarshal(b, &h) != nil {
				panic("state")
			}
			h.Size--
			b, _ = json.Marshal(h)
			return b
		}), tlog.ErrRolledBack, tlog.ErrRolledBack},
		{"the state claims another root", edit(".state/treeState", func(b []byte) []byte {
			var h tlog.Head
			if json.Unmarshal(b, &h) != nil {
				panic("state")
			}
			h.Root[0] ^= 1
			b, _ = json.Marshal(h)
			return b
		}), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the last tile is cut short", edit("tile/0/001.p/44", func(b []byte) []byte { return b[:32] }), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the last tile is changed", edit("tile/0/001.p/44", flip(0)), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the last tile is made huge", edit("tile/0/001.p/44", func([]byte) []byte { return make([]byte, 1<<20) }), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the last bundle is cut short", edit("tile/entries/001.p/44", func(b []byte) []byte { return b[:len(b)-1] }), tlog.ErrRewritten, tlog.ErrRewritten},
		{"the last entry is changed", edit("tile/entries/001.p/44", forge(43)), tlog.ErrRewritten, tlog.ErrRewritten},
		{"an upper tile is changed", edit("tile/1/000.p/1", flip(0)), tlog.ErrRewritten, tlog.ErrRewritten},
		{"an old tile is changed", edit("tile/0/000", flip(40)), nil, tlog.ErrRewritten},
		{"an old entry is changed", edit("tile/entries/000", forge(7)), nil, tlog.ErrRewritten},
		{"an old bundle is no bundle", edit("tile/entries/000", func([]byte) []byte { return []byte("junk") }), nil, tlog.ErrRewritten},
		{"the checkpoint's signature is changed", edit("checkpoint", flip(-8)), tlog.ErrCheckpoint, tlog.ErrCheckpoint},
		{"the checkpoint's size is changed", edit("checkpoint", func(b []byte) []byte {
			b[len(testOrigin)+1] ^= 1
			return b
		}), tlog.ErrCheckpoint, tlog.ErrCheckpoint},
		{"the checkpoint is another key's", func(t *testing.T, fx *fixture) {
			s, _ := newKey(t, testOrigin)
			sign(t, fx, s, fx.head)
		}, tlog.ErrForeign, tlog.ErrForeign},
		{"the checkpoint promises more", func(t *testing.T, fx *fixture) {
			sign(t, fx, fx.signer, tlog.Head{Size: fx.head.Size + 1, Root: fx.head.Root})
		}, tlog.ErrRolledBack, tlog.ErrRolledBack},
		{"the checkpoint promises another tree", func(t *testing.T, fx *fixture) {
			sign(t, fx, fx.signer, tlog.Head{Size: fx.head.Size, Root: make([]byte, 32)})
		}, tlog.ErrRewritten, tlog.ErrRewritten},
		{"another log with the same key stands in its place", func(t *testing.T, fx *fixture) {
			other := &fixture{dir: filepath.Join(t.TempDir(), "log"), signer: fx.signer, key: fx.key, acked: map[uint64][]byte{}}
			var err error
			if other.head, err = Create(t.Context(), other.dir, testOrigin, fx.signer); err != nil {
				t.Fatal(err)
			}
			other.grow(t, 1)
			other.acked = map[uint64][]byte{}
			other.grow(t, 320) // begins with one leaf twice: longer, and another history
			fx.dir = other.dir
		}, tlog.ErrRewritten, tlog.ErrRewritten},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.grow(t, 257)
			l := f.open(t)
			if _, err := l.Checkpoint(t.Context()); err != nil { // removes the partial files under full ones
				t.Fatal(err)
			}
			l.Close()
			f.grow(t, 43)
			tt.damage(t, f)
			before := snapshot(t, f.dir)
			l, err := Open(t.Context(), f.dir, f.options())
			if !errors.Is(err, tt.open) {
				t.Errorf("open: got %v, want %v", err, tt.open)
			}
			if err == nil {
				l.Close()
			} else if after := snapshot(t, f.dir); before != after {
				t.Errorf("a refused opening changed the folder:\n%s\n%s", before, after)
			}
			if _, err := Verify(t.Context(), f.dir, f.key, &f.head); !errors.Is(err, tt.verify) || err == nil {
				t.Errorf("verify: got %v, want %v", err, tt.verify)
			}
		})
	}
}

// snapshot tells whether the files that matter changed: the lock file is not among them.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var s string
	for _, name := range []string{"checkpoint", ".state/treeState", ".state/version"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		s += name + ": " + string(b)
		if err != nil {
			s += "absent"
		}
		s += "\n"
	}
	return s
}

func sign(t *testing.T, f *fixture, s note.Signer, h tlog.Head) {
	t.Helper()
	text, err := note.Sign(&note.Note{Text: tlog.CheckpointBody(s.Name(), h)}, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "checkpoint"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An older copy of the folder is sound in itself. Only a remembered head tells.
func TestRolledBack(t *testing.T) {
	f := newFixture(t)
	f.grow(t, 10)
	older, olderHead := copyDir(t, f.dir), f.head
	f.grow(t, 5)
	f.dir = older
	_, err := Open(t.Context(), f.dir, f.options())
	wantErr(t, "older copy", err, tlog.ErrRolledBack)
	_, err = Verify(t.Context(), f.dir, f.key, &f.head)
	wantErr(t, "verify older copy", err, tlog.ErrRolledBack)

	// The older copy, continued differently until it is longer: no rollback any more, but
	// not the history that is known.
	fork := &fixture{dir: older, signer: f.signer, key: f.key, head: olderHead, acked: map[uint64][]byte{}}
	fork.grow(t, 20)
	_, err = Open(t.Context(), f.dir, f.options())
	wantErr(t, "fork", err, tlog.ErrRewritten)
	fork.check(t)
}

func TestOpenWithOtherIdentity(t *testing.T) {
	f := newFixture(t)
	f.grow(t, 2)
	sameName, sameNameKey := newKey(t, testOrigin)
	otherName, otherKey := newKey(t, "log.example/other")
	for _, tt := range []struct {
		name string
		opts Options
	}{
		{"another key of that name", Options{Origin: testOrigin, Signer: sameName, VerifierKey: sameNameKey}},
		{"a verifier key that is not the signer's", Options{Origin: testOrigin, Signer: f.signer, VerifierKey: sameNameKey}},
		{"a signer that is not the verifier key's", Options{Origin: testOrigin, Signer: sameName, VerifierKey: f.key}},
		{"another origin", Options{Origin: "log.example/other", Signer: otherName, VerifierKey: otherKey}},
		{"an origin that is not the key's", Options{Origin: "log.example/other", Signer: f.signer, VerifierKey: f.key}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(t.Context(), f.dir, tt.opts)
			wantErr(t, "open", err, tlog.ErrForeign)
		})
	}
}

// The folder vanishes under an open log: an error, and no new log in its place.
func TestFolderVanishes(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	if _, _, err := l.Append(t.Context(), leafOf(t, 1)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	_, _, err := l.Append(t.Context(), leafOf(t, 2))
	wantErr(t, "append", err, tlog.ErrMissing)
	if _, err := l.Checkpoint(t.Context()); !errors.Is(err, tlog.ErrMissing) {
		t.Errorf("checkpoint: %v", err)
	}
	if _, err := os.Stat(f.dir); err == nil {
		t.Error("the folder came back")
	}
}

// A program that ignores the lock and appends in between is noticed, not signed for.
func TestForeignWriter(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	add, _, stop, err := start(t.Context(), f.dir, sealed{f.signer})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := add(t.Context(), newEntry(leafOf(t, 100)))(); err != nil {
		t.Fatal(err)
	}
	_, _, err = l.Append(t.Context(), leafOf(t, 1))
	wantErr(t, "append after a foreign one", err, tlog.ErrRewritten)
	if _, _, err = l.Append(t.Context(), leafOf(t, 2)); err == nil {
		t.Error("a log that failed went on")
	}
}
