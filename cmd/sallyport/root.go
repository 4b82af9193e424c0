package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newRootTrustCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "root",
		Short: "The root of trust: which policy, roster and configuration are in force",
		Long: `The governed files are everything under .sallyport/. root.json lists the SHA-256 of each; the
digest of root.json is pinned outside the repository (a CI setting, a hook's or server's
configuration). Under a pin, files that differ from it are not in force, in any mode, unless a
threshold of the pinned version's root keys has signed them as the next version, and so on from
version to version. Without a pin the gate's result is advice.`,
	}
	cmd.AddCommand(newRootInitCommand(a), newRootRotateCommand(a), newRootSignCommand(a), newRootShowCommand(a), newRootVerifyCommand(a))
	return cmd
}

func newRootInitCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var choices rootChoices
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first .sallyport/root.json over the governed files of this work tree",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.RootInit(cmd.Context(), opts.opts, choices.given(cmd))
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "wrote %s over %d governed file(s)\npin %s\n", r.Path, r.Files, r.Pin)
			fmt.Fprintln(a.Stdout, rootRules(r.Root))
			if r.Replaces != "" {
				fmt.Fprintf(a.Stdout, "note: HEAD holds version %d of a root, %s, and this begins anew at version 1: whoever pinned that one does not take this one\n", r.ReplacesVersion, r.Replaces)
				fmt.Fprintln(a.Stdout, "      to go on from it, with the pins that are there: sallyport root rotate")
			}
			fmt.Fprintf(a.Stdout, "next: merge it, then pin it where agents cannot write: SALLYPORT_ROOT=%s in the CI settings, or --root in the server's hook\n", r.Pin)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	choices.addFlags(cmd)
	return cmd
}

// rootChoices are the flags of what a root says beside the files.
type rootChoices struct {
	expires, solo string
	threshold     int
}

func (c *rootChoices) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.expires, "expires", "", "nothing is decided under the root after this `DAY` in UTC (2027-01-31, or an RFC 3339 time; empty for never)")
	cmd.Flags().StringVar(&c.solo, "solo", "", "the `PERSON` who is the whole team and may approve their own; every decision says so (empty for a team)")
	cmd.Flags().IntVar(&c.threshold, "threshold", 0, "how many persons must sign the next version (default: a majority of those with root keys)")
}

// given returns the choices that were made on the command line.
func (c *rootChoices) given(cmd *cobra.Command) app.RootChoices {
	var out app.RootChoices
	if cmd.Flags().Changed("expires") {
		out.Expires = &c.expires
	}
	if cmd.Flags().Changed("solo") {
		out.Solo = &c.solo
	}
	if cmd.Flags().Changed("threshold") {
		out.Threshold = &c.threshold
	}
	return out
}

// rootRules says in a line how the next version comes about.
func rootRules(r policy.Root) string {
	s := fmt.Sprintf("version %d, expires %s", r.Version, orWord(r.Expires, "never"))
	if r.Solo != "" {
		s += ", solo " + r.Solo
	}
	if r.Threshold == 0 {
		return s + "; no person with the role root has an enrolled security key, so only another pin can follow it"
	}
	return fmt.Sprintf("%s; %d of %s must sign the next version", s, r.Threshold, strings.Join(rootPersons(r.Keys), ", "))
}

func rootPersons(keys []policy.RootKey) []string {
	var out []string
	seen := map[string]bool{}
	for _, k := range keys {
		if !seen[k.Person] {
			seen[k.Person] = true
			out = append(out, render.Clean(k.Person))
		}
	}
	slices.Sort(out)
	return out
}

func orWord(s, word string) string {
	if s == "" {
		return word
	}
	return render.Clean(s)
}

func newRootRotateCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var choices rootChoices
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Write the next version of the root over the governed files of this work tree",
		Long: `Rotate follows the root that is in force at the target: one version further, naming it by
digest. What --expires, --solo and --threshold do not say stays as it was. The new version takes
effect at the target once a threshold of the root keys of the version before, and of its own,
has signed it (sallyport root sign). The pin stays as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.RootRotate(cmd.Context(), opts.opts, choices.given(cmd))
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "wrote %s over %d governed file(s)\nroot %s\n%s\n", r.Path, r.Files, r.Pin, rootRules(r.Root))
			fmt.Fprintln(a.Stdout, "next: the holders of root keys look at it and sign it: sallyport root sign --key KEY")
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	choices.addFlags(cmd)
	return cmd
}

type rootSignOptions struct {
	repoFlags
	key string
	yes bool
}

func newRootSignCommand(a *app.App) *cobra.Command {
	var opts rootSignOptions
	cmd := &cobra.Command{
		Use:   "sign --key KEY",
		Short: "Look at the next version of the root and sign it",
		Long: `Sign shows on one screen what changes between the root in force at the target and the one in
