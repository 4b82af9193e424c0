package mask

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/words"
)

// A Kind says what was found: "secret:aws-access-key", "personal:email", "document:NAME".
type Kind string

// Secret reports whether the kind is one of secrets, which are never put back unless policy says so by name.
func (k Kind) Secret() bool { return strings.HasPrefix(string(k), "secret:") }

// Personal reports whether the kind is one of personal data.
func (k Kind) Personal() bool { return strings.HasPrefix(string(k), "personal:") }

// A Finding is a stretch of text that must not leave.
type Finding struct {
	Kind       Kind               `json:"kind"`
	Rule       string             `json:"rule"`
	Start      int                `json:"start"` // bytes of what is replaced, in the text or the raw JSON that was given
	End        int                `json:"end"`
	Severity   sallyport.Severity `json:"severity"`
	Escaped    bool               `json:"-"` // the span lies in a string of JSON, as it is written there
	Bare       bool               `json:"-"` // it is a number of JSON, whole: its sentinel is a string
	confidence uint8
}

// Options say what an engine looks for, beyond secrets that are known by their form and surroundings.
type Options struct {
	Known       []Known      // values that are known to be secret
	Hashed      *HashList    // the same, as a list that tells nothing
	Personal    []Kind       // kinds of personal data; none by default
	Recognisers []Recogniser // for kinds that only a configuration can know
	Documents   *Documents   // documents that never leave
	Precise     bool         // leave out what is known by its surroundings alone and looks like nothing
}

// An Engine finds what must not leave. It is immutable and safe for concurrent use.
type Engine struct {
	set      *words.Set
	triggers [][]trigger // by word
	precise  bool
	longest  int // of a known value
	known    *knownSet
	through  *throughSet
	hashed   *HashList
	personal *personal
	docs     *Documents
	pool     sync.Pool // of *search
}

// What a trigger starts.
type action uint8

const (
	actFormat action = iota
	actName
	actURL
	actScheme // Bearer, Basic, Token
	actPEM
	actJWT
	actAzure
	actBack // formats whose mark stands inside
	actKnown
	actCurl
	actIdentified
	actLogin
	actCommand
	actPair
)

type trigger struct {
	act    action
	format *format
	arg    int
}

// version changes with what the engine makes of the same text.
const version = "2"

// Digest names what an engine without further options finds: equal digests, equal findings.
func Digest() sallyport.Digest {
	return sallyport.SHA256([]byte("sallyport mask engine " + version + "\n" + formatTable))
}

// New returns an engine.
func New(o Options) (*Engine, error) {
	e := &Engine{precise: o.Precise, hashed: o.Hashed, docs: o.Documents}
	formats, err := parseFormats(formatTable)
	if err != nil {
		return nil, err
	}
	index := map[string]int{}
	var list []string
	add := func(word string, t trigger) {
		word = strings.ToLower(word)
		i, ok := index[word]
		if !ok {
			i = len(list)
			index[word] = i
			list = append(list, word)
			e.triggers = append(e.triggers, nil)
		}
		e.triggers[i] = append(e.triggers[i], t)
	}
	for i := range formats {
		add(formats[i].prefix, trigger{act: actFormat, format: &formats[i]})
	}
	for k := range keywords {
		add(k, trigger{act: actName})
	}
	for i, mark := range backMarks {
		add(mark.word, trigger{act: actBack, arg: i})
	}
	for word, act := range map[string]action{
		"://": actURL, "bearer": actScheme, "ssws ": actScheme, "basic ": actScheme, "-----begin": actPEM, "eyj": actJWT, "identified by": actIdentified, "curl ": actCurl,
		"login ": actLogin, "putty-user-key-file-": actPEM,
	} {
		add(word, trigger{act: act})
	}
	for i, c := range commandTable {
		add(c.word, trigger{act: actCommand, arg: i})
	}
	for _, w := range []string{"credential(", "directoryentry(", "basicauth(", "auth=(", "auth = ("} {
		add(w, trigger{act: actPair})
	}
	if len(o.Known) > 0 {
		if e.known, err = newKnown(o.Known); err != nil {
			return nil, err
		}
		for i, f := range e.known.forms {
			add(f.head(), trigger{act: actKnown, arg: i})
			e.longest = max(e.longest, len(f.text))
		}
		e.through = newThrough(o.Known)
	}
	if e.personal, err = newPersonal(o.Personal, o.Recognisers); err != nil {
		return nil, fmt.Errorf("mask: %w", err)
	}
	e.set = words.New(list)
	return e, nil
}

