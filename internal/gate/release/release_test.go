package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/predicate"
)

// id makes an object id of one letter.
func id(letter string) string { return strings.Repeat(fmt.Sprintf("%02x", letter[0]), 20) }

// graph is a history in which letters are commits: "c:b" is c with the parent b, "m:c,x" a merge. The
// newest comes first; the tree of a commit has its own letter in upper case.
func graph(lines ...string) []Commit {
	var out []Commit
	for _, l := range lines {
		name, parents, _ := strings.Cut(l, ":")
		c := Commit{ID: id(name), Tree: id(strings.ToUpper(name)), Title: name}
		for _, p := range strings.Split(parents, ",") {
			if p != "" {
				c.Parents = append(c.Parents, id(p))
			}
		}
		out = append(out, c)
	}
	return out
}

type past struct {
	commits []Commit
	off     bool
}

func (p past) Commits(context.Context, string, []string, int) ([]Commit, error) {
	return p.commits, nil
}
func (p past) OnLine(context.Context, string, string) (bool, error) { return !p.off, nil }

type collected []sallyport.Attestation

func (c collected) Collect(context.Context, []sallyport.Digest) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	return c, nil, nil
}

// known verifies attestations that it has made itself.
type known map[sallyport.Digest]sallyport.Evidence

func (k known) Verify(_ context.Context, a sallyport.Attestation) (sallyport.Evidence, error) {
	if ev, ok := k[a.Digest()]; ok {
		return ev, nil
	}
	return sallyport.Evidence{}, fmt.Errorf("nobody knows it")
}

type undecided struct{ input *sallyport.ReleaseInput }

func (u undecided) Evaluate(_ context.Context, _ sallyport.Gate, b []byte) (engine.Verdict, error) {
	return engine.Verdict{Outcome: sallyport.Open}, json.Unmarshal(b, u.input)
}

// seen is a Finder that found nothing.
type seen struct{}

func (seen) Find(context.Context, Question) (Found, error) {
	return Found{Look: sallyport.AdvisoryLook{State: "looked"}}, nil
}

type forgetful struct{}

func (forgetful) Record(_ context.Context, r engine.Record) (engine.Receipt, error) {
	return engine.Receipt{ID: r.ID}, nil
}

// A scene is a gate and the evidence that it finds.
type scene struct {
	t     *testing.T
	found collected
	known known
}

func newScene(t *testing.T) *scene { return &scene{t: t, known: known{}} }

func (s *scene) add(ev sallyport.Evidence) sallyport.Attestation {
	att := sallyport.Attestation{Raw: fmt.Appendf(nil, "%d", len(s.known)), Source: "kept"}
	ev.Attestation = att.Digest()
	s.known[ev.Attestation] = ev
	return att
}

func (s *scene) keep(ev sallyport.Evidence) { s.found = append(s.found, s.add(ev)) }

func statement(typ string, body any, subjects ...sallyport.StatementSubject) sallyport.Evidence {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return sallyport.Evidence{
		Statement: sallyport.Statement{Type: sallyport.StatementType, PredicateType: typ, Predicate: b, Subject: subjects},
		Signer:    sallyport.Principal{Kind: sallyport.Workload, Name: "ci"}, Grade: sallyport.Observed,
	}
}

// decided is a decision of a gate about head, judged against base.
func decided(gate, outcome, head, base, tree string, edit ...func(*predicate.Summary, *sallyport.Evidence)) sallyport.Evidence {
	result := map[bool]string{true: "PASSED", false: "FAILED"}[outcome == "open"]
	sum := predicate.Summary{ResourceURI: "git+https://example.com/acme/app", VerificationResult: result, Gate: gate, Outcome: outcome, Decision: "sha256:" + strings.Repeat("0", 64), Root: "sha256:" + strings.Repeat("1", 64)}
	if base != "" {
		sum.Base = string(sallyport.GitCommit(id(base)))
	}
	subjects := []sallyport.StatementSubject{{Digest: map[string]string{"gitCommit": id(head)}, Annotations: map[string]any{"sourceRefs": []any{"refs/heads/main"}}}}
	if tree != "" {
		subjects = append(subjects, sallyport.StatementSubject{Digest: map[string]string{"gitTree": id(tree)}})
	}
	ev := statement(summaryType, sum, subjects...)
	for _, e := range edit {
		e(&sum, &ev)
		ev.Statement.Predicate, _ = json.Marshal(sum)
	}
	return ev
}

