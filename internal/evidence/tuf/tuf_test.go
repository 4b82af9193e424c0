package tuf_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/evidence/tuf"
	"github.com/sallyport-dev/sallyport/internal/evidence/tuf/tufrepo"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func root(n int) []byte { return fmt.Appendf(nil, `{"the trusted root": %d}`, n) }

// TestUpdate follows a repository through its life.
func TestUpdate(t *testing.T) {
	r := tufrepo.New(t, now, root(1))
	pinned := r.Pinned()
	state, info, err := tuf.Update(pinned, nil, "https://tuf.example", r.Get, now)
	if err != nil {
		t.Fatal(err)
	}
	if info.Root != 1 || info.Targets != 1 || !info.VouchedFor.Equal(r.Expires) || !info.Fetched.Equal(now) || info.Mirror != "https://tuf.example" {
		t.Errorf("%+v", info)
	}
	steps := []struct {
		name          string
		change        func()
		root, targets int64
		want          int
	}{
		{"nothing is new", func() {}, 1, 1, 1},
		{"another trusted root", func() { r.Version, r.Target = 2, root(2) }, 1, 2, 2},
		{"another root", func() { r.Version++; r.RotateRoot() }, 2, 3, 2},
		{"two more at once", func() { r.RotateRoot(); r.NewKeys("timestamp", 1); r.Version++; r.RotateRoot() }, 4, 4, 2},
		{"and a version after it", func() { r.Version, r.Target = 9, root(3) }, 4, 9, 3},
	}
	for _, s := range steps {
		s.change()
		r.Publish()
		if state, info, err = tuf.Update(pinned, state, "m", r.Get, now); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		st, again, err := tuf.Load(pinned, state)
		if err != nil || again != info || info.Root != s.root || info.Targets != s.targets || !bytes.Equal(st.TrustedRoot, root(s.want)) {
			t.Errorf("%s: %v, %+v, %s", s.name, err, info, st.TrustedRoot)
		}
	}
	// Long after, what was taken can still be used, and nothing new can be taken from a repository that stood still.
	later := now.AddDate(0, 1, 0)
	if _, _, err := tuf.Load(pinned, state); err != nil {
		t.Error(err)
	}
	if _, _, err := tuf.Update(pinned, state, "m", r.Get, later); !errors.Is(err, tuf.ErrExpired) {
		t.Errorf("a frozen repository: %v", err)
	}
	if r.Expires = later.AddDate(0, 0, 7); true {
		r.Version++
		r.Publish()
	}
	if _, _, err := tuf.Update(pinned, state, "m", r.Get, later); err != nil {
		t.Errorf("the repository lives again: %v", err)
	}
}

