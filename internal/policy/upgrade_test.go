package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
)

// What is upgraded says the same as before, in Rego v1, over every combination of the facts.
func TestUpgrade(t *testing.T) {
	u, err := Upgrade(context.Background(), legacy(), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Files) != 3 || u.Inputs < 400 {
		t.Fatalf("got %d files, equal over %d inputs", len(u.Files), u.Inputs)
	}
	for name, want := range map[string]string{
		"policy.rego": "deny contains msg if {", "merge.rego": "default allow := false", "manifest.yaml": "rego_version: 1\n",
	} {
		if !strings.Contains(string(u.Files[name]), want) {
			t.Errorf("%s does not say %q:\n%s", name, want, u.Files[name])
		}
	}
	if !strings.Contains(string(u.Files["policy.rego"]), "# deny merge if no attestation") {
		t.Errorf("the comment is lost:\n%s", u.Files["policy.rego"])
	}
	if _, err := ast.ParseModule("p", string(u.Files["policy.rego"])); err != nil {
		t.Error(err)
	}
	now := Set{Name: "legacy", Files: u.Files}
	for bits := range 8 {
		f := sallyport.PullRequest{FromAgent: bits&4 != 0, HasAttestation: bits&2 != 0, HumanApproved: bits&1 != 0}
		a, errA := judge(t, []Set{legacy()}, f)
		b, errB := judge(t, []Set{now}, f)
		if errA != nil || errB != nil || a.Outcome != b.Outcome || fmt.Sprint(a.Reasons) != fmt.Sprint(b.Reasons) {
			t.Errorf("%+v: was %v, %v, is %v, %v", f, a, errA, b, errB)
		}
	}
	again, err := Upgrade(context.Background(), now, false)
	if err != nil || len(again.Files) > 0 {
		t.Errorf("a set that is v1 already: %v, %v", again.Files, err)
	}
}

// Quotes are mended on request, in strings and nowhere else.
func TestUpgradeQuotes(t *testing.T) {
	published := legacy(`"Agent-generated change requires attestation and human approval."`, `'Agent-generated change requires attestation and human approval.'`,
		"# deny merge if no attestation", "# don't merge")
	if _, err := Upgrade(context.Background(), published, false); !errors.Is(err, ErrCompile) || !strings.Contains(err.Error(), "single quotes") {
		t.Errorf("unasked: %v", err)
	}
	u, err := Upgrade(context.Background(), published, true)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(u.Files["policy.rego"]); !strings.Contains(s, `"Agent-generated change requires`) || !strings.Contains(s, "# don't merge") {
		t.Errorf("got\n%s", s)
	}
	for _, tt := range []struct{ in, want string }{
		{`x = 'a'`, `x = "a"`},
		{`x = 'say "a"'`, `x = "say \"a\""`},
		{`x = 'it\'s'`, `x = "it's"`},
		{`x = 'a\\'`, `x = "a\\"`},
		{`x = "it's" # it's`, `x = "it's" # it's`},
		{"x = `it's` + 'b'", "x = `it's` + \"b\""},
		{`x = '# no comment'`, `x = "# no comment"`},
		{`x = ''`, `x = ""`},
	} {
		if got, err := mendQuotes([]byte(tt.in)); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"x = 'a", "x = 'a\n'", `x = "a`, "x = `a"} {
		if got, err := mendQuotes([]byte(in)); err == nil {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

// A rewrite that says something else is refused, whatever it is that makes the difference.
func TestUpgradeComparesAndRefuses(t *testing.T) {
	for _, tt := range []struct{ name, before, after string }{
		{"a fact", `input.pull_request.human_approved == true`, `input.pull_request.human_approved == false`},
		{"another fact", `input.pull_request.from_agent == false`, `input.pull_request.from_agent == true`},
		{"a string of the change", `input.pull_request.from_agent == false`, "input.pull_request.from_agent == false\n  input.change.ref_action != \"create\""},
		{"a number", `input.pull_request.from_agent == false`, "input.pull_request.from_agent == false\n  input.change.approvals_required < 3"},
		{"a file", `input.pull_request.from_agent == false`, "input.pull_request.from_agent == false\n  not input.change.files[0].binary"},
		{"a text", `"Agent-generated`, `"An agent-generated`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			compile := func(s Set) *compiled {
				c, err := compileModules(s, Data{})
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			old, now := legacy(), legacy(tt.before, tt.after)
			var u Upgraded
			if err := u.compare(context.Background(), compile(old), compile(old)); err != nil || u.Inputs == 0 {
				t.Errorf("the same: %v, %d", err, u.Inputs)
			}
			// What is read is taken from the old set or from the new: either has to tell.
			if err := u.compare(context.Background(), compile(now), compile(old)); !errors.Is(err, ErrDiffers) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want ErrDiffers", err)
			}
		})
	}
}

// Sets that cannot be rewritten, or not safely, stay as they are.
func TestUpgradeRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, now, says string }{
		{"a function that is gone", `msg = "Agent`, `re_match("a", "a"); msg = "Agent`, "rewrite to v1: legacy/policy.rego:6"},
		{"a variable that nobody uses", `msg = "Agent`, `unused := 1; msg = "Agent`, "as rewritten"},
		{"a manifest in another form", legacyManifest, `{rego_version: 0, entrypoints: {deny: data.agent.policy.deny, allow: data.agent.merge.allow}}`, "line of its own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := legacy(tt.old, tt.now)
			if _, err := Compile(context.Background(), []Set{set}, Data{}); err != nil {
				t.Fatalf("it does not run as it is: %v", err)
			}
			if u, err := Upgrade(context.Background(), set, false); !errors.Is(err, ErrCompile) || !strings.Contains(err.Error(), tt.says) || u.Files != nil {
				t.Errorf("got %v, %v", u.Files, err)
			}
		})
	}
}

// A case is compared as well: it may hold what nobody would generate.
func TestUpgradeCountsCases(t *testing.T) {
	set := legacy()
	set.Files["m_test.yaml"] = []byte("cases: [{note: one, want: []}, {note: two, input: {pull_request: {has_attestation: false}}, want: [policy, not-allowed]}]")
	if u, err := Upgrade(context.Background(), set, false); err != nil || u.Cases != 2 {
		t.Errorf("got %d cases, %v", u.Cases, err)
	}
}

// Mended quotes hold no string in single quotes any more, and mending twice changes nothing.
func FuzzMendQuotes(f *testing.F) {
	f.Add([]byte(`x = 'it\'s "a"' # don't`))
	f.Add([]byte("x = `'` + \"'\"\n'a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := mendQuotes(b)
		if err != nil {
			return
		}
		twice, err := mendQuotes(once)
		if err != nil || string(twice) != string(once) {
			t.Errorf("%q: %q, then %q, %v", b, once, twice, err)
		}
	})
}
