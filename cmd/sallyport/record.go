package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

func newRecordCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record",
		Short: "The sealed records of runs and gateways",
		Long: `A record holds what a supervisor saw of one run, or a gateway of its requests: hash-chained,
sealed at its end, the ends of its segments in the log. It holds no text of a prompt, only salted
commitments to them; texts are kept encrypted where an auditor's key is configured.

Records are named by their run, or by the path of their folder; without a name, all that are kept in
the state folder are meant.`,
	}
	cmd.AddCommand(newRecordListCommand(a), newRecordShowCommand(a), newRecordSearchCommand(a), newRecordVerifyCommand(a),
		newRecordExportCommand(a), newRecordSealCommand(a), newRecordAnchorCommand(a), newRecordEraseCommand(a), newRecordPruneCommand(a))
	return cmd
}

// recordFlags are what all of record's commands have.
type recordFlags struct {
	repoFlags
	ro   app.RecordOptions
	json bool
}

func (r *recordFlags) add(f *pflag.FlagSet) {
	r.addRepoFlags(f)
	r.addTargetFlags(f)
	f.StringVar(&r.ro.Dir, "records", "", "the `FOLDER` that holds the records (default: records in the state folder)")
	f.BoolVar(&r.json, "json", false, "print JSON")
}

func newRecordListCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	cmd := &cobra.Command{
		Use:   "list [RUN | FOLDER]...",
		Short: "List records, oldest first",
		Long:  `List prints what the headers and seals say. What they are worth is for record verify to say.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			list, err := a.RecordList(cmd.Context(), opts.opts, opts.ro)
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, list)
			}
			for _, l := range list {
				if l.Error != "" {
					fmt.Fprintf(a.Stdout, "unreadable  %s: %s\n", oneLine(l.Folder), oneLine(l.Error))
					continue
				}
				state := "not sealed"
				if l.Sealed {
					state = fmt.Sprintf("sealed, %d entries", l.Records)
				}
				fmt.Fprintf(a.Stdout, "%s  %s  %s  %s\n", oneLine(l.Started), oneLine(l.Run+l.Gateway), oneLine(orElse(l.Agent, "gateway")+by(l.Operator)), state)
			}
			return nil
		},
	}
	opts.add(cmd.Flags())
	return cmd
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func by(operator string) string {
	if operator == "" {
		return ""
	}
	return " by " + operator
}

func newRecordVerifyCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	cmd := &cobra.Command{
		Use:   "verify [RUN | FOLDER]...",
		Short: "Say of each record what it is worth",
		Long: `Verify reads whole records and compares them with their seals, with the attestations that verify
here, and with the ends of segments that the log holds. Each thing that is wrong has its code:

  record-truncated    its end is missing
  record-reordered    entries or segments stand in another order
  record-forged       it was changed after it was written, or something signed contradicts it
  record-replayed     what belongs elsewhere, or stood here before, was put here
  record-unsealed     it did not end, and nobody writes it
  record-gap          something before its end is missing
  record-rolled-back  an older state was put back: the log has seen more
  record-clock        its times can't be true
  record-text-lost    a text or salt is gone and no note in the log tells of it, or a note is not in the log
  record-unreadable   it can't be read

What was erased with record erase or record prune is no fault; it is told, with the name that was given
for it, which nobody has signed. A run whose sealed attestation is here and whose record is not is told as
absent: who else supervised it keeps that, or it was lost. With --alone, or outside a
repository, a record is compared with itself only: who can write the whole folder can then have made
it up. That the log is whole is for sallyport log verify to say.

Exit status: 0 nothing is wrong, 1 could not verify, 2 something is wrong, 64 wrong usage.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			rep, err := a.RecordVerify(cmd.Context(), opts.opts, opts.ro)
			if err != nil {
				return err
			}
			if rep.Note != "" {
				fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(rep.Note))
			}
			if opts.json {
				err = printJSON(a.Stdout, rep)
			} else {
				err = textRecords(a.Stdout, rep)
			}
			if err == nil && !rep.OK() {
				return exit(sallyport.ExitShut)
			}
			return err
		},
	}
	opts.add(cmd.Flags())
	cmd.Flags().BoolVar(&opts.ro.Alone, "alone", false, "compare records with themselves only: no attestations, no log")
	return cmd
}

