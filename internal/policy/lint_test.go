package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The shipped baseline is clean.
func TestLintBaseline(t *testing.T) {
	found, err := Lint(context.Background(), Builtin())
	if err != nil || len(found) > 0 {
		t.Errorf("got %+v, %v", found, err)
	}
}

// Each kind of finding, at its line, beside a twin that differs in the fault and is clean.
func TestLint(t *testing.T) {
	const head = "package sallyport.merge\n"
	deny := func(body ...string) string {
		return head + "deny contains {\"code\": \"c\", \"text\": \"x\"} if {\n\t" + strings.Join(body, "\n\t") + "\n}\n"
	}
	const data = `{"rules":{"c":{"title":"t"}}}`
	const cases = "cases:\n  - {note: one, input: {pull_request: {number: 7}}, want: [c]}\n  - {note: other, want: []}\n"
	seven := "input.pull_request.number == 7"
	for _, tt := range []struct {
		name, rego, twin string
		data, cases      string // if not as above
		want             []string
	}{
		{name: "a typo", rego: deny(seven, "not input.pull_request.human_aproved"), twin: deny(seven, "not input.pull_request.number == 8"),
			want: []string{"4 unknown-property no input has input.pull_request.human_aproved; did you mean human_approved?"}},
		{name: "a typo in what is walked", rego: deny(seven, "some f in input.change.files", "not f.pth == 7"), twin: deny(seven, "some f in input.change.files", "not f.path == 7"),
			want: []string{"5 unknown-property no input has f.pth; did you mean path?"}},
		{name: "a typo by index", rego: deny(seven, "not h") + "h if input.change.files[_].attribution.agnt == 7\n", twin: deny(seven, "not h") + "h if input.change.files[_].attribution.agent == 7\n",
			want: []string{"6 unknown-property no input has input.change.files[_].attribution.agnt; did you mean agent?"}},
		{name: "a typo in a helper", rego: deny(seven, "h") + "h if not input.changes.x\n", twin: deny(seven, "h") + "h if not input.change.head == \"\"\n",
			want: []string{"6 unknown-property no input has input.changes; did you mean change?"}},
		{name: "an optional property", rego: deny(seven, "some f in input.change.files", `f.old_path != "x"`), twin: deny(seven, "some f in input.change.files", `object.get(f, "old_path", "") != "x"`),
			cases: strings.Replace(cases, "number: 7}}", "number: 7}, change: {files: [{old_path: y}]}}", 1),
			want:  []string{"5 optional-property the reason is lost where f.old_path is missing, which it may be; use object.get"}},
		{name: "a statement's body", rego: deny(seven, "e := input.evidence[_]", `e.body.result == "bad"`), twin: deny(seven, "e := input.evidence[_]", `object.get(e.body, "result", "bad") == "bad"`),
			cases: strings.Replace(cases, "number: 7}}", `number: 7}, evidence: [{body: {result: bad}}]}`, 1),
			want:  []string{"5 optional-property the reason is lost where e.body has no \"result\": no statement has to hold it; use object.get, or say in a rule of its own what is missing"}},
		{name: "a sentence for a reason", rego: head + "deny contains \"x\" if " + seven + "\n", twin: head + "deny contains {\"code\": \"c\"} if " + seven + "\n",
			data: "{}", cases: strings.Replace(cases, "[c]", "[policy]", 1),
			want: []string{"2 no-code a reason without a code is told under the code \"policy\", with no title or remedy: make it an object"}},
		{name: "a reason without a code", rego: head + "deny contains r if {\n" + seven + "\nr := {\"text\": \"x\"}\n}\n", twin: head + "deny contains r if {\n" + seven + "\nr := {\"code\": \"c\"}\n}\n",
			data: "{}", cases: strings.Replace(cases, "[c]", "[policy]", 1), want: []string{"2 no-code the reason states no code"}},
		{name: "a code that nobody explains", rego: deny(seven), data: `{}`, want: []string{"2 unexplained-code the rule table does not explain the code \"c\": add it under rules in data.json, or as METADATA"}},
		{name: "no case wants it", rego: deny(seven), cases: "cases: [{note: other, want: []}]", want: []string{"2 no-case no case wants the code \"c\": the rule could be deleted without one noticing"}},
		{name: "every case wants it", rego: deny(seven), cases: "cases: [{note: one, input: {pull_request: {number: 7}}, want: [c]}]", want: []string{"2 one-verdict every case wants the code \"c\": a rule that always speaks would pass them"}},
		{name: "walks again", rego: deny(seven, "some f in input.change.files", "f.added >= 0") + "h if input.change.files[_].binary\n",
			twin: deny(seven, "some f in input.change.files", "f.added >= 0") + "h if input.change.commits[_].merge\n",
			want: []string{"7 walks-again h walks input.change.files, which deny walks already (m.rego:4): let one rule walk it and the others use what that found"}},
		{name: "walks again in every", rego: deny(seven, "h") + "h if every f in input.change.files { f.added >= 0 }\ng := [f | some f in input.change.files]\n",
			twin: deny(seven, "h") + "h if every f in g { f.added >= 0 }\ng := [f | some f in input.change.files]\n",
			want: []string{"7 walks-again g walks input.change.files, which h walks already (m.rego:6): let one rule walk it and the others use what that found"}},
		{name: "walks again, and may", rego: deny(seven, "some f in input.change.files", "f.added >= 0") + "# lint:allow walks-again: it is short\nh if input.change.files[_].binary\n", want: nil},
		{name: "walks again, and may in the whole file", rego: "# lint:allow walks-again input.change.files: it is short\n" + deny(seven, "some f in input.change.files", "f.added >= 0") + "h if input.change.files[_].binary\n", want: nil},
		{name: "walks again, and may walk another", rego: "# lint:allow walks-again input.change.commits: it is short\n" + deny(seven, "some f in input.change.files", "f.added >= 0") + "h if input.change.files[_].binary\n",
			want: []string{"1 lint-comment the comment allows \"walks-again\", of which nothing is found here", "8 walks-again h walks input.change.files, which deny walks already (m.rego:5): let one rule walk it and the others use what that found"}},
		{name: "a table made for each key", rego: deny(seven, `not t["a"]`, `not t["b"]`) + "t[f.path] := f.added if some f in input.change.files\n",
			twin: deny(seven, `not all["a"]`, `not all["b"]`) + "t[f.path] := f.added if some f in input.change.files\nall := t\n",
			want: []string{`5 walks-again deny asks t for "b", and deny (m.rego:4) for another key: input.change.files is walked for each of them; let a complete rule hold the table (all_t := t) and ask that`}},
		{name: "a set made for each member", rego: deny(seven, "not h", "not g") + "h if t.a\ng if data.sallyport.merge.t[\"b\"]\nt contains f.path if some f in input.change.files\n",
			twin: deny(seven, "not h", "not g") + "h if \"a\" in t\ng if \"b\" in t\nt contains f.path if some f in input.change.files\n",
			want: []string{`8 walks-again g asks t for "b", and h (m.rego:7) for another key: input.change.files is walked for each of them; let a complete rule hold the table (all_t := t) and ask that`}},
		{name: "rules of one name with a key are no questions", rego: deny(seven, "not t.c") + "t[f.path] := f.added if some f in input.change.files\nt.a := 1\nt.b := 1\n", want: nil},
		{name: "a comment without a why", rego: deny(seven) + "# lint:allow walks-again\n", twin: deny(seven) + "# lint allows\n",
			want: []string{"5 lint-comment the comment does not say what it allows and why: # lint:allow KIND: why"}},
		{name: "claims open", rego: deny(seven, `not input.claims.branch == "hotfix"`), twin: deny(seven, `not input.mode == "hotfix"`),
			want: []string{"4 claims-open deny reads input.claims.branch: what was said without proof may shut a gate in a rule of its own, and open none"}},
		{name: "claims open by what they are not", rego: deny(seven, `input.claims.branch != "hotfix"`), twin: deny(seven, `input.mode != "hotfix"`),
			cases: strings.Replace(cases, "number: 7}}", "number: 7}, claims: {branch: x}}", 1),
			want:  []string{"4 claims-open deny reads input.claims.branch: what was said without proof may shut a gate in a rule of its own, and open none"}},
		{name: "claims in allow", rego: deny(seven) + "allow if input.claims.branch\n", twin: deny(seven) + "allow if input.mode\n",
			cases: cases, want: []string{"5 claims-open allow reads input.claims.branch: what was said without proof may shut a gate in a rule of its own, and open none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := func(rego string) Set {
				or := func(s, def string) string {
					if s == "" {
						return def
					}
					return s
				}
				return Set{Name: "s", Files: map[string][]byte{"m.rego": []byte(rego), "data.json": []byte(or(tt.data, data)), "m_test.yaml": []byte(or(tt.cases, cases))}}
			}
			s := set(tt.rego)
			if tt.name == "claims in allow" { // open input makes no claims
				s.Files["m_test.yaml"] = []byte(strings.ReplaceAll(cases, "want: []", `input: {claims: {branch: x}}, want: []`))
				s.Files["m_test.yaml"] = []byte(strings.ReplaceAll(string(s.Files["m_test.yaml"]), "number: 7}}", "number: 7}, claims: {branch: x}}"))
			}
			found, err := Lint(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				got = append(got, fmt.Sprintf("%d %s %s", f.Line, f.Kind, f.Text))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if tt.twin == "" {
				return
			}
			twin := set(tt.twin)
			if strings.Contains(tt.cases, "[policy]") {
				twin.Files["m_test.yaml"], twin.Files["data.json"] = []byte(cases), []byte(data)
			}
			if found, err := Lint(context.Background(), twin); err != nil || len(found) > 0 {
				t.Errorf("the twin: %+v, %v", found, err)
			}
		})
	}
}

// What cannot be compiled or tested cannot be looked at.
func TestLintRefuses(t *testing.T) {
	if _, err := Lint(context.Background(), module("a", "deny contains")); !errors.Is(err, ErrCompile) {
		t.Errorf("a syntax error: %v", err)
	}
	if _, err := Lint(context.Background(), with(module("a", denyNothing), "m_test.yaml", "cases: []")); !errors.Is(err, ErrCases) {
		t.Errorf("a file without cases: %v", err)
	}
}

// The old policies that run unmodified are old: they say sentences, and no case proves them.
func TestLintLegacy(t *testing.T) {
	found, err := Lint(context.Background(), legacy())
	if err != nil || len(found) != 1 || found[0].Kind != LintNoCode || found[0].File != "policy.rego" || found[0].Line != 3 {
		t.Errorf("got %+v, %v", found, err)
	}
}
