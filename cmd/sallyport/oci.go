package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newEvidenceFindCommand(a *app.App) *cobra.Command {
	var save string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "find IMAGE",
		Short: "Find what is attached to an image in a registry",
		Long: `Find lists the bundles, signatures, attestations and bills of materials that are attached to
IMAGE, registry/repository[:tag][@digest], and to each member of an index: through the referrers
API, the referrers tag, and cosign's older tags. It verifies nothing. What it lists it has held to
its digest, and to what it says of itself that it is about.

If nothing that is signed is found, every place that was looked at is told with what the registry
answered. If one could not be looked at, that is an error, whatever was found elsewhere.

Logins are those of Docker's config.json ($DOCKER_CONFIG); credential helpers are not run.

Exit status: 0 something signed is found, 1 could not look everywhere, 2 nothing signed is there,
64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			image, err := a.FindEvidence(cmd.Context(), args[0], save)
			if err != nil && image.Digest.Zero() {
				return err
			}
			if asJSON {
				if err := printJSON(a.Stdout, image); err != nil {
					return err
				}
			} else {
				textImage(a.Stdout, image, save)
			}
			switch {
			case err != nil:
				return err
			case image.Signed() == 0:
				return exit(sallyport.ExitShut)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&save, "save", "", "keep what is found in this `FOLDER`, in files named by digest, and what is signed as a bundle")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func textImage(w io.Writer, image app.Image, save string) {
	fmt.Fprintf(w, "image  %s\nis     %s\n", oneLine(image.Image), image.Digest)
	for _, sub := range image.Subjects[1:] {
		what := platform(sub.Platform)
		if sub.Describes != "" {
			what = " (attestation manifest of " + sub.Describes.Short() + ")"
		}
		fmt.Fprintf(w, "member %s%s\n", sub.Digest, what)
	}
	for _, it := range image.Items {
		fmt.Fprintf(w, "%s  %s\n  about   %s%s\n  digest  %s\n  from    %s\n", it.Kind, oneLine(orDash(it.PredicateType)), it.Subject, platform(it.Platform), it.Digest, oneLine(it.Source))
		for _, name := range it.Saved {
			fmt.Fprintf(w, "  saved   %s\n", oneLine(name))
		}
		if it.NoBundle != "" {
			fmt.Fprintf(w, "  no bundle, since %s\n", oneLine(it.NoBundle))
		}
	}
	for _, d := range image.Odd {
		fmt.Fprintf(w, "no evidence  %s\n  from    %s\n  because %s\n", orDash(string(d.Attestation)), oneLine(d.Source), oneLine(d.Why))
	}
	if image.Signed() == 0 || !image.Complete {
		fmt.Fprintln(w, "looked at")
		for _, p := range image.Places {
			fmt.Fprintf(w, "  %s\n", oneLine(p.String()))
		}
	}
	fmt.Fprintf(w, "%d found, %d of them signed, none verified here; %d places looked at\n", len(image.Items), image.Signed(), len(image.Places))
	if image.Signed() > 0 && save == "" {
		fmt.Fprintln(w, "next: --save FOLDER, then sallyport verify DIGEST --bundle FILE for what it is about")
	}
}

func platform(s string) string {
	if s == "" {
		return ""
	}
	return " (" + oneLine(s) + ")"
}

func newEvidenceAttachCommand(a *app.App) *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "attach IMAGE --bundle FILE",
		Short: "Attach a bundle to an image in a registry",
		Long: `Attach pushes the Sigstore bundle in FILE, as attest --bundle writes it, beside IMAGE,
registry/repository[:tag][@digest]: as a referrer of OCI 1.1 with the bundle's type. Where the
registry has no referrers API, the referrers tag is updated, and what others listed there stays.

The bundle must be about the very manifest that IMAGE leads to. Attaching it again changes nothing.
The registry's word that the bundle is listed is asked for; without it the command fails.

Exit status: 0 attached, 1 not attached or not listed, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := a.AttachEvidence(cmd.Context(), args[0], file)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, at)
			}
			where := "the registry's " + at.Layout
			if at.Tag != "" {
				where = "the tag " + at.Tag
			}
			verb := "attached"
			if at.Known {
				verb = "was attached already"
			}
			fmt.Fprintf(a.Stdout, "%s\nto     %s\nas     %s\nlisted by %s\n", verb, at.Subject, at.Manifest, where)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "bundle", "", "the `FILE` with the bundle")
	_ = cmd.MarkFlagRequired("bundle")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
