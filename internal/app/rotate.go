package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// RootChoices are what a root says beside the files. A nil field keeps what the version before
// says, or the default of a first version.
type RootChoices struct {
	Expires   *string // a day, the whole of it in UTC, or an RFC 3339 time; empty for never
	Solo      *string // the person who is the whole team; empty for a team
	Threshold *int    // default: a majority of the persons with root keys, and no less than before
}

// options turns choices into the options of a root over files, after prev if that is not nil.
func (c RootChoices) options(files map[string][]byte, prev *policy.Root, now time.Time) (policy.RootOptions, error) {
	var o policy.RootOptions
	cfg, err := config.Parse(files[configPath])
	if err != nil {
		return o, err
	}
	if err := cfg.CheckDays(now); err != nil {
		return o, fmt.Errorf("%s: %w", configPath, err)
	}
	o.Repository = cfg.Repository
	if prev != nil {
		o.Solo = prev.Solo
	}
	if c.Solo != nil {
		o.Solo = *c.Solo
	}
	roster, err := identity.ParseRosterFiles(files[rosterPath], files)
	if err != nil {
		return o, fmt.Errorf("%s: %w", rosterPath, err)
	}
	if o.Solo != "" {
		if roster, err = roster.WithSolo(o.Solo); err != nil {
			return o, fmt.Errorf("%s: %w", rosterPath, err)
		}
	}
	persons := map[string]bool{}
	for _, k := range roster.Keys() {
		// A key that proves nobody's presence could never sign, and would only raise the number
		// of those who seem able to.
		grade := k.Grade(true, now)
		if roster.HasRole(k.Person, identity.RoleRoot) && (grade == sallyport.Present || grade == sallyport.Attested) {
			o.Keys = append(o.Keys, policy.RootKey{Person: k.Person, Fingerprint: k.Fingerprint})
			persons[k.Person] = true
		}
	}
	o.Threshold = len(persons)/2 + min(1, len(persons)) // a majority of those who hold the role
	if prev != nil {
		o.Threshold = max(o.Threshold, prev.Threshold)
	}
	o.Threshold = min(o.Threshold, len(persons))
	if c.Threshold != nil {
		o.Threshold = *c.Threshold
	}
	o.Expires, err = c.expires(prev, now)
	return o, err
}

func (c RootChoices) expires(prev *policy.Root, now time.Time) (time.Time, error) {
	s := ""
	if prev != nil {
		s = prev.Expires
	}
	if c.Expires != nil {
		s = *c.Expires
	}
	if s == "" {
		return time.Time{}, nil
	}
	end, err := time.Parse(time.RFC3339, s)
	if day, derr := time.Parse(time.DateOnly, s); derr == nil {
		end, err = day.AddDate(0, 0, 1), nil
	}
	switch {
	case err != nil:
		return time.Time{}, usagef("--expires: %q is neither a day such as 2027-01-31 nor a time such as 2027-01-31T12:00:00Z", s)
	case !end.After(now):
		return time.Time{}, withHint(fmt.Errorf("expires: %s is past", s), "name a day: --expires "+now.AddDate(1, 0, 0).Format(time.DateOnly))
	}
	return end, nil
}

// inForce opens a workspace and finds the root in force at o's target and its files.
func (a *App) inForce(ctx context.Context, o Options) (_ *workspace, _ policy.Root, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, policy.Root{}, err
	}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if err := w.findTip(ctx); err != nil {
		return nil, policy.Root{}, err
	}
	pin, err := a.pin(o)
	if err != nil {
		return nil, policy.Root{}, err
	}
	if w.gov, err = w.resolve(ctx, pin, w.target.Base, ""); err != nil {
		return nil, policy.Root{}, err
	}
	raw := w.gov.Files[policy.RootPath]
	if err := policy.VerifyRoot(w.gov.Files, sallyport.SHA256(raw)); err != nil {
		return nil, policy.Root{}, withHint(fmt.Errorf("there is no root at %s to follow: %w", w.target.Ref, err), "make the first one: sallyport root init")
	}
	r, err := policy.ParseRoot(raw)
	return w, r, err
}

