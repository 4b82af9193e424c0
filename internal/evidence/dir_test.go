package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

func nth(i int) sallyport.Digest { return sallyport.GitCommit(fmt.Sprintf("%040x", i)) }

// put fills a store with one attestation about each of n commits and returns what it put.
func put(t testing.TB, d *Dir, n int) [][]byte {
	t.Helper()
	s := newEd25519(t)
	var raws [][]byte
	for i := range n {
		raw := mustSign(t, statement(nth(i), tree), s)
		if _, err := d.Put(context.Background(), raw); err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
	}
	return raws
}

func collect(t testing.TB, d *Dir, subjects ...sallyport.Digest) [][]byte {
	t.Helper()
	atts, dropped, err := d.Collect(context.Background(), subjects)
	if err != nil || len(dropped) != 0 {
		t.Fatalf("Collect: dropped %v, %v", dropped, err)
	}
	var raws [][]byte
	for _, a := range atts {
		raws = append(raws, a.Raw)
	}
	return raws
}

func sameSet(a, b [][]byte) bool {
	key := func(x [][]byte) []string {
		var s []string
		for _, r := range x {
			s = append(s, string(r))
		}
		slices.Sort(s)
		return s
	}
	return slices.Equal(key(a), key(b))
}

func TestDir(t *testing.T) {
	d := NewDir(filepath.Join(t.TempDir(), "not", "yet"))
	if got := collect(t, d, tree); got != nil {
		t.Errorf("a store that is not there holds %d attestations", len(got))
	}
	raws := put(t, d, 3)
	again, err := d.Put(t.Context(), raws[0])
	if err != nil || again != sallyport.SHA256(raws[0]) {
		t.Errorf("putting it again: %s, %v", again, err)
	}
	if got := collect(t, d, nth(1)); !sameSet(got, raws[1:2]) {
		t.Errorf("about one commit: %d attestations, want 1", len(got))
	}
	if got := collect(t, d, nth(0), nth(2), nth(7)); !sameSet(got, [][]byte{raws[0], raws[2]}) {
		t.Errorf("about two of three commits: %d attestations, want 2", len(got))
	}
	if got := collect(t, d, tree); !sameSet(got, raws) {
		t.Errorf("about the tree: %d attestations, want 3", len(got))
	}
	if got := collect(t, d); got != nil {
		t.Errorf("about nothing: %d attestations", len(got))
	}
	all, _, err := d.All(t.Context())
	if err != nil || len(all) != 3 {
		t.Errorf("All: %d, %v", len(all), err)
	}
	for _, a := range all {
		if filepath.IsAbs(a.Source) || !strings.Contains(a.Source, a.Digest().Hex()) {
			t.Errorf("source %q does not name the attestation without the machine's folders", a.Source)
		}
	}
}

// The index is speed and nothing else: whatever happens to it, the same is found.
func TestDirIndex(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b []byte) []byte
	}{
		{"untouched", func(b []byte) []byte { return b }},
		{"emptied", func([]byte) []byte { return nil }},
		{"cut in the middle of a line", func(b []byte) []byte { return b[:len(b)/2] }},
		{"garbage", func([]byte) []byte { return bytes.Repeat([]byte("garbage\n"), 100) }},
		{"one digit of a subject flipped", func(b []byte) []byte {
			return bytes.Replace(b, []byte(strings.Repeat("0", 39)+"1"), []byte(strings.Repeat("0", 38)+"91"), 1)
		}},
		{"entries of files that are gone", func(b []byte) []byte { return append(b, b...) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDir(t.TempDir())
			raws := put(t, d, 4)
			b, err := os.ReadFile(d.index())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(d.index(), tt.spoil(b), 0o644); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time from what the first has mended
				for i, raw := range raws {
					if got := collect(t, d, nth(i)); !sameSet(got, [][]byte{raw}) {
						t.Fatalf("about commit %d: %d attestations, want its own", i, len(got))
					}
				}
			}
			more := put(t, NewDir(d.path), 1) // a torn last line must not swallow the next
			if got := collect(t, d, nth(0)); !sameSet(got, [][]byte{raws[0], more[0]}) {
				t.Errorf("after another Put: %d attestations, want 2", len(got))
			}
		})
	}
	d := NewDir(t.TempDir())
	raws := put(t, d, 2)
	if err := os.Remove(d.index()); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, d, tree); !sameSet(got, raws) {
		t.Errorf("without an index: %d attestations, want 2", len(got))
	}
}

