package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newAgentCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{Use: "agent", Short: "What agents did here"}
	cmd.AddCommand(newAgentDetectCommand(a), newAgentBlameCommand(a), newAgentListCommand(a), newAgentShowCommand(a), newAgentImportCommand(a))
	return cmd
}

func newAgentDetectCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "detect [RANGE]",
		Short: "Print who wrote what, why it is thought so, and how much is accounted for",
		Long: `Detect attributes every commit and every changed line to an agent, a person, a verified bot, or
nobody. What nobody accounts for is judged as an agent's.

RANGE is BASE..HEAD, or one commit; without it, what check merge would judge. An agent's name in
git is a claim that anyone can strip or forge: a trailer found is a lower bound, a trailer
missing proves nothing.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			step, clear := progress(a)
			opts.opts.Progress = step
			rangeSpec := ""
			if len(args) > 0 {
				rangeSpec = args[0]
			}
			report, note, err := a.Detect(cmd.Context(), opts.opts, rangeSpec)
			clear()
			if err != nil {
				return err
			}
			if note != "" {
				fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(note))
			}
			if asJSON {
				return render.AgentsJSON(a.Stdout, report)
			}
			return render.Agents(a.Stdout, report, render.Options{Color: colour(a, a.Stdout), Width: width(a.Stdout)})
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
