package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newDemoCommand(a *app.App) *cobra.Command {
	var d app.DemoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch an agent's branch meet the gate, in a temporary folder",
		Long: `Demo makes a small repository in a temporary folder, lets a scripted agent work on it, and runs
this very binary at each step: the gate shuts, the branch is mended, reviewers approve, the gate
opens, and the log proves it. It needs git and nothing else, and sends nothing anywhere. The keys
are test keys: they are valid only under the demo's own root.

Exit status: 0 the story ended as it should, 1 a step went otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.Color = colour(a, a.Stdout) && !d.JSON
			return a.Demo(cmd.Context(), d)
		},
	}
	cmd.Flags().BoolVar(&d.Keep, "keep", false, "keep the folder and say where it is")
	cmd.Flags().BoolVar(&d.JSON, "json", false, "print one JSON document instead of the story")
	return cmd
}