// later is a summary at the given hour.
func later(ev sallyport.Evidence, hour int) sallyport.Evidence {
	var sum predicate.Summary
	if err := json.Unmarshal(ev.Statement.Predicate, &sum); err != nil {
		panic(err)
	}
	sum.TimeVerified = fmt.Sprintf("2026-11-22T%02d:00:00Z", hour)
	ev.Statement.Predicate, _ = json.Marshal(sum)
	return ev
}

func (s *scene) check(p Params, h past) sallyport.ReleaseInput {
	s.t.Helper()
	p.Ref, p.Commit, p.Tree = "refs/heads/main", id("0"), id("O")
	if len(h.commits) > 0 {
		p.Commit, p.Tree = h.commits[0].ID, h.commits[0].Tree
	}
	p.Roots = map[sallyport.Digest]bool{sallyport.Digest("sha256:" + strings.Repeat("1", 64)): true}
	if p.Settings.Grades == nil {
		p.Settings.Grades = []sallyport.Grade{sallyport.Observed}
	}
	var in sallyport.ReleaseInput
	g := &Gate{Historian: h, Repository: "example.com/acme/app", Rebuild: noRebuild, Finder: seen{}, Engine: &engine.Engine{
		Collector: s.found, Verifier: s.known, Evaluator: undecided{&in}, Recorder: forgetful{}, Now: func() time.Time { return time.Unix(1795000000, 0) }}}
	if _, _, err := g.Check(context.Background(), p); err != nil {
		s.t.Fatal(err)
	}
	return in
}

