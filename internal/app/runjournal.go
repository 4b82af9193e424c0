package app

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// A runJournal is the record of one run, as the supervisor keeps it.
type runJournal interface {
	Append(kind string, body any) error
	// Commit returns a salted commitment to a text.
	Commit(kind string, text []byte) string
	// Head returns how many entries there are, and the digest of their chain.
	Head() (records int64, head string)
	// Seal writes the last entry. Nothing can be appended after it.
	Seal(conclusion, reason string, exitStatus int) (records int64, head string, err error)
	Close() error
}

// A chainJournal is a file of entries, each with the digest of all before it.
type chainJournal struct {
	mu      sync.Mutex
	f       *os.File
	head    [sha256.Size]byte
	records int64
	sealed  bool
}

type chainEntry struct {
	Previous string `json:"previous"`
	Kind     string `json:"kind"`
	Body     any    `json:"body"`
}

func newChainJournal(dir, id string, header any) (*chainJournal, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, id+".jsonl"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	j := &chainJournal{f: f}
	if err := j.Append("header", header); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *chainJournal) Append(kind string, body any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sealed {
		return errors.New("the record is sealed")
	}
	b, err := sallyport.EncodeJSON(chainEntry{hex.EncodeToString(j.head[:]), kind, body})
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(b, '\n')); err != nil {
		return err
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.head = sha256.Sum256(b)
	j.records++
	return nil
}

func (j *chainJournal) Commit(_ string, text []byte) string {
	var salt [32]byte
	rand.Read(salt[:]) // never fails: see crypto/rand
	return string(sallyport.SHA256(append(salt[:], text...)))
}

func (j *chainJournal) Head() (int64, string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records, "sha256:" + hex.EncodeToString(j.head[:])
}

func (j *chainJournal) Seal(conclusion, reason string, exitStatus int) (int64, string, error) {
	err := j.Append("end", map[string]any{"conclusion": conclusion, "reason": reason, "exit_status": exitStatus})
	j.mu.Lock()
	j.sealed = true
	j.mu.Unlock()
	n, head := j.Head()
	return n, head, err
}

func (j *chainJournal) Close() error { return j.f.Close() }
