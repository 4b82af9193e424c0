package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
)

// AdvisorySignOptions say what to sign about a source of records.
type AdvisorySignOptions struct {
	Path   string
	AsOf   time.Time // zero: what the source says itself
	Covers []string
	Key    string
}

// AdvisorySign signs a source of advisories for others to import: a zip file, a folder or a record, by its digest, with how old
// it is and which ecosystems it has all records of.
func (a *App) AdvisorySign(ctx context.Context, so AdvisorySignOptions) ([]byte, error) {
	src, err := advisory.Inspect(ctx, so.Path, a.now())
	if err != nil {
		return nil, err
	}
	asOf := so.AsOf
	if asOf.IsZero() {
		asOf = src.AsOf
	}
	switch {
	case asOf.IsZero():
		return nil, usagef("the source does not say how old it is: --as-of TIME")
	case asOf.After(a.now()):
		return nil, usagef("--as-of: %s is still to come", asOf.Format(time.RFC3339))
	}
	covers := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(src.Covers), so.Covers...))))
	st, err := advisory.Claim{AsOf: asOf.UTC().Format(time.RFC3339), Covers: covers}.Statement(filepath.Base(so.Path), src.Digest)
	if err != nil {
		return nil, err
	}
	k, err := a.openKey(ctx, so.Key)
	if err != nil {
		return nil, err
	}
	return evidence.Sign(ctx, st, k)
}

// readSource verifies a signature over a source under the trust roots in force, and says whose it is.
func (w *workspace) readSource(ctx context.Context, a sallyport.Attestation) (advisory.Signed, string, error) {
	ev, err := evidence.NewVerifier(w.trust, w.app.now()).Verify(ctx, a)
	if err != nil {
		return advisory.Signed{}, "", err
	}
	if ev.Lapsed {
		return advisory.Signed{}, "", errors.New("the key of its signature has run out")
	}
	s, err := advisory.ReadSigned(ev, a.Raw)
	return s, ev.Signer.Name, err
}

// signedSources verifies what was brought along as signatures over sources.
func (a *App) signedSources(ctx context.Context, o Options, files []string) (list []advisory.Signed, err error) {
	if len(files) == 0 {
		return nil, nil
	}
	raw, err := readBundles(files)
	if err != nil {
		return nil, err
	}
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		for _, b := range raw {
			s, _, err := w.readSource(ctx, b)
			if err != nil {
				return withHint(fmt.Errorf("%s: %w", b.Source, err), "the database is as it was; is the signer's key in "+trustPath+" for "+advisory.SourceType+"?")
			}
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

// sourceSigner says whose signature over a source counts under the trust roots in force, or why none does.
func (w *workspace) sourceSigner(ctx context.Context, src *advisory.Source) (string, error) {
	if len(src.Signature) == 0 {
		return "", errors.New("nobody signed them")
	}
	s, who, err := w.readSource(ctx, sallyport.Attestation{Raw: src.Signature, Source: "the advisory database"})
	if err != nil {
		return "", fmt.Errorf("their signature does not count: %w", err)
	}
	if !s.Holds(src) {
		return "", errors.New("their signature is over something else")
	}
	return who, nil
}

// signers says for each source of the database whose signature counts, and for each ecosystem why its records do
// not count as signed, if one of their sources is not.
func (w *workspace) signers(ctx context.Context, meta *advisory.Meta) (by []string, unsigned map[string]string) {
	by, unsigned = make([]string, len(meta.Sources)), map[string]string{}
	why := make([]error, len(meta.Sources))
	for i := range meta.Sources {
		by[i], why[i] = w.sourceSigner(ctx, &meta.Sources[i])
	}
	for _, e := range meta.Ecosystems {
		for _, n := range e.Sources {
			if n < 0 || n >= len(why) {
				unsigned[e.Name] = "where they are from is not said"
			} else if why[n] != nil {
				unsigned[e.Name] = why[n].Error()
			}
		}
		if len(e.Sources) == 0 {
			unsigned[e.Name] = "where they are from is not said"
		}
	}
	return by, unsigned
}

// allSigners joins those who signed the sources, or is empty if one of them was signed by nobody.
func allSigners(by []string) string {
	if len(by) == 0 || slices.Contains(by, "") {
		return ""
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(by))), ", ")
}
