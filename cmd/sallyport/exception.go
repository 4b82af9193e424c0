package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newExceptionCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exception",
		Short: "Hold a reason off for a time that ends, and look at who did",
		Long: `An exception is a signed word that a reason is not to keep a gate shut: for these refs, these
codes and this scope, for at most 180 days. It takes a person with the role security, a touched
security key, and no part in the change. What it holds off stays told in every decision.`,
	}
	cmd.AddCommand(newExceptionAddCommand(a), newExceptionListCommand(a), newExceptionShowCommand(a), newExceptionRevokeCommand(a))
	return cmd
}

type exceptionOptions struct {
	repoFlags
	app.ExceptionOptions
	from    string
	expires string
	days    int
	key     string
	why     string
	json    bool
}

func newExceptionAddCommand(a *app.App) *cobra.Command {
	var opts exceptionOptions
	cmd := &cobra.Command{
		Use:   "add --code CODE --path PATTERN --expires DAY|--days N --justification TEXT --key KEY",
		Short: "Sign that a reason is not to keep the gate shut",
		Long: `Add signs an exception, logs it and keeps it with the evidence.

Of --path, --finding, --rule, --package and --subject all kinds that are given must agree; of several of one
kind any will do. A reason is held off only if it says all that it is about and all of that is
covered. --everything covers all that the codes may say on the way to the refs; what is about who
made a change or what it hides (attestation-missing, unattributed, agent-not-approved, secret,
unscanned, hidden-unicode) cannot be excepted so widely, nor a secret by --finding without --path.
What the release gate finds is excepted for one release: --subject names its commit or file.

KEY is as for approval give. The last day of --expires counts whole, in UTC.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runExceptionAdd(cmd.Context(), a, opts) },
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	opts.addTargetFlags(f)
	f.StringArrayVar(&opts.Codes, "code", nil, "reason `CODE` to hold off (repeatable)")
	f.StringArrayVar(&opts.Refs, "ref", nil, "`REF` on whose way it holds (repeatable; default: the target)")
	f.StringArrayVar(&opts.Scope.Paths, "path", nil, "`PATTERN` of paths, such as testdata/** (repeatable)")
	f.StringArrayVar(&opts.Scope.Findings, "finding", nil, "`ID` of a finding (repeatable)")
	f.StringArrayVar(&opts.Scope.Rules, "rule", nil, "`RULE` that makes findings (repeatable)")
	f.StringArrayVar(&opts.Scope.Packages, "package", nil, "package `URL` with version (repeatable)")
	f.StringArrayVar(&opts.Scope.Subjects, "subject", nil, "`DIGEST` of a commit (gitCommit:...) or a released file (sha256:...) (repeatable)")
	f.BoolVar(&opts.Scope.Everything, "everything", false, "all that the codes may say")
	f.StringVar(&opts.Justification, "justification", "", "why, in `WORDS` for an auditor")
	f.StringVar(&opts.Ticket, "ticket", "", "where the work on it is followed")
	f.StringVar(&opts.from, "from", "", "`DAY` on which it begins (default: now)")
	f.StringVar(&opts.expires, "expires", "", "last `DAY`, or a moment in RFC 3339")
	f.IntVar(&opts.days, "days", 0, "how many `DAYS` it lasts, in place of --expires")
	f.StringVar(&opts.key, "key", "", "your `KEY`, as for approval give")
	f.BoolVar(&opts.json, "json", false, "print JSON")
	for _, name := range []string{"code", "justification", "key"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// day reads a day or a moment. A day stands for its first instant, or with last for its last.
func day(s string, last bool) (time.Time, error) {
	if d, err := time.Parse(time.DateOnly, s); err == nil {
		if last {
			return d.AddDate(0, 0, 1).Add(-time.Second), nil
		}
		return d, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, usagef("%q is neither a day such as 2027-01-31 nor a moment such as 2027-01-31T12:00:00Z", s)
	}
	return t, nil
}

func runExceptionAdd(ctx context.Context, a *app.App, opts exceptionOptions) error {
	var err error
	if opts.from != "" {
		if opts.From, err = day(opts.from, false); err != nil {
			return err
		}
	}
	switch {
	case opts.expires != "" && opts.days != 0:
		return usagef("give --expires or --days, not both")
	case opts.expires == "" && opts.days == 0:
		return usagef("an exception ends: give --expires DAY or --days N")
	case opts.days < 0:
		return usagef("--days is %d", opts.days)
	case opts.days > 0:
		from := opts.From
		if from.IsZero() {
			from = time.Now().Truncate(time.Second)
		}
		opts.Expires = from.AddDate(0, 0, opts.days)
	default:
		if opts.Expires, err = day(opts.expires, true); err != nil {
			return err
		}
	}
	v, err := a.AddException(ctx, opts.opts, opts.ExceptionOptions, opts.key)
	if err != nil {
		return err
	}
	if opts.json {
		return printJSON(a.Stdout, v)
	}
	printException(a.Stdout, v)
	return nil
}

func printException(w io.Writer, v app.ExceptionView) {
	state := "counts until " + v.Expires
	if !v.Counts {
		state = "does nothing: " + v.Why
	}
	fmt.Fprintf(w, "%s\n  %s\n", v.Attestation, render.Clean(state))
	line := func(name string, words ...string) {
		if s := strings.Join(words, ", "); s != "" {
			fmt.Fprintf(w, "  %-9s %s\n", name, render.Clean(s))
		}
	}
	line("codes", v.Codes...)
	if v.Everything {
		line("scope", "everything")
	}
	line("paths", v.Paths...)
	line("findings", v.Findings...)
	line("rules", v.Rules...)
	line("packages", v.Packages...)
	line("subjects", v.Subjects...)
	line("refs", v.Refs...)
	line("from", v.NotBefore)
	line("by", v.By)
	line("why", v.Justification)
	line("ticket", v.Ticket)
}

func newExceptionListCommand(a *app.App) *cobra.Command {
	var opts exceptionOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the exceptions that are kept here, with what each is worth",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.ListExceptions(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.Stdout, "there are no exceptions here")
			}
			for _, v := range list {
				printException(a.Stdout, v)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func newExceptionShowCommand(a *app.App) *cobra.Command {
	var opts exceptionOptions
	cmd := &cobra.Command{
		Use:   "show ATTESTATION",
		Short: "Show one exception",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := a.ShowException(cmd.Context(), opts.opts, args[0])
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, v)
			}
			printException(a.Stdout, v)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func newExceptionRevokeCommand(a *app.App) *cobra.Command {
	var opts exceptionOptions
	cmd := &cobra.Command{
		Use:   "revoke ATTESTATION --key KEY",
		Short: "End an exception now",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given, err := a.RevokeException(cmd.Context(), opts.opts, args[0], opts.why, opts.key)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "revoked %s as %s\nattestation %s\n", render.Clean(args[0]), given.Reviewer, given.Attestation)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.key, "key", "", "your `KEY`, as for approval give")
	cmd.Flags().StringVar(&opts.why, "justification", "", "why it ends")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}
