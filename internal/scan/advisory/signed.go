package advisory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// SourceType is the predicate type of a signature over a source of records. Its statement has one subject, the
// source by its digest, and a [Claim] as its predicate.
const SourceType = "https://sallyport.dev/predicate/advisories/v0.1"

const maxClaim = 64 << 10

// A Claim is what the signer of a source says about it.
type Claim struct {
	AsOf   string   `json:"as_of"`  // when the records were made: RFC 3339, UTC
	Covers []string `json:"covers"` // the ecosystems of which they are all, by OSV's names, sorted
}

// A Signed source is one whose signature somebody has verified.
type Signed struct {
	Digest sallyport.Digest
	Claim  Claim
	Bundle []byte // kept beside the source, so that it can be verified again
}

// DecodeClaim reads a predicate.
func DecodeClaim(b []byte) (Claim, error) {
	var c Claim
	if err := strict.JSON(b, maxClaim, &c); err != nil {
		return c, fmt.Errorf("not a word about a source of advisories: %w", err)
	}
	if err := c.validate(); err != nil {
		return c, fmt.Errorf("not a word about a source of advisories: %w", err)
	}
	return c, nil
}

// Time is when the records were made.
func (c Claim) Time() time.Time {
	t, _ := time.Parse(time.RFC3339, c.AsOf) // a claim that was decoded has one
	return t.UTC()
}

func (c Claim) validate() error {
	t, err := time.Parse(time.RFC3339, c.AsOf)
	if err != nil || t.Year() < 1990 || !strings.HasSuffix(c.AsOf, "Z") {
		return fmt.Errorf("as_of: %.40q is no time in UTC", c.AsOf)
	}
	for i, e := range c.Covers {
		if !Keeps(e) {
			return fmt.Errorf("covers: %.40q is no ecosystem that is kept; there are %s", e, strings.Join(Names(), ", "))
		}
		if i > 0 && e <= c.Covers[i-1] {
			return fmt.Errorf("covers: %q is not in order, or twice there", e)
		}
	}
	return nil
}

// Statement is what the signer of a source signs.
func (c Claim) Statement(name string, digest sallyport.Digest) (sallyport.Statement, error) {
	if c.Covers == nil {
		c.Covers = []string{}
	}
	if err := c.validate(); err != nil {
		return sallyport.Statement{}, err
	}
	body, err := sallyport.EncodeJSON(c)
	if err != nil {
		return sallyport.Statement{}, err
	}
	return sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: SourceType, Predicate: body,
		Subject: []sallyport.StatementSubject{{Name: name, Digest: map[string]string{"sha256": digest.Hex()}}},
	}, nil
}

// ReadSigned returns what a statement whose signature has been verified says about a source.
func ReadSigned(ev sallyport.Evidence, bundle []byte) (Signed, error) {
	if ev.Statement.PredicateType != SourceType {
		return Signed{}, fmt.Errorf("it is a %.200q, and not a word about a source of advisories (%s)", ev.Statement.PredicateType, SourceType)
	}
	c, err := DecodeClaim(ev.Statement.Predicate)
	if err != nil {
		return Signed{}, err
	}
	if len(ev.Statement.Subject) != 1 || len(ev.Statement.Subject[0].Digest) != 1 {
		return Signed{}, errors.New("its statement is not about one source alone")
	}
	d := sallyport.Digest("sha256:" + ev.Statement.Subject[0].Digest["sha256"])
	if !ev.About(d) {
		return Signed{}, errors.New("its statement is not about one source alone")
	}
	return Signed{Digest: d, Claim: c, Bundle: bundle}, nil
}

// Holds reports whether the source is the one that was signed, and as old as its signer says.
func (s Signed) Holds(src *Source) bool {
	return s.Digest == src.Digest && s.Claim.Time().Equal(src.AsOf)
}

// Inspect reads one source as [Import] would, and keeps nothing of it.
func Inspect(ctx context.Context, path string, now time.Time) (Source, error) {
	b := &builder{now: now, ids: map[string]*kept{}}
	if err := b.source(ctx, path, time.Time{}); err != nil {
		return Source{}, err
	}
	b.sources = slices.DeleteFunc(b.sources, func(s building) bool { return s.skip })
	if len(b.sources) != 1 {
		return Source{}, fmt.Errorf("%w: %s holds %d sources, and a signature is over one", ErrSource, path, len(b.sources))
	}
	return b.sources[0].Source, nil
}