this work tree, asks, and signs root.json with your security key. The signature is a file in
.sallyport/root.signatures/: commit it with the root that it is over.

KEY is one of
  PATH                     a private key file; security keys (sk-) are touched through ssh-keygen
  ssh-agent:FINGERPRINT    a key in the running ssh-agent
  simulated-sk:PATH        a simulated security key, for demonstrations and tests only

A signature counts only if the security key was touched for it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runRootSign(cmd.Context(), a, opts) },
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.key, "key", "", "the signer's `KEY`")
	cmd.Flags().BoolVar(&opts.yes, "yes", false, "do not ask (the screen is printed all the same)")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func runRootSign(ctx context.Context, a *app.App, opts rootSignOptions) error {
	c, err := a.RootCeremony(ctx, opts.opts)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(a.Stdout, c.Screen); err != nil {
		return err
	}
	if !opts.yes {
		if !isTerminal(a.Stdout) {
			return usagef("root sign asks before it signs: run it in a terminal, or pass --yes after reading the screen")
		}
		fmt.Fprintf(a.Stdout, "\nType \"sign\" to sign with %s: ", opts.key)
		answer, err := bufio.NewReader(io.LimitReader(a.Stdin, 64)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the answer: %w", err)
		}
		if strings.TrimSpace(answer) != "sign" {
			return errors.New("nothing was signed")
		}
	}
	s, err := a.SignRoot(ctx, opts.opts, c, opts.key)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "\nsigned by %s: %s\n", render.Clean(s.Person), s.Path)
	if s.Version.Fault != "" {
		fmt.Fprintf(a.Stdout, "not in force yet: %s\nnext: another holder of a root key signs it too\n", render.Clean(s.Version.Fault))
		return nil
	}
	fmt.Fprintf(a.Stdout, "version %d has the signatures that it needs\nnext: commit .sallyport/ and merge it; the pin may stay\n", s.Version.Number)
	return nil
}

func newRootShowCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print which governed files are in force for a check here, and where they come from",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.RootShow(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, r)
			}
			fmt.Fprintf(a.Stdout, "policy ref  %s at %s\nsource      %s\npinned      %v\nroot        %s\n", r.Ref, r.Tip, r.Source, r.Pinned, orDash(r.Root))
			for _, f := range r.Files {
				fmt.Fprintf(a.Stdout, "  %s  %s\n", f.Digest, f.Path)
			}
			printChain(a.Stdout, r)
			for _, s := range r.Advice {
				fmt.Fprintf(a.Stdout, "advice only: %s\n", s)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newRootVerifyCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify that the target ref's tip holds exactly the governed files that the pin leads to",
		Long:  "Exit status: 0 it does, 1 could not tell, 2 it does not, 64 wrong usage.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.RootVerify(cmd.Context(), opts.opts)
			if err != nil {
				return refused(a, err)
			}
			if r.Root != r.Pin {
				fmt.Fprintf(a.Stdout, "verified: %s holds version %d of the root, %s, to which signatures lead from the pinned %s, %d governed file(s)\n", r.Ref, r.Version, r.Root, r.Pin, len(r.Files))
				return nil
			}
			fmt.Fprintf(a.Stdout, "verified: %s holds the pinned root %s, %d governed file(s)\n", r.Ref, r.Root, len(r.Files))
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	return cmd
}

// printChain says how the pin leads to what is in force, who may sign what follows, and what waits.
func printChain(w io.Writer, r app.RootView) {
	if r.Version > 0 {
		fmt.Fprintf(w, "version     %d, expires %s\n", r.Version, orWord(r.Expires, "never"))
	}
	if r.Solo != "" {
		fmt.Fprintf(w, "solo        %s is the whole team, and may approve their own\n", render.Clean(r.Solo))
	}
	for _, k := range r.Keys {
		fmt.Fprintf(w, "root key    %s  %s\n", k.Fingerprint, render.Clean(k.Person))
	}
	if r.Threshold > 0 {
		fmt.Fprintf(w, "threshold   %d\n", r.Threshold)
	}
	for i, v := range r.Chain {
		how := "pinned"
		if i > 0 {
			how = "signed by " + render.Clean(strings.Join(v.Signers, ", "))
			if !v.NotAfter.IsZero() {
				how += ", until " + v.NotAfter.UTC().Format("2006-01-02")
			}
		}
		fmt.Fprintf(w, "chain       %d  %s  %s\n", v.Number, v.Root, how)
	}
	if v := r.Waiting; v != nil {
		fmt.Fprintf(w, "waiting     %d  %s  %s\n", v.Number, v.Root, render.Clean(v.Fault))
	}
}

func orDash[T ~string](s T) string {
	if s == "" {
		return "-"
	}
	return string(s)
}