// RootRotate writes the next version of the root in force at o's target over the governed files of
// the work tree, and takes away the signatures of other versions there. It refuses files that could
// not be in force, and a version that nobody could ever sign.
func (a *App) RootRotate(ctx context.Context, o Options, c RootChoices) (_ RootMade, err error) {
	w, prev, err := a.inForce(ctx, o)
	if err != nil {
		return RootMade{}, err
	}
	defer done(&err, w.Close)
	switch {
	case prev.Repository == "":
		return RootMade{}, withHint(errors.New("the root in force names no repository, so signatures cannot follow it"), "make a new one (sallyport root init) and pin what it prints")
	case prev.Threshold < 1:
		return RootMade{}, withHint(errors.New("the root in force names no root keys, so nobody can sign the next version"), "give persons the role root in "+rosterPath+", make a new root (sallyport root init) and pin what it prints")
	}
	files, err := w.workTreeFiles()
	if err != nil {
		return RootMade{}, err
	}
	if _, err := parseWorkTree(files); err != nil {
		return RootMade{}, err
	}
	opts, err := c.options(files, &prev, a.now())
	if err != nil {
		return RootMade{}, err
	}
	if opts.Repository != prev.Repository {
		return RootMade{}, withHint(fmt.Errorf("the root in force is of %q, and %s says %q", prev.Repository, configPath, opts.Repository), "a repository is renamed by a new pin: sallyport root init")
	}
	opts.Previous, opts.PreviousIs = &prev, w.gov.Files[policy.RootPath]
	return w.writeRoot(ctx, files, opts)
}

// writeRoot makes a root, checks it and writes it.
func (w *workspace) writeRoot(ctx context.Context, files map[string][]byte, opts policy.RootOptions) (RootMade, error) {
	b, err := policy.InitRoot(files, opts)
	if err != nil {
		return RootMade{}, err
	}
	r, err := policy.ParseRoot(b)
	if err != nil {
		return RootMade{}, err
	}
	listed := map[string][]byte{policy.RootPath: b}
	for _, f := range r.Files {
		listed[f.Path] = files[f.Path]
	}
	if err := governable(ctx, listed); err != nil {
		return RootMade{}, err
	}
	top := w.repo.WorkTree()
	for p := range files {
		if strings.HasPrefix(p, policy.SignaturesDir) {
			if err := os.Remove(filepath.Join(top, filepath.FromSlash(p))); err != nil {
				return RootMade{}, fmt.Errorf("take away the signatures of another root: %w", err)
			}
		}
	}
	if err := durable.WriteFile(filepath.Join(top, filepath.FromSlash(policy.RootPath)), b, 0o644); err != nil {
		return RootMade{}, fmt.Errorf("write %s: %w", policy.RootPath, err)
	}
	return RootMade{Path: policy.RootPath, Files: len(r.Files), Pin: sallyport.SHA256(b), Root: r}, nil
}

// A RootCeremony is what a signer of the next root is shown.
type RootCeremony struct {
	Screen string
	Root   sallyport.Digest // what is signed

	next []byte
}

// RootCeremony prepares the screen that shows what changes between the root in force at o's target
// and the one in the work tree.
func (a *App) RootCeremony(ctx context.Context, o Options) (_ *RootCeremony, err error) {
	w, prev, err := a.inForce(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, w.Close)
	files, v, err := w.nextRoot(ctx, prev)
	if err != nil {
		return nil, err
	}
	next, err := policy.ParseRoot(files[policy.RootPath])
	if err != nil {
		return nil, err
	}
	return &RootCeremony{
		Screen: rootScreen(screenOf{ref: w.target.Ref, prev: prev, next: next, before: w.gov.Files, after: files, version: v}),
		Root:   v.Root, next: files[policy.RootPath],
	}, nil
}

