package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newKeyQuoteVerifyCommand(a *app.App) *cobra.Command {
	var q app.QuoteOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "quote-verify QUOTE --kind sev-snp|tdx --key FILE --policy FILE",
		Short: "Verify offline that a confidential machine vouches for a key",
		Long: `Quote-verify verifies an attestation report of AMD SEV-SNP or a quote of Intel TDX (version 4) under the
maker's built-in root, and that it is about the public key in --key: its report data is the SHA-512 of
"sallyport-run-key-v1", a newline and the key's SubjectPublicKeyInfo. The policy says which code and at
least which firmware; a machine that may be debugged is refused.

It asks nobody: revocation lists and Intel's list of firmware states are not looked at.

Exit status: 0 it verifies, 1 could not tell, 2 it does not, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Quote = args[0]
			v, err := a.VerifyQuote(cmd.Context(), q)
			if err != nil {
				return refused(a, err)
			}
			if asJSON {
				return printJSON(a.Stdout, v)
			}
			fmt.Fprintf(a.Stdout, "quote %s (%s)\nkey %s\nmeasurement %s\nfirmware %s\n", v.Quote, v.Kind, v.Key, v.Measurement, oneLine(v.Firmware))
			if v.Chip != "" {
				fmt.Fprintf(a.Stdout, "chip %s\n", oneLine(v.Chip))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Kind, "kind", "", "the `KIND` of machine: sev-snp or tdx")
	f.StringVar(&q.Key, "key", "", "the public key, PEM in `FILE`, that it should be about")
	f.StringVar(&q.Policy, "policy", "", "what is accepted, a `FILE` (docs/keys.md)")
	f.StringVar(&q.Certificate, "certificate", "", "the chip's certificate, a `FILE`, if the quote does not hold it (sev-snp)")
	f.StringVar(&q.At, "at", "", "the `TIME` at which certificates have to be valid (default: now)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	for _, name := range []string{"kind", "key", "policy"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}
