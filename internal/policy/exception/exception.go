// Package exception is what a signed exception means: the statement that is signed, whether it
// counts for the change at hand, and which reasons and findings it holds off.
//
// An exception counts if all of this holds, checked in this order:
//
//   - its body is a valid predicate ([predicate.Exception]: it ends, no more than 180 days after it
//     begins, and does not reach back) and its statement is about this repository;
//   - it is signed by the person it names, and names this repository and this target ref;
//   - it names no code that may never be excepted, its scope is as narrow as its codes ask for
//     ([CheckScope]), and its patterns can be read;
//   - it was issued no more than [Skew] in the future, it has begun, has not expired, and does not
//     last longer than policy allows;
//   - nobody has revoked it;
//   - its grade is present or attested, whatever grades policy accepts of approvals: one word holds
//     for months, so a key that an agent can use is not enough;
//   - its signer has the role for it (security), and had no part in the change: nobody excepts
//     their own.
//
// What does not count does nothing, and is told with the reason. A revocation needs less proof,
// since believing it shuts: it stands at any grade if it is signed by whoever granted the exception
// or by anybody who has the role, or had it when the revocation was logged, and it does not wear off.
//
// A reason is held off by an exception of its code whose scope covers all that the reason says it
// is about; see [Covers]. The package reads no clock, no file and no git.
package exception

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Skew is how far in the future an exception may have been issued by its signer's clock.
const Skew = 5 * time.Minute

// A Context is what an exception is judged against.
type Context struct {
	Repository string
	TargetRef  string
	Now        time.Time
	MaxLife    time.Duration // what policy allows; zero means [predicate.MaxExceptionLife]
	// Never lists codes that may never be excepted; one that ends in "*" is a prefix.
	Never []string
	// Eligible reports whether the person has the role for it. Nil: nobody has.
	Eligible func(person string) bool
	// Ineligible maps whoever had a part in the change to what it was.
	Ineligible map[string]string
	// Stands reports whether the revocation with a digest was logged when its signer had the role.
	// Nil: none was.
	Stands func(revocation sallyport.Digest) bool

	spellings map[sallyport.Digest][]string // the digests of all bundles with the same signed content
}

// word is one statement about an exception.
type word struct {
	ev    sallyport.Evidence
	p     predicate.Exception
	fault string // why it is none
}

// Judge judges every exception among evidence, in the order of their digests. It never fails: what
// cannot be read does not count.
func Judge(evidence []sallyport.Evidence, c Context) []sallyport.Exception {
	var grants, revocations []word
	for _, ev := range evidence {
		if ev.Statement.PredicateType != predicate.ExceptionType {
			continue
		}
		if w := read(ev); w.p.Action == predicate.ExceptionRevoke {
			revocations = append(revocations, w)
		} else {
			grants = append(grants, w)
		}
	}
	c.spellings = map[sallyport.Digest][]string{}
	for _, w := range grants {
		c.spellings[w.ev.Payload] = append(c.spellings[w.ev.Payload], string(w.ev.Attestation), string(w.ev.Twin))
	}
	out := make([]sallyport.Exception, 0, len(grants))
	seen := map[sallyport.Digest]bool{}
	for _, w := range grants {
		if !seen[w.ev.Attestation] {
			seen[w.ev.Attestation] = true
			out = append(out, c.judge(w, revocations))
		}
	}
	slices.SortFunc(out, func(a, b sallyport.Exception) int {
		return strings.Compare(string(a.Attestation), string(b.Attestation))
	})
	return out
}

