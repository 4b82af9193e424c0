package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newKeyAttestVerifyCommand(a *app.App) *cobra.Command {
	var opts app.KeyAttestOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "attest-verify ATTESTATION --key PUB --person ID --by ID --challenge TEXT --roots PEM",
		Short: "Verify that a security key's maker attests a key, and print what the roster needs",
		Long: `Whoever enrols a colleague's security key chooses a challenge, "sallyport:", the person's id, ":", their
own id, ":" and 16 or more characters at random, and has it signed by the device while the key is made:

  printf %s 'sallyport:alice:bob:9f3c…' > challenge
  ssh-keygen -t ed25519-sk -O challenge=challenge -O write-attestation=alice.att -f id_alice_sk

Attest-verify checks the file against the maker's root certificates and prints the entry for
.sallyport/roster.yaml. Every check verifies it anew from there.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			opts.Attestation = args[0]
			v, err := a.VerifyKeyAttestation(opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, v)
			}
			fmt.Fprintf(a.Stdout, "model %s\nmaker %s\nuser verified %t\n\n%s", v.AAGUID, render.Clean(v.Maker), v.Verified, v.Entry)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Key, "key", "", "the public key, `PUB` as ssh-keygen wrote it")
	f.StringVar(&opts.Person, "person", "", "whose key it is: the roster's `ID`")
	f.StringVar(&opts.By, "by", "", "who enrols it: the roster's `ID`")
	f.StringVar(&opts.Challenge, "challenge", "", "the `TEXT` that the device was given")
	f.StringVar(&opts.Roots, "roots", "", "a `PEM` file of the makers' certificates")
	f.StringSliceVar(&opts.Models, "model", nil, "accept only this `AAGUID` (repeatable)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	for _, name := range []string{"key", "person", "by", "challenge", "roots"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}
