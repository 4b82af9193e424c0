package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newPolicyCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "The rules: list, test, mend and try them"}
	cmd.AddCommand(newPolicyShowCommand(a), newPolicyTestCommand(a), newPolicyEvalCommand(a),
		newPolicyLintCommand(a), newPolicyUpgradeCommand(a), newPolicyWhatWouldCommand(a))
	return cmd
}

func newPolicyShowCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [CODE]",
		Short: "Print the policy in force here and what each rule is for",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			show, err := a.PolicyShow(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				kept := show.Rules[:0:0]
				for _, r := range show.Rules {
					if r.Code == args[0] {
						kept = append(kept, r)
					}
				}
				if len(kept) == 0 {
					return usagef("no rule has the code %q: sallyport policy show lists them", args[0])
				}
				show.Rules = kept
			}
			if asJSON {
				return printJSON(a.Stdout, show)
			}
			fmt.Fprintf(a.Stdout, "policy from %s", show.Source)
			for _, s := range show.Sets {
				fmt.Fprintf(a.Stdout, "\n  set %-12s %s", s.Name, s.Digest)
			}
			fmt.Fprintf(a.Stdout, "\n  level %s\n", show.Level)
			for _, r := range show.Rules {
				fmt.Fprintf(a.Stdout, "\n%s  (%s, %s)\n  %s\n  why: %s\n  next: %s\n", r.Code, r.Outcome, r.Severity, r.Title, r.Why, strings.ReplaceAll(r.Remedy, "{head}", "COMMIT"))
				if m := show.ModeOf(r); m != "" {
					fmt.Fprintf(a.Stdout, "  %s\n", m)
				}
				if len(r.Labels) > 0 {
					fmt.Fprintf(a.Stdout, "  %s\n", strings.Join(r.Labels, " · "))
				}
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newPolicyTestCommand(a *app.App) *cobra.Command {
	var output outputFlag
	formats := []string{"text", "json", "junit"}
	cmd := &cobra.Command{
		Use:   "test [FOLDER]",
		Short: "Run the cases of a policy set",
		Long: `Test compiles the policy set in FOLDER (Rego files, data.json, and cases in *_test.yaml) and runs
its cases. Without FOLDER it runs the cases of the built-in baseline.

Exit status: 0 all pass, 1 could not run, 2 some fail, 64 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sinks, err := output.sinks(formats...)
			if err != nil {
				return err
			}
			folder := ""
			if len(args) == 1 {
				folder = args[0]
			}
			res, err := a.PolicyTest(cmd.Context(), folder)
			if err != nil {
				return err
			}
			for _, s := range sinks {
				if err := s.write(a.Stdout, func(w io.Writer) error { return renderCases(w, s.format, res) }); err != nil {
					return err
				}
			}
			if res.Failed() > 0 {
				return exitStatus(sallyport.ExitShut)
			}
			return nil
		},
	}
	output.addFlags(cmd.Flags(), formats...)
	return cmd
}

// renderCases writes what running cases gave.
func renderCases(w io.Writer, format string, res policy.Results) error {
	switch format {
	case "json":
		return printJSON(w, res)
	case "junit":
		s := render.Suite{Name: "policy set " + res.Set}
		for _, c := range res.Cases {
			k := render.SuiteCase{Class: "policy." + res.Set + "." + strings.TrimSuffix(c.File, "_test.yaml"), Name: c.Note, Kind: "verdict", Failure: c.Why}
			if !c.Pass && k.Failure == "" {
				k.Failure = "it failed"
			}
			s.Cases = append(s.Cases, k)
		}
		return render.JUnitSuite(w, s)
	}
	for _, c := range res.Cases {
		if !c.Pass {
			fmt.Fprintf(w, "FAIL %s: %s\n  %s\n", oneLine(c.File), oneLine(c.Note), oneLine(c.Why))
		}
	}
	for _, code := range res.Unproved {
		fmt.Fprintf(w, "no case wants %s\n", oneLine(code))
	}
	_, err := fmt.Fprintf(w, "%d passed, %d failed\n", len(res.Cases)-res.Failed(), res.Failed())
	return err
}

func newPolicyEvalCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var input string
	cmd := &cobra.Command{
		Use:   "eval --input FILE",
		Short: "Evaluate the policy in force here over an input document; nothing is recorded",
		Long: `Eval prints what the policy says about an input document, such as the one that
sallyport explain DECISION --input prints. It is a rehearsal: it records nothing and opens nothing.

Exit status: as check merge, without its mode.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := readLimited(a, input, 64<<20)
			if err != nil {
				return err
			}
			v, err := a.PolicyEval(cmd.Context(), opts.opts, b)
			if err != nil {
				return err
			}
			if err := printJSON(a.Stdout, v); err != nil {
				return err
			}
			return exit(sallyport.Decision{Outcome: v.Outcome, Mode: sallyport.Enforce}.ExitStatus())
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&input, "input", "", "the input document in `FILE` (- is standard input)")
	_ = cmd.MarkFlagRequired("input")
	return cmd
}
