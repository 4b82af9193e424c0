package policy

import (
	"context"
	"errors"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// TestRelease holds the release set to its cases, each rule to at least one of them, and all of it to
// the linter.
func TestRelease(t *testing.T) {
	set := BuiltinRelease()
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

// TestGateOfSet: sets of two gates do not judge together, and a set is not asked at another gate.
func TestGateOfSet(t *testing.T) {
	ctx := context.Background()
	if _, err := Compile(ctx, []Set{Builtin(), BuiltinRelease()}, Defaults()); !errors.Is(err, ErrCompile) {
		t.Errorf("sets of two gates: %v", err)
	}
	e, err := Compile(ctx, []Set{BuiltinRelease()}, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	b, err := sallyport.EncodeJSON(openRelease())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := e.Evaluate(ctx, sallyport.GateRelease, b); err != nil || v.Outcome != sallyport.Open {
		t.Errorf("a release that passes: %v, %v", v, err)
	}
	if _, err := e.Evaluate(ctx, sallyport.GateMerge, open(t)); !errors.Is(err, ErrUndefined) {
		t.Errorf("at the merge gate: %v", err)
	}
	if _, err := e.Evaluate(ctx, sallyport.GateRelease, open(t)); !errors.Is(err, ErrInput) {
		t.Errorf("with the merge gate's document: %v", err)
	}
}
