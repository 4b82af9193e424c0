package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/predicate"
)

// statementV01 is the type of statements before version 1, which cosign still writes. Its fields
// have the same names and meanings.
const statementV01 = "https://in-toto.io/Statement/v0.1"

// Limits of a statement.
const (
	maxSubjects = 20_000
	maxDigests  = 32
	maxText     = 4096 // names, URIs and digests of unknown algorithms
)

// decodeStatement reads the payload of an envelope: one JSON object whose keys are spelt as
// in-toto has them. It says nothing about their values; see [checkStatement].
func decodeStatement(payload []byte) (sallyport.Statement, error) {
	var st sallyport.Statement
	if err := strict.LaxJSON(payload, MaxBundle, &st); err != nil {
		return sallyport.Statement{}, fmt.Errorf("%w: %s", ErrStatement, oneLine(err))
	}
	// encoding/json takes "Subject" for "subject", other readers do not. No key stands twice in
	// any case, so if the exact one is there, it is the one that was read.
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(payload, &keys); err != nil {
		return sallyport.Statement{}, fmt.Errorf("%w: %s", ErrStatement, oneLine(err))
	}
	for _, key := range []string{"_type", "subject", "predicateType"} {
		if _, ok := keys[key]; !ok {
			return sallyport.Statement{}, fmt.Errorf("%w: %s is missing", ErrStatement, key)
		}
	}
	if _, ok := keys["predicate"]; !ok && len(st.Predicate) > 0 {
		return sallyport.Statement{}, fmt.Errorf("%w: predicate is spelt in another way", ErrStatement)
	}
	var subjects []map[string]json.RawMessage
	if err := json.Unmarshal(keys["subject"], &subjects); err != nil {
		return sallyport.Statement{}, fmt.Errorf("%w: %s", ErrStatement, oneLine(err))
	}
	for _, s := range subjects {
		if _, ok := s["digest"]; !ok {
			return sallyport.Statement{}, fmt.Errorf("%w: a subject has no digest", ErrStatement)
		}
	}
	return st, nil
}

// checkStatement validates what decodeStatement read.
func checkStatement(st sallyport.Statement) error {
	var err error
	switch {
	case st.Type != sallyport.StatementType && st.Type != statementV01:
		err = fmt.Errorf("its type %.100q is not known", st.Type)
	case st.PredicateType == "":
		err = errors.New("predicateType is empty")
	case len(st.Subject) == 0:
		err = errors.New("it has no subject")
	case len(st.Subject) > maxSubjects:
		err = fmt.Errorf("it has %d subjects, the limit is %d", len(st.Subject), maxSubjects)
	}
	for i := 0; err == nil && i < len(st.Subject); i++ {
		err = checkSubject(st.Subject[i])
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStatement, err)
	}
	return nil
}

func checkSubject(s sallyport.StatementSubject) error {
	switch {
	case len(s.Name) > maxText || len(s.URI) > maxText:
		return fmt.Errorf("the name of a subject is longer than %d bytes", maxText)
	case len(s.Digest) == 0:
		return fmt.Errorf("subject %.100q has no digest", s.Name)
	case len(s.Digest) > maxDigests:
		return fmt.Errorf("subject %.100q has more than %d digests", s.Name, maxDigests)
	}
	// The digests of a subject are of one thing. What is a commit is no tree, so one of the two is
	// a way to be found under what the statement is not about.
	git := 0
	for alg, value := range s.Digest {
		if strings.HasPrefix(alg, "git") && knownAlgorithm(alg) {
			if git++; git > 1 {
				return fmt.Errorf("subject %.100q is two different things of git at once", s.Name)
			}
		}
		if !knownAlgorithm(alg) {
			// in-toto names algorithms that are not hex (dirHash1) and lets others be added.
			if alg == "" || value == "" || len(alg)+len(value) > maxText || strings.Contains(alg, ":") {
				return fmt.Errorf("subject %.100q has a malformed %.50q digest", s.Name, alg)
			}
			continue
		}
		if _, err := sallyport.ParseDigest(alg + ":" + value); err != nil {
			return fmt.Errorf("subject %.100q has a malformed %s digest", s.Name, alg)
		}
	}
	return nil
}

// knownAlgorithm reports whether the vocabulary knows the shape of alg's digests.
func knownAlgorithm(alg string) bool {
	for _, n := range []int{40, 64, 128} {
		if _, err := sallyport.ParseDigest(alg + ":" + strings.Repeat("0", n)); err == nil {
			return true
		}
	}
	return false
}

// checkPredicate applies what package predicate knows of the predicate's type.
func checkPredicate(st sallyport.Statement) error {
	subjects := make([]map[string]string, len(st.Subject))
	for i, s := range st.Subject {
		subjects[i] = s.Digest
	}
	if err := predicate.CheckStatement(st.PredicateType, st.Predicate, subjects); err != nil {
		return fmt.Errorf("%w: %s", ErrStatement, oneLine(err))
	}
	return nil
}
