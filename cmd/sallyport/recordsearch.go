package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

// filterFlags select entries.
type filterFlags struct {
	f            record.Filter
	kinds        []string
	since, until string
}

func (x *filterFlags) add(f *pflag.FlagSet) {
	f.StringVar(&x.f.Run, "run", "", "of this `RUN`, or asked by it at a gateway")
	f.StringVar(&x.f.Model, "model", "", "about this `MODEL`; a name that ends in * is a beginning, here and below")
	f.StringVar(&x.f.Principal, "principal", "", "asked by this `PRINCIPAL`, or of a run that this person started")
	f.StringVar(&x.f.Secret, "secret", "", "in which a secret or personal datum of this `KIND` was masked, such as secret:*")
	f.StringVar(&x.f.Tool, "tool", "", "about this `TOOL`")
	f.StringVar(&x.f.Commitment, "commitment", "", "that holds this commitment, a `DIGEST`")
	f.StringSliceVar(&x.kinds, "kind", nil, "of this `KIND` (start, request, response, refused, process, write, network, tool, hook, config, commit, checkpoint, recovered, end); repeatable")
	f.StringVar(&x.since, "since", "", "not before this `TIME`: RFC 3339, a date, or how long ago, such as 36h")
	f.StringVar(&x.until, "until", "", "before this `TIME`")
}

func (x *filterFlags) filter(now time.Time) (record.Filter, error) {
	f := x.f
	for _, k := range x.kinds {
		f.Kinds = append(f.Kinds, record.Kind(k))
	}
	for _, t := range []struct {
		name, text string
		to         *time.Time
	}{{"since", x.since, &f.Since}, {"until", x.until, &f.Until}} {
		if t.text == "" {
			continue
		}
		at, err := when(t.text, now)
		if err != nil {
			return f, usagef("--%s %s: neither a time as 2026-01-02T15:04:05Z, nor a date, nor a duration as 36h", t.name, t.text)
		}
		*t.to = at
	}
	return f, nil
}

func when(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}

func newRecordSearchCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	var filter filterFlags
	cmd := &cobra.Command{
		Use:   "search [RUN | FOLDER]...",
		Short: "Find entries by run, model, principal, masked secret, tool, time or kind",
		Long: `Search prints the entries in which everything fits that is asked for, a line each; with --json, a
JSON document a line, as record export writes it.

Exit status: 0 searched, whether anything was found or not, 1 could not search, 2 a record is not what
was written (what was found up to there is printed), 64 wrong usage.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			f, err := filter.filter(time.Now())
			if err != nil {
				return err
			}
			out, err := record.NewExporter("jsonl", a.Stdout, app.Version())
			if err != nil {
				return err
			}
			err = a.RecordSearch(cmd.Context(), opts.opts, opts.ro, f, func(r *record.Reader, e record.Entry) error {
				if opts.json {
					return out.Entry(r, e)
				}
				return textEntry(a.Stdout, r.Header().Name(), e)
			}, nil)
			return refused(a, err)
		},
	}
	opts.add(cmd.Flags())
	filter.add(cmd.Flags())
	return cmd
}

// textEntry prints an entry on a line.
func textEntry(w io.Writer, name string, e record.Entry) error {
	f := e.Facts()
	words := []string{f.Principal, strings.Join(f.Models, ","), f.Code, f.Outcome, f.Path, f.Address}
	if e.Kind == record.KindTool || e.Kind == record.KindHook {
		words = append(words, strings.Join(f.Tools, ","))
	}
	for _, s := range f.Secrets {
		words = append(words, "masked "+s)
	}
	words = append(words, f.Text)
	var line strings.Builder
	for _, s := range words {
		if s != "" {
			line.WriteString("  " + oneLine(s))
		}
	}
	_, err := fmt.Fprintf(w, "%s  %s #%d  %-10s%s\n", e.Time.Format(time.RFC3339), name, e.Seq, e.Kind, line.String())
	return err
}

func newRecordShowCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	var keyFile string
	cmd := &cobra.Command{
		Use:   "show RUN | FOLDER",
		Short: "Tell what a record holds, entry by entry",
		Long: `Show prints the whole record. With --auditor FILE, the private key whose public half the record
names (age-keygen makes both), the texts that were kept are decrypted, compared with their
commitments and printed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			var keys record.Identities
			if keyFile != "" {
				var err error
				if keys, err = a.ReadAuditor(keyFile); err != nil {
					return err
				}
			}
			return refused(a, a.RecordSearch(cmd.Context(), opts.opts, opts.ro, record.Filter{}, func(r *record.Reader, e record.Entry) error {
				return showEntry(a, r, e, keys, opts.json)
			}, nil))
		},
	}
	opts.add(cmd.Flags())
	cmd.Flags().StringVar(&keyFile, "auditor", "", "decrypt texts with the private key in `FILE`")
	return cmd
}

