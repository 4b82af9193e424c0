package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newInitCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var dry bool
	var equip app.EquipOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Adopt Sallyport in this repository, in observe mode",
		Long: `Init writes .sallyport/ (configuration, roster and trust) in observe mode. It finds
out what it can from git and the machine, shows each file it writes, and never overwrites one.
Nothing is in force until it is merged and its root is pinned.

With --ci it writes a forge's job that asks the gate instead, and says which settings make that
job binding; with --hooks the pre-push hook of this clone, which is advice.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if equip.CI == "" && (equip.Into != "" || equip.URL != "" || equip.SHA256 != "") {
				return usagef("--into, --judge-url and --judge-sha256 are about the job of --ci")
			}
			adopt := equip.CI == "" && !equip.Hooks
			var plan app.InitPlan
			var err error
			if adopt {
				plan, err = a.Init(cmd.Context(), opts.opts, dry)
			} else {
				plan, err = a.Equip(cmd.Context(), opts.opts, equip, dry)
			}
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
			if !adopt {
				fmt.Fprintln(a.Stdout, "\nNext:")
				for i, s := range plan.Next {
					fmt.Fprintf(a.Stdout, "  %d. %s\n", i+1, s)
				}
				return nil
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
	cmd.Flags().StringVar(&equip.CI, "ci", "", "write the job for `FORGE`: github or gitlab")
	cmd.Flags().StringVar(&equip.Into, "into", "", "write the job into this `FOLDER`, a checkout of the repository that holds it")
	cmd.Flags().StringVar(&equip.URL, "judge-url", "", "the https `ADDRESS` from which the job downloads sallyport (default: the forge's variable SALLYPORT_URL)")
	cmd.Flags().StringVar(&equip.SHA256, "judge-sha256", "", "the `DIGEST` that the download must have (default: that of this program)")
	cmd.Flags().BoolVar(&equip.Hooks, "hooks", false, "install the pre-push hook of this clone")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be written and write nothing")
	return cmd
}
