package evidence

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// VSAType is the predicate type of a SLSA verification summary.
const VSAType = predicate.SummaryType

// policyURI starts the URI of a policy set. It identifies; nothing is fetched from it.
const policyURI = "https://sallyport.dev/policy-set/"

// A VerifierID says who decided, for a verification summary.
type VerifierID struct {
	ID      string            // a URI; consumers pair it with the key that signs
	Version map[string]string // component to version; may be empty
}

// About is what a verification summary says beside the decision.
type About struct {
	// Base is the target's tip, of a merge decision; the zero digest if there is none.
	Base sallyport.Digest
	// Root is the root that judged, if it was pinned; the zero digest if not.
	Root sallyport.Digest
	// Also are further subjects, each by itself: the tree of a commit, the artifacts of a release.
	Also []sallyport.Subject
}

// VSA returns decision d, recorded under the digest id, as a SLSA verification summary (version
// 1.2 of the specification). The subjects are the decision's own and those in about.Also: each a
// subject by itself, since they name different things.
//
// Only an open decision reads PASSED: a waiting or undecided one FAILED, in every mode. What the
// standard fields cannot hold (the decision's digest, gate and outcome, the codes of its reasons,
// why it is advice, the policy sets one by one) stands in extension fields. No SLSA level is
// claimed, which the specification spells UNEVALUATED.
func VSA(d sallyport.Decision, id sallyport.Digest, verifier VerifierID, about About) (sallyport.Statement, error) {
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
	v := predicate.Summary{
		Verifier:     predicate.SummaryVerifier{ID: verifier.ID, Version: verifier.Version},
		TimeVerified: d.Time, ResourceURI: uri, SLSAVersion: "1.2",
		VerificationResult: "FAILED", VerifiedLevels: []string{"FAILED"},
		InputAttestations: []predicate.SummaryResource{},
		Decision:          string(id), Gate: string(d.Gate), Outcome: d.Outcome.String(), Reasons: []string{},
		Advice: append([]string{}, d.Advice...), Policies: []predicate.SummaryPolicy{}, Base: string(about.Base), Root: string(about.Root),
	}
	for _, p := range d.Policies {
		v.Policies = append(v.Policies, predicate.SummaryPolicy{Name: p.Name, Digest: string(p.Digest)})
	}
	if d.Outcome == sallyport.Open && !d.Undecided {
		v.VerificationResult, v.VerifiedLevels = "PASSED", []string{unevaluated(d.Subject.Digest)}
	}
	for _, e := range d.Evidence {
		v.InputAttestations = append(v.InputAttestations, predicate.SummaryResource{Digest: digestSet(e)})
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
	for _, also := range about.Also {
		st.Subject = append(st.Subject, sallyport.StatementSubject{Name: also.Name, Digest: digestSet(also.Digest)})
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
func resourceURI(resource string) (uri, ref string) {
	name := resource
	if i := strings.LastIndex(resource, "@refs/"); i >= 0 {
		name, ref = resource[:i], resource[i+1:]
	}
	return predicate.ResourceURI(name), ref
}

// policyResource names the policy sets as the one resource that a VSA has room for: a single set
// by its own digest, several by the digest of their list, which stands in an extension field.
func policyResource(sets []sallyport.PolicySet) (predicate.SummaryResource, error) {
	if len(sets) == 1 {
		return predicate.SummaryResource{URI: policyURI + url.PathEscape(sets[0].Name), Digest: digestSet(sets[0].Digest)}, nil
	}
	names := make([]string, len(sets))
	for i, s := range sets {
		names[i] = url.PathEscape(s.Name)
	}
	list, err := sallyport.EncodeJSON(append([]sallyport.PolicySet{}, sets...))
	if err != nil {
		return predicate.SummaryResource{}, err
	}
	return predicate.SummaryResource{URI: policyURI + strings.Join(names, "+"), Digest: digestSet(sallyport.SHA256(list))}, nil
}
