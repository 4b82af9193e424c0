package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

type advisoryFlags struct {
	repoFlags
	ao app.AdvisoryOptions
}

func (o *advisoryFlags) addFlags(f *pflag.FlagSet) {
	o.addRepoFlags(f)
	f.StringVar(&o.ao.Database, "database", "", "the database `FILE` (default: advisories.db in the state folder)")
	f.DurationVar(&o.ao.MaxAge, "max-age", 0, "how old records may be, such as 168h; older ones, and ones of unknown age, are not known to be complete")
}

func newAdvisoryCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "advisory",
		Short: "Say which packages are known to be vulnerable or malicious, from a local database",
		Long: `The database is one file, made from advisories in OSV format: exports of an ecosystem, Go's
vulndb, GitHub's advisory database, the OpenSSF's malicious packages. Nothing but "advisory update"
opens a connection. The merge gate looks there too; docs/advisories.md.`,
	}
	cmd.AddCommand(newAdvisoryImportCommand(a), newAdvisoryUpdateCommand(a), newAdvisoryStatusCommand(a), newAdvisoryMatchCommand(a), newAdvisorySignCommand(a), newAdvisoryNamesCommand(a))
	return cmd
}

func newAdvisoryImportCommand(a *app.App) *cobra.Command {
	var opts advisoryFlags
	var src app.AdvisorySource
	var asOf string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import PATH...",
		Short: "Make the database of the records in zip files and folders",
		Long: `Import reads OSV records from zip files and folders and makes a database of exactly these, in place of
the one that was there. A path that holds no record, or something that cannot be read, fails the whole
import, and the database stays as it was.

A few records do not make an ecosystem known. Of which ecosystems the paths have all records is what
--covers says, or the source itself: an export with a coverage.json, or Go's vulndb with its index.

  sallyport advisory import npm/all.zip PyPI/all.zip --covers npm,PyPI

Exit status: 0 made, 1 a source is not taken, 64 wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if src.AsOf, err = asOfFlag(asOf); err != nil {
				return err
			}
			src.Paths = args
			s, err := a.AdvisoryImport(cmd.Context(), opts.opts, opts.ao, src)
			if err != nil {
				return err
			}
			return printAdvisories(a, s, asJSON)
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&asOf, "as-of", "", "the `TIME` at which the sources were made, if you know better than they say")
	cmd.Flags().StringArrayVar(&src.Signatures, "signature", nil, "a `FILE` with a signature over a path, as advisory sign makes it; repeatable")
	cmd.Flags().StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose trust file says who may sign (default: what CI says, else the remote's default branch)")
	cmd.Flags().StringSliceVar(&src.Covers, "covers", nil, "the `ECOSYSTEMS`, by OSV's names, of which the paths have all records; repeatable, or with commas")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newAdvisoryUpdateCommand(a *app.App) *cobra.Command {
	var opts advisoryFlags
	var from string
	var with []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "update ECOSYSTEM...",
		Short: "Download exports of ecosystems, and make the database of them",
		Long: `Update downloads ECOSYSTEM/all.zip for each ecosystem, by OSV's names (npm, PyPI, Go, crates.io,
Maven, NuGet, RubyGems, Packagist …), and makes a database of these in place of the one that was
there. It is the only command here that opens a connection.

