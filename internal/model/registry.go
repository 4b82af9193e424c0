package model

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// The codes of refusals. They are stable.
const (
	CodeUnknown            = "model-unknown"
	CodeRevoked            = "model-revoked"
	CodeNotYet             = "model-not-yet"
	CodeExpired            = "model-expired"
	CodeUnapproved         = "model-unapproved"
	CodeEndpointUnknown    = "endpoint-unknown"
	CodeEndpointUnapproved = "endpoint-unapproved"
	CodeNotForPrincipal    = "model-not-for-principal"
	CodeNotForRepository   = "model-not-for-repository"
	CodeNotForUse          = "model-not-for-use"
)

// Codes returns all codes, in the order in which they are asked for.
func Codes() []string {
	return []string{CodeUnknown, CodeRevoked, CodeNotYet, CodeExpired, CodeUnapproved, CodeEndpointUnknown,
		CodeEndpointUnapproved, CodeNotForPrincipal, CodeNotForRepository, CodeNotForUse}
}

// A Request asks whether a model may be used.
type Request struct {
	Principal  sallyport.Principal // who asks
	Operator   string              // roster id of who started the agent, if one asks
	Repository string              // for which, as the configuration names it
	Provider   string              // whose interface is spoken; may be empty if Model names it
	Model      string              // as the request spells it
	Endpoint   string              // URL that the request would go to
	Use        string              // a word of the entries; empty: none was stated
	Time       time.Time
}

// A Verdict is what the registry says. The zero Verdict refuses.
type Verdict struct {
	Allowed bool             `json:"allowed"`
	Code    string           `json:"code,omitempty"`  // of the refusal
	Text    string           `json:"text,omitempty"`  // the fact
	Hint    string           `json:"hint,omitempty"`  // what moves things on
	Entry   sallyport.Digest `json:"entry,omitempty"` // that decided
	Model   string           `json:"model,omitempty"` // PROVIDER/NAME of the entry
}

// An Entry is one model of the registry and what persons have said about it.
type Entry struct {
	predicate.ModelEntry
	ID      sallyport.Digest `json:"entry"`
	Listed  bool             `json:"listed"` // in the file; an entry that was revoked may not be
	State   string           `json:"state"`  // approved, approved-internal, or the code of the refusal
	Why     string           `json:"why,omitempty"`
	Authors []string         `json:"authors"`
	Words   []Word           `json:"words"`
}

// item is an entry as Check uses it.
type item struct {
	*compiled
	judged
	listed bool
	model  string // PROVIDER/NAME
	ok     Verdict
	lapsed *Word // the revocation of another entry that ends this one
}

// A Registry is a snapshot of the models that may be used. A nil or zero Registry knows none.
type Registry struct {
	items []*item
	exact map[name][]*item
	base  map[name][]*item
	wild  map[string][]*item // by provider
}

type name struct{ provider, text string }

// New makes a registry of the file and what persons have said. Statements of other types are ignored,
// and a nil file lists nothing.
func New(f *File, evidence []sallyport.Evidence, c Context) (*Registry, error) {
	r := &Registry{exact: map[name][]*item{}, base: map[name][]*item{}, wild: map[string][]*item{}}
	words := c.read(evidence)
	about := map[string][]Word{}
	for _, w := range words {
		id := w.entry.ID()
		about[id] = append(about[id], w)
	}
	listed := map[string]bool{}
	add := func(e predicate.ModelEntry, inFile bool) error {
		co, err := compile(e)
		if err != nil {
			return err
		}
		it := &item{compiled: co, judged: c.judge(e, about[co.id]), listed: inFile, model: e.Provider + "/" + e.Name}
		it.ok = Verdict{Allowed: true, Entry: sallyport.Digest(co.id), Model: it.model}
		if inFile || it.revoked != nil {
			r.items = append(r.items, it)
		}
		return nil
	}
	if f != nil {
		for _, e := range f.Models {
			listed[e.ID()] = true
			if err := add(e, true); err != nil {
				return nil, fmt.Errorf("%w: %s/%s: %w", ErrFile, e.Provider, e.Name, err)
			}
		}
	}
	for _, w := range words {
		if id := w.entry.ID(); w.Action == predicate.ModelRevoke && !listed[id] {
			listed[id] = true
			if err := add(w.entry, false); err != nil {
				continue // an entry that cannot be used was never allowed
			}
		}
	}
	r.lapse()
	for _, it := range r.items {
		r.index(it)
	}
	return r, nil
}

