package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newEvidenceCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "The attestations that are kept here, and how they travel",
		Long: `Attestations are kept in the state folder and travel on ` + app.EvidenceRef + `.
The ref is transport: nothing on it is believed before it verifies, and what is missing from it
is only missing. Find and attach do so for images in registries.`,
	}
	cmd.AddCommand(newEvidenceExportCommand(a), newEvidenceVerifyPackCommand(a), newEvidenceImportCommand(a), newEvidenceReanchorCommand(a),
		newEvidencePushCommand(a), newEvidenceFetchCommand(a), newEvidenceListCommand(a), newEvidenceShowCommand(a),
		newEvidenceVerifyCommand(a), newEvidencePruneCommand(a), newEvidencePublishCommand(a),
		newEvidenceFindCommand(a), newEvidenceAttachCommand(a),
	)
	return cmd
}

func newEvidencePublishCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Put every attestation that is kept here on " + app.EvidenceRef,
		Long: `Publish adds to ` + app.EvidenceRef + ` what the state folder holds and the ref does not, and
pushes nothing. Attest and approval give do so by themselves. Most want evidence push, which also
keeps what others have pushed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := a.PublishEvidence(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "%s holds the %d attestation(s) of the state folder\nnext: git push origin %s\n", app.EvidenceRef, n, app.EvidenceRef)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	return cmd
}

// travels is a command that moves evidence and tells how much.
func travels(a *app.App, asJSON *bool, opts *repoFlags, move func() (app.Travelled, error), say func(app.Travelled) string) error {
	step, clear := progress(a)
	opts.opts.Progress = step
	t, err := move()
	clear()
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(a.Stdout, t)
	}
	fmt.Fprintln(a.Stdout, say(t))
	for _, d := range t.Why {
		fmt.Fprintf(a.Stdout, "  left %s from %s: %s\n", orDash(d.Attestation.Short()), oneLine(d.Source), oneLine(d.Why))
	}
	if n := t.Left - len(t.Why); n > 0 {
		fmt.Fprintf(a.Stdout, "  and %d more\n", n)
	}
	if t.Note != "" {
		fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(t.Note))
	}
	return nil
}

func newEvidencePushCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var to app.TravelOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "push [REMOTE]",
		Short: "Add what is kept here to the evidence ref of a remote",
		Long: `Push fetches the remote's ` + app.EvidenceRef + `, adds what is kept here and verifies under the
rules in force, and pushes the union. It never takes anything away, and tries again where somebody
else was faster. REMOTE is origin, unless it is named.