Exit status: 0 made, 1 something could not be had or is not taken, 64 wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			step, clear := progress(a)
			opts.opts.Progress = step
			s, err := a.AdvisoryUpdate(cmd.Context(), opts.opts, opts.ao, from, args, with)
			clear()
			if err != nil {
				return err
			}
			return printAdvisories(a, s, asJSON)
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&from, "from", app.OSVExports, "the `URL` below which the exports are")
	cmd.Flags().StringArrayVar(&with, "with", nil, "a `PATH` to import as well; repeatable")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newAdvisoryStatusCommand(a *app.App) *cobra.Command {
	var opts advisoryFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what the database holds, and how old it is",
		Long: `Status reads the whole database and holds it to its digests.

Exit status: 0 it can be used, 1 there is none, or it is damaged, 2 something in it is older than
--max-age, or of unknown age, 64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.AdvisoryStatus(cmd.Context(), opts.opts, opts.ao)
			if err != nil {
				return err
			}
			if err := printAdvisories(a, s, asJSON); err != nil {
				return err
			}
			if s.Stale {
				return exit(sallyport.ExitShut)
			}
			return nil
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose trust file says who may sign (default: what CI says, else the remote's default branch)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printAdvisories(a *app.App, s *app.AdvisoryStatus, asJSON bool) error {
	if asJSON {
		return printJSON(a.Stdout, s)
	}
	w := a.Stdout
	fmt.Fprintf(w, "%s: %d advisories about %d packages, made %s\n", render.Clean(s.Path), s.Records, s.Packages, s.Built.Format(time.RFC3339))
	fmt.Fprintf(w, "%s, %s\n", s.Digest, signedText(s))
	rows := [][]string{}
	for _, e := range s.Ecosystems {
		whole := "all records"
		if !e.Whole {
			whole = "some records: what is not among them is not known"
		}
		rows = append(rows, []string{e.Name, fmt.Sprint(e.Records), fmt.Sprint(e.Malicious) + " malicious", "newest " + dayOf(e.Newest), asOfText(e), whole})
	}
	render.Table(w, "  ", rows)
	for _, src := range s.Sources {
		fmt.Fprintf(w, "from %s\n  %s, as of %s: %d records", render.Clean(src.Path), src.Digest, dayOf(src.AsOf), src.Records)
		switch {
		case src.Signer != "":
			fmt.Fprintf(w, ", signed by %s", render.Clean(src.Signer))
		case src.Unsigned != "":
			fmt.Fprintf(w, ", not signed: %s", render.Clean(src.Unsigned))
		}
		for _, n := range []struct {
			n    int
			what string
		}{
			{src.Withdrawn, "withdrawn"}, {src.Older, "superseded"}, {src.LeftOut, "packages of other ecosystems"}, {src.NoRecords, "files that are no records"},
			{src.NotFollow, "links not followed"}, {src.Undated, "without a time"}, {src.FutureDate, "with a time to come"},
		} {
			if n.n > 0 {
				fmt.Fprintf(w, ", %d %s", n.n, n.what)
			}
		}
		fmt.Fprintln(w)
	}
	if s.Stale {
		fmt.Fprintln(w, "stale: not to be relied on; next: sallyport advisory update, or import, newer ones")
	}
	return nil
}

func signedText(s *app.AdvisoryStatus) string {
	if s.Signer != "" {
		return "signed by " + render.Clean(s.Signer)
	}
	for _, src := range s.Sources {
		if src.Signer != "" {
			return "some of the data is signed"
		}
	}
	return "nobody signed the data"
}

func dayOf(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.DateOnly)
}

func asOfText(e app.AdvisoryEcosystem) string {
	text := "age unknown"
	if e.AgeHours != nil {
		if text = fmt.Sprintf("%d days old", *e.AgeHours/24); *e.AgeHours < 48 {
			text = fmt.Sprintf("%d hours old", *e.AgeHours)
		}
	}
	if e.Stale {
		text += ", stale"
	}
	return text
}

func newAdvisoryMatchCommand(a *app.App) *cobra.Command {
	var opts advisoryFlags
	var out outputFlag
	var locks []string
	formats := []string{"text", "json", "sarif", "vulns"}
	cmd := &cobra.Command{
		Use:   "match [PURL...] [--lock PATH]...",
		Short: "Say what is known about packages, or about what lock files pin",
		Long: `Match looks package URLs up, and the packages that lock files pin: those below a folder, of a
commit (git:REV), or of one file. The answer says against what it was checked. What nobody can tell is
told apart from what is clean: an ecosystem without records, records older than --max-age, a version
that cannot be compared, a file that leaves versions open.

  sallyport advisory match --lock . --max-age 168h
  sallyport advisory match pkg:npm/left-pad@1.3.0 pkg:golang/golang.org/x/net@v0.40.0
  sallyport advisory match --lock git:HEAD --output vulns=vulns.json
  sallyport attest git:HEAD --type ` + app.VulnsType + ` --predicate vulns.json --key REF

Exit status: 0 all is known and nothing affects it, 1 something is not known, 2 something is vulnerable or
malicious, 64 wrong usage.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && len(locks) == 0 {
				return usagef("name a package URL, or a lock file: --lock PATH")
			}
			sinks, err := out.sinks(formats...)
			if err != nil {
				return err
			}
			r, err := a.AdvisoryMatch(cmd.Context(), opts.opts, opts.ao, args, locks)
			if err != nil {
				return err
			}
			for _, s := range sinks {
				if err := s.write(a.Stdout, func(w io.Writer) error { return writeMatches(w, r, s.format) }); err != nil {
					return err
				}
			}
			if r.Status() == sallyport.ExitUndecided {
				return r.Undecided()
			}
			return exit(r.Status())
		},
	}
	opts.addFlags(cmd.Flags())
	out.addFlags(cmd.Flags(), formats...)
	cmd.Flags().StringArrayVar(&locks, "lock", nil, "a folder, a lock file, or git:REV; repeatable")
	return cmd
}

func writeMatches(w io.Writer, r *app.AdvisoryReport, format string) error {
	switch format {
	case "json":
		return printJSON(w, r)
	case "sarif":
		return render.SARIF(w, r.Decision(), "", app.Version())
	case "vulns":
		b, err := r.Vulns()
		if err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	for _, p := range r.Packages {
		for _, m := range p.Matches {
			severity := string(m.Severity)
			if m.Malicious {
				severity = "malicious"
			}
			fmt.Fprintf(w, "%s  %s\n", orWord(severity, "unknown severity"), render.Clean(app.MatchText(p.Name, p.Version, m)))
			tellPaths(w, p.Paths)
		}
		if p.Unknown != "" {
			fmt.Fprintf(w, "not known  %s: %s\n", render.Clean(p.Purl), render.Clean(p.Why))
			tellPaths(w, p.Paths)
		}
	}
	for _, f := range r.Files {
		if t := app.OpenFile(f.Path, f.Unread, f.Open); t != "" {
			fmt.Fprintf(w, "not known  %s\n", render.Clean(t))
		}
	}
	fmt.Fprintf(w, "%d packages: %d affected, %d not known, %d without a known advisory\n", len(r.Packages), r.Affected, r.Unknown, r.Checked)
	var against []string
	for _, e := range r.Database.Ecosystems {
		for _, name := range r.Against {
			if e.Name == name {
				some := ""
				if !e.Whole {
					some = ", not all there are"
				}
				against = append(against, fmt.Sprintf("%d of %s, %s%s", e.Records, name, asOfText(e), some))
			}
		}
	}
	_, err := fmt.Fprintf(w, "checked against advisories: %s (%s)\n", orWord(strings.Join(against, "; "), "none"), r.Database.Digest)
	return err
}

func tellPaths(w io.Writer, paths []string) {
	for i, p := range paths {
		if i == 3 {
			fmt.Fprintf(w, "    and %d more\n", len(paths)-i)
			return
		}
		fmt.Fprintf(w, "    %s\n", sallyport.Path(p))
	}
}
