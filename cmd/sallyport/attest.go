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
	f.StringVar(&at.Key, "key", "", "the signing key `REF`: a file, awskms://…, hashivault://…, pkcs11:… (docs/keys.md)")
	f.StringVar(&at.Changes, "changes", "", "add what the commits of this `RANGE` changed to an agent run: commits, hunks and files")
	f.StringVar(&at.TimestampURL, "timestamp-server-url", "", "have the timestamp authority at `URL` prove when it was signed (RFC 3161)")
	f.StringVar(&at.TrustedRoot, "trusted-root", "", "the trusted root `FILE` that has to verify the timestamp (default: .sallyport/trusted_root.json)")
	f.StringVar(&at.Output, "bundle", "", "write the bundle to `FILE` instead of keeping it (- is standard output)")
	for _, name := range []string{"type", "predicate", "key"} {
		_ = cmd.MarkFlagRequired(name)
	}
	cmd.AddCommand(newAttestReportCommand(a))
	return cmd
}
