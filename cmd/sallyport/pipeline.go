package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/pipeline"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newPipelineCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var po app.PipelineOptions
	var out outputFlag
	cmd := &cobra.Command{
		Use:   "pipeline --key REF [--output-dir DIR]",
		Short: "Scan, test, build, list, sign and verify a release, and ask the release gate, in one go",
		Long: `Pipeline does for the commit that is checked out everything between "merged" and "published": it
scans what is new since the gate was adopted, runs the tests and the build, lists what is inside (CycloneDX
and SPDX), signs provenance, test results, bills and checksums, verifies all of it as somebody else would,
and asks the release gate. What does not need one another runs side by side.

  sallyport pipeline --key release.key --output-dir release --target main

What it runs stands under pipeline in the configuration of --target, not in the commit: a change does
not choose how it is tested. DIR holds the artifacts, SHA256SUMS, the bundles and the gate's verification
summary; sha256sum and cosign verify it as well. A second run about the same commit takes over what the
statements in DIR prove, if this key signed them; --fresh runs everything again. docs/pipeline.md has more.

Exit status:
  0   the gate is open
  1   a step could not be done, or no decision was made; treat the gate as shut
  2   a step failed, or the gate is shut
  3   the gate waits for a person
  64  the command was used wrongly`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPipeline(cmd.Context(), a, opts, po, out)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` that releases come from (default: the upstream or the remote's default branch)")
	f.StringVar(&po.Key, "key", "", "the signing key `REF`; the decision is signed by the verifier's own")
	f.StringVar(&po.Output, "output-dir", "", "the folder `DIR` to write (default: pipeline.output of the configuration)")
	f.StringVar(&po.Name, "name", "", "the release's `NAME`, such as v1.2.0")
	f.BoolVar(&po.Fresh, "fresh", false, "run every command, whatever DIR proves of an earlier run")
	out.addFlags(f, "text", "json")
	return cmd
}

func runPipeline(ctx context.Context, a *app.App, opts repoFlags, po app.PipelineOptions, out outputFlag) error {
	sinks, err := out.sinks("text", "json")
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE)
	po.Signals, po.Environ = firstSignal(), os.Environ()
	step, clear := progress(a)
	po.Tell = stepTeller(step)
	report, err := a.Pipeline(context.WithoutCancel(ctx), opts.opts, po)
	clear()
	if err != nil && report.Steps == nil {
		return err
	}
	for _, s := range sinks {
		if werr := s.write(a.Stdout, func(w io.Writer) error { return renderPipeline(a, w, s, report) }); werr != nil {
			return werr
		}
	}
	if err != nil {
		return err
	}
	return exit(report.ExitStatus())
}

// firstSignal returns a channel that gets the first signal to end; a second one ends the program at once.
func firstSignal() <-chan os.Signal {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
	signals, first := make(chan os.Signal, 4), make(chan os.Signal, 1)
	signal.Notify(signals, ends...)
	go func() {
		s := <-signals
		signal.Reset(ends...)
		first <- s
	}()
	return first
}

// stepTeller shows on a terminal which steps are running.
func stepTeller(show func(string)) func(pipeline.Event) {
	var running []string
	return func(e pipeline.Event) {
		if e.Began {
			running = append(running, e.Result.Name)
		} else {
			for i, name := range running {
				if name == e.Result.Name {
					running = append(running[:i:i], running[i+1:]...)
					break
				}
			}
		}
		if len(running) > 0 {
			show(strings.Join(running, ", "))
		}
	}
}

func renderPipeline(a *app.App, w io.Writer, s sink, r app.PipelineReport) error {
	if s.format == "json" {
		return printJSON(w, r.Summary())
	}
	coloured := s.file == "-" && colour(a, a.Stdout)
	paint := func(code, text string) string {
		if !coloured {
			return text
		}
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	longest := 0
	for _, step := range r.Steps {
		longest = max(longest, len(step.Name))
	}
	for _, step := range r.Steps {
		mark, code := "ok    ", "32"
		switch step.State {
		case pipeline.Reused:
			mark = "kept  "
		case pipeline.Failed:
			mark, code = "FAILED", "31"
		case pipeline.Broken:
			mark, code = "BROKEN", "31"
		case pipeline.NotRun:
			mark, code = "-     ", "33"
		}
		took := ""
		if step.Duration > 0 {
			took = seconds(step.Duration)
		}
		detail := step.Detail
		if step.Err != nil {
			detail = step.Err.Error()
		}
		if step.State == pipeline.NotRun {
			detail = "not run: " + detail
		}
		if _, err := fmt.Fprintf(w, "  %s  %-*s  %7s  %s\n", paint(code, mark), longest, step.Name, took, render.Clean(oneLine(detail))); err != nil {
			return err
		}
		if hint := hintOf(step.Err); hint != "" {
			fmt.Fprintf(w, "  %*s  next: %s\n", longest+17, "", render.Clean(oneLine(hint)))
		}
	}
	fmt.Fprintln(w)
	if r.Release != nil {
		d := r.Release
		if err := render.Text(w, d.Decision, d.Receipt.ID, render.Options{Color: coloured, Width: width(a.Stdout)}); err != nil {
			return err
		}
		if err := releaseFacts(w, d.Input); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "the release gate was not asked: a step before it did not pass; what an earlier run released is untouched\n")
	}
	_, err := fmt.Fprintf(w, "\n  %s\n", render.Clean(r.Output))
	return err
}

func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return d.Round(time.Second).String()
}
