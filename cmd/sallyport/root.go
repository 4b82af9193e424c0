package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newRootTrustCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "root",
		Short: "The root of trust: which policy, roster and configuration are in force",
		Long: `The governed files are everything under .sallyport/. root.json lists the SHA-256 of each; the
digest of root.json is pinned outside the repository (a CI setting, a hook's or server's
configuration). Under a pin, files that differ from it are not in force, in any mode. Without a
pin the gate's result is advice.`,
	}
	cmd.AddCommand(newRootInitCommand(a), newRootShowCommand(a), newRootVerifyCommand(a))
	return cmd
}

func newRootInitCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write .sallyport/root.json over the governed files of this work tree",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.RootInit(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "wrote %s over %d governed file(s)\npin %s\n", r.Path, r.Files, r.Pin)
			fmt.Fprintf(a.Stdout, "next: merge it, then pin it where agents cannot write: SALLYPORT_ROOT=%s in the CI settings, or --root in the server's hook\n", r.Pin)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	return cmd
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
		Short: "Verify that the target ref's tip holds exactly the pinned governed files",
		Long:  "Exit status: 0 it does, 1 could not tell, 2 it does not, 64 wrong usage.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.RootVerify(cmd.Context(), opts.opts)
			if err != nil {
				return refused(a, err)
			}
			fmt.Fprintf(a.Stdout, "verified: %s holds the pinned root %s, %d governed file(s)\n", r.Ref, r.Root, len(r.Files))
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	return cmd
}

func orDash[T ~string](s T) string {
	if s == "" {
		return "-"
	}
	return string(s)
}
