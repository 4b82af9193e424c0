package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

func newTrustCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Keep the Sigstore trusted root up to date",
		Long: `A trusted root says whose certificates, log entries and timestamps count when signatures are verified.
This program ships the one of the public Sigstore instance; "trust update" fetches what followed it, from a
repository of The Update Framework (docs/verify.md).`,
	}
	cmd.AddCommand(newTrustUpdateCommand(a), newTrustShowCommand(a))
	return cmd
}

type trustFlags struct {
	to   app.TrustOptions
	json bool
}

func (o *trustFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.to.Store, "store", "", "the `FOLDER` in which trusted roots are kept (default: $SALLYPORT_TRUST, or sallyport/trust in the user's configuration)")
	f.StringVar(&o.to.Root, "root", "", "the pinned first root `FILE` of another repository than the public instance's")
	f.StringVar(&o.to.To, "to", "", "write the trusted root to `FILE` as well, for --trusted-root")
	f.BoolVar(&o.json, "json", false, "print JSON")
}

func newTrustUpdateCommand(a *app.App) *cobra.Command {
	var opts trustFlags
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Fetch the newest trusted root that its repository vouches for",
		Long: `Update asks the public Sigstore instance's repository, or the one at --mirror, which begins with the root
in --root. It starts at the pinned root, follows the roots that were signed by the ones before them, and takes a
trusted root only if enough keys signed it and it is not older than what was seen before. If anything is wrong,
what was in use stays in use. With --mirror FOLDER, a copy of the repository, no connection is opened.

Exit status: 0 what is in use is the newest, 1 the repository could not be asked, 2 what it gave was refused,
64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTrust(cmd.Context(), a, opts, func(ctx context.Context) (*app.TrustStatus, error) { return a.TrustUpdate(ctx, opts.to) })
		},
	}
	opts.add(cmd)
	cmd.Flags().StringVar(&opts.to.Mirror, "mirror", "", "the `URL` or the folder of the repository (default: the public Sigstore instance's)")
	cmd.Flags().BoolVar(&opts.to.Offline, "offline", false, "open no connection: --mirror has to be a folder")
	return cmd
}

func newTrustShowCommand(a *app.App) *cobra.Command {
	var opts trustFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Say which trusted root is in use, from where and from when",
		Long: `Show verifies what is kept, from the pinned root on, and opens no connection.

Exit status: 0 it can be used, 1 it does not verify, 64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTrust(cmd.Context(), a, opts, func(context.Context) (*app.TrustStatus, error) { return a.TrustShow(opts.to) })
		},
	}
	opts.add(cmd)
	return cmd
}

func runTrust(ctx context.Context, a *app.App, opts trustFlags, f func(context.Context) (*app.TrustStatus, error)) error {
	s, err := f(ctx)
	if err != nil {
		if errors.Is(err, app.ErrRefused) {
			printError(a.Stderr, err)
			return exitStatus(2)
		}
		return err
	}
	if opts.json {
		return printJSON(a.Stdout, s)
	}
	fmt.Fprintf(a.Stdout, "trusted root %s\n  %s\n  names     %d certificate authorities, %d logs, %d timestamp authorities\n", s.Digest, render.Clean(s.Name), s.Certificates, s.Logs, s.Times)
	if r := s.Repository; r != nil {
		fmt.Fprintf(a.Stdout, "  from      %s, %s ago\n  versions  root %d, timestamp %d, snapshot %d, targets %d\n  vouched for until %s\n",
			render.Clean(r.Mirror), s.Age, r.Root, r.Timestamp, r.Snapshot, r.Targets, r.VouchedFor.UTC().Format(time.RFC3339))
	}
	if s.Stale {
		fmt.Fprintln(a.Stdout, "  nobody vouches today that it is the newest: sallyport trust update")
	}
	return nil
}
