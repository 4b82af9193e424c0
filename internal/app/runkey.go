package app

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/key/run"
	"github.com/sallyport-dev/sallyport/predicate"
)

// runKeyVariable tells a command where the key of its run is, as --key takes it; runIDVariable its id.
const (
	runKeyVariable = "SALLYPORT_RUN_KEY"
	runIDVariable  = "SALLYPORT_RUN_ID"
)

// runKeyKind is the kind of log entries for certificates that were issued: the digest is that of the
// signed statement about it.
const runKeyKind = "run-key"

// IssueOptions say for what a run's key is.
type IssueOptions struct {
	Authority  string // the key that certifies, as --key names keys
	Run        string // empty for a new id
	Repository string // empty for the configuration's
	Principal  sallyport.Principal
	Operator   string
	Audience   string
	Validity   time.Duration // 0 for a quarter of an hour

	Args           []string // the command
	Environ        []string
	Stdin          *os.File
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal
}

// IssuedRun is what became of a run's key.
type IssuedRun struct {
	RunID       string             `json:"run_id"`
	Certificate sallyport.Digest   `json:"certificate"`
	Statement   sallyport.Digest   `json:"statement"` // kept, and in the log
	NotAfter    time.Time          `json:"not_after"`
	Signed      []sallyport.Digest `json:"signed"` // statements
	Result      build.Result       `json:"-"`      // of the command
}

// IssueRunKey makes a key for one run, has an authority certify it, records that, and runs a command that
// can sign with it. The key is in this process and nowhere else. It is under the command's own user, so
// that its certificate says of separation that there is none.
func (a *App) IssueRunKey(ctx context.Context, o Options, io IssueOptions) (_ IssuedRun, err error) {
	if len(io.Args) == 0 {
		return IssuedRun{}, usagef("name the command that may sign with the key, after --")
	}
	b := runcert.Binding{RunID: orDefault(io.Run, newUUID()), Repository: io.Repository, Principal: io.Principal, Operator: io.Operator,
		Audience: io.Audience, Separation: predicate.SeparationNone}
	issued, statement, err := a.issue(ctx, o, io, b)
	if err != nil {
		return IssuedRun{}, err
	}
	defer issued.Close()
	server, err := issued.Serve(ctx, "")
	if err != nil {
		return IssuedRun{}, err
	}
	defer done(&err, server.Close)
	res := IssuedRun{RunID: issued.Binding.RunID, Certificate: sallyport.SHA256(issued.Certificate.Raw), Statement: statement, NotAfter: issued.Certificate.NotAfter.UTC()}
	// The authority's key stays out of the command's reach, as far as variables give access to it.
	env := build.Without(io.Environ, append(keyVariables(io.Authority), runIDVariable)...)
	res.Result, err = build.Run(ctx, build.Step{
		Args: io.Args, Env: append(env, runKeyVariable+"="+server.Ref, runIDVariable+"="+res.RunID),
		Stdin: io.Stdin, Stdout: io.Stdout, Stderr: io.Stderr, Signals: io.Signals, Now: time.Now,
	})
	issued.Close()
	res.Signed = issued.Signed()
	return res, err
}

// issue makes the key. What is issued is in the log before anybody can use it.
func (a *App) issue(ctx context.Context, o Options, io IssueOptions, b runcert.Binding) (_ *run.Issued, statement sallyport.Digest, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, "", err
	}
	defer done(&err, w.Close)
	if b.Repository == "" {
		if err := w.findTip(ctx); err != nil {
			return nil, "", err
		}
		if err := w.governed(ctx, ""); err != nil {
			return nil, "", err
		}
		if b.Repository = w.cfg.Repository; b.Repository == "" {
			return nil, "", withHint(errors.New("no configuration in force names this repository"), "--repository NAME, as trust.yaml's run authority lists it")
		}
	}
	ca, err := a.openKey(ctx, io.Authority)
	if err != nil {
		return nil, "", err
	}
	if ca.Certificate() != nil {
		return nil, "", errors.New("the key of a run certifies no other keys")
	}
	issued, err := run.Issue(ca, b, a.now(), io.Validity)
	switch {
	case errors.Is(err, runcert.ErrBinding), errors.Is(err, runcert.ErrValidity):
		return nil, "", usagef("%s", err)
	case err != nil:
		return nil, "", err
	}
	statement, err = w.recordRunKey(ctx, ca, issued)
	if err != nil {
		issued.Close()
		return nil, "", fmt.Errorf("record the run's key: %w", err)
	}
	return issued, statement, nil
}

// recordRunKey keeps a statement that the gate's own key signs, and puts it into the log.
func (w *workspace) recordRunKey(ctx context.Context, ca *key.Key, i *run.Issued) (_ sallyport.Digest, err error) {
	c, b := i.Certificate, i.Binding
	sum := sha256.Sum256(c.Raw)
	body, err := json.Marshal(predicate.RunKey{
		RunID: b.RunID, Repository: b.Repository, Principal: predicate.RunPrincipal{Kind: string(b.Principal.Kind), Name: b.Principal.Name},
		Operator: b.Operator, Audience: b.Audience, Separation: b.Separation,
		Authority: string(ca.Fingerprint()), PublicKey: string(i.Key.Fingerprint()), Certificate: "sha256:" + hex.EncodeToString(sum[:]),
		NotBefore: predicate.FormatTime(c.NotBefore), NotAfter: predicate.FormatTime(c.NotAfter), IssuedAt: predicate.FormatTime(w.app.now()),
		Tool: predicate.Tool{Name: "sallyport", Version: Version()},
	})
	if err != nil {
		return "", err
	}
	s, err := w.openState(ctx, true)
	if err != nil {
		return "", err
	}
	defer done(&err, s.Close)
	signer, err := w.verifierKey(ctx)
	if err != nil {
		return "", err
	}
	bundle, err := evidence.Sign(ctx, sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.RunKeyType, Predicate: body,
		Subject: []sallyport.StatementSubject{{Name: b.RunID, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}}}, signer)
	if err != nil {
		return "", err
	}
	if err := s.remember(ctx, []negative{{runKeyKind, bundle}}); err != nil {
		return "", err
	}
	if err := s.append(ctx); err != nil {
		return "", err
	}
	return w.keep(ctx, bundle)
}

// runOf returns the id of the run whose key k is, or nothing.
func runOf(k *key.Key) string {
	if k == nil || k.Certificate() == nil {
		return ""
	}
	c, err := x509.ParseCertificate(k.Certificate())
	if err != nil {
		return ""
	}
	b, err := runcert.Parse(c)
	if err != nil {
		return ""
	}
	return b.RunID
}
