package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newInitCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Adopt Sallyport in this repository, in observe mode",
		Long: `Init writes .sallyport/ (configuration, roster and trust) in observe mode. It finds
out what it can from git and the machine, shows each file it writes, and never overwrites one.
Nothing is in force until it is merged and its root is pinned.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := a.Init(cmd.Context(), opts.opts, dry)
			if err != nil {
				return err
			}
			verb := "wrote"
			if dry {
				verb = "would write"
			}
			for _, f := range plan.Files {
				fmt.Fprintf(a.Stdout, "%s %-32s %s\n", verb, f.Path, f.About)
			}
			fmt.Fprintf(a.Stdout, "\nrepository  %s\nprotects    %s\nmode        observe: it says what it would do and stops nobody\n", plan.Repository, plan.Ref)
			for i, s := range plan.Next {
				if i == 0 {
					fmt.Fprintln(a.Stdout, "\nNothing is in force yet. Next:")
				}
				fmt.Fprintf(a.Stdout, "  %d. %s\n", i+1, s)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be written and write nothing")
	return cmd
}
