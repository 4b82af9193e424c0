package scan

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

const workflowText = `on: pull_request
permissions: {}
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: acme/setup@v1
      - uses: actions/checkout@b4ffde65f46336ab88eb53be808477a3936bae11
        with:
          ref: ${{ github.event.pull_request.head.sha }}
`

func rulesOf(fs []sallyport.Finding, kind sallyport.FindingKind) []string {
	out := []string{}
	for _, f := range fs {
		if f.Kind == kind {
			out = append(out, f.Rule)
		}
	}
	return out
}

func TestWorkflowFindings(t *testing.T) {
	const at = ".github/workflows/ci.yml"
	edit := func(old, new string) string { return strings.Replace(workflowText, old, new, 1) }
	for _, tt := range []struct {
		name string
		file func(b *blobs) sallyport.File
		want []string
	}{
		{"a new file: all of it is new", func(b *blobs) sallyport.File { return b.added(at, workflowText) }, []string{"unpinned-action"}},
		{"an old step that nobody pinned is no finding of today", func(b *blobs) sallyport.File {
			return b.modified(at, workflowText, workflowText+"      - run: make\n", 11, 11)
		}, nil},
		{"the trigger makes an old step grave", func(b *blobs) sallyport.File {
			return b.modified(at, workflowText, edit("pull_request\n", "pull_request_target\n"), 1, 1)
		}, []string{"privileged-trigger", "pwn-request"}},
		{"what a line taken away held back is new, though no line is", func(b *blobs) sallyport.File {
			f := b.modified(at, workflowText, edit("permissions: {}\n", ""), 1, 0)
			f.Units[0].Side, f.Units[0].Lines = sallyport.RemovedSide, 1
			return f
		}, []string{"permissions-default"}},
		{"a file that becomes a workflow by its name", func(b *blobs) sallyport.File {
			f := b.modified(at, workflowText, workflowText, 1, 0)
			f.OldPath, f.Status = "docs/ci.yml", "renamed"
			return f
		}, []string{"unpinned-action"}},
		{"a workflow that moves among workflows", func(b *blobs) sallyport.File {
			f := b.modified(at, workflowText, workflowText, 1, 0)
			f.OldPath, f.Status = ".github/workflows/old.yml", "renamed"
			return f
		}, nil},
		{"in UTF-16", func(b *blobs) sallyport.File {
			wide := "\xff\xfe"
			for _, c := range []byte(workflowText) {
				wide += string([]byte{c, 0})
			}
			return b.added(at, wide)
		}, []string{"unpinned-action"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &blobs{}
			got, _ := scanFiles(t, b, nil, tt.file(b))
			if rules := rulesOf(got, sallyport.FindingWorkflow); !slices.Equal(rules, tt.want) && len(rules)+len(tt.want) > 0 {
				t.Errorf("got %q, want %q", rules, tt.want)
			}
			for _, f := range got {
				if f.Kind == sallyport.FindingUnscanned {
					t.Errorf("unscanned: %+v", f)
				}
			}
		})
	}
}

// A definition that cannot be read is unscanned and not clean; its twin, by one bracket, is read.
func TestWorkflowUnscanned(t *testing.T) {
	for _, tt := range []struct {
		name, path, text, mode string
		want                   []string
	}{
		{"broken", ".github/workflows/a.yml", "on: [push\njobs: {}\n", "100644", []string{"ci-definition"}},
		{"whole", ".github/workflows/a.yml", "on: [push]\njobs: {}\n", "100644", nil},
		{"a link", ".github/workflows/a.yml", "../../x.yml", modeSymlink, []string{"ci-link"}},
		{"a link elsewhere", "docs/a.yml", "../../x.yml", modeSymlink, nil},
		{"broken, and perhaps a part of a pipeline", "docs/a.yml", "on: [push\nscript: {}\n", "100644", []string{"ci-definition"}},
		{"a key twice in what a pipeline may include", "ci/a.yml", "job:\n  script: [make]\n  script: [make]\n", "100644", []string{"ci-definition"}},
		{"a key once", "ci/a.yml", "job:\n  script: [make]\n", "100644", nil},
		{"broken, and no definition", "docs/a.yml", "on: [push\njobs: {}\n", "100644", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &blobs{}
			f := b.added(tt.path, tt.text)
			f.NewMode = tt.mode
			got, _ := scanFiles(t, b, nil, f)
			if rules := rulesOf(got, sallyport.FindingUnscanned); !slices.Equal(rules, tt.want) && len(rules)+len(tt.want) > 0 {
				t.Errorf("got %q, want %q", rules, tt.want)
			}
		})
	}
}

func TestAgentSettings(t *testing.T) {
	b := &blobs{}
	got, _ := scanFiles(t, b, nil, b.added(".claude/settings.json", `{"permissions": {"defaultMode": "bypassPermissions"}}`))
	if rules := rulesOf(got, sallyport.FindingConfig); !slices.Equal(rules, []string{"agent-unguarded"}) {
		t.Errorf("got %+v", got)
	}
	got, _ = scanFiles(t, b, nil, b.added(".claude/settings.json", `{"permissions": {"defaultMode": "default"}}`))
	if rules := rulesOf(got, sallyport.FindingConfig); len(rules) != 0 {
		t.Errorf("got %+v", got)
	}
}
