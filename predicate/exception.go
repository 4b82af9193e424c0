package predicate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// An ExceptionAction is what a statement about an exception does.
type ExceptionAction string

// The actions. No other value is valid.
const (
	ExceptionGrant  ExceptionAction = "grant"  // holds reasons off, from NotBefore to ExpiresAt
	ExceptionRevoke ExceptionAction = "revoke" // ends the exception that Revokes names, for good
)

// MaxExceptionLife is the longest that an exception may last. What is to last longer is a change
// of policy, and is made where policy is.
const MaxExceptionLife = 180 * 24 * time.Hour

// An Exception is the predicate of a statement by which a person says that a reason is not to keep
// a gate shut: for these refs of this repository, for these codes, within this scope, for a time
// that ends.
//
// It is not about one commit, so the statement's subject is the repository: see
// [ExceptionSubject].
type Exception struct {
	Action     ExceptionAction `json:"action"`
	Who        string          `json:"who"`        // id in the roster; must own the key that signs
	Repository string          `json:"repository"` // as the configuration names it

	// TargetRefs are the refs on whose way the exception holds, fully qualified. There are no
	// patterns. Required of a grant, as all that follows up to ExpiresAt but Ticket.
	TargetRefs []string `json:"targetRefs,omitempty"`
	// Codes are the reason codes that it holds off, spelt out.
	Codes []string        `json:"codes,omitempty"`
	Scope *ExceptionScope `json:"scope,omitempty"`
	// Justification says why, in words that an auditor will read.
	Justification string `json:"justification,omitempty"`
	// Ticket names where the work on it is followed.
	Ticket string `json:"ticket,omitempty"`
	// NotBefore and ExpiresAt bound it: never before IssuedAt, and no longer than
	// [MaxExceptionLife].
	NotBefore string `json:"notBefore,omitempty"`
	ExpiresAt string `json:"expiresAt,omitempty"`

	// Revokes is the SHA-256 digest of the attestation (the bundle) that is ended.
	Revokes string `json:"revokes,omitempty"`

	IssuedAt string `json:"issuedAt"` // the signer's clock
	Nonce    string `json:"nonce"`    // 16 to 64 random bytes in hex
	Tool     Tool   `json:"tool"`     // what wrote the statement
}

// An ExceptionScope says what an exception is about. Of several lists all must agree; within one,
// any entry will do. What it says nothing about, it does not cover: an exception scoped by path
// never holds off a reason that does not state all of its paths.
type ExceptionScope struct {
	// Everything is true for all that the codes may say. No list may stand beside it.
	Everything bool `json:"everything"`
	// Paths are patterns: * and ? match within one folder, ** any number of folders.
	Paths []string `json:"paths,omitempty"`
	// Findings are the ids of findings.
	Findings []string `json:"findings,omitempty"`
	// Rules are the rules that made findings.
	Rules []string `json:"rules,omitempty"`
	// Packages are package URLs, with the version: pkg:npm/left-pad@1.3.0.
	Packages []string `json:"packages,omitempty"`
	// Subjects are digests: gitCommit:…, or sha256:… of a file that is released.
	Subjects []string `json:"subjects,omitempty"`
}

// Limits of an exception.
const (
	maxRefs  = 64
	maxScope = 256
	maxWhy   = 4096
)