func textRecords(w io.Writer, rep app.RecordReports) error {
	for _, r := range rep.Records {
		name := oneLine(orElse(r.Run+r.Gateway, r.Folder))
		fmt.Fprintf(w, "%-6s  %s  %d entries in %d segment(s), %d in the log, %d attestation(s)", r.Status, name, r.Records, r.Segments, r.Anchored, r.Attested)
		if t := r.Texts; t.Commitments > 0 {
			fmt.Fprintf(w, "; %d commitment(s), %d text(s) kept, %d erased", t.Commitments, t.Kept, t.Erased)
		}
		fmt.Fprintln(w)
		for _, e := range r.Erasures {
			fmt.Fprintf(w, "  erased %s, it says by %s, %s: %s\n", erased(e), oneLine(e.By), oneLine(e.Time), oneLine(e.Reason))
		}
		if r.Recovered > 0 {
			fmt.Fprintf(w, "  its writer died and was followed %d time(s); record search --kind recovered says what was put aside\n", r.Recovered)
		}
		for _, p := range r.Problems {
			textProblem(w, p)
		}
	}
	for _, l := range rep.Lost {
		fmt.Fprintf(w, "%-6s  %s\n", record.StatusBad, oneLine(orElse(l.Run, l.Gateway)))
		textProblem(w, l.Problem)
	}
	for _, x := range rep.Absent {
		fmt.Fprintf(w, "absent  %s  attestation %s seals %d entries: its record is kept elsewhere, or lost\n", oneLine(x.Run), x.Attestation.Short(), x.Records)
	}
	if len(rep.Records)+len(rep.Lost)+len(rep.Absent) == 0 {
		fmt.Fprintln(w, "no records")
	}
	return nil
}

func textProblem(w io.Writer, p record.Problem) {
	fmt.Fprintf(w, "\n  %s  %s\n  %s\n  next: %s\n\n", p.Code, oneLine(p.Place), oneLine(p.Text), oneLine(p.Next))
}

func erased(e record.Erasure) string {
	if e.What == record.ErasedRecord {
		return fmt.Sprintf("all %d entries", e.Records)
	}
	return fmt.Sprintf("%s of %d commitment(s)", strings.ReplaceAll(string(e.What), "-", " "), len(e.Texts))
}

func newRecordSealCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "seal RUN...",
		Short: "End records whose supervisor died, as aborted",
		Long: `Seal takes up a record that nobody writes any more, puts aside what its writer left unfinished, and
ends it as aborted. What the run wrote stays unattested: only its supervisor could have signed for it.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			seals, err := a.RecordSeal(cmd.Context(), opts.opts, opts.ro, reason)
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, seals)
			}
			for _, s := range seals {
				fmt.Fprintf(a.Stdout, "sealed %s: %d entries, %s\n", oneLine(s.Run+s.Gateway), s.Records, s.Head)
			}
			return nil
		},
	}
	opts.add(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "its supervisor died", "`WHY` it ended, for the record")
	return cmd
}

func newRecordAnchorCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	cmd := &cobra.Command{
		Use:   "anchor [RUN | FOLDER]...",
		Short: "Put the ends of closed segments into the log",
		Long: `Anchor puts into the log what the segments of records held when they were closed, and the notes of
what was erased. After that, nobody can put an older state back unseen. It may be repeated; run does
it at the end of each run. A record in which something is wrong is not anchored.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			n, err := a.RecordAnchor(cmd.Context(), opts.opts, opts.ro)
			if err != nil {
				return err
			}
			if opts.json {
				return printJSON(a.Stdout, map[string]int{"anchored": n})
			}
			fmt.Fprintf(a.Stdout, "anchored: %d\n", n)
			return nil
		},
	}
	opts.add(cmd.Flags())
	return cmd
}
