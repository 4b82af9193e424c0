package sigstore

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Bounds of what is read of a statement. sigstore-go has its own of the same order.
const (
	maxSubjects = 1024
	maxDigests  = 32
)

// A statement is what is needed of one to know what it is about.
type statement struct {
	kind          string // _type
	predicateType string
	subjects      []map[string]string // digest sets
	first         string              // name of the first subject
}

// readStatement reads a statement. Names of fields are compared exactly: encoding/json would take
// "Subject" for "subject", and another reader not.
func readStatement(b []byte) (statement, error) {
	fail := func(err error) (statement, error) {
		return statement{}, fmt.Errorf("%w: its statement: %s", ErrBundle, oneLine(err))
	}
	if err := strict.CheckJSON(b, MaxBundle); err != nil {
		return fail(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return fail(err)
	}
	var st statement
	var subjects []map[string]json.RawMessage
	for name, to := range map[string]any{"_type": &st.kind, "predicateType": &st.predicateType, "subject": &subjects} {
		if err := decodeField(fields[name], to); err != nil {
			return fail(fmt.Errorf("%s: %w", name, err))
		}
	}
	if !strings.HasPrefix(st.kind, "https://in-toto.io/Statement/") {
		return fail(fmt.Errorf("its _type is %.100q", st.kind))
	}
	if n := len(subjects); n == 0 || n > maxSubjects {
		return fail(fmt.Errorf("it has %d subjects, want 1 to %d", n, maxSubjects))
	}
	for i, fields := range subjects {
		var digests map[string]string
		if err := decodeField(fields["digest"], &digests); err != nil {
			return fail(fmt.Errorf("the digest of a subject: %w", err))
		}
		if len(digests) > maxDigests {
			return fail(fmt.Errorf("a subject has %d digests, the limit is %d", len(digests), maxDigests))
		}
		if i == 0 {
			if err := decodeField(fields["name"], &st.first); err != nil {
				return fail(fmt.Errorf("the name of a subject: %w", err))
			}
		}
		st.subjects = append(st.subjects, digests)
	}
	return st, nil
}

func decodeField(raw json.RawMessage, to any) error {
	if raw == nil {
		return nil
	}
	return json.Unmarshal(raw, to)
}

// about reports by its error whether the artifact is a subject.
func (st statement) about(a Artifact) error {
	for _, digests := range st.subjects {
		if a.about(digests) {
			return nil
		}
	}
	return fmt.Errorf("%w: none of its %d subjects has the artifact's digest, the first is %.100q", ErrArtifact, len(st.subjects), st.first)
}

// FirstSubject returns the first subject of a statement as an artifact, so that what is signed can be
// checked. A statement without one is refused.
func FirstSubject(b []byte) (Artifact, error) {
	st, err := readStatement(b)
	if err != nil {
		return Artifact{}, err
	}
	a := Artifact{sums: map[string][]byte{}}
	for algorithm, value := range st.subjects[0] {
		sum, err := hex.DecodeString(value)
		if err != nil {
			return Artifact{}, fmt.Errorf("the %.40q digest of its subject is not hexadecimal", algorithm)
		}
		a.sums[algorithm] = sum
	}
	if !a.Known() {
		return Artifact{}, errors.New("the statement is about nothing: its first subject has no digest")
	}
	return a, nil
}
