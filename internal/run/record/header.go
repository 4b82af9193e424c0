package record

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Header says what a record is of. It is written once and covered by the chain.
type Header struct {
	Version    string `json:"version"`              // set by Create
	Nonce      string `json:"nonce"`                // set by Create: 32 random bytes, so that no two records have one id
	Run        string `json:"run,omitempty"`        // the run's id; empty for a gateway
	Gateway    string `json:"gateway,omitempty"`    // the gateway's name; empty for a run
	Repository string `json:"repository,omitempty"` // as the configuration names it
	Operator   string `json:"operator,omitempty"`   // id in the roster of the person who started it
	Agent      string `json:"agent,omitempty"`      // name and version
	Supervisor string `json:"supervisor"`           // program and version that writes the record
	Started    string `json:"started"`              // RFC 3339; set by Create if it is empty

	// Auditors are the public keys (age1…) to which texts are encrypted. Without any, no text is kept.
	Auditors []string `json:"auditors,omitempty"`
}

const (
	headerFile = "record.json"
	sealFile   = "seal.json"
	lockFile   = "lock"
)

// Name returns what the record is of: the run's id, or the gateway's name.
func (h Header) Name() string {
	if h.Run != "" {
		return h.Run
	}
	return h.Gateway
}

const maxField = 1024

func (h Header) check() error {
	if h.Version != Version {
		return fmt.Errorf("its format is %.80q, and this version of sallyport reads %s", h.Version, Version)
	}
	if n, err := hex.DecodeString(h.Nonce); err != nil || len(n) != 32 {
		return errors.New("its nonce is not 32 bytes in hex")
	}
	if (h.Run == "") == (h.Gateway == "") {
		return errors.New("it is of a run or of a gateway, and not of both")
	}
	for _, s := range append([]string{h.Run, h.Gateway, h.Repository, h.Operator, h.Agent, h.Supervisor}, h.Auditors...) {
		if len(s) > maxField || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return fmt.Errorf("%.40q is longer than %d bytes or holds a control character", s, maxField)
		}
	}
	if h.Supervisor == "" {
		return errors.New("it does not say what writes it")
	}
	if _, err := time.Parse(time.RFC3339, h.Started); err != nil {
		return fmt.Errorf("started: %w", err)
	}
	return nil
}

func newNonce() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return hex.EncodeToString(b[:])
}

// readHeader returns the header, and the head that the chain begins with.
func readHeader(dir string) (Header, Head, error) {
	b, err := readSmall(filepath.Join(dir, headerFile))
	if err != nil {
		return Header{}, Head{}, err
	}
	var h Header
	if err := strict.JSON(b, MaxHeader, &h); err != nil {
		return Header{}, Head{}, fmt.Errorf("%s: %w", filepath.Join(dir, headerFile), err)
	}
	if err := h.check(); err != nil {
		return Header{}, Head{}, fmt.Errorf("%s: %w", filepath.Join(dir, headerFile), err)
	}
	return h, genesis(b), nil
}

// readSmall reads a regular file of at most MaxHeader bytes. Links are not followed: whoever can
// write into the folder must not make an auditor read what is elsewhere.
func readSmall(path string) ([]byte, error) { return readUpTo(path, MaxHeader) }

func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return b, nil
}

func openRegular(path string, flag int) (*os.File, error) {
	// Without O_NONBLOCK a pipe in the file's place would hold the reader for ever.
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// writeJSON writes v to a file that must not exist.
func writeJSON(path string, v any) error {
	b, err := sallyport.EncodeJSON(v)
	if err != nil {
		return err
	}
	if len(b) > MaxHeader {
		return fmt.Errorf("%s would have %d bytes, more than %d", path, len(b), MaxHeader)
	}
	return durable.CreateFile(path, b, 0o600)
}

// Is reports whether dir holds a record.
func Is(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, headerFile))
	return err == nil
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
