package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/internal/scan/registry"
)

func newAdvisoryNamesCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var no app.NamesOptions
	var asOf string
	var digests []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "names [TYPE=FILE]...",
		Short: "Make the index of the names that registries have, or say what it holds",
		Long: `Names makes an index of the names in files, in place of the one that was there: one file for each
type of package URL (` + strings.Join(registry.Types, ", ") + `), with a name to a line and, where it is
known, the day on which it was first published, or as JSON. Without a file it says what the index holds.

The merge gate asks there whether a new package exists, and how old it is. A name that is not there is made
up, or newer than the index; without an index nothing is said, unless policy demands one. Where the
target's rules say how old names may be, the ecosystems whose names are older are told.

  sallyport advisory names npm=npm.txt pypi=pypi.json --as-of 2026-11-20

Exit status: 0 made, or told, 1 a file is not taken, or there is no index, 64 wrong usage.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if no.AsOf, err = asOfFlag(asOf); err != nil {
				return err
			}
			for _, d := range digests {
				digest, err := sallyport.ParseDigest(d)
				if err != nil || digest.Algorithm() != "sha256" {
					return usagef("--digest: %q is no sha256:… of a file", d)
				}
				no.Digests = append(no.Digests, digest)
			}
			no.Files = map[string]string{}
			for _, arg := range args {
				typ, file, ok := strings.Cut(arg, "=")
				if !ok || file == "" || !slices.Contains(registry.Types, typ) || no.Files[typ] != "" {
					return usagef("%q: want one file for each of %s, such as npm=FILE", arg, strings.Join(registry.Types, ", "))
				}
				no.Files[typ] = file
			}
			run := a.NamesShow
			if len(args) > 0 {
				run = a.NamesImport
			} else if asOf != "" || len(digests) > 0 {
				return usagef("--as-of and --digest are about files to import: name one")
			}
			s, err := run(cmd.Context(), opts.opts, no)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, s)
			}
			w := a.Stdout
			fmt.Fprintf(w, "%s: %d names\n%s\n", render.Clean(s.Path), s.Names, s.Digest)
			rows := [][]string{}
			for _, e := range s.Ecosystems {
				rows = append(rows, []string{e.Type, fmt.Sprint(e.Names), fmt.Sprintf("%d with a day", e.Dated), "as of " + dayOf(e.AsOf), render.Clean(e.Source), string(e.Digest)})
			}
			render.Table(w, "  ", rows)
			if len(s.Stale) > 0 {
				fmt.Fprintf(w, "too old, or of unknown age: %s (names may be at most %s old here, and do not count)\n", strings.Join(s.Stale, ", "), s.MaxAge)
			}
			return nil
		},
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose rules say how old names may be (default: what CI says, else the remote's default branch)")
	f.StringVar(&no.Index, "index", "", "the index `FILE` (default: names.db in the state folder)")
	f.StringVar(&asOf, "as-of", "", "the `TIME` at which the files were made (default: the latest day in each)")
	f.StringArrayVar(&digests, "digest", nil, "a `DIGEST`, sha256:…, of a file: others are not taken; repeatable")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