// A search is one pass over one text.
type search struct {
	e          *Engine
	text       []byte
	found      []Finding
	named      int    // names up to here have been looked at
	until      int    // a block up to here has been found
	depth      int    // of encodings
	jwtEnd     [2]int // ends of the parts that the last one had
	commands   int    // commands up to here have been looked at
	commandEnd int    // where the last look for an option ended
	spent      int    // bytes of values that have been judged: a text that is all names gets shorter looks
	allowed    int    // bytes of text that have been looked at, which is what spent is held against
	oneBody    bool   // the texts are the strings of one body, and share what may be spent
	borders    []int  // where strings of a body are joined in the text: a token may begin and end there
	scratch    []byte
	view       []byte  // the text without its escapes and white space
	viewAt     []int   // where each byte of it comes from
	inner      *search // for what is encoded in the text
	hashing    hashing
	walk       walker
}

func (e *Engine) search() *search {
	s, _ := e.pool.Get().(*search)
	if s == nil {
		s = &search{e: e}
	}
	return s
}

// Find appends what it finds in text to dst, in order and without overlap. It takes time linear in
// text, whatever stands there, and allocates nothing when there is nothing to find.
func (e *Engine) Find(dst []Finding, text []byte) []Finding {
	s := e.search()
	s.depth = 0
	s.look(text)
	dst = append(dst, tidy(s.found)...)
	s.release()
	return dst
}

// release gives the search back, without what it has seen.
func (s *search) release() {
	clear(s.scratch)
	clear(s.view)
	s.text, s.found = nil, s.found[:0]
	s.e.pool.Put(s)
}

// look fills found with what it finds in text.
func (s *search) look(text []byte) {
	s.text, s.found, s.named, s.until = text, s.found[:0], 0, 0
	s.jwtEnd, s.commands, s.commandEnd = [2]int{}, 0, 0
	if !s.oneBody {
		s.spent, s.allowed = 0, 0
	}
	s.allowed += len(text)
	set, triggers := s.e.set, s.e.triggers
	var state uint32
	for i := 0; i < len(text); {
		end, after, hits := set.Next(text, i, state)
		i, state = end, after
		for _, w := range hits {
			for k := range triggers[w] {
				s.hit(&triggers[w][k], end-set.Len(w), end)
			}
		}
	}
	s.encoded()
	s.through()
	if s.e.hashed != nil {
		s.hashes()
	}
	if s.e.personal != nil {
		s.personalData()
	}
	if s.e.docs != nil {
		s.documents()
	}
}

func (s *search) hit(t *trigger, start, end int) {
	switch t.act {
	case actFormat:
		s.format(t.format, start, end)
	case actName:
		if end > s.named {
			s.name(start, end)
		}
	case actURL:
		s.url(start, end)
	case actScheme:
		s.scheme(start, end)
	case actPEM:
		s.pem(start, end)
	case actJWT:
		s.jwt(start)
	case actBack:
		s.back(&backMarks[t.arg], start, end)
	case actKnown:
		s.knownAt(t.arg, start)
	case actCurl:
		s.curl(end)
	case actIdentified:
		s.assigned(end, strong, false)
	case actCommand:
		s.command(&commandTable[t.arg], start, end)
	case actPair:
		s.pair(end - 1)
	case actLogin:
		s.netrc(end)
	}
}

// add notes a finding. Confidence settles which of two that overlap gives its name.
func (s *search) add(kind Kind, rule string, start, end int, sev sallyport.Severity, confidence uint8) {
	if start < end {
		s.found = append(s.found, Finding{Kind: kind, Rule: rule, Start: start, End: end, Severity: sev, confidence: confidence})
	}
}

// tidy sorts findings and joins those that overlap.
func tidy(found []Finding) []Finding {
	if len(found) < 2 {
		return found
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(a.Start-b.Start, b.End-a.End, int(b.confidence)-int(a.confidence), strings.Compare(a.Rule, b.Rule))
	})
	out := found[:1]
	for _, f := range found[1:] {
		last := &out[len(out)-1]
		if f.Start >= last.End {
			out = append(out, f)
			continue
		}
		// A token inside a longer value stands for itself; the rest is no secret.
		if f.confidence == byForm && last.confidence == byName {
			*last = f
			continue
		}
		if last.confidence == byForm && f.confidence == byName {
			continue
		}
		if f.confidence > last.confidence {
			last.Kind, last.Rule, last.confidence = f.Kind, f.Rule, f.confidence
		}
		if f.Severity.Rank() > last.Severity.Rank() {
			last.Severity = f.Severity
		}
		last.End = max(last.End, f.End)
	}
	return out
}

// How sure a matcher is, for overlaps.
const (
	byName  uint8 = 1 + iota // a name that promises a secret stands before it
	byPlace                  // the place itself says so: a URL's password, an Authorization header
	byForm                   // the secret says so itself
	byValue                  // it is known
)
