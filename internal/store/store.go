// Package store says what Sallyport keeps about its decisions. Backends are subfolders; sqlite is
// the embedded one, and storetest is the suite that every backend passes.
//
// Four things are kept, all of them append-only: nothing is updated, nothing is deleted, and a
// newer decision about a subject supersedes an older one by coming after it.
//
//   - Decisions ([Record]), with the policy input that was judged, the signed verification
//     summary, and every blob that the decision names by digest: enough to derive it again
//     without the repository.
//   - Blobs, by SHA-256. They are hashed again whenever they are read.
//   - The log's outbox: an [Entry] for each thing that must be in the transparency log. It is
//     written in the same transaction as the thing itself, appended to the log afterwards, and
//     marked with its index once the log holds it. A process that dies in between leaves a
//     pending entry, which whoever comes next appends.
//   - What the log was when last seen: a [Marker] that a log exists, and the [Head]s it has had.
//     Without them, a log that was deleted or rolled back looks like a young one.
//
// # Recording
//
// A backend's Record does all of its work in one transaction and returns once that is durable.
// Recording the same decision again changes nothing and is no error, so a caller may repeat it
// after a failure whose outcome it does not know. All methods of a backend are safe for
// concurrent use, by several processes too.
package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Errors that callers branch on.
var (
	// ErrNotFound: there is no such decision or blob.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous: a shortened id fits several decisions.
	ErrAmbiguous = errors.New("ambiguous id")
	// ErrConflict: what is to be recorded contradicts what is.
	ErrConflict = errors.New("conflicts with what is recorded")
	// ErrCorrupt: what was read is not what was written.
	ErrCorrupt = errors.New("the store is corrupt")
	// ErrNewer: a newer version of Sallyport wrote the store.
	ErrNewer = errors.New("written by a newer version of sallyport")
	// ErrForeign: the file is not a store.
	ErrForeign = errors.New("not a sallyport store")
)

const (
	// MaxBlob is the largest blob, input, body or summary that is kept.
	MaxBlob = 256 << 20
	// MinPrefix is the least number of hex digits in a shortened id.
	MinPrefix = 4
	// MaxList is how many rows one call returns at most.
	MaxList = 10_000
)

// KindDecision is the kind of the log entries that Record makes.
const KindDecision = "decision"

// A Record is a decision with what is needed to explain and to export it.
type Record struct {
	ID      sallyport.Digest // sha256 of Body
	Gate    sallyport.Gate
	Subject sallyport.Digest
	Outcome sallyport.Outcome
	Time    string // RFC 3339, as in the decision
	Body    []byte // the decision as [sallyport.Decision.Encode] wrote it
	Input   []byte // the policy input, byte for byte; empty if the gate had none
	VSA     []byte // the signed verification summary; empty if there is none

	// Blobs are kept beside it, by content: policy-set archives, rendered texts. They are
	// written and not read back; see a backend's Blob.
	Blobs [][]byte
}

// NewRecord makes the record of d.
func NewRecord(d sallyport.Decision, input, vsa []byte, blobs ...[]byte) (Record, error) {
	body, err := d.Encode()
	if err != nil {
		return Record{}, fmt.Errorf("encode decision: %w", err)
	}
	r := Record{
		ID: sallyport.SHA256(body), Gate: d.Gate, Subject: d.Subject.Digest, Outcome: d.Outcome,
		Time: d.Time, Body: body, Input: input, VSA: vsa, Blobs: blobs,
	}
	return r, r.Check()
}

// Check reports whether r is what its body says: the id is the body's digest; gate, subject,
// outcome, time and the input's digest are those in it; nothing is too large. Backends call it
// before they write a record and after they have read one, so that a column never says something
// other than the decision that was logged.
func (r Record) Check() error {
	if got := sallyport.SHA256(r.Body); got != r.ID {
		return fmt.Errorf("%w: the id is %s, the body's digest %s", ErrConflict, r.ID, got)
	}
	d, err := sallyport.ParseDecision(r.Body)
	if err != nil {
		return err
	}
	if r.Gate != d.Gate || r.Subject != d.Subject.Digest || r.Outcome != d.Outcome || r.Time != d.Time {
		return fmt.Errorf("%w: the record says %s %s %s at %s, its body %s %s %s at %s", ErrConflict,
			r.Gate, r.Subject, r.Outcome, r.Time, d.Gate, d.Subject.Digest, d.Outcome, d.Time)
	}
	if got := sallyport.SHA256(r.Input); len(r.Input) > 0 && d.Input != got {
		return fmt.Errorf("%w: the decision names the input %s, which is %s", ErrConflict, d.Input, got)
	}
	switch d.Gate {
	case sallyport.GatePrompt, sallyport.GateMerge, sallyport.GateRelease, sallyport.GateAdmission, sallyport.GateAudit:
	default:
		return fmt.Errorf("unknown gate %q", d.Gate)
	}
	if _, err := sallyport.ParseDigest(string(d.Subject.Digest)); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if _, err := time.Parse(time.RFC3339, d.Time); err != nil {
		return fmt.Errorf("time: %w", err)
	}
	for _, b := range append([][]byte{r.Body, r.Input, r.VSA}, r.Blobs...) {
		if len(b) > MaxBlob {
			return fmt.Errorf("%d bytes, the limit is %d", len(b), MaxBlob)
		}
	}
	return nil
}

// A Summary is a line of the list of decisions, for people: it comes from the store's index and
// was not compared with the decision itself.
type Summary struct {
	Seq     int64             `json:"seq"` // order of recording, from 1
	ID      sallyport.Digest  `json:"id"`
	Gate    sallyport.Gate    `json:"gate"`
	Subject sallyport.Digest  `json:"subject"`
	Outcome sallyport.Outcome `json:"outcome"`
	Time    string            `json:"time"`
}

// An Entry is something that must be in the log, or is.
type Entry struct {
	Seq    int64            `json:"seq"` // order in which entries are to be appended
	Kind   string           `json:"kind"`
	Digest sallyport.Digest `json:"digest"`

	// Logged tells whether the log holds it, at Index.
	Logged bool   `json:"logged"`
	Index  uint64 `json:"index"`
}

// A Head is a state of the log: its size and root hash.
type Head struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

// A Marker says that a log exists, so that its absence means loss.
type Marker struct {
	Origin      string `json:"origin"`
	VerifierKey string `json:"verifier_key"`
	Created     string `json:"created"` // RFC 3339
}
