package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newMaskCommand(a *app.App) *cobra.Command {
	var o app.MaskOptions
	var asJSON, unmask, hash, check bool
	var format string
	var allow []string
	cmd := &cobra.Command{
		Use:   "mask [FILE]...",
		Short: "Put sentinels in the place of secrets and personal data, and back",
		Long: `Mask reads each FILE, or standard input, and writes it with a sentinel in the place of each secret:

  sallyport mask --vault run.vault prompt.txt > masked.txt
  sallyport mask --vault run.vault --unmask --allow 'personal:*' < answer.txt

The same value always gets the same sentinel. --vault keeps what they stand for, in a file that only its owner
can read and that holds the secrets; without it nothing can be put back. --unmask puts back personal data
and no secrets, or exactly the kinds that --allow names.

Secrets are known by their form and surroundings, and by value: from the environment, .env files, a list, or a
keyed-hash list, which --hash makes of values. With --format json the texts are JSON, of which only strings
are looked at. A passage of a --never-leave document is found however it is wrapped; nothing is written then.

Exit status: 0 written (with --check and --json: nothing was found), 1 something could not be read, 2 with
--check and --json: something was found; always: a passage of a document that must not leave, 64 wrong usage.`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Files = args
			o.Environ = os.Environ()
			switch format {
			case "text", "json":
				o.JSON = format == "json"
			default:
				return usagef("--format is text or json, not %q", format)
			}
			switch {
			case unmask && (asJSON || check || hash):
				return usagef("--unmask goes with neither --json, --check nor --hash")
			case unmask && o.Vault == "":
				return usagef("--unmask needs --vault FILE, which mask --vault wrote")
			case len(allow) > 0 && !unmask:
				return usagef("--allow belongs to --unmask")
			case hash && len(o.Lists)+len(o.Dotenv) == 0 && !o.Environment:
				return usagef("--hash needs values: --known-list FILE, --known-dotenv FILE or --known-env")
			case hash && len(args) > 0:
				return usagef("--hash reads no texts: name values by --known-list, --known-dotenv or --known-env")
			}
			if hash {
				return a.MaskHashes(o, a.Stdout)
			}
			if unmask {
				return a.Unmask(o, allow, a.Stdout)
			}
			r, err := a.Mask(o)
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(a.Stdout, r); err != nil {
					return err
				}
			} else if check {
				for _, t := range r.Texts {
					for _, f := range t.Findings {
						fmt.Fprintf(a.Stdout, "%s:%d: %s (%s), %d bytes\n", oneLine(t.Name), f.Line, f.Kind, f.Rule, f.End-f.Start)
					}
				}
			}
			if len(r.NeverLeaves) > 0 {
				fmt.Fprintf(a.Stderr, "sallyport: note: a passage of %s must not leave\n", oneLine(strings.Join(r.NeverLeaves, ", ")))
				return exit(sallyport.ExitShut)
			}
			if asJSON || check {
				if r.Found() {
					return exit(sallyport.ExitShut)
				}
				return nil
			}
			_, err = r.WriteTo(a.Stdout)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "text", "what the texts are: `text` or json")
	f.BoolVar(&asJSON, "json", false, "print what was found as JSON instead of the texts; never the secrets")
	f.BoolVar(&check, "check", false, "print where something was found instead of the texts")
	f.StringVar(&o.Vault, "vault", "", "keep what the sentinels stand for in `FILE`, and use what it holds")
	f.BoolVar(&o.ASCII, "ascii", false, "write sentinels in ASCII alone, for tools that need it")
	f.BoolVar(&unmask, "unmask", false, "put back what the vault holds")
	f.StringArrayVar(&allow, "allow", nil, "put back this `KIND` and no other; personal:* is all of them (repeatable)")
	f.StringSliceVar(&o.Personal, "personal", nil, "find this `KIND` of personal data, too: email, phone, payment-card, iban, national-id, ip, name, address, or all")
	f.BoolVar(&o.Environment, "known-env", false, "values of variables that are named like secrets are secrets")
	f.StringArrayVar(&o.Dotenv, "known-dotenv", nil, "so are those of this .env `FILE` (repeatable)")
	f.StringArrayVar(&o.Lists, "known-list", nil, "so is each line of this `FILE` (repeatable)")
	f.StringVar(&o.Hashes, "known-hashes", "", "so is what this keyed-hash list, a `FILE`, is of")
	f.StringVar(&o.HashKey, "hash-key", "", "the `FILE` with the key of the hash list")
	f.BoolVar(&hash, "hash", false, "print a keyed-hash list of the known values")
	f.StringVar(&o.Recognisers, "recognisers", "", "word lists and patterns, a JSON `FILE`")
	f.StringArrayVar(&o.Documents, "never-leave", nil, "a `FILE` no passage of which may leave (repeatable)")
	return cmd
}