Git runs without the repository's hooks and programs; for logging in, your own git configuration,
credential helpers and ssh are used.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to.Remote = first(args)
			return travels(a, &asJSON, &opts, func() (app.Travelled, error) { return a.PushEvidence(cmd.Context(), opts.opts, to) }, func(t app.Travelled) string {
				return fmt.Sprintf("pushed %d attestation(s) to %s, which had %d of them; %d stay here", t.Moved, oneLine(t.Remote), t.Known, t.Left)
			})
		},
	}
	addRulesFlags(&opts, cmd.Flags())
	cmd.Flags().BoolVar(&to.All, "all", false, "push what does not verify here too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newEvidenceFetchCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var from app.TravelOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fetch [REMOTE]",
		Short: "Add a remote's evidence to what is here",
		Long: `Fetch reads the remote's ` + app.EvidenceRef + ` and adds what verifies under the rules in force
to the local one. Nothing that is here is replaced, and what does not verify does not come in, so
that a ref which somebody flooded costs this command some time and the checks after it none.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from.Remote = first(args)
			return travels(a, &asJSON, &opts, func() (app.Travelled, error) { return a.FetchEvidence(cmd.Context(), opts.opts, from) }, func(t app.Travelled) string {
				return fmt.Sprintf("fetched %d attestation(s) from %s, had %d of them; %d left there", t.Moved, oneLine(t.Remote), t.Known, t.Left)
			})
		},
	}
	addRulesFlags(&opts, cmd.Flags())
	cmd.Flags().BoolVar(&from.All, "all", false, "fetch what does not verify here too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newEvidencePruneCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var remote string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Rebuild the evidence ref from what a known key signed",
		Long: `Prune replaces the local ` + app.EvidenceRef + ` by one without history that holds what a key of
the rules in force signed, and nothing else. With --remote, what the remote holds is kept by the
same rule, and its ref is replaced as well: that is the way back after somebody flooded it. A
server whose hook judges the ref lets it pass, since nothing is lost that could count.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return travels(a, &asJSON, &opts, func() (app.Travelled, error) { return a.PruneEvidence(cmd.Context(), opts.opts, remote) }, func(t app.Travelled) string {
				return fmt.Sprintf("kept %d attestation(s), dropped %d", t.Known, t.Left)
			})
		},
	}
	addRulesFlags(&opts, cmd.Flags())
	cmd.Flags().StringVar(&remote, "remote", "", "replace the ref of this `REMOTE` too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newEvidenceListCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var subject string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the attestations that are kept here, as they say of themselves",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, dropped, err := a.ListEvidence(cmd.Context(), opts.opts, subject)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, struct {
					Attestations []app.Listed        `json:"attestations"`
					Dropped      []sallyport.Dropped `json:"dropped"`
				}{list, dropped})
			}
			for _, l := range list {
				fmt.Fprintf(a.Stdout, "%s  %s\n  key %s, %d subject(s)%s\n", l.Attestation, oneLine(l.PredicateType), oneLine(orDash(l.Key)), len(l.Subjects), firstSubject(l.Subjects))
			}
			for _, d := range dropped {
				fmt.Fprintf(a.Stdout, "unreadable  %s\n  %s\n", oneLine(d.Source), oneLine(d.Why))
			}
			return nil
		},
	}
	addRulesFlags(&opts, cmd.Flags())
	cmd.Flags().StringVar(&subject, "subject", "", "only what is about this `SUBJECT`, as attest takes it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newEvidenceShowCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON, bundle bool
	cmd := &cobra.Command{
		Use:   "show DIGEST",
		Short: "Show one attestation, and whether it verifies",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.ShowEvidence(cmd.Context(), opts.opts, args[0])
			switch {
			case err != nil:
				return err
			case bundle:
				_, err = a.Stdout.Write(s.Bundle)
				return err
			case asJSON:
				return printJSON(a.Stdout, s)
			}
			fmt.Fprintf(a.Stdout, "attestation %s\ntype        %s\nkey         %s\nfrom        %s\n", s.Attestation, oneLine(s.PredicateType), oneLine(orDash(s.Key)), oneLine(s.Source))
			if s.Verified {
				fmt.Fprintf(a.Stdout, "verified    %s %s, %s\n", s.Signer.Kind, oneLine(orDash(s.Signer.Name)), orDash(string(s.Grade)))
			} else {
				fmt.Fprintf(a.Stdout, "unverified  %s\n", oneLine(s.Why))
			}
			for _, d := range s.Subjects {
				fmt.Fprintf(a.Stdout, "subject     %s\n", oneLine(string(d)))
			}
			fmt.Fprintln(a.Stdout, "predicate")
			return printJSON(a.Stdout, s.Statement.Predicate)
		},
	}
	addRulesFlags(&opts, cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&bundle, "bundle", false, "print the Sigstore bundle, byte for byte")
	cmd.MarkFlagsMutuallyExclusive("json", "bundle")
	return cmd
}

func newEvidenceVerifyCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify [SUBJECT]",
		Short: "Verify each attestation that is kept here, and say why one does not",
		Long: `Verify tells of each attestation that is kept here, or is about SUBJECT (as attest takes it),
under which key of the rules in force it verifies, at which grade, or why it does not.

Exit status: 0 there is one and all verify, 1 could not verify, 2 one does not or there is none,
64 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := a.VerifyEvidence(cmd.Context(), opts.opts, first(args))
			if err != nil {
				return err
			}
			good := 0
			for _, c := range all {
				if c.Verified {
					good++
				}
			}
			status := sallyport.ExitOpen
			if good < len(all) || good == 0 {
				status = sallyport.ExitShut
			}
			if asJSON {
				if err := printJSON(a.Stdout, all); err != nil {
					return err
				}
				return exit(status)
			}
			for _, c := range all {
				if c.Verified {
					fmt.Fprintf(a.Stdout, "verified  %s\n  type   %s\n  signer %s %s (%s)\n  grade  %s\n", c.Attestation, oneLine(c.PredicateType), c.Signer.Kind, oneLine(orDash(c.Signer.Name)), oneLine(c.Key), orDash(string(c.Grade)))
				} else {
					fmt.Fprintf(a.Stdout, "refused   %s\n  %s\n  from   %s\n", orDash(string(c.Attestation)), oneLine(c.Why), oneLine(c.Source))
				}
			}
			fmt.Fprintf(a.Stdout, "%d of %d verify\n", good, len(all))
			return exit(status)
		},
	}
	addRulesFlags(&opts, cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func firstSubject(ds []sallyport.Digest) string {
	if len(ds) == 0 {
		return ""
	}
	return ", " + oneLine(string(ds[0]))
}

// addRulesFlags adds the flags of a command that verifies by the rules in force.
func addRulesFlags(opts *repoFlags, f *pflag.FlagSet) {
	opts.addRepoFlags(f)
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose rules are in force (default: what CI says, else the remote's default branch)")
}
