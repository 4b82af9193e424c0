//go:build unix

package rebuild

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
)

// plan is one whose command is a shell script, and whose artifacts are what ends in .out.
func plan(t *testing.T, script string, artifacts ...Artifact) *Plan {
	t.Helper()
	g, err := glob.Parse("*.out")
	if err != nil {
		t.Fatal(err)
	}
	return &Plan{Commit: commit, Command: []string{"sh", "-c", script}, Directory: ".", Artifacts: artifacts, globs: []glob.Glob{g},
		Environment: map[string]string{}, Builder: "https://ci.example.com/runner", Finished: time.Now().Add(-time.Hour)}
}

func options(t *testing.T, env map[string]string) Options {
	t.Helper()
	return Options{
		Checkout: func(_ context.Context, _, dir, _ string) (git.CheckedOut, error) {
			return git.CheckedOut{Files: 1}, os.WriteFile(filepath.Join(dir, "source.txt"), []byte("hello\n"), 0o666)
		},
		Getenv: func(name string) string {
			if name == "PATH" {
				return os.Getenv("PATH")
			}
			return env[name]
		},
		TempDir: t.TempDir(), Now: time.Now,
	}
}

func runPlan(t *testing.T, p *Plan, o Options) *Rebuilt {
	t.Helper()
	r, err := Run(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(o.TempDir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	})
	return r
}

