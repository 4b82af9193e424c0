package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newFindingCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "finding",
		Short: "List what scans found in a change, accept it for a time, or learn what mends it",
		Long: `A finding is something that a scan saw in the new content of a change: a secret, a package with a
known hole, a name that looks like another's. Its id stays as long as what it is about does.`,
	}
	cmd.AddCommand(newFindingListCommand(a), newFindingAcceptCommand(a), newFindingFixCommand(a))
	return cmd
}

// changeOf takes the commit that a command may name in place of a change.
func (r *repoFlags) changeOf(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if r.opts.Target.Head != "" || r.opts.Target.Base != "" {
		return usagef("name a commit, or a change with --head and --base, not both")
	}
	r.opts.Target.Commit = strings.TrimPrefix(args[0], "git:")
	return nil
}

func newFindingListCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var out outputFlag
	var state string
	formats := []string{"text", "json", "sarif", "vulns"}
	states := []string{sallyport.FindingOpen, sallyport.FindingFixed, sallyport.FindingNotAffected, sallyport.FindingAccepted}
	cmd := &cobra.Command{
		Use:   "list [COMMIT]",
		Short: "List what scans found, in the state in which triage and exceptions leave it",
		Long: `List asks the merge gate what it would see, and records nothing: in the change that --target and
--head name, by default HEAD on its way to the target, or in one COMMIT against its parent.

A finding is open, fixed or not-affected (by a VEX statement that counts), or accepted (by an exception,
until it expires). A list is no decision: sallyport check merge is.

  sallyport finding list --target main
  sallyport finding list HEAD~3 --json
  sallyport finding list --output vulns=vulns.json

Exit status: 0 listed, whatever was found, 1 it could not be, 64 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if state != "" && !slices.Contains(states, state) {
				return usagef("--only: there are %s", strings.Join(states, ", "))
			}
			if err := opts.changeOf(args); err != nil {
				return err
			}
			sinks, err := out.sinks(formats...)
			if err != nil {
				return err
			}
			step, clear := progress(a)
			opts.opts.Progress = step
			l, err := a.FindingList(cmd.Context(), opts.opts)
			clear()
			if err != nil {
				return err
			}
			if l.Note != "" {
				fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(l.Note))
			}
			if state != "" {
				l.Findings = slices.DeleteFunc(l.Findings, func(f app.FindingView) bool { return f.State != state })
			}
			for _, s := range sinks {
				if err := s.write(a.Stdout, func(w io.Writer) error { return writeFindings(w, l, s.format) }); err != nil {
					return err
				}
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	out.addFlags(cmd.Flags(), formats...)
	cmd.Flags().StringVar(&state, "only", "", "list only what is in this `STATE`: "+strings.Join(states, ", "))
	return cmd
}

func writeFindings(w io.Writer, l *app.FindingList, format string) error {
	switch format {
	case "json":
		return printJSON(w, l)
	case "sarif":
		return render.SARIF(w, l.Decision(), "", app.Version())
	case "vulns":
		b, err := l.Vulns()
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	for _, f := range l.Findings {
		printFinding(w, f)
	}
	_, err := fmt.Fprintf(w, "%d findings, %d of them open, in %s on its way to %s\n", len(l.Findings), l.Open, l.Head.Short(), render.Clean(l.TargetRef))
	return err
}

func printFinding(w io.Writer, f app.FindingView) {
	state := f.State
	if f.State == sallyport.FindingAccepted {
		state += " until " + f.AcceptedUntil
	}
	fmt.Fprintf(w, "%s  %s  %s  %s\n", f.ID, orWord(string(f.Severity), "unrated"), render.Clean(f.Code), render.Clean(state))
	fmt.Fprintf(w, "    %s\n", render.Clean(f.Text))
	if p := f.Place(); p != "" {
		fmt.Fprintf(w, "    %s\n", render.Clean(p))
	}
}

func newFindingAcceptCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var fo app.FindingAcceptOptions
	var until string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "accept ID --until DATE --reason TEXT [--key KEY]",
		Short: "Sign that one finding is not to keep the gate shut, until a day",
		Long: `Accept signs an exception for exactly one finding of the change: for its reason code, its id, its rule
and its path, on the way to the target. The id stands for what was found, and so for one version of a package:
another version, another package or another path is another finding. It takes a person with the role security,
a touched security key, and no part in the change. What policy says may never be excepted is not, and
exceptions last no longer than exceptions.max_days allows.

Without --key nothing is signed: the answer says what would be, and who could.

The last day counts whole, in UTC. KEY is as for approval give. "sallyport exception revoke" ends it sooner.

Exit status: 0 signed, or told, 1 refused, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if fo.Until, err = day(until, true); err != nil {
				return err
			}
			r, err := a.FindingAccept(cmd.Context(), opts.opts, args[0], fo)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, r)
			}
			w := a.Stdout
			printFinding(w, r.Finding)
			if r.Note != "" {
				fmt.Fprintf(w, "note: %s\n", render.Clean(r.Note))
			}
			if r.Exception != nil {
				printException(w, *r.Exception)
				return nil
			}
			fmt.Fprintf(w, "nothing was signed: with --key this would be accepted until %s on the way to %s\n", r.Until, render.Clean(strings.Join(r.Refs, ", ")))
			fmt.Fprintf(w, "it takes the role %s, a touched security key and no part in the change: %s\n", strings.Join(r.Roles, ", "),
				render.Clean(orWord(strings.Join(r.Signers, ", "), "nobody in the roster")))
			return nil
		},
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	opts.addTargetFlags(f)
	f.StringVar(&until, "until", "", "last `DAY`, or a moment in RFC 3339")
	f.StringVar(&fo.Reason, "reason", "", "why, in `WORDS` for an auditor")
	f.StringVar(&fo.Ticket, "ticket", "", "where the work on it is followed")
	f.StringVar(&fo.Key, "key", "", "your `KEY`, as for approval give")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	for _, name := range []string{"until", "reason"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func newFindingFixCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fix ID [COMMIT]",
		Short: "Say what would mend a finding",
		Long: `Fix says what would mend a finding of the change, or of COMMIT against its parent, and does nothing. For a package it is the lowest version
above the one in use that no advisory of the local database is about, and the command of the package
manager that takes it. Whether the registry still has that version is not asked.

Exit status: 0 something mends it, 1 nothing is known that does, 64 wrong usage.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.changeOf(args[1:]); err != nil {
				return err
			}
			r, err := a.FindingFix(cmd.Context(), opts.opts, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(a.Stdout, r); err != nil {
					return err
				}
			} else {
				printFinding(a.Stdout, r.Finding)
				fmt.Fprintln(a.Stdout, render.Clean(r.Text))
				for _, c := range r.Commands {
					fmt.Fprintf(a.Stdout, "  %s\n", render.Clean(app.ShellWords(c)))
				}
			}
			return r.Err()
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
