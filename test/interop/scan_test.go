//go:build peers

package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// builtPeer builds a scanner from the version that a module under test pins.
func builtPeer(t *testing.T, dir, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, pkg)
	build.Dir = filepath.Join("..", dir)
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
		t.Skipf("%s cannot be built here: %v: %s", pkg, err, lastLine(out))
	}
	return path
}

type scanned struct {
	Tools []struct {
		State, Why, Result, Database string
		Program                      struct{ Version string }
		Results                      []struct{ Severity, Rule, Place string }
	}
}

func scan(t *testing.T, s *scene.Scene, status int, args ...string) scanned {
	t.Helper()
	r := s.Sallyport(append([]string{"scan", "--repo", s.Repo, "--json"}, args...)...)
	if r.Status != status {
		t.Fatalf("scan %v: %v", args, r)
	}
	var out scanned
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func goScene(t *testing.T) *scene.Scene {
	s := scene.New(t, scene.Options{})
	s.Write("go.mod", "module example.com/m\n\ngo 1.26.0\n")
	s.Write("main.go", "package main\n\nimport (\n\t\"crypto/md5\"\n\t\"fmt\"\n)\n\nfunc main() {\n\tfmt.Println(md5.Sum([]byte(\"x\"))) // #nosec\n}\n")
	return s
}

// The real gosec finds what it should, a comment in the source does not make it silent, and where a package
// does not compile there is no answer.
func TestGosec(t *testing.T) {
	gosec := builtPeer(t, filepath.Join("peers", "gosec"), "github.com/securego/gosec/v2/cmd/gosec")
	s := goScene(t)
	got := scan(t, s, 2, "--tool", "gosec="+gosec).Tools[0]
	if got.State != "ran" || got.Result != "FAILED" || got.Program.Version != "v2.30.0" {
		t.Errorf("%+v", got)
	}
	found := false
	for _, r := range got.Results {
		found = found || (r.Rule == "G401" && r.Place == "main.go:9")
	}
	if !found {
		t.Errorf("no G401 at main.go:9: %+v", got.Results)
	}
	s.Write("sub/broken.go", "package sub\n\nfunc broken( {\n")
	if got := scan(t, s, 1, "--tool", "gosec="+gosec).Tools[0]; got.State != "failed" || !strings.Contains(got.Why, "did not scan") {
		t.Errorf("a package that does not compile: %+v", got)
	}
}

// The real govulncheck reads the database that it is given; one that holds nothing is no answer.
func TestGovulncheck(t *testing.T) {
	govulncheck := builtPeer(t, "tools", "golang.org/x/vuln/cmd/govulncheck")
	s := goScene(t)
	empty, db := filepath.Join(s.Dir, "empty"), filepath.Join(s.Dir, "db")
	// An advisory of our own making, against a function of the standard library in all its versions.
	const id, at = "GO-2026-0001", "2026-08-21T00:00:00Z"
	for name, content := range map[string]string{
		"index/db.json":      `{"modified":"` + at + `"}`,
		"index/modules.json": `[{"path":"stdlib","vulns":[{"id":"` + id + `","modified":"` + at + `"}]}]`,
		"index/vulns.json":   `[{"id":"` + id + `","modified":"` + at + `"}]`,
		"ID/" + id + ".json": `{"schema_version":"1.3.1","id":"` + id + `","modified":"` + at + `","published":"` + at + `","summary":"made up","details":"made up",
			"affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":"crypto/md5","symbols":["Sum"]}]}}]}`,
	} {
		p := filepath.Join(db, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(p), filepath.Base(p), content)
	}
	if err := os.MkdirAll(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	got := scan(t, s, 2, "--tool", "govulncheck="+govulncheck, "--vulndb", "file://"+db).Tools[0]
	if got.State != "ran" || got.Database != at || len(got.Results) != 1 || got.Results[0].Rule != id || got.Program.Version != "v1.9.0" {
		t.Errorf("%+v", got)
	}
	if got := scan(t, s, 1, "--tool", "govulncheck="+govulncheck, "--vulndb", "file://"+empty).Tools[0]; got.State != "failed" || !strings.Contains(got.Why, "holds nothing") {
		t.Errorf("an empty database: %+v", got)
	}
}
