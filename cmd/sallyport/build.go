package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/build"
)

func newBuildCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var bo app.BuildOptions
	cmd := &cobra.Command{
		Use:   "build [--artifact GLOB]... --key REF -- COMMAND [ARGUMENT]...",
		Short: "Run a build step and attest what it did",
		Long: `Build runs COMMAND in the folder of --repo and signs SLSA provenance v1: the command, the commit
and whether the work tree was that commit, the lock files and the packages that they pin by digest, who
started it as the environment has it, digests of the output, the exit status. The artifacts that
--artifact names are its subjects.

  sallyport build --artifact 'dist/*' --key build.key -- make release

The command's output passes through, and a signal ends it and its children. A run that fails, is
interrupted, takes too long or cannot start is attested as failed, about the commit alone. What
it says of CI is declared, since each step of a job can set these variables, unless a token in
SALLYPORT_CI_TOKEN states it and verifies under the keys that the pinned configuration names.

Exit status: that of COMMAND if it fails (126 and 127 if it cannot be run, 128 and the signal if one
ended it, 124 after --timeout); else 0 attested, 1 it could not be, 64 wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bo.Args = args
			return runBuild(cmd.Context(), a, opts, bo)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringArrayVar(&bo.Artifacts, "artifact", nil, "files that the run makes: a `GLOB` from its folder, such as dist/** (repeatable)")
	f.StringArrayVar(&bo.Env, "env", nil, "record the value of the variable `NAME`; refused for names of secrets (repeatable)")
	f.StringVar(&bo.Key, "key", "", "the signing key `REF`: a file that sallyport key generate wrote")
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose pinned configuration says which CI tokens are believed (default: the remote's default branch)")
	f.StringVar(&bo.Bundle, "bundle", "", "write the signed provenance to `FILE` instead of keeping it")
	f.StringVar(&bo.Output, "output", "", "write provenance.sigstore.json and link.sigstore.json to `DIR` instead of keeping them")
	f.StringVar(&bo.Link, "link", "", "also write signed in-toto link metadata to `FILE`")
	f.StringVar(&bo.Step, "step", "build", "the `NAME` of the step in link metadata")
	f.StringVar(&bo.Statement, "statement", "", "write the unsigned statement to `FILE`, for other signers")
	f.StringVar(&bo.Logs, "logs", "", "keep the first 16 MiB of each stream in `DIR`")
	f.StringVar(&bo.Builder, "builder", "", "name the builder by this `URI` (default: the CI workflow, else "+build.LocalBuilder+")")
	f.DurationVar(&bo.Timeout, "timeout", 0, "end the command after `DURATION`, such as 30m")
	f.BoolVar(&bo.AllowUnchanged, "allow-unchanged", false, "take artifacts that lay there before and were not touched, and mark them")
	f.BoolVar(&bo.RequireClean, "require-clean", false, "refuse to build if the work tree is not the commit")
	return cmd
}

func runBuild(ctx context.Context, a *app.App, opts repoFlags, bo app.BuildOptions) error {
	// An interrupt is the command's to die of, and ours to attest.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	// Handled, not ignored: the command would inherit the latter, and "yes | head" would not end.
	gone := make(chan os.Signal, 1)
	signal.Notify(gone, syscall.SIGPIPE)
	defer signal.Stop(gone)
	bo.Signals, bo.Environ = signals, os.Environ()
	bo.Stdin, _ = a.Stdin.(*os.File)
	res, err := a.Build(context.WithoutCancel(ctx), opts.opts, bo)
	if err != nil {
		if r := res.Result; r.Ended != "" && r.Failed() {
			printError(a.Stderr, err)
			return exit(r.ExitStatus)
		}
		return err
	}
	fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(buildSummary(res)))
	return exit(res.Result.ExitStatus)
}

// buildSummary is the line that says what was attested. Standard output is the command's.
func buildSummary(res app.Built) string {
	var s strings.Builder
	r := res.Result
	switch {
	case r.Ended == build.NotStarted:
		fmt.Fprintf(&s, "the command could not be run: %s", r.Why)
	case r.Failed():
		fmt.Fprintf(&s, "the run failed (%s, status %d)", r.Ended, r.ExitStatus)
	default:
		fmt.Fprintf(&s, "%d artifact(s) of %s", len(res.Artifacts), res.Commit)
	}
	if res.Attestation.Zero() {
		s.WriteString(", in an unsigned statement")
	} else {
		fmt.Fprintf(&s, ", attested in %s", res.Attestation)
	}
	for _, n := range res.Notes {
		s.WriteString("; " + n)
	}
	return s.String()
}
