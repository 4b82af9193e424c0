package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

type checkReleaseOptions struct {
	repoFlags
	release app.ReleaseOptions
	output  outputFlag
}

func newCheckReleaseCommand(a *app.App) *cobra.Command {
	var opts checkReleaseOptions
	cmd := &cobra.Command{
		Use:   "release FILE...",
		Short: "Decide whether files that were made from a commit may be published",
		Long: `Check release looks at the commit that FILEs were made from (--head, or what is checked out) and
decides: did every commit since the last release pass the merge gate, does provenance of a successful
run name this commit, is it known what is inside, did the tests pass, and is all that was presented
about these very bytes?

Statements are looked for by digest among the evidence that is kept and has travelled, beside each
FILE (FILE.sigstore.json, FILE.intoto.jsonl), and in those named with --bundle. Name the file of
checksums among the FILEs, and it is compared.

The decision is recorded as a signed verification summary; --vsa FILE writes it to publish beside the
files. docs/release-gate.md says what is configured under gates.release.

Exit status:
  0   the gate is open
  1   no decision could be made; treat the gate as shut
  2   the gate is shut; the reasons are on standard output
  64  the command was used wrongly`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.release.Files = args
			return runCheckRelease(cmd.Context(), a, opts)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opts.opts.Target.Head, "head", "", "the `COMMIT` that the files were made from (default: HEAD)")
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` that releases come from (default: the upstream or the remote's default branch)")
	f.StringArrayVar(&opts.opts.Bundles, "bundle", nil, "a `FILE` of statements to consider beside those already kept; repeatable")
	f.StringVar(&opts.release.Name, "name", "", "the release's `NAME` in the decision, such as v1.2.0")
	f.StringVar(&opts.release.VSA, "vsa", "", "write the signed verification summary to `FILE`")
	opts.output.addFlags(f, releaseFormats...)
	return cmd
}

// releaseFormats are the forms in which a release decision is written.
var releaseFormats = []string{"text", "json", "sarif", "junit"}

func runCheckRelease(ctx context.Context, a *app.App, opts checkReleaseOptions) error {
	sinks, err := opts.output.sinks(releaseFormats...)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE)
	step, clear := progress(a)
	opts.opts.Progress = step
	report, err := a.CheckRelease(ctx, opts.opts, opts.release)
	clear()
	if err != nil {
		return err
	}
	for _, s := range sinks {
		if err := s.write(a.Stdout, func(w io.Writer) error { return renderRelease(a, w, s, report) }); err != nil {
			return err
		}
	}
	return exit(report.Decision.ExitStatus())
}

func renderRelease(a *app.App, w io.Writer, s sink, r app.ReleaseReport) error {
	return renderDecision(a, w, s, r.Decision, r.Receipt.ID, &render.LogEntry{Origin: r.Receipt.Origin, Index: r.Receipt.Index}, func(o render.Options) error {
		if err := render.ToldThese(w, toldOf(r.Input), o); err != nil {
			return err
		}
		return releaseFacts(w, r.Input)
	})
}

// toldOf returns the open findings that the settings let pass.
func toldOf(in sallyport.ReleaseInput) []sallyport.Finding {
	var told []sallyport.Finding
	for _, f := range in.Findings {
		pass := false
		switch f.Kind {
		case sallyport.FindingVulnerability:
			at := sallyport.Severity(in.Settings.Advisories.ShutAt)
			pass = at == "none" || f.Severity.Rank() > 0 && f.Severity.Rank() < at.Rank()
		case sallyport.FindingAdvisory:
			pass = !in.Settings.Advisories.Required
		case sallyport.FindingWorkflow, sallyport.FindingUnscanned:
			pass = in.Settings.BuildInputs != "shut"
		}
		if pass && f.State == sallyport.FindingOpen {
			told = append(told, f)
		}
	}
	return told
}

// releaseFacts tells what the decision is about.
func releaseFacts(w io.Writer, in sallyport.ReleaseInput) error {
	since := "the beginning"
	switch in.Release.Basis {
	case "release":
		since = "the release of " + in.Release.Since.Short()
	case "adoption":
		since = "the adoption at " + in.Release.Since.Short()
	}
	_, err := fmt.Fprintf(w, "\n  %d commits of %s since %s, under %d decisions of the merge gate\n",
		in.Release.Commits, render.Clean(in.Release.Ref), since, len(in.Release.Decisions))
	say := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, "  "+format+"\n", args...)
		}
	}
	switch l := in.Advisories; l.State {
	case "looked":
		say("%d packages of %d files and %d bills of materials looked up in advisories", l.Packages, l.Files, l.Bills)
	case "nothing":
		say("no lock file and no bill of materials names a package, or says that there is none: nothing was looked up")
	default:
		say("%d packages could not be looked up, and whether any is vulnerable is not known: the advisory database is %s", l.Packages, l.State)
	}
	for _, art := range in.Artifacts {
		say("%s  %s", art.Digest, render.Clean(art.Name))
		if art.Source.Equal {
			say("  holds the tree of the commit and nothing else (%d files)", art.Source.Files)
		}
		for _, p := range art.Provenance {
			switch {
			case p.Inputs+len(p.Unpinned)+in.Release.Definitions == 0:
				say("  which actions and tools made it is not known")
			case len(p.Unpinned) > 0:
				say("  made with what is named without a digest: %s", render.Clean(strings.Join(p.Unpinned[:min(3, len(p.Unpinned))], ", ")))
			}
		}
	}
	return err
}
