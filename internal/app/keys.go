package app

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// The states of a key in a list.
const (
	keyActive  = "active"
	keyNotYet  = "not yet"
	keyExpired = "expired"
	keyRevoked = "revoked"
)

// A ListedKey is a key that may sign something here.
type ListedKey struct {
	Name      string              `json:"name"`
	Source    string              `json:"source"`    // the file that names it
	Key       string              `json:"key"`       // as bundles name it
	Algorithm string              `json:"algorithm"` // of package keyalg; empty for an identity or OpenPGP
	Principal sallyport.Principal `json:"principal"`
	Types     []string            `json:"types"`
	Grade     sallyport.Grade     `json:"grade"`
	State     string              `json:"state"`
	NotBefore *time.Time          `json:"not_before"`
	NotAfter  *time.Time          `json:"not_after"`
	Revoked   *ListedRevocation   `json:"revoked"`
	Run       *ListedAuthority    `json:"run"` // of an authority, which signs certificates of runs
}

// A ListedAuthority is for which runs an authority may certify keys. Types and grade are those of
// what they sign.
type ListedAuthority struct {
	Repositories []string              `json:"repositories"`
	Principals   []sallyport.Principal `json:"principals"`
	Audience     string                `json:"audience"`
	MaxValidity  string                `json:"max_validity"`
	RevokedRuns  []string              `json:"revoked_runs"`
}

// A ListedRevocation is when and why a key was revoked.
type ListedRevocation struct {
	At     time.Time       `json:"at"`
	Reason evidence.Reason `json:"reason"`
}

// A KeyList is what the trust roots in force say about keys.
type KeyList struct {
	At     string      `json:"at"` // the commit whose files are in force; empty for none
	Keys   []ListedKey `json:"keys"`
	Advice []string    `json:"advice"`
}

// ListKeys lists the keys that may sign here, under the files in force.
func (a *App) ListKeys(ctx context.Context, o Options) (_ KeyList, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return KeyList{}, err
	}
	defer done(&err, w.Close)
	if err := w.findTip(ctx); err != nil {
		return KeyList{}, err
	}
	if err := w.governed(ctx, ""); err != nil {
		return KeyList{}, err
	}
	list := KeyList{At: w.gov.At, Keys: []ListedKey{}, Advice: append([]string{}, w.advice...)}
	for i, k := range w.keys() {
		source := rosterPath
		if i < len(w.trust) {
			source = trustPath
		}
		list.Keys = append(list.Keys, listedKey(k, source, a.now()))
	}
	if w.repo.WorkTree() != "" {
		b, err := readSmall(filepath.Join(w.repo.WorkTree(), filepath.FromSlash(trustPath)))
		if err == nil && !bytes.Equal(b, w.gov.Files[trustPath]) {
			list.Advice = append(list.Advice, "the work tree's "+trustPath+" differs: this list is what is in force")
		}
	}
	return list, nil
}

func listedKey(k evidence.Key, source string, now time.Time) ListedKey {
	l := ListedKey{Name: k.Name, Source: source, Key: k.Hint(), Algorithm: k.Algorithm(), Principal: k.Principal, Types: k.Types, Grade: k.Grade, State: keyActive}
	moment := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	if r := k.Run; r != nil {
		l.Run = &ListedAuthority{Repositories: r.Repositories, Principals: r.Principals, Audience: r.Audience,
			MaxValidity: shortDuration(r.MaxValidity), RevokedRuns: append([]string{}, r.RevokedRuns...)}
	}
	l.NotBefore, l.NotAfter = moment(k.NotBefore), moment(k.NotAfter)
	switch {
	case k.Revoked != nil:
		l.State, l.Revoked = keyRevoked, &ListedRevocation{At: k.Revoked.At.UTC(), Reason: k.Revoked.Reason}
	case l.NotBefore != nil && now.Before(k.NotBefore):
		l.State = keyNotYet
	case l.NotAfter != nil && now.After(k.NotAfter):
		l.State = keyExpired
	}
	return l
}

