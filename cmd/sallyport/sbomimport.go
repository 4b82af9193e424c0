package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

func newSBOMImportCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var at app.AttestOptions
	var subject string
	var asJSON, check bool
	cmd := &cobra.Command{
		Use:   "import FILE [--subject SUBJECT --key REF]",
		Short: "Check a bill of materials by others, and bind it to what it is about",
		Long: `Import reads an SPDX 2.3 or CycloneDX 1.4 to 1.6 document in JSON (- is standard input), and
refuses one that could be read in two ways: keys that are there twice, identifiers that are used
twice or for nothing, package URLs and digests that are none.

  sallyport sbom import vendor.cdx.json --subject dist/app.tar --key REF

With --subject and --key it signs that the document, byte for byte, is about SUBJECT (a digest, a
file, or git:REV). A document that says itself that it is about another digest is refused. The
signer is who vouches for it; whom the document names as its makers is its own claim. With --check
nothing is signed that the rules for licences refuse.

Exit status: 0 well-formed, 1 not, or it could not be read, 2 a licence is not acceptable (--check),
64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (subject == "") != (at.Key == "") {
				return usagef("--subject and --key belong together")
			}
			if at.Output != "" && at.Key == "" {
				return usagef("--bundle belongs to --key")
			}
			doc, err := readLimited(a, args[0], sbom.MaxForeign)
			if err != nil {
				return err
			}
			bill, err := a.ImportSBOM(cmd.Context(), opts.opts, doc, subject, check, at)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(a.Stdout, bill)
			} else {
				err = textImport(a, bill)
			}
			if err == nil && bill.Licences != nil && len(bill.Licences.Findings) > 0 {
				notSigned(a, at.Key)
				return exit(sallyport.ExitShut)
			}
			return err
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&subject, "subject", "", "the `SUBJECT` that the bill is about: a digest, a file, or git:REV")
	f.StringVar(&at.Key, "key", "", "the key `REF` to sign with (docs/keys.md)")
	f.StringVar(&at.Output, "bundle", "", "write the attestation to `FILE` instead of keeping it")
	f.BoolVar(&check, "check", false, "hold licences to the rules of the target branch (licences: in sallyport.yaml)")
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose rules for licences are in force (default: the remote's default branch)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func textImport(a *app.App, b *app.ImportedSBOM) error {
	w := a.Stdout
	purls, licences := 0, 0
	for _, c := range b.Components {
		if c.Purl != "" {
			purls++
		}
		if c.Licence != "" {
			licences++
		}
	}
	fmt.Fprintf(w, "%s %s of %s, %s\n", b.Format, b.Version, sallyport.Path(b.Name), b.Digest)
	fmt.Fprintf(w, "%d components, %d with a package URL, %d with a licence\n", len(b.Components), purls, licences)
	fmt.Fprintf(w, "says it was made by: %s\n", oneLine(strings.Join(b.Creators, ", ")))
	for _, d := range b.Digests {
		fmt.Fprintf(w, "says it is about: %s\n", d)
	}
	for _, s := range b.Subjects {
		fmt.Fprintf(w, "subject %s\n", s)
	}
	if !b.Attestation.Zero() {
		fmt.Fprintf(w, "attestation %s\n", b.Attestation)
	}
	if b.Licences != nil {
		return textLicences(w, b.Licences)
	}
	return nil
}
