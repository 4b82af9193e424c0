package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"path/filepath"

	"github.com/sallyport-dev/sallyport"
)

// An End says how a record ended. It is the body of the last entry.
type End struct {
	Conclusion string `json:"conclusion"` // success, failure or aborted
	Reason     string `json:"reason,omitempty"`
	ExitStatus int    `json:"exit_status"`
}

// A Seal says what a record held when it ended.
type Seal struct {
	Version  string `json:"version"`
	Record   Head   `json:"record"`
	Run      string `json:"run,omitempty"`
	Gateway  string `json:"gateway,omitempty"`
	Records  int64  `json:"records"` // entries, the end included
	Head     Head   `json:"head"`
	Segments int    `json:"segments"`
	Sealed   string `json:"sealed"` // time of the last entry

	// Prompts is the commitment to all requests that the record holds; see [PromptCommitment].
	Prompts  sallyport.Digest `json:"prompts,omitempty"`
	Requests int64            `json:"requests"`
}

func (s Seal) check() error {
	if s.Version != Version {
		return fmt.Errorf("format %.80q", s.Version)
	}
	if s.Records < 1 || s.Segments < 1 {
		return errors.New("it seals nothing")
	}
	return nil
}

// Seal appends the last entry, closes the last segment and writes the seal. After it, nothing can be
// appended.
func (w *Writer) Seal(end End) (Seal, error) {
	if _, err := w.Append(KindEnd, end); err != nil {
		return Seal{}, err
	}
	if !w.stop() {
		return Seal{}, fmt.Errorf("seal the record: %w", ErrClosed)
	}
	s, err := w.finish()
	if err != nil {
		return Seal{}, fmt.Errorf("seal the record: %w", errors.Join(err, closeFile(w.file), closeFile(w.salts), w.lock.Release()))
	}
	return s, w.lock.Release()
}

// finish writes what follows the last entry.
func (w *Writer) finish() (Seal, error) {
	if w.kept.seq != w.next.seq {
		return Seal{}, ErrBroken
	}
	if _, err := w.closeSegment(true); err != nil {
		return Seal{}, err
	}
	s := Seal{
		Version: Version, Record: w.id, Run: w.header.Run, Gateway: w.header.Gateway,
		Records: w.kept.seq, Head: w.kept.head, Segments: w.segment, Sealed: w.kept.time.Format(timeLayout),
		Prompts: w.kept.prompts.digest(), Requests: w.kept.prompts.n,
	}
	return s, writeJSON(filepath.Join(w.dir, sealFile), s)
}

// Prompts returns how many requests the durable entries hold and the commitment to them, as an
// agent-run attestation says it.
func (w *Writer) Prompts() (requests int64, commitment sallyport.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept.prompts.n, w.kept.prompts.digest()
}

// promptSum is the commitment to all requests: SHA-256 over their commitments, 32 bytes each, in the
// order of the record. It is a value, so that a place in the chain can be returned to.
type promptSum struct {
	n     int64
	state string // of the hash
}

func (p promptSum) add(e *Entry) promptSum {
	if e.Kind != KindRequest {
		return p
	}
	h := p.hash()
	for _, c := range e.Commits {
		b, err := hex.DecodeString(c.Digest.Hex())
		if err != nil {
			panic(err) // entries hold digests that were parsed
		}
		h.Write(b)
	}
	b, err := h.(interface{ AppendBinary([]byte) ([]byte, error) }).AppendBinary(nil)
	if err != nil {
		panic(err) // crypto/sha256 has no way to fail here
	}
	return promptSum{p.n + 1, string(b)}
}

func (p promptSum) hash() hash.Hash {
	h := sha256.New()
	if p.state != "" {
		if err := h.(interface{ UnmarshalBinary([]byte) error }).UnmarshalBinary([]byte(p.state)); err != nil {
			panic(err) // it was written by add
		}
	}
	return h
}

func (p promptSum) digest() sallyport.Digest {
	if p.n == 0 {
		return ""
	}
	return sallyport.Digest(Head(p.hash().Sum(nil)).String())
}
