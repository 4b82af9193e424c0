package policy

import (
	"context"
	"testing"
)

func TestBaselineCompiles(t *testing.T) {
	if _, err := Compile(context.Background(), []Set{Builtin()}, Data{}); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCompileBaseline(b *testing.B) {
	for b.Loop() {
		if _, err := Compile(context.Background(), []Set{Builtin()}, Data{}); err != nil {
			b.Fatal(err)
		}
	}
}
