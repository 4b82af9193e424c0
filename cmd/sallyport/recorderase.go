package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func encodeLine(v any) ([]byte, error) { return sallyport.EncodeJSON(v) }

func newRecordEraseCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	var filter filterFlags
	var eo app.EraseOptions
	var all bool
	cmd := &cobra.Command{
		Use:   "erase [RUN | FOLDER]...",
		Short: "Destroy texts that were kept, and the salts of their commitments",
		Long: `Erase destroys the texts of the entries that fit, and with --salts what could show what a text was.
No proof breaks by it: the chain holds commitments, which stay, and say nothing by themselves. A note
of what was erased, when, by whom and why stays in the record and goes into the log first.

Something has to select entries; --all selects every one. What a backup or the file system still holds
is not erased: the texts in it are encrypted, and the auditor's private key is what opens them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			f, err := filter.filter(time.Now())
			if err != nil {
				return err
			}
			switch any := filter.any(); {
			case any && all, !any && !all:
				return usagef("say which entries (--run, --model, --until, …), or --all")
			case eo.By == "" || eo.Reason == "":
				return usagef("--by and --reason stand in the note that stays: say both")
			}
			eo.Filter = f
			list, err := a.RecordErase(cmd.Context(), opts.opts, opts.ro, eo)
			if err != nil {
				return refused(a, err)
			}
			return tellErased(a, list, opts.json)
		},
	}
	opts.add(cmd.Flags())
	filter.add(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "every entry")
	cmd.Flags().BoolVar(&eo.Salts, "salts", false, "the salts as well: nobody can show then what a text was")
	cmd.Flags().StringVar(&eo.By, "by", "", "`WHO` erases")
	cmd.Flags().StringVar(&eo.Reason, "reason", "", "`WHY`")
	return cmd
}

func (x *filterFlags) any() bool {
	f := x.f
	return f.Run+f.Model+f.Principal+f.Secret+f.Tool+f.Commitment+x.since+x.until+strings.Join(x.kinds, "") != ""
}

func tellErased(a *app.App, list []app.ErasedLine, asJSON bool) error {
	if asJSON {
		return printJSON(a.Stdout, list)
	}
	for _, l := range list {
		what := fmt.Sprintf("%d commitment(s)", l.Texts)
		if l.Whole {
			what = "all entries"
		}
		fmt.Fprintf(a.Stdout, "erased  %s  %s\n", oneLine(l.Run+l.Gateway), what)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Stdout, "nothing to erase")
	}
	return nil
}

func newRecordPruneCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	var po app.RetentionOptions
	var texts, records string
	cmd := &cobra.Command{
		Use:   "prune [RUN | FOLDER]...",
		Short: "Erase what is older than it is kept",
		Long: `Prune keeps to a retention rule: --older-texts DURATION destroys the texts of older entries, --older-records
DURATION the entries of records that were sealed longer ago. Of these the header, the ends of their
segments, the seal and the notes stay, so that attestations and the log still have what they speak of.
Durations are days (90d) or as 2160h.

A record that was not sealed stays, and so does one in which something is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			for _, d := range []struct {
				name, text string
				to         *time.Duration
			}{{"texts", texts, &po.Texts}, {"records", records, &po.Records}} {
				if d.text == "" {
					continue
				}
				var err error
				if *d.to, err = days(d.text); err != nil || *d.to <= 0 {
					return usagef("--older-%s %s: no duration as 90d or 2160h", d.name, d.text)
				}
			}
			switch {
			case po.Texts == 0 && po.Records == 0:
				return usagef("say --older-texts or --older-records")
			case po.By == "" || po.Reason == "":
				return usagef("--by and --reason stand in the note that stays: say both")
			}
			list, err := a.RecordPrune(cmd.Context(), opts.opts, opts.ro, po)
			if err != nil {
				return refused(a, err)
			}
			return tellErased(a, list, opts.json)
		},
	}
	opts.add(cmd.Flags())
	cmd.Flags().StringVar(&texts, "older-texts", "", "erase texts of entries older than `DURATION`")
	cmd.Flags().StringVar(&records, "older-records", "", "erase records that were sealed longer than `DURATION` ago")
	cmd.Flags().StringVar(&po.By, "by", "", "`WHO` erases")
	cmd.Flags().StringVar(&po.Reason, "reason", "retention", "`WHY`")
	return cmd
}

func days(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		d, err := strconv.Atoi(n)
		if err == nil && d > 100_000 {
			err = strconv.ErrRange
		}
		return time.Duration(d) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}
