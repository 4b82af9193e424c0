package rebuild

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Evidence is what a verified statement says of a rebuild.
type Evidence struct {
	Equal           bool // every subject, and nothing else was made
	Level           Level
	Builder         string
	AttestedBuilder string
	Provenance      sallyport.Digest
	Variations      []Variation
}

// ReadEvidence reads a verified statement as Statement makes it. The zero Evidence is not equal. A
// test-result of anything else is [ErrType], and one that contradicts itself [ErrShape]: that says passed,
// and names a test that failed, or a subject that was not tested.
//
// Who signed is for the caller to judge: the level is that principal's word, and other-builder takes
// another principal than the one who signed the provenance.
func ReadEvidence(st sallyport.Statement) (Evidence, error) {
	if st.PredicateType != TestResultType {
		return Evidence{}, fmt.Errorf("%w: the statement is %.200q", ErrType, st.PredicateType)
	}
	var has map[string]json.RawMessage
	if err := strict.LaxJSON(st.Predicate, maxPredicate, &has); err != nil {
		return Evidence{}, fmt.Errorf("%w: %w", ErrShape, err)
	}
	if _, ok := has[Extension]; !ok {
		return Evidence{}, fmt.Errorf("%w: it is no test of a rebuild", ErrType)
	}
	var body testResult
	if err := strict.LaxJSON(st.Predicate, maxPredicate, &body); err != nil {
		return Evidence{}, fmt.Errorf("%w: %w", ErrShape, err)
	}
	x := &body.Rebuild
	ev := Evidence{Level: x.Level, Builder: x.Builder, AttestedBuilder: x.AttestedBuilder, Variations: x.Variations}
	for _, c := range body.Configuration {
		if c.Name == "provenance" {
			if !ev.Provenance.Zero() {
				return Evidence{}, fmt.Errorf("%w: it names two provenances", ErrShape)
			}
			ev.Provenance = sallyport.Digest("sha256:" + c.Digest["sha256"])
		}
	}
	if _, err := sallyport.ParseDigest(string(ev.Provenance)); err != nil {
		return Evidence{}, fmt.Errorf("%w: it does not name the provenance", ErrShape)
	}
	switch {
	case x.Level != SameMachine && x.Level != OtherBuilder:
		return Evidence{}, fmt.Errorf("%w: the level %.40q is not known", ErrShape, x.Level)
	case x.Level == OtherBuilder && (x.Builder == "" || x.Builder == x.AttestedBuilder):
		return Evidence{}, fmt.Errorf("%w: it says that another builder built, and names none", ErrShape)
	case body.Result == "FAILED":
		return ev, nil
	case body.Result != "PASSED" || len(body.Failed) > 0 || len(body.Warned) > 0 || len(x.Artifacts) > 0:
		return Evidence{}, fmt.Errorf("%w: its result is %.40q, with %d failed and %d warned", ErrShape, body.Result, len(body.Failed), len(body.Warned))
	case len(st.Subject) == 0:
		return Evidence{}, fmt.Errorf("%w: it is about nothing", ErrShape)
	}
	slices.Sort(body.Passed)
	for _, s := range st.Subject {
		if _, ok := slices.BinarySearch(body.Passed, testName(s.Name)); !ok {
			return Evidence{}, fmt.Errorf("%w: the subject %.100q is not among the tests that passed", ErrShape, s.Name)
		}
	}
	ev.Equal = true
	return ev, nil
}

// testName is what the test of an artifact is called.
func testName(artifact string) string { return "rebuild: " + artifact }
