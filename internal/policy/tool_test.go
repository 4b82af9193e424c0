package policy

import (
	"context"
	"testing"
)

// TestTool holds the set for tool calls to its cases, each rule to at least one of them, and all of it to
// the linter.
func TestTool(t *testing.T) {
	set := BuiltinTool()
	res, err := Test(context.Background(), set, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range res.Cases {
		if !c.Pass {
			t.Errorf("%s: %s", c.Note, c.Why)
		}
	}
	if len(res.Unproved) > 0 {
		t.Errorf("no case wants %v", res.Unproved)
	}
	found, err := Lint(context.Background(), set)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("lint: %+v", f)
	}
}

func BenchmarkCompileTool(b *testing.B) {
	for b.Loop() {
		if _, err := Compile(b.Context(), []Set{BuiltinTool()}, Data{}); err != nil {
			b.Fatal(err)
		}
	}
}
