package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/policy/exception"
)

func evaluate(t *testing.T, in sallyport.Input, d Data, sets ...Set) Verdict {
	t.Helper()
	if sets == nil {
		sets = []Set{Builtin()}
	}
	e, err := Compile(context.Background(), sets, d)
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
	return v
}

// uncovered is openInput, with an agent's lines at these paths that no run accounts for.
func uncovered(paths ...sallyport.Path) sallyport.Input {
	in := openInput()
	in.Change.Files = nil
	for _, p := range paths {
		in.Change.Files = append(in.Change.Files, sallyport.FileInput{
			Path: p, Attribution: sallyport.Weights{Agent: 1}, Uncovered: sallyport.Weights{Agent: 1},
		})
	}
	return in
}

func status(v Verdict) int {
	return sallyport.Decision{Outcome: v.Outcome, Mode: sallyport.Enforce, Reasons: v.Reasons}.ExitStatus()
}

// A rule's mode and day change what its reason does to the caller, and never what is recorded.
// The input's time is 2026-11-22.
func TestModes(t *testing.T) {
	changed := uncovered("a")
	changed.Trust.RootChanged, changed.Trust.ResultRoot = true, changed.Trust.Root
	own := Set{Name: "own", Files: map[string][]byte{
		"m.rego":    []byte("package sallyport.merge\nimport rego.v1\ndeny contains {\"code\": \"own\", \"text\": \"no\"}\n"),
		"data.json": []byte(`{"rules": {"own": {"title": "t", "effective_on": "2026-12-24"}}}`),
	}}
	for _, tt := range []struct {
		name  string
		in    sallyport.Input
		sets  []Set
		modes map[string]RuleMode
		mode  sallyport.Mode
		day   string
		want  int
	}{
		{"no mode of its own", uncovered("a"), nil, nil, "", "", 2},
		{"the rule warns", uncovered("a"), nil, map[string]RuleMode{"attestation-missing": {Mode: sallyport.Warn}}, sallyport.Warn, "", 0},
		{"the rule observes", uncovered("a"), nil, map[string]RuleMode{"attestation-missing": {Mode: sallyport.Observe}}, sallyport.Observe, "", 0},
		{"another rule warns", uncovered("a"), nil, map[string]RuleMode{"secret": {Mode: sallyport.Warn}}, "", "", 2},
		{"the day before", uncovered("a"), nil, map[string]RuleMode{"attestation-missing": {EffectiveOn: "2026-11-23"}}, sallyport.Warn, "2026-11-23", 0},
		{"the very day", uncovered("a"), nil, map[string]RuleMode{"attestation-missing": {EffectiveOn: "2026-11-22"}}, "", "2026-11-22", 2},
		{"enforced from a day, the day before", uncovered("a"), nil, map[string]RuleMode{"attestation-missing": {Mode: sallyport.Enforce, EffectiveOn: "2026-11-23"}}, sallyport.Warn, "2026-11-23", 0},
		{"enforced from a day, on it", uncovered("a"), nil, map[string]RuleMode{"attestation-missing": {Mode: sallyport.Enforce, EffectiveOn: "2026-11-22"}}, sallyport.Enforce, "2026-11-22", 2},
		{"where the target's rules were changed, every rule acts", changed, nil, map[string]RuleMode{"attestation-missing": {Mode: sallyport.Warn}}, "", "", 2},
		{"a set's own rule before its day", openInput(), []Set{own}, nil, sallyport.Warn, "2026-12-24", 0},
		{"the repository goes before the set", openInput(), []Set{own}, map[string]RuleMode{"own": {Mode: sallyport.Enforce}}, sallyport.Enforce, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := evaluate(t, tt.in, Data{Modes: tt.modes}, tt.sets...)
			if v.Outcome != sallyport.Shut || len(v.Reasons) != 1 {
				t.Fatalf("the verdict is %+v", v)
			}
			r := v.Reasons[0]
			if got := status(v); got != tt.want || r.Mode != tt.mode || r.EffectiveOn != tt.day {
				t.Errorf("status %d, mode %q, day %q; want %d, %q, %q", got, r.Mode, r.EffectiveOn, tt.want, tt.mode, tt.day)
			}
		})
	}
}