func showEntry(a *app.App, r *record.Reader, e record.Entry, keys record.Identities, asJSON bool) error {
	var texts []app.RecordText
	if keys != nil {
		texts = app.RecordTexts(r, e, keys)
	}
	if asJSON {
		return printJSONLine(a.Stdout, struct {
			record.Exported
			Texts []app.RecordText `json:"texts,omitempty"`
		}{record.Export(r, e), texts})
	}
	if e.Seq == 1 {
		h := r.Header()
		fmt.Fprintf(a.Stdout, "record   %s\nof       %s\nagent    %s\noperator %s\nstarted  %s\n\n", r.ID(), h.Name(), h.Agent, h.Operator, h.Started)
	}
	if err := textEntry(a.Stdout, r.Header().Name(), e); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "    %s\n", e.Body)
	for i, c := range e.Commits {
		fmt.Fprintf(a.Stdout, "    %s %s\n", c.Kind, c.Digest)
		switch {
		case i >= len(texts):
		case texts[i].Error != "":
			fmt.Fprintf(a.Stdout, "      %s\n", oneLine(texts[i].Error))
		default:
			for line := range strings.Lines(texts[i].Text) {
				fmt.Fprintf(a.Stdout, "      | %s\n", oneLine(line))
			}
		}
	}
	return nil
}

func newRecordExportCommand(a *app.App) *cobra.Command {
	var opts recordFlags
	var filter filterFlags
	var out outputFlag
	formats := []string{"jsonl", "otlp-logs", "otlp-spans"}
	cmd := &cobra.Command{
		Use:   "export [RUN | FOLDER]...",
		Short: "Write entries as JSON lines, or for an OpenTelemetry collector",
		Long: `Export writes the entries that fit:

  jsonl       an entry a line, with the head of its chain
  otlp-logs   OTLP in JSON, a message of log records a line
  otlp-spans  OTLP in JSON: a span of the run, of each request with its response, of each tool call

The OTLP forms are what a collector's file receiver reads; attributes follow the semantic conventions
for generative AI where there are any.

  sallyport record export --output otlp-spans=runs.otlp.jsonl --since 24h

Exit status: 0 written, 1 could not write, 2 a record is not what was written, 64 wrong usage.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ro.Names = args
			if len(out.specs) == 0 {
				out.specs = []string{"jsonl=-"}
			}
			sinks, err := out.sinks(formats...)
			if err != nil {
				return err
			}
			f, err := filter.filter(time.Now())
			if err != nil {
				return err
			}
			for _, s := range sinks {
				if s.format == "text" {
					continue // export has none
				}
				err := s.write(a.Stdout, func(w io.Writer) error {
					x, err := record.NewExporter(s.format, w, app.Version())
					if err != nil {
						return err
					}
					return a.RecordSearch(cmd.Context(), opts.opts, opts.ro, f, x.Entry, x.Finish)
				})
				if err != nil {
					return refused(a, err)
				}
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&opts.ro.Dir, "records", "", "the `FOLDER` that holds the records (default: records in the state folder)")
	filter.add(cmd.Flags())
	cmd.Flags().StringArrayVarP(&out.specs, "output", "o", nil, "write `FORMAT=FILE` ("+strings.Join(formats, ", ")+"; - is standard output); repeatable")
	return cmd
}

// printJSONLine prints a JSON document on one line.
func printJSONLine(w io.Writer, v any) error {
	var b bytes.Buffer
	x, err := encodeLine(v)
	if err != nil {
		return err
	}
	b.Write(x)
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}
