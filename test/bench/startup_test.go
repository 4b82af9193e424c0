//go:build unix

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// heavy lists modules that must not be linked, and what they would cost everyone at every start:
// Go initialises all that is linked, whether it is used or not.
var heavy = []struct{ prefix, why string }{
	{"github.com/zricethezav/gitleaks", "25 ms of start-up; its rules are data of internal/scan"},
	{"github.com/anchore/", "Syft doubles the executable; sallyport-sbom carries it"},
	{"github.com/google/osv-scalibr/extractor", "does not compile beside OPA"},
	{"github.com/mattn/go-runewidth", "23 ms of start-up for a table that we do not need"},
	{"github.com/charmbracelet/", "asks the terminal for its colours before main"},
	{"github.com/go-git/", "50 to 150 times slower than git on paths"},
	{"github.com/aws/", "vendors come in through a backend of their own, when there is one"},
	{"cloud.google.com/", "as above"},
	{"github.com/Azure/", "as above"},
	{"k8s.io/client-go", "the admission gate speaks HTTP and needs no client"},
	{"github.com/docker/", "no gate talks to a container daemon"},
	{"github.com/mattn/go-sqlite3", "needs cgo"},
}

// TestStartUp lists what the initialisers of the built program cost. It judges no time: it fails
// if the runtime's trace cannot be read, or if something heavy has been linked.
func TestStartUp(t *testing.T) {
	if testing.Short() {
		t.Skip("links the product")
	}
	scene.DependOnSources(t)
	exe := filepath.Join(t.TempDir(), "sallyport")
	if err := buildProduct(t.Context(), exe, "-trimpath", "-ldflags=-s -w"); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the executable takes %.1f MiB; the aim is %d", float64(st.Size())/(1<<20), aimSize>>20)

	// The least of several runs, package by package: what the machine did besides only adds.
	least := map[string]initCost{}
	for range 7 {
		for _, c := range traceInit(t, exe) {
			if old, ok := least[c.name]; !ok || c.took < old.took {
				least[c.name] = c
			}
		}
	}
	costs := slices.Collect(func(yield func(initCost) bool) {
		for _, c := range least {
			if !yield(c) {
				return
			}
		}
	})
	slices.SortFunc(costs, func(a, b initCost) int {
		return cmp.Or(cmp.Compare(b.took, a.took), cmp.Compare(a.name, b.name))
	})
	var total initCost
	for _, c := range costs {
		total.took += c.took
		total.bytes += c.bytes
	}
	var list strings.Builder
	for _, c := range costs[:min(15, len(costs))] {
		fmt.Fprintf(&list, "%8.3f ms %7d KiB  %s\n", float64(c.took)/1e6, c.bytes>>10, c.name)
	}
	t.Logf("%d packages have initialisers; together %.2f ms and %d KiB, the costliest being\n%s",
		len(costs), float64(total.took)/1e6, total.bytes>>10, list.String())

	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	linked := []string{}
	for _, d := range info.Deps {
		linked = append(linked, d.Path)
	}
	if !slices.Contains(linked, "github.com/spf13/cobra") {
		t.Fatalf("the executable's list of %d modules lacks one that it surely holds", len(linked))
	}
	for _, c := range costs {
		linked = append(linked, c.name) // packages, where a module is only in part unwelcome
	}
	for _, l := range linked {
		for _, h := range heavy {
			if strings.HasPrefix(l, h.prefix) {
				t.Errorf("%s is linked: %s", l, h.why)
			}
		}
	}
}

// An initCost is what one package's initialisers took.
type initCost struct {
	name  string
	took  time.Duration
	bytes int64
}

// traceInit starts the program once with the runtime's trace of initialisers, whose lines read
//
//	init PATH @0.5 ms, 0.02 ms clock, 1024 bytes, 12 allocs
func traceInit(t *testing.T, exe string) []initCost {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), exe, "version")
	cmd.Env = []string{"GODEBUG=inittrace=1", "HOME=" + t.TempDir()}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("sallyport version: %v\n%s", err, stderr.Bytes())
	}
	costs, err := parseInitTrace(stderr.String())
	if err != nil {
		t.Fatal(err)
	}
	return costs
}

func parseInitTrace(trace string) ([]initCost, error) {
	var costs []initCost
	for s := bufio.NewScanner(strings.NewReader(trace)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 0 || f[0] != "init" {
			continue
		}
		if len(f) != 11 || f[5] != "ms" || f[6] != "clock," || f[8] != "bytes," {
			return nil, fmt.Errorf("unexpected line of the trace: %q", s.Text())
		}
		took, err := strconv.ParseFloat(f[4], 64)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", s.Text(), err)
		}
		n, err := strconv.ParseInt(f[7], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", s.Text(), err)
		}
		costs = append(costs, initCost{f[1], time.Duration(took * 1e6), n})
	}
	if len(costs) == 0 {
		return nil, fmt.Errorf("there is no line of initialisers in %q", trace)
	}
	return costs, nil
}

func TestParseInitTrace(t *testing.T) {
	for _, row := range []struct {
		name, trace string
		want        int
		fails       bool
	}{
		{"two packages", "init runtime @0.05 ms, 0.076 ms clock, 0 bytes, 0 allocs\ninit a/b @1 ms, 6.3 ms clock, 19480 bytes, 101 allocs\n", 2, false},
		{"other output between", "hello\ninit errors @0.05 ms, 0 ms clock, 0 bytes, 0 allocs\n", 1, false},
		{"nothing", "", 0, true},
		{"another shape", "init errors @0.05 ms, 0 ms cpu\n", 0, true},
		{"no number", "init errors @0.05 ms, x ms clock, 0 bytes, 0 allocs\n", 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := parseInitTrace(row.trace)
			if len(got) != row.want || (err != nil) != row.fails {
				t.Errorf("got %v, %v; want %d packages, failure %v", got, err, row.want, row.fails)
			}
		})
	}
}
