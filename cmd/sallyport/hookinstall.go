package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/hook"
)

func newHookInstallCommand(a *app.App) *cobra.Command {
	var o hook.Options
	var managed, user, project, dry, show, asJSON bool
	cmd := &cobra.Command{
		Use:   "install AGENT",
		Short: "Make an agent ask Sallyport before it uses a tool",
		Long: `Install writes the hooks of AGENT (claude, codex, gemini, copilot, cursor or opencode) into its settings:
before and after each tool call, at each prompt, and at the start and the end of a session. What stands
in the file stays; a file that cannot be understood is left alone. The first time, a copy is kept beside it.

  --managed  the administrator's file, which the agent's user cannot edit; for Claude Code and Codex it
             switches off all other hooks
  --user     the file in your home
  --project  the file in this repository (the default)

Every agent has cases in which it goes on without an answer; they are printed. Hooks are advice: the wall is
the sandbox of a run and the merge gate (docs/hooks.md).

Exit status: 0 written, 1 could not be written, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			agent, err := hook.ParseAgent(args[0])
			if err != nil {
				return usagef("%w", err)
			}
			switch {
			case managed:
				o.Tier = hook.Managed
			case user:
				o.Tier = hook.User
			default:
				o.Tier = hook.Project
			}
			res, err := a.InstallHooks(agent, o, dry || show)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, res)
			}
			for _, f := range res.Files {
				if show {
					fmt.Fprintf(a.Stdout, "# %s\n%s", sallyport.Path(f.Path), f.Content)
					continue
				}
				fmt.Fprintf(a.Stdout, "%s %s\n", f.State, sallyport.Path(f.Path))
				if f.Backup != "" {
					fmt.Fprintf(a.Stdout, "  what it held before: %s\n", sallyport.Path(f.Backup))
				}
			}
			if show || o.Remove {
				return nil
			}
			fmt.Fprintf(a.Stdout, "%s goes on without an answer if:\n", agent)
			for _, s := range res.Opens {
				fmt.Fprintf(a.Stdout, "  - %s\n", s)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&managed, "managed", false, "write the administrator's settings")
	f.BoolVar(&user, "user", false, "write the settings in your home")
	f.BoolVar(&project, "project", false, "write the settings in this repository (the default)")
	f.BoolVar(&o.Remove, "uninstall", false, "take the hooks out again")
	f.BoolVar(&dry, "dry-run", false, "say what would be written")
	f.BoolVar(&show, "print", false, "print the files' new content instead of writing them")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&o.Binary, "binary", "", "the `PATH` of sallyport that hooks start (default: this program)")
	f.StringVar(&o.Root, "root-dir", "", "write managed settings below `FOLDER` instead of /, for an image")
	f.StringArrayVar(&o.Models, "model", nil, "the only `MODEL` that the agent may offer (managed settings of claude); repeatable")
	cmd.MarkFlagsMutuallyExclusive("managed", "user", "project")
	return cmd
}
