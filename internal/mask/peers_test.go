//go:build peers

package mask

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBesideGitleaks runs gitleaks, built from test/peers, over the labelled texts, a file each.
func TestBesideGitleaks(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "gitleaks")
	build := exec.Command("go", "build", "-o", bin, "github.com/zricethezav/gitleaks/v8")
	build.Dir = filepath.Join("..", "..", "test", "peers", "gitleaks")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("gitleaks cannot be built here: %s", out)
		}
		t.Skipf("NOT TESTED: gitleaks cannot be built here: %s", out)
	}
	var list []struct {
		Secret bool
		Text   string
	}
	labelled(t, "noseyparker-examples.json.gz", &list)
	texts := filepath.Join(dir, "texts")
	if err := os.Mkdir(texts, 0o700); err != nil {
		t.Fatal(err)
	}
	e := engine(t, Options{})
	var n, ours, theirs [2]int
	class := map[bool]int{true: 1}
	for i, x := range list {
		n[class[x.Secret]]++
		if len(e.Find(nil, []byte(x.Text))) > 0 {
			ours[class[x.Secret]]++
		}
		if err := os.WriteFile(filepath.Join(texts, fmt.Sprint(i, ".txt")), []byte(x.Text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report := filepath.Join(dir, "report.json")
	if out, err := exec.Command(bin, "dir", texts, "--no-banner", "--log-level", "error", "--exit-code", "0", "--report-path", report).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var leaks []struct{ File string }
	if err := json.Unmarshal(b, &leaks); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, l := range leaks {
		var i int
		if _, err := fmt.Sscanf(filepath.Base(l.File), "%d.txt", &i); err != nil || seen[i] {
			continue
		}
		seen[i] = true
		theirs[class[list[i].Secret]]++
	}
	for name, hit := range map[string][2]int{"sallyport": ours, "gitleaks": theirs} {
		t.Logf("%-10s secrets %.3f, false alarms %.3f", name, float64(hit[1])/float64(n[1]), float64(hit[0])/float64(n[0]))
	}
	if ours[1] <= theirs[1] {
		t.Error("gitleaks finds more")
	}
}
