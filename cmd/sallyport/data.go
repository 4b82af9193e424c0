package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/data"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newDataCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Bring lists up to date that age faster than the program, by signed files",
		Long: `A data file is a list, such as the marks that coding agents leave (agent-markers), with a
version number, a time in which it counts, and a signature. It is used if its signer's key stands
in .sallyport/trust.yaml for ` + data.Type + `, and only in place of
an older version. Otherwise what is built in stays in force. Every decision's input names by digest
the lists that judged.`,
	}
	cmd.AddCommand(newDataShowCommand(a), newDataSignCommand(a), newDataUpdateCommand(a))
	return cmd
}

func newDataShowCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print which version of each list is in force here",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			views, err := a.DataShow(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, views)
			}
			for _, v := range views {
				fmt.Fprintf(a.Stdout, "%s  version %d  %s  %s\n", v.Name, v.Version, v.Digest, orWord(v.Signer, "built in"))
				if v.NotUsed != "" {
					fmt.Fprintf(a.Stdout, "  %s\n", render.Clean(v.NotUsed))
				}
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newDataUpdateCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "update FILE",
		Short: "Verify a signed data file and keep it",
		Long:  "Exit status: 0 it is in force, 1 could not tell, 2 it is refused and what was in force stays so, 64 wrong usage.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := a.DataUpdate(cmd.Context(), opts.opts, args[0])
			if err != nil {
				return refused(a, err)
			}
			fmt.Fprintf(a.Stdout, "%s is at version %d now, %s, signed by %s\n", v.Name, v.Version, v.Digest, render.Clean(v.Signer))
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	return cmd
}

func newDataSignCommand(a *app.App) *cobra.Command {
	var so app.DataSignOptions
	var out string
	cmd := &cobra.Command{
		Use:   "sign NAME FILE --version N --expires DAY --key REF --bundle OUT",
		Short: "Sign a version of a list, for others to take",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			so.Name = args[0]
			var err error
			if so.Content, err = readLimited(a, args[1], data.MaxContent); err != nil {
				return err
			}
			b, err := a.DataSign(cmd.Context(), so)
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
			fmt.Fprintf(a.Stdout, "wrote %s\nnext: sallyport data update %s\n", out, out)
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&so.Version, "version", 0, "the `NUMBER` of this version; it must be higher than the last one's")
	f.StringVar(&so.Expires, "expires", "", "the last `DAY`, in UTC, on which it counts")
	f.StringVar(&so.Key, "key", "", "the signing key `REF`: a file, awskms://…, hashivault://…, pkcs11:… (docs/keys.md)")
	f.StringVar(&out, "bundle", "", "write the signed file to `OUT` (- is standard output)")
	for _, name := range []string{"version", "expires", "key", "bundle"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}
