package policy

import (
	"bytes"
	"maps"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

func TestArchive(t *testing.T) {
	s := Builtin()
	b := s.Archive()
	if got := sallyport.SHA256(b); got != s.Digest() {
		t.Errorf("the archive's digest is %s, the set's %s", got, s.Digest())
	}
	again, err := ParseArchive(s.Name, b)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(again.Files, s.Files, bytes.Equal) {
		t.Error("the set did not survive the archive")
	}
	if _, err := ParseArchive("x", b[:len(b)-1]); err == nil {
		t.Error("accepted an archive that was cut short")
	}
}

func FuzzParseArchive(f *testing.F) {
	f.Add(Set{Files: map[string][]byte{"a.rego": []byte("package a"), "b": nil}}.Archive())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseArchive("x", b)
		if err == nil && !bytes.Equal(s.Archive(), b) {
			t.Error("two archives of one set")
		}
	})
}
