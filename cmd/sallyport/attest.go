package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newAttestCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var at app.AttestOptions
	cmd := &cobra.Command{
		Use:   "attest SUBJECT... --type URI --predicate FILE --key REF",
		Short: "Sign a statement about subjects and keep it as evidence",
		Long: `Attest signs an in-toto Statement v1 in a DSSE envelope in a Sigstore bundle v0.3.

SUBJECT is a digest (gitCommit:…, gitTree:…, sha256:…), a revision of this repository (git:REV,
which names its commit and its tree), or a file, which is named by its SHA-256. The predicate's
own subjects (an agent run's commits and hunks) are added.

Whether the attestation is evidence is decided by .sallyport/trust.yaml on the target ref: which
key may sign which predicate type.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Subjects = args
			var err error
			if at.Predicate, err = readLimited(a, at.PredicateFile, 8<<20); err != nil {
				return err
			}
			res, err := a.Attest(cmd.Context(), opts.opts, at)
			if err != nil {
				return err
			}
			if at.Output == "-" {
				_, err = fmt.Fprintf(a.Stdout, "%s\n", res.Bundle)
				return err
			}
			fmt.Fprintf(a.Stdout, "attestation %s\nkey %s\n", res.Digest, res.Key)
			for _, d := range res.Subjects {
				fmt.Fprintf(a.Stdout, "subject %s\n", d)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&at.Type, "type", "", "the predicate type `URI`, or agent-run or approval for ours")
	f.StringVar(&at.PredicateFile, "predicate", "", "the predicate, as JSON in `FILE` (- is standard input)")
	f.StringVar(&at.Key, "key", "", "the signing key `REF`: a file that sallyport key generate wrote")
	f.StringVar(&at.Changes, "changes", "", "add what the commits of this `RANGE` changed to an agent run: commits, hunks and files")
	f.StringVar(&at.Output, "bundle", "", "write the bundle to `FILE` instead of keeping it (- is standard output)")
	for _, name := range []string{"type", "predicate", "key"} {
		_ = cmd.MarkFlagRequired(name)
	}
	cmd.AddCommand(newAttestReportCommand(a))
	return cmd
}

func newVerifyCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var vo app.VerifyOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify SUBJECT",
		Short: "Verify the evidence about a subject",
		Long: `Verify looks for attestations about SUBJECT (as attest takes it) and verifies each under the
trust roots of the target ref, or under one public key given with --key. When nothing is found it
lists where it looked.

Exit status: 0 at least one attestation verifies and none that was named with --bundle fails,
1 could not verify, 2 nothing verifies, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if vo.Key != "" && vo.Type == "" {
				return usagef("--key needs --type: a key is trusted for a predicate type, not for anything it signs")
			}
			vo.Subject = args[0]
			res, err := a.Verify(cmd.Context(), opts.opts, vo)
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(a.Stdout, res); err != nil {
					return err
				}
				return exit(res.ExitStatus())
			}
			for _, e := range res.Verified {
				fmt.Fprintf(a.Stdout, "verified  %s\n  type   %s\n  signer %s %s (%s)\n  grade  %s\n  from   %s\n", e.Attestation, e.PredicateType, e.Signer.Kind, orDash(e.Signer.Name), e.Key, orDash(string(e.Grade)), e.Source)
			}
			for _, d := range res.Dropped {
				fmt.Fprintf(a.Stdout, "refused   %s\n  %s\n  from   %s\n", d.Attestation, oneLine(d.Why), d.Source)
			}
			if len(res.Verified) == 0 {
				fmt.Fprintf(a.Stdout, "nothing verifies about %s\n", args[0])
				for _, l := range res.Looked {
					fmt.Fprintf(a.Stdout, "  looked in %s\n", l)
				}
			}
			return exit(res.ExitStatus())
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().StringVar(&vo.Key, "key", "", "verify under this public key `FILE` instead of the trust roots")
	cmd.Flags().StringVar(&vo.Type, "type", "", "only attestations of this predicate type `URI`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
