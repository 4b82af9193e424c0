package artifact

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a sparse member holds is not compared, and that is told beside what is.
func TestSparse(t *testing.T) {
	tar, err := exec.LookPath("tar")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tar is missing")
		}
		t.Skip("NOT TESTED: tar is missing")
	}
	for _, format := range []string{"gnu", "posix"} {
		pack := func(end, after string) string {
			t.Helper()
			dir := t.TempDir()
			f, err := os.Create(filepath.Join(dir, "a"))
			if err != nil {
				t.Fatal(err)
			}
			_, err1 := f.WriteAt([]byte("start"), 0)
			_, err2 := f.WriteAt([]byte(end), 4<<20)
			if err1 != nil || err2 != nil || f.Close() != nil || os.WriteFile(filepath.Join(dir, "b"), []byte(after), 0o644) != nil {
				t.Fatal(err1, err2)
			}
			args := []string{"--sparse", "--format=" + format}
			if format == "posix" {
				args = append(args, "--pax-option=delete=atime,delete=ctime")
			}
			cmd := exec.CommandContext(t.Context(), tar, append(args, "--mtime=@1795694400", "--sort=name", "-cf", "x.tar", "a", "b")...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("this tar packs nothing sparse: %v %s", err, out)
			}
			b, err := os.ReadFile(filepath.Join(dir, "x.tar"))
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > 1<<20 {
				t.Skip("this file system has no holes")
			}
			return string(b)
		}
		r := compare(t, pack("end", "one"), pack("END", "two"))
		sparse := func(u Unexamined) bool { return u.Member == "a" && strings.Contains(u.Why, "sparse") }
		// In the posix format, tar's process id stands in the names of extended headers.
		if got := told(r); !slices.ContainsFunc(r.Unexamined, sparse) || !strings.HasPrefix(got[len(got)-1], "b: content") {
			t.Errorf("%s: %q, unexamined: %v", format, got, r.Unexamined)
		}
		r = compare(t, pack("end", "one"), pack("END", "one"))
		if got := told(r); !slices.ContainsFunc(r.Unexamined, sparse) || len(got) == 0 || r.Equal {
			t.Errorf("%s: %q, unexamined: %v", format, got, r.Unexamined)
		}
	}
}
