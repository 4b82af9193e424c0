package workflow

import "testing"

// evil is what a stranger's commit message does in each of these, and fine the same job without it.
const (
	evil = `eval "echo $CI_COMMIT_MESSAGE"`
	fine = `eval "echo $CI_COMMIT_SHA"`
)

// A pipeline is known by whatever of it runs, in whichever document.
func TestPartsOfPipelines(t *testing.T) {
	for _, tt := range []struct {
		name, before, after string
	}{
		{"a job", "job:\n  script:\n    - ", "\n"},
		{"a template's before_script", ".setup:\n  before_script:\n    - ", "\n"},
		{"a template's after_script", ".setup:\n  after_script:\n    - ", "\n"},
		{"a job's hook", "job:\n  hooks:\n    pre_get_sources_script:\n      - ", "\n"},
		{"the file's before_script", "before_script:\n  - ", "\n"},
		{"the file's after_script", "after_script: ", "\n"},
		{"the file's hook", "hooks:\n  pre_get_sources_script:\n    - ", "\n"},
		{"the default's before_script", "default:\n  before_script:\n    - ", "\n"},
		{"a key with escapes", "job:\n  \"scr\\u0069pt\":\n    - ", "\n"},
		{"the first of two documents", "job:\n  script:\n    - ", "\n---\njob:\n  script: [make]\n"},
		{"the first, before no map", "job:\n  script:\n    - ", "\n---\n- a\n"},
		{"the last of two documents", "spec:\n  inputs: {}\n---\njob:\n  script:\n    - ", "\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hits, err := Scan(MaybeGitLab, []byte(tt.before+evil+tt.after))
			if err != nil || len(only("script-injection", hits)) != 1 {
				t.Errorf("got %+v, %v", hits, err)
			}
			if hits, err := Scan(MaybeGitLab, []byte(tt.before+fine+tt.after)); err != nil || len(hits) > 0 {
				t.Errorf("the twin: got %+v, %v", hits, err)
			}
		})
	}
}

// What looks like a pipeline and cannot be read may be read by others.
func TestUnreadableParts(t *testing.T) {
	const text = "job:\n  tags: [a]\n  script: [make]\n"
	for name, bad := range map[string]string{
		"a key twice":                         "job:\n  tags: [a]\n  script: [make]\n  tags: [b]\n",
		"a directive":                         "%YAML 1.2\n---\n" + text,
		"a key twice, spelt with escapes":     "job:\n  tags: [a]\n  \"scr\\x69pt\": [make]\n  tags: [b]\n",
		"a key twice, behind a question mark": "job:\n  tags: [a]\n  ? script\n  : [make]\n  tags: [b]\n",
		"too large":                           text + "#" + string(make([]byte, MaxSize)),
	} {
		if hits, err := Scan(MaybeGitLab, []byte(bad)); err == nil {
			t.Errorf("%s: got %+v and no error", name, hits)
		}
	}
	for _, good := range []string{text, "job:\n  tags: [a]\n  \"scr\\x69pt\": [make]\n", "a: 1\na: 2\n", "- name: play\n  script: run.sh\n"} {
		if hits, err := Scan(MaybeGitLab, []byte(good)); err != nil || len(hits) > 0 {
			t.Errorf("%q: got %+v, %v", good, hits, err)
		}
	}
}

func TestEveryDocumentOfWorkflows(t *testing.T) {
	const job = "on: pull_request_target\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo "
	for name, rest := range map[string]string{"alone": "", "first": "---\non: push\njobs: {}\n", "before an empty one": "---\n"} {
		hits, err := Scan(GitHub, []byte(job+"${{ github.event.pull_request.title }}\n"+rest))
		if err != nil || len(only("script-injection", hits)) != 1 {
			t.Errorf("%s: got %+v, %v", name, hits, err)
		}
		if hits, err := Scan(GitHub, []byte(job+"${{ github.sha }}\n"+rest)); err != nil || len(only("script-injection", hits)) > 0 {
			t.Errorf("%s, the twin: got %+v, %v", name, hits, err)
		}
	}
	for _, kind := range []Kind{GitHub, GitLab} {
		if hits, err := Scan(kind, []byte("- a\n---\njobs: {}\n")); err == nil {
			t.Errorf("a document that is no map: got %+v and no error", hits)
		}
	}
}
