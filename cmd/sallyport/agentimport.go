package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newAgentImportCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var in app.ImportOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import [PATH]...",
		Short: "Import what other tools noted about who wrote what, as claims",
		Long: `Import reads the records of other tools and keeps them as claims: agent detect, agent blame and the
gate's input show them, and where evidence says otherwise they say so. Nobody's signature is on them
that the trust roots know, so they are never evidence and open nothing.

Without PATH it reads the notes of git-ai (refs/notes/ai) and the checkpoints of Entire, where the
repository has them. A PATH is a file, or a folder of .json and .jsonl files: Agent Trace records,
Chainloop's AI coding sessions, Entire's metadata; with --commit also a text that is about one commit,
such as that of a pull request. An import from the same place takes the place of the one before.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			step, clear := progress(a)
			opts.opts.Progress, in.Paths = step, args
			report, err := a.ImportClaims(cmd.Context(), opts.opts, in)
			clear()
			switch {
			case err != nil:
				return err
			case asJSON:
				return render.Indented(a.Stdout, report)
			}
			return render.Imports(a.Stdout, report, render.Options{Color: colour(a, a.Stdout), Width: width(a.Stdout)})
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&in.From, "from", "", "whose records: git-ai, agent-trace, entire, chainloop or text (default: by what they look like)")
	cmd.Flags().StringVar(&in.Commit, "commit", "", "the `REV` that a text or note is about")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
