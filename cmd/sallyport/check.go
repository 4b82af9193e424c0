package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newCheckCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Ask a gate for its decision"}
	cmd.AddCommand(newCheckMergeCommand(a), newCheckReleaseCommand(a))
	return cmd
}

// repoFlags say which repository and which change a command is about.
type repoFlags struct {
	opts app.Options
}

func (r *repoFlags) addRepoFlags(f *pflag.FlagSet) {
	f.StringVarP(&r.opts.Repo, "repo", "C", ".", "the repository: a checkout or a bare repository")
	f.StringVar(&r.opts.StateDir, "state", "", "where decisions, the log and evidence are kept (default: sallyport in the git directory)")
	f.StringVar(&r.opts.Pin, "root", "", "the `DIGEST` of the root that was pinned outside the repository (default: $SALLYPORT_ROOT)")
}

func (r *repoFlags) addTargetFlags(f *pflag.FlagSet) {
	f.StringVar(&r.opts.Target.Head, "head", "", "the commit that would land (default: what CI says, else HEAD)")
	f.StringVar(&r.opts.Target.Ref, "target", "", "the `REF` it would land on (default: what CI says, else the remote's default branch)")
	f.StringVar(&r.opts.Target.Base, "base", "", "the target's tip (default: as this repository sees it)")
	f.StringArrayVar(&r.opts.Bundles, "bundle", nil, "an attestation bundle to consider beside those already kept; repeatable")
}

type checkMergeOptions struct {
	repoFlags
	output outputFlag
}

func newCheckMergeCommand(a *app.App) *cobra.Command {
	var opts checkMergeOptions
	cmd := &cobra.Command{
		Use:   "merge",
		Short: "Decide whether a change may be merged",
		Long: `Check merge recomputes what landing a change would do, attributes every line of it, collects
and verifies evidence about it, evaluates the policy of the target ref, records the decision
in the log and prints it.

In GitHub Actions and GitLab CI the change is what the job is about; elsewhere it is HEAD
against the remote's default branch.

What --sarif and --junit bring can make the check stricter: results in the change and failed tests
are findings. That they find nothing counts only where a verified statement binds them to the head
(see docs/scans.md).

A check on the machine of whoever wrote the change is advice, and says so.

Exit status:
  0   the gate is open (or the mode does not enforce)
  1   no decision could be made; treat the gate as shut
  2   the gate is shut; the reasons are on standard output
  3   the gate waits for a person's approval
  64  the command was used wrongly`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCheckMerge(cmd.Context(), a, opts) },
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().StringArrayVar(&opts.opts.SARIF, "sarif", nil, "a SARIF 2.1.0 `FILE` that another tool wrote about the head; repeatable")
	cmd.Flags().StringArrayVar(&opts.opts.JUnit, "junit", nil, "a JUnit XML `FILE` with the results of tests of the head; repeatable")
	opts.output.addFlags(cmd.Flags(), decisionFormats...)
	return cmd
}

// decisionFormats are the forms in which a decision is written.
var decisionFormats = []string{"text", "json", "sarif", "junit", "markdown"}

func runCheckMerge(ctx context.Context, a *app.App, opts checkMergeOptions) error {
	sinks, err := opts.output.sinks(decisionFormats...)
	if err != nil {
		return err
	}
	// A reader that went away is told as every other answer that could not be given, instead of by
	// the signal that ends most programs without a word.
	signal.Ignore(syscall.SIGPIPE)
	step, clear := progress(a)
	opts.opts.Progress = step
	report, err := a.CheckMerge(ctx, opts.opts)
	clear()
	if err != nil {
		return err
	}
	if report.Note != "" {
		fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(report.Note))
	}
	for _, s := range sinks {
		if err := s.write(a.Stdout, func(w io.Writer) error { return renderReport(a, w, s, report) }); err != nil {
			return err
		}
	}
	return exit(report.Decision.ExitStatus())
}

func renderReport(a *app.App, w io.Writer, s sink, r app.Report) error {
	if s.format == "markdown" {
		return render.Markdown(w, r.Decision, r.Receipt.ID, render.Summary{Missing: r.Missing(), Reviewers: r.Reviewers})
	}
	return renderDecision(a, w, s, r.Decision, r.Receipt.ID, &render.LogEntry{Origin: r.Receipt.Origin, Index: r.Receipt.Index}, func(o render.Options) error {
		return render.Told(w, r.Decision, r.Input.Findings, r.Input.Reports, o)
	})
}

// renderDecision writes a decision of any gate; more writes what a person wants to know beside it.
func renderDecision(a *app.App, w io.Writer, s sink, d sallyport.Decision, id sallyport.Digest, entry *render.LogEntry, more func(render.Options) error) error {
	switch s.format {
	case "json":
		return render.JSON(w, d, id, entry)
	case "sarif":
		return render.SARIF(w, d, id, app.Version())
	case "junit":
		return render.JUnit(w, d, id)
	}
	o := render.Options{Color: s.file == "-" && colour(a, a.Stdout), Width: width(a.Stdout)}
	if err := render.Text(w, d, id, o); err != nil {
		return err
	}
	return more(o)
}
