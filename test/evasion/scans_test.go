package evasion

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// The types by which a job vouches for reports of tests, and of scans.
const (
	testResult = "https://in-toto.io/attestation/test-result/v0.1"
	scanResult = "https://witness.dev/attestations/sarif/v0.1"
)

// triage is a workflow that reads an issue's title, with the line in which it does.
const triage = `on: issues
permissions: {}
jobs:
  triage:
    runs-on: ubuntu-24.04
    steps:
      - env:
          TITLE: ${{ github.event.issue.title }}
        run: echo %s
`

// scans are attacks on CI, and on what other tools are said to have found.
var scans = []row{
	{
		name: "title in a script", attack: "an approved workflow pastes an issue's title into a script (Nx s1ngularity)", from: attested,
		do:     vouched(".github/workflows/triage.yml", fmt.Sprintf(triage, `"${{ github.event.issue.title }}"`), fmt.Sprintf(triage, `"$TITLE"`)),
		status: sallyport.ExitShut, codes: []string{"workflow"},
	},
	{
		name: "trigger of strangers", attack: "one line lets strangers start an old job, which checks out their files (Mini Shai-Hulud)", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return heldBefore(s, ".github/workflows/build.yml", prepared("pull_request"), prepared(either(attack, "pull_request_target", "push")))
		},
		status: sallyport.ExitShut, codes: []string{"workflow"},
	},
	{
		name: "anyone instructs the agent", attack: "allowed_non_write_users: \"*\" (Clinejection)", from: attested,
		do:     vouched(".github/workflows/agent.yml", answering("*"), answering("")),
		status: sallyport.ExitShut, codes: []string{"workflow"},
	},
	{
		name: "agent without questions", attack: "a script starts an agent that asks nobody (Amazon Q)", from: attested,
		do:     vouched("deploy/clean.sh", "#!/bin/sh\nq chat --trust-all-tools clean\n", "#!/bin/sh\nq chat --trust-tools= clean\n"),
		status: sallyport.ExitShut, codes: []string{"workflow"},
	},
	{
		name: "workflow that cannot be read", attack: "a CI definition that this parser cannot read, and perhaps the forge can", from: attested,
		do:     vouched(".github/workflows/x.yml", "on: push\non: push\njobs: {}\n", "on: push\npermissions: {}\njobs: {}\n"),
		status: sallyport.ExitShut, codes: []string{"unscanned"},
	},
	{
		name: "failed test", attack: "the report that the change comes with names a failed test", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			return s.Check("--junit", outside(s, "tests.xml", `<testsuite><testcase name="greets">`+either(attack, "<failure/>", "")+"</testcase></testsuite>"))
		},
		status: sallyport.ExitShut, codes: []string{"test-failed"},
	},
	{
		name: "finding of another tool", attack: "the tool's report names a line that the change adds, and says that somebody dismissed it", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			line := 1
			if attack {
				line = strings.Count(s.Read("server.py"), "\n")
			}
			return s.Check("--sarif", outside(s, "scan.sarif", sarif(fmt.Sprintf(`{"ruleId": "x", "level": "error", "suppressions": [{"kind": "inSource"}],
				"locations": [{"physicalLocation": {"artifactLocation": {"uri": "server.py"}, "region": {"startLine": %d}}}]}`, line))))
		},
		status: sallyport.ExitShut, codes: []string{"finding"},
	},
	{
		name: "pipeline that only others can read", attack: "a part of a pipeline names a key twice, which GitLab takes and a strict reader does not", from: asked,
		do:     vouched("jobs.yml", "build:\n  tags: [a]\n  tags: [b]\n  script: [make]\n", "build:\n  tags: [a]\n  script: [make]\n"),
		status: sallyport.ExitShut, codes: []string{"unscanned"},
	},
	{
		name: "script in the first document", attack: "a commit's message is run in the first of two documents, and the last is clean", from: asked,
		do: vouched("jobs.yml", "a:\n  before_script:\n    - eval \"echo $CI_COMMIT_MESSAGE\"\n---\nb:\n  script: [make]\n",
			"a:\n  before_script:\n    - eval \"echo $CI_COMMIT_SHA\"\n---\nb:\n  script: [make]\n"),
		status: sallyport.ExitShut, codes: []string{"workflow"},
	},
	{
		name: "report of nobody", attack: "a report is required, and the agent writes one that found nothing", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = demanding(s)
			report := outside(s, "scan.sarif", sarif(""))
			if !attack {
				vouch(s, report, scene.Supervisor)
			}
			return s.Check("--sarif", report)
		},
		status: sallyport.ExitShut, codes: []string{"report-missing"},
	},
	{
		name: "report signed by the agent", attack: "the agent signs its report with a key of its own", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = demanding(s)
			report := outside(s, "scan.sarif", sarif(""))
			vouch(s, report, either(attack, scene.Rogue, scene.Supervisor))
			return s.Check("--sarif", report)
		},
		status: sallyport.ExitShut, codes: []string{"report-missing"},
	},
	{
		name: "report of an older commit", attack: "the report was signed before the last commit", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = demanding(s)
			report := outside(s, "scan.sarif", sarif(""))
			more := func() {
				s.Write("util.py", s.Read("util.py")+"\n\ndef more():\n    return 1\n")
				s.AgentCommit("More")
				s.AttestRun("main", "HEAD")
			}
			if !attack {
				more()
			}
			vouch(s, report, scene.Supervisor)
			if attack {
				more()
			}
			return s.Check("--sarif", report)
		},
		status: sallyport.ExitShut, codes: []string{"report-missing"},
	},
	{
		name: "report that tests were run with", attack: "the agent has tests run with its report as a file of theirs, and the run is signed", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = demanding(s)
			report := outside(s, "scan.sarif", sarif(""))
			if !attack {
				vouch(s, report, scene.Supervisor)
				return s.Check("--sarif", report)
			}
			body := outside(s, "result.json", `{"result": "PASSED", "configuration": [{"name": "scan.sarif", "digest": {"sha256": "`+sallyport.SHA256([]byte(sarif(""))).Hex()+`"}}]}`)
			s.Must("attest", "git:HEAD", "--repo", s.Repo, "--type", testResult, "--predicate", body, "--key", s.KeyRef(scene.Supervisor))
			return s.Check("--sarif", report)
		},
		status: sallyport.ExitShut, codes: []string{"report-missing"},
	},
	{
		name: "scan that the tests' key signed for", attack: "the job that runs the tests, which are the agent's, signs for a scan", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = demandingOf(s, either(attack, []string{testResult}, []string{testResult, scanResult})...)
			report := outside(s, "scan.sarif", sarif(""))
			s.Must("attest", "report", report, "--repo", s.Repo, "--key", s.KeyRef(scene.Supervisor))
			return s.Check("--sarif", report)
		},
		status: sallyport.ExitShut, codes: []string{"report-missing"},
	},
	{
		name: "report that was changed", attack: "the file is not the one that was signed", from: plain,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			s = demanding(s)
			report := outside(s, "scan.sarif", sarif(""))
			vouch(s, report, scene.Supervisor)
			return s.Check("--sarif", outside(s, "scan.sarif", sarif("")+either(attack, "\n", "")))
		},
		status: sallyport.ExitShut, codes: []string{"report-missing"},
	},
}

