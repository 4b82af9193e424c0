package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newApprovalCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approval",
		Short: "Ask for, look at, give and take back approvals",
		Long: `An approval is a reviewer's signature over exact content: the repository, the target ref, the
head commit, its tree, the tree of the merge result, the policy sets and the text that the
reviewer was shown. One new byte makes it stale. Nobody approves their own: operators of the
runs involved, commit authors, co-authors and signers, and the pusher are not eligible.`,
	}
	cmd.AddCommand(newApprovalRequestCommand(a), newApprovalListCommand(a), newApprovalShowCommand(a),
		newApprovalGiveCommand(a), newApprovalRevokeCommand(a))
	return cmd
}

type approvalOptions struct {
	repoFlags
	key     string
	openpgp string
	yes     bool
	decline bool
	json    bool
}

// subject takes the commit from the command line, as a digest or as a revision.
func (o *approvalOptions) subject(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if o.opts.Target.Head != "" {
		return usagef("name the commit once: as an argument or with --head")
	}
	o.opts.Target.Head = strings.TrimPrefix(args[0], "gitCommit:")
	return nil
}

// reviewerKey settles by which key a reviewer signs.
func (o *approvalOptions) reviewerKey() error {
	switch {
	case o.key == "" && o.openpgp == "":
		return usagef("required flag(s) \"key\" or \"openpgp\" not set: name the key that signs")
	case o.key != "" && o.openpgp != "":
		return usagef("--key and --openpgp name two keys: one signs")
	case o.openpgp != "":
		o.key = app.OpenPGPKey + o.openpgp
	}
	return nil
}

