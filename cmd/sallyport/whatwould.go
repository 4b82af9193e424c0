package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newPolicyWhatWouldCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var last int
	var sets []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "what-would",
		Short: "Say what policy would have said about the changes that landed last",
		Long: `What-would judges the last changes of the target, one for each commit of its first-parent history,
by the policy in force there, and with --set also by the sets that are named: each a folder, as it
is in the work tree, or "baseline". The settings are those in force.

It is a rehearsal. Each change is judged as if it were about to land, at the time that its commit
gives, by the roster, the trust file and the evidence of today. Nothing is recorded.

Exit status: 0 done, whatever the answers; 1 could not; 64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if last < 1 || last > app.MaxWould {
				return usagef("--last %d: want 1 to %d", last, app.MaxWould)
			}
			step, clear := progress(a)
			opts.opts.Progress = step
			r, err := a.WhatWould(cmd.Context(), opts.opts, last, sets)
			clear()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, r)
			}
			var out bytes.Buffer
			printWould(&out, r, width(a.Stdout))
			_, err = a.Stdout.Write(out.Bytes())
			return err
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose history is read (default: the remote's default branch)")
	cmd.Flags().IntVar(&last, "last", 20, "how many changes")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "a policy set to compare with, a `FOLDER` or baseline; repeatable")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// outcomeOf is one answer in a word.
func outcomeOf(w *app.Would) string {
	switch {
	case w == nil:
		return "-"
	case w.Undecided:
		return "undecided"
	}
	return w.Outcome.String()
}

func printWould(out *bytes.Buffer, r app.WhatWould, width int) {
	fmt.Fprintf(out, "the last %d changes of %s, as if they were about to land\n", len(r.Changes), render.Clean(r.TargetRef))
	fmt.Fprintf(out, "  now       %s\n", setNames(r.Now))
	if r.Proposed != nil {
		fmt.Fprintf(out, "  proposed  %s\n", setNames(r.Proposed))
	}
	fmt.Fprintln(out)
	for _, c := range r.Changes {
		mark := " "
		if r.Proposed != nil && c.Now != nil && c.Proposed != nil && c.Now.Outcome != c.Proposed.Outcome {
			mark = "!"
		}
		line := fmt.Sprintf("%s %.12s  %-9s", mark, c.Commit.Hex(), outcomeOf(c.Now))
		if r.Proposed != nil {
			line += fmt.Sprintf("  %-9s", outcomeOf(c.Proposed))
		}
		fmt.Fprintln(out, cut(line+"  "+render.Clean(c.Title), width))
		detail := c.Error
		if c.Now != nil {
			detail = strings.Join(c.Now.Codes, ", ")
			if c.Proposed != nil && strings.Join(c.Proposed.Codes, ", ") != detail {
				detail = orNothing(detail) + "; proposed: " + orNothing(strings.Join(c.Proposed.Codes, ", "))
			}
		}
		if detail != "" {
			fmt.Fprintln(out, cut("                "+render.Clean(detail), width))
		}
	}
	fmt.Fprintln(out)
	totals(out, "now     ", r.Totals.Now)
	if r.Totals.Proposed != nil {
		totals(out, "proposed", *r.Totals.Proposed)
		fmt.Fprintf(out, "differs   %d stricter, %d looser, %d with other codes\n", r.Totals.Stricter, r.Totals.Looser, r.Totals.Reworded)
	}
	if r.Totals.Failed > 0 {
		fmt.Fprintf(out, "%d could not be judged\n", r.Totals.Failed)
	}
}

func totals(out *bytes.Buffer, name string, c app.WouldCounts) {
	fmt.Fprintf(out, "%s  %d open, %d waiting, %d shut", name, c.Open, c.Waiting, c.Shut)
	for i, code := range c.Common() {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(out, "%s%s in %d", sep, render.Clean(code), c.Codes[code])
	}
	fmt.Fprintln(out)
}

func setNames(sets []sallyport.PolicySet) string {
	var names []string
	for _, s := range sets {
		names = append(names, render.Clean(s.Name)+" "+s.Digest.Short())
	}
	return strings.Join(names, ", ")
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// cut shortens a line to what fits.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return strings.TrimRight(s, " ")
	}
	return strings.TrimRight(string([]rune(s)[:width-1]), " ") + "…"
}
