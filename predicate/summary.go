package predicate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// SummaryType is the predicate type of a SLSA verification summary (VSA), version 1.2 of the
// specification. It is not ours; what it has no field for stands in extension fields of ours.
const SummaryType = "https://slsa.dev/verification_summary/v1"

// A Summary is a decision of a gate as a VSA. The specification wants the names of extension fields to
// be URIs.
type Summary struct {
	Verifier           SummaryVerifier   `json:"verifier"`
	TimeVerified       string            `json:"timeVerified"` // RFC 3339
	ResourceURI        string            `json:"resourceUri"`
	Policy             SummaryResource   `json:"policy"`
	InputAttestations  []SummaryResource `json:"inputAttestations"`
	VerificationResult string            `json:"verificationResult"` // PASSED if the outcome is open, else FAILED
	VerifiedLevels     []string          `json:"verifiedLevels"`
	SLSAVersion        string            `json:"slsaVersion"`

	Decision string          `json:"https://sallyport.dev/vsa/v0.1/decision"` // its digest
	Gate     string          `json:"https://sallyport.dev/vsa/v0.1/gate"`
	Outcome  string          `json:"https://sallyport.dev/vsa/v0.1/outcome"` // open, waiting or shut
	Reasons  []string        `json:"https://sallyport.dev/vsa/v0.1/reasons"` // their codes
	Advice   []string        `json:"https://sallyport.dev/vsa/v0.1/advice"`
	Policies []SummaryPolicy `json:"https://sallyport.dev/vsa/v0.1/policies"`
	// Base is the target's tip that a merge decision was about, as a digest: with it a later gate knows
	// which commits the decision answers for. Empty where there was none, and at other gates.
	Base string `json:"https://sallyport.dev/vsa/v0.1/base,omitempty"`
	// Root is the digest of the governed files that judged, if they were pinned outside the repository.
	// Empty: whoever can write to the repository chose the rules.
	Root string `json:"https://sallyport.dev/vsa/v0.1/root,omitempty"`
}

// ResourceURI is the URI of a repository, as summaries name it: "github.com/acme/app" is
// git+https://github.com/acme/app; a name that is a URI stays, and one without a host gets a URI of our
// own scheme rather than a made-up address.
func ResourceURI(repository string) string {
	if u, err := url.Parse(repository); err == nil && u.Scheme != "" {
		return repository
	}
	host, path, _ := strings.Cut(repository, "/")
	if strings.Contains(host, ".") && path != "" {
		return (&url.URL{Scheme: "git+https", Host: host, Path: "/" + path}).String()
	}
	return "sallyport:" + url.PathEscape(repository)
}

// A SummaryVerifier is who decided.
type SummaryVerifier struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// A SummaryResource is a resource descriptor.
type SummaryResource struct {
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

// A SummaryPolicy is one policy set.
type SummaryPolicy struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// DecodeSummary reads a VSA that a gate made. One of another verifier, which has none of our fields, is
// an error, and so is one that contradicts itself: what reads PASSED is open.
func DecodeSummary(b []byte) (Summary, error) {
	var s Summary
	if err := json.Unmarshal(b, &s); err != nil {
		return Summary{}, fmt.Errorf("read the verification summary: %w", err)
	}
	switch {
	case s.Gate == "" || s.Outcome == "" || s.Decision == "":
		return Summary{}, errors.New("the verification summary names no decision of a gate")
	case (s.VerificationResult == "PASSED") != (s.Outcome == "open"):
		return Summary{}, fmt.Errorf("the verification summary contradicts itself: %.20s and %.20s", s.VerificationResult, s.Outcome)
	}
	return s, nil
}
