package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newPolicyLintCommand(a *app.App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "lint [SET]...",
		Short: "Say what is wrong with rules that compile",
		Long: `Lint reads the rules and the cases of policy sets, each a folder or "baseline"; without any, those
that .sallyport/sallyport.yaml in this work tree names. It finds

  unknown-property   a rule reads what no input has, a misspelt name above all
  optional-property  a reason is lost where an optional property is missing
  claims-open        what was said without proof is read where it could open the gate
  no-code            a reason states no code
  unexplained-code   the rule table does not explain a code
  no-case            no case wants a code
  one-verdict        every case wants it
  walks-again        a rule walks a collection of the input that another rule walks already

A comment above a rule, or above the package for the whole file, takes a finding back and says why:

  # lint:allow walks-again input.change.files: this rule needs their order

Exit status: 0 nothing found, 1 could not look, 2 something found, 64 wrong usage.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := a.PolicyLint(cmd.Context(), args)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(a.Stdout, found)
			} else {
				for _, f := range found {
					if _, err = fmt.Fprintf(a.Stdout, "%s:%d: %s: %s\n", render.Clean(f.File), f.Line, f.Kind, render.Clean(f.Text)); err != nil {
						break
					}
				}
			}
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return exitStatus(sallyport.ExitShut)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newPolicyUpgradeCommand(a *app.App) *cobra.Command {
	var write, quotes bool
	cmd := &cobra.Command{
		Use:   "upgrade FOLDER|FILE",
		Short: "Rewrite a policy set from Rego v0 to v1",
		Long: `Upgrade rewrites a policy set whose manifest says rego_version: 0, or one file without a manifest
beside it, in Rego v1, and shows the difference. It evaluates both over the set's cases and over
inputs that it generates from what the rules read, and refuses if they ever say something else.
With --write it writes what it showed.

Exit status: 0 rewritten, or v1 already; 1 could not; 2 they differ; 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := a.PolicyUpgrade(cmd.Context(), args[0], quotes)
			if err != nil {
				return refused(a, err)
			}
			if len(u.Files) == 0 {
				_, err := fmt.Fprintln(a.Stdout, "it is Rego v1 already")
				return err
			}
			for _, name := range u.Names() {
				o := render.Options{Color: colour(a, a.Stdout)}
				if err := render.Diff(a.Stdout, u.Path(name), u.Before[name], u.Files[name], o); err != nil {
					return err
				}
			}
			if write {
				if err := u.Write(); err != nil {
					return err
				}
			}
			done := "nothing is written; add --write"
			if write {
				done = fmt.Sprintf("%d files written", len(u.Files))
			}
			fmt.Fprintf(a.Stderr, "sallyport: note: both say the same over %d cases and %d generated inputs; %s\n", u.Cases, u.Inputs, done)
			return nil
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "write the files")
	cmd.Flags().BoolVar(&quotes, "quotes", false, "first put strings in single quotes into double ones")
	return cmd
}
