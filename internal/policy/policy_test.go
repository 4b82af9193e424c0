package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
)

// module returns a set of one module with these lines in package sallyport.merge.
func module(name string, lines ...string) Set {
	return Set{Name: name, Files: map[string][]byte{
		"merge.rego": []byte("package sallyport.merge\n" + strings.Join(lines, "\n") + "\n"),
	}}
}

func with(s Set, path, content string) Set {
	s.Files[path] = []byte(content)
	return s
}

const denyNothing = `deny := set()`

func open(t testing.TB) []byte {
	t.Helper()
	b, err := sallyport.EncodeJSON(openInput())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		sets []Set
		want error
	}{
		{"no sets", nil, ErrEmpty},
		{"a set without files", []Set{{Name: "a"}}, ErrEmpty},
		{"a set without modules", []Set{{Name: "a", Files: map[string][]byte{"data.json": []byte("{}")}}}, ErrEmpty},
		{"an empty set beside a good one", []Set{Builtin(), {Name: "a"}}, ErrEmpty},
		{"a set without a name", []Set{module("", denyNothing)}, ErrCompile},
		{"a set that leaves its folder", []Set{module("../a", denyNothing)}, ErrCompile},
		{"two sets of one name", []Set{module("a", denyNothing), module("a", denyNothing)}, ErrCompile},
		{"a set named as the settings are", []Set{module("settings", denyNothing)}, ErrCompile},
		{"no deny", []Set{module("a", `allow := true`)}, ErrUndefined},
		{"deny in another package", []Set{{Name: "a", Files: map[string][]byte{"m.rego": []byte("package merge\ndeny := set()")}}}, ErrUndefined},
		{"deny as data", []Set{with(module("a", `allow := true`), "data.json", `{"sallyport":{"merge":{"deny":[]}}}`)}, ErrUndefined},
		{"data in the way of a package", []Set{with(module("a", denyNothing), "data.json", `{"sallyport":1}`)}, ErrCompile},
		{"one package in two files", []Set{with(module("a", denyNothing), "more.rego", "package sallyport.merge\n")}, ErrDuplicatePackage},
		{"a file that nobody reads", []Set{with(module("a", denyNothing), "more.reg", "")}, ErrCompile},
		{"data where nobody reads it", []Set{with(module("a", denyNothing), "sub/data.json", "{}")}, ErrCompile},
		{"two data files", []Set{with(with(module("a", denyNothing), "data.json", `{"a":1}`), "data.yaml", "a: 1")}, ErrCompile},
		{"data that is no object", []Set{with(module("a", denyNothing), "data.json", "null")}, ErrCompile},
		{"a key twice in data", []Set{with(module("a", denyNothing), "data.json", `{"a":1,"a":2}`)}, ErrCompile},
		{"no package line", []Set{{Name: "a", Files: map[string][]byte{"m.rego": []byte("deny := set()")}}}, ErrCompile},
		{"a syntax error", []Set{module("a", "deny contains")}, ErrCompile},
		{"a type error", []Set{module("a", `deny contains "x" if count(1) == 2`)}, ErrCompile},
		{"an unused variable", []Set{module("a", `deny contains "x" if { y := 1 }`)}, ErrCompile},
		{"Rego v0 unannounced", []Set{module("a", `deny[msg] { msg = "x" }`)}, ErrCompile},
		{"a Rego version that is none", []Set{with(module("a", denyNothing), "manifest.yaml", "rego_version: 2")}, ErrCompile},
		{"a manifest key that is none", []Set{with(module("a", denyNothing), "manifest.yaml", "rego: 1")}, ErrCompile},
		{"a rule table that is none", []Set{with(module("a", denyNothing), "data.json", `{"rules":[]}`)}, ErrCompile},
		{"http.send", []Set{module("a", `deny contains "x" if http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200`)}, ErrCompile},
		{"the environment", []Set{module("a", `deny contains "x" if opa.runtime().env.HOME`)}, ErrCompile},
		{"the clock", []Set{module("a", `deny contains "x" if time.now_ns() > 0`)}, ErrCompile},
		{"the resolver", []Set{module("a", `deny contains "x" if net.lookup_ip_addr("localhost")`)}, ErrCompile},
		{"a remote schema", []Set{module("a", "# METADATA\n# schemas:\n# - input: {$ref: \"http://127.0.0.1/x\"}\n"+`deny contains "x" if json.match_schema({}, {"$ref": "http://127.0.0.1/x"})`)}, ErrCompile},
		{"too large", []Set{with(module("a", denyNothing), "a.md", strings.Repeat("x", maxSetBytes))}, ErrCompile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Compile(context.Background(), tt.sets, Data{})
			if !errors.Is(err, tt.want) || e != nil {
				t.Fatalf("got %v, %v, want %v", e, err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
	for _, d := range []Data{{Unattributed: "yes"}, {RunGrades: []sallyport.Grade{"platinum"}}} {
		if _, err := Compile(context.Background(), []Set{Builtin()}, d); !errors.Is(err, ErrCompile) {
			t.Errorf("%+v: got %v, want ErrCompile", d, err)
		}
	}
}

func TestEvaluate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sets  []Set
		want  sallyport.Outcome
		codes []string
		err   error
	}{
		{"nothing denied", []Set{module("a", denyNothing)}, sallyport.Open, nil, nil},
		{"a sentence", []Set{module("a", `deny contains "no"`)}, sallyport.Shut, []string{"policy"}, nil},
		{"a reason", []Set{module("a", `deny contains {"code": "c", "outcome": "waiting", "text": "x"}`)}, sallyport.Waiting, []string{"c"}, nil},
		{"a reason without outcome", []Set{module("a", `deny contains {"code": "c"}`)}, sallyport.Shut, []string{"c"}, nil},
		{"a reason that says open", []Set{module("a", `deny contains {"code": "c", "outcome": "open"}`)}, sallyport.Shut, []string{"c"}, nil},
		{"a reason with another outcome", []Set{module("a", `deny contains {"code": "c", "outcome": 3}`)}, sallyport.Shut, []string{"c"}, nil},
		{"a number", []Set{module("a", `deny contains 7`)}, sallyport.Shut, []string{"policy"}, nil},
		{"false", []Set{module("a", `deny contains false`)}, sallyport.Shut, []string{"policy"}, nil},
		{"the strictest of several sets", []Set{
			module("a", `deny contains {"code": "w", "outcome": "waiting"}`), module("b", denyNothing), module("c", `deny contains "x"`),
		}, sallyport.Shut, []string{"policy", "w"}, nil},
		{"two modules of one file name both count", []Set{
			module("a", `deny contains {"code": "one"}`), module("b", `deny contains {"code": "two"}`),
		}, sallyport.Shut, []string{"one", "two"}, nil},
		{"one set cannot extend another", []Set{
			module("a", `deny contains "x" if data.other.yes`, `unused := 1`),
			with(module("b", denyNothing), "other.rego", "package other\nyes := true\n"),
		}, sallyport.Open, nil, nil},
		{"deny that is undefined", []Set{module("a", `deny := {"x"} if input.version == "v2"`)}, sallyport.Shut, nil, ErrUndefined},
		{"an undefined deny beside an open set", []Set{module("b", denyNothing), module("a", `deny := {"x"} if input.version == "v2"`)}, sallyport.Shut, nil, ErrUndefined},
		{"deny that is an array", []Set{module("a", `deny := []`)}, sallyport.Shut, nil, ErrUndefined},
		{"deny that is an object", []Set{module("a", `deny["x"] := 1 if input.version == "v2"`)}, sallyport.Shut, nil, ErrUndefined},
		{"deny that is false", []Set{module("a", `deny := false`)}, sallyport.Shut, nil, ErrUndefined},
		{"a function that fails", []Set{module("a", `deny contains "x" if to_number(input.version) == 1`)}, sallyport.Shut, nil, ErrEval},
		{"a division by zero", []Set{module("a", `deny contains "x" if 1 / count(input.findings) == 1`)}, sallyport.Shut, nil, ErrEval},
		{"two answers for one rule", []Set{module("a", denyNothing, `v := 1 if input.version`, `v := 2 if input.gate`, `allow if v`)}, sallyport.Shut, nil, ErrEval},
		{"too many reasons", []Set{module("a", `deny contains x if some x in numbers.range(0, 10000)`)}, sallyport.Shut, nil, ErrEval},
		{"allow that is true", []Set{module("a", denyNothing, `allow if input.pull_request.human_approved`)}, sallyport.Open, nil, nil},
		{"allow that is undefined", []Set{module("a", denyNothing, `allow if not input.pull_request.human_approved`)}, sallyport.Shut, []string{"not-allowed"}, nil},
		{"allow that is false", []Set{module("a", denyNothing, `default allow := false`)}, sallyport.Shut, []string{"not-allowed"}, nil},
		{"allow that is a string", []Set{module("a", denyNothing, `allow := "true"`)}, sallyport.Shut, []string{"not-allowed"}, nil},
		{"Rego v0", []Set{with(module("a", `deny[msg] { input.pull_request.from_agent == true; msg = "x" }`), "manifest.yaml", "rego_version: 0")}, sallyport.Shut, []string{"policy"}, nil},
		{"Rego v0 with imports", []Set{with(module("a", "import future.keywords", `deny contains msg if { input.pull_request.from_agent; msg := "x" }`), "manifest.yaml", "rego_version: 0")}, sallyport.Shut, []string{"policy"}, nil},
		{"settings reach every set", []Set{module("a", `deny contains {"code": c} if some c in data.protected_classes`)}, sallyport.Shut, Defaults().ProtectedClasses, nil},
		{"the first policy anyone writes", []Set{module("a",
			`deny contains "x" if { input.pull_request.from_agent; not input.pull_request.has_attestation }`,
			`allow if { input.pull_request.from_agent; input.pull_request.has_attestation; input.pull_request.human_approved }`)}, sallyport.Open, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Compile(context.Background(), tt.sets, Data{})
			if err != nil {
				t.Fatal(err)
			}
			v, err := e.Evaluate(context.Background(), sallyport.GateMerge, open(t))
			if !errors.Is(err, tt.err) || v.Outcome != tt.want {
				t.Fatalf("got %s, %v, want %s, %v", v.Outcome, err, tt.want, tt.err)
			}
			var codes []string
			for _, r := range v.Reasons {
				codes = append(codes, r.Code)
				if r.Outcome == sallyport.Open || r.Text == "" || r.Set == "" {
					t.Errorf("a reason that does not keep the gate, or says nothing: %+v", r)
				}
			}
			slices.Sort(codes)
			want := slices.Sorted(slices.Values(tt.codes))
			if !slices.Equal(codes, want) {
				t.Errorf("got %v, want %v", codes, want)
			}
			if err != nil && !reflect.DeepEqual(v, Verdict{}) {
				t.Errorf("a verdict beside an error: %+v", v)
			}
			if err == nil && len(v.PerSet) != len(tt.sets) {
				t.Errorf("%d sets answered of %d", len(v.PerSet), len(tt.sets))
			}
		})
	}
}