func newApprovalRequestCommand(a *app.App) *cobra.Command {
	var opts approvalOptions
	cmd := &cobra.Command{
		Use:   "request [COMMIT]",
		Short: "Ask for the approvals that a change still needs",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.subject(args); err != nil {
				return err
			}
			req, err := a.RequestApproval(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, req)
			}
			if req.Missing == 0 {
				fmt.Fprintf(a.Stdout, "%s has the approvals that it needs for %s: nothing was asked for\n", req.Head, req.TargetRef)
				return nil
			}
			fmt.Fprintf(a.Stdout, "asked for %d approval(s) of %s onto %s\n", req.Missing, req.Head, req.TargetRef)
			fmt.Fprintf(a.Stdout, "eligible: %s\n", orNone(req.Eligible))
			fmt.Fprintf(a.Stdout, "next: a reviewer runs sallyport approval give %s --target %s --key KEY\n", req.Head, req.TargetRef)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func newApprovalListCommand(a *app.App) *cobra.Command {
	var opts approvalOptions
	cmd := &cobra.Command{
		Use:   "list [COMMIT]",
		Short: "List what was asked for, and the approvals of a change with what each is worth",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.subject(args); err != nil {
				return err
			}
			list, err := a.ListApprovals(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, list)
			}
			if err := render.Approvals(a.Stdout, list.Approvals, list.Required, render.Options{Color: colour(a, a.Stdout), Width: width(a.Stdout)}); err != nil {
				return err
			}
			for _, o := range list.Objections {
				fmt.Fprintf(a.Stdout, "\n  %s by %s of %s\n    %s\n", o.Verdict, render.Clean(o.Reviewer), render.Clean(o.Of), o.Attestation)
			}
			for _, r := range list.Requests {
				fmt.Fprintf(a.Stdout, "asked %s for %s onto %s\n", render.Clean(r.Asked), r.Head, render.Clean(r.TargetRef))
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func newApprovalShowCommand(a *app.App) *cobra.Command {
	var opts approvalOptions
	cmd := &cobra.Command{
		Use:   "show [COMMIT]",
		Short: "Show on one screen what an approval would vouch for",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.subject(args); err != nil {
				return err
			}
			c, err := a.Ceremony(cmd.Context(), opts.opts, "")
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, c)
			}
			_, err = io.WriteString(a.Stdout, c.Screen)
			return err
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func newApprovalGiveCommand(a *app.App) *cobra.Command {
	var opts approvalOptions
	cmd := &cobra.Command{
		Use:   "give [COMMIT] --key KEY | --openpgp FINGERPRINT",
		Short: "Look at a change and sign that you vouch for exactly it",
		Long: `Give shows what you are about to vouch for, asks, and signs with your key.

KEY is one of
  PATH                     a private key file; security keys (sk-) are touched through ssh-keygen
  ssh-agent:FINGERPRINT    a key in the running ssh-agent
  simulated-sk:PATH        a simulated security key, for demonstrations and tests only

With --openpgp gpg signs, with the OpenPGP key of that fingerprint. Nothing in such a signature tells a
key on a card from one in a file, so it is graded declared: it counts only where the policy's
approval_grades say so.

Whether the key counts, and at which grade, is decided by the roster on the target ref.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.subject(args); err != nil {
				return err
			}
			if err := opts.reviewerKey(); err != nil {
				return err
			}
			return runApprovalGive(cmd.Context(), a, opts)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.key, "key", "", "the reviewer's `KEY`")
	cmd.Flags().StringVar(&opts.openpgp, "openpgp", "", "let gpg sign with the OpenPGP key of this `FINGERPRINT`")
	cmd.Flags().BoolVar(&opts.yes, "yes", false, "do not ask (the screen is printed all the same)")
	cmd.Flags().BoolVar(&opts.decline, "decline", false, "sign that you decline the change instead")
	return cmd
}

func runApprovalGive(ctx context.Context, a *app.App, opts approvalOptions) error {
	c, err := a.Ceremony(ctx, opts.opts, opts.key)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(a.Stdout, c.Screen); err != nil {
		return err
	}
	verb := "approve"
	if opts.decline {
		verb = "decline"
	}
	if c.Worthless != "" {
		fmt.Fprintf(a.Stdout, "\nWHAT YOU SIGN WILL NOT COUNT: %s\n", c.Worthless)
	}
	if !opts.yes {
		if !isTerminal(a.Stdout) {
			return usagef("approval give asks before it signs: run it in a terminal, or pass --yes after reading approval show")
		}
		fmt.Fprintf(a.Stdout, "\nType %q to sign with %s: ", verb, opts.key)
		answer, err := bufio.NewReader(io.LimitReader(a.Stdin, 64)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the answer: %w", err)
		}
		if strings.TrimSpace(answer) != verb {
			return errors.New("nothing was signed")
		}
	}
	given, err := a.GiveApproval(ctx, opts.opts, c, opts.key, opts.decline)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "\n%s signed as %s (%s)\nattestation %s\n", verb, given.Reviewer, given.Key, given.Attestation)
	if given.Why != "" {
		fmt.Fprintf(a.Stdout, "it does not count: %s\n", given.Why)
	}
	if given.Missing > 0 {
		fmt.Fprintf(a.Stdout, "%d more approval(s) by another eligible person needed\n", given.Missing)
	}
	return nil
}

func newApprovalRevokeCommand(a *app.App) *cobra.Command {
	var opts approvalOptions
	cmd := &cobra.Command{
		Use:   "revoke ATTESTATION --key KEY | --openpgp FINGERPRINT",
		Short: "Take back an approval that you gave",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.reviewerKey(); err != nil {
				return err
			}
			given, err := a.RevokeApproval(cmd.Context(), opts.opts, args[0], opts.key)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "revoked %s as %s\nattestation %s\n", args[0], given.Reviewer, given.Attestation)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.key, "key", "", "the reviewer's `KEY`, as for approval give")
	cmd.Flags().StringVar(&opts.openpgp, "openpgp", "", "let gpg sign with the OpenPGP key of this `FINGERPRINT`")
	return cmd
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nobody in the roster"
	}
	return strings.Join(names, ", ")
}
