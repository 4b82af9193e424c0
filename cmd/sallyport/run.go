package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/run/profile"
)

func newRunCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var ro app.RunOptions
	var report string
	cmd := &cobra.Command{
		Use:   "run [--agent NAME] -- COMMAND [ARGUMENT]...",
		Short: "Run an agent under supervision, and seal what it did",
		Long: `Run starts an agent's command in this checkout, or with --worktree in a work tree of its own. It
confines it as the configuration in force asks (runs: in sallyport.yaml), cleans its environment,
stands between it and its model, records what it does, and at the end signs an agent-run attestation
about every line it wrote, which the merge gate accepts as trust.yaml and roster.yaml say:

  sallyport run -- claude
  sallyport run --agent my-agent --operator alice -- ./agent.sh "fix the tests"

These agents are known: ` + strings.Join(profile.Names(), ", ") + `.
Any other command runs as well.

Where the supervisor runs under your own user, its word is declared, and the attestation says so.

Exit status: that of COMMAND; 1 if the run could not be supervised or its record not be sealed, even
if COMMAND succeeded; 64 wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ro.Args = args
			return runRun(cmd.Context(), a, opts, ro, report)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringVar(&ro.Agent, "agent", "", "the agent's `NAME`, as the roster has it (default: what COMMAND is recognised as)")
	f.StringVar(&ro.Operator, "operator", "", "who starts it, an `ID` of the roster (default: whose address git would put on a commit)")
	f.BoolVar(&ro.Worktree, "worktree", false, "work in a new work tree, on the branch agent/RUN")
	f.StringVar(&ro.Model, "model", "", "the `NAME` of the model, for agents that have to be told in their configuration")
	f.StringVar(&ro.Key, "key", "", "the key `REF` that signs the record (default: the local one, in the state folder)")
	f.StringVar(&ro.Authority, "ca", "", "the key `REF` of a run authority, which certifies a key for this run alone")
	f.StringVar(&report, "report", "", "write what became of the run to `FILE`, as JSON")
	return cmd
}

func runRun(ctx context.Context, a *app.App, opts repoFlags, ro app.RunOptions, report string) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	ro.Signals, ro.Environ = signals, os.Environ()
	ro.Stdin, _ = a.Stdin.(*os.File)
	ro.Stdout, _ = a.Stdout.(*os.File)
	ro.Stderr, _ = a.Stderr.(*os.File)
	// The record is sealed whoever wants to stop: signals reach the command, and it ends.
	rep, err := a.Run(context.WithoutCancel(ctx), opts.opts, ro)
	if rep != nil {
		// One line, since the agent's own words stand beside it.
		said := append([]string{}, rep.Notes...)
		if rep.Sealed {
			said = append([]string{fmt.Sprintf("run %s of %s by %s: %d commit(s), %d file(s); its record of %d entries is sealed, and attested as %s",
				rep.RunID, rep.Agent, rep.Operator, len(rep.Commits), len(rep.Files), rep.Records, rep.Attestation)}, said...)
		}
		if len(said) > 0 {
			fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(strings.Join(said, "; ")))
		}
		if report != "" {
			if werr := writeReport(report, rep); werr != nil && err == nil {
				err = werr
			}
		}
	}
	switch {
	case err != nil:
		return err
	case !rep.Sealed:
		return app.ErrNotSealed
	case rep.ExitStatus == sallyport.ExitOpen:
		return nil
	}
	return exit(rep.ExitStatus)
}

func writeReport(name string, rep *app.RunReport) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := printJSON(f, rep); err != nil {
		f.Close()
		return fmt.Errorf("write the report: %w", err)
	}
	return f.Close()
}
