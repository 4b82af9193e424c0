package sallyport

// A PrincipalKind says what sort of actor a principal is. The zero kind is nobody.
type PrincipalKind string

// The kinds of principal.
const (
	Nobody   PrincipalKind = ""         // nobody accounts for it: judged as an agent
	Person   PrincipalKind = "person"   // a human being named in the roster
	Agent    PrincipalKind = "agent"    // a model-driven program, or one run of it
	Bot      PrincipalKind = "bot"      // deterministic automation, with scope and expiry
	Workload PrincipalKind = "workload" // a service or CI job with an identity of its own
)

// A Principal is who acted.
type Principal struct {
	Kind PrincipalKind `json:"kind"`
	Name string        `json:"name,omitempty"` // the roster's id, or the agent's name in the marker table
}

// A Grade says how a fact is known. Grades are kinds, not rungs: a policy lists those it
// accepts and none stands in for another.
type Grade string

// The grades. The zero Grade is accepted by no policy.
const (
	Declared   Grade = "declared"   // the party itself says so, or an ordinary key signed it
	Observed   Grade = "observed"   // a party out of the agent's reach saw it
	Recomputed Grade = "recomputed" // the verifier derived it from content alone
	Present    Grade = "present"    // a person's touch or user verification, on an enrolled key
	Attested   Grade = "attested"   // present, with the hardware itself attested at enrolment
)

// EitherGrade lists grades as a sentence does: "present or attested", or "no grade".
func EitherGrade(grades []Grade) string {
	out := "no grade"
	for i, g := range grades {
		if i == 0 {
			out = string(g)
		} else {
			out += " or " + string(g)
		}
	}
	return out
}

// Logged says how a transparency log vouches for evidence.
type Logged string

// The values of Logged; the zero value means NotLogged.
const (
	NotLogged Logged = "no"
	SelfLog   Logged = "self"
	Witnessed Logged = "witnessed"
)

// An Attribution says who made something, how that is known, and why it is believed.
type Attribution struct {
	Principal Principal `json:"principal"`
	Grade     Grade     `json:"grade,omitempty"`
	Operator  string    `json:"operator,omitempty"` // the roster's person who runs the agent, if known
	Model     string    `json:"model,omitempty"`    // as claimed
	Why       []string  `json:"why"`                // one sentence for each thing that was seen
}

// Signature states of a commit.
const (
	SignatureNone        = "none"
	SignatureGood        = "good"         // verified against a key in the roster
	SignatureBad         = "bad"          // present and does not verify
	SignatureUnknownKey  = "unknown-key"  // of a key that the roster does not hold, or does not let sign
	SignatureExpired     = "expired"      // of a known key or certificate, outside its time
	SignatureRevoked     = "revoked"      // of a known key that was revoked
	SignatureUnsupported = "not-verified" // it cannot be verified here: never good
)

// A SignatureCheck is what verifying a commit's signature gave.
type SignatureCheck struct {
	Kind   string `json:"kind"` // ssh, openpgp, x509 or none
	State  string `json:"state"`
	Person string `json:"person,omitempty"` // the roster's id of the key's owner
	Key    string `json:"key,omitempty"`    // fingerprint, or the identity in a certificate
	Grade  Grade  `json:"grade,omitempty"`  // declared, or present for a touched, enrolled sk- key
	Detail string `json:"detail,omitempty"` // why it is not good
}
