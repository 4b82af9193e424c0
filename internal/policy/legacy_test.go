package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// What teams wrote before Rego v1, word for word: the sentences in the comments say what the
// verdict has to be.
const (
	legacyDeny = `package agent.policy
# deny merge if no attestation
deny[msg] {
  input.pull_request.from_agent == true
  not input.pull_request.has_attestation
  msg = "Agent-generated change requires attestation and human approval."
}
`
	legacyAllow = `package agent.merge
default allow = false
# allow only if pr has attestation and human_approved
allow {
  input.pull_request.from_agent == false
}
allow {
  input.pull_request.from_agent == true
  input.pull_request.has_attestation == true
  input.pull_request.human_approved == true
}
`
	legacyManifest = `rego_version: 0
entrypoints:
  deny: data.agent.policy.deny
  allow: data.agent.merge.allow
`
)

func legacy(edit ...string) Set {
	fix := strings.NewReplacer(edit...)
	return Set{Name: "legacy", Files: map[string][]byte{
		"policy.rego": []byte(fix.Replace(legacyDeny)), "merge.rego": []byte(fix.Replace(legacyAllow)), "manifest.yaml": []byte(fix.Replace(legacyManifest)),
	}}
}

// judge evaluates sets over a change that passes, with these facts.
func judge(t *testing.T, sets []Set, facts sallyport.PullRequest) (Verdict, error) {
	t.Helper()
	e, err := Compile(context.Background(), sets, Data{})
	if err != nil {
		t.Fatal(err)
	}
	in := openInput()
	in.PullRequest.FromAgent, in.PullRequest.HasAttestation, in.PullRequest.HumanApproved = facts.FromAgent, facts.HasAttestation, facts.HumanApproved
	b, err := sallyport.EncodeJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	return e.Evaluate(context.Background(), sallyport.GateMerge, b)
}

// Over both values of each input, what the old policies say is what their words say.
func TestLegacySet(t *testing.T) {
	for bits := range 8 {
		f := sallyport.PullRequest{FromAgent: bits&4 != 0, HasAttestation: bits&2 != 0, HumanApproved: bits&1 != 0}
		t.Run(fmt.Sprintf("from_agent=%v,has_attestation=%v,human_approved=%v", f.FromAgent, f.HasAttestation, f.HumanApproved), func(t *testing.T) {
			var want []string
			if f.FromAgent && !f.HasAttestation { // deny merge if no attestation
				want = append(want, CodePolicy)
			}
			if f.FromAgent && !(f.HasAttestation && f.HumanApproved) { // allow only if attested and approved
				want = append(want, CodeNotAllowed)
			}
			slices.Sort(want)
			v, err := judge(t, []Set{legacy()}, f)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(v.PerSet[0].Codes, want) || (v.Outcome == sallyport.Open) != (len(want) == 0) {
				t.Errorf("got %s with %v, want %v", v.Outcome, v.PerSet[0].Codes, want)
			}
			for _, r := range v.Reasons {
				if r.Code == CodePolicy && r.Text != "Agent-generated change requires attestation and human approval." {
					t.Errorf("the reason says %q", r.Text)
				}
			}
		})
	}
}

