package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Version is the format of the records that this package writes, and the only one that it reads.
const Version = "sallyport-record/v0.1"

// A Kind says what an entry is about.
type Kind string

// The kinds of entry. A reader keeps an entry of a kind that it does not know.
const (
	KindStart      Kind = "start"      // the run began
	KindRequest    Kind = "request"    // a request that is about to be forwarded to a model
	KindResponse   Kind = "response"   // its answer, or how it failed
	KindRefused    Kind = "refused"    // something was refused: a request, a write, a connection
	KindProcess    Kind = "process"    // a program was started
	KindWrite      Kind = "write"      // a file was written
	KindNetwork    Kind = "network"    // a connection was made
	KindTool       Kind = "tool"       // a model called a tool
	KindHook       Kind = "hook"       // one of the agent's hooks was heard
	KindConfig     Kind = "config"     // a file that configures or instructs the agent
	KindCommit     Kind = "commit"     // a commit was made
	KindCheckpoint Kind = "checkpoint" // an attestation of the run so far was signed
	KindRecovered  Kind = "recovered"  // the record was taken up again after its writer had died
	KindEnd        Kind = "end"        // the last entry
)

// Limits.
const (
	// MaxEntry is the longest line, in bytes.
	MaxEntry = 1 << 20
	// MaxText is the longest text that is committed to.
	MaxText = 64 << 20
	// MaxHeader is the largest header, seal, close and erasure note.
	MaxHeader = 1 << 20

	maxKind    = 64
	maxCommits = 4096
)

// A Head is a state of the chain.
type Head [sha256.Size]byte

// String returns h as it stands in attestations, "sha256:" and hex.
func (h Head) String() string { return "sha256:" + hex.EncodeToString(h[:]) }

// MarshalText encodes h as [Head.String] does.
func (h Head) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText decodes what MarshalText encoded.
func (h *Head) UnmarshalText(b []byte) error {
	raw, ok := bytes.CutPrefix(b, []byte("sha256:"))
	if !ok || len(raw) != 2*len(h) || !bytes.Equal(raw, bytes.ToLower(raw)) {
		return fmt.Errorf("%.80q is not sha256: and 64 lower-case hex digits", b)
	}
	_, err := hex.Decode(h[:], raw)
	return err
}

// next returns the head after line.
func (h Head) next(line []byte) Head {
	s := sha256.New()
	s.Write(h[:])
	s.Write(line)
	var out Head
	s.Sum(out[:0])
	return out
}

func genesis(header []byte) Head {
	s := sha256.New()
	s.Write([]byte(Version + "\n"))
	s.Write(header)
	var out Head
	s.Sum(out[:0])
	return out
}

// timeLayout has one length, so that times sort as text.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// An Entry is one thing that happened.
type Entry struct {
	Seq     int64           // from 1
	Time    time.Time       // when it was appended, in UTC
	Kind    Kind            //
	Body    json.RawMessage // an object; what it holds is the kind's business
	Commits []CommitRef     // texts that the entry stands for
	Head    Head            // of the chain up to and with this entry
}

// A CommitRef is a commitment that an entry holds.
type CommitRef struct {
	Kind   string           `json:"kind"` // what the text is, such as prompt or answer
	Digest sallyport.Digest `json:"digest"`
	Raw    sallyport.Digest `json:"raw,omitempty"` // of the file that holds the text, encrypted
}

// entryJSON is an entry as it stands in a line, in this order.
type entryJSON struct {
	Seq     int64           `json:"seq"`
	Time    string          `json:"time"`
	Kind    Kind            `json:"kind"`
	Body    json.RawMessage `json:"body"`
	Commits []CommitRef     `json:"commits,omitempty"`
}

// appendLine appends the line of an entry to dst, and returns the JSON in it.
func appendLine(dst []byte, prev Head, e *Entry) ([]byte, error) {
	b, err := sallyport.EncodeJSON(entryJSON{e.Seq, e.Time.Format(timeLayout), e.Kind, e.Body, e.Commits})
	if err != nil {
		return dst, err
	}
	if len(b) > MaxEntry-2*sha256.Size-2 {
		return dst, fmt.Errorf("the entry has %d bytes, more than %d", len(b), MaxEntry-2*sha256.Size-2)
	}
	e.Head = prev.next(b)
	dst = hex.AppendEncode(dst, e.Head[:])
	dst = append(dst, ' ')
	dst = append(dst, b...)
	return append(dst, '\n'), nil
}

// errLine says that a line is not an entry at all.
var errLine = errors.New("not an entry")

// parseLine reads a line without its line feed. The head in it is what the line says: whether the
// chain leads there is for the caller to see, who gets the JSON that it is made of.
func parseLine(line []byte) (Entry, []byte, error) {
	var e Entry
	const digits = 2 * sha256.Size
	if len(line) < digits+1 || line[digits] != ' ' || !bytes.Equal(line[:digits], bytes.ToLower(line[:digits])) {
		return e, nil, errLine
	}
	if _, err := hex.Decode(e.Head[:], line[:digits]); err != nil {
		return e, nil, errLine
	}
	raw := line[digits+1:]
	var in entryJSON
	if err := strict.JSON(raw, MaxEntry, &in); err != nil {
		return e, nil, fmt.Errorf("%w: %w", errLine, err)
	}
	at, err := time.Parse(timeLayout, in.Time)
	switch {
	case err != nil || at.Format(timeLayout) != in.Time:
		return e, nil, fmt.Errorf("%w: time %.40q", errLine, in.Time)
	case in.Seq < 1:
		return e, nil, fmt.Errorf("%w: sequence number %d", errLine, in.Seq)
	case in.Kind == "" || len(in.Kind) > maxKind:
		return e, nil, fmt.Errorf("%w: kind %.80q", errLine, in.Kind)
	case len(in.Body) == 0 || in.Body[0] != '{':
		return e, nil, fmt.Errorf("%w: its body is not an object", errLine)
	case len(in.Commits) > maxCommits:
		return e, nil, fmt.Errorf("%w: %d commitments", errLine, len(in.Commits))
	}
	for _, c := range in.Commits {
		if err := c.check(); err != nil {
			return e, nil, fmt.Errorf("%w: %w", errLine, err)
		}
	}
	e.Seq, e.Time, e.Kind, e.Body, e.Commits = in.Seq, at, in.Kind, in.Body, in.Commits
	return e, raw, nil
}

func (c CommitRef) check() error {
	for _, d := range []sallyport.Digest{c.Digest, c.Raw} {
		if d.Zero() && d == c.Raw {
			continue
		}
		if p, err := sallyport.ParseDigest(string(d)); err != nil || p.Algorithm() != "sha256" {
			return fmt.Errorf("commitment %.80q is not a sha256 digest", d)
		}
	}
	if c.Kind == "" || len(c.Kind) > maxKind {
		return fmt.Errorf("a commitment to a text of kind %.80q", c.Kind)
	}
	return nil
}
