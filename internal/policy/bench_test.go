package policy

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// largeInput is the input of a change of about 100 KiB: sixty commits and 200 files, of which
// one in ten is in a protected class, approved and attested.
func largeInput(tb testing.TB) []byte {
	tb.Helper()
	in := openInput()
	commit, file := in.Change.Commits[0], in.Change.Files[0]
	in.Change.Commits, in.Change.Files = nil, nil
	for i := range 60 {
		commit.ID = sallyport.GitCommit(fmt.Sprintf("%040x", i))
		commit.Attribution.Why = []string{"the trailer Co-Authored-By names claude-code", "the run that is attested wrote it"}
		in.Change.Commits = append(in.Change.Commits, commit)
	}
	for i := range 200 {
		file.Path = sallyport.Path(fmt.Sprintf("services/backend/internal/module%02d/handler_%03d.go", i%40, i))
		file.Classes = nil
		if i%10 == 0 {
			file.Classes = []string{"deploy"}
		}
		in.Change.Files = append(in.Change.Files, file)
	}
	for i := range 20 {
		in.Findings = append(in.Findings, sallyport.Finding{
			ID: fmt.Sprint(i), Kind: sallyport.FindingSecret, State: "fixed", Text: strings.Repeat("x", 60),
		})
	}
	b, err := sallyport.EncodeJSON(in)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func BenchmarkEvaluateBaseline(b *testing.B) {
	e, err := Compile(context.Background(), []Set{Builtin()}, Data{})
	if err != nil {
		b.Fatal(err)
	}
	in := largeInput(b)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := e.Evaluate(context.Background(), sallyport.GateMerge, in)
		if err != nil || v.Outcome != sallyport.Open {
			b.Fatalf("%+v, %v", v, err)
		}
	}
}

func BenchmarkParseInput(b *testing.B) {
	in := largeInput(b)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseInput(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileBaseline(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(context.Background(), []Set{Builtin()}, Data{}); err != nil {
			b.Fatal(err)
		}
	}
}
