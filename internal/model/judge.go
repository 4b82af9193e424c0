package model

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Skew is how far in the future a statement may have been issued by its signer's clock.
const Skew = 5 * time.Minute

// A Context is what statements about entries are judged against.
type Context struct {
	Repository string
	Now        time.Time
	Grades     []sallyport.Grade // of approvals
	Solo       string            // who is the whole team, if the root says so
	// Security and Reviewer report whether a person has the role. Nil: nobody has.
	Security, Reviewer func(person string) bool
	// Stands reports whether a revocation was logged when its signer had the role. Nil: none was.
	Stands func(attestation sallyport.Digest) bool
}

func (c Context) security(person string) bool { return c.Security != nil && c.Security(person) }
func (c Context) reviewer(person string) bool { return c.Reviewer != nil && c.Reviewer(person) }

// A Word is one person's statement about an entry, and what it is worth.
type Word struct {
	Attestation   sallyport.Digest      `json:"attestation"`
	Action        predicate.ModelAction `json:"action"`
	By            string                `json:"by"`
	Grade         sallyport.Grade       `json:"grade"`
	Issued        string                `json:"issued"`
	Expires       string                `json:"expires,omitempty"`
	Justification string                `json:"justification,omitempty"`
	Counts        bool                  `json:"counts"`
	Security      bool                  `json:"security,omitempty"` // an approval of external endpoints too
	Why           string                `json:"why,omitempty"`      // why it does not count

	entry  predicate.ModelEntry
	issued time.Time
	until  time.Time // of an approval: when it ends
}

// read returns the words about models among evidence, each with what is wrong with it alone.
func (c Context) read(evidence []sallyport.Evidence) []Word {
	var words []Word
	seen := map[sallyport.Digest]bool{}
	for _, ev := range evidence {
		if ev.Statement.PredicateType != predicate.ModelType || seen[ev.Attestation] {
			continue
		}
		p, err := predicate.DecodeModel(ev.Statement.Predicate)
		if err != nil {
			continue // the verifier lists what cannot be read
		}
		seen[ev.Attestation] = true
		w := Word{Attestation: ev.Attestation, Action: p.Action, By: ev.Signer.Name, Grade: ev.Grade, Issued: p.IssuedAt,
			Expires: p.ExpiresAt, Justification: p.Justification, entry: p.Entry}
		w.issued, _ = predicate.ParseTime(p.IssuedAt)
		if p.ExpiresAt != "" {
			w.until, _ = predicate.ParseTime(p.ExpiresAt)
		}
		subjects := make([]map[string]string, 0, len(ev.Statement.Subject))
		for _, s := range ev.Statement.Subject {
			subjects = append(subjects, s.Digest)
		}
		switch err := predicate.CheckStatement(predicate.ModelType, ev.Statement.Predicate, subjects); {
		case err != nil:
			w.Why = err.Error()
		case ev.Signer.Kind != sallyport.Person || ev.Signer.Name == "":
			w.Why = "it was not signed by a person"
		case ev.Signer.Name != p.Who:
			w.Why = fmt.Sprintf("it names %q and was signed by %q", p.Who, ev.Signer.Name)
		case p.Repository != c.Repository:
			w.Why = fmt.Sprintf("it is about the registry of %q, not of %q", p.Repository, c.Repository)
		case w.issued.After(c.Now.Add(Skew)) && p.Action != predicate.ModelRevoke:
			w.Why = "it was issued in the future, at " + p.IssuedAt
		}
		words = append(words, w)
	}
	slices.SortFunc(words, func(a, b Word) int { return strings.Compare(string(a.Attestation), string(b.Attestation)) })
	return words
}

// judged is what the words about one entry come to.
type judged struct {
	words    []Word
	authors  []string
	security time.Time // until when somebody with the role security has approved; zero: nobody has
	review   time.Time // the same of somebody with either role
	latest   time.Time // when the newest approval that counts was issued
	revoked  *Word
}

// judge weighs the words about one entry.
func (c Context) judge(e predicate.ModelEntry, words []Word) judged {
	j := judged{words: slices.Clone(words)}
	for i := range j.words {
		if w := &j.words[i]; w.Action == predicate.ModelAdd && w.Why == "" {
			w.Counts = true
			j.authors = append(j.authors, w.By)
		}
	}
	end, _ := predicate.ParseTime(e.Expires)
	approvers := map[string]bool{}
	for i := range j.words {
		w := &j.words[i]
		if w.Action != predicate.ModelApprove || w.Why != "" {
			continue
		}
		alone := c.Solo != "" && w.By == c.Solo
		switch {
		case len(j.authors) == 0:
			w.Why = "nobody has signed the entry itself, so nobody knows whose it is"
		case slices.Contains(j.authors, w.By) && !alone:
			w.Why = "whoever signed the entry does not approve it"
		case w.By == e.Owner && !alone:
			w.Why = "its owner does not approve it"
		case !slices.Contains(c.Grades, w.Grade):
			w.Why = fmt.Sprintf("it was given at grade %q, and approvals count at grade %s", w.Grade, sallyport.EitherGrade(c.Grades))
		case !c.security(w.By) && !c.reviewer(w.By):
			w.Why = w.By + " has neither the role security nor the role reviewer"
		}
		if w.Why != "" {
			continue
		}
		w.Counts, w.Security = true, c.security(w.By)
		approvers[w.By] = true
		until := end
		if !w.until.IsZero() && w.until.Before(until) {
			until = w.until
		}
		if until.After(j.review) {
			j.review = until
		}
		if w.Security && until.After(j.security) {
			j.security = until
		}
		if w.issued.After(j.latest) {
			j.latest = w.issued
		}
	}
	for i := range j.words {
		w := &j.words[i]
		if w.Action != predicate.ModelRevoke || w.Why != "" {
			continue
		}
		stands := c.Stands != nil && c.Stands(w.Attestation)
		if !c.security(w.By) && !stands && w.By != e.Owner && !approvers[w.By] && !slices.Contains(j.authors, w.By) {
			w.Why = w.By + " is neither its owner nor its author, has not approved it, and does not have the role security"
			continue
		}
		w.Counts = true
		if j.revoked == nil || w.issued.After(j.revoked.issued) {
			j.revoked = w
		}
	}
	return j
}

// NewStatement returns the statement to sign for m, whose nonce, tool and issuedAt it fills in.
func NewStatement(m predicate.ModelStatement, at time.Time, version string) (sallyport.Statement, error) {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails: see crypto/rand
	m.Nonce, m.IssuedAt = hex.EncodeToString(nonce[:]), predicate.FormatTime(at)
	m.Tool = predicate.Tool{Name: "sallyport", Version: version}
	if err := m.Validate(); err != nil {
		return sallyport.Statement{}, err
	}
	body, err := sallyport.EncodeJSON(m)
	if err != nil {
		return sallyport.Statement{}, err
	}
	return sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: predicate.ModelType, Predicate: body,
		Subject: []sallyport.StatementSubject{{
			Name: m.Entry.Provider + "/" + m.Entry.Name, Digest: map[string]string{"sha256": sallyport.Digest(m.Entry.ID()).Hex()},
		}},
	}, nil
}
