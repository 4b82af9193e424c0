package evidence

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// VSAType is the predicate type of a SLSA verification summary.
const VSAType = "https://slsa.dev/verification_summary/v1"

// policyURI starts the URI of a policy set. It identifies; nothing is fetched from it.
const policyURI = "https://sallyport.dev/policy-set/"

// A VerifierID says who decided, for a verification summary.
type VerifierID struct {
	ID      string            // a URI; consumers pair it with the key that signs
	Version map[string]string // component to version; may be empty
}

// vsaJSON is the predicate. The specification wants the names of extension fields to be URIs.
type vsaJSON struct {
	Verifier struct {
		ID      string            `json:"id"`
		Version map[string]string `json:"version,omitempty"`
	} `json:"verifier"`
	TimeVerified       string       `json:"timeVerified"`
	ResourceURI        string       `json:"resourceUri"`
	Policy             vsaResource  `json:"policy"`
	InputAttestations  []vsaDigests `json:"inputAttestations"`
	VerificationResult string       `json:"verificationResult"`
	VerifiedLevels     []string     `json:"verifiedLevels"`
	SLSAVersion        string       `json:"slsaVersion"`

	Decision sallyport.Digest      `json:"https://sallyport.dev/vsa/v0.1/decision"`
	Gate     sallyport.Gate        `json:"https://sallyport.dev/vsa/v0.1/gate"`
	Outcome  sallyport.Outcome     `json:"https://sallyport.dev/vsa/v0.1/outcome"`
	Reasons  []string              `json:"https://sallyport.dev/vsa/v0.1/reasons"`
	Advice   []string              `json:"https://sallyport.dev/vsa/v0.1/advice"`
	Policies []sallyport.PolicySet `json:"https://sallyport.dev/vsa/v0.1/policies"`
}

type vsaResource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

type vsaDigests struct {
	Digest map[string]string `json:"digest"`
}

// VSA returns decision d, recorded under the digest id, as a SLSA verification summary (version
// 1.2 of the specification). The subjects are the decision's own and those in also, such as the
// tree of a commit: each a subject by itself, since they name different things.
//
// Only an open decision reads PASSED: a waiting or undecided one FAILED, in every mode. What the
// standard fields cannot hold (the decision's digest, gate and outcome, the codes of its reasons,
// why it is advice, the policy sets one by one) stands in extension fields. No SLSA level is
// claimed, which the specification spells UNEVALUATED.
func VSA(d sallyport.Decision, id sallyport.Digest, verifier VerifierID, also ...sallyport.Digest) (sallyport.Statement, error) {
	fail := func(err error) (sallyport.Statement, error) {
		return sallyport.Statement{}, fmt.Errorf("summarise the decision: %w", err)
	}
	if _, err := sallyport.ParseDigest(string(id)); err != nil {
		return fail(err)
	}
	if u, err := url.Parse(verifier.ID); err != nil || u.Scheme == "" {
		return fail(fmt.Errorf("the verifier's id %.100q is not a URI", verifier.ID))
	}
	if _, err := time.Parse(time.RFC3339, d.Time); err != nil {
		return fail(fmt.Errorf("the decision's time %.50q is not RFC 3339", d.Time))
	}
	uri, ref := resourceURI(d.Resource)
	v := vsaJSON{
		TimeVerified: d.Time, ResourceURI: uri, SLSAVersion: "1.2",
		VerificationResult: "FAILED", VerifiedLevels: []string{"FAILED"},
		InputAttestations: []vsaDigests{},
		Decision:          id, Gate: d.Gate, Outcome: d.Outcome, Reasons: []string{},
		Advice: append([]string{}, d.Advice...), Policies: append([]sallyport.PolicySet{}, d.Policies...),
	}
	v.Verifier.ID, v.Verifier.Version = verifier.ID, verifier.Version
	if d.Outcome == sallyport.Open && !d.Undecided {
		v.VerificationResult, v.VerifiedLevels = "PASSED", []string{unevaluated(d.Subject.Digest)}
	}
	for _, e := range d.Evidence {
		v.InputAttestations = append(v.InputAttestations, vsaDigests{digestSet(e)})
	}
	for _, r := range d.Reasons {
		if !slices.Contains(v.Reasons, r.Code) {
			v.Reasons = append(v.Reasons, r.Code)
		}
	}
	var err error
	if v.Policy, err = policyResource(d.Policies); err != nil {
		return fail(err)
	}
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: VSAType}
	if st.Predicate, err = sallyport.EncodeJSON(v); err != nil {
		return fail(err)
	}
	subject := sallyport.StatementSubject{Name: d.Subject.Name, Digest: digestSet(d.Subject.Digest)}
	if ref != "" {
		subject.Annotations = map[string]any{"sourceRefs": []string{ref}} // as SLSA's source track has it
	}
	st.Subject = append(st.Subject, subject)
	for _, dg := range also {
		st.Subject = append(st.Subject, sallyport.StatementSubject{Digest: digestSet(dg)})
	}
	if err := checkStatement(st); err != nil {
		return fail(err)
	}
	return st, nil
}

func digestSet(d sallyport.Digest) map[string]string {
	return map[string]string{d.Algorithm(): d.Hex()}
}

func unevaluated(d sallyport.Digest) string {
	if strings.HasPrefix(d.Algorithm(), "git") {
		return "SLSA_SOURCE_LEVEL_UNEVALUATED"
	}
	return "SLSA_BUILD_LEVEL_UNEVALUATED"
}

// resourceURI turns a decision's resource into a URI, and splits the ref from it.
// "github.com/acme/app@refs/heads/main" is git+https://github.com/acme/app; a repository whose
// name has no host gets a URI of our own scheme rather than a made-up address.
func resourceURI(resource string) (uri, ref string) {
	name := resource
	if i := strings.LastIndex(resource, "@refs/"); i >= 0 {
		name, ref = resource[:i], resource[i+1:]
	}
	if u, err := url.Parse(name); err == nil && u.Scheme != "" {
		return name, ref
	}
	host, path, _ := strings.Cut(name, "/")
	if strings.Contains(host, ".") && path != "" {
		return (&url.URL{Scheme: "git+https", Host: host, Path: "/" + path}).String(), ref
	}
	return "sallyport:" + url.PathEscape(name), ref
}

// policyResource names the policy sets as the one resource that a VSA has room for: a single set
// by its own digest, several by the digest of their list, which stands in an extension field.
func policyResource(sets []sallyport.PolicySet) (vsaResource, error) {
	if len(sets) == 1 {
		return vsaResource{URI: policyURI + url.PathEscape(sets[0].Name), Digest: digestSet(sets[0].Digest)}, nil
	}
	names := make([]string, len(sets))
	for i, s := range sets {
		names[i] = url.PathEscape(s.Name)
	}
	list, err := sallyport.EncodeJSON(append([]sallyport.PolicySet{}, sets...))
	if err != nil {
		return vsaResource{}, err
	}
	return vsaResource{URI: policyURI + strings.Join(names, "+"), Digest: digestSet(sallyport.SHA256(list))}, nil
}