// A set that cannot be asked what its manifest says gives no verdict, which is shut. The twin of
// each is the set as it stands in TestLegacySet.
func TestLegacySetRefuses(t *testing.T) {
	add := func(s Set, name, content string) Set { s.Files[name] = []byte(content); return s }
	for _, tt := range []struct {
		name string
		set  Set
		want error
		says string
	}{
		{"single quotes, as they were published", legacy(`"Agent-generated change requires attestation and human approval."`, `'Agent-generated change requires attestation and human approval.'`), ErrCompile,
			"legacy/policy.rego:6: a string in single quotes, which no version of Rego has: write it in double quotes (sallyport policy upgrade --quotes does)"},
		{"not announced as v0", legacy("rego_version: 0\n", ""), ErrCompile, ""},
		{"no entry points named", legacy(legacyManifest, "rego_version: 0\n"), ErrUndefined, "does not define data.sallyport.merge.deny"},
		{"a deny that is not there", legacy("data.agent.policy.deny", "data.agent.policy.denied"), ErrUndefined, "does not define data.agent.policy.denied"},
		{"an allow that is not there", legacy("data.agent.merge.allow", "data.agent.allow"), ErrUndefined, "does not define data.agent.allow"},
		{"entry points without any", legacy("  deny: data.agent.policy.deny\n  allow: data.agent.merge.allow\n", "  {}\n"), ErrCompile, "names neither"},
		{"an entry point that is no reference", legacy("data.agent.policy.deny", "input.deny"), ErrCompile, "is no entry point"},
		{"an entry point that is a query", legacy("data.agent.policy.deny", `'data.agent.policy.deny; true'`), ErrCompile, "is no entry point"},
		{"an entry point that is a whole package", legacy("data.agent.policy.deny", "data.agent"), ErrCompile, "is no entry point"},
		{"one package in two files", add(legacy(), "more.rego", legacyDeny), ErrDuplicatePackage, ""},
		{"a rule at the usual place that nobody asks", add(legacy(), "more.rego", "package sallyport.merge\ndeny[\"no\"] { true }\n"), ErrCompile, "leave it out"},
		{"the network", legacy(`msg = "Agent`, `http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200; msg = "Agent`), ErrCompile, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(context.Background(), []Set{Builtin(), tt.set}, Data{})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %v that says %q", err, tt.want, tt.says)
			}
		})
	}
}

// A deny that is undefined, and one that is no set, leave no verdict.
func TestLegacyDenyUndefined(t *testing.T) {
	for _, tt := range []struct{ name, deny string }{
		{"undefined", `deny = "no" { input.pull_request.from_agent }`},
		{"false", `default deny = false`},
	} {
		set := legacy(legacyDeny, "package agent.policy\n"+tt.deny+"\n")
		if v, err := judge(t, []Set{set}, sallyport.PullRequest{}); !errors.Is(err, ErrUndefined) || v.Outcome != sallyport.Shut {
			t.Errorf("%s: got %v, %v", tt.name, v, err)
		}
	}
}

// A manifest may name one of the two. An allow that is false is a reason then as well, and one
// that is undefined is not true either.
func TestLegacyAllowAlone(t *testing.T) {
	set := legacy("  deny: data.agent.policy.deny\n", "", "default allow = false\n", "")
	delete(set.Files, "policy.rego")
	for _, tt := range []struct {
		facts sallyport.PullRequest
		want  sallyport.Outcome
	}{
		{sallyport.PullRequest{}, sallyport.Open},
		{sallyport.PullRequest{FromAgent: true, HasAttestation: true, HumanApproved: true}, sallyport.Open},
		{sallyport.PullRequest{FromAgent: true, HasAttestation: true}, sallyport.Shut},
		{sallyport.PullRequest{FromAgent: true}, sallyport.Shut},
	} {
		if v, err := judge(t, []Set{set}, tt.facts); err != nil || v.Outcome != tt.want {
			t.Errorf("%+v: got %v, %v, want %v", tt.facts, v, err, tt.want)
		}
	}
}

// Beside the baseline the stricter of the two holds, in whatever order they are named.
func TestLegacyBesideTheBaseline(t *testing.T) {
	facts := sallyport.PullRequest{FromAgent: true, HasAttestation: true} // nothing protected was touched
	for _, sets := range [][]Set{{Builtin(), legacy()}, {legacy(), Builtin()}} {
		if v, err := judge(t, sets, facts); err != nil || v.Outcome != sallyport.Shut {
			t.Errorf("got %v, %v", v, err)
		}
	}
	if v, err := judge(t, []Set{Builtin()}, facts); err != nil || v.Outcome != sallyport.Open {
		t.Errorf("the baseline alone: %v, %v", v, err)
	}
}
