// Package app joins the parts: configuration in, engine and gates out. It is the only place
// where services, engine and gates meet, so that a vendor change (key, log, forge, database)
// touches one subfolder and one line here.
//
// A [workspace] is one repository with its state folder, under the governing files that its
// target ref (or the pinned root) gives. The exported methods of [App] are the commands'
// business. They return values and print nothing but progress, except for [App.PreReceive] and
// [App.Demo], which answer as they go.
//
// Where state lives: the folder sallyport in the repository's common git directory, unless the
// caller names another. It holds state.db (decisions and what they were derived from), log (the
// transparency log), evidence (attestations; the ref [EvidenceRef] carries them elsewhere),
// requests (approvals asked for), verifier.key and log.key (mode 0600, local: what they sign is
// advice unless the trust file in force names the verifier's key), and cache.db, which can be
// deleted at any time.
package app

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// An App is the program's surroundings. Its methods are safe for concurrent use if the writers
// are.
type App struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Clock          func() time.Time // nil means time.Now
}

func (a *App) now() time.Time {
	if a.Clock != nil {
		return a.Clock()
	}
	return time.Now()
}

// Options say which repository and which change a call is about.
type Options struct {
	Repo     string // a checkout, a folder in one, or a bare repository
	StateDir string // empty: sallyport in the common git directory
	Pin      string // digest of the pinned root; empty: $SALLYPORT_ROOT
	Target   TargetOptions
	Bundles  []string // attestation files that the caller brings along
	SARIF    []string // reports of other tools that the caller brings along
	JUnit    []string
	Pusher   string // a roster id that the enforcement point authenticated
	Progress func(step string)

	shared *git.Repo // open already, and its owner's to close; nil: one of this call's own
}

// ErrRefused is wrapped when something was checked and found wrong, as opposed to not checkable.
var ErrRefused = errors.New("refused")

// ErrNoRepository is wrapped when there is no repository where one was looked for.
var ErrNoRepository = git.ErrNotRepository

// hintError carries the next step for the reader.
type hintError struct {
	err  error
	hint string
}

func (e hintError) Error() string { return e.err.Error() }
func (e hintError) Unwrap() error { return e.err }
func (e hintError) Hint() string  { return e.hint }

// ErrUsage is wrapped when a choice that the caller made cannot be meant: the command was used
// wrongly, and nothing was tried.
var ErrUsage = errors.New("wrong usage")

// usageError is an error whose text is only its own.
type usageError struct{ error }

func (e usageError) Unwrap() []error { return []error{e.error, ErrUsage} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func withHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return hintError{err, hint}
}

// pin returns the pinned root digest, or the zero digest if there is none.
func (a *App) pin(o Options) (sallyport.Digest, error) {
	s := o.Pin
	if s == "" {
		s = a.Getenv("SALLYPORT_ROOT")
	}
	if s == "" {
		return "", nil
	}
	d, err := sallyport.ParseDigest(s)
	if err != nil || d.Algorithm() != "sha256" {
		return "", withHint(fmt.Errorf("the pinned root %q is no sha256 digest", s), "sallyport root init prints the digest to pin")
	}
	return d, nil
}

// Version returns the module's version, or "devel" with the revision it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// done runs cleanup and joins its error to err.
func done(err *error, cleanup func() error) {
	if e := cleanup(); e != nil && *err == nil {
		*err = e
	}
}

// step reports progress.
func (o Options) step(s string) {
	if o.Progress != nil {
		o.Progress(s)
	}
}
