package artifact

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Two Go programs of one source, built in two folders without -trimpath, differ in the folder's
// name, and with another version string in what was set.
func TestGoProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	build := func(folder, system string, flags ...string) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), folder)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"go.mod": "module example.org/x\n\ngo 1.20\n", "main.go": "package main\n\nvar at string\n\nfunc main() { println(at) }\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", "x"}, flags...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(dir, "x"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, system := range []string{"linux", "windows", "darwin"} {
		t.Run(system, func(t *testing.T) {
			one := build("one", system)
			other := build("another", system)
			r := compare(t, one, other)
			if len(r.Unexamined) > 0 {
				t.Errorf("unexamined: %v", r.Unexamined)
			}
			if r.Counts[Location] == 0 {
				t.Errorf("no path among\n%s", strings.Join(told(r), "\n"))
			}
			if system == "linux" && r.Counts[BuildID] == 0 {
				t.Errorf("no build id among\n%s", strings.Join(told(r), "\n"))
			}
			symmetric(t, r, compare(t, other, one))

			if system != "linux" {
				return
			}
			r = compare(t, build("one", system, "-trimpath"), build("another", system, "-trimpath"))
			if !r.Equal {
				t.Errorf("with -trimpath:\n%s", strings.Join(told(r), "\n"))
			}
			r = compare(t, build("one", system, "-trimpath"), build("one", system, "-trimpath", "-ldflags=-X main.at=2"))
			if !slices.ContainsFunc(r.Differences, func(d Difference) bool { return d.Where != "" && d.What != BuildID }) {
				t.Errorf("with another version:\n%s", strings.Join(told(r), "\n"))
			}
		})
	}
}
