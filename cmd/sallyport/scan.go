package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newScanCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var so app.ScanOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "scan [--tool NAME]...",
		Short: "Run Semgrep, gosec or govulncheck where they are installed",
		Long: `Scan runs other people's scanners over the work tree, prints what they found and, with --key, signs for
their reports as attest report does. Without --tool it runs those that have something to scan: gosec and
govulncheck where there is a go.mod, semgrep where there are --rules.

  sallyport scan --tool gosec --tool semgrep --rules rules.yaml --reports out --key CI-KEY
  sallyport check merge --sarif out/gosec.sarif --sarif out/semgrep.sarif

A scanner is found on PATH, never in the work tree; its digest and version are in the statement. Semgrep gets
one file of rules and nothing from a registry. A scanner that did not scan (packages that do not
compile, an empty advisory database) is an error, whatever its own status is.

Exit status: 0 nothing high or critical was found, 1 a scanner that was asked for is not installed, one did
not scan, or none ran, 2 something high or critical was found, 64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			step, clear := progress(a)
			opts.opts.Progress = step
			so.Environ = os.Environ()
			res, err := a.Scan(cmd.Context(), opts.opts, so)
			clear()
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(a.Stdout, res)
			} else {
				err = textScan(a.Stdout, res)
			}
			if err != nil {
				return err
			}
			if err := res.Err(); err != nil {
				return err
			}
			return exit(res.ExitStatus())
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringArrayVar(&so.Tools, "tool", nil, "run this scanner and no other: `NAME`, or NAME=PATH for one that is not on PATH (repeatable)")
	f.StringVar(&so.Rules, "rules", "", "Semgrep's rules, a `FILE`")
	f.StringVar(&so.RulesDigest, "rules-digest", "", "the `DIGEST` that the rules must have; required for a file in the work tree")
	f.StringVar(&so.Database, "vulndb", "", "govulncheck's database, a folder as a `URL`: file:///var/lib/vulndb (default: its own)")
	f.DurationVar(&so.Timeout, "timeout", 15*time.Minute, "what each scanner may take")
	f.StringVar(&so.Reports, "reports", "", "write each scanner's SARIF to `DIR`")
	f.StringVar(&so.Key, "key", "", "the signing key `REF`; without it nothing is signed")
	f.StringVar(&so.Output, "output", "", "write the bundles to `DIR` instead of keeping them")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// maxTold is how many results of one scanner the text lists.
const maxTold = 50

func textScan(w io.Writer, res app.ScanReport) error {
	for _, t := range res.Tools {
		switch t.State {
		case app.ScanMissing:
			fmt.Fprintf(w, "%s: not installed\n", t.Name)
			continue
		case app.ScanFailed:
			fmt.Fprintf(w, "%s: no answer\n", t.Name)
			continue
		}
		fmt.Fprintf(w, "%s %s: %s, %d result(s)\n", t.Name, oneLine(t.Program.Version), t.Result, len(t.Results))
		if t.Database != "" {
			fmt.Fprintf(w, "  advisories of %s\n", oneLine(t.Database))
		}
		for i, r := range t.Results {
			if i == maxTold {
				fmt.Fprintf(w, "  and %d more: --json lists them\n", len(t.Results)-maxTold)
				break
			}
			suppressed := ""
			if r.Suppressed {
				suppressed = " (suppressed in the source, which proves nothing)"
			}
			fmt.Fprintf(w, "  %-8s %s %s: %s%s\n", r.Severity, orDash(oneLine(r.Place)), oneLine(r.Rule), oneLine(r.Text), suppressed)
		}
		for _, n := range t.Notes {
			fmt.Fprintf(w, "  note: %s\n", n)
		}
		if t.Report != "" {
			fmt.Fprintf(w, "  report %s\n", oneLine(t.Report))
		}
		for _, d := range t.Attestations {
			fmt.Fprintf(w, "  attestation %s\n", d)
		}
	}
	if res.Note != "" {
		fmt.Fprintf(w, "note: %s\n", res.Note)
	}
	return nil
}