// lapse ends the entries whose name was revoked and that nobody has approved since.
func (r *Registry) lapse() {
	for _, it := range r.items {
		for _, other := range r.items {
			if other.revoked != nil && other.id != it.id && sameModel(it, other) && !it.judged.latest.After(other.revoked.issued) &&
				(it.lapsed == nil || other.revoked.issued.After(it.lapsed.issued)) {
				it.lapsed = other.revoked
			}
		}
	}
}

func sameModel(a, b *item) bool {
	return a.Provider == b.Provider && a.Name == b.Name && a.Version == b.Version
}

func (r *Registry) index(it *item) {
	put := func(m map[name][]*item, text string) {
		k := name{it.Provider, text}
		m[k] = append(m[k], it)
	}
	if it.Version == "" {
		put(r.exact, it.Name)
	}
	for _, a := range it.Aliases {
		put(r.exact, a)
	}
	if it.Version != "" || it.Snapshots || it.Latest {
		put(r.base, it.Name)
	}
	if len(it.Patterns) > 0 {
		r.wild[it.Provider] = append(r.wild[it.Provider], it)
	}
}

// Check says whether a request may be made. It takes about a microsecond.
func (r *Registry) Check(q Request) Verdict {
	if r == nil || len(r.items) == 0 {
		return Verdict{Code: CodeUnknown, Text: "the registry lists no models", Hint: hintAdd}
	}
	if len(q.Model) > maxName || len(q.Provider) > maxName {
		return Verdict{Code: CodeUnknown, Text: fmt.Sprintf("the name of the model is longer than %d bytes", maxName)}
	}
	if c, ok := strange(q.Model); ok || q.Model == "" {
		text := "no model is named"
		if ok {
			text = fmt.Sprintf("the name of the model holds %q, which no model's name does", c)
		}
		return Verdict{Code: CodeUnknown, Text: text, Hint: "spell the name in visible ASCII, as the registry does: sallyport model list"}
	}
	s := spell(q.Provider, q.Model)
	var few [8]*item
	found := r.find(few[:0], &s)
	if len(found) == 0 {
		return r.unknown(&s)
	}
	var open *item
	for _, it := range found {
		if it.revoked != nil && superseded(it, found) {
			continue
		}
		if v := it.check(&q, &s); !v.Allowed {
			return v
		}
		open = it
	}
	if open == nil { // what is superseded is so by one that is found, which has been asked
		return r.unknown(&s)
	}
	return open.ok
}

// superseded reports whether another entry among found is the same model and was approved after it
// was revoked.
func superseded(it *item, found []*item) bool {
	return slices.ContainsFunc(found, func(o *item) bool {
		return o != it && o.revoked == nil && sameModel(o, it) && o.judged.latest.After(it.revoked.issued)
	})
}

// find returns the entries that fit closest.
func (r *Registry) find(dst []*item, s *spelling) []*item {
	for _, it := range r.exact[name{s.provider, s.full}] {
		dst = addItem(dst, it)
	}
	if s.region != "" {
		for _, it := range r.exact[name{s.provider, s.name}] {
			if admits(it, s.region) {
				dst = addItem(dst, it)
			}
		}
	}
	atBase := r.base[name{s.provider, s.base}]
	for _, it := range atBase {
		if s.version != "" && it.Version == s.version && admits(it, s.region) {
			dst = addItem(dst, it)
		}
	}
	if len(dst) > 0 {
		return dst
	}
	for _, it := range atBase {
		if s.version != "" && it.Snapshots && admits(it, s.region) {
			dst = addItem(dst, it)
		}
	}
	if len(dst) > 0 {
		return dst
	}
	for _, it := range atBase {
		if s.latest && it.Latest && admits(it, s.region) {
			dst = addItem(dst, it)
		}
	}
	if len(dst) > 0 {
		return dst
	}
	for _, it := range r.wild[s.provider] {
		for _, p := range it.Patterns {
			if fits(p, s.full) || s.region != "" && admits(it, s.region) && fits(p, s.name) {
				dst = addItem(dst, it)
				break
			}
		}
	}
	return dst
}

func admits(it *item, region string) bool {
	return region == "" || slices.Contains(it.Regions, region)
}

func addItem(dst []*item, it *item) []*item {
	if slices.Contains(dst, it) {
		return dst
	}
	return append(dst, it)
}

const hintAdd = "sallyport model list names what there is; a model that should be used is added (sallyport model add) and approved (sallyport model approve)"