// ExceptionSubject returns the digest, "sha256:…", that a statement about an exception for
// repository has as its subject.
func ExceptionSubject(repository string) string {
	sum := sha256.Sum256([]byte("sallyport exception v0.1\n" + repository))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// DecodeException reads the predicate of a statement of type [ExceptionType] and validates it.
func DecodeException(body []byte) (Exception, error) {
	var e Exception
	if err := decode(body, &e); err != nil {
		return Exception{}, fmt.Errorf("read the exception: %w", err)
	}
	if err := e.Validate(); err != nil {
		return Exception{}, err
	}
	return e, nil
}

// Validate checks the shape of e: required fields, what contradicts the action, and that it ends.
// It verifies nothing.
func (e Exception) Validate() error {
	var c checker
	c.oneOf("action", string(e.Action), string(ExceptionGrant), string(ExceptionRevoke))
	c.text("who", e.Who, maxName)
	c.word("repository", e.Repository, maxURI)
	c.text("tool.name", e.Tool.Name, maxName)
	c.text("tool.version", e.Tool.Version, maxName)
	c.nonce("nonce", e.Nonce)
	issued := c.time("issuedAt", e.IssuedAt)
	if e.Ticket != "" {
		c.text("ticket", e.Ticket, maxURI)
	}
	if e.Action == ExceptionRevoke {
		e.checkRevoke(&c)
	} else {
		e.checkGrant(&c, issued)
	}
	if c.err != nil {
		return fmt.Errorf("invalid exception: %w", c.err)
	}
	return nil
}

func (e Exception) checkRevoke(c *checker) {
	c.digest("revokes", e.Revokes, "sha256")
	if e.Justification != "" {
		c.length("justification", e.Justification, maxWhy)
	}
	for field, there := range map[string]bool{
		"targetRefs": e.TargetRefs != nil, "codes": e.Codes != nil, "scope": e.Scope != nil,
		"notBefore": e.NotBefore != "", "expiresAt": e.ExpiresAt != "",
	} {
		if there {
			c.fail(field, errors.New("must be absent from a revocation"))
		}
	}
}

func (e Exception) checkGrant(c *checker, issued time.Time) {
	if e.Revokes != "" {
		c.fail("revokes", errors.New("must be absent from a grant"))
	}
	c.length("justification", e.Justification, maxWhy)
	if len(e.TargetRefs) == 0 {
		c.fail("targetRefs", errors.New("is missing: an exception names the refs that it is for"))
	}
	c.atMost("targetRefs", len(e.TargetRefs), maxRefs)
	for _, ref := range e.TargetRefs {
		c.ref("targetRefs", ref)
	}
	if len(e.Codes) == 0 {
		c.fail("codes", errors.New("is missing: an exception names the reasons that it holds off"))
	}
	c.words("codes", e.Codes, maxName)
	e.Scope.check(c)
	from, until := c.time("notBefore", e.NotBefore), c.time("expiresAt", e.ExpiresAt)
	switch {
	case c.err != nil:
	case from.Before(issued):
		c.fail("notBefore", errors.New("is before issuedAt: an exception does not reach back"))
	case !until.After(from):
		c.fail("expiresAt", errors.New("is not after notBefore"))
	case until.Sub(from) > MaxExceptionLife:
		c.fail("expiresAt", fmt.Errorf("is more than %d days after notBefore", MaxExceptionLife/(24*time.Hour)))
	}
}

func (s *ExceptionScope) check(c *checker) {
	if s == nil {
		c.fail("scope", errors.New("is missing: an exception says what it is about"))
		return
	}
	lists := len(s.Paths) + len(s.Findings) + len(s.Rules) + len(s.Packages) + len(s.Subjects)
	switch {
	case s.Everything && lists > 0:
		c.fail("scope.everything", errors.New("stands beside a list, which it contradicts"))
	case !s.Everything && lists == 0:
		c.fail("scope", errors.New("is empty: it covers nothing"))
	}
	c.atMost("scope.paths", len(s.Paths), maxScope)
	for _, p := range s.Paths {
		c.text("scope.paths", p, maxURI)
	}
	c.words("scope.findings", s.Findings, maxName)
	c.words("scope.rules", s.Rules, maxName)
	c.words("scope.packages", s.Packages, maxURI)
	c.atMost("scope.subjects", len(s.Subjects), maxScope)
	for _, d := range s.Subjects {
		alg, _, _ := strings.Cut(d, ":")
		if alg != "gitCommit" {
			alg = "sha256"
		}
		c.digest("scope.subjects", d, alg)
	}
}

// words checks a list of words.
func (c *checker) words(field string, list []string, limit int) {
	c.atMost(field, len(list), maxScope)
	for _, s := range list {
		c.word(field, s, limit)
	}
}

// checkSubjects requires the statement to be about the repository that the predicate names.
func (e Exception) checkSubjects(subjects []map[string]string) error {
	if !names(subjects, ExceptionSubject(e.Repository)) {
		return fmt.Errorf("invalid exception: no subject of the statement is the repository %q (%s)", e.Repository, ExceptionSubject(e.Repository))
	}
	return nil
}