func TestEvaluateStops(t *testing.T) {
	e, err := Compile(context.Background(), []Set{module("a", `deny contains "x" if {
		some a in numbers.range(0, 100000)
		some b in numbers.range(0, 100000)
		a * b == 7.5
	}`)}, Data{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if v, err := e.Evaluate(ctx, sallyport.GateMerge, open(t)); !errors.Is(err, ErrEval) || !errors.Is(err, context.Canceled) || v.Outcome != sallyport.Shut {
		t.Errorf("got %v, %v, want ErrEval and the context's error", v, err)
	}
}

func TestOtherGates(t *testing.T) {
	e, err := Compile(context.Background(), []Set{Builtin()}, Data{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []sallyport.Gate{"", sallyport.GatePrompt, sallyport.GateRelease, sallyport.GateAdmission, sallyport.GateAudit} {
		if v, err := e.Evaluate(context.Background(), g, open(t)); !errors.Is(err, ErrUndefined) || v.Outcome != sallyport.Shut {
			t.Errorf("%s: got %v, %v, want ErrUndefined", g, v, err)
		}
	}
	if _, err := new(Evaluator).Evaluate(context.Background(), sallyport.GateMerge, open(t)); !errors.Is(err, ErrEmpty) {
		t.Errorf("the zero Evaluator: got %v, want ErrEmpty", err)
	}
}

func TestReasons(t *testing.T) {
	set := with(module("a",
		`deny contains {"code": "known", "outcome": "waiting", "place": "b"}`,
		`deny contains {"code": "known", "outcome": "waiting", "place": "a", "text": "\u001b[2Jgone\u202e", "next": "do it", "labels": {"L2", "L1"}}`,
		"# METADATA\n# title: Annotated\n# description: because\n# custom: {code: annotated, severity: low, labels: [X]}",
		`deny contains {"code": "annotated", "severity": "dire", "msg": "said otherwise"}`,
	), "data.json", `{"rules": {"known": {"title": "Known", "why": "w", "severity": "high", "outcome": "waiting", "labels": ["ASI01"], "remedy": "sallyport approval request {head}"}}}`)
	e, err := Compile(context.Background(), []Set{set}, Data{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Evaluate(context.Background(), sallyport.GateMerge, open(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []sallyport.Reason{
		{Code: "known", Outcome: sallyport.Waiting, Severity: "high", Title: "Known", Text: `\x1b[2Jgone\u202e`, Place: "a", Next: "do it", Set: "a", Labels: []string{"L1", "L2"}},
		{Code: "known", Outcome: sallyport.Waiting, Severity: "high", Title: "Known", Text: "Known", Place: "b", Next: "sallyport approval request gitCommit:" + strings.Repeat("2", 40), Set: "a", Labels: []string{"ASI01"}},
		{Code: "annotated", Outcome: sallyport.Shut, Severity: "low", Title: "Annotated", Text: "said otherwise", Set: "a", Labels: []string{"X"}},
	}
	if !reflect.DeepEqual(v.Reasons, want) {
		t.Errorf("got  %+v\nwant %+v", v.Reasons, want)
	}
}

// A settings key changes what judges, and so its digest; the same settings have the same.
func TestPolicies(t *testing.T) {
	digests := func(d Data) string {
		e, err := Compile(context.Background(), []Set{Builtin()}, d)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(e.Policies())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	none, agent := digests(Data{}), digests(Data{Unattributed: AsAgent})
	if none == agent || none != digests(Data{}) || !strings.Contains(none, string(Builtin().Digest())) {
		t.Errorf("got %s and %s", none, agent)
	}
	d := Data{ProtectedClasses: []string{}, ApprovalGrades: []sallyport.Grade{sallyport.Declared}}
	got, err := ParseData(d.Encode())
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("got %+v, %v, want %+v", got, err, d)
	}
	if eff := d.WithDefaults(); len(eff.ProtectedClasses) != 0 || eff.Unattributed != Vouchable || eff.ApprovalGrades[0] != sallyport.Declared {
		t.Errorf("got %+v", eff)
	}
}

func TestSetDigest(t *testing.T) {
	a := Set{Name: "a", Files: map[string][]byte{"x": []byte("yz")}}
	for _, b := range []Set{
		{Files: map[string][]byte{"xy": []byte("z")}},
		{Files: map[string][]byte{"x": []byte("y"), "z": nil}},
		{Files: map[string][]byte{"x": []byte("yz"), "": nil}},
		{},
	} {
		if a.Digest() == b.Digest() {
			t.Errorf("%v and %v have one digest", a, b)
		}
	}
	if GovernedDigest(a.Files) == a.Digest() {
		t.Error("a set and governed files share a digest")
	}
}

// Every function of the library is either pure or refused: a new version brings none unseen.
func TestBuiltinsAreJudged(t *testing.T) {
	pure, refused := strings.Fields(pureBuiltins), strings.Fields(refusedBuiltins)
	known := map[string]bool{}
	for _, b := range ast.Builtins {
		known[b.Name] = true
		if slices.Contains(pure, b.Name) == slices.Contains(refused, b.Name) {
			t.Errorf("%s is in none or in both of the lists", b.Name)
		}
		if b.IsNondeterministic() && !slices.Contains(refused, b.Name) {
			t.Errorf("%s is not deterministic and allowed", b.Name)
		}
	}
	for _, name := range slices.Concat(pure, refused) {
		if !known[name] {
			t.Errorf("%s does not exist", name)
		}
	}
}

func TestInputRefused(t *testing.T) {
	whole := string(open(t))
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "cut short"},
		{"null", "null", "want an object"},
		{"cut short", whole[:len(whole)/2], "input"},
		{"more after it", whole + "{}", "after the end"},
		{"a property missing", strings.Replace(whole, `"findings":null,`, "", 1), "input.findings: is missing"},
		{"a boolean missing", strings.Replace(whole, `"pinned":true,`, "", 1), "input.trust.pinned: is missing"},
		{"a weight missing", strings.Replace(whole, `"uncovered":{"agent":0,`, `"uncovered":{`, 1), "input.change.files[0].uncovered.agent: is missing"},
		{"a boolean null", strings.Replace(whole, `"human_approved":true`, `"human_approved":null`, 1), "want true or false"},
		{"a boolean as a string", strings.Replace(whole, `"human_approved":true`, `"human_approved":"true"`, 1), "want true or false"},
		{"a property too many", strings.Replace(whole, `"findings"`, `"x":1,"findings"`, 1), "input.x: unknown property"},
		{"a property twice", strings.Replace(whole, `"findings":null`, `"findings":null,"findings":[]`, 1), "stands twice"},
		{"a property in other case", strings.Replace(whole, `"findings"`, `"Findings"`, 1), "unknown property"},
		{"a negative weight", strings.Replace(whole, `"unattributed":0`, `"unattributed":-3`, 1), "want a count"},
		{"a comma too many", strings.Replace(whole, `"gate":"merge",`, `"gate":"merge",,`, 1), "unexpected ','"},
		{"a comma at the end", whole[:len(whole)-1] + ",}", "unexpected '}'"},
		{"text that is not UTF-8", strings.Replace(whole, "acme", "acm\xff", 1), "not UTF-8"},
		{"a control character", strings.Replace(whole, "acme", "ac\x01me", 1), "unexpected"},
		{"a leading zero", strings.Replace(whole, `"unattributed":0`, `"unattributed":00`, 1), "no number"},
		{"minus zero", strings.Replace(whole, `"unattributed":0`, `"unattributed":-0`, 1), "want a count"},
		{"a boolean misspelt", strings.Replace(whole, `"human_approved":true`, `"human_approved":trve`, 1), "unexpected"},
		{"half a line", strings.Replace(whole, `"unattributed":0`, `"unattributed":0.5`, 1), "want a count"},
		{"another version", strings.Replace(whole, `"version":"v1"`, `"version":"v2"`, 1), "want one of v1"},
		{"another gate", strings.Replace(whole, `"gate":"merge"`, `"gate":"release"`, 1), "want one of merge"},
		{"an action that is none", strings.Replace(whole, `"ref_action":"update"`, `"ref_action":"teleport"`, 1), "want one of update"},
		{"an object for a list", strings.Replace(whole, `"findings":null`, `"findings":{}`, 1), "want an array"},
		{"too deep", strings.Replace(whole, `"evidence":null`, `"evidence":[{"body":`+strings.Repeat("[", 300), 1), "nested too deeply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseInput([]byte(tt.in))
			if !errors.Is(err, ErrInput) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v, want ErrInput with %q", err, tt.want)
			}
		})
	}
}
