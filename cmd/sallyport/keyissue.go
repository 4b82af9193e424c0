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
)

func newKeyIssueCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var issue app.IssueOptions
	var principal string
	cmd := &cobra.Command{
		Use:   "issue --ca REF --principal KIND:NAME -- COMMAND [ARGUMENT]...",
		Short: "Make a key that lives for one run, and run a command that can sign with it",
		Long: `Issue makes a key in memory, has the authority --ca certify that it belongs to one run, writes that
into the log, and runs COMMAND, which finds the key as $SALLYPORT_RUN_KEY:

  sallyport key issue --ca awskms:///alias/run-ca --principal workload:run-supervisor --operator alice -- \
    sh -c 'sallyport attest git:HEAD --type agent-run --predicate run.json --key "$SALLYPORT_RUN_KEY" …'

The key signs statements that name this run and repository, and nothing else, until its certificate
ends or COMMAND does. Programs of the same user can use it, so that what it signs is declared. It
counts where trust.yaml names the authority under run_authorities, and if a timestamp proves that it
was signed in time (attest --timestamp-server-url).

Exit status: that of COMMAND; 1 if there is no key, 64 wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, ok := strings.Cut(principal, ":")
			if !ok {
				return usagef("--principal %q: want KIND:NAME, such as workload:run-supervisor", principal)
			}
			issue.Args, issue.Principal = args, sallyport.Principal{Kind: sallyport.PrincipalKind(kind), Name: name}
			return runIssue(cmd.Context(), a, opts, issue)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringVar(&issue.Authority, "ca", "", "the authority's key, `REF`: a file, awskms://…, hashivault://…, pkcs11:… (docs/keys.md)")
	f.StringVar(&principal, "principal", "", "whose word the signatures are, `KIND:NAME`: workload, agent or bot")
	f.StringVar(&issue.Run, "run", "", "the run's `ID` (default: a new one)")
	f.StringVar(&issue.Operator, "operator", "", "who started the run, an `ID` of the roster")
	f.StringVar(&issue.Repository, "repository", "", "the repository's `NAME` (default: the one of the configuration in force)")
	f.StringVar(&issue.Audience, "audience", "", "who is meant to rely on it: the `NAME` that trust.yaml asks for")
	f.DurationVar(&issue.Validity, "for", 0, "how long the certificate is valid: a `DURATION` from 1m to 1h (default 15m)")
	for _, name := range []string{"ca", "principal"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func runIssue(ctx context.Context, a *app.App, opts repoFlags, issue app.IssueOptions) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	issue.Signals, issue.Environ = signals, os.Environ()
	issue.Stdin, _ = a.Stdin.(*os.File)
	issue.Stdout, issue.Stderr = a.Stdout, a.Stderr
	res, err := a.IssueRunKey(context.WithoutCancel(ctx), opts.opts, issue)
	if err != nil {
		return err
	}
	failed := ""
	if why := res.Result.Why; why != "" {
		failed = "the command could not be run: " + oneLine(why) + "; "
	}
	fmt.Fprintf(a.Stderr, "sallyport: note: %srun %s signed %d statement(s); its certificate %s is in the log as %s\n",
		failed, oneLine(res.RunID), len(res.Signed), res.Certificate.Short(), res.Statement)
	return exit(res.Result.ExitStatus)
}
