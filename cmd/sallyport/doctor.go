package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newDoctorCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what works here, what is missing, and what makes a result advice",
		Long:  "Exit status: 0 nothing is broken, 2 something is, 64 wrong usage.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := a.Doctor(cmd.Context(), opts.opts)
			broken := 0
			for _, c := range checks {
				if c.State == app.Broken {
					broken++
				}
			}
			if asJSON {
				if err := printJSON(a.Stdout, checks); err != nil {
					return err
				}
			} else {
				for _, c := range checks {
					fmt.Fprintf(a.Stdout, "%-7s %-18s %s\n", c.State, c.Name, oneLine(c.Text))
					if c.Next != "" {
						fmt.Fprintf(a.Stdout, "%-26s next: %s\n", "", c.Next)
					}
				}
			}
			if broken > 0 {
				return exitStatus(sallyport.ExitShut)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