// TestAttacks: each is refused for its own reason, and the same repository without it is taken.
func TestAttacks(t *testing.T) {
	for _, c := range []struct {
		name   string
		attack func(t *testing.T, r *tufrepo.Repository)
		want   error
	}{
		{"none", func(_ *testing.T, r *tufrepo.Repository) { r.Version = 6; r.Publish() }, nil},
		{"rollback of the timestamp", func(_ *testing.T, r *tufrepo.Repository) { r.Version = 4; r.Publish() }, tuf.ErrRollback},
		{"rollback of the targets", func(_ *testing.T, r *tufrepo.Repository) { r.Version, r.TargetsVersion = 6, 4; r.Publish() }, tuf.ErrRollback},
		{"freeze", func(_ *testing.T, r *tufrepo.Repository) {
			r.Version, r.Expires = 6, now.Add(-time.Minute)
			r.Publish()
		}, tuf.ErrExpired},
		{"a root that has expired", func(_ *testing.T, r *tufrepo.Repository) { r.RootExpires = now.Add(-time.Minute); r.RotateRoot() }, tuf.ErrExpired},
		{"endless timestamp", func(_ *testing.T, r *tufrepo.Repository) {
			r.Files["timestamp.json"] = bytes.Repeat([]byte(" "), 1<<20)
		}, tuf.ErrTooLarge},
		{"endless root", func(_ *testing.T, r *tufrepo.Repository) { r.Files["3.root.json"] = bytes.Repeat([]byte(" "), 1<<20) }, tuf.ErrTooLarge},
		{"endless trusted root", func(_ *testing.T, r *tufrepo.Repository) {
			r.Version, r.Target = 6, root(6)
			r.Publish()
			r.Files[targetOf(r)] = bytes.Repeat([]byte(" "), 1<<20)
		}, tuf.ErrTooLarge},
		{"a trusted root larger than any", func(_ *testing.T, r *tufrepo.Repository) {
			r.Version, r.Target = 6, bytes.Repeat([]byte(" "), 2<<20)
			r.Publish()
		}, tuf.ErrTooLarge},
		{"one of two signs the targets", func(_ *testing.T, r *tufrepo.Repository) { r.Version, r.Signers["targets"] = 6, 1; r.Publish() }, tuf.ErrUnsigned},
		{"nobody signs the timestamp", func(_ *testing.T, r *tufrepo.Repository) { r.Version, r.Signers["timestamp"] = 6, 0; r.Publish() }, tuf.ErrUnsigned},
		{"others sign the snapshot", func(_ *testing.T, r *tufrepo.Repository) { r.NewKeys("snapshot", 1); r.Version = 6; r.Publish() }, tuf.ErrUnsigned},
		{"one of two signs the next root", func(_ *testing.T, r *tufrepo.Repository) { r.Signers["root before"] = 1; r.RotateRoot() }, tuf.ErrUnsigned},
		{"the next root does not sign itself", func(_ *testing.T, r *tufrepo.Repository) { r.Signers["root"] = 2; r.RotateRoot() }, tuf.ErrUnsigned},
		{"another trusted root under its name", func(_ *testing.T, r *tufrepo.Repository) {
			r.Version, r.Target = 6, root(6)
			r.Publish()
			r.Files[targetOf(r)] = root(7)
		}, tuf.ErrMismatch},
		{"a snapshot of another day", func(_ *testing.T, r *tufrepo.Repository) {
			old := r.Files["5.snapshot.json"]
			r.Version = 6
			r.Publish()
			r.Files["6.snapshot.json"] = old
		}, tuf.ErrRollback},
		{"targets of another day", func(_ *testing.T, r *tufrepo.Repository) {
			old := r.Files["5.targets.json"]
			r.Version = 6
			r.Publish()
			r.Files["6.targets.json"] = old
		}, tuf.ErrRollback},
		{"the timestamp is gone", func(_ *testing.T, r *tufrepo.Repository) { delete(r.Files, "timestamp.json") }, tuf.ErrNotFound},
		{"a role in place of another", func(_ *testing.T, r *tufrepo.Repository) { r.Files["timestamp.json"] = r.Files["5.snapshot.json"] }, tuf.ErrInvalid},
		{"no JSON", func(_ *testing.T, r *tufrepo.Repository) { r.Files["timestamp.json"] = []byte("<html>") }, errAny},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tufrepo.New(t, now, root(1))
			pinned := r.Pinned()
			r.RotateRoot()
			r.Version, r.Target = 5, root(5)
			r.Publish()
			before, _, err := tuf.Update(pinned, nil, "m", r.Get, now)
			if err != nil {
				t.Fatal(err)
			}
			c.attack(t, r)
			after, info, err := tuf.Update(pinned, before, "m", r.Get, now)
			t.Log(err)
			if errors.Is(c.want, errAny) && err != nil {
				return
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if err != nil && (after != nil || info != (tuf.Info{})) {
				t.Error("a failed update says something")
			}
		})
	}
}