// TestCovered: which commits decisions answer for, and whether the released one was judged itself.
func TestCovered(t *testing.T) {
	line := graph("d:c", "c:b", "b:a", "a:0") // 0 is the adoption
	merged := graph("m:b,y", "y:x", "x:b", "b:a", "a:0")
	chain := func(more ...sallyport.Evidence) []sallyport.Evidence {
		return append([]sallyport.Evidence{decided("merge", "open", "a", "0", "A"), decided("merge", "open", "b", "a", "B")}, more...)
	}
	edited := func(e func(*predicate.Summary, *sallyport.Evidence)) []sallyport.Evidence {
		return []sallyport.Evidence{decided("merge", "open", "d", "0", "D", e)}
	}
	for _, c := range []struct {
		name      string
		history   []Commit
		decisions []sallyport.Evidence
		undecided string // letters, newest first
		decided   bool
	}{
		{"nobody decided", line, nil, "dcba", false},
		{"one decision over all of it", line, []sallyport.Evidence{decided("merge", "open", "d", "0", "D")}, "", true},
		{"one after another", line, chain(decided("merge", "open", "d", "b", "D")), "", true},
		{"in any order", line, []sallyport.Evidence{decided("merge", "open", "d", "b", "D"), decided("merge", "open", "b", "0", "B")}, "", true},
		{"a gap", line, chain(decided("merge", "open", "d", "c", "D")), "dc", false},
		{"a base from inside a change", line, []sallyport.Evidence{decided("merge", "open", "c", "0", "C"), decided("merge", "open", "d", "b", "D")}, "d", false},
		{"the end is inside a change", graph("c:b", "b:a", "a:0"), []sallyport.Evidence{decided("merge", "open", "z", "0", "Z")}, "cba", false},
		{"a decision without a base", line, []sallyport.Evidence{decided("merge", "open", "d", "", "D")}, "dcba", false},
		{"a base that is not in the history", line, []sallyport.Evidence{decided("merge", "open", "d", "z", "D")}, "dcba", false},
		{"a base below the adoption", line, []sallyport.Evidence{decided("merge", "open", "d", "_", "D")}, "dcba", false},
		{"another result than the head has", line, []sallyport.Evidence{decided("merge", "open", "d", "0", "X")}, "dcba", false},
		{"no result", line, []sallyport.Evidence{decided("merge", "open", "d", "0", "")}, "dcba", false},
		{"a squash", line, chain(decided("merge", "open", "z", "b", "C"), decided("merge", "open", "d", "c", "D")), "", true},
		{"the same result on another base", line, chain(decided("merge", "open", "z", "a", "C"), decided("merge", "open", "d", "c", "D")), "dc", false},
		{"a merge, and what it brings", merged, chain(decided("merge", "open", "y", "b", "M")), "", true},
		{"a merge whose side is not what was judged", merged, chain(decided("merge", "open", "z", "b", "M")), "yx", false},
		{"waiting does not open", line, []sallyport.Evidence{decided("merge", "waiting", "d", "0", "D")}, "dcba", false},
		{"refused first, open later", line, []sallyport.Evidence{later(decided("merge", "shut", "d", "0", "D"), 1), later(decided("merge", "open", "d", "0", "D"), 2)}, "", true},
		{"open first, refused later", line, []sallyport.Evidence{later(decided("merge", "shut", "d", "0", "D"), 2), later(decided("merge", "open", "d", "0", "D"), 1)}, "dcba", false},
		{"both at once", line, []sallyport.Evidence{decided("merge", "open", "d", "0", "D"), decided("merge", "shut", "d", "0", "D")}, "dcba", false},
		{"open, and refused on another base", line, []sallyport.Evidence{later(decided("merge", "shut", "d", "z", "D"), 2), later(decided("merge", "open", "d", "0", "D"), 1)}, "", true},
		{"another ref", line, edited(func(_ *predicate.Summary, ev *sallyport.Evidence) {
			ev.Statement.Subject[0].Annotations = map[string]any{"sourceRefs": []any{"refs/heads/main2"}}
		}), "dcba", false},
		{"no ref", line, edited(func(_ *predicate.Summary, ev *sallyport.Evidence) { ev.Statement.Subject[0].Annotations = nil }), "dcba", false},
		{"another repository", line, edited(func(s *predicate.Summary, _ *sallyport.Evidence) { s.ResourceURI += "x" }), "dcba", false},
		{"no pinned root", line, edited(func(s *predicate.Summary, _ *sallyport.Evidence) { s.Root = "" }), "dcba", false},
		{"a root that the ref never held", line, edited(func(s *predicate.Summary, _ *sallyport.Evidence) { s.Root = "sha256:" + strings.Repeat("2", 64) }), "dcba", false},
		{"advice", line, edited(func(_ *predicate.Summary, ev *sallyport.Evidence) { ev.Grade = sallyport.Declared }), "dcba", false},
		{"a person's word", line, edited(func(_ *predicate.Summary, ev *sallyport.Evidence) { ev.Signer.Kind = sallyport.Person }), "dcba", false},
		{"shut and PASSED", line, edited(func(s *predicate.Summary, _ *sallyport.Evidence) { s.Outcome = "shut" }), "dcba", false},
		{"another tool's summary", line, edited(func(s *predicate.Summary, _ *sallyport.Evidence) { s.Gate, s.Outcome, s.Decision = "", "", "" }), "dcba", false},
		{"since a release", line, []sallyport.Evidence{decided("release", "open", "c", "", ""), decided("merge", "open", "d", "c", "D")}, "", true},
		{"since a release that was refused", line, []sallyport.Evidence{decided("release", "shut", "c", "", ""), decided("merge", "open", "d", "c", "D")}, "dcba", false},
		{"the release itself, again", graph("c:b", "b:a", "a:0"), []sallyport.Evidence{decided("release", "open", "c", "", "")}, "", true},
		{"below a release", graph("b:a", "a:0"), []sallyport.Evidence{decided("release", "open", "c", "", "")}, "ba", false},
		{"the adoption", graph(), nil, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			for _, d := range c.decisions {
				s.keep(d)
			}
			in := s.check(Params{Adoption: id("0")}, past{commits: c.history})
			got := ""
			for _, u := range in.Release.Undecided {
				got += u.Title
			}
			if got != c.undecided || in.Release.Decided != c.decided {
				t.Errorf("undecided %q, decided %t; want %q, %t", got, in.Release.Decided, c.undecided, c.decided)
			}
		})
	}
}

