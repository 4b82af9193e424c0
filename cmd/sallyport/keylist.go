package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newKeyListCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys that may sign here, until when, and which are revoked",
		Long: `List prints the keys of .sallyport/trust.yaml and of the persons of .sallyport/roster.yaml, as they are
in force on the target ref under the pinned root: whose they are, what they may sign and at which
grade, from when to when they count, and whether and why they were revoked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := a.ListKeys(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, l)
			}
			for _, k := range l.Keys {
				fmt.Fprintf(a.Stdout, "%-8s %s\n  key    %s\n  signer %s %s (%s)\n", k.State, oneLine(k.Name), oneLine(k.Key), k.Principal.Kind, oneLine(k.Principal.Name), orDash(string(k.Grade)))
				if k.Algorithm != "" {
					fmt.Fprintf(a.Stdout, "  with   %s\n", oneLine(k.Algorithm))
				}
				if r := k.Run; r != nil {
					printAuthority(a.Stdout, r)
				}
				for _, t := range k.Types {
					fmt.Fprintf(a.Stdout, "  type   %s\n", oneLine(t))
				}
				if k.NotBefore != nil {
					fmt.Fprintf(a.Stdout, "  from   %s\n", k.NotBefore.Format(time.RFC3339))
				}
				if k.NotAfter != nil {
					fmt.Fprintf(a.Stdout, "  until  %s\n", k.NotAfter.Format(time.RFC3339))
				}
				if k.Revoked != nil {
					fmt.Fprintf(a.Stdout, "  revoked at %s: %s\n", k.Revoked.At.Format(time.RFC3339), k.Revoked.Reason)
				}
				fmt.Fprintf(a.Stdout, "  in     %s\n", k.Source)
			}
			if len(l.Keys) == 0 {
				fmt.Fprintln(a.Stdout, "no key may sign anything here")
			}
			for _, s := range l.Advice {
				fmt.Fprintf(a.Stdout, "note     %s\n", oneLine(s))
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printAuthority says for whom an authority may certify keys.
func printAuthority(w io.Writer, r *app.ListedAuthority) {
	for _, p := range r.Principals {
		for _, repo := range r.Repositories {
			fmt.Fprintf(w, "  certifies runs of %s %s in %s, for %s\n", p.Kind, oneLine(p.Name), oneLine(repo), r.MaxValidity)
		}
	}
	if r.Audience != "" {
		fmt.Fprintf(w, "  audience %s\n", oneLine(r.Audience))
	}
	for _, id := range r.RevokedRuns {
		fmt.Fprintf(w, "  revoked run %s\n", oneLine(id))
	}
}

func newKeyRevokeCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var ro app.RevokeOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke NAME --reason compromised|superseded|retired",
		Short: "Write into .sallyport/trust.yaml that a key was revoked",
		Long: `Revoke ends a key or an identity of the work tree's trust.yaml. From the moment that the file is in
force, whatever a clock says, nothing counts that a compromised key ever signed; what a superseded
or retired key signed counts only if a timestamp or log entry proves that it was signed before.
A revocation is never taken back; it can be made stricter.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ro.Name = args[0]
			c, err := a.RevokeKey(cmd.Context(), opts.opts, ro)
			if err != nil {
				return err
			}
			return printKeyChange(a.Stdout, c, asJSON)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&ro.Reason, "reason", "", "why, `WORD`: compromised, superseded or retired")
	cmd.Flags().StringVar(&ro.At, "at", "", "since when, a `TIME` such as 2026-01-31T12:00:00Z (default: now)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func newKeyRotateCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var ro app.RotateOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate NAME --key REF | --generate FILE",
		Short: "Put a new key in the place of one in .sallyport/trust.yaml",
		Long: `Rotate adds a key to the work tree's trust.yaml that may sign what the key NAME may, and ends that
one: after a fortnight, so that what is under way can land; on the day that --until says; or, with --now, at once.
With --now it is revoked as superseded, and what it signed before counts if that is proven.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ro.Name = args[0]
			c, err := a.RotateKey(cmd.Context(), opts.opts, ro)
			if err != nil {
				return err
			}
			return printKeyChange(a.Stdout, c, asJSON)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&ro.Key, "key", "", "the new key, `REF` (docs/keys.md)")
	f.StringVar(&ro.Generate, "generate", "", "make the new key in `FILE`, encrypted if there is a passphrase in $SALLYPORT_KEY_PASSPHRASE")
	f.StringVar(&ro.NewName, "name", "", "the new key's `NAME` (default: the old one's and today)")
	f.StringVar(&ro.Until, "until", "", "the last `DAY` of the old key (default: in 14 days)")
	f.BoolVar(&ro.Now, "now", false, "revoke the old key at once, as superseded")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printKeyChange(w io.Writer, c app.KeyChange, asJSON bool) error {
	if asJSON {
		return printJSON(w, c)
	}
	var b strings.Builder
	if c.Successor != "" {
		fmt.Fprintf(&b, "added    %s (%s)\n", oneLine(c.Successor), c.Key)
	}
	switch {
	case c.Revoked != nil:
		fmt.Fprintf(&b, "revoked  %s at %s: %s\n", oneLine(c.Name), c.Revoked.At.Format(time.RFC3339), c.Revoked.Reason)
	case c.Until != "":
		fmt.Fprintf(&b, "ends     %s after %s\n", oneLine(c.Name), c.Until)
	}
	for _, n := range c.Next {
		fmt.Fprintf(&b, "next: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