func read(t *testing.T, r *Rebuilt, name string) string {
	t.Helper()
	b, err := os.ReadFile(r.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func variation(t *testing.T, r *Rebuilt, name string) Variation {
	t.Helper()
	i := slices.IndexFunc(r.Variations, func(v Variation) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("nothing is said of %s", name)
	}
	return r.Variations[i]
}

// What the report says was varied is what the command saw.
func TestVariationsAreWhatTheCommandSaw(t *testing.T) {
	p := plan(t, `env > env.out; id -u > id.out; umask > umask.out; pwd > pwd.out; ls -l source.txt > ls.out`)
	p.Environment = map[string]string{"RECORDED": "yes", "HOME": "/from/there"}
	o := options(t, map[string]string{"LC_ALL": "C", "SECRET": "s", "CACHE": "/c", "SOURCE_DATE_EPOCH": "1"})
	o.Pass = []string{"CACHE"}
	r := runPlan(t, p, o)
	env := strings.Split(read(t, r, "env.out"), "\n")
	has := func(line string) bool { return slices.Contains(env, line) }
	if !has("RECORDED=yes") || !has("CACHE=/c") || has("SECRET=s") || has("SOURCE_DATE_EPOCH=1") || has("HOME=/from/there") {
		t.Errorf("the environment is %q", env)
	}
	if tz := variation(t, r, VaryTimezone); !tz.Made || !has(strings.Fields(tz.How)[0]) {
		t.Errorf("%v, and the environment is %q", tz, env)
	}
	if l := variation(t, r, VaryLocale); !has(strings.TrimSuffix(strings.Fields(l.How)[0], ":")) || l.Made == has("LC_ALL=C") {
		t.Errorf("%v, and the environment is %q", l, env)
	}
	if u := variation(t, r, VaryUser); u.Made != (strings.TrimSpace(read(t, r, "id.out")) == "60321") || u.Made != has("USER=rebuilder") {
		t.Errorf("%v, and the user is %s", u, read(t, r, "id.out"))
	}
	if m := variation(t, r, VaryUmask); !m.Made || strings.TrimSpace(read(t, r, "umask.out")) != strings.Fields(m.How)[0] || !strings.HasPrefix(read(t, r, "ls.out"), "-rw-r-----") {
		t.Errorf("%v, and the mask is %s, the checkout %s", m, read(t, r, "umask.out"), read(t, r, "ls.out"))
	}
	if pw := strings.TrimSpace(read(t, r, "pwd.out")); !strings.Contains(variation(t, r, VaryPath).How, pw) || pw != r.Folder() {
		t.Errorf("%v, and the folder is %s", variation(t, r, VaryPath), pw)
	}
	for _, name := range []string{VaryClock, VaryHost, VaryNetwork} {
		if variation(t, r, name).Made {
			t.Errorf("%s is said to have been varied", name)
		}
	}
	if !variation(t, r, VaryTime).Made {
		t.Error("an hour has passed")
	}
}

// What the caller leaves out, and what was recorded, is not said to have been varied.
func TestVariationsLeftOut(t *testing.T) {
	p := plan(t, `env > env.out; id -u > id.out; umask > umask.out`)
	p.Environment = map[string]string{"TZ": "UTC"}
	p.Finished = time.Now().Add(time.Minute)
	o := options(t, map[string]string{"LANG": "tlh_QO"})
	o.Without = []string{VaryUmask, VaryUser, VaryLocale}
	r := runPlan(t, p, o)
	for _, name := range []string{VaryUmask, VaryUser, VaryLocale, VaryTimezone, VaryTime} {
		if v := variation(t, r, name); v.Made {
			t.Errorf("%v", v)
		}
	}
	env := read(t, r, "env.out")
	if !strings.Contains(env, "TZ=UTC\n") || !strings.Contains(env, "LANG=tlh_QO\n") {
		t.Errorf("the environment is %s", env)
	}
}

func TestCutNetwork(t *testing.T) {
	o := options(t, nil)
	o.CutNetwork = true
	r, err := Run(t.Context(), plan(t, `cat /proc/net/dev > dev.out`), o)
	if canNamespace(t.Context(), true) != nil {
		if err == nil {
			t.Fatal("it ran with a network that was to be cut")
		}
		t.Skip("NOT TESTED: this system gives no network namespace; that the run was refused was")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if dev := read(t, r, "dev.out"); strings.Count(dev, ":") != 1 || !variation(t, r, VaryNetwork).Made {
		t.Errorf("there is more than the loopback device: %s", dev)
	}
}

func TestRunFails(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"status", "echo no; exit 3", `exit status 3: it last said "no"`},
		{"link", "ln -s /etc/passwd x.out", "is a link or a device"},
		{"pipe", "mkfifo x.out", "is a link or a device"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, nil)
			r, err := Run(t.Context(), plan(t, tt.script), o)
			if r != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v", r, err)
			}
			if left, _ := os.ReadDir(o.TempDir); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
	p := plan(t, "")
	p.Command = []string{"no-such-program"}
	if _, err := Run(t.Context(), p, options(t, nil)); !errors.Is(err, ErrBuild) {
		t.Errorf("a program that is not there: %v", err)
	}
	o := options(t, nil)
	o.Timeout = 100 * time.Millisecond
	began := time.Now()
	if _, err := Run(t.Context(), plan(t, "sleep 60 & sleep 60"), o); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	o = options(t, nil)
	o.Checkout = func(context.Context, string, string, string) (git.CheckedOut, error) {
		return git.CheckedOut{Submodules: []string{"lib"}}, nil
	}
	if _, err := Run(t.Context(), plan(t, ""), o); !errors.Is(err, ErrSource) {
		t.Errorf("a submodule: %v", err)
	}
}

// What a build leaves behind is removed, read-only folders too, and what it left running is ended.
func TestLeftBehind(t *testing.T) {
	o := options(t, nil)
	r := runPlan(t, plan(t, `mkdir d; echo > d/f; chmod 500 d; (sleep 2; echo late > late.out) & echo x > x.out`), o)
	if len(r.Artifacts) != 1 || r.Artifacts[0].Name != "x.out" {
		t.Errorf("%v", r.Artifacts)
	}
}

func TestJudgeAndStatement(t *testing.T) {
	d := func(c string) sallyport.Digest { return sallyport.Digest("sha256:" + strings.Repeat(c, 64)) }
	p := plan(t, "", Artifact{"a", d("a")}, Artifact{"b", d("b")}, Artifact{"c", d("c")})
	about := About{Provenance: d("f"), Level: SameMachine}
	results := Judge(p, []Artifact{{"a", d("a")}, {"b", d("0")}, {"x", d("1")}})
	var got []string
	for _, r := range results {
		got = append(got, r.Name+" "+string(r.Outcome))
	}
	if want := []string{"a equal", "b different", "c missing", "x extra"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	decode := func(results []Result, about About) (body struct {
		Result         string
		Passed, Failed []string
	}) {
		t.Helper()
		st, err := Statement(p, results, about)
		if err != nil {
			t.Fatal(err)
		}
		if len(st.Subject) != 3 || st.PredicateType != TestResultType || !strings.Contains(string(st.Predicate), `"`+Extension+`"`) {
			t.Errorf("%+v", st)
		}
		if err := json.Unmarshal([]byte(strings.NewReplacer("passedTests", "passed", "failedTests", "failed").Replace(string(st.Predicate))), &body); err != nil {
			t.Fatal(err)
		}
		return body
	}
	if b := decode(results, about); b.Result != "FAILED" || len(b.Passed) != 1 || len(b.Failed) != 3 {
		t.Errorf("%+v", b)
	}
	if b := decode(Judge(p, p.Artifacts), about); b.Result != "PASSED" || len(b.Passed) != 3 || len(b.Failed) != 0 {
		t.Errorf("%+v", b)
	}
	if AllEqual(nil) {
		t.Error("nothing is equal")
	}
	for _, bad := range []About{
		{Level: SameMachine},
		{Provenance: d("f")},
		{Provenance: d("f"), Level: OtherBuilder},
		{Provenance: d("f"), Level: OtherBuilder, Builder: p.Builder},
		{Provenance: d("f"), Level: SameMachine, Builder: "no uri"},
	} {
		if _, err := Statement(p, results, bad); err == nil {
			t.Errorf("%+v was stated", bad)
		}
	}
}