// TestLaunderedTree plays two ways in which a tree that was never judged could have been released. Each
// decision is open, and says nothing of what the branch held before.
func TestLaunderedTree(t *testing.T) {
	for _, c := range []struct {
		name      string
		history   []Commit
		decisions []sallyport.Evidence
	}{
		{"a commit from inside an open change, pushed as it is, and then used as a base", graph("r:y", "y:x", "x:a", "a:0"), []sallyport.Evidence{
			decided("merge", "open", "a", "0", "A"), decided("merge", "open", "y", "a", "Y"), decided("merge", "shut", "x", "a", "X"), decided("merge", "open", "r", "x", "R")}},
		{"a change against a tip that was pushed straight, on an older commit", graph("h:a", "a:0"), []sallyport.Evidence{
			decided("merge", "open", "a", "0", "A"), decided("merge", "shut", "e", "a", "E"), decided("merge", "open", "h", "e", "H")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			for _, d := range c.decisions {
				s.keep(d)
			}
			in := s.check(Params{Adoption: id("0")}, past{commits: c.history})
			if len(in.Release.Undecided) != 1 || in.Release.Decided {
				t.Errorf("%+v", in.Release)
			}
		})
	}
}

func noRebuild(sallyport.Statement) (Rebuild, error) { return Rebuild{}, ErrNoRebuild }

var app = Artifact{Name: "app", Digest: sallyport.SHA256([]byte("app"))}

func subject(a Artifact) sallyport.StatementSubject {
	return sallyport.StatementSubject{Name: a.Name, Digest: map[string]string{"sha256": a.Digest.Hex()}}
}

// made is provenance; status is omitted for another build type.
func made(a Artifact, status string, deps ...map[string]any) sallyport.Evidence {
	build := map[string]any{"buildType": BuildType, "resolvedDependencies": deps, "internalParameters": json.RawMessage(status)}
	if status == "" {
		build["buildType"] = "https://example.com/other"
		delete(build, "internalParameters")
	}
	return statement(provenanceType, map[string]any{"buildDefinition": build, "runDetails": map[string]any{"builder": map[string]any{"id": "https://ci.example.com"}}}, subject(a))
}

func source(commit string) map[string]any {
	return map[string]any{"name": "source", "uri": "git+https://example.com/acme/app@refs/heads/main", "digest": map[string]string{"gitCommit": commit}}
}

