package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newMCPCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Answer an agent's questions about the gates (Model Context Protocol)",
		Long: `MCP serves read-only tools on standard input and output, for agents to ask before they push: what the merge
gate would say, what a reason code means, which files are protected, and whether a command, a file or a
model is allowed. It needs no network and records no decision.

  claude mcp add sallyport -- sallyport mcp

Exit status: 0 the client has ended, 1 something went wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.ServeMCP(cmd.Context(), opts.opts) },
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` to land on (default: the remote's default branch)")
	return cmd
}
