package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newAttestReportCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var ro app.AttestReportOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report FILE... --key REF",
		Short: "Sign for the reports of scanners and tests",
		Long: `Report reads SARIF 2.1.0 of any tool and JUnit XML of any runner, and signs a statement of the type
https://in-toto.io/attestation/test-result/v0.1 about each: PASSED, WARNED or FAILED, the tests or rules by
name, the report's digest, and who ran it as the environment has it. About a SARIF report it signs a second one,
of the type https://witness.dev/attestations/sarif/v0.1, which vouches for it at the merge gate.

A failed test, a result of severity high or critical, and a report that is not complete are FAILED.
Whether the statements count is decided by .sallyport/trust.yaml on the target ref. Sign where the agent cannot
reach the key.

Exit status: 0 signed, whatever the result, 1 it could not be, 64 wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ro.Files, ro.Environ = args, os.Environ()
			res, err := a.AttestReports(cmd.Context(), opts.opts, ro)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, res)
			}
			for _, r := range res {
				fmt.Fprintf(a.Stdout, "%s  %s: %s of %s\n", r.Result, oneLine(r.File), r.Kind, oneLine(strings.Join(r.Tools, ", ")))
				fmt.Fprintf(a.Stdout, "  passed %d, warned %d, failed %d\n", r.Passed, r.Warned, r.Failed)
				for _, d := range r.Attestations {
					fmt.Fprintf(a.Stdout, "  attestation %s\n", d)
				}
				if r.Note != "" {
					fmt.Fprintf(a.Stdout, "  note: %s\n", r.Note)
				}
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&ro.Subject, "subject", "git:HEAD", "what the reports are about, as attest takes it")
	f.StringVar(&ro.Key, "key", "", "the signing key `REF`: a file that sallyport key generate wrote")
	f.StringVar(&ro.Output, "output", "", "write the bundles to `DIR` instead of keeping them")
	f.BoolVar(&ro.Embed, "embed", false, "put the SARIF report into the statement that vouches for it, so that nobody has to bring it along")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}