// TestProvenance: what is read of it.
func TestProvenance(t *testing.T) {
	d := id("d")
	for _, c := range []struct {
		name       string
		ev         sallyport.Evidence
		source, ok bool
	}{
		{"a good run", made(app, `{"exitStatus":0,"source":{"dirty":false}}`, source(d)), true, true},
		{"a failed run", made(app, `{"exitStatus":2,"source":{"dirty":false}}`, source(d)), true, false},
		{"a run without a status", made(app, `{"source":{"dirty":false}}`, source(d)), true, false},
		{"a status that is no number", made(app, `{"exitStatus":"0","source":{"dirty":false}}`, source(d)), true, false},
		{"no parameters at all", made(app, `null`, source(d)), false, false},
		{"a run that was ended", made(app, `{"exitStatus":0,"ended":"timeout","source":{"dirty":false}}`, source(d)), true, false},
		{"a run that ended by itself", made(app, `{"exitStatus":0,"ended":"exited","source":{"dirty":false}}`, source(d)), true, true},
		{"a work tree that is not the commit", made(app, `{"exitStatus":0,"ended":"exited","source":{"dirty":true}}`, source(d)), false, true},
		{"an artifact that was there before", made(app, `{"exitStatus":0,"source":{"dirty":false},"unchangedArtifacts":["app"]}`, source(d)), false, true},
		{"a source that does not say", made(app, `{"exitStatus":0}`, source(d)), false, true},
		{"submodules", made(app, `{"exitStatus":0,"source":{"dirty":false,"submodules":1}}`, source(d)), false, true},
		{"another name", made(Artifact{Name: "app-debug", Digest: app.Digest}, `{"exitStatus":0,"source":{"dirty":false}}`, source(d)), false, true},
		{"a folder before its name", made(Artifact{Name: "dist/app", Digest: app.Digest}, `{"exitStatus":0,"source":{"dirty":false}}`, source(d)), true, true},
		{"parameters of another shape", made(app, `{"exitStatus":0,"source":7}`, source(d)), false, true},
		{"another builder's", made(app, "", source(d)), true, true},
		{"sha1 of a git URI", made(app, "", map[string]any{"uri": "git+https://example.com/acme/app", "digest": map[string]string{"sha1": d}}), true, true},
		{"sha1 of something else", made(app, "", map[string]any{"uri": "https://example.com/app.js", "digest": map[string]string{"sha1": d}}), false, true},
		{"another commit", made(app, `{"exitStatus":0,"source":{"dirty":false}}`, source(id("c"))), false, true},
		{"another builder's, of both", made(app, "", source(d), source(id("c"))), false, true},
		{"another builder's, with another repository", made(app, "", source(d), map[string]any{"uri": "git+https://example.com/lib", "digest": map[string]string{"gitCommit": id("c")}}), true, true},
		{"another builder's, of another repository", made(app, "", map[string]any{"uri": "git+https://example.com/lib", "digest": map[string]string{"gitCommit": d}}), false, true},
		{"a submodule at the commit", made(app, `{"exitStatus":0,"source":{"dirty":false}}`, source(id("c")), map[string]any{"name": "sub", "digest": map[string]string{"gitCommit": d}}), false, true},
		{"a submodule in front", made(app, `{"exitStatus":0,"source":{"dirty":false}}`, map[string]any{"name": "sub", "digest": map[string]string{"gitCommit": d}}, source(id("c"))), false, true},
		{"nothing", made(app, `{"exitStatus":0,"source":{"dirty":false}}`), false, true},
		{"no object", statement(provenanceType, []string{"x"}, subject(app)), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.keep(c.ev)
			in := s.check(Params{Artifacts: []Artifact{app}}, past{commits: graph("d:c", "c:")})
			if n := len(in.Artifacts[0].Provenance); n != 1 {
				t.Fatalf("%d statements", n)
			}
			if p := in.Artifacts[0].Provenance[0]; p.Source != c.source || p.Succeeded != c.ok || (p.Why == "") != (c.source && c.ok) {
				t.Errorf("%+v, want source %t, succeeded %t", p, c.source, c.ok)
			}
		})
	}
}

func withSubject(ev sallyport.Evidence, s sallyport.StatementSubject) sallyport.Evidence {
	ev.Statement.Subject = append(ev.Statement.Subject, s)
	return ev
}

// TestStray: what is presented and is about something else.
func TestStray(t *testing.T) {
	other := Artifact{Name: "app", Digest: sallyport.SHA256([]byte("changed"))}
	third := Artifact{Name: "lib", Digest: sallyport.SHA256([]byte("lib"))}
	for _, c := range []struct {
		name string
		ev   sallyport.Evidence
		code string
	}{
		{"about it", made(app, `{"exitStatus":0,"source":{"dirty":false}}`), ""},
		{"its name with another digest", made(other, `{"exitStatus":0,"source":{"dirty":false}}`), "tampered"},
		{"another artifact", made(third, `{"exitStatus":0,"source":{"dirty":false}}`), "replayed"},
		{"the commit, and its name with another digest", withSubject(made(other, `{"exitStatus":0,"source":{"dirty":false}}`), sallyport.StatementSubject{Name: "source", Digest: map[string]string{"gitCommit": id("d")}}), "tampered"},
		{"the commit", statement(testType, map[string]string{"result": "PASSED"}, sallyport.StatementSubject{Digest: map[string]string{"gitCommit": id("d")}}), ""},
		{"another commit", statement(testType, map[string]string{"result": "PASSED"}, sallyport.StatementSubject{Digest: map[string]string{"gitCommit": id("c")}}), "replayed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			in := s.check(Params{Artifacts: []Artifact{app}, Presented: []sallyport.Attestation{s.add(c.ev)}}, past{commits: graph("d:c")})
			got := ""
			for _, r := range in.Rejected {
				got += r.Code
			}
			if got != c.code {
				t.Errorf("%q, want %q", got, c.code)
			}
		})
	}
}