// unknown says that no entry fits, and which one was almost meant.
func (r *Registry) unknown(s *spelling) Verdict {
	v := Verdict{Code: CodeUnknown, Text: fmt.Sprintf("no entry of the registry is %.200s of %.80s", s.full, orNobody(s.provider)), Hint: hintAdd}
	for _, it := range r.items {
		switch {
		case !it.listed || it.revoked != nil:
		case it.Provider == s.provider && strings.EqualFold(it.Name, s.base) && it.Name != s.base:
			v.Hint = fmt.Sprintf("names are compared letter by letter, and the registry has %s", it.model)
		case it.Provider == s.provider && it.Name == s.base && !admits(it, s.region):
			v.Hint = fmt.Sprintf("%s is listed, and not for the region %s (regions)", it.model, s.region)
		case it.Provider == s.provider && it.Name == s.base && s.latest:
			v.Hint = fmt.Sprintf("%s is listed, and not whatever is its newest version (latest)", it.model)
		case it.Provider == s.provider && it.Name == s.base && s.version != "":
			v.Hint = fmt.Sprintf("%s is listed, and not its version %s (version, or snapshots for any)", it.model, s.version)
		case it.Provider == s.provider && it.Name == s.base && it.Version != "":
			v.Hint = fmt.Sprintf("%s is listed in version %s alone: name it", it.model, it.Version)
		default:
			continue
		}
		break
	}
	return v
}

func orNobody(s string) string {
	if s == "" {
		return "no provider"
	}
	return s
}

// standing says what of an entry alone keeps it from being used at a time.
func (it *item) standing(at time.Time) (code, text, hint string) {
	ended := it.revoked
	if ended == nil {
		ended = it.lapsed
	}
	switch {
	case ended != nil && it.revoked != nil:
		return CodeRevoked, fmt.Sprintf("%s was revoked by %s on %s: %s", it.model, ended.By, ended.Issued, ended.Justification),
			"use another model; a new entry of this one needs an approval that is newer than the revocation"
	case ended != nil:
		return CodeRevoked, fmt.Sprintf("%s was revoked by %s on %s, and this entry was not approved since: %s", it.model, ended.By, ended.Issued, ended.Justification),
			"sallyport model approve " + it.model
	case !it.from.IsZero() && at.Before(it.from):
		return CodeNotYet, fmt.Sprintf("%s may be used from %s on", it.model, it.NotBefore), ""
	case !at.Before(it.till):
		return CodeExpired, fmt.Sprintf("the entry of %s expired at %s", it.model, it.Expires), "review it, give it another date (expires) in " + Path + ", and have it approved: sallyport model approve " + it.model
	case it.review.IsZero():
		return CodeUnapproved, it.unapproved(), it.wanted()
	case !at.Before(it.review):
		return CodeExpired, fmt.Sprintf("the approval of %s ended at %s", it.model, predicate.FormatTime(it.review)), it.wanted()
	}
	return "", "", ""
}

// wanted is the command that moves an unapproved entry on.
func (it *item) wanted() string {
	if len(it.authors) == 0 {
		return "sallyport model add " + it.model + " --key KEY signs the entry; then another person approves it: sallyport model approve " + it.model + " --key KEY"
	}
	role := "reviewer or security"
	if it.external() {
		role = "security"
	}
	return fmt.Sprintf("a person with the role %s, and neither its owner (%s) nor its author (%s): sallyport model approve %s --key KEY",
		role, it.Owner, strings.Join(it.authors, ", "), it.model)
}

func (it *item) external() bool {
	return slices.ContainsFunc(it.endpoints, func(e endpoint) bool { return e.external })
}

// unapproved says why nothing that was said approves the entry.
func (it *item) unapproved() string {
	if len(it.authors) == 0 {
		return fmt.Sprintf("nobody has signed the entry of %s", it.model)
	}
	for _, w := range it.words {
		if w.Action == predicate.ModelApprove && w.Why != "" {
			return fmt.Sprintf("the approval of %s by %s does not count: %s", it.model, w.By, w.Why)
		}
	}
	return fmt.Sprintf("nobody has approved the entry of %s", it.model)
}

