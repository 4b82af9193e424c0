package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

func newSBOMCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var so app.SBOMOptions
	var out outputFlag
	var attest string
	var check bool
	var at app.AttestOptions
	formats := []string{"text", "json", "spdx", "cyclonedx"}
	cmd := &cobra.Command{
		Use:   "sbom [FOLDER | git:REV | FILE | oci:REF | oci-layout:FOLDER]",
		Short: "Write a software bill of materials",
		Long: `SBOM reads the lock and manifest files below FOLDER (default: the working directory), or of a
commit (git:REV), and lists the packages that they pin: with the readers by which the merge gate
tells what a change brings. It needs no network and no package manager.

What lies in a FILE (an archive, a package, an executable, an image in a tar file), in an image in a
registry (oci:REF) or on disk (oci-layout:FOLDER), and with --deep in a folder, is looked into by a
helper program, sallyport-sbom, which confines itself first. It finds licences, too.

  sallyport sbom git:HEAD --output spdx=bom.spdx.json --output cyclonedx=bom.cdx.json
  sallyport sbom dist/service --attest cyclonedx --key REF

The same input gives the same bytes. A commit's bill has the commit's time; any other that of
SOURCE_DATE_EPOCH, or none. --attest signs the bill about the digest of what was read.

With --check the rules for licences that are in force on the target branch are applied. A licence that
is denied, that no rule allows, or that nobody knows is a finding, and with a finding nothing is signed.

Exit status: 0 written, 1 something could not be read or there is nothing, 2 a licence is not
acceptable, 64 wrong usage.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sinks, err := out.sinks(formats...)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				so.Subject = args[0]
			}
			switch {
			case attest == "" && (at.Key != "" || at.Output != ""):
				return usagef("--key and --bundle belong to --attest")
			case attest != "" && at.Key == "":
				return usagef("--attest needs --key REF")
			}
			bill, err := a.SBOM(cmd.Context(), opts.opts, so)
			if err != nil {
				return err
			}
			if check {
				if bill.Licences, err = checkLicences(cmd.Context(), a, opts.opts, bill.Looked != nil || so.Models, bill.Components); err != nil {
					return err
				}
			}
			for _, s := range sinks {
				if err := s.write(a.Stdout, func(w io.Writer) error { return writeSBOM(w, bill, s.format) }); err != nil {
					return err
				}
			}
			if bill.Licences != nil && len(bill.Licences.Findings) > 0 { // before anything is signed
				notSigned(a, at.Key)
				return exit(sallyport.ExitShut)
			}
			if attest != "" {
				res, err := a.AttestSBOM(cmd.Context(), opts.opts, bill, attest, at)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.Stderr, "sallyport: note: attestation %s about %s\n", res.Digest, bill.Digest)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	out.addFlags(cmd.Flags(), formats...)
	cmd.AddCommand(newSBOMImportCommand(a))
	cmd.Flags().StringVar(&so.Name, "name", "", "the project's `NAME` (default: the folder's or file's)")
	cmd.Flags().BoolVar(&so.Deep, "deep", false, "look into the files of a folder as well (needs sallyport-sbom)")
	cmd.Flags().BoolVar(&so.Models, "models", false, "add the files of a folder that hold models: safetensors, GGUF, ONNX")
	cmd.Flags().StringVar(&so.Platform, "platform", "", "the image for `OS/ARCHITECTURE` of an index")
	cmd.Flags().BoolVar(&so.Empty, "empty", false, "write a bill of a file or an image in which nothing is found")
	cmd.Flags().BoolVar(&check, "check", false, "hold licences to the rules of the target branch (licences: in sallyport.yaml)")
	cmd.Flags().StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose rules for licences are in force (default: the remote's default branch)")
	cmd.Flags().StringVar(&attest, "attest", "", "sign the bill as `FORMAT`, spdx or cyclonedx, about the digest of what was read")
	cmd.Flags().StringVar(&at.Key, "key", "", "the key `REF` to sign with (docs/keys.md)")
	cmd.Flags().StringVar(&at.Output, "bundle", "", "write the attestation to `FILE` instead of keeping it")
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
	count := map[string]int{}
	for _, c := range bill.Components {
		count[c.Ecosystem]++
	}
	if bill.Looked == nil {
		if n := count["model"]; n > 0 {
			fmt.Fprintf(w, "%s: %d models\n", sallyport.Path(bill.Name), n)
		}
		fmt.Fprintf(w, "%s: %d packages in %d files\n", sallyport.Path(bill.Name), len(bill.Components)-count["model"], len(bill.Files))
	} else {
		textLooked(w, bill)
	}
	for _, eco := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(w, "  %-10s %6d\n", eco, count[eco])
	}
	for _, f := range bill.Files {
		switch {
		case f.Why != "":
			fmt.Fprintf(w, "incomplete: %s could not be read: %s\n", sallyport.Path(f.Path), oneLine(f.Why))
		case f.Unread:
			fmt.Fprintf(w, "incomplete: nothing here reads %s (%s)\n", sallyport.Path(f.Path), sallyport.Path(f.Format))
		case f.Open > 0:
			fmt.Fprintf(w, "incomplete: %s asks for %d that no lock file pins\n", sallyport.Path(f.Path), f.Open)
		case f.Packages > 0:
			fmt.Fprintf(w, "%s: %d\n", sallyport.Path(f.Path), f.Packages)
		}
	}
	if bill.Licences != nil {
		return textLicences(w, bill.Licences)
	}
	_, err := fmt.Fprintln(w, "next: --output spdx=FILE or --output cyclonedx=FILE")
	return err
}

// textLooked says what was looked into, by whom, and how far that program was confined.
func textLooked(w io.Writer, bill *app.SBOM) {
	licences := 0
	for _, c := range bill.Components {
		if c.Licence != "" {
			licences++
		}
	}
	fmt.Fprintf(w, "%s: %d components, %d with a licence\n", sallyport.Path(bill.Name), len(bill.Components), licences)
	if !bill.Digest.Zero() {
		fmt.Fprintf(w, "%s %s\n", bill.Subject, bill.Digest)
	}
	c := bill.Looked.Confined
	var kept []string
	for _, p := range []struct {
		is   bool
		what string
	}{{c.Files, "files"}, {c.Network, "network"}, {c.Processes, "processes"}, {c.Limits, "limits"}} {
		if !p.is {
			kept = append(kept, p.what)
		}
	}
	fmt.Fprintf(w, "read as %s by %s %s, ", bill.Looked.Form, bill.Looked.Program, bill.Looked.Version)
	if len(kept) == 0 {
		fmt.Fprintln(w, "confined")
	} else {
		fmt.Fprintf(w, "NOT confined in: %s %s\n", strings.Join(kept, ", "), oneLine(c.Note))
	}
}

// checkLicences applies the rules. What lock files alone tell has no licences.
func checkLicences(ctx context.Context, a *app.App, o app.Options, looked bool, parts []sbom.Component) (*sbom.LicenceCheck, error) {
	if !looked {
		return nil, usagef("lock files state no licences: look into a folder (--deep), a file or an image")
	}
	c, err := a.CheckLicences(ctx, o, parts)
	return &c, err
}

func textLicences(w io.Writer, c *sbom.LicenceCheck) error {
	for _, f := range c.Findings {
		fmt.Fprintf(w, "%s %s: %s\n", f.Severity, f.Rule, oneLine(f.Text))
	}
	_, err := fmt.Fprintf(w, "licences: %d allowed, %d findings\n", c.Allowed, len(c.Findings))
	for _, s := range c.Advice {
		_, err = fmt.Fprintf(w, "advice only: %s\n", oneLine(s))
	}
	return err
}

// notSigned says that a key was named in vain.
func notSigned(a *app.App, key string) {
	if key != "" {
		fmt.Fprintln(a.Stderr, "sallyport: note: nothing was signed: the rules for licences refuse it")
	}
}
