package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newEvidenceExportCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export DECISION --to FILE",
		Short: "Write all that a decision was derived from to one file, for an auditor",
		Long: `Export writes an evidence pack: the decision and its input, the policy sets and the governed files that
were in force, every attestation that was considered, the signed verification summary, and the proof that
the log holds the decision. sallyport evidence verify-pack derives the decision from it again, on a
machine that has nothing else.

DECISION is the decision's digest, or the beginning of one (sallyport log tail). What would not verify
elsewhere is not written.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.ExportPack(cmd.Context(), opts.opts, args[0], file)
			if err != nil {
				return err
			}
			return printPack(a, r, asJSON, "wrote "+file)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` in whose history the governed files are (default: the upstream or the remote's default branch)")
	f.StringArrayVar(&opts.opts.Bundles, "bundle", nil, "an attestation `FILE` that the decision considered and that is not kept; repeatable")
	f.StringVar(&file, "to", "", "the pack: a `FILE`")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func newEvidenceVerifyPackCommand(a *app.App) *cobra.Command {
	var root, over, anchor string
	var o app.PackOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify-pack PACK [--root DIGEST]",
		Short: "Derive a decision again from an evidence pack, with nothing else",
		Long: `Verify-pack needs no repository, no network and no state. It verifies that every part is the one that the
decision names, every attestation under the trust roots of the pack at the time of the decision, the proof
that the log holds the decision, and evaluates the policy again: the same outcome and reasons have to
follow. No byte of a pack can be changed unseen.

What you have to know from elsewhere is the root that was pinned (--root), and the log's public key
(--log-key, as sallyport log status prints it) where the governed configuration does not name it. A
decision that no verifier of the trust roots signed is advice: anybody who has the governed files could
have made it, and it verifies only with --advice.

Whoever trusts only the key and the log that came after verifies with --reanchored FILE and --anchor-key:
the statement says which root and log the pack stands on, and its log proves that it was not made up since.

Exit status: 0 it verifies, 1 it could not be read, 2 it does not verify, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if (over == "") != (anchor == "") || over == "" && root == "" {
				return usagef("name the root with --root, or what carries the pack over with --reanchored and --anchor-key")
			}
			if root != "" {
				if o.Root, err = sallyport.ParseDigest(root); err != nil {
					return usagef("--root: %w", err)
				}
			}
			if over != "" {
				if o.Reanchored, o.AnchorKey, err = app.ReadReanchored(over, anchor); err != nil {
					return err
				}
			}
			b, err := app.ReadPack(args[0])
			if err != nil {
				return err
			}
			r, err := a.VerifyPack(cmd.Context(), b, o)
			if err != nil {
				return refusedPack(a, err)
			}
			return printPack(a, r, asJSON, "verified")
		},
	}
	f := cmd.Flags()
	f.StringVar(&root, "root", "", "the `DIGEST` of the root that was pinned when it was decided")
	f.StringVar(&o.LogKey, "log-key", "", "the log's public verifier `KEY`")
	f.BoolVar(&o.Advice, "advice", false, "take a decision that no trusted verifier signed, or whose log nobody vouches for")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&over, "reanchored", "", "a `FILE` of evidence reanchor about the pack, in place of --root; --log-key is then the new log's")
	f.StringVar(&anchor, "anchor-key", "", "the public key, a `FILE`, that signed what --reanchored names")
	return cmd
}

func printPack(a *app.App, r app.PackReport, asJSON bool, what string) error {
	if asJSON {
		return printJSON(a.Stdout, r)
	}
	signer := r.Signer
	if signer == "" {
		signer = "nobody whom the trust roots know: the decision is advice"
	}
	log := "entry " + fmt.Sprint(r.Index) + " of " + r.Log
	if !r.LogPinned {
		log += " (by the pack's own word: name the log's key with --log-key)"
	}
	_, err := fmt.Fprintf(a.Stdout, "%s\n  decision  %s\n  gate      %s: %s\n  subject   %s %s\n  time      %s\n  root      %s\n  signed by %s\n  log       %s\n  evidence  %d attestations verify again\n",
		render.Clean(what), r.ID, r.Decision.Gate, r.Decision.Outcome, r.Decision.Subject.Digest, render.Clean(r.Decision.Subject.Name), r.Decision.Time, r.Root, render.Clean(signer), render.Clean(log), r.Evidence)
	return err
}
