package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

// newConformanceCommand speaks the command line of https://github.com/sigstore/sigstore-conformance,
// so that its suite can be run against the binary. It is for that, and hidden.
func newConformanceCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "conformance",
		Short:  "Answer sigstore-conformance's test suite",
		Hidden: true,
	}
	cmd.AddCommand(newConformanceVerifyCommand(a), newConformanceSignCommand(a))
	return cmd
}

func newConformanceVerifyCommand(a *app.App) *cobra.Command {
	var o app.ArtifactOptions
	var bundle string
	var staging bool
	cmd := &cobra.Command{
		Use:   "verify-bundle FILE|sha256:DIGEST",
		Short: "Verify a bundle over a file or digest; 0 means that it is good",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if staging && o.TrustedRoot == "" {
				return usagef("the staging instance's root is not shipped: name it with --trusted-root")
			}
			o.Subject, o.Bundles, o.AnyType, o.Logged = args[0], []string{bundle}, true, true
			return runConformanceVerify(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	addIdentityFlags(f, &o)
	f.StringVar(&bundle, "bundle", "", "the bundle `FILE`")
	f.StringVar(&o.Key, "key", "", "a public key `FILE`, instead of an identity")
	f.BoolVar(&staging, "staging", false, "by the staging instance's root")
	_ = cmd.MarkFlagRequired("bundle")
	return cmd
}

func runConformanceVerify(ctx context.Context, a *app.App, o app.ArtifactOptions) error {
	res, err := a.VerifyArtifact(ctx, o)
	if err != nil {
		return err
	}
	status := res.ExitStatus()
	if status != sallyport.ExitOpen {
		for _, s := range res.Signatures {
			fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(s.Why))
		}
	}
	return exit(status)
}

func newConformanceSignCommand(a *app.App) *cobra.Command {
	var o app.SignOptions
	var token string
	var staging bool
	cmd := &cobra.Command{
		Use:   "sign-bundle FILE",
		Short: "Sign a file, or an in-toto statement, without a key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if staging && o.SigningConfig == "" {
				return usagef("the staging instance's services are not shipped: name them with --signing-config")
			}
			// The suite gives the token itself, where everything else takes a file.
			f, err := os.CreateTemp("", "token")
			if err != nil {
				return err
			}
			defer os.Remove(f.Name())
			_, err = f.WriteString(token)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			o.Files, o.IdentityToken = args, f.Name()
			_, err = a.Sign(cmd.Context(), o)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Bundle, "bundle", "", "write the bundle to `FILE`")
	f.StringVar(&token, "identity-token", "", "the OIDC `TOKEN`")
	f.StringVar(&o.SigningConfig, "signing-config", "", "the signing configuration `FILE`")
	f.StringVar(&o.TrustedRoot, "trusted-root", "", "the trusted root `FILE`")
	f.BoolVar(&o.InToto, "in-toto", false, "the file is a statement")
	f.BoolVar(&staging, "staging", false, "by the staging instance's services")
	for _, name := range []string{"bundle", "identity-token"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}
