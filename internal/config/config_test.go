package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

const head = "version: 1\nrepository: github.com/acme/app\n"

func TestParse(t *testing.T) {
	logKey := "log.example+0123abcd+AQIDBA=="
	followed := head + "log:\n  origin: log.example\n  key: " + logKey + "\n"
	for _, tt := range []struct {
		name, in string
		want     string // part of the error; empty if it parses
	}{
		{"the least", head, ""},
		{"everything", head + "mode: warn\ngates:\n  merge:\n    refs: [refs/heads/main, 'refs/heads/release/*', 'refs/tags/**']\n    ignore: ['refs/tags/nightly/*']\n" +
			"review_refs: ['refs/heads/review/**']\npolicy:\n  sets: [baseline, extra]\ndata:\n  protected_classes: [ci]\n  unattributed: agent\n  person_grades: [present, declared]\n" +
			"  run_grades: []\n  approval_grades: [present]\n  approvals_required: 2\nlog:\n  origin: log.example\n  key: " + logKey + "\n", ""},
		{"local log", head + "log: local\n", ""},
		{"log of somebody else", followed + "  url: https://example.com/log\n  checkpoint_max_age: 12h\n", ""},
		{"log in a folder", followed + "  url: file:///srv/log\n", ""},
		{"log on this machine", followed + "  url: http://127.0.0.1:8080/log\n", ""},
		{"nothing", "", "empty"},
		{"no version", "repository: github.com/acme/app\n", "version: is missing"},
		{"version two", "version: 2\nrepository: github.com/acme/app\n", "line 1: version: 2 is unknown"},
		{"no repository", "version: 1\n", "repository: is missing"},
		{"repository with scheme", "version: 1\nrepository: https://github.com/acme/app\n", "line 2: repository:"},
		{"repository with .git", "version: 1\nrepository: github.com/acme/app.git\n", "repository:"},
		{"repository with line break", "version: 1\nrepository: \"github.com/a\\nb\"\n", "repository:"},
		{"repository climbs", "version: 1\nrepository: github.com/../app\n", "repository:"},
		{"unknown mode", head + "mode: enforced\n", "line 3: mode: \"enforced\" is unknown"},
		{"empty mode", head + "mode: \"\"\n", "mode: is empty"},
		{"mode without value", head + "mode:\n", "line 3: mode: has no value"},
		{"misspelt key", head + "moode: enforce\n", "unknown field \"moode\""},
		{"misspelt nested key", head + "gates:\n  merge:\n    reffs: [refs/heads/main]\n", "unknown field \"reffs\""},
		{"gate that does not exist", head + "gates:\n  admission: {}\n", "unknown field \"admission\""},
		{"duplicate key", head + "mode: warn\nmode: observe\n", "already defined"},
		{"refs empty", head + "gates:\n  merge:\n    refs: []\n", "line 5: gates.merge.refs: is empty"},
		{"refs without value", head + "gates:\n  merge:\n    refs:\n", "line 5: gates.merge.refs: has no value"},
		{"refs hold null", head + "review_refs: [~]\n", "review_refs: has no value"},
		{"ref not qualified", head + "gates:\n  merge:\n    refs: [main]\n", "not fully qualified"},
		{"star inside", head + "gates:\n  merge:\n    refs: ['refs/*/main']\n", "star that is not its last"},
		{"three stars", head + "review_refs: ['refs/heads/***']\n", "star that is not its last"},
		{"ref git refuses", head + "review_refs: ['refs/heads/a..b']\n", "not a ref that git could have"},
		{"ref with control", head + "review_refs: [\"refs/heads/a\\u001bb\"]\n", "not a ref that git could have"},
		{"evidence gated", head + "gates:\n  merge:\n    refs: ['refs/sallyport/evidence']\n", "evidence travels"},
		{"log's age without a place", followed + "  checkpoint_max_age: 1h\n", "log.checkpoint_max_age: says how old"},
		{"log's age of nothing", followed + "  url: https://example.com/log\n  checkpoint_max_age: 0s\n", "log.checkpoint_max_age: \"0s\" is not a time"},
		{"log's age without end", followed + "  url: https://example.com/log\n  checkpoint_max_age: 90000h\n", "log.checkpoint_max_age:"},
		{"log's age that is a number", followed + "  url: https://example.com/log\n  checkpoint_max_age: 24\n", "checkpoint_max_age"},
		{"log read without encryption", followed + "  url: http://example.com/log\n", "log.url:"},
		{"log read by a name of this machine", followed + "  url: http://localhost.example.com/log\n", "log.url:"},
		{"log read from a relative folder", followed + "  url: file:log\n", "log.url:"},
		{"log read from a host's folder", followed + "  url: file://host/log\n", "log.url:"},
		{"log read with a password", followed + "  url: https://a:b@example.com/log\n", "log.url:"},
		{"log read by another program", followed + "  url: ext::sh\n", "log.url:"},
		{"everything gated", head + "gates:\n  merge:\n    refs: ['refs/**']\n", "evidence travels"},
		{"gated ref ignored", head + "gates:\n  merge:\n    refs: [refs/heads/main]\n    ignore: ['refs/heads/*']\n", "gates.merge.ignore: leaves out \"refs/heads/main\""},
		{"gated ref is a review ref", head + "gates:\n  merge:\n    refs: [refs/heads/main]\nreview_refs: ['refs/heads/**']\n", "review_refs: leaves out"},
		{"set twice", head + "policy:\n  sets: [baseline, baseline]\n", "stands twice"},
		{"set climbs", head + "policy:\n  sets: [../x]\n", "not the name of a folder"},
		{"set named dots", head + "policy:\n  sets: [a..b]\n", "not the name of a folder"},
		{"sets without value", head + "policy:\n  sets:\n", "line 4: policy.sets: has no value"},
		{"too many sets", head + "policy:\n  sets: [" + strings.Repeat("a,", 16) + "a]\n", "the most is 16"},
		{"unknown class", head + "data:\n  protected_classes: [deploys]\n", "\"deploys\" is no class"},
		{"unknown unattributed", head + "data:\n  unattributed: person\n", "data.unattributed"},
		{"unattributed empty", head + "data:\n  unattributed: \"\"\n", "data.unattributed"},
		{"unknown grade", head + "data:\n  person_grades: [presented]\n", "no grade"},
		{"grade twice", head + "data:\n  run_grades: [observed, observed]\n", "stands twice"},
		{"no approvals required", head + "data:\n  approvals_required: 0\n", "not between 1 and 16"},
		{"unknown report", head + "data:\n  required_reports: [{kind: sbom}]\n", "no kind of report"},
		{"report without a kind", head + "data:\n  required_reports: [{tool: CodeQL}]\n", "no kind of report"},
		{"report twice", head + "data:\n  required_reports: [{kind: junit}, {kind: junit}]\n", "stands twice"},
		{"reports", head + "data:\n  required_reports: [{kind: sarif, tool: CodeQL}, {kind: junit}]\n", ""},
		{"other data", head + "data:\n  deny: []\n", "unknown field"},
		{"log word", head + "log: remote\n", "neither the word local"},
		{"log of nothing", head + "log: {}\n", "origin and key are missing"},
		{"log without key", head + "log:\n  origin: log.example\n", "belong together"},
		{"log unknown key", head + "log:\n  orgin: log.example\n", "unknown field"},
		{"log of another origin", head + "log:\n  origin: other.example\n  key: " + logKey + "\n", "is the key of \"log.example\""},
		{"log key is private", head + "log:\n  origin: log.example\n  key: PRIVATE+KEY+log.example+0123abcd+AQIDBA==\n", "not a verifier key"},
		{"ci", head + "ci: {system: github, keys: ci-keys.json}\n", ""},
		{"ci of nothing", head + "ci: {}\n", "ci.system"},
		{"ci of an unknown system", head + "ci: {system: jenkins, keys: k}\n", "github or gitlab"},
		{"ci without keys", head + "ci: {system: gitlab}\n", "ci.keys: is missing"},
		{"ci keys elsewhere", head + "ci: {system: gitlab, keys: ../k}\n", "no file below .sallyport/"},
		{"ci keys at a path", head + "ci: {system: gitlab, keys: /etc/k}\n", "no file below .sallyport/"},
		{"ci over http", head + "ci: {system: gitlab, keys: k, issuer: 'http://gitlab.example'}\n", "no https address"},
		{"ci unknown key", head + "ci: {system: gitlab, keys: k, jwks: x}\n", "unknown field"},
		{"alias", head + "mode: &m warn\n", "anchors, aliases"},
		{"two documents", head + "---\n" + head, "more than one YAML document"},
		{"too large", head + "#" + strings.Repeat("x", MaxSize), "too large"},
		{"a list", "- version\n", "invalid configuration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse([]byte(tt.in))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got error %v\nwant one with %q", err, tt.want)
			}
			if !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is not one line that wraps ErrInvalid", err)
			}
			if !reflect.DeepEqual(c, Config{}) {
				t.Errorf("a refused configuration was returned: %+v", c)
			}
		})
	}
}

