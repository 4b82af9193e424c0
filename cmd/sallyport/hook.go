package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newHookCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{Use: "hook", Short: "Answer a hook in the contract of whoever calls it"}
	cmd.AddCommand(newHookPreReceiveCommand(a))
	return cmd
}

func newHookPreReceiveCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var h app.PreReceiveOptions
	cmd := &cobra.Command{
		Use:   "pre-receive",
		Short: "Gate the pushes to a plain git server",
		Long: `Pre-receive is the server's hook: put these two lines into hooks/pre-receive of the bare
repository and make it executable.

  #!/bin/sh
  exec sallyport hook pre-receive --root DIGEST --ref refs/heads/main

It reads git's "old new ref" lines and judges each ref that is gated: those of --ref, and those
that the configuration in force names. Other refs (review branches, evidence) pass. One refused
ref refuses the whole push. The pusher sees the reasons.

Exit status: 0 accepted; anything else refuses the push.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := a.PreReceive(cmd.Context(), opts.opts, h)
			if err != nil {
				return err
			}
			return exit(status)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringArrayVar(&h.Refs, "ref", nil, "gate this `REF` (exact, or ending in /*); repeatable")
	return cmd
}
