package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newEvidenceCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{Use: "evidence", Short: "The attestations that are kept here, and how they travel"}
	cmd.AddCommand(newEvidencePublishCommand(a))
	return cmd
}

func newEvidencePublishCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Put every attestation that is kept here on " + app.EvidenceRef,
		Long: `Publish adds to ` + app.EvidenceRef + ` what the state folder holds and the ref does not.
Attest and approval give do so by themselves; it is needed where somebody else pushed the ref
first:

  git fetch origin +` + app.EvidenceRef + `:` + app.EvidenceRef + `
  sallyport evidence publish
  git push origin ` + app.EvidenceRef + `

The ref is transport: nothing on it is believed before it verifies.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := a.PublishEvidence(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "%s holds the %d attestation(s) of the state folder\nnext: git push origin %s\n", app.EvidenceRef, n, app.EvidenceRef)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	return cmd
}
