package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newSignCommand(a *app.App) *cobra.Command {
	var o app.SignOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sign FILE...|oci:IMAGE...",
		Short: "Sign files, their checksums, or images, as Sigstore bundles",
		Long: `Sign writes FILE.sigstore.json beside each FILE: a Sigstore bundle that sallyport verify, cosign
verify-blob and every other Sigstore client verifies.

With --checksums SHA256SUMS it writes the files' checksums there, as sha256sum -c reads them, and
signs that file alone. With --openpgp FINGERPRINT gpg signs as well, and FILE.asc stands beside it.

--key REF signs with a key and asks no server. --identity-token FILE signs without one: the
authority of --signing-config FILE issues a certificate of minutes for the token's identity, and its
log and timestamp authority vouch for the time. Name --trusted-root FILE, and nothing is written that
does not verify against it.

An image, oci:registry.example/app:v1, is signed by its digest, and the bundle attached to it in the
registry, where cosign verify finds it.

No file is written before everything is signed.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Files = args
			signed, err := a.Sign(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, signed)
			}
			for _, s := range signed {
				fmt.Fprintf(a.Stdout, "signed    %s\n  digest   %s\n", render.Clean(s.File), s.Digest)
				for _, l := range []struct{ name, value string }{{"bundle", s.Bundle}, {"openpgp", s.OpenPGP}, {"key", s.Key}} {
					if l.value != "" {
						fmt.Fprintf(a.Stdout, "  %-8s %s\n", l.name, render.Clean(l.value))
					}
				}
				if s.Identity != nil {
					fmt.Fprintf(a.Stdout, "  identity %s (%s)\n", render.Clean(s.Identity.Subject), render.Clean(s.Identity.Issuer))
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Key, "key", "", "the signing key `REF` (docs/keys.md)")
	f.StringVar(&o.Checksums, "checksums", "", "write the files' SHA-256 checksums to `FILE` and sign it instead of them")
	f.StringVar(&o.Bundle, "bundle", "", "write the bundle to `FILE`")
	f.StringVar(&o.OpenPGP, "openpgp", "", "sign with this gpg key as well: its whole `FINGERPRINT`")
	f.StringVar(&o.IdentityToken, "identity-token", "", "a `FILE` with an OIDC token, to sign without a key")
	f.StringVar(&o.SigningConfig, "signing-config", "", "the Sigstore signing configuration `FILE` that names the services")
	f.StringVar(&o.TrustedRoot, "trusted-root", "", "the trusted root `FILE` that has to verify what the services answered")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