func read(ev sallyport.Evidence) word {
	w := word{ev: ev}
	p, err := predicate.DecodeException(ev.Statement.Predicate)
	if err != nil {
		w.fault = err.Error()
		return w
	}
	w.p = p
	subjects := make([]map[string]string, 0, len(ev.Statement.Subject))
	for _, s := range ev.Statement.Subject {
		subjects = append(subjects, s.Digest)
	}
	switch err := predicate.CheckStatement(predicate.ExceptionType, ev.Statement.Predicate, subjects); {
	case err != nil:
		w.fault = err.Error()
	case ev.Attestation.Zero():
		w.fault = "it has no digest by which it could be revoked"
	case ev.Signer.Kind != sallyport.Person || ev.Signer.Name == "":
		w.fault = "it was not signed by a person"
	case ev.Signer.Name != p.Who:
		w.fault = fmt.Sprintf("it names %q and was signed by %q", p.Who, ev.Signer.Name)
	}
	return w
}

func (c Context) judge(w word, revocations []word) sallyport.Exception {
	p := w.p
	x := sallyport.Exception{
		Attestation: w.ev.Attestation, By: w.ev.Signer.Name, Grade: w.ev.Grade, Codes: p.Codes,
		Justification: p.Justification, Ticket: p.Ticket, NotBefore: p.NotBefore, Expires: p.ExpiresAt,
	}
	if s := p.Scope; s != nil {
		x.Everything, x.Paths, x.Findings, x.Rules, x.Packages = s.Everything, s.Paths, s.Findings, s.Rules, s.Packages
		x.Subjects = s.Subjects
	}
	x.Why = c.fault(w, revocations)
	x.Counts = x.Why == ""
	return x
}

// fault says why the exception does nothing, or nothing.
func (c Context) fault(w word, revocations []word) string {
	p := w.p
	switch {
	case w.fault != "":
		return w.fault
	case p.Repository != c.Repository:
		return fmt.Sprintf("it is for repository %q, not %q", p.Repository, c.Repository)
	case !slices.Contains(p.TargetRefs, c.TargetRef):
		return fmt.Sprintf("it is for %s, not %s", strings.Join(p.TargetRefs, ", "), c.TargetRef)
	}
	for _, code := range p.Codes {
		if Never(c.Never, code) {
			return fmt.Sprintf("%s may never be excepted", code)
		}
	}
	if err := CheckScope(p.Codes, p.Scope); err != nil {
		return err.Error()
	}
	for _, pattern := range p.Scope.Paths {
		if _, err := glob.Parse(pattern); err != nil {
			return err.Error()
		}
	}
	if why := c.outOfTime(p); why != "" {
		return why
	}
	for _, r := range revocations {
		if r.fault == "" && r.p.Repository == c.Repository && c.names(r.p.Revokes, w) && (r.p.Who == p.Who || c.eligible(r.p.Who) || c.stands(r)) {
			return fmt.Sprintf("%q revoked it", r.p.Who)
		}
	}
	part, took := c.Ineligible[p.Who]
	switch {
	case w.ev.Grade != sallyport.Present && w.ev.Grade != sallyport.Attested:
		return fmt.Sprintf("it was given at grade %q, and an exception takes a touched, enrolled security key", string(w.ev.Grade))
	case !c.eligible(p.Who):
		return fmt.Sprintf("%q does not have the role security", p.Who)
	case took:
		return fmt.Sprintf("%q had a part in the change (%s), and nobody excepts their own", p.Who, part)
	}
	return ""
}

func (c Context) stands(r word) bool { return c.Stands != nil && c.Stands(r.ev.Attestation) }

// names reports whether digest is that of the word's bundle, or of another with the same content.
func (c Context) names(digest string, w word) bool {
	return digest == string(w.ev.Attestation) || !w.ev.Payload.Zero() && slices.Contains(c.spellings[w.ev.Payload], digest)
}

func (c Context) eligible(person string) bool { return c.Eligible != nil && c.Eligible(person) }

