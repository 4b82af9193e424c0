// Package predicate defines Sallyport's own in-toto predicates, so that anyone can write and
// check them: Go types, JSON Schemas and test vectors.
//
// A predicate is the typed body of an in-toto Statement v1. Its type is a URI with a version,
// and what is published under a version never changes its meaning: a later release may add
// fields that an older reader can ignore, and anything else gets a new URI.
//
//   - [Approval], https://sallyport.dev/predicate/approval/v0.1: a reviewer vouched for exact
//     content, declined it, or took an earlier approval back.
//   - [AgentRun], https://sallyport.dev/predicate/agent-run/v0.1: a supervisor saw an agent make
//     these changes in one session, and how that session ended.
//   - [Exception], https://sallyport.dev/predicate/exception/v0.1: a person held a reason off, for
//     these refs, codes and places and for a time that ends, or ended such an exception.
//   - [RunKey], https://sallyport.dev/predicate/run-key/v0.1: an authority certified a key for one run.
//   - [Reanchor], https://sallyport.dev/predicate/reanchor/v0.1: evidence verified under the trust roots and
//     the log of then, and is carried over to those of now.
//   - [ModelStatement], https://sallyport.dev/predicate/model/v0.1: a person entered a model into a
//     registry, approved it, or ended it.
//
// Rules of reading, for every predicate here:
//
//   - Fields that the reader does not know are ignored; a field that may be ignored never
//     narrows what a known field says.
//   - Names are exact. A key that differs from a known one in case only is refused, and so are
//     the same key twice and null: JSON parsers disagree about all three, and a signature over
//     bytes that two readers understand differently proves nothing.
//   - Absent is not false, zero or empty. Fields that could be mistaken are required.
//   - A digest is written "algorithm:hex", lower case, with in-toto's names of the algorithms
//     (gitCommit and gitTree hold 40 or 64 digits). Where a field's name fixes the algorithm
//     (hunks, commits, gitBlob), it holds the hex digits alone.
//   - Times are RFC 3339 in UTC to the second, with a Z.
//   - The digests in the predicate and the subjects of its statement must agree; see
//     [CheckStatement].
//
// [DecodeApproval], [DecodeAgentRun], [DecodeException], [DecodeRunKey], [DecodeReanchor] and [DecodeModel]
// apply all of them. The schemas ([Schema]) say the same as far as JSON Schema can: every document that decodes is valid under its schema. The converse
// fails only where a rule compares fields or knows the calendar. The vectors in testdata hold
// statements that must be accepted and statements that must be refused, each with the reason.
//
// A predicate proves nothing by itself: who signed the statement, and whether that key may sign
// this type, is for the reader to verify.
//
// The package imports the standard library only. Its functions are safe for concurrent use.
package predicate

import (
	"embed"
	"encoding/json"
	"fmt"
	"time"
)

// Types of the predicates defined here.
const (
	ApprovalType  = "https://sallyport.dev/predicate/approval/v0.1"
	AgentRunType  = "https://sallyport.dev/predicate/agent-run/v0.1"
	ExceptionType = "https://sallyport.dev/predicate/exception/v0.1"
	RunKeyType    = "https://sallyport.dev/predicate/run-key/v0.1"
)

// timeLayout is RFC 3339 in UTC to the second.
const timeLayout = "2006-01-02T15:04:05Z"

// FormatTime writes t the way predicates do, cutting fractions of a second.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// ParseTime reads what [FormatTime] writes, and nothing else.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(timeLayout, s)
	// time.Parse accepts fractions that the layout does not have.
	if err != nil || t.Format(timeLayout) != s {
		return time.Time{}, fmt.Errorf("invalid time %q: want RFC 3339 in UTC to the second", s)
	}
	return t, nil
}

//go:embed schema/*.json
var schemas embed.FS

// schemaFiles names the schema of each predicate type. It is the list of known types.
var schemaFiles = map[string]string{
	ApprovalType:  "schema/approval-v0.1.json",
	AgentRunType:  "schema/agent-run-v0.1.json",
	ExceptionType: "schema/exception-v0.1.json",
	RunKeyType:    "schema/run-key-v0.1.json",
	ReanchorType:  "schema/reanchor-v0.1.json",
	ModelType:     "schema/model-v0.1.json",
}

// Schema returns the JSON Schema (2020-12) of a predicate type, and false if the type is not
// defined here.
func Schema(predicateType string) ([]byte, bool) {
	name, ok := schemaFiles[predicateType]
	if !ok {
		return nil, false
	}
	b, err := schemas.ReadFile(name)
	return b, err == nil
}

// CheckStatement checks a predicate of a type that is defined here, and that the subjects of
// its statement (each a DigestSet: algorithm to hex) name what the predicate is about. It
// returns nil for a type that is not defined here, about which it knows nothing.
func CheckStatement(predicateType string, body json.RawMessage, subjects []map[string]string) error {
	switch predicateType {
	case ApprovalType:
		a, err := DecodeApproval(body)
		if err != nil {
			return err
		}
		return a.checkSubjects(subjects)
	case AgentRunType:
		r, err := DecodeAgentRun(body)
		if err != nil {
			return err
		}
		return r.checkSubjects(subjects)
	case ExceptionType:
		e, err := DecodeException(body)
		if err != nil {
			return err
		}
		return e.checkSubjects(subjects)
	case RunKeyType:
		k, err := DecodeRunKey(body)
		if err != nil {
			return err
		}
		return k.checkSubjects(subjects)
	case ReanchorType:
		r, err := DecodeReanchor(body)
		if err != nil {
			return err
		}
		return r.checkSubjects(subjects)
	case ModelType:
		m, err := DecodeModel(body)
		if err != nil {
			return err
		}
		return m.checkSubjects(subjects)
	}
	return nil
}
