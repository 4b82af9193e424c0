package predicate

import (
	"errors"
	"fmt"
)

// A RunKey is the predicate of a statement by which an issuer says that it had an authority certify a
// key for one run. The certificate is the authority's own word, and is what counts; the statement tells
// a log and an auditor that it was given, by its subject, the SHA-256 of the certificate.
type RunKey struct {
	RunID      string       `json:"runId"`
	Repository string       `json:"repository"` // as the configuration names it
	Principal  RunPrincipal `json:"principal"`
	Operator   string       `json:"operator,omitempty"` // id in the roster of the person who started the run
	Audience   string       `json:"audience,omitempty"`
	Separation Separation   `json:"separation"` // what keeps the key's holder out of the agent's reach

	Authority   string `json:"authority"`   // sha256 of the authority's SubjectPublicKeyInfo
	PublicKey   string `json:"publicKey"`   // sha256 of the run's
	Certificate string `json:"certificate"` // sha256 of its DER
	NotBefore   string `json:"notBefore"`   // of the certificate
	NotAfter    string `json:"notAfter"`
	IssuedAt    string `json:"issuedAt"` // the issuer's clock
	Tool        Tool   `json:"tool"`     // what wrote the statement
}

// A RunPrincipal is whose word a run's signatures are.
type RunPrincipal struct {
	Kind string `json:"kind"` // workload, agent or bot
	Name string `json:"name"`
}

// DecodeRunKey reads the predicate of a statement of type [RunKeyType] and validates it.
func DecodeRunKey(body []byte) (RunKey, error) {
	var k RunKey
	if err := decode(body, &k); err != nil {
		return RunKey{}, fmt.Errorf("read the run key: %w", err)
	}
	if err := k.Validate(); err != nil {
		return RunKey{}, err
	}
	return k, nil
}

// Validate checks the shape of k. It verifies nothing.
func (k RunKey) Validate() error {
	var c checker
	c.word("runId", k.RunID, maxName)
	c.word("repository", k.Repository, maxURI)
	c.oneOf("principal.kind", k.Principal.Kind, "workload", "agent", "bot")
	c.text("principal.name", k.Principal.Name, maxName)
	if k.Operator != "" {
		c.text("operator", k.Operator, maxName)
	}
	if k.Audience != "" {
		c.text("audience", k.Audience, maxURI)
	}
	c.oneOf("separation", string(k.Separation), string(SeparationNone), string(SeparationUID), string(SeparationHost), string(SeparationEnclave))
	c.digest("authority", k.Authority, "sha256")
	c.digest("publicKey", k.PublicKey, "sha256")
	c.digest("certificate", k.Certificate, "sha256")
	c.time("issuedAt", k.IssuedAt)
	from, until := c.time("notBefore", k.NotBefore), c.time("notAfter", k.NotAfter)
	if c.err == nil && !until.After(from) {
		c.fail("notAfter", errors.New("is not after notBefore"))
	}
	c.text("tool.name", k.Tool.Name, maxName)
	c.text("tool.version", k.Tool.Version, maxName)
	if c.err != nil {
		return fmt.Errorf("invalid run key: %w", c.err)
	}
	return nil
}

// checkSubjects requires the statement to be about the certificate.
func (k RunKey) checkSubjects(subjects []map[string]string) error {
	if !names(subjects, k.Certificate) {
		return fmt.Errorf("invalid run key: no subject of the statement is the certificate %s", k.Certificate)
	}
	return nil
}
