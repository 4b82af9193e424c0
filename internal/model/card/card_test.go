package card

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/predicate"
)

var created = time.Unix(1_795_000_000, 0)

// full is an entry with everything that a card can say of it.
func full() predicate.ModelEntry {
	return predicate.ModelEntry{
		Provider: "acme", Name: "coder-7b", Version: "2", Digest: "sha256:" + strings.Repeat("1", 64), Licence: "Apache-2.0",
		Datasets: []predicate.ModelDataset{
			{Name: "web", Source: "https://example.com/web", Digest: "sha256:" + strings.Repeat("2", 64), Licence: "CC-BY-4.0"},
			{Name: "unpublished", Source: "the vendor's word"},
		},
		Tuning:      []predicate.ModelTuning{{Method: "rlhf", Base: "acme/base-7b", By: "Acme", Date: "2026-01-02", Datasets: []predicate.ModelDataset{{Name: "preferences"}}}},
		Evaluations: []predicate.ModelEvaluation{{Name: "SWE-bench", Metric: "resolved", Value: "0.31"}, {Name: "accuracy", Value: "0.9"}},
		Notes:       "two\nlines",
		Endpoints:   []predicate.ModelEndpoint{{URL: "http://127.0.0.1:8000", Kind: predicate.EndpointInternal}},
		Owner:       "alice", Uses: []string{"code"}, Principals: []string{"*"}, Repositories: []string{"*"}, Expires: "2027-01-01T00:00:00Z",
	}
}

// What is written is read again, and nothing of who may use it.
func TestRoundTrip(t *testing.T) {
	b, err := CycloneDX([]Model{{full(), "approved"}}, created, "test")
	if err != nil {
		t.Fatal(err)
	}
	again, err := CycloneDX([]Model{{full(), "approved"}}, created, "test")
	if err != nil || string(again) != string(b) {
		t.Errorf("the same models give other bytes: %v", err)
	}
	got, err := Read(b)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := full()
	want.Endpoints, want.Owner, want.Uses, want.Principals, want.Repositories, want.Expires = nil, "", nil, nil, nil, ""
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

const hugging = `---
license: other
license_name: llama-community
base_model: meta-llama/Llama-3.1-8B
base_model_relation: finetune
datasets:
- bigcode/the-stack
- somewhere else
model-index:
- name: coder-8b
  results:
  - task: {type: text-generation}
    dataset: {name: HumanEval, type: openai_humaneval}
    metrics:
    - {type: pass@1, value: 0.61}
owner: mallory
principals: ["*"]
---
# coder

--- not the end of anything
`

func TestHuggingFace(t *testing.T) {
	got, err := Read([]byte(hugging))
	if err != nil {
		t.Fatal(err)
	}
	want := predicate.ModelEntry{
		Name: "coder-8b", Licence: "llama-community",
		Tuning:      []predicate.ModelTuning{{Method: "fine-tune", Base: "meta-llama/Llama-3.1-8B"}},
		Datasets:    []predicate.ModelDataset{{Name: "bigcode/the-stack", Source: "https://huggingface.co/datasets/bigcode/the-stack"}, {Name: "somewhere else"}},
		Evaluations: []predicate.ModelEvaluation{{Name: "HumanEval", Metric: "pass@1", Value: "0.61"}},
	}
	if !reflect.DeepEqual(got, []predicate.ModelEntry{want}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"# no front matter":                         "neither",
		"---\nlicense: mit\n":                       "does not end",
		"---\n[a]\n---\n":                           "no map",
		"---\na: 1\na: 2\n---\n":                    "already defined",
		`{"bomFormat":"SPDX"}`:                      "bomFormat",
		`{"bomFormat":"CycloneDX"}`:                 "no component",
		`{"bomFormat":"CycloneDX","components":1}`:  "another type",
		`{"bomFormat":"CycloneDX","bomFormat":"x"}`: "",
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(make([]byte, MaxSize+1)); err == nil {
		t.Error("it takes what is too large")
	}
}

// FuzzRead: what is read says nothing of who may use a model, and can be written.
func FuzzRead(f *testing.F) {
	f.Add([]byte(hugging))
	f.Add([]byte("---\nlicense: mit\nbase_model: [a/b, c/d]\n---\n"))
	b, err := CycloneDX([]Model{{full(), "approved"}}, created, "test")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Read(b)
		if err != nil {
			return
		}
		var models []Model
		for _, e := range list {
			if e.Owner != "" || e.Endpoints != nil || e.Uses != nil || e.Principals != nil || e.Repositories != nil || e.Expires != "" || e.Snapshots || e.Patterns != nil {
				t.Errorf("a card says who may use a model: %+v", e)
			}
			models = append(models, Model{ModelEntry: e})
		}
		if _, err := CycloneDX(models, created, "test"); err != nil {
			t.Error(err)
		}
	})
}
