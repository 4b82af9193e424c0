package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

// asOfFlag reads a moment or a day; without one it is the zero time.
func asOfFlag(s string) (t time.Time, err error) {
	if s == "" {
		return t, nil
	}
	if t, err = time.Parse(time.RFC3339, s); err != nil {
		if t, err = time.Parse(time.DateOnly, s); err != nil {
			return t, usagef("--as-of: %q is no time such as 2026-11-20T06:00:00Z, and no day", s)
		}
	}
	return t, nil
}

func newAdvisorySignCommand(a *app.App) *cobra.Command {
	var so app.AdvisorySignOptions
	var asOf, out string
	cmd := &cobra.Command{
		Use:   "sign PATH --covers ECOSYSTEMS --key REF --bundle OUT",
		Short: "Sign an export of advisories, for others to import",
		Long: `Sign reads a zip file or a folder of OSV records and signs its digest, how old it is, and which
ecosystems it has all records of. Who imports it gives the signature with --signature; it counts if the
trust file of the target names the key for ` + "`https://sallyport.dev/predicate/advisories/v0.1`" + `.

Exit status: 0 signed, 1 the source is not taken, or the key could not be had, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if so.AsOf, err = asOfFlag(asOf); err != nil {
				return err
			}
			so.Path = args[0]
			b, err := a.AdvisorySign(cmd.Context(), so)
			if err != nil {
				return err
			}
			if out == "-" {
				_, err = fmt.Fprintf(a.Stdout, "%s\n", b)
				return err
			}
			if err := os.WriteFile(out, b, 0o644); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "wrote %s\n", out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&so.Covers, "covers", nil, "the `ECOSYSTEMS`, by OSV's names, of which it has all records; repeatable, or with commas")
	f.StringVar(&asOf, "as-of", "", "the `TIME` at which it was made (default: the latest that its records state)")
	f.StringVar(&so.Key, "key", "", "the signing key `REF`: a file, awskms://…, hashivault://…, pkcs11:… (docs/keys.md)")
	f.StringVar(&out, "bundle", "", "write the signature to `OUT` (- is standard output)")
	for _, name := range []string{"key", "bundle"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}
