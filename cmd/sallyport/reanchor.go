package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newEvidenceImportCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var root string
	var o app.PackOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import PACK --old-root DIGEST",
		Short: "Verify an evidence pack, and keep what it holds with the evidence here",
		Long: `Import verifies PACK as evidence verify-pack does, and keeps its attestations and its verification
summary with the evidence of this repository, and the pack itself beside, in the folder packs of the state
folder. Nothing is kept of a pack that does not verify. What is kept counts at a gate only if it verifies
there, under the trust roots in force; for what those do not know any more see evidence reanchor.

It may be run again: what is here already is counted, and not kept twice.

Exit status: 0 it is here, 1 could not tell, 2 it does not verify, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Root, err = sallyport.ParseDigest(root); err != nil {
				return usagef("--old-root: %w", err)
			}
			b, err := app.ReadPack(args[0])
			if err != nil {
				return err
			}
			r, err := a.ImportPack(cmd.Context(), opts.opts, b, o)
			if err != nil {
				return refusedPack(a, err)
			}
			if asJSON {
				return printJSON(a.Stdout, r)
			}
			if err := printPack(a, r.PackReport, false, "imported"); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "  kept      %d attestations that were new, %d were here\n  pack      %s\n", r.New, r.Known, render.Clean(r.Pack))
			return err
		},
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	addOldFlags(f, &root, &o.LogKey)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("old-root")
	return cmd
}

// addOldFlags adds what the reader of a pack knows from elsewhere.
func addOldFlags(f *pflag.FlagSet, root, logKey *string) {
	f.StringVar(root, "old-root", "", "the `DIGEST` of the root that was pinned when it was decided")
	f.StringVar(logKey, "old-log-key", "", "the public verifier `KEY` of the log that it was decided into (default: as the pack's governed configuration names it)")
}

// refusedPack turns a refusal of a pack into its exit status.
func refusedPack(a *app.App, err error) error {
	if errors.Is(err, app.ErrRefused) {
		printError(a.Stderr, err)
		return exitStatus(sallyport.ExitShut)
	}
	return err
}

// reasons are what a reanchoring may say that was changed.
var reanchorReasons = []string{"log", "key", "algorithm", "store"}

func newEvidenceReanchorCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var root string
	var o app.ReanchorOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reanchor PACK|DECISION --old-root DIGEST --reason REASON",
		Short: "Carry evidence of the past over to a new log, a new key or a new algorithm",
		Long: `Reanchor verifies a decision of the past, whole, under the root and the log of then: PACK, or a DECISION that is
recorded here. Then it signs that it did, with a key that the trust roots in force let sign
https://sallyport.dev/predicate/reanchor/v0.1, and puts the statement into the log. It names the old log's
checkpoint with the proof that it holds the decision, the old keys, and every attestation that is carried.

From then on a gate takes what is carried although the trust roots in force do not know its key any more: it
verifies each signature again, under the trust roots of then, which the target's history holds. What did not
verify then is carried by nothing. Of a key that is revoked now, nothing is carried that is not proven, by the
old log's dated checkpoint, to be older; of a compromised one, nothing at all. A person's word and an agent's are not
carried to a gate.

--to FILE writes the statement with the proof that the log holds it. Whoever knows the new key and the new
log alone verifies the old pack with it (evidence verify-pack --reanchored FILE). What the pack holds is kept
here, as evidence import does.

Exit status: 0 it is carried over, 1 could not tell, 2 it does not verify or may not be carried, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Root, err = sallyport.ParseDigest(root); err != nil {
				return usagef("--old-root: %w", err)
			}
			if !slices.Contains(reanchorReasons, o.Reason) {
				return usagef("--reason is %q, want log, key, algorithm or store", o.Reason)
			}
			r, err := a.Reanchor(cmd.Context(), opts.opts, args[0], o)
			if err != nil {
				return refusedPack(a, err)
			}
			if asJSON {
				return printJSON(a.Stdout, r)
			}
			return printReanchored(a, r)
		},
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` in whose history the old governed files are (default: the upstream or the remote's default branch)")
	f.StringArrayVar(&opts.opts.Bundles, "bundle", nil, "an attestation `FILE` that the decision considered and that is not kept; repeatable")
	addOldFlags(f, &root, &o.LogKey)
	f.StringVar(&o.Reason, "reason", "", "what was changed: log, key, algorithm or store")
	f.StringVar(&o.Key, "key", "", "the new `KEY` (default: the verifier's)")
	f.StringVar(&o.To, "to", "", "write the statement with its proof to `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("old-root")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func printReanchored(a *app.App, r app.ReanchorReport) error {
	if err := printPack(a, r.Import.PackReport, false, "carried over"); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "  statement %s, signed by %s\n  new log   %s\n  carried   %d attestations, proven to be older than %s\n", r.Statement, render.Clean(r.Signer), render.Clean(r.NewLog), r.Carried, r.Before)
	for _, l := range r.Left {
		fmt.Fprintf(a.Stdout, "  left out  %s: %s\n", l.Attestation, render.Clean(l.Why))
	}
	_, err := fmt.Fprintf(a.Stdout, "  kept      %d attestations that were new, %d were here\n", r.Import.New, r.Import.Known)
	return err
}