// nextRoot reads the work tree's root with its files, and how it stands to the root in force. It
// refuses one that no signature could put in force.
func (w *workspace) nextRoot(ctx context.Context, prev policy.Root) (map[string][]byte, policy.Version, error) {
	files, err := w.workTreeFiles()
	if err != nil {
		return nil, policy.Version{}, err
	}
	raw, ok := files[policy.RootPath]
	if !ok {
		return nil, policy.Version{}, withHint(fmt.Errorf("%s is missing", policy.RootPath), "sallyport root rotate makes it")
	}
	if bytes.Equal(raw, w.gov.Files[policy.RootPath]) {
		return nil, policy.Version{}, withHint(errors.New("the root of the work tree is the one in force: there is nothing to sign"), "change what governs, then: sallyport root rotate")
	}
	v, err := policy.Judge(w.gov.Files, files, w.app.now(), keyring())
	if err != nil {
		return nil, v, withHint(err, "make it anew: sallyport root rotate")
	}
	if v.Number != prev.Version+1 {
		return nil, v, withHint(errors.New(v.Fault), "make it anew: sallyport root rotate")
	}
	if err := governable(ctx, files); err != nil {
		return nil, v, err
	}
	return files, v, nil
}

// RootSigned is a signature over a root that was written.
type RootSigned struct {
	Path    string
	Person  string
	Version policy.Version // with the new signature
}

// SignRoot signs the root that c showed, and writes the signature into the work tree. If the work
// tree has changed since, nothing is signed.
func (a *App) SignRoot(ctx context.Context, o Options, c *RootCeremony, keyRef string) (_ RootSigned, err error) {
	w, prev, err := a.inForce(ctx, o)
	if err != nil {
		return RootSigned{}, err
	}
	defer done(&err, w.Close)
	files, _, err := w.nextRoot(ctx, prev)
	if err != nil {
		return RootSigned{}, err
	}
	if !bytes.Equal(files[policy.RootPath], c.next) {
		return RootSigned{}, withHint(errors.New("the root is no longer what was shown: nothing was signed"), "look at it again: sallyport root sign")
	}
	next, err := policy.ParseRoot(c.next)
	if err != nil {
		return RootSigned{}, err
	}
	signer, err := openSSH(ctx, keyRef)
	if err != nil {
		return RootSigned{}, err
	}
	person := ""
	for _, k := range append(append([]policy.RootKey{}, prev.Keys...), next.Keys...) {
		if k.Fingerprint == signer.Fingerprint() {
			person = k.Person
		}
	}
	if person == "" {
		return RootSigned{}, withHint(fmt.Errorf("the key %s is no root key of version %d or %d: nothing was signed", signer.Fingerprint(), prev.Version, next.Version), "sallyport root show lists the root keys")
	}
	sig, err := signer.Sign(ctx, policy.RootNamespace, c.next)
	if err != nil {
		return RootSigned{}, err
	}
	info, err := sshsig.Verify(sig, c.next, policy.RootNamespace)
	if err != nil {
		return RootSigned{}, fmt.Errorf("what was just signed does not verify: %w", err)
	}
	if !info.SK || !info.Touched {
		return RootSigned{}, withHint(errors.New("nobody touched a security key: such a signature does not count, and was not kept"), "sign with an sk- key, and touch it")
	}
	if !bytes.HasPrefix(sig, []byte("-----BEGIN")) {
		sig = sshsig.Armor(sig) // as ssh-keygen -Y takes it
	}
	path := policy.SignaturePath(next.Version, signer.Fingerprint())
	at := filepath.Join(w.repo.WorkTree(), filepath.FromSlash(path))
	if err := durable.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return RootSigned{}, err
	}
	if err := durable.WriteFile(at, sig, 0o644); err != nil {
		return RootSigned{}, fmt.Errorf("write %s: %w", path, err)
	}
	files[path] = sig
	v, err := policy.Judge(w.gov.Files, files, a.now(), keyring())
	return RootSigned{Path: path, Person: person, Version: v}, err
}
