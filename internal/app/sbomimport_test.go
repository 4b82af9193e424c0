package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// TestSameSubject compares every digest that a bill states with what it is to be bound to.
func TestSameSubject(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := fileDigests(file)
	if err != nil || len(all) != 3 || all[0] != sallyport.SHA256([]byte("abc")) {
		t.Fatal(all, err)
	}
	right256, right384, right512 := string(all[0]), string(all[1]), string(all[2])
	wrong := func(s string) string { return s[:len(s)-4] + "0000" }
	weak := "sha1:" + strings.Repeat("0", 40)
	commit := "gitCommit:" + strings.Repeat("1", 40)
	for _, tt := range []struct {
		name    string
		said    []string
		subject string
		have    []string
		bound   bool
	}{
		{"nothing said", nil, file, []string{right256}, true},
		{"of the file", []string{right256, right384, right512}, file, []string{right256}, true},
		{"of the file, by another algorithm", []string{right512}, file, []string{right256}, true},
		{"beside what cannot be compared", []string{weak, right256}, file, []string{right256}, true},
		{"of another file", []string{wrong(right256)}, file, []string{right256}, false},
		{"of another file, by another algorithm", []string{wrong(right512)}, file, []string{right256}, false},
		{"one of several differs", []string{right256, wrong(right384)}, file, []string{right256}, false},
		{"of what cannot be compared", []string{weak}, file, []string{right256}, false},
		{"of no digest", []string{"sha256:short"}, file, []string{right256}, false},
		{"a digest of another algorithm for a digest", []string{right512}, right256, []string{right256}, false},
		{"the digest", []string{right512, right256}, right256, []string{right256}, true},
		{"a file for a commit", []string{right256}, "git:HEAD", []string{commit}, false},
		{"the commit", []string{commit}, "git:HEAD", []string{commit}, true},
		{"the file changed", nil, file, []string{wrong(right256)}, false},
	} {
		var have []sallyport.Digest
		for _, h := range tt.have {
			have = append(have, sallyport.Digest(h))
		}
		if err := sameSubject(tt.said, tt.subject, have); (err == nil) != tt.bound {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
