package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newKeyCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Signing keys of tools and machines",
		Long: `Keys made here sign attestations of tools. Reviewers approve with their own SSH keys, which
ssh-keygen makes.`,
	}
	cmd.AddCommand(newKeyGenerateCommand(a), newKeyShowCommand(a), newKeyAttestVerifyCommand(a),
		newKeyListCommand(a), newKeyRotateCommand(a), newKeyRevokeCommand(a), newKeyIssueCommand(a), newKeyQuoteVerifyCommand(a))
	return cmd
}

func newKeyGenerateCommand(a *app.App) *cobra.Command {
	var simulated, encrypted bool
	cmd := &cobra.Command{
		Use:   "generate FILE",
		Short: "Make an Ed25519 key; never overwrites",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := a.GenerateKey(args[0], simulated, encrypted)
			if err != nil {
				return err
			}
			how := "not encrypted"
			if encrypted {
				how = "encrypted"
			}
			fmt.Fprintf(a.Stdout, "wrote %s (mode 0600, %s)\nkey %s\n%s", args[0], how, k.Fingerprint, k.Public)
			return nil
		},
	}
	cmd.Flags().BoolVar(&encrypted, "encrypted", false, "encrypt the key with the passphrase in $SALLYPORT_KEY_PASSPHRASE")
	cmd.Flags().BoolVar(&simulated, "simulated-sk", false, "make a simulated security key for demonstrations and tests: it proves no touch")
	return cmd
}

func newKeyShowCommand(a *app.App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show REF",
		Short: "Print a key's public part and fingerprint",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := a.ShowKey(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, k)
			}
			fmt.Fprintf(a.Stdout, "key %s\n%s", k.Fingerprint, k.Public)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