func (c Context) outOfTime(p predicate.Exception) string {
	issued, err1 := predicate.ParseTime(p.IssuedAt)
	from, err2 := predicate.ParseTime(p.NotBefore)
	until, err3 := predicate.ParseTime(p.ExpiresAt)
	life := c.MaxLife
	if life <= 0 || life > predicate.MaxExceptionLife {
		life = predicate.MaxExceptionLife
	}
	switch {
	case err1 != nil || err2 != nil || err3 != nil: // it has decoded, so there are none
		return "its times cannot be read"
	case issued.After(c.Now.Add(Skew)):
		return "it was issued in the future, at " + p.IssuedAt
	case from.Before(issued):
		return "it reaches back before it was issued"
	case c.Now.Add(Skew).Before(from):
		return "it begins at " + p.NotBefore
	case !until.After(c.Now):
		return "it expired at " + p.ExpiresAt
	case until.Sub(from) > life:
		return fmt.Sprintf("it would last until %s, longer than the %d days that policy allows", p.ExpiresAt, life/(24*time.Hour))
	}
	return ""
}

// Never reports whether list, whose entries may end in "*", has code.
func Never(list []string, code string) bool {
	return slices.ContainsFunc(list, func(n string) bool {
		prefix, pattern := strings.CutSuffix(n, "*")
		return n == code || pattern && strings.HasPrefix(code, prefix)
	})
}

// narrow are codes of which nobody can know all that they will be about: who made a change, and what
// it hides.
var narrow = []string{"attestation-missing", "unattributed", "agent-not-approved", "secret", "unscanned", "hidden-unicode"}

// released are the codes of the release gate that may be excepted, each for a commit or a file that is
// named by its digest: what is found in one release says nothing of the next.
var released = []string{
	"release-vulnerability", "release-malicious", "release-advisories-unknown",
	"source-differs", "build-inputs-unpinned", "build-inputs-unknown", "build-cache-shared",
}

// commitOnly are those of released whose reasons are about no file of the release, so that the digest of one would hold
// off nothing.
var commitOnly = []string{"build-cache-shared"}

// OfRelease reports whether code is one of the release gate's that may be excepted.
func OfRelease(code string) bool { return slices.Contains(released, code) }

// CheckScope returns an error if scope is too wide for one of the codes, in which case the exception
// does nothing at all. The id of a finding leaves the secret out, so that it can be told to
// everybody: another secret in its place has the same one. It therefore needs a path beside it.
func CheckScope(codes []string, scope *predicate.ExceptionScope) error {
	if scope == nil {
		return errors.New("it covers nothing")
	}
	for _, code := range codes {
		if OfRelease(code) && len(scope.Subjects) == 0 {
			return fmt.Errorf("%s is excepted for one release: name the commit or the file by its digest (--subject)", code)
		}
		if slices.Contains(commitOnly, code) && !slices.ContainsFunc(scope.Subjects, func(s string) bool { return strings.HasPrefix(s, "gitCommit:") }) {
			return fmt.Errorf("%s is about what the commit holds and about no file: name the commit (--subject gitCommit:ID)", code)
		}
		// All that one commit holds is as wide as everything, for as long as it is that commit.
		if (scope.Everything || len(scope.Paths)+len(scope.Findings)+len(scope.Rules)+len(scope.Packages) == 0) && slices.Contains(narrow, code) {
			return fmt.Errorf("%s cannot be excepted for everything: an exception of it names paths, findings, rules or packages", code)
		}
		if code == string(sallyport.FindingSecret) && len(scope.Findings) > 0 && len(scope.Paths) == 0 {
			return fmt.Errorf("%s cannot be excepted by the id of a finding alone, which another secret in its place would have as well: name its path too", code)
		}
	}
	return nil
}

// An Item is what a reason or a finding is about.
type Item struct {
	Code    string
	Paths   []sallyport.Path // all of them
	Finding string
	Rule    string
	Package string
	// Subjects are the digests of what is decided about: the commit, and a file's if it is about one.
	Subjects []sallyport.Digest
}

