package rebuild

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

const (
	commit = "4f2a9c1d00000000000000000000000000000000"
	digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

const sound = `{"buildDefinition":{"buildType":"https://sallyport.dev/build/command/v1",
"externalParameters":{"command":["make","all"],"directory":"sub","artifacts":["dist/*"],"environment":{"A":"b"}},
"internalParameters":{"exitStatus":0,"ended":"exited","source":{"dirty":false}},
"resolvedDependencies":[{"name":"source","uri":"git+https://example.com/app@refs/heads/main","digest":{"gitCommit":"4f2a9c1d00000000000000000000000000000000"}}]},
"runDetails":{"builder":{"id":"https://ci.example.com/runner"},"metadata":{"finishedOn":"2026-11-26T12:00:00Z"}}}`

func statement(predicate string, subjects ...sallyport.StatementSubject) sallyport.Statement {
	if subjects == nil {
		subjects = []sallyport.StatementSubject{
			{Name: "source", Digest: map[string]string{"gitCommit": commit}},
			{Name: "dist/app", Digest: map[string]string{"sha256": digest}},
		}
	}
	return sallyport.Statement{Type: sallyport.StatementType, PredicateType: ProvenanceType, Subject: subjects, Predicate: json.RawMessage(predicate)}
}

func TestReadPlan(t *testing.T) {
	p, err := ReadPlan(statement(sound))
	if err != nil {
		t.Fatal(err)
	}
	if p.Commit != commit || p.Branch != "main" || p.Directory != "sub" || p.ShellCommand() != "make all" || len(p.Artifacts) != 1 || p.Artifacts[0].Name != "dist/app" {
		t.Errorf("%+v", p)
	}
	subject := func(name string) []sallyport.StatementSubject {
		return []sallyport.StatementSubject{{Name: name, Digest: map[string]string{"sha256": digest}}}
	}
	tests := []struct {
		name, old, new string
		subjects       []sallyport.StatementSubject
		want           error
	}{
		{"other build type", "build/command/v1", "build/command/v2", nil, ErrType},
		{"failed", `"exitStatus":0`, `"exitStatus":1`, nil, ErrFailed},
		{"interrupted", `"exited"`, `"signaled"`, nil, ErrFailed},
		{"no status", `"exitStatus":0,`, ``, nil, ErrShape},
		{"dirty", `"dirty":false`, `"dirty":true`, nil, ErrSource},
		{"submodules", `"dirty":false`, `"submodules":1`, nil, ErrSource},
		{"no commit", `"gitCommit"`, `"gitTree"`, nil, ErrSource},
		{"no source", `"name":"source"`, `"name":"lock"`, nil, ErrSource},
		{"no command", `["make","all"]`, `[]`, nil, ErrShape},
		{"folder above", `"sub"`, `"../sub"`, nil, ErrShape},
		{"folder anywhere", `"sub"`, `"/etc"`, nil, ErrShape},
		{"no patterns", `["dist/*"]`, `[]`, nil, ErrShape},
		{"pattern", `["dist/*"]`, `["../*"]`, nil, ErrShape},
		{"variable", `{"A":"b"}`, `{"A=B":"b"}`, nil, ErrShape},
		{"key twice", `"directory":"sub"`, `"directory":"sub","Directory":"other"`, nil, ErrShape},
		{"subject above", "", "", subject("../app"), ErrShape},
		{"subject anywhere", "", "", subject("/dist/app"), ErrShape},
		{"subject of no pattern", "", "", subject("bin/app"), ErrShape},
		{"subject twice", "", "", append(subject("dist/app"), subject("dist/app")...), ErrShape},
		{"no artifact", "", "", []sallyport.StatementSubject{{Digest: map[string]string{"gitCommit": commit}}}, ErrType},
		{"another commit", "", "", append(subject("dist/app"), sallyport.StatementSubject{Digest: map[string]string{"gitCommit": strings.Repeat("0", 40)}}), ErrSource},
		{"weak digest", "", "", []sallyport.StatementSubject{{Name: "dist/app", Digest: map[string]string{"sha1": commit}}}, ErrShape},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(sound, tt.old) {
				t.Fatalf("no %s to replace", tt.old)
			}
			s := sound
			if tt.old != "" {
				s = strings.ReplaceAll(s, tt.old, tt.new)
			}
			if _, err := ReadPlan(statement(s, tt.subjects...)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	st := statement(sound)
	st.PredicateType = "https://slsa.dev/provenance/v0.2"
	if _, err := ReadPlan(st); !errors.Is(err, ErrType) {
		t.Errorf("provenance of another version: %v", err)
	}
}

// FuzzReadPlan: a plan names a commit, a command, a folder below the checkout, and artifacts below
// that folder, each of which a pattern matches.
func FuzzReadPlan(f *testing.F) {
	f.Add([]byte(sound), "dist/app")
	f.Add([]byte(strings.ReplaceAll(sound, `"sub"`, `"."`)), "dist/../app")
	f.Add([]byte(`{"buildDefinition":{}}`), "")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		p, err := ReadPlan(statement(string(b), sallyport.StatementSubject{Name: name, Digest: map[string]string{"sha256": digest}}))
		if err != nil {
			if p != nil {
				t.Fatal("a plan and an error")
			}
			return
		}
		if _, err := sallyport.ParseDigest("gitCommit:" + p.Commit); err != nil || len(p.Command) == 0 || len(p.Artifacts) != 1 {
			t.Fatalf("%+v", p)
		}
		for _, s := range []string{p.Directory, p.Artifacts[0].Name} {
			if s != "." && !local(s) {
				t.Fatalf("%q is not below", s)
			}
		}
		if !p.matches(p.Artifacts[0].Name) {
			t.Fatalf("%q matches nothing", p.Artifacts[0].Name)
		}
	})
}