// shortDuration writes 15m0s as 15m.
func shortDuration(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// endsSoon is how long before its end doctor speaks of a key.
const endsSoon = 30 * 24 * time.Hour

// endingKeys tells which keys have ended, or will within a month, but for those that were revoked:
// that somebody knows.
func endingKeys(keys []evidence.Key, now time.Time) []Check {
	var checks []Check
	for _, k := range keys {
		l := listedKey(k, "", now)
		var text string
		switch {
		case l.State == keyExpired:
			text = "has expired: what it signed counts only if a timestamp or log entry proves that it did so before"
		case l.State == keyActive && l.NotAfter != nil && l.NotAfter.Sub(now) < endsSoon:
			text = "ends on " + l.NotAfter.Format(time.DateOnly)
		default:
			continue
		}
		c := Check{Name: "keys", State: Advice, Text: fmt.Sprintf("%s %s", k.Name, text), Next: "a new key, and the old one's entry changed, in " + rosterPath}
		if k.Principal.Kind != sallyport.Person {
			c.Next = "sallyport key rotate " + k.Name + ", or take it out of " + trustPath
		}
		checks = append(checks, c)
	}
	return checks
}

// A KeyChange is what was changed in the work tree's trust.yaml. It is in force once it is signed as
// the root asks and stands on the target branch.
type KeyChange struct {
	Name      string            `json:"name"`
	Revoked   *ListedRevocation `json:"revoked,omitempty"`
	Until     string            `json:"until,omitempty"` // last day of the old key
	Successor string            `json:"successor,omitempty"`
	Key       string            `json:"key,omitempty"` // the successor's fingerprint
	Next      []string          `json:"next"`
}

// RevokeOptions say which key to revoke.
type RevokeOptions struct {
	Name   string
	Reason string
	At     string // RFC 3339; without it, the time of the call
}

// RevokeKey writes a revocation into the work tree's trust.yaml.
func (a *App) RevokeKey(ctx context.Context, o Options, ro RevokeOptions) (KeyChange, error) {
	r := evidence.Revocation{At: a.now().UTC().Truncate(time.Second), Reason: evidence.Reason(ro.Reason)}
	if !slices.Contains([]evidence.Reason{evidence.Compromised, evidence.Superseded, evidence.Retired}, r.Reason) {
		return KeyChange{}, usagef("--reason is %q: want compromised, superseded or retired", ro.Reason)
	}
	if ro.At != "" {
		at, err := time.Parse(time.RFC3339, ro.At)
		switch {
		case err != nil:
			return KeyChange{}, usagef("--at: %q is no time such as 2026-01-31T12:00:00Z", ro.At)
		case at.After(r.At):
			return KeyChange{}, usagef("--at: %s is in the future, and a revocation counts from when it is made; a planned end is sallyport key rotate --until DAY", ro.At)
		}
		r.At = at.UTC()
	}
	if err := a.reviseTrust(ctx, o, evidence.Revision{Name: ro.Name, Revoke: &r}); err != nil {
		return KeyChange{}, err
	}
	return KeyChange{Name: ro.Name, Revoked: &ListedRevocation{At: r.At, Reason: r.Reason}, Next: a.signTrust()}, nil
}

// RotateOptions say which key takes which other's place.
type RotateOptions struct {
	Name     string
	Key      string // the new key
	Generate string // or the file to make it in
	NewName  string // empty for one made of the old name and the day
	Until    string // last day of the old key; empty for a fortnight on
	Now      bool   // revoke the old key instead
}

// overlap is how long an old key counts beside a new one, so that what is under way can land.
const overlap = 14 * 24 * time.Hour

// RotateKey adds a key to the work tree's trust.yaml that may say what an old one may, and ends that.
func (a *App) RotateKey(ctx context.Context, o Options, ro RotateOptions) (KeyChange, error) {
	now := a.now().UTC()
	rev := evidence.Revision{Name: ro.Name, Successor: &evidence.Successor{Name: ro.NewName, From: now}}
	if rev.Successor.Name == "" {
		rev.Successor.Name = ro.Name + "-" + now.Format(time.DateOnly)
	}
	res := KeyChange{Name: ro.Name, Successor: rev.Successor.Name}
	switch {
	case ro.Now && ro.Until != "":
		return KeyChange{}, usagef("--now and --until are two ways to end the old key: choose one")
	case ro.Now:
		rev.Revoke = &evidence.Revocation{At: now.Truncate(time.Second), Reason: evidence.Superseded}
		res.Revoked = &ListedRevocation{At: rev.Revoke.At, Reason: rev.Revoke.Reason}
	default:
		rev.Until = now.Add(overlap)
		if ro.Until != "" {
			day, err := time.Parse(time.DateOnly, ro.Until)
			if err != nil {
				return KeyChange{}, usagef("--until: %q is no day such as 2027-01-31", ro.Until)
			}
			if day.AddDate(0, 0, 1).Before(now) {
				return KeyChange{}, usagef("--until: %s is over; sallyport key rotate --now ends the old key at once", ro.Until)
			}
			rev.Until = day
		}
		res.Until = rev.Until.Format(time.DateOnly)
	}
	if (ro.Key == "") == (ro.Generate == "") {
		return KeyChange{}, usagef("name the new key with --key REF, or have it made with --generate FILE")
	}
	// What would be refused is refused before a key is made for it: it is tried with one that
	// nobody has.
	stand, err := throwaway()
	if err != nil {
		return KeyChange{}, err
	}
	rev.Successor.Public = stand
	if _, err := a.tryRevision(ctx, o, rev); err != nil {
		return KeyChange{}, err
	}
	info, err := a.successorKey(ctx, ro)
	if err != nil {
		return KeyChange{}, err
	}
	rev.Successor.Public, res.Key = info.Public, info.Fingerprint
	if err := a.reviseTrust(ctx, o, rev); err != nil {
		return KeyChange{}, err
	}
	res.Next = a.signTrust()
	return res, nil
}

// throwaway returns a public key whose private half is gone.
func throwaway() (string, error) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a key to try with: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

func (a *App) successorKey(ctx context.Context, ro RotateOptions) (KeyInfo, error) {
	if ro.Generate != "" {
		encrypted := a.Getenv(passphraseVariable) != ""
		return a.GenerateKey(ro.Generate, false, encrypted)
	}
	return a.ShowKey(ctx, ro.Key)
}

// signTrust says what brings a change of trust.yaml into force.
func (a *App) signTrust() []string {
	return []string{
		"git diff " + trustPath + ", and commit it on a branch",
		"sallyport root rotate, and sallyport root sign by the persons whom the root asks for (docs/root.md)",
		"merge it: until it is on the target branch the old file is in force",
	}
}

// reviseTrust changes the work tree's trust.yaml, if with the change the files could be in force.
func (a *App) reviseTrust(ctx context.Context, o Options, r evidence.Revision) error {
	write, err := a.tryRevision(ctx, o, r)
	if err != nil {
		return err
	}
	return write()
}

// tryRevision makes a revision of the work tree's trust.yaml, and returns what writes it.
func (a *App) tryRevision(ctx context.Context, o Options, r evidence.Revision) (_ func() error, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	files, err := w.workTreeFiles()
	if err != nil {
		return nil, err
	}
	old, ok := files[trustPath]
	if !ok {
		return nil, withHint(fmt.Errorf("%s is missing", trustPath), "sallyport init writes it")
	}
	revised, err := evidence.Revise(old, r)
	switch {
	case errors.Is(err, evidence.ErrNoSuchKey):
		return nil, withHint(fmt.Errorf("%s: %w", trustPath, err), "sallyport key list; a person's own key is ended in "+rosterPath+", by not_after or by taking it out")
	case err != nil:
		return nil, fmt.Errorf("%s: %w", trustPath, err)
	}
	files[trustPath] = revised
	if _, err := parseWorkTree(files); err != nil {
		return nil, err
	}
	path := filepath.Join(w.repo.WorkTree(), filepath.FromSlash(trustPath))
	return func() error {
		if err := durable.WriteFile(path, revised, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", trustPath, err)
		}
		return nil
	}, nil
}
