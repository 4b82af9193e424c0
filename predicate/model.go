package predicate

import (
	"errors"
	"fmt"
)

// ModelType is the type of statements about the models of a registry.
const ModelType = "https://sallyport.dev/predicate/model/v0.1"

// A ModelAction is what a statement about a model does.
type ModelAction string

// The actions. No other value is valid.
const (
	ModelAdd     ModelAction = "add"     // vouches that the entry says what is known
	ModelApprove ModelAction = "approve" // allows what the entry says, at all of its endpoints
	ModelRevoke  ModelAction = "revoke"  // ends the entry for good, and every other of the same name that was approved before
)

// A ModelStatement is the predicate of a statement by which a person speaks about one entry of a
// repository's model registry. It holds the whole entry, so that a revocation says what it ends even
// where the registry no longer lists it.
//
// The statement's subject is the entry's digest.
type ModelStatement struct {
	Action        ModelAction `json:"action"`
	Who           string      `json:"who"`        // id in the roster; must own the key that signs
	Repository    string      `json:"repository"` // as the configuration names it
	Entry         ModelEntry  `json:"entry"`
	Justification string      `json:"justification,omitempty"` // required of a revocation
	ExpiresAt     string      `json:"expiresAt,omitempty"`     // of an approval, where it ends before the entry
	IssuedAt      string      `json:"issuedAt"`                // the signer's clock
	Nonce         string      `json:"nonce"`                   // 16 to 64 random bytes in hex
	Tool          Tool        `json:"tool"`                    // what wrote the statement
}

// DecodeModel reads the predicate of a statement of type [ModelType] and validates it.
func DecodeModel(body []byte) (ModelStatement, error) {
	var m ModelStatement
	if err := decode(body, &m); err != nil {
		return ModelStatement{}, fmt.Errorf("read the model statement: %w", err)
	}
	if err := m.Validate(); err != nil {
		return ModelStatement{}, err
	}
	return m, nil
}

// Validate checks the shape of m. It verifies nothing.
func (m ModelStatement) Validate() error {
	var c checker
	c.oneOf("action", string(m.Action), string(ModelAdd), string(ModelApprove), string(ModelRevoke))
	c.text("who", m.Who, maxName)
	c.word("repository", m.Repository, maxURI)
	m.Entry.check(&c)
	if m.Justification != "" || m.Action == ModelRevoke {
		c.length("justification", m.Justification, maxWhy)
	}
	issued := c.time("issuedAt", m.IssuedAt)
	if m.ExpiresAt != "" {
		until := c.time("expiresAt", m.ExpiresAt)
		switch {
		case m.Action != ModelApprove:
			c.fail("expiresAt", errors.New("is for approvals alone"))
		case c.err == nil && !until.After(issued):
			c.fail("expiresAt", errors.New("is not after issuedAt"))
		}
	}
	c.nonce("nonce", m.Nonce)
	c.text("tool.name", m.Tool.Name, maxName)
	c.text("tool.version", m.Tool.Version, maxName)
	if c.err != nil {
		return fmt.Errorf("invalid model statement: %w", c.err)
	}
	return nil
}

// checkSubjects requires the statement to be about the entry that the predicate holds.
func (m ModelStatement) checkSubjects(subjects []map[string]string) error {
	if !names(subjects, m.Entry.ID()) {
		return fmt.Errorf("invalid model statement: no subject of the statement is the entry %s", m.Entry.ID())
	}
	return nil
}
