package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// blocksOf returns the blocks of indented lines under each heading of a page.
func blocksOf(page string) map[string][]string {
	blocks := map[string][]string{}
	heading, in := "", false
	for line := range strings.Lines(page) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case strings.HasPrefix(line, "#"):
			heading, in = strings.TrimSpace(strings.TrimLeft(line, "#")), false
		case indented && !in:
			blocks[heading] = append(blocks[heading], code)
			in = true
		case indented:
			blocks[heading][len(blocks[heading])-1] += code
		default:
			in = false
		}
	}
	return blocks
}

const playbook = "../../docs/playbooks/vendor-change.md"

// play runs a block of a playbook as it stands on the page: "play HEADING N" the Nth under a heading, in a shell
// that ends with the first command that fails.
func play(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: play HEADING N")
	}
	page, err := os.ReadFile(ts.Getenv("PLAYBOOK"))
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	blocks := blocksOf(string(page))[args[0]]
	if n < 1 || n > len(blocks) {
		ts.Fatalf("the page has %d blocks under %q", len(blocks), args[0])
	}
	if err := ts.Exec("sh", "-euc", blocks[n-1]); (err == nil) == neg {
		ts.Fatalf("%s %d: %v", args[0], n, err)
	}
}

// TestPlaybookPlayed: every block of the page is played by the script.
func TestPlaybookPlayed(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash(playbook))
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/playbook_vendor_change.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for heading, blocks := range blocksOf(string(page)) {
		for i := range blocks {
			n++
			if !strings.Contains(string(script), "\nplay '"+heading+"' "+strconv.Itoa(i+1)+"\n") {
				t.Errorf("block %d of %q is not played", i+1, heading)
			}
		}
	}
	if n < 6 {
		t.Errorf("found %d blocks: the test does not see them any more", n)
	}
}
