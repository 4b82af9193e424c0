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

// houseRules is a set of 200 rules as a large organisation has them: each asks for files of one
// class, one agent, one kind of finding or one target, in tables that one rule has sorted
// them into before. The table is a complete rule: a partial one is made again for each key that is
// looked up in it.
func houseRules() Set {
	var b strings.Builder
	b.WriteString("package sallyport.merge\nimport rego.v1\n")
	b.WriteString("by_class[class] contains file.path if {\n\tsome file in input.change.files\n\tsome class in file.classes\n}\n")
	b.WriteString("by_rule[finding.rule] contains finding.path if {\n\tsome finding in input.findings\n\tfinding.state == \"open\"\n}\n")
	b.WriteString("classes := by_class\nopen_rules := by_rule\n")
	b.WriteString("agents := {agent.name | some agent in input.agents}\n")
	for i := range 50 {
		fmt.Fprintf(&b, "deny contains {\"code\": \"class-%d\", \"outcome\": \"shut\", \"place\": path, \"text\": \"no\"} if some path in classes[\"house-%d\"]\n", i, i)
		fmt.Fprintf(&b, "deny contains {\"code\": \"found-%d\", \"outcome\": \"shut\", \"place\": path, \"text\": \"no\"} if some path in open_rules[\"rule-%d\"]\n", i, i)
		fmt.Fprintf(&b, "deny contains {\"code\": \"agent-%d\", \"outcome\": \"shut\", \"text\": \"no\"} if \"agent-%d\" in agents\n", i, i)
		fmt.Fprintf(&b, "deny contains {\"code\": \"target-%d\", \"outcome\": \"waiting\", \"text\": \"no\"} if input.change.target_ref == \"refs/heads/release/%d\"\n", i, i)
	}
	return Set{Name: "house", Files: map[string][]byte{"house.rego": []byte(b.String())}}
}

// The house's rules say something where they should, so that what is measured is no dead code.
func TestHouseRules(t *testing.T) {
	in := openInput()
	in.Change.TargetRef = "refs/heads/release/7"
	in.Change.Files[0].Classes = []string{"house-3"}
	in.Agents = append(in.Agents, sallyport.AgentInput{Name: "agent-4", Approved: true})
	in.Findings = []sallyport.Finding{{Rule: "rule-9", Path: "x", State: "open"}}
	v := evaluate(t, in, Data{}, houseRules())
	if got := strings.Join(v.PerSet[0].Codes, " "); got != "agent-4 class-3 found-9 target-7" || v.Outcome != sallyport.Shut {
		t.Errorf("got %s, %v", got, v.Outcome)
	}
}

// BenchmarkEvaluate200Rules judges an input of about 100 KiB by 200 rules. The aim is 4 ms.
func BenchmarkEvaluate200Rules(b *testing.B) {
	benchmarkSets(b, houseRules())
}

// BenchmarkEvaluate200RulesAndBaseline is the same beside the baseline.
func BenchmarkEvaluate200RulesAndBaseline(b *testing.B) {
	benchmarkSets(b, Builtin(), houseRules())
}

func benchmarkSets(b *testing.B, sets ...Set) {
	e, err := Compile(context.Background(), sets, Data{})
	if err != nil {
		b.Fatal(err)
	}
	in := largeInput(b)
	if len(in) < 95<<10 || len(in) > 150<<10 {
		b.Fatalf("the input has %d bytes", len(in))
	}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := e.Evaluate(context.Background(), sallyport.GateMerge, in)
		if err != nil || v.Outcome != sallyport.Open {
			b.Fatalf("%+v, %v", v, err)
		}
	}
}
