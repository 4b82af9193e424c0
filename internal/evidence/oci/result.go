package oci

import (
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport"
)

// An Item is one thing that is attached to a manifest. Nothing of it is verified but that Raw has
// the digest by which it was asked for, and that it names Subject.
type Item struct {
	Kind Kind `json:"kind"`
	// Raw is the content: a bundle, an envelope, a document, or the payload that was signed.
	Raw       []byte           `json:"-"`
	Digest    sallyport.Digest `json:"digest"` // of Raw
	MediaType string           `json:"media_type"`
	// Subject is the one manifest that the item is about: the image, or a member of it.
	Subject       sallyport.Digest `json:"subject"`
	Platform      string           `json:"platform,omitempty"` // of Subject
	PredicateType string           `json:"predicate_type,omitempty"`
	Manifest      sallyport.Digest `json:"manifest"` // that holds the item as a layer
	Layout        string           `json:"layout"`   // the kind of place where it was found
	Source        string           `json:"source"`   // for people

	// Signature is of Raw, and only a simple-signing payload has it here. The rest is what
	// cosign's annotations hold: PEM, PEM, and JSON of Rekor and of a timestamp authority.
	Signature   []byte `json:"signature,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Chain       string `json:"chain,omitempty"`
	RekorBundle string `json:"rekor_bundle,omitempty"`
	Timestamp   string `json:"timestamp,omitempty"`
}

// A Subject is a manifest that things can be attached to.
type Subject struct {
	Digest    sallyport.Digest `json:"digest"`
	MediaType string           `json:"media_type"`
	Platform  string           `json:"platform,omitempty"`
	Index     sallyport.Digest `json:"index,omitempty"` // that it is a member of
	// Describes is set for an attestation manifest of BuildKit: the member that it is about.
	Describes sallyport.Digest `json:"describes,omitempty"`
}

// The layouts, which are the kinds of place that are looked at.
const (
	ReferrersAPI        = "referrers API"
	ReferrersTag        = "referrers tag"
	SignatureTag        = "signature tag"
	AttestationTag      = "attestation tag"
	SBOMTag             = "SBOM tag"
	AttestationManifest = "attestation manifest"
	imageManifest       = "manifest"
	attachedContent     = "content"
)

// An Outcome is what came of looking at a place. The zero Outcome is that it could not be done.
type Outcome int

// The outcomes.
const (
	Failed     Outcome = iota
	NotOffered         // the registry has no such function
	Absent             // there is no such tag
	Answered
)

var outcomeNames = [...]string{"failed", "not offered", "absent", "answered"}

func (o Outcome) String() string { return outcomeNames[o] }

// MarshalText encodes the outcome by its name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// A Place is where was looked, and what the registry answered.
type Place struct {
	Layout  string           `json:"layout"`
	Subject sallyport.Digest `json:"subject"`
	Name    string           `json:"name"` // the tag or digest that was asked for
	Outcome Outcome          `json:"outcome"`
	Status  int              `json:"status,omitempty"` // of HTTP; 0 if there was no answer
	Listed  int              `json:"listed"`           // manifests that it led to
	Why     string           `json:"why,omitempty"`    // if it failed
}

func (p Place) String() string {
	s := p.Layout + " " + p.Name + ": " + p.Outcome.String()
	switch {
	case p.Outcome == Answered:
		s += fmt.Sprintf(", %d listed", p.Listed)
	case p.Why != "":
		s += ": " + p.Why
	case p.Status != 0:
		s += fmt.Sprintf(" (%d)", p.Status)
	}
	return s
}

// A Result is all that is attached to an image, and where was looked for it.
type Result struct {
	Image    string              `json:"image"` // as asked for
	Digest   sallyport.Digest    `json:"digest"`
	Complete bool                `json:"complete"` // every place gave an answer
	Subjects []Subject           `json:"subjects"` // the image first, then the members of an index
	Items    []Item              `json:"items"`
	Odd      []sallyport.Dropped `json:"odd"` // attached, and no evidence
	Places   []Place             `json:"places"`
}

// About returns the items whose subject is exactly d.
func (r Result) About(d sallyport.Digest) []Item {
	var out []Item
	for _, it := range r.Items {
		if it.Subject == d {
			out = append(out, it)
		}
	}
	return out
}

// incompleteError is the error of a result that may lack something.
type incompleteError struct{ causes []error }

func (e *incompleteError) Error() string {
	first := e.causes[0]
	for _, c := range e.causes { // a lie is worth more than a timeout
		if errors.Is(c, ErrDigest) {
			first = c
			break
		}
	}
	return fmt.Sprintf("%v: %v%s", ErrIncomplete, first, andMore(len(e.causes)-1))
}

// Unwrap returns what the error is made of.
func (e *incompleteError) Unwrap() []error { return append([]error{ErrIncomplete}, e.causes...) }
