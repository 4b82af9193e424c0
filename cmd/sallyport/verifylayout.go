package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func addLayoutFlags(f *pflag.FlagSet, o *app.LayoutOptions) {
	f.StringVar(&o.Layout, "layout", "", "an in-toto layout `FILE` whose product the subject has to be")
	f.StringArrayVar(&o.Keys, "layout-key", nil, "the public key `FILE` of the layout's owner; repeatable, and all have to have signed")
	f.StringVar(&o.Links, "links", "", "the `DIR` of the link metadata (default: the layout's)")
	f.BoolVar(&o.WithoutInspections, "without-inspections", false, "pass over the inspections of the layout, which are never run")
}

// runVerifyLayout is verify with --layout. It is asked of nothing else: a layout names who may do what, and
// who else has signed the file is another question.
func runVerifyLayout(ctx context.Context, a *app.App, opts verifyOptions) error {
	switch {
	case opts.layout.Layout == "":
		return usagef("--layout-key, --links and --without-inspections are of a layout: name it with --layout FILE")
	case len(opts.layout.Keys) == 0:
		return usagef("name the key of the layout's owner, --layout-key FILE: whoever can write the layout can write any")
	case opts.evidence.Key+opts.evidence.Type+opts.artifact.Signature+opts.artifact.Checksums+opts.artifact.Certificate+opts.artifact.TrustedRoot != "",
		opts.artifact.Identity+opts.artifact.IdentityPattern+opts.artifact.Issuer+opts.artifact.IssuerPattern != "",
		opts.artifact.Logged, opts.artifact.IgnoreLog, len(opts.opts.Bundles) > 0:
		return usagef("--layout asks who carried out the steps; ask in another call who signed the file")
	case strings.HasPrefix(opts.artifact.Subject, "oci:"):
		return usagef("a layout's product is a file or a digest: name the image's digest, sha256:…")
	}
	opts.layout.Subject = opts.artifact.Subject
	res, err := a.VerifyLayout(ctx, opts.layout)
	if err != nil {
		if errors.Is(err, app.ErrRefused) {
			printError(a.Stderr, err)
			return exitStatus(2)
		}
		return err
	}
	if opts.json {
		return printJSON(a.Stdout, res)
	}
	fmt.Fprintf(a.Stdout, "verified  %s is %s of the layout %s, which expires %s\n", render.Clean(res.Subject), render.Clean(res.Product), render.Clean(res.Layout), res.Expires.UTC().Format(time.RFC3339))
	for _, s := range res.Steps {
		fmt.Fprintf(a.Stdout, "  step %-16s by %d of %d that are needed: %s\n", render.Clean(s.Name), len(s.By), s.Threshold, render.Clean(strings.Join(s.By, ", ")))
	}
	for _, n := range res.Notes {
		fmt.Fprintf(a.Stdout, "  note: %s\n", render.Clean(n))
	}
	for _, n := range res.Inspections {
		fmt.Fprintf(a.Stdout, "  inspection %s was not run: what it would check is not known\n", render.Clean(n))
	}
	return nil
}
