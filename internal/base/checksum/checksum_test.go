package checksum

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const one = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []Line // nil: an error
	}{
		{"text", one + "  hello.txt\n", []Line{{"sha256", one, "hello.txt"}}},
		{"binary, upper case, no line end", strings.ToUpper(one) + " *a b", []Line{{"sha256", one, "a b"}}},
		{"tagged", "SHA256 (a) = (b)) = " + one + "\r\n", []Line{{"sha256", one, "a) = (b)"}}},
		{"escaped", `\` + one + `  a\\b\nc` + "\n", []Line{{"sha256", one, "a\\b\nc"}}},
		{"a backslash without escapes", one + `  a\nb` + "\n", []Line{{"sha256", one, `a\nb`}}},
		{"two", one + "  a\n" + one + one + "  b\n", []Line{{"sha256", one, "a"}, {"sha512", one + one, "b"}}},
		{"empty", "", nil},
		{"empty line", one + "  a\n\n" + one + "  b\n", nil},
		{"one name twice", one + "  a\n" + one + "  a\n", nil},
		{"one name twice in two forms", one + "  a\nSHA256 (a) = " + one + "\n", nil},
		{"MD5", one[:32] + "  a\n", nil},
		{"one space", one + " a\n", nil},
		{"no name", one + "  \n", nil},
		{"tag of another length", "SHA512 (a) = " + one + "\n", nil},
		{"no hexadecimal", strings.Repeat("g", 64) + "  a\n", nil},
		{"unknown escape", `\` + one + `  a\tb` + "\n", nil},
		{"signature around it", "-----BEGIN PGP SIGNED MESSAGE-----\n" + one + "  a\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.text))
			if c.want == nil && !errors.Is(err, ErrFormat) || c.want != nil && err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("Parse = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestSha256sum holds what is written to sha256sum's own reading of it, and the other way round.
func TestSha256sum(t *testing.T) {
	if _, err := exec.LookPath("sha256sum"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sha256sum (coreutils) is missing")
		}
		t.Skip("sha256sum is missing")
	}
	dir := t.TempDir()
	names := []string{"plain", "with space", `back\slash`, "line\nfeed", "return\r"}
	lines := make([]Line, 0, len(names))
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("hello\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, Line{"sha256", one, n})
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), Format(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.Command("sha256sum", "--strict", "-c", "SHA256SUMS")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("sha256sum -c: %v\n%s", err, out)
	}
	for _, flag := range []string{"--text", "--binary", "--tag"} {
		make := exec.Command("sha256sum", append([]string{flag, "--"}, names...)...)
		make.Dir = dir
		out, err := make.Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(out)
		if err != nil || !slices.Equal(got, lines) {
			t.Errorf("%s: %q, %v", flag, got, err)
		}
	}
}

// FuzzParse: what is read, written and read again is the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(one + "  hello.txt\n"))
	f.Add([]byte("SHA256 (a) = " + one + "\n"))
	f.Add([]byte(`\` + one + `  a\\b\nc` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(Format(lines))
		if err != nil || !slices.Equal(lines, again) {
			t.Fatalf("%q became %q: %v", lines, again, err)
		}
	})
}