// Absence is strict, and an empty list is not absence.
func TestAbsence(t *testing.T) {
	c, err := Parse([]byte(head))
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != sallyport.Enforce {
		t.Errorf("absent mode: got %q, want enforce", c.Mode)
	}
	if !slices.Equal(c.Policy.Sets, []string{Baseline}) {
		t.Errorf("absent sets: got %q, want the baseline", c.Policy.Sets)
	}
	if !c.Log.Local() {
		t.Errorf("absent log: got %+v, want local", c.Log)
	}
	if len(c.Data.Overrides()) != 0 {
		t.Errorf("absent data: got %v, want nothing", c.Data.Overrides())
	}
	c, err = Parse([]byte(head + "policy: {sets: []}\ndata: {person_grades: []}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Policy.Sets == nil || len(c.Policy.Sets) != 0 {
		t.Errorf("sets: []: got %#v, want an empty list", c.Policy.Sets)
	}
	if got, ok := c.Data.Overrides()["person_grades"].([]sallyport.Grade); !ok || got == nil || len(got) != 0 {
		t.Errorf("person_grades: []: got %#v, want an empty list", c.Data.Overrides())
	}
}

func TestGated(t *testing.T) {
	narrow := Config{Gates: Gates{Merge: MergeGate{Refs: []string{"refs/heads/main", "refs/heads/release/*", "refs/tags/**"}, Ignore: []string{"refs/tags/nightly/**"}}}}
	wide := Config{ReviewRefs: []string{"refs/heads/review/**"}}
	contradictory := Config{Gates: Gates{Merge: MergeGate{Refs: []string{"refs/heads/main"}}}, ReviewRefs: []string{"refs/heads/*"}}
	for _, tt := range []struct {
		name string
		c    Config
		ref  string
		want bool
	}{
		{"exact", narrow, "refs/heads/main", true},
		{"prefix of exact", narrow, "refs/heads/mai", false},
		{"longer than exact", narrow, "refs/heads/main2", false},
		{"other case", narrow, "refs/heads/Main", false},
		{"below exact", narrow, "refs/heads/main/x", false},
		{"one component", narrow, "refs/heads/release/1", true},
		{"two components", narrow, "refs/heads/release/1/x", false},
		{"the folder itself", narrow, "refs/heads/release", false},
		{"any depth", narrow, "refs/tags/v1/rc/2", true},
		{"ignored", narrow, "refs/tags/nightly/7", false},
		{"by default a branch", wide, "refs/heads/anything", true},
		{"by default a tag", wide, "refs/tags/v1", true},
		{"by default no note", wide, "refs/notes/commits", false},
		{"a review ref", wide, "refs/heads/review/alice/x", false},
		{"evidence", wide, "refs/sallyport/evidence", false},
		{"exact beats review", contradictory, "refs/heads/main", true},
		{"not qualified", wide, "main", false},
		{"nothing", wide, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.c.Gated(tt.ref); got != tt.want {
				t.Errorf("Gated(%q): got %v, want %v", tt.ref, got, tt.want)
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	b, err := Template("github.com/acme/app", "refs/heads/trunk")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if c.Repository != "github.com/acme/app" || c.Mode != sallyport.Observe || !c.Gated("refs/heads/trunk") || c.Gated("refs/heads/main") {
		t.Errorf("the template says %+v", c)
	}
	// The one line that enforces is the one the comment names.
	enforced := strings.Replace(string(b), "\nmode: observe\n", "\nmode: enforce\n", 1)
	if c, err = Parse([]byte(enforced)); err != nil || c.Mode != sallyport.Enforce {
		t.Errorf("with the line changed: mode %q, error %v", c.Mode, err)
	}
	// What is commented out parses too once it is not, and changes nothing but is said aloud.
	full := strings.NewReplacer("#data:", "data:", "#  ", "  ").Replace(string(b))
	if c, err = Parse([]byte(full)); err != nil || len(c.Data.Overrides()) != 8 {
		t.Errorf("with the data uncommented: %v, error %v", c.Data.Overrides(), err)
	}
	for _, bad := range [][2]string{{"not a name", "refs/heads/main"}, {"github.com/acme/app", "main"}, {"github.com/a\nmode: observe", "refs/heads/main"}} {
		if _, err := Template(bad[0], bad[1]); err == nil {
			t.Errorf("Template(%q, %q) gave no error", bad[0], bad[1])
		}
	}
}

func TestAdvice(t *testing.T) {
	if got := Default().Advice(time.Now()); len(got) != 0 {
		t.Errorf("the default is weak: %q", got)
	}
	weak := Config{Mode: sallyport.Observe, Policy: Policy{Sets: []string{"own"}}, Data: Data{
		PersonGrades: []sallyport.Grade{sallyport.Declared}, RunGrades: []sallyport.Grade{sallyport.Declared}, ApprovalGrades: []sallyport.Grade{sallyport.Declared}}}
	if got := weak.Advice(time.Now()); len(got) != 5 {
		t.Errorf("got %d pieces of advice, want 5: %q", len(got), got)
	}
}

// Whatever parses is coherent: it names a repository and a known mode, has policy sets unless
// it says otherwise, gates what it names exactly, and never gates evidence.
func FuzzParse(f *testing.F) {
	b, err := Template("github.com/acme/app", "refs/heads/main")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(head + teamYAML))
	f.Add([]byte(head + "log: {origin: a, key: a+01234567+AQID}\npolicy: {sets: []}\n"))
	f.Add([]byte(head + "gates: {merge: {refs: ['refs/heads/**'], ignore: ['refs/heads/x']}}\nreview_refs: ['refs/heads/r/*']\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of more than one line: %q", err)
			}
			return
		}
		if c.Version != 1 || c.Repository == "" || c.Policy.Sets == nil {
			t.Errorf("accepted: %+v", c)
		}
		if c.Mode != sallyport.Observe && c.Mode != sallyport.Warn && c.Mode != sallyport.Enforce {
			t.Errorf("mode %q was accepted", c.Mode)
		}
		for _, ref := range c.Gates.Merge.Refs {
			if !strings.HasSuffix(ref, "*") && !c.Gated(ref) {
				t.Errorf("%q is named and not gated", ref)
			}
		}
		if c.Gated("refs/sallyport/evidence") {
			t.Error("evidence is gated")
		}
		for code, r := range c.Rules {
			if r.EffectiveOn != "" && !r.Mode.Enforces() || r == (Rule{}) {
				t.Errorf("rule %q contradicts itself: %+v", code, r)
			}
		}
		for _, a := range c.Approvals {
			if a.Required < 1 || len(a.Classes)+len(a.Paths) == 0 && a.Severity == "" {
				t.Errorf("an approval that asks for nothing: %+v", a)
			}
		}
	})
}