// Settings that contradict themselves, or speak of what is not there, do not compile.
func TestSettingsThatFail(t *testing.T) {
	for want, d := range map[string]Data{
		`"no-such-rule" is no reason code`:    {Modes: map[string]RuleMode{"no-such-rule": {Mode: sallyport.Warn}}},
		`mode is "warned"`:                    {Modes: map[string]RuleMode{"secret": {Mode: "warned"}}},
		`effective_on is "tomorrow"`:          {Modes: map[string]RuleMode{"secret": {EffectiveOn: "tomorrow"}}},
		`and mode is observe`:                 {Modes: map[string]RuleMode{"secret": {Mode: sallyport.Observe, EffectiveOn: "2027-01-01"}}},
		`this rule is always enforced`:        Data{Modes: map[string]RuleMode{"policy-changed": {Mode: sallyport.Warn}}}.WithDefaults(),
		`required is 0`:                       {Thresholds: []Threshold{{Classes: []string{"ci"}}}},
		`codeowners is "on"`:                  {Codeowners: "on"},
		`disclosure is "yes"`:                 {Disclosure: "yes"},
		`exceptions.max_days is 181`:          {Exceptions: &ExceptionRules{MaxDays: 181}},
		`"grave" is no severity`:              {Findings: &FindingLimits{Limits: Limits{ShutAt: "grave"}}},
		`findings.kinds.license: "x" is no s`: {Findings: &FindingLimits{Kinds: map[string]Limits{"license": {WaitAt: "x"}}}},
	} {
		_, err := Compile(context.Background(), []Set{Builtin()}, d)
		if !errors.Is(err, ErrCompile) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %s", err, want)
		}
	}
	if _, err := Compile(context.Background(), []Set{Builtin()}, Data{Modes: map[string]RuleMode{"policy-changed": {Mode: sallyport.Enforce}}}.WithDefaults()); err != nil {
		t.Errorf("a mode that enforces: %v", err)
	}
	// Approvals are never excepted by a person, and may be softened where policy is made.
	d := Data{Modes: map[string]RuleMode{"approval-missing": {Mode: sallyport.Warn}, "evil-merge": {EffectiveOn: "2027-01-01"}}}.WithDefaults()
	if _, err := Compile(context.Background(), []Set{Builtin()}, d); err != nil {
		t.Errorf("a softened approval: %v", err)
	}
	d.Exceptions.Modes = []string{}
	if _, err := Compile(context.Background(), []Set{Builtin()}, d); err == nil || !strings.Contains(err.Error(), "always enforced") {
		t.Errorf("got %v where no code of never may be softened", err)
	}
	for _, code := range []string{"approval-missing", "approval-threshold", "owner-approval-missing", "ref-deleted", "ref-rewritten", "evil-merge"} {
		if !exception.Never(d.Exceptions.Never, code) {
			t.Errorf("%s may be excepted", code)
		}
	}
	for _, code := range []string{"attestation-missing", "finding", "dependency-added"} {
		if exception.Never(d.Exceptions.Never, code) {
			t.Errorf("%s may not be excepted", code)
		}
	}
}

func counting(edit func(x *sallyport.Exception)) sallyport.Exception {
	x := sallyport.Exception{
		Attestation: sallyport.SHA256([]byte("exception")), By: "sam", Grade: sallyport.Present, Codes: []string{"attestation-missing"},
		Paths: []string{"vendor/**"}, Justification: "because", Expires: "2027-01-01T00:00:00Z", Counts: true,
	}
	if edit != nil {
		edit(&x)
	}
	return x
}

