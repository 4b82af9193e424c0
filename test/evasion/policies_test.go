package evasion

import (
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// A set of one module, whose rule fires when the change has a file of this name.
func denies(code, path string) string {
	return "package sallyport.merge\n\ndeny contains {\"code\": \"" + code + "\", \"outcome\": \"shut\", \"text\": \"no\"} if {\n" +
		"\tsome file in input.change.files\n\tfile.path == \"" + path + "\"\n}\n"
}

var quiet = denies("never", "no such file")

// policies are broken or emptied policy sets. They stand at the target, under the pin: whoever
// may change policy has made a mistake, and a mistake opens nothing.
var policies = []row{
	{
		name: "empty policy set", attack: "the configuration names no policy set", from: plain,
		do:     under("sets: []", "sets: [baseline]", nil),
		status: sallyport.ExitUndecided, codes: []string{"policy-empty"},
	},
	{
		name: "policy set without rules", attack: "a policy set's folder holds no Rego", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{
			"own/README.md": {"nothing yet\n", "one rule\n"}, "own/rules.rego": {"", quiet},
		}),
		status: sallyport.ExitUndecided, codes: []string{"policy-empty"},
	},
	{
		name: "policy set that is not there", attack: "the configuration names a set whose folder does not exist", from: plain,
		do:     under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {"", quiet}}),
		status: sallyport.ExitUndecided, codes: []string{"policy-empty"},
	},
	{
		name: "policy that does not compile", attack: "a module has a syntax error", from: plain,
		do:     under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {quiet + "deny contains\n", quiet}}),
		status: sallyport.ExitUndecided, codes: []string{"policy-error"},
	},
	{
		name: "policy that errors", attack: "a rule divides by the number of findings, which is zero", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {
			strings.Replace(quiet, "some file", "1 / count(input.findings) > 0\n\tsome file", 1), quiet,
		}}),
		status: sallyport.ExitUndecided, codes: []string{"policy-error"},
	},
	{
		name: "policy in conflict with itself", attack: "a complete rule has two values", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {
			quiet + "\nallow := true if input.gate == \"merge\"\n\nallow := false if count(input.findings) == 0\n", quiet + "\nallow := true\n",
		}}),
		status: sallyport.ExitUndecided, codes: []string{"policy-error"},
	},
	{
		name: "undefined decision", attack: "deny is undefined for this input", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {
			"package sallyport.merge\n\ndeny := set() if input.gate == \"release\"\n", "package sallyport.merge\n\ndeny := set() if input.gate == \"merge\"\n",
		}}),
		status: sallyport.ExitUndecided, codes: []string{"policy-undefined"},
	},
	{
		name: "decision under another name", attack: "the rules stand in a package that nobody asks", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {
			strings.Replace(quiet, "sallyport.merge", "sallyport.merges", 1), quiet,
		}}),
		status: sallyport.ExitUndecided, codes: []string{"policy-undefined"},
	},
	{
		name: "allow that is not true", attack: "a set's allow is undefined", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {
			quiet + "\nallow if input.gate == \"release\"\n", quiet + "\nallow if input.gate == \"merge\"\n",
		}}),
		status: sallyport.ExitShut, codes: []string{"not-allowed"},
	},
	{
		name: "two modules of one file name", attack: "a second set's module has the name of the first's, which would replace it", from: plain,
		do: under("sets: [one, two]", "", map[string][2]string{
			"one/rules.rego": {denies("one", "server.py"), quiet},
			"two/rules.rego": {denies("two", "server.py"), quiet},
		}),
		status: sallyport.ExitShut, codes: []string{"one", "two"},
	},
	{
		name: "first of two sets denies", attack: "the first set denies, and the second one, of the same file name, does not", from: plain,
		do: under("sets: [one, two]", "", map[string][2]string{
			"one/rules.rego": {denies("one", "server.py"), quiet}, "two/rules.rego": {quiet, quiet},
		}),
		status: sallyport.ExitShut, codes: []string{"one"},
	},
	{
		name: "second of two sets denies", attack: "the second set denies, and the first one, of the same file name, does not", from: plain,
		do: under("sets: [one, two]", "", map[string][2]string{
			"one/rules.rego": {quiet, quiet}, "two/rules.rego": {denies("two", "server.py"), quiet},
		}),
		status: sallyport.ExitShut, codes: []string{"two"},
	},
	{
		name: "two files of one package", attack: "two modules of a set declare one package, and one might replace the other", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{
			"own/a.rego": {quiet, quiet}, "own/b.rego": {quiet, strings.Replace(quiet, "sallyport.merge", "sallyport.other", 1)},
		}),
		status: sallyport.ExitUndecided, codes: []string{"policy-duplicate"},
	},
	{
		name: "policy that asks the world", attack: "a rule fetches its answer from the network", from: plain,
		do: under("sets: [baseline, own]", "", map[string][2]string{"own/rules.rego": {
			strings.Replace(quiet, "some file", "http.send({\"method\": \"get\", \"url\": \"http://localhost\"}).status_code == 200\n\tsome file", 1), quiet,
		}}),
		status: sallyport.ExitUndecided, codes: []string{"policy-error"},
	},
	{
		name: "folder that is called baseline", attack: "a folder of the built-in set's name holds rules that never fire", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = s.Restage(s.TB, scene.Options{Files: map[string]string{".sallyport/baseline/merge.rego": quiet}})
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			if !attack {
				s.AttestRun("main", "HEAD")
			}
			return s.Check()
		},
		status: sallyport.ExitShut, codes: missing,
	},
	{
		name: "policy in observe mode that cannot be applied", attack: "the mode only observes, and the policy is broken", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = s.Restage(s.TB, scene.Options{ByHand: true, Files: map[string]string{
				".sallyport/sallyport.yaml": observing + "policy:\n  sets: " + either(attack, "[]", "[baseline]") + "\n",
			}})
			s.Git("switch", "-q", "-c", "work")
			addFeature(s)
			s.AttestRun("main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitUndecided, codes: []string{"policy-empty"},
	},
}

// observing is the staged configuration in observe mode.
var observing = strings.Replace(scene.Config, "mode: enforce", "mode: observe", 1)

// under plays an attested change under other policy sets. Files maps a path below .sallyport to
// its content in the attack and in the twin; empty means no such file. An empty twin has the
// same sets.
func under(attacked, twin string, files map[string][2]string) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		sets := attacked
		if !attack && twin != "" {
			sets = twin
		}
		staged := map[string]string{".sallyport/sallyport.yaml": scene.Config + "policy:\n  " + sets + "\n"}
		for path, content := range files {
			if c := either(attack, content[0], content[1]); c != "" {
				staged[".sallyport/"+path] = c
			}
		}
		s = s.Restage(s.TB, scene.Options{Files: staged, ByHand: true})
		s.Git("switch", "-q", "-c", "work")
		addFeature(s)
		s.AttestRun("main", "HEAD")
		return s.Check()
	}
}
