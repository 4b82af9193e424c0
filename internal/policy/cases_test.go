package policy

import (
	"context"
	"errors"
	"testing"
)

func TestBaselineCases(t *testing.T) {
	res, err := Test(context.Background(), Builtin(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range res.Cases {
		if !c.Pass {
			t.Errorf("%s: %s: %s", c.File, c.Note, c.Why)
		}
	}
	if len(res.Unproved) > 0 {
		t.Errorf("no passing case wants %v", res.Unproved)
	}
}

func TestCaseFiles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string][]byte
	}{
		{"no files", map[string][]byte{}},
		{"an empty file", map[string][]byte{"a_test.yaml": nil}},
		{"no cases", map[string][]byte{"a_test.yaml": []byte("cases: []\n")}},
		{"no want", map[string][]byte{"a_test.yaml": []byte("cases:\n  - note: a\n")}},
		{"an empty want", map[string][]byte{"a_test.yaml": []byte("cases:\n  - note: a\n    want:\n")}},
		{"no note", map[string][]byte{"a_test.yaml": []byte("cases:\n  - want: []\n")}},
		{"an outcome that is none", map[string][]byte{"a_test.yaml": []byte("cases:\n  - note: a\n    want: []\n    want_outcome: ajar\n")}},
		{"a key that is none", map[string][]byte{"a_test.yaml": []byte("cases:\n  - note: a\n    want: []\n    wants: []\n")}},
		{"one note twice", map[string][]byte{
			"a_test.yaml": []byte("cases:\n  - note: a\n    want: []\n"),
			"b_test.yaml": []byte("cases:\n  - note: a\n    want: []\n"),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if res, err := Test(context.Background(), Builtin(), tt.files); !errors.Is(err, ErrCases) {
				t.Errorf("got %v, %v, want ErrCases", res, err)
			}
		})
	}
}

// A case that is wrong fails, in every way in which it can be.
func TestCasesFail(t *testing.T) {
	for _, tt := range []struct{ name, yaml string }{
		{"other codes", "want: [secret]"},
		{"too few codes", "want: []\n    input: {findings: [{kind: secret}]}"},
		{"other outcome", "want: []\n    want_outcome: shut"},
		{"a property that is none", "want: []\n    input: {change: {fils: []}}"},
		{"another type", "want: []\n    input: {change: {files: 3}}"},
		{"a negative weight", "want: []\n    input: {change: {files: [{path: a, uncovered: {agent: -1}}]}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string][]byte{"a_test.yaml": []byte("cases:\n  - note: a\n    " + tt.yaml + "\n")}
			res, err := Test(context.Background(), Builtin(), files)
			if err != nil {
				t.Fatal(err)
			}
			if res.Failed() != 1 || res.Cases[0].Why == "" {
				t.Errorf("got %+v, want one failure", res)
			}
		})
	}
}
