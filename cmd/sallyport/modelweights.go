package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newModelVerifyCommand(a *app.App) *cobra.Command {
	var o app.ArtifactOptions
	var signature string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify DIR --signature FILE --key FILE",
		Short: "Verify the files of a model against their OpenSSF model signature",
		Long: `Verify reads a signature of the OpenSSF Model Signing specification (v1.0), verifies it under --key or for
the identity of its certificate, and compares every file below DIR with the list that was signed. Whatever was
changed, added, taken away or renamed is told, and so are links that lead out of DIR.

It prints the root digest, by which a registry entry names the weights (digest).

Exit status:
  0   the signature verifies, and every file is as it was signed
  1   it could not be verified
  2   the signature does not verify, or a file differs
  64  the command was used wrongly`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Key == "" && o.Identity+o.IdentityPattern == "" {
				return usagef("name who should have signed: --key FILE, or --certificate-identity and --certificate-oidc-issuer")
			}
			w, err := a.VerifyWeights(cmd.Context(), args[0], signature, o)
			if errors.Is(err, app.ErrRefused) {
				printError(a.Stderr, err)
				return exitStatus(sallyport.ExitShut)
			}
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(a.Stdout, w)
			} else {
				printWeights(a, w)
			}
			if err == nil && len(w.Differences) > 0 {
				return exitStatus(sallyport.ExitShut)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&signature, "signature", "", "the signature `FILE`, a Sigstore bundle")
	f.StringVar(&o.Key, "key", "", "the public key `FILE` (PEM) that should have signed")
	addIdentityFlags(f, &o)
	f.StringVar(&o.IdentityPattern, "certificate-identity-regexp", "", "an `RE2` that matches all of the identity")
	f.StringVar(&o.IssuerPattern, "certificate-oidc-issuer-regexp", "", "an `RE2` that matches all of the issuer")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("signature")
	return cmd
}

func printWeights(a *app.App, w app.ModelWeights) {
	verdict := "verified"
	if len(w.Differences) > 0 {
		verdict = "refused"
	}
	fmt.Fprintf(a.Stdout, "%s  %s\n  %-10s %s\n  %-10s %d\n", verdict, render.Clean(w.Model), "root", w.Root, "files", w.Files)
	for _, l := range signatureLines(w.Signature) {
		fmt.Fprintf(a.Stdout, "  %s\n", render.Clean(l))
	}
	for _, p := range w.Ignored {
		fmt.Fprintf(a.Stdout, "  %-10s %s\n", "left out", render.Clean(p))
	}
	for i, d := range w.Differences {
		if i == printed {
			fmt.Fprintf(a.Stdout, "  and %d more differences: --json has all\n", len(w.Differences)-printed)
			break
		}
		fmt.Fprintf(a.Stdout, "  %s\n", render.Clean(d.String()))
	}
}

func newModelSignCommand(a *app.App) *cobra.Command {
	var o app.WeightsOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sign DIR --signature FILE --key KEY",
		Short: "Sign the files of a model as the OpenSSF Model Signing specification has it",
		Long: `Sign lists every file below DIR with its digest and signs the list. Left out are .git, .gitattributes, .github,
.gitignore, the signature itself and what --ignore names; the list says so. KEY and the identity flags are as for
sallyport sign.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = args[0]
			signed, root, err := a.SignWeights(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, struct {
					app.Signed
					Root sallyport.Digest `json:"root"`
				}{signed, root})
			}
			fmt.Fprintf(a.Stdout, "signed %s\nroot %s\nsignature %s\n", render.Clean(o.Dir), root, render.Clean(signed.Bundle))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Signature, "signature", "", "where the signature goes, a `FILE`")
	f.StringVar(&o.Name, "name", "", "what the model is called (default: the folder's `NAME`)")
	f.StringArrayVar(&o.Ignore, "ignore", nil, "a `PATH` below DIR that is left out (repeatable)")
	f.BoolVar(&o.AllowSymlinks, "allow-symlinks", false, "follow links to files that stay in DIR")
	f.StringVar(&o.Sign.Key, "key", "", "the private `KEY`, as for sallyport sign")
	f.StringVar(&o.Sign.IdentityToken, "identity-token", "", "a `FILE` with an OIDC token, to sign without a key")
	f.StringVar(&o.Sign.SigningConfig, "signing-config", "", "a Sigstore signing configuration `FILE`, with --identity-token")
	f.StringVar(&o.Sign.TrustedRoot, "trusted-root", "", "a Sigstore trusted root `FILE` that verifies the bundle before it is written")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("signature")
	return cmd
}