// What is damaged is told every time and never used; putting it again mends it.
func TestDirDamage(t *testing.T) {
	other := mustSign(t, statement(commit), newEd25519(t))
	tests := []struct {
		name   string
		damage func(t *testing.T, file string)
		says   string
	}{
		{"a byte flipped", func(t *testing.T, file string) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			overwrite(t, file, b)
		}, "damaged"},
		{"cut short", func(t *testing.T, file string) { overwrite(t, file, nil) }, "damaged"},
		{"another attestation in its place", func(t *testing.T, file string) { overwrite(t, file, other) }, "damaged"},
		{"too large", func(t *testing.T, file string) {
			if err := os.Truncate(file, MaxBundle+1); err != nil {
				t.Fatal(err)
			}
		}, "larger"},
		{"a folder", func(t *testing.T, file string) {
			if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o755)); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		{"a symlink", func(t *testing.T, file string) {
			if err := errors.Join(os.Rename(file, file+".real"), os.Symlink(file+".real", file)); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDir(t.TempDir())
			raws := put(t, d, 2)
			id := sallyport.SHA256(raws[0])
			tt.damage(t, d.file(id))
			for _, indexed := range []bool{true, false} {
				if !indexed {
					if err := os.Remove(d.index()); err != nil {
						t.Fatal(err)
					}
				}
				atts, dropped, err := d.Collect(t.Context(), []sallyport.Digest{tree})
				if err != nil || len(atts) != 1 || !bytes.Equal(atts[0].Raw, raws[1]) {
					t.Fatalf("Collect: %d attestations, %v; want the undamaged one", len(atts), err)
				}
				if len(dropped) != 1 || dropped[0].Attestation != id || !strings.Contains(dropped[0].Why, tt.says) {
					t.Errorf("dropped %+v, want %s saying %q", dropped, id, tt.says)
				}
				if strings.Contains(dropped[0].Why, d.path) {
					t.Errorf("the reason names the machine's folders: %q", dropped[0].Why)
				}
			}
		})
	}
	d := NewDir(t.TempDir())
	raws := put(t, d, 1)
	overwrite(t, d.file(sallyport.SHA256(raws[0])), []byte("x"))
	if _, err := d.Put(t.Context(), raws[0]); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, d, tree); !sameSet(got, raws) {
		t.Error("putting the attestation again did not mend its file")
	}
	// A file under its right name that holds no statement was not put here by us.
	junk := []byte("{}")
	overwrite(t, d.file(sallyport.SHA256(junk)), junk)
	if _, dropped, err := d.Collect(t.Context(), []sallyport.Digest{commit}); err != nil || len(dropped) != 1 {
		t.Errorf("junk: dropped %v, %v; want it told", dropped, err)
	}
}

func overwrite(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDirRefuses(t *testing.T) {
	d := NewDir(t.TempDir())
	d.limit = 2
	raws := put(t, d, 2)
	s := newEd25519(t)
	if _, err := d.Put(t.Context(), mustSign(t, statement(commit), s)); !errors.Is(err, ErrFull) {
		t.Errorf("a third in a store for two: %v, want ErrFull", err)
	}
	if _, err := d.Put(t.Context(), raws[1]); err != nil {
		t.Errorf("one that is there already: %v", err)
	}
	for name, raw := range map[string][]byte{
		"not a bundle": []byte("hello"),
		"too large":    bytes.Repeat([]byte(" "), MaxBundle+1),
		"no statement": signPayload(t, `{"a":1}`, s, nil),
		"no subject":   signPayload(t, `{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x:y"}`, s, nil),
	} {
		if _, err := d.Put(t.Context(), raw); !errors.Is(err, ErrBundle) && !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d.limit = 1
	if _, _, err := d.Collect(t.Context(), []sallyport.Digest{tree}); err == nil {
		t.Error("a store over its limit was read in part")
	}
}

// Writers and readers at once: everything that was put is found, and nothing else.
func TestDirConcurrent(t *testing.T) {
	dir := t.TempDir()
	s := newEd25519(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			d := NewDir(dir)
			for i := range 5 {
				raw, err := Sign(t.Context(), statement(nth(10*w+i), tree), s)
				if err == nil {
					_, err = d.Put(t.Context(), raw)
				}
				if err == nil {
					_, _, err = d.Collect(t.Context(), []sallyport.Digest{tree})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := collect(t, NewDir(dir), tree); len(got) != 20 {
		t.Errorf("%d attestations, want 20", len(got))
	}
}

func BenchmarkCollect(b *testing.B) {
	d := NewDir(b.TempDir())
	put(b, d, 300)
	b.ResetTimer()
	for b.Loop() {
		if got := collect(b, d, nth(7)); len(got) != 1 {
			b.Fatal(len(got))
		}
	}
}
