package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newAgentBlameCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var bo app.BlameOptions
	var lines string
	var asJSON, porcelain bool
	cmd := &cobra.Command{
		Use:   "blame [REV] FILE",
		Short: "Print where each line of a file comes from: a person, a bot, or which run of which agent",
		Long: `Blame says of each line who made it, at what grade, and how that is known.

A line is joined to the record of a run by the commit that brought it, by the digest of its hunk, by
the tree or the file that the run left, or by comparing the file with what the run wrote: so it is
found after a squash, a rebase, a stripped trailer and under another author's name. Only evidence
that verifies and that policy accepts makes a line a run's. All else is a claim, and shown as one.

Without REV the file of the work tree is shown, and lines that no commit has are marked.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			step, clear := progress(a)
			opts.opts.Progress = step
			if bo.File = args[len(args)-1]; len(args) == 2 {
				bo.Revision = args[0]
			}
			var err error
			if bo.From, bo.To, err = lineRange(lines); err != nil {
				return wrongUse(cmd, err)
			}
			report, err := a.Blame(cmd.Context(), opts.opts, bo)
			clear()
			switch {
			case err != nil:
				return err
			case asJSON:
				return render.BlameJSON(a.Stdout, report)
			case porcelain:
				return render.BlamePorcelain(a.Stdout, report)
			}
			return render.Blame(a.Stdout, report, render.Options{Color: colour(a, a.Stdout), Width: width(a.Stdout)})
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose tip says who is who (default: what CI says, else the remote's default branch)")
	cmd.Flags().StringArrayVar(&opts.opts.Bundles, "bundle", nil, "an attestation bundle to consider beside those already kept; repeatable")
	cmd.Flags().StringVarP(&lines, "lines", "L", "", "only these lines: `FROM,TO`, FROM, or FROM,+COUNT")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&porcelain, "porcelain", false, "print as git blame --porcelain does, with headers of ours")
	cmd.MarkFlagsMutuallyExclusive("json", "porcelain")
	return cmd
}

// lineRange reads the lines of -L.
func lineRange(s string) (from, to int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	first, last, both := strings.Cut(s, ",")
	count := strings.HasPrefix(last, "+")
	if from, err = strconv.Atoi(first); err == nil && both && last != "" {
		to, err = strconv.Atoi(strings.TrimPrefix(last, "+"))
	}
	if err == nil && !both {
		to = from
	}
	if count {
		to += from - 1
	}
	if err != nil || from < 1 || (to != 0 && to < from) {
		return 0, 0, usagef("-L %q: it takes lines such as 10,20 or 10,+5", s)
	}
	return from, to, nil
}