// An exception holds off exactly what it covers: a reason of its code that says of all its paths
// that they are in scope.
func TestExceptionsHold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    sallyport.Input
		edit  func(*sallyport.Exception)
		holds bool
	}{
		{"its path", uncovered("vendor/a.go"), nil, true},
		{"two of its paths", uncovered("vendor/a.go", "vendor/b/c.go"), nil, true},
		{"a path beside it", uncovered("vendor/a.go", "src/b.go"), nil, false},
		{"more paths than are listed", uncovered(many("vendor/f%03d", 150)...), nil, true},
		{"one of many beside it", uncovered(append(many("vendor/f%03d", 150), "zzz")...), nil, false},
		{"a path of another case", uncovered("Vendor/a.go"), nil, false},
		{"a path that is quoted", uncovered("vendor/\x1b[2J"), nil, true},
		{"a quoted path that only looks like it", uncovered("\"vendor/a\""), nil, false},
		{"another code", uncovered("vendor/a.go"), func(x *sallyport.Exception) { x.Codes = []string{"secret"} }, false},
		{"everything", uncovered("src/b.go"), func(x *sallyport.Exception) { x.Everything, x.Paths = true, nil }, true},
		{"nothing", uncovered("src/b.go"), func(x *sallyport.Exception) { x.Paths = nil }, false},
		{"a rule as well, which the reason does not state", uncovered("vendor/a.go"), func(x *sallyport.Exception) { x.Rules = []string{"r"} }, false},
		{"one that does not count", uncovered("vendor/a.go"), func(x *sallyport.Exception) { x.Counts = false }, false},
		{"a renamed file whose old name is outside", renamed("src/a.go", "vendor/a.go"), nil, false},
		{"a renamed file whose old name is inside", renamed("vendor/b.go", "vendor/a.go"), nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Exceptions = []sallyport.Exception{counting(tt.edit)}
			v := evaluate(t, tt.in, Data{})
			if held := v.Outcome == sallyport.Open && len(v.Reasons) == 0 && len(v.Excepted) == 1; held != tt.holds || !held && len(v.Excepted) != 0 {
				t.Errorf("held off: %v, want %v: %+v", held, tt.holds, v)
			}
			if tt.holds && (v.Excepted[0].Exception != tt.in.Exceptions[0].Attestation || v.Excepted[0].Reason.Code != "attestation-missing" || v.Excepted[0].Until != "2027-01-01T00:00:00Z") {
				t.Errorf("it is told as %+v", v.Excepted[0])
			}
		})
	}
}

func many(format string, n int) []sallyport.Path {
	var out []sallyport.Path
	for i := range n {
		out = append(out, sallyport.Path(fmt.Sprintf(format, i)))
	}
	return out
}

func renamed(from, to sallyport.Path) sallyport.Input {
	in := uncovered(to)
	in.Change.Files[0].OldPath = from
	return in
}

// An accepted finding is told with the exception that accepts it, and only if there is one.
func TestAcceptedFindings(t *testing.T) {
	in := openInput()
	x := counting(nil)
	in.Findings = []sallyport.Finding{{
		ID: "f", Kind: sallyport.FindingSecret, Rule: "r", Severity: sallyport.Critical, Path: "vendor/k", Line: 7, Text: "a token",
		State: sallyport.FindingAccepted, AcceptedBy: x.Attestation, AcceptedUntil: x.Expires,
	}}
	in.Exceptions = []sallyport.Exception{x}
	v := evaluate(t, in, Data{})
	if v.Outcome != sallyport.Open || len(v.Excepted) != 1 || v.Excepted[0].Reason.Code != "secret" || v.Excepted[0].Reason.Place != "vendor/k:7" {
		t.Errorf("%+v", v)
	}
	in.Exceptions = nil
	if v = evaluate(t, in, Data{}); len(v.Excepted) != 0 {
		t.Errorf("told without an exception: %+v", v)
	}
}

