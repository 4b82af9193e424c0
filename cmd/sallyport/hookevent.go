package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/hook"
)

// newHookEventCommand answers one kind of event. It reads its own flags: an agent takes status 64, by which every
// other command says that it was used wrongly, for an accident, and goes on.
func newHookEventCommand(a *app.App, kind hook.Kind) *cobra.Command {
	return &cobra.Command{
		Use:   string(kind) + " --agent NAME",
		Short: "Answer an agent's hook: " + string(kind),
		Long: `An agent's hook, which sallyport hook install writes into its settings. It reads the agent's event from
standard input, asks the policy for tool calls, and answers in the agent's own contract: claude, codex,
gemini, copilot, cursor or opencode.

Exit status: the agent's. 2 refuses, in every case in which something goes wrong as well.`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var name string
			switch {
			case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
				return cmd.Help()
			case len(args) == 2 && args[0] == "--agent":
				name = args[1]
			case len(args) == 1 && strings.HasPrefix(args[0], "--agent="):
				name = strings.TrimPrefix(args[0], "--agent=")
			}
			agent, err := hook.ParseAgent(name)
			if err != nil {
				fmt.Fprintf(a.Stderr, "sallyport: error: hook %s: %s\n", kind, err)
				return exit(2)
			}
			answer := a.HookEvent(cmd.Context(), agent, kind)
			_, _ = a.Stderr.Write(answer.Stderr)
			if _, err := a.Stdout.Write(answer.Stdout); err != nil {
				return exit(2) // a refusal that nobody hears is none
			}
			return exit(answer.Exit)
		},
	}
}
