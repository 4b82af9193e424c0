package release

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// TestInputs: what provenance names beside the source, and what of it has no digest.
func TestInputs(t *testing.T) {
	g := &Gate{Repository: "example.com/acme/app"}
	source := dependency{URI: "git+https://example.com/acme/app@refs/heads/main", Digest: map[string]string{"gitCommit": id("a")}}
	for _, c := range []struct {
		name      string
		buildType string
		deps      []dependency
		pinned    int
		unpinned  []string
	}{
		{"the source alone", "other", []dependency{source}, 0, nil},
		{"the source of our own build", BuildType, []dependency{{Name: "source"}}, 0, nil},
		{"an action by its commit", "other", []dependency{source, {URI: "git+https://github.com/a/b@v1", Digest: map[string]string{"gitCommit": id("b")}}}, 1, nil},
		{"an action by its tag", "other", []dependency{source, {URI: "git+https://github.com/a/b@v1"}}, 0, []string{"git+https://github.com/a/b@v1"}},
		{"an action by a short commit", "other", []dependency{source, {URI: "git+https://github.com/a/b@v1", Digest: map[string]string{"gitCommit": "abcdef1"}}}, 0, []string{"git+https://github.com/a/b@v1"}},
		{"an action by zeroes", "other", []dependency{source, {URI: "git+https://github.com/a/b@v1", Digest: map[string]string{"gitCommit": strings.Repeat("0", 40)}}}, 0, []string{"git+https://github.com/a/b@v1"}},
		{"a digest of an unknown algorithm", "other", []dependency{source, {Name: "tool", Digest: map[string]string{"md5": strings.Repeat("a", 32)}}}, 0, []string{"tool"}},
		{"a tool by its digest", BuildType, []dependency{{Name: "source"}, {Name: "semgrep", Digest: map[string]string{"sha256": strings.Repeat("a", 64)}}}, 1, nil},
	} {
		pinned, unpinned := g.inputs(c.buildType, c.deps)
		if pinned != c.pinned || !slices.Equal(unpinned, c.unpinned) {
			t.Errorf("%s: got %d, %q, want %d, %q", c.name, pinned, unpinned, c.pinned, c.unpinned)
		}
	}
}

// TestQuestion: a bill that only the build says is looked into by nobody, and one of something else neither.
func TestQuestion(t *testing.T) {
	p := Params{Commit: id("a"), Tree: id("A"), Artifacts: []Artifact{{Name: "app", Digest: sallyport.SHA256([]byte("app"))}}}
	p.Settings.Grades = []sallyport.Grade{sallyport.Observed}
	about := func(grade sallyport.Grade, digest map[string]string) sallyport.Evidence {
		ev := statement("https://cyclonedx.org/bom", map[string]any{}, sallyport.StatementSubject{Digest: digest})
		ev.Grade = grade
		return ev
	}
	app := map[string]string{"sha256": p.Artifacts[0].Digest.Hex()}
	q := question(p, time.Unix(1795000000, 0), []sallyport.Evidence{
		about(sallyport.Observed, app), about(sallyport.Declared, app), about(sallyport.Observed, map[string]string{"gitCommit": id("a")}),
		about(sallyport.Observed, map[string]string{"gitCommit": id("b")}),
	})
	if len(q.Bills) != 2 || q.Bills[0].About != "app" || q.Bills[1].About != "" || q.Bills[1].Subject != sallyport.GitCommit(id("a")) || q.Untold != nil {
		t.Errorf("got %+v", q)
	}

	// One bill about two files is about each; a file without one is told, unless the commit says all of it.
	docs := Artifact{Name: "docs", Digest: sallyport.SHA256([]byte("docs"))}
	p.Artifacts = append(p.Artifacts, docs)
	both := about(sallyport.Observed, app)
	both.Statement.Subject = append(both.Statement.Subject, sallyport.StatementSubject{Digest: map[string]string{"sha256": docs.Digest.Hex()}})
	if q := question(p, time.Time{}, []sallyport.Evidence{both}); len(q.Bills) != 2 || q.Bills[0].Subject == q.Bills[1].Subject || q.Untold != nil {
		t.Errorf("a bill of two files: %+v", q)
	}
	if q := question(p, time.Time{}, []sallyport.Evidence{about(sallyport.Observed, app)}); len(q.Untold) != 1 || q.Untold[0].Name != "docs" {
		t.Errorf("a file without a bill: %+v", q)
	}
	p.Artifacts[1].Source = sallyport.SourceInput{Wanted: true, Equal: true}
	if q := question(p, time.Time{}, []sallyport.Evidence{about(sallyport.Observed, app)}); q.Untold != nil {
		t.Errorf("a file that is the commit's tree: %+v", q)
	}
}