// check holds a request against the entry.
func (it *item) check(q *Request, s *spelling) Verdict {
	refuse := func(code, text, hint string) Verdict {
		return Verdict{Code: code, Text: text, Hint: hint, Entry: it.ok.Entry, Model: it.model}
	}
	if it.revoked != nil || it.lapsed != nil || q.Time.Before(it.from) || !q.Time.Before(it.review) {
		if code, text, hint := it.standing(q.Time); code != "" {
			return refuse(code, text, hint)
		}
		return refuse(CodeUnapproved, it.unapproved(), it.wanted())
	}
	known, allowed := it.reaches(q.Endpoint, q.Time)
	switch {
	case !known:
		return refuse(CodeEndpointUnknown, fmt.Sprintf("%s is not reached at %.200q by its entry", it.model, q.Endpoint), "sallyport model show "+it.model+" lists its endpoints")
	case !allowed:
		return refuse(CodeEndpointUnapproved, fmt.Sprintf("%.200q is an external endpoint of %s, and nobody with the role security has approved it", q.Endpoint, it.model), it.wanted())
	case !it.forPrincipal(q.Principal, q.Operator):
		return refuse(CodeNotForPrincipal, fmt.Sprintf("%s is not for %s", it.model, whom(q)), "its entry lists principals: sallyport model show "+it.model)
	case !it.forRepository(q.Repository):
		return refuse(CodeNotForRepository, fmt.Sprintf("%s is not for the repository %.200q", it.model, q.Repository), "its entry lists repositories: sallyport model show "+it.model)
	case !slices.Contains(it.Uses, "*") && (q.Use == "" || !slices.Contains(it.Uses, q.Use)):
		return refuse(CodeNotForUse, fmt.Sprintf("%s is for %s, and not for %q", it.model, strings.Join(it.Uses, ", "), q.Use), "its entry lists uses: sallyport model show "+it.model)
	}
	return it.ok
}

func whom(q *Request) string {
	if q.Principal.Kind == sallyport.Nobody || q.Principal.Name == "" {
		return "a principal that nobody has authenticated"
	}
	text := string(q.Principal.Kind) + ":" + q.Principal.Name
	if q.Operator != "" {
		text += " of operator:" + q.Operator
	}
	return text
}

// reaches reports whether a URL is under an endpoint of the entry, and under one that may be used.
func (it *item) reaches(url string, at time.Time) (known, allowed bool) {
	hit := func(e *endpoint) {
		known = true
		allowed = allowed || !e.external || at.Before(it.security)
	}
	for i := range it.endpoints {
		if e := &it.endpoints[i]; e.quick(url) {
			hit(e)
		}
	}
	if known {
		return known, allowed
	}
	u, err := splitURL(url)
	if err != nil {
		return false, false
	}
	for i := range it.endpoints {
		if e := &it.endpoints[i]; e.under(u) {
			hit(e)
		}
	}
	return known, allowed
}

func (it *item) forPrincipal(p sallyport.Principal, operator string) bool {
	for _, allowed := range it.Principals {
		if allowed == "*" {
			return true
		}
		kind, who, _ := strings.Cut(allowed, ":")
		have := ""
		switch kind {
		case string(p.Kind):
			have = p.Name
		case "operator":
			have = operator
		}
		if have != "" && (who == "*" || who == have) {
			return true
		}
	}
	return false
}

func (it *item) forRepository(repository string) bool {
	for i := range it.repos {
		p := &it.repos[i]
		if p.all || p.text == repository || p.glob != nil && p.glob.Match(repository) {
			return true
		}
	}
	return false
}

// Entries returns the entries as they stand at a time: those of the file in its order, then those that
// were revoked and are not listed any more.
func (r *Registry) Entries(at time.Time) []Entry {
	if r == nil {
		return nil
	}
	out := make([]Entry, 0, len(r.items))
	for _, it := range r.items {
		e := Entry{ModelEntry: it.ModelEntry, ID: it.ok.Entry, Listed: it.listed, Authors: append([]string{}, it.authors...), Words: append([]Word{}, it.words...)}
		code, text, _ := it.standing(at)
		switch {
		case code != "":
			e.State, e.Why = code, text
		case it.external() && !at.Before(it.security):
			e.State, e.Why = "approved-internal", "nobody with the role security has approved its external endpoints"
		default:
			e.State = "approved"
		}
		out = append(out, e)
	}
	return out
}

// Known reports whether the digest is that of an entry, and whether that entry was revoked.
func (r *Registry) Known(id sallyport.Digest) (known, revoked bool) {
	if r == nil {
		return false, false
	}
	for _, it := range r.items {
		if it.ok.Entry == id {
			return true, it.revoked != nil
		}
	}
	return false, false
}
