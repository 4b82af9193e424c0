package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newLogAddCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var here, asJSON bool
	cmd := &cobra.Command{
		Use:   "add [BUNDLE]...",
		Short: "Add decisions that were made elsewhere, and revocations, to the log",
		Long: `Add verifies each BUNDLE under the rules in force and makes it an entry of the log that is kept
here: a verification summary that another installation signed (sallyport explain DECISION --vsa),
a revocation or a decline. With --evidence, each revocation and decline among the evidence here is
added. What the log holds already is not added again.

Exit status: 0 all are in the log, 1 could not tell, 2 one does not verify, 64 wrong usage.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !here {
				return usagef("name a bundle, or --evidence")
			}
			added, err := a.LogAdd(cmd.Context(), opts.opts, args, here)
			if err != nil {
				return refused(a, err)
			}
			if asJSON {
				return printJSON(a.Stdout, added)
			}
			for _, e := range added {
				state := "is"
				if e.New {
					state = "became"
				}
				fmt.Fprintf(a.Stdout, "%s %s %s entry %d\n", e.Kind, e.Attestation, state, e.Index)
			}
			if len(added) == 0 {
				fmt.Fprintln(a.Stdout, "nothing to add")
			}
			return nil
		},
	}
	addRulesFlags(&opts, cmd.Flags())
	cmd.Flags().BoolVar(&here, "evidence", false, "add each revocation and decline among the evidence that is kept here")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newLogCheckpointCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Sign a checkpoint now, and print it",
		Long: `Checkpoint signs the log's state together with the time. Who follows the log demands that its
newest checkpoint be fresh (log.checkpoint_max_age in .sallyport/sallyport.yaml), so whoever keeps it runs
this from a clock, and publishes the folder log/ of the state folder as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := a.LogCheckpoint(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, f)
			}
			_, err = fmt.Fprint(a.Stdout, f.Checkpoint)
			return err
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
