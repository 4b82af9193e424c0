package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newCompareCommand(a *app.App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Say what differs inside two artifacts, and why",
		Long: `Compare looks into two files and says what differs: in which member of which archive, of what
kind (timestamp, path, build id, order, owner, mode, …), both values, and what usually causes and
cures it. It reads tar, gzip, bzip2, zip (jar, wheel), ar and Debian packages, OCI layouts, ELF, PE,
Mach-O, JSON and text; anything else by its bytes.

Two files are equal if they have the same bytes, and for no other reason. What was not looked into
is listed.

Exit status: 0 equal, 1 could not compare, 2 different, 64 wrong usage.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.Compare(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(a.Stdout, r)
			} else {
				err = textComparison(a.Stdout, r)
			}
			if err == nil && !r.Equal {
				err = exit(sallyport.ExitShut)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func textComparison(w io.Writer, r app.Comparison) error {
	word := "different"
	if r.Equal {
		word = "equal"
	}
	fmt.Fprintln(w, word)
	for _, s := range []struct {
		side string
		of   string
		d    sallyport.Digest
		n    int64
	}{{"a", r.A.Name, r.A.Digest, r.A.Size}, {"b", r.B.Name, r.B.Digest, r.B.Size}} {
		fmt.Fprintf(w, "  %s  %s  %s, %d bytes\n", s.side, sallyport.Path(s.of), s.d, s.n)
	}
	return textDifferences(w, r, "")
}

// textDifferences writes what a comparison found, each line after indent.
func textDifferences(w io.Writer, r app.Comparison, indent string) error {
	last := "" // a cause is told once for all that follow each other
	for _, d := range r.Differences {
		member := d.Member
		if member == "" {
			member = "the artifact itself"
		}
		fmt.Fprintf(w, "\n%s%s: %s, %s\n", indent, member, d.What, d.Where)
		for _, v := range [][2]string{{"a", d.A}, {"b", d.B}} {
			if v[1] != "" {
				fmt.Fprintf(w, "%s  %s    %s\n", indent, v[0], v[1])
			}
		}
		if d.Why != last {
			fmt.Fprintf(w, "%s  why  %s\n", indent, d.Why)
		}
		last = d.Why
	}
	if r.Omitted > 0 {
		fmt.Fprintf(w, "\n%s%d more of the same kinds are not listed; in all:", indent, r.Omitted)
		sep := " "
		for _, k := range slices.Sorted(maps.Keys(r.Counts)) {
			fmt.Fprintf(w, "%s%s %d", sep, k, r.Counts[k])
			sep = ", "
		}
		fmt.Fprintln(w)
	}
	for i, u := range r.Unexamined {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s%s\n", indent, strings.TrimPrefix(u.Member+": "+u.Why, ": "))
	}
	return nil
}
