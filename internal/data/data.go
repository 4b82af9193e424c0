// Package data is signed files of data: lists that age faster than the program, such as the marks
// that coding agents leave. A file is an in-toto statement whose subject is the content by digest
// and whose predicate is
//
//	{"name": "agent-markers", "version": 7, "not_before": "…", "expires_at": "…",
//	 "sha256": "sha256:…", "content": "BASE64"}
//
// in a Sigstore bundle, signed under a key that the trust roots in force allow for [Type]. What the
// content means is its reader's business; this package says which file it is and whether it may be used:
//
//   - the digest is that of the content, and the statement's only subject;
//   - a version takes the place of a lower one and of nothing else, so that an old file with a known
//     gap cannot be shown again;
//   - it counts from not_before until expires_at, which it must state, and at most for [MaxLifetime].
//
// It reads no clock and no file.
package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Type is the predicate type of a data file.
const Type = "https://sallyport.dev/predicate/data/v0.1"

// Bounds of a data file.
const (
	MaxContent  = 2 << 20
	MaxLifetime = 400 * 24 * time.Hour
	maxBody     = 4 << 20
	maxVersion  = 1 << 30
)

// What a file is refused for.
var (
	ErrFormat   = errors.New("not a data file")
	ErrRollback = errors.New("no newer than what is in force")
	ErrTime     = errors.New("not within its time")
)

// A File is one version of a list.
type File struct {
	Name      string           `json:"name"`       // a to z, digits and hyphens
	Version   int              `json:"version"`    // counts up, from 1
	NotBefore string           `json:"not_before"` // RFC 3339
	ExpiresAt string           `json:"expires_at"` // RFC 3339
	SHA256    sallyport.Digest `json:"sha256"`     // of Content
	Content   []byte           `json:"content"`
}

// Decode reads a predicate. It refuses one whose digest is not its content's.
func Decode(b []byte) (File, error) {
	var f File
	if err := strict.JSON(b, maxBody, &f); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := f.validate(); err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return f, nil
}

func (f File) validate() error {
	from, to, err := f.window()
	switch {
	case !ValidName(f.Name):
		return fmt.Errorf("name %.80q: want 1 to 64 of a-z, 0-9 and hyphen", f.Name)
	case f.Version < 1 || f.Version > maxVersion:
		return fmt.Errorf("version %d is not between 1 and %d", f.Version, maxVersion)
	case err != nil:
		return err
	case !from.Before(to) || to.Sub(from) > MaxLifetime:
		return fmt.Errorf("it counts from %s until %s: want some time, and at most %d days", f.NotBefore, f.ExpiresAt, MaxLifetime/(24*time.Hour))
	case len(f.Content) == 0 || len(f.Content) > MaxContent:
		return fmt.Errorf("it holds %d bytes, want 1 to %d", len(f.Content), MaxContent)
	case sallyport.SHA256(f.Content) != f.SHA256:
		return fmt.Errorf("sha256 is %.80q, and the content's is %s", f.SHA256, sallyport.SHA256(f.Content))
	}
	return nil
}

// ValidName reports whether s can name a list, and a file of that list.
func ValidName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

func (f File) window() (from, to time.Time, err error) {
	if from, err = time.Parse(time.RFC3339, f.NotBefore); err != nil {
		return from, to, fmt.Errorf("not_before: %w", err)
	}
	if to, err = time.Parse(time.RFC3339, f.ExpiresAt); err != nil {
		return from, to, fmt.Errorf("expires_at: %w", err)
	}
	return from, to, nil
}

// Counts returns an error that wraps [ErrTime] if the file does not count at the time now.
func (f File) Counts(now time.Time) error {
	from, to, err := f.window()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrTime, err)
	case now.Before(from):
		return fmt.Errorf("%w: version %d of %s counts from %s on", ErrTime, f.Version, f.Name, f.NotBefore)
	case !now.Before(to):
		return fmt.Errorf("%w: version %d of %s expired on %s", ErrTime, f.Version, f.Name, f.ExpiresAt)
	}
	return nil
}

// Replaces returns an error that wraps [ErrRollback] unless f is newer than the version in force.
func (f File) Replaces(version int) error {
	if f.Version <= version {
		return fmt.Errorf("%w: %s has version %d, and this is version %d", ErrRollback, f.Name, version, f.Version)
	}
	return nil
}

// Make returns version number version of a list.
func Make(name string, version int, content []byte, from, to time.Time) (File, error) {
	f := File{Name: name, Version: version, NotBefore: from.UTC().Format(time.RFC3339), ExpiresAt: to.UTC().Format(time.RFC3339),
		SHA256: sallyport.SHA256(content), Content: content}
	if err := f.validate(); err != nil {
		return File{}, fmt.Errorf("make the data file: %w", err)
	}
	return f, nil
}

// Statement returns the statement to sign.
func (f File) Statement() (sallyport.Statement, error) {
	body, err := sallyport.EncodeJSON(f)
	if err != nil {
		return sallyport.Statement{}, err
	}
	return sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: Type, Predicate: json.RawMessage(body),
		Subject: []sallyport.StatementSubject{{Name: f.Name, Digest: map[string]string{"sha256": f.SHA256.Hex()}}},
	}, nil
}

// Read returns the file that evidence is, whose signature has been verified.
func Read(ev sallyport.Evidence) (File, error) {
	if ev.Statement.PredicateType != Type {
		return File{}, fmt.Errorf("%w: it is a %.200q", ErrFormat, ev.Statement.PredicateType)
	}
	f, err := Decode(ev.Statement.Predicate)
	if err != nil {
		return File{}, err
	}
	if len(ev.Statement.Subject) != 1 || !ev.About(f.SHA256) || len(ev.Statement.Subject[0].Digest) != 1 {
		return File{}, fmt.Errorf("%w: its statement is not about %s alone", ErrFormat, f.SHA256)
	}
	return f, nil
}
