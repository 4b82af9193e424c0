package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newExplainCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON, input, vsa bool
	cmd := &cobra.Command{
		Use:   "explain DECISION",
		Short: "Derive a recorded decision again and show each rule's part in it",
		Long: `Explain takes a decision's digest (or the start of it) and derives the decision again from what
was recorded: the policy input and the policy sets, byte for byte. It compares the outcome and
every reason, and shows which rules spoke and which were silent.

Exit status: 0 the same decision follows, 1 could not derive it, 2 another one follows, 64 wrong
usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			x, err := a.Explain(cmd.Context(), opts.opts, args[0])
			if err != nil {
				return err
			}
			switch {
			case input:
				_, err = fmt.Fprintf(a.Stdout, "%s\n", x.Input)
				return err
			case vsa:
				_, err = fmt.Fprintf(a.Stdout, "%s\n", x.VSA)
				return err
			case asJSON:
				err = printJSON(a.Stdout, x)
			default:
				err = render.Explanation(a.Stdout, explained(x), render.Options{Color: colour(a, a.Stdout), Width: width(a.Stdout)})
			}
			if err != nil {
				return err
			}
			if !x.Same {
				return exitStatus(sallyport.ExitShut)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&vsa, "vsa", false, "print the decision's signed verification summary (SLSA VSA) only")
	cmd.Flags().BoolVar(&input, "input", false, "print the recorded policy input only")
	return cmd
}

func explained(x app.Explanation) render.Explained {
	e := render.Explained{ID: x.ID, Decision: x.Decision, Same: x.Same, Differs: x.Differs}
	for _, r := range x.Rules {
		e.Rules = append(e.Rules, render.ExplainedRule{Set: r.Set, Code: r.Code, Title: r.Title, Spoke: r.Spoke})
	}
	return e
}
