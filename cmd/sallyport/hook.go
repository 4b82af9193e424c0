package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/hook"
)

func newHookCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{Use: "hook", Short: "Answer a hook in the contract of whoever calls it"}
	cmd.AddCommand(newHookPreReceiveCommand(a), newHookPrePushCommand(a), newHookInstallCommand(a))
	for _, kind := range hook.Kinds() {
		cmd.AddCommand(newHookEventCommand(a, kind))
	}
	return cmd
}

func newHookPreReceiveCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var h app.PreReceiveOptions
	var pushers []string
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

Where nobody authenticates the pusher, two persons have to approve, since the one might be who
pushed. --pusher-from says what does:

  env:NAME=FORGE  a variable that the server sets to the pusher's login, which is looked for under
                  FORGE in the roster's logins. GL_USER (gitolite), GL_USERNAME (gitlab) and
                  GITEA_PUSHER_NAME (gitea) need no FORGE
  cert            a push certificate (git push --signed) under an SSH key of the roster; the server
                  needs receive.certNonceSeed

Exit status: 0 accepted; anything else refuses the push.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range pushers {
				p, err := app.ParsePusherSource(s)
				if err != nil {
					return usagef("--pusher-from: %w", err)
				}
				h.Pushers = append(h.Pushers, p)
			}
			status, err := a.PreReceive(cmd.Context(), opts.opts, h)
			if err != nil {
				return err
			}
			return exit(status)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringArrayVar(&pushers, "pusher-from", nil, "how this server authenticates who pushes: env:NAME, env:NAME=`FORGE` or cert; repeatable")
	cmd.Flags().StringArrayVar(&h.Refs, "ref", nil, "gate this `REF` (exact, or ending in /*); repeatable")
	return cmd
}

func newHookPrePushCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "pre-push [REMOTE [URL]]",
		Short: "Say before a push what the gate would",
		Long: `Pre-push is the hook of a developer's clone; sallyport init --hooks installs it. It judges each
branch that is pushed as if it were to land on its target, and prints why it would not.

It is advice. A refusal lets the push go on, unless git config sallyport.prePush is "block";
"off" makes the hook silent. git push --no-verify skips it, so nothing relies on it.

Exit status: 0 lets git go on; anything else stops the push.`,
		Args: cobra.MaximumNArgs(2), // git names the remote; what is judged does not depend on it
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := a.PrePush(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			return exit(status)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	return cmd
}
