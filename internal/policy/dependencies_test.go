package policy

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// withPackages is the input of a change that adds n packages, and of each tells the worst.
func withPackages(tb testing.TB, n int, from string) []byte {
	tb.Helper()
	in := openInput()
	in.PullRequest.HumanApproved = false
	in.Change.Files[0].Path = "package-lock.json"
	in.Change.Files[0].Classes = []string{"lockfile"}
	in.Change.Files[0].Attribution = sallyport.Weights{Agent: 1}
	for i := range n {
		in.Change.Dependencies = append(in.Change.Dependencies, sallyport.Dependency{
			Purl: fmt.Sprintf("pkg:npm/package-%05d@1.0.0", i), Ecosystem: "npm", Name: fmt.Sprintf("package-%05d", i), Version: "1.0.0", Change: "added",
			InstallScript: true, Registry: from, Integrity: "missing", Lock: true, Path: "package-lock.json",
		})
	}
	b, err := sallyport.EncodeJSON(in)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// However many packages a file brings, each rule gives one reason for it, and names a few.
func TestManyPackages(t *testing.T) {
	e, err := Compile(context.Background(), []Set{Builtin()}, Data{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Evaluate(context.Background(), sallyport.GateMerge, withPackages(t, 300, "github.com"))
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	for _, r := range v.Reasons {
		if strings.HasPrefix(r.Code, "dependency-") {
			codes[r.Code] += r.Text
		}
	}
	for _, code := range []string{"dependency-added", "dependency-install-script", "dependency-registry", "dependency-integrity"} {
		if s := codes[code]; !strings.Contains(s, "300: package-00000 1.0.0 from github.com") || !strings.Contains(s, "and 295 more") {
			t.Errorf("%s says %q", code, s)
		}
	}
	if len(codes) != 4 || v.Outcome != sallyport.Waiting {
		t.Errorf("%v, %v", v.Outcome, codes)
	}
}

// What the repository's settings allow is allowed, and nothing else is.
func TestAllowedRegistries(t *testing.T) {
	e, err := Compile(context.Background(), []Set{Builtin()}, Data{Dependencies: Dependencies{Registries: []string{"npm.example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]bool{"npm.example.com": false, "example.com": true, "npm.example.com.evil.example": true, "": true} {
		v, err := e.Evaluate(context.Background(), sallyport.GateMerge, withPackages(t, 1, from))
		if err != nil {
			t.Fatal(err)
		}
		got := false
		for _, r := range v.Reasons {
			got = got || r.Code == "dependency-registry"
		}
		if got != want {
			t.Errorf("from %q: told %v, want %v", from, got, want)
		}
	}
}

func BenchmarkEvaluatePackages(b *testing.B) {
	e, err := Compile(context.Background(), []Set{Builtin()}, Data{})
	if err != nil {
		b.Fatal(err)
	}
	in := withPackages(b, 5000, "github.com")
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Evaluate(context.Background(), sallyport.GateMerge, in); err != nil {
			b.Fatal(err)
		}
	}
}
