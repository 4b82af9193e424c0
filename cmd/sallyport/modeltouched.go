package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/trace"
)

func newModelTouchedCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "touched MODEL",
		Short: "Say which runs, commits, decisions and artifacts a model has touched",
		Long: `Touched looks at the verified statements of runs that are kept here or have travelled here, the decisions
of gates and the provenance of artifacts. A squashed or rebased run is found by the files that it wrote. What
does not verify, or is of a grade that policy does not accept, is listed apart as a claim, and nothing is derived from it.

MODEL is PROVIDER/NAME or the digest of an entry; it need not be in the registry. Looking back, a model is meant in any
spelling of its name.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := a.TouchedModel(cmd.Context(), opts.opts, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, t)
			}
			printTouched(a.Stdout, t)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printed is how many things of one kind are printed for a reader; JSON has all.
const printed = 50

func printTouched(w io.Writer, t app.ModelTouched) {
	fmt.Fprintf(w, "%s has touched %d runs, %d commits, %d files, %d decisions, %d artifacts\n",
		render.Clean(t.Model), len(t.Runs), len(t.Commits), len(t.Blobs), len(t.Decisions), len(t.Artifacts))
	section := func(name string, n int, line func(i int) string) {
		for i := range min(n, printed) {
			fmt.Fprintf(w, "  %-8s %s\n", name, render.Clean(line(i)))
		}
		if n > printed {
			fmt.Fprintf(w, "  %-8s and %d more: --json has all\n", name, n-printed)
		}
	}
	section("run", len(t.Runs), func(i int) string { return runLine(t.Runs[i]) })
	section("commit", len(t.Commits), func(i int) string { return t.Commits[i].ID + " (" + strings.Join(t.Commits[i].Why, ", ") + ")" })
	section("file", len(t.Blobs), func(i int) string { return t.Blobs[i] })
	section("decision", len(t.Decisions), func(i int) string {
		d := t.Decisions[i]
		return fmt.Sprintf("%s %s gate, %s, %s (%s)", d.ID.Short(), d.Gate, d.Outcome, d.Time, d.Why)
	})
	section("artifact", len(t.Artifacts), func(i int) string {
		return fmt.Sprintf("%s %s (%s)", t.Artifacts[i].Digest, t.Artifacts[i].Name, strings.Join(t.Artifacts[i].Why, ", "))
	})
	section("claim", len(t.Claims), func(i int) string { return runLine(t.Claims[i]) + ": " + t.Claims[i].Why })
	for _, n := range t.Notes {
		fmt.Fprintf(w, "  %-8s %s\n", "note", render.Clean(n))
	}
}

func runLine(r trace.Run) string {
	return fmt.Sprintf("%s by %s for %s, %s", r.ID, r.Agent, r.Operator, r.Started)
}