// TestRootRollback: whoever has a key that the root has revoked since can fool a client that begins at the
// pinned root each time, and none that remembers the newest.
func TestRootRollback(t *testing.T) {
	r := tufrepo.New(t, now, root(1))
	pinned := r.Pinned()
	r.Version, r.Target = 9, root(9)
	r.Publish()
	stolen := maps.Clone(r.Files) // what the old timestamp key can sign
	r.Version, r.Target = 2, root(2)
	r.NewKeys("timestamp", 1)
	r.RotateRoot()
	state, _, err := tuf.Update(pinned, nil, "m", r.Get, now)
	if err != nil {
		t.Fatal(err)
	}
	r.Files = stolen
	if _, info, err := tuf.Update(pinned, nil, "m", r.Get, now); err != nil || info.Targets != 9 {
		t.Fatalf("without memory it should work: %v", err)
	}
	if _, _, err := tuf.Update(pinned, state, "m", r.Get, now); !errors.Is(err, tuf.ErrUnsigned) {
		t.Errorf("a mirror that hides the newest root: %v", err)
	}
}

var errAny = errors.New("any")

func targetOf(r *tufrepo.Repository) string {
	for name := range maps.Keys(r.Files) {
		if len(name) > 60 && name[:8] == "targets/" {
			return name
		}
	}
	return ""
}

// TestLoad: whoever can write to the file that is kept can take nothing into it that the keys of the
// repository did not sign.
func TestLoad(t *testing.T) {
	r := tufrepo.New(t, now, root(1))
	pinned := r.Pinned()
	r.RotateRoot()
	state, _, err := tuf.Update(pinned, nil, "m", r.Get, now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range state {
		if i%3 != 0 {
			continue
		}
		b := bytes.Clone(state)
		b[i] ^= 1
		if s, _, err := tuf.Load(pinned, b); err == nil && !bytes.Equal(s.TrustedRoot, root(1)) {
			t.Fatalf("byte %d: another trusted root is loaded", i)
		} else if err != nil && !errors.Is(err, tuf.ErrState) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	mallory := tufrepo.New(t, now, []byte("mallory's"))
	theirs, _, err := tuf.Update(mallory.Pinned(), nil, "m", mallory.Get, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tuf.Load(pinned, theirs); !errors.Is(err, tuf.ErrState) {
		t.Errorf("a state of another repository: %v", err)
	}
	if _, _, err := tuf.Update(pinned, theirs, "m", r.Get, now); !errors.Is(err, tuf.ErrState) {
		t.Errorf("an update of it: %v", err)
	}
	for _, b := range [][]byte{nil, []byte("{}"), []byte(`{"version":2}`), bytes.Repeat([]byte(" "), tuf.MaxState+1)} {
		if _, _, err := tuf.Load(pinned, b); !errors.Is(err, tuf.ErrState) {
			t.Errorf("%.20q: %v", b, err)
		}
	}
}

// TestPublicRoot: the root that is pinned for the public instance can be used to begin.
func TestPublicRoot(t *testing.T) {
	empty := func(string, int64) ([]byte, error) { return nil, tuf.ErrNotFound }
	if _, _, err := tuf.Update(tuf.PublicRoot(), nil, tuf.PublicMirror, empty, now); !errors.Is(err, tuf.ErrNotFound) {
		t.Errorf("an empty mirror: %v", err)
	}
	if _, _, err := tuf.Update([]byte("{}"), nil, "m", empty, now); err == nil {
		t.Error("no root is a root")
	}
}

func FuzzLoad(f *testing.F) {
	r := tufrepo.New(f, now, root(1))
	pinned := r.Pinned()
	state, _, err := tuf.Update(pinned, nil, "m", r.Get, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	f.Add([]byte(`{"version":1,"roots":[{"signed":{"_type":"root"},"signatures":[]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, _, err := tuf.Load(pinned, b); err == nil && !bytes.Equal(s.TrustedRoot, root(1)) {
			t.Error("something that nobody signed is loaded")
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	r := tufrepo.New(b, now, root(1))
	pinned := r.Pinned()
	state, _, err := tuf.Update(pinned, nil, "m", r.Get, now)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := tuf.Load(pinned, state); err != nil {
			b.Fatal(err)
		}
	}
}
