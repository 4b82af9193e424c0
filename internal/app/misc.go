package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/app/demo"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/internal/render"
)

// Detect says who wrote what in a range: BASE..HEAD, one commit, or, if it is empty, what a check
// would judge. note is what a person should know about how the range was found.
func (a *App) Detect(ctx context.Context, o Options, rangeSpec string) (r render.DetectReport, note string, err error) {
	if base, head, ok := strings.Cut(rangeSpec, ".."); ok {
		o.Target.Base, o.Target.Head = base, strings.TrimPrefix(orDefault(head, "HEAD"), ".")
	} else if rangeSpec != "" {
		o.Target.Commit = rangeSpec
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return r, "", err
	}
	defer done(&err, w.Close)
	if err := w.locate(ctx); err != nil {
		return r, "", err
	}
	if rangeSpec == "" {
		if err := w.stand(ctx); err != nil {
			return r, "", err
		}
	} else {
		// Who is who is asked at the target's tip: a range may begin before anybody was named.
		tip, err := FindTip(ctx, refs{w.repo, w.diff}, a.Getenv, TargetOptions{Ref: o.Target.Ref})
		if err != nil {
			return r, "", w.targetHint(err, tip)
		}
		w.policyAt = tip.Base
	}
	if err := w.governed(ctx, ""); err != nil {
		return r, "", err
	}
	g := &merge.Gate{
		Differ:     differ{diff: w.diff},
		Historian:  lineages{w.diff, w},
		Identifier: identifier{w.newIdentifier(ctx, a.now()), w.roster},
		Scanner:    scanner{w.newScanner(ctx)},
		Repository: w.repository(),
		Accepted:   merge.Accepted{PersonGrades: w.data.PersonGrades, RunGrades: w.data.RunGrades},
		Progress:   o.Progress,
	}
	t := w.target
	x, err := g.Examine(ctx, merge.Params{TargetRef: t.Ref, Action: t.Action, Base: t.Base, Head: t.Head})
	if err != nil {
		return r, "", err
	}
	if err := w.followFrom(ctx, &x.Change); err != nil {
		return r, "", err
	}
	evidence, err := w.verifiedAbout(ctx, x.Subjects())
	if err != nil {
		return r, "", err
	}
	r.Range = shortID(t.Base) + ".." + shortID(t.Head)
	said, err := w.claimsAbout(x.Change.Commits)
	if err != nil {
		return r, "", err
	}
	d, err := g.Detect(ctx, x, evidence, said)
	if err != nil {
		return r, "", err
	}
	r.Commits, r.Files, r.Coverage, r.Claims = d.Commits, d.Files, d.Coverage, d.Claims
	for _, f := range x.Findings {
		if f.Kind == "identity" {
			r.Findings = append(r.Findings, f)
		}
	}
	return r, t.Note, nil
}

// KeyInfo is the public side of a key.
type KeyInfo struct {
	Fingerprint string `json:"fingerprint"`
	Public      string `json:"public"` // PEM, or an SSH authorized-key line; ends in a newline
}

// GenerateKey makes a key file, or a simulated security key for tests and demonstrations.
func (a *App) GenerateKey(path string, simulated, encrypted bool) (KeyInfo, error) {
	if simulated && encrypted {
		return KeyInfo{}, errors.New("a simulated security key is never encrypted: it guards nothing")
	}
	if encrypted {
		pass, err := a.passphrase()
		if err != nil {
			return KeyInfo{}, withHint(errors.New("there is no passphrase to encrypt the key with"), "put it into "+passphraseVariable)
		}
		k, err := key.GenerateEncrypted(path, "encrypted", pass)
		if err != nil {
			return KeyInfo{}, err
		}
		return KeyInfo{string(k.Fingerprint()), string(k.PublicPEM())}, nil
	}
	if !simulated {
		k, err := key.Generate(path, key.LocalLabel)
		if err != nil {
			return KeyInfo{}, err
		}
		return KeyInfo{string(k.Fingerprint()), string(k.PublicPEM())}, nil
	}
	sk, err := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{Touch: true})
	if err != nil {
		return KeyInfo{}, err
	}
	if err := sk.Save(path); err != nil {
		return KeyInfo{}, err
	}
	return KeyInfo{sk.Fingerprint(), sk.PublicKey() + "\n"}, nil
}

// ShowKey returns the public side of the key that ref names.
func (a *App) ShowKey(ctx context.Context, ref string) (KeyInfo, error) {
	if scheme, _, ok := strings.Cut(ref, ":"); ok && slices.Contains([]string{"ssh", "ssh-agent", "simulated-sk"}, scheme) {
		s, err := openSSH(ctx, ref)
		if err != nil {
			return KeyInfo{}, err
		}
		return KeyInfo{s.Fingerprint(), s.PublicKey() + "\n"}, nil
	}
	k, err := a.openKey(ctx, ref)
	if err != nil {
		return KeyInfo{}, err
	}
	return KeyInfo{string(k.Fingerprint()), string(k.PublicPEM())}, nil
}

// DemoOptions are the demo's.
type DemoOptions struct {
	Keep, JSON, Color bool
}

// Demo tells the story of an agent's branch at the gate, with the program that runs it.
func (a *App) Demo(ctx context.Context, o DemoOptions) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return demo.Run(ctx, demo.Options{Keep: o.Keep, JSON: o.JSON, Color: o.Color, Binary: self, Out: a.Stdout})
}
