package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newAgentListCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the runs of agents that are known here",
		Long: `List prints the runs of which there is evidence here, or a record in the state folder, the
newest first. accepted is evidence that verifies and that policy accepts; claimed does not, or is not
accepted, and recorded has no evidence at all: both are claims.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			runs, err := a.AgentRuns(cmd.Context(), opts.opts)
			switch {
			case err != nil:
				return err
			case asJSON:
				return render.RunsJSON(a.Stdout, runs)
			}
			return render.Runs(a.Stdout, runs, render.Options{Color: colour(a, a.Stdout), Width: width(a.Stdout)})
		},
	}
	addRunFlags(cmd, &opts, &asJSON)
	return cmd
}

func newAgentShowCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var ro app.AgentRunOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Tell the story of one run of an agent",
		Long: `Show tells who ran which agent, with which models, what was asked and masked, what it did and was
refused, how its record was sealed, and how many of its lines still stand in HEAD.

RUN is the run's id, or the digest of its evidence. Where the run's record is at hand, its entries are
drawn over time; with an auditor's private key the texts that were kept encrypted are replayed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			step, clear := progress(a)
			opts.opts.Progress, ro.Run = step, args[0]
			report, err := a.AgentRun(cmd.Context(), opts.opts, ro)
			clear()
			switch {
			case err != nil:
				return err
			case asJSON:
				return render.RunJSON(a.Stdout, report)
			}
			return render.Run(a.Stdout, report, render.Options{Color: colour(a, a.Stdout), Width: width(a.Stdout)})
		},
	}
	addRunFlags(cmd, &opts, &asJSON)
	cmd.Flags().BoolVar(&ro.Standing, "standing", true, "count which of its lines stand in HEAD; it blames every file that the run wrote")
	cmd.Flags().StringVar(&ro.Record, "record", "", "the `FOLDER` of the run's record (default: where the state folder keeps it)")
	cmd.Flags().StringVar(&ro.Auditor, "auditor", "", "replay texts with the private key in this `FILE`, as age-keygen writes it")
	return cmd
}

func addRunFlags(cmd *cobra.Command, opts *repoFlags, asJSON *bool) {
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose tip says who is who (default: what CI says, else the remote's default branch)")
	cmd.Flags().StringArrayVar(&opts.opts.Bundles, "bundle", nil, "an attestation bundle to consider beside those already kept; repeatable")
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON")
}