// TestTests: a clean scan is no test that passed, and neither is a pass of nothing.
func TestTests(t *testing.T) {
	about := sallyport.StatementSubject{Digest: map[string]string{"gitCommit": id("d")}}
	tree := func(result, state string) string {
		return `{"result":"` + result + `","passedTests":["TestA"],"configuration":[{"name":"go"},{"name":"go test","annotations":{"worktree":` + state + `}}]}`
	}
	for _, c := range []struct {
		name, predicate, want string
	}{
		{"tests that passed", `{"result":"PASSED","passedTests":["TestA"]}`, "PASSED"},
		{"tests that failed", `{"result":"FAILED","failedTests":["TestA"]}`, "FAILED"},
		{"no test", `{"result":"PASSED"}`, ""},
		{"no test, with a warning", `{"result":"WARNED","passedTests":[]}`, ""},
		{"a scan that found nothing", `{"result":"PASSED","passedTests":["rule"],"configuration":[{"mediaType":"application/sarif+json"}]}`, ""},
		{"in the commit's work tree", tree("PASSED", `{"modified":0,"deleted":0,"untracked":2}`), "PASSED"},
		{"in a work tree that nobody looked at", tree("PASSED", `"unknown"`), "PASSED"},
		{"in a work tree with a changed file", tree("PASSED", `{"modified":1,"deleted":0,"untracked":0}`), ""},
		{"in a work tree with a file less", tree("WARNED", `{"modified":0,"deleted":1,"untracked":0}`), ""},
		{"in a work tree that cannot be read", tree("PASSED", `[]`), ""},
		{"that failed in a changed work tree", tree("FAILED", `{"modified":1,"deleted":0,"untracked":0}`), "FAILED"},
		{"that failed with annotations of another shape", `{"result":"FAILED","configuration":[{"annotations":"x"}]}`, "FAILED"},
		{"lists of another shape", `{"result":"PASSED","passedTests":"all"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.keep(statement(testType, json.RawMessage(c.predicate), about))
			got := ""
			for _, r := range s.check(Params{}, past{commits: graph("d:c")}).Release.Tests {
				got += r.Result
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestChecksums: a list vouches for what it holds, and is one only if all of it is right.
func TestChecksums(t *testing.T) {
	lib := Artifact{Name: "lib", Digest: sallyport.SHA256([]byte("lib"))}
	sums := func(pairs ...any) Artifact {
		a := Artifact{Name: "SHA256SUMS", Digest: sallyport.SHA256(fmt.Append(nil, pairs...)), Checksums: map[string]sallyport.Digest{}}
		for i := 0; i < len(pairs); i += 2 {
			a.Checksums[pairs[i].(string)] = pairs[i+1].(sallyport.Digest)
		}
		return a
	}
	for _, c := range []struct {
		name      string
		list      Artifact
		summed    []string
		isCorrect bool
	}{
		{"both", sums("app", app.Digest, "dist/lib", lib.Digest), []string{"app", "lib"}, true},
		{"one is missing", sums("app", app.Digest), []string{"app"}, true},
		{"one is wrong", sums("app", app.Digest, "lib", app.Digest), []string{"app"}, false},
		{"one that is not here", sums("app", app.Digest, "lib", lib.Digest, "more", lib.Digest), []string{"app", "lib"}, false},
		{"nothing", sums(), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := newScene(t).check(Params{Artifacts: []Artifact{app, lib, c.list}}, past{commits: graph("d:c")})
			var summed []string
			for _, a := range in.Artifacts[:2] {
				if a.Checksummed {
					summed = append(summed, a.Name)
				}
			}
			if !slices.Equal(summed, c.summed) || in.Artifacts[2].Checksums != c.isCorrect {
				t.Errorf("%v, right: %t", summed, in.Artifacts[2].Checksums)
			}
		})
	}
}
