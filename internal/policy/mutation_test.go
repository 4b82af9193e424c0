package policy

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
)

// Without any one of its rules the baseline fails a case: no rule is there for show. A rule is
// taken out by renaming it, so that the rest of the file stays as it is.
func TestEveryRuleIsProved(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs all cases once for each rule")
	}
	base := Builtin()
	src := string(base.Files["merge.rego"])
	starts := regexp.MustCompile(`(?m)^(deny contains|vouched if|approved if|waits_for_nobody if|shuts\(|below\(|settled\(|reached\(|needs_content if|unpinned_change if|already_changed if|same_root if|governed\()`).FindAllStringIndex(src, -1)
	if len(starts) < 25 {
		t.Fatalf("found %d rules, the pattern has gone stale", len(starts))
	}
	for _, at := range starts {
		head, _, _ := strings.Cut(src[at[0]:], "}")
		if strings.Contains(head, " more f") {
			continue // it counts what the rule above it does not list: see TestManyReasons
		}
		t.Run(firstWords(head), func(t *testing.T) {
			t.Parallel()
			set := Set{Name: "mutant", Files: maps.Clone(base.Files)}
			set.Files["merge.rego"] = []byte(src[:at[0]] + "unused_" + src[at[0]:])
			if _, err := ast.ParseModule("m.rego", string(set.Files["merge.rego"])); err != nil {
				t.Fatal(err)
			}
			res, err := Test(context.Background(), set, nil)
			if err != nil {
				return // the rest does not compile without it
			}
			if res.Failed() == 0 {
				t.Errorf("no case fails without it:\n%s", head)
			}
		})
	}
}

func firstWords(s string) string {
	if code := regexp.MustCompile(`"code": ("?[a-z-]+"?), "outcome": "([a-z]+)"`).FindStringSubmatch(s); code != nil {
		return code[1] + " " + code[2]
	}
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// The table explains every code that the rules give, and none besides.
func TestRuleTable(t *testing.T) {
	rules, err := Rules(Builtin())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]Rule{}
	for _, r := range rules {
		known[r.Code] = r
		if r.Title == "" || r.Why == "" || r.Severity.Rank() == 0 || r.Outcome == "" || r.Labels == nil || r.Remedy == "" {
			t.Errorf("%s is not explained: %+v", r.Code, r)
		}
	}
	src := string(Builtin().Files["merge.rego"])
	given := map[string]bool{}
	for _, m := range regexp.MustCompile(`"code": "([a-z-]+)", "outcome": "([a-z]+)"`).FindAllStringSubmatch(src, -1) {
		given[m[1]] = true
		if r := known[m[1]]; !strings.Contains(r.Outcome, m[2]) {
			t.Errorf("%s is %s, its table says %q", m[1], m[2], r.Outcome)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^	"[a-z-]+": "([a-z-]+)",$`).FindAllStringSubmatch(src, -1) {
		given[m[1]] = true // of findings
	}
	given["finding"] = true
	for code := range known {
		if !given[code] {
			t.Errorf("no rule gives %s", code)
		}
	}
	for code := range given {
		if _, ok := known[code]; !ok {
			t.Errorf("the table does not explain %s", code)
		}
	}
}

// What is many is listed up to a bound, and the rest is counted.
func TestManyReasons(t *testing.T) {
	in := openInput()
	in.PullRequest.HumanApproved = false
	for i := range 25 {
		in.Findings = append(in.Findings, sallyport.Finding{
			ID: fmt.Sprint(i), Kind: sallyport.FindingSecret, Path: sallyport.Path(fmt.Sprintf("f%02d", i)), Line: 1, State: "open", Text: "a token",
		})
		in.Change.Files = append(in.Change.Files, sallyport.FileInput{
			Path: sallyport.Path(fmt.Sprintf("m%02d", i)), Classes: []string{"build"}, Attribution: sallyport.Weights{Agent: 1},
			Uncovered: sallyport.Weights{Agent: 2},
		})
	}
	e, err := Compile(context.Background(), []Set{Builtin()}, Data{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := sallyport.EncodeJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Evaluate(context.Background(), sallyport.GateMerge, b)
	if err != nil {
		t.Fatal(err)
	}
	count, texts := map[string]int{}, map[string]bool{}
	for _, r := range v.Reasons {
		count[r.Code]++
		texts[r.Text] = true
	}
	if want := map[string]int{"secret": 21, "approval-missing": 21, "attestation-missing": 1}; !maps.Equal(count, want) {
		t.Errorf("got %v, want %v", count, want)
	}
	for _, want := range []string{
		"5 more findings of this kind",
		"5 more files of protected classes: 1 of 1 approvals needed",
		"50 changed lines by claude-code have no accepted run attestation: m00, m01, m02, m03, m04 and 20 more",
	} {
		if !texts[want] {
			t.Errorf("no reason says %q in %q", want, slices.Collect(maps.Keys(texts)))
		}
	}
}
