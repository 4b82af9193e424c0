package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newRebuildCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var ro app.RebuildOptions
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "rebuild [BUNDLE]",
		Short: "Run an attested build again and compare what it makes",
		Long: `Rebuild verifies the SLSA provenance in BUNDLE, or the one that is kept here about the first --artifact,
under the trust roots of the target ref or under one public key, and runs its command again on its
commit: in a clean checkout in another folder, with an empty home, another time zone, locale, file mode mask and
user, and with files created in another order, as far as this machine allows. It compares the
artifacts with the attested digests, says what differs inside, and lists which of these variations were
really made.

The command is foreign code with your rights: it is shown, and runs only after a yes at the terminal
or --yes. The network is open unless it is cut.

  sallyport rebuild provenance.sigstore.json --verify-key build.pub --artifact app.tar.gz --yes

Exit status: 0 every artifact has the attested bytes, 1 could not rebuild, 2 one has not, or the
provenance was refused, 64 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				ro.Bundle = args[0]
			}
			ro.Confirm = func(p app.RebuildPlan) error { return confirmRebuild(a, p, yes, asJSON) }
			step, clear := progress(a)
			opts.opts.Progress = step
			res, err := a.Rebuild(cmd.Context(), opts.opts, ro)
			clear()
			if err != nil {
				return refused(a, err)
			}
			if asJSON {
				err = printJSON(a.Stdout, res)
			} else {
				err = textRebuild(a.Stdout, res)
			}
			if err == nil && !res.Equal {
				err = exit(sallyport.ExitShut)
			}
			return err
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose trust roots count (default: what CI says, else the remote's default branch)")
	f.StringVar(&ro.VerifyKey, "verify-key", "", "verify the provenance under this public key `FILE` instead of the trust roots")
	f.StringArrayVar(&ro.Artifacts, "artifact", nil, "an attested `FILE`, to look into where the rebuild differs (default: where it still lies in the work tree; repeatable)")
	f.StringVar(&ro.Key, "key", "", "sign the outcome with the key `REF`")
	f.StringVar(&ro.BuilderID, "builder-id", "", "who rebuilds, a `URI`: the outcome counts as another builder's if --key is another principal's in the trust roots")
	f.StringVar(&ro.Output, "bundle", "", "write the signed outcome to `FILE` instead of keeping it")
	f.StringArrayVar(&ro.Pass, "pass", nil, "pass the variable `NAME` on to the command (repeatable)")
	f.StringArrayVar(&ro.Without, "without", nil, "leave the variation `NAME` out: "+strings.Join(app.RebuildVariations, ", ")+" (repeatable)")
	f.BoolVar(&ro.CutNetwork, "cut-network", false, "run without network, or not at all")
	f.DurationVar(&ro.Timeout, "timeout", 2*time.Hour, "end the command after `DURATION`; 0 is never")
	f.StringVar(&ro.Log, "log", "", "write what the command says to `FILE`")
	f.StringVar(&ro.Keep, "keep", "", "copy the rebuilt artifacts into the folder `DIR`")
	f.BoolVar(&yes, "yes", false, "run the command without asking")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// confirmRebuild shows what would run, and asks.
func confirmRebuild(a *app.App, p app.RebuildPlan, yes, quiet bool) error {
	if yes && quiet {
		return nil
	}
	w := a.Stdout
	signer := "the key that was given"
	if p.Signer.Name != "" {
		signer = string(p.Signer.Kind) + " " + p.Signer.Name
	}
	fmt.Fprintf(w, "provenance  %s\nsigned by   %s\nbuilder     %s\ncommit      %s\nfolder      %s\ncommand     %s\n",
		p.Provenance, sallyport.Path(signer), sallyport.Path(orDash(p.Builder)), p.Commit, sallyport.Path(p.Directory), sallyport.Path(p.ShellCommand()))
	for _, name := range slices.Sorted(maps.Keys(p.Environment)) {
		fmt.Fprintf(w, "variable    %s\n", sallyport.Path(name+"="+p.Environment[name]))
	}
	if yes {
		return nil
	}
	if !isTerminal(a.Stdout) {
		return usageError{err: errors.New("nothing was run: the command above is foreign code with your rights"), hint: "read it, then pass --yes, or run this at a terminal"}
	}
	fmt.Fprint(w, "\nType \"yes\" to run it here, with your rights: ")
	answer, err := bufio.NewReader(io.LimitReader(a.Stdin, 64)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was run")
	}
	return nil
}

func textRebuild(w io.Writer, r app.Rebuild) error {
	word := "different"
	if r.Equal {
		word = "equal"
	}
	fmt.Fprintf(w, "\nrebuild: %s (%s)\n", word, r.Level)
	for _, a := range r.Artifacts {
		fmt.Fprintf(w, "\n%-9s  %s\n", a.Outcome, sallyport.Path(a.Name))
		for _, d := range []struct {
			word string
			d    sallyport.Digest
		}{{"attested", a.Attested}, {"rebuilt", a.Rebuilt}} {
			if !d.d.Zero() && a.Outcome != "equal" {
				fmt.Fprintf(w, "  %-8s  %s\n", d.word, d.d)
			}
		}
		switch {
		case a.Comparison != nil:
			if err := textDifferences(w, *a.Comparison, "  "); err != nil {
				return err
			}
		case a.Outcome == "different":
			fmt.Fprintln(w, "  the attested file is not at hand: name it with --artifact to see what differs")
		}
	}
	fmt.Fprintln(w, "\nvaried")
	for _, made := range []bool{true, false} {
		if !made {
			fmt.Fprintln(w, "not varied")
		}
		for _, v := range r.Variations {
			if v.Made == made {
				fmt.Fprintf(w, "  %-10s  %s\n", v.Name, sallyport.Path(v.How))
			}
		}
	}
	if !r.Attestation.Zero() {
		fmt.Fprintf(w, "attestation %s\n", r.Attestation)
	}
	return nil
}