// prepared is a job that builds the head of a pull request.
func prepared(event string) string {
	return "on: " + event + "\npermissions: {}\njobs:\n  build:\n    runs-on: ubuntu-24.04\n    steps:\n" +
		"      - uses: actions/checkout@b4ffde65f46336ab88eb53be808477a3936bae11\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n      - run: make\n"
}

// answering is an agent that answers issues, for those named.
func answering(users string) string {
	return "on: issues\npermissions: {}\njobs:\n  help:\n    runs-on: ubuntu-24.04\n    steps:\n" +
		"      - uses: anthropics/claude-code-action@b4ffde65f46336ab88eb53be808477a3936bae11\n        with:\n          allowed_non_write_users: \"" + users + "\"\n"
}

// vouched has the agent write a file, and everybody who is asked approve of it.
func vouched(path, bad, good string) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		s.Write(path, either(attack, bad, good))
		s.AgentCommit("Add " + path)
		s.AttestRun("main", "HEAD")
		s.Approve(scene.Bob)
		s.Approve(scene.Carol)
		return s.Check()
	}
}

// heldBefore puts a file on main before the story begins, and has the agent change it.
func heldBefore(s *scene.Scene, path, before, after string) scene.Verdict {
	s = s.Restage(s.TB, scene.Options{Files: map[string]string{path: before}})
	s.Git("switch", "-q", "-c", "work")
	return vouched(path, after, after)(s, true)
}

// demanding stages a repository that requires a signed SARIF report, with the agent's attested work.
func demanding(s *scene.Scene) *scene.Scene { return demandingOf(s, testResult, scanResult) }

// demandingOf lets the supervisor sign statements of these types about reports.
func demandingOf(s *scene.Scene, types ...string) *scene.Scene {
	trust := strings.Replace(s.Read(".sallyport/trust.yaml"), "types: [", "types: [\""+strings.Join(types, "\", \"")+"\", ", 1)
	s = s.Restage(s.TB, scene.Options{Files: map[string]string{
		".sallyport/trust.yaml":     trust,
		".sallyport/sallyport.yaml": scene.Config + "data:\n  required_reports: [{kind: sarif, tool: Scan}]\n",
	}})
	s.Git("switch", "-q", "-c", "work")
	addFeature(s)
	s.AttestRun("main", "HEAD")
	return s
}

func sarif(results string) string {
	return `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Scan"}}, "results": [` + results + `]}]}`
}

// outside writes a file outside the repository and returns its name.
func outside(s *scene.Scene, name, content string) string {
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.TB.Fatal(err)
	}
	return path
}

// vouch signs, about HEAD, that the report came from a run of its tool.
func vouch(s *scene.Scene, report string, k scene.Key) {
	s.Must("attest", "git:HEAD", report, "--repo", s.Repo, "--type", scanResult, "--predicate", outside(s, "result.json", "{}"), "--key", s.KeyRef(k))
}