// The table of codes in the vocabulary is the baseline's.
func TestFindingCodes(t *testing.T) {
	c, err := compileSet(Builtin(), Data{})
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.query(gateRef(sallyport.GateMerge, "finding_codes"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.eval(context.Background(), body, ast.NullTerm())
	if err != nil {
		t.Fatal(err)
	}
	table, ok := v.(ast.Object)
	if !ok || table.Len() < 4 {
		t.Fatalf("finding_codes is %v", v)
	}
	table.Foreach(func(k, v *ast.Term) {
		kind, code := string(k.Value.(ast.String)), string(v.Value.(ast.String))
		if got := sallyport.FindingKind(kind).Code(); got != code {
			t.Errorf("%s is %s in the baseline and %s in the vocabulary: mend findingCodes in exception.go", kind, code, got)
		}
	})
}

func TestLevels(t *testing.T) {
	for _, name := range []string{"observe", "baseline", "strict"} {
		l, ok := FindLevel(name)
		if !ok || l.Title == "" || l.Mode.Enforces() == (name == "observe") {
			t.Errorf("%s is %+v", name, l)
		}
		if _, err := Compile(context.Background(), []Set{Builtin()}, l.Data.WithDefaults()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := FindLevel("none"); ok {
		t.Error("an unknown level was found")
	}
	strict, _ := FindLevel("strict")
	d := Data{Codeowners: OwnersOff}.Over(strict.Data).WithDefaults()
	if d.Codeowners != OwnersOff || d.Unattributed != AsAgent || d.Exceptions.MaxDays != 30 || d.Findings.ShutAt != "medium" ||
		!slices.Contains(d.Exceptions.Never, "root-*") || !slices.Equal(d.PersonGrades, Defaults().PersonGrades) {
		t.Errorf("strict, with a setting of one's own, is %+v", d)
	}
}

// With several sets the strictest outcome holds, each reason names its set, and one set that
// fails leaves no verdict at all.
func TestConflictingSets(t *testing.T) {
	set := func(name, rules string) Set {
		return Set{Name: name, Files: map[string][]byte{"m.rego": []byte("package sallyport.merge\nimport rego.v1\n" + rules)}}
	}
	never := set("never", "deny contains \"x\" if false\n")
	waits := set("waits", "deny contains {\"code\": \"w\", \"outcome\": \"waiting\"}\n")
	shuts := set("shuts", "deny contains {\"code\": \"s\", \"outcome\": \"shut\"}\n")
	for _, tt := range []struct {
		name string
		sets []Set
		want sallyport.Outcome
		by   []string // set/code
	}{
		{"all agree", []Set{never, Builtin()}, sallyport.Open, nil},
		{"one waits", []Set{never, waits}, sallyport.Waiting, []string{"waits/w"}},
		{"one waits, one shuts", []Set{waits, never, shuts}, sallyport.Shut, []string{"shuts/s", "waits/w"}},
		{"the other way round", []Set{shuts, waits}, sallyport.Shut, []string{"shuts/s", "waits/w"}},
	} {
		v := evaluate(t, openInput(), Data{}, tt.sets...)
		var by []string
		for _, r := range v.Reasons {
			by = append(by, r.Set+"/"+r.Code)
		}
		if v.Outcome != tt.want || !slices.Equal(by, tt.by) {
			t.Errorf("%s: %v by %q, want %v by %q", tt.name, v.Outcome, by, tt.want, tt.by)
		}
	}
	for name, broken := range map[string]Set{
		"errs":      set("errs", "deny contains \"x\" if 1 / count(input.findings) > 0\n"),
		"undefined": set("undefined", "deny := {\"x\"} if false\n"),
		"no set":    set("noset", "deny := true\n"),
	} {
		for _, sets := range [][]Set{{never, broken}, {broken, shuts}} {
			e, err := Compile(context.Background(), sets, Data{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			b, _ := sallyport.EncodeJSON(openInput())
			if v, err := e.Evaluate(context.Background(), sallyport.GateMerge, b); err == nil || v.Outcome != sallyport.Shut || !strings.Contains(err.Error(), "set "+broken.Name) {
				t.Errorf("%s: %+v, %v", name, v, err)
			}
		}
	}
}
