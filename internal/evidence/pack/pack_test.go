package pack

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestPack(t *testing.T) {
	files := map[string][]byte{"a.json": []byte("{}"), "dir/b": bytes.Repeat([]byte("x"), 1000), "empty": {}}
	b, err := Write(files)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(b)
	if err != nil || !maps.EqualFunc(got, files, bytes.Equal) {
		t.Fatalf("%v, %v", got, err)
	}
	// No byte is without meaning: headers, padding and the end included.
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 1
		if got, err := Read(c); err == nil && maps.EqualFunc(got, files, bytes.Equal) {
			t.Fatalf("byte %d does not matter", i)
		}
	}
	for name, c := range map[string][]byte{"cut": b[:len(b)-512], "longer": append(bytes.Clone(b), make([]byte, 512)...), "empty": {}, "no tar": []byte(strings.Repeat("x", 2048))} {
		if _, err := Read(c); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "/a", "../a", "a/../b", "a//b", "a b", "a\x00", strings.Repeat("a", 100), "a\\b"} {
		if _, err := Write(map[string][]byte{name: nil}); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Write(nil); !errors.Is(err, ErrFormat) {
		t.Error("a pack of nothing")
	}
}

// FuzzRead: what is read is written the same.
func FuzzRead(f *testing.F) {
	b, err := Write(map[string][]byte{"a": []byte("1"), "b/c": []byte("2")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:1024])
	f.Fuzz(func(t *testing.T, b []byte) {
		files, err := Read(b)
		if err != nil {
			return
		}
		again, err := Write(files)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("it is written otherwise: %v", err)
		}
	})
}
