package layout

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	page    = regexp.MustCompile(`\bdocs/[a-z0-9/-]+\.md\b`)
	heading = regexp.MustCompile("(?m)^### `([a-z-]+)`$")
)

// TestLinks follows the relative links of every Markdown page outside testdata, and looks for
// the pages that Go files name: a hint that leads nowhere is worse than none.
func TestLinks(t *testing.T) {
	root, _ := findModule(t)
	tree := os.DirFS(root)
	pages := 0
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (skipped(name) || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		case path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go"):
			src, err := fs.ReadFile(tree, name)
			if err != nil {
				return err
			}
			for _, target := range page.FindAllString(string(src), -1) {
				if _, err := fs.Stat(tree, target); err != nil {
					t.Errorf("%s: names %s: %v", name, target, err)
				}
			}
			return nil
		case path.Ext(name) != ".md":
			return nil
		}
		page, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		pages++
		for _, m := range link.FindAllStringSubmatch(string(page), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := fs.Stat(tree, path.Join(path.Dir(name), target)); err != nil {
				t.Errorf("%s: link to %s: %v", name, m[1], err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages == 0 {
		t.Error("no page was read")
	}
}

// TestReasons holds docs/reasons.md to the rules that are shipped: a code that a user meets has
// a heading there, once.
func TestReasons(t *testing.T) {
	root, _ := findModule(t)
	page, err := os.ReadFile(path.Join(root, "docs", "reasons.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]int{}
	for _, m := range heading.FindAllSubmatch(page, -1) {
		documented[string(m[1])]++
	}
	for code, n := range documented {
		if n > 1 {
			t.Errorf("%s is documented %d times", code, n)
		}
	}
	data, err := os.ReadFile(path.Join(root, "policy", "baseline", "data.json"))
	if err != nil {
		t.Fatal(err)
	}
	var baseline struct {
		Rules map[string]json.RawMessage `json:"rules"`
	}
	if err := json.Unmarshal(data, &baseline); err != nil {
		t.Fatal(err)
	}
	if len(baseline.Rules) == 0 {
		t.Fatal("the baseline has no rules")
	}
	for code := range baseline.Rules {
		if documented[code] == 0 {
			t.Errorf("docs/reasons.md has no heading for %s", code)
		}
	}
}
