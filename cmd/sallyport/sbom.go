package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newSBOMCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var so app.SBOMOptions
	var out outputFlag
	formats := []string{"text", "json", "spdx", "cyclonedx"}
	cmd := &cobra.Command{
		Use:   "sbom [FOLDER | git:REV]",
		Short: "Write a software bill of materials of what lock files pin",
		Long: `SBOM reads the lock and manifest files below FOLDER (default: the working directory), or of a
commit (git:REV), and lists the packages that they pin: with the readers by which the merge gate
tells what a change brings. It needs no network and no package manager.

  sallyport sbom git:HEAD --output spdx=bom.spdx.json --output cyclonedx=bom.cdx.json
  sallyport attest git:HEAD --type https://cyclonedx.org/bom --predicate bom.cdx.json --key REF

The same input gives the same bytes. A commit's bill has the commit's time; a folder's that of
SOURCE_DATE_EPOCH, or none. What no lock file says is not in it: licences, and what lies in archives,
images and binaries.

Exit status: 0 written, 1 a file could not be read or there is none, 64 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sinks, err := out.sinks(formats...)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				so.Subject = args[0]
			}
			bill, err := a.SBOM(cmd.Context(), opts.opts, so)
			if err != nil {
				return err
			}
			for _, s := range sinks {
				if err := s.write(a.Stdout, func(w io.Writer) error { return writeSBOM(w, bill, s.format) }); err != nil {
					return err
				}
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	out.addFlags(cmd.Flags(), formats...)
	cmd.Flags().StringVar(&so.Name, "name", "", "the project's `NAME` (default: the folder's)")
	cmd.Flags().StringVar(&so.Version, "version", "", "the project's `VERSION`")
	return cmd
}

func writeSBOM(w io.Writer, bill *app.SBOM, format string) error {
	var b []byte
	var err error
	switch format {
	case "json":
		return printJSON(w, bill)
	case "spdx":
		b, err = bill.SPDX()
	case "cyclonedx":
		b, err = bill.CycloneDX()
	default:
		return textSBOM(w, bill)
	}
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// textSBOM sums a bill up: how many packages of each ecosystem, from which files, and what is open.
func textSBOM(w io.Writer, bill *app.SBOM) error {
	fmt.Fprintf(w, "%s: %d packages in %d files\n", sallyport.Path(bill.Name), len(bill.Components), len(bill.Files))
	count := map[string]int{}
	for _, c := range bill.Components {
		count[c.Ecosystem]++
	}
	for _, eco := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(w, "  %-10s %6d\n", eco, count[eco])
	}
	for _, f := range bill.Files {
		switch {
		case f.Unread:
			fmt.Fprintf(w, "incomplete: nothing here reads %s (%s)\n", sallyport.Path(f.Path), sallyport.Path(f.Format))
		case f.Open > 0:
			fmt.Fprintf(w, "incomplete: %s asks for %d that no lock file pins\n", sallyport.Path(f.Path), f.Open)
		case f.Packages > 0:
			fmt.Fprintf(w, "%s: %d\n", sallyport.Path(f.Path), f.Packages)
		}
	}
	_, err := fmt.Fprintln(w, "next: --output spdx=FILE or --output cyclonedx=FILE")
	return err
}