// Covers reports whether x counts and covers all that the item is about. A list of the scope
// whose kind the item does not state covers nothing of it.
func Covers(x sallyport.Exception, i Item) bool {
	if !x.Counts || i.Code == "" || !slices.Contains(x.Codes, i.Code) {
		return false
	}
	if x.Everything {
		return true
	}
	one := func(list []string, s string) bool { return len(list) == 0 || s != "" && slices.Contains(list, s) }
	subject := len(x.Subjects) == 0 || slices.ContainsFunc(i.Subjects, func(d sallyport.Digest) bool { return d != "" && slices.Contains(x.Subjects, string(d)) })
	return len(x.Paths)+len(x.Findings)+len(x.Rules)+len(x.Packages)+len(x.Subjects) > 0 && coversPaths(x.Paths, i.Paths) &&
		subject && one(x.Findings, i.Finding) && one(x.Rules, i.Rule) && one(x.Packages, i.Package)
}

func coversPaths(patterns []string, paths []sallyport.Path) bool {
	if len(patterns) == 0 {
		return true
	}
	var globs []glob.Glob
	for _, p := range patterns {
		if g, err := glob.Parse(p); err == nil {
			globs = append(globs, g)
		}
	}
	for _, path := range paths {
		if !slices.ContainsFunc(globs, func(g glob.Glob) bool { return g.Match(string(path)) }) {
			return false
		}
	}
	return len(paths) > 0
}

// Accept returns findings about subjects with those accepted that an exception covers.
func Accept(findings []sallyport.Finding, exceptions []sallyport.Exception, subjects ...sallyport.Digest) []sallyport.Finding {
	out := slices.Clone(findings)
	for n := range out {
		f := &out[n]
		if f.State != sallyport.FindingOpen && f.State != "" {
			continue
		}
		item := Item{Code: f.Kind.Code(), Finding: f.ID, Rule: f.Rule, Subjects: subjects}
		if f.Path != "" {
			item.Paths = []sallyport.Path{f.Path}
		}
		for _, x := range exceptions {
			if Covers(x, item) {
				f.State, f.AcceptedBy, f.AcceptedUntil = sallyport.FindingAccepted, x.Attestation, x.Expires
				break
			}
		}
	}
	return out
}

// AcceptReleased is Accept for the release gate, where a merge gate's word holds for what that gate said of packages
// and for nothing else: the rest has codes of the release gate, which ask for an exception for one release.
func AcceptReleased(findings []sallyport.Finding, exceptions []sallyport.Exception, subjects ...sallyport.Digest) []sallyport.Finding {
	out := slices.Clone(findings)
	for n := range out {
		if k := out[n].Kind; k == sallyport.FindingVulnerability || k == sallyport.FindingMalicious {
			out[n] = Accept(out[n:n+1], exceptions, subjects...)[0]
		}
	}
	return out
}

// NewStatement returns the statement to sign for p, whose nonce, tool and issuedAt it fills in.
func NewStatement(p predicate.Exception, at time.Time, version string) (sallyport.Statement, error) {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails: see crypto/rand
	p.Nonce, p.IssuedAt = hex.EncodeToString(nonce[:]), predicate.FormatTime(at)
	p.Tool = predicate.Tool{Name: "sallyport", Version: version}
	if p.Action == predicate.ExceptionGrant && p.NotBefore == "" {
		p.NotBefore = p.IssuedAt
	}
	if err := p.Validate(); err != nil {
		return sallyport.Statement{}, err
	}
	if p.Scope != nil {
		for _, pattern := range p.Scope.Paths {
			if _, err := glob.Parse(pattern); err != nil {
				return sallyport.Statement{}, err
			}
		}
	}
	body, err := sallyport.EncodeJSON(p)
	if err != nil {
		return sallyport.Statement{}, err
	}
	_, digest, ok := strings.Cut(predicate.ExceptionSubject(p.Repository), ":")
	if !ok {
		return sallyport.Statement{}, errors.New("the repository has no digest")
	}
	return sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: predicate.ExceptionType, Predicate: body,
		Subject: []sallyport.StatementSubject{{Name: p.Repository, Digest: map[string]string{"sha256": digest}}},
	}, nil
}
