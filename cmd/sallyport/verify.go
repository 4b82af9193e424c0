package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
)

type verifyOptions struct {
	repoFlags
	evidence app.VerifyOptions
	artifact app.ArtifactOptions
	layout   app.LayoutOptions
	json     bool
}

func newVerifyCommand(a *app.App) *cobra.Command {
	var opts verifyOptions
	cmd := &cobra.Command{
		Use:   "verify SUBJECT",
		Short: "Verify the evidence about a subject, or a file's signatures",
		Long: `Verify SUBJECT, a digest (gitCommit:…, sha256:…), git:REV, a file, or oci:IMAGE.

By the repository's trust: it looks for attestations about SUBJECT among those that are kept and
those named with --bundle, and verifies each under the trust roots of the target ref. With --key and
--type it verifies them under that key alone.

By what you name: --key FILE (PEM, or an OpenPGP certificate) or --certificate-identity with
--certificate-oidc-issuer. It needs no repository. Signatures are those named with --bundle or
--signature, or lie beside the file: FILE.sigstore.json, .sigstore, .bundle, .intoto.jsonl, .sig with
.pem, .asc. Read are Sigstore bundles, lines and lists of them as GitHub and npm give them, bare
envelopes, cosign's older formats, OpenPGP, and gittuf's authorizations, approvals and log entries (an
SSH key as --key). Certificates, log entries and timestamps are verified
against --trusted-root, or the public Sigstore instance's: what "trust update" fetched, or the
shipped snapshot. A statement counts
only if it is of the --type that you ask for.

An image is oci:registry.example/app:v1. Its signatures and statements are looked for in its registry, in
every layout (docs/oci.md), and have to be about its digest.

With --checksums FILE the subject has to stand in FILE, and FILE is what has to be signed.

With --layout FILE and --layout-key KEY the subject has to be the product of that in-toto layout: every
step carried out by as many as it needs, and every artifact as its rules say, by the link metadata beside
the layout or in --links DIR. Inspections are commands, and are never run: a layout that has some is
refused unless --without-inspections passes them over.

No server is asked but an image's registry; with --offline none at all.

Exit status: 0 at least one verifies and none that was named fails, 1 could not verify, 2 nothing
verifies, 64 wrong usage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.evidence.Subject, opts.artifact.Subject = args[0], args[0]
			return runVerify(cmd.Context(), a, opts)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opts.evidence.Key, "key", "", "verify under this public key `FILE` instead of the trust roots")
	f.StringVar(&opts.evidence.Type, "type", "", "only statements of this predicate type `URI`")
	addIdentityFlags(f, &opts.artifact)
	f.StringVar(&opts.artifact.IdentityPattern, "certificate-identity-regexp", "", "an `RE2` that matches all of the identity")
	f.StringVar(&opts.artifact.IssuerPattern, "certificate-oidc-issuer-regexp", "", "an `RE2` that matches all of the issuer")
	f.StringVar(&opts.artifact.Signature, "signature", "", "a detached signature `FILE`")
	f.StringVar(&opts.artifact.Certificate, "certificate", "", "the certificate `FILE` of the detached signature")
	f.StringVar(&opts.artifact.Checksums, "checksums", "", "a signed `FILE` of checksums in which the subject has to stand")
	f.BoolVar(&opts.artifact.Logged, "require-log", false, "with --key: a log entry is needed as well")
	f.BoolVar(&opts.artifact.IgnoreLog, "insecure-ignore-tlog", false, "with --key: pass log entries over")
	f.BoolVar(&opts.artifact.Offline, "offline", false, "ask no server: of files and digests this is always so")
	addLayoutFlags(f, &opts.layout)
	f.BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// addIdentityFlags adds what the conformance protocol asks for as well.
func addIdentityFlags(f *pflag.FlagSet, o *app.ArtifactOptions) {
	f.StringVar(&o.Identity, "certificate-identity", "", "whom the certificate is for, exact: an address or a `URI`")
	f.StringVar(&o.Issuer, "certificate-oidc-issuer", "", "the `URL` of the issuer of the identity's token, exact")
	f.StringVar(&o.TrustedRoot, "trusted-root", "", "a Sigstore trusted root `FILE` (default: the public instance's, see sallyport trust)")
}

// named reports whether the caller says who should have signed, instead of asking the repository: by whom
// or by any flag that means something only then. None of them is passed over in silence.
func (o *verifyOptions) named() bool {
	return o.artifact.Logged || o.artifact.IgnoreLog || o.artifact.Offline || o.artifact.TrustedRoot+o.artifact.Certificate != "" ||
		o.artifact.Identity+o.artifact.IdentityPattern+o.artifact.Issuer+o.artifact.IssuerPattern != "" ||
		o.evidence.Key != "" && o.evidence.Type == "" ||
		o.artifact.Signature+o.artifact.Checksums != "" || strings.HasPrefix(o.artifact.Subject, "oci:")
}

func runVerify(ctx context.Context, a *app.App, opts verifyOptions) error {
	if opts.layout.Layout != "" || len(opts.layout.Keys) > 0 || opts.layout.Links != "" || opts.layout.WithoutInspections {
		return runVerifyLayout(ctx, a, opts)
	}
	opts.artifact.Key, opts.artifact.Type, opts.artifact.Bundles = opts.evidence.Key, opts.evidence.Type, opts.opts.Bundles
	if !opts.named() && !app.OfGittuf(opts.opts.Bundles) {
		res, err := a.Verify(ctx, opts.opts, opts.evidence)
		switch {
		case err == nil:
			return printVerification(a, opts, res)
		case !errors.Is(err, app.ErrNoRepository):
			return err
		case opts.evidence.Key == "":
			return fmt.Errorf("%w: name who should have signed with --key or --certificate-identity", err)
		}
	}
	image := strings.HasPrefix(opts.artifact.Subject, "oci:")
	switch {
	case image && opts.artifact.Checksums+opts.artifact.Signature+opts.artifact.Certificate != "":
		return usagef("an image's signatures are in its registry: --checksums, --signature and --certificate are of files")
	case opts.artifact.Certificate != "" && opts.artifact.Signature == "":
		return usagef("--certificate is of a detached signature: name that with --signature")
	}
	if opts.artifact.Key == "" && opts.artifact.Identity+opts.artifact.IdentityPattern == "" {
		return usagef("name who should have signed: --key FILE, or --certificate-identity and --certificate-oidc-issuer")
	}
	res, err := a.VerifyArtifact(ctx, opts.artifact)
	if err != nil {
		if errors.Is(err, app.ErrRefused) {
			printError(a.Stderr, err)
			return exitStatus(2)
		}
		return err
	}
	return printArtifact(a, opts, res)
}

func printVerification(a *app.App, opts verifyOptions, res app.Verification) error {
	if opts.json {
		if err := printJSON(a.Stdout, res); err != nil {
			return err
		}
		return exit(res.ExitStatus())
	}
	for _, e := range res.Verified {
		fmt.Fprintf(a.Stdout, "verified  %s\n  type   %s\n  signer %s %s (%s)\n  grade  %s\n  from   %s\n", e.Attestation, e.PredicateType, e.Signer.Kind, orDash(e.Signer.Name), e.Key, orDash(string(e.Grade)), e.Source)
	}
	for _, d := range res.Dropped {
		fmt.Fprintf(a.Stdout, "refused   %s\n  %s\n  from   %s\n", d.Attestation, oneLine(d.Why), d.Source)
	}
	if len(res.Verified) == 0 {
		fmt.Fprintf(a.Stdout, "nothing verifies about %s\n", res.Subject)
		for _, l := range res.Looked {
			fmt.Fprintf(a.Stdout, "  looked in %s\n", l)
		}
	}
	return exit(res.ExitStatus())
}

func printArtifact(a *app.App, opts verifyOptions, res app.ArtifactVerification) error {
	if opts.json {
		if err := printJSON(a.Stdout, res); err != nil {
			return err
		}
		return exit(res.ExitStatus())
	}
	about := res.Subject
	if res.Checksums != "" {
		fmt.Fprintf(a.Stdout, "%s stands in %s\n", render.Clean(about), render.Clean(res.Checksums))
		about = res.Checksums
	}
	for _, s := range res.Signatures {
		if !s.Verified {
			fmt.Fprintf(a.Stdout, "refused   %s (%s)\n  %s\n", render.Clean(s.Source), s.Format, oneLine(s.Why))
			continue
		}
		fmt.Fprintf(a.Stdout, "verified  %s (%s)\n", render.Clean(s.Source), s.Format)
		for _, l := range signatureLines(s) {
			fmt.Fprintf(a.Stdout, "  %s\n", render.Clean(l))
		}
	}
	if slices.ContainsFunc(res.Signatures, func(s app.Signature) bool { return s.Identity != nil || len(s.Times)+len(s.Entries) > 0 }) {
		fmt.Fprintf(a.Stdout, "by the trusted root %s\n", render.Clean(res.Root))
	}
	if res.ExitStatus() != 0 {
		fmt.Fprintf(a.Stdout, "nothing that counts is signed about %s\n", render.Clean(about))
		for _, l := range res.Looked {
			fmt.Fprintf(a.Stdout, "  looked for %s\n", render.Clean(l))
		}
	}
	return exit(res.ExitStatus())
}

// signatureLines says what a verified signature proves.
func signatureLines(s app.Signature) []string {
	var lines []string
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf("%-10s %s", name, value))
		}
	}
	add("type", s.Type)
	if id := s.Identity; id != nil {
		add("identity", id.Subject)
		add("issuer", id.Issuer)
		add("repository", strings.TrimSpace(id.Repository+" "+id.Ref))
		add("commit", id.Commit)
		add("run", id.Run)
	} else {
		add("key", s.Key)
	}
	if c := s.Change; c != nil {
		if c.From != "" {
			add("change", c.Ref+" from "+c.From+" to "+c.To)
		} else {
			add("change", c.Ref+" to "+c.To)
		}
		add("approved", strings.Join(c.Approvers, ", "))
		add("dismissed", strings.Join(c.Dismissed, ", "))
	}
	for _, t := range s.Times {
		add("time", t.Time.Format(time.RFC3339)+" by "+t.Kind+" "+t.By)
	}
	for _, e := range s.Entries {
		add("log", fmt.Sprintf("%s, entry %d", e.Log, e.Index))
	}
	return lines
}
