package identity

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	sallyport "github.com/sallyport-dev/sallyport"
)

// A mark is one sign that an agent, a tool that records agents, or a bot took part.
type mark struct {
	agent string // in the marker table or the roster
	kind  string // of the rule
	model string // as claimed, may be empty
}

// An actor is what a name and an address say; it is the same for every commit that carries
// them and is kept.
type actor struct {
	email  string // folded
	text   string // "Name <address>", safe to print
	owner  owner  // whose address it is according to the roster
	marks  []mark
	shapes []shape
}

// maxActors bounds how many actors are kept at once.
const maxActors = 8192

// actor returns what the name and address of an author or committer say, or those in a trailer.
func (id *Identifier) actor(name, email string, trailer bool) *actor {
	key := name + "\x00" + email
	if trailer {
		key += "\x00"
	}
	id.mu.Lock()
	a := id.actors[key]
	id.mu.Unlock()
	if a != nil {
		return a
	}
	a = id.newActor(name, email, trailer)
	id.mu.Lock()
	if len(id.actors) >= maxActors {
		clear(id.actors)
	}
	id.actors[key] = a
	id.mu.Unlock()
	return a
}

func (id *Identifier) newActor(name, email string, trailer bool) *actor {
	name, email = strings.TrimSpace(name), strings.TrimSpace(email)
	t := id.marks()
	a := &actor{email: fold(email), text: printable(name + " <" + email + ">")}
	a.owner = id.roster.byEmail(a.email)
	if a.owner.kind == sallyport.Agent {
		a.add(mark{agent: a.owner.id, kind: kindAgent, model: modelOf(name)})
	}
	human := false
	for _, r := range t.identity {
		switch {
		case !r.matches(a.email, a.email):
		case r.Kind == kindHuman:
			human = true
		case r.Kind == kindForged:
			a.shapes = append(a.shapes, shape{ruleForgedIdentity, sallyport.Critical, a.text,
				"an address that is not issued to the agent and that attackers have used in its name"})
		}
	}
	// An address means the same wherever it stands, but one vendor's products share addresses:
	// the rules that were written for this place name the product, the others are for what
	// those leave out.
	line := coAuthor + ": x <" + a.email + ">"
	if trailer {
		a.match(t.coAuthor, line, name)
		a.match(t.identity, a.email, name)
	} else {
		a.match(t.identity, a.email, name)
		a.match(t.coAuthor, line, name)
	}
	for _, r := range t.name {
		if r.matches(name, fold(name)) {
			a.add(mark{agent: r.Agent, kind: r.Kind, model: modelOf(name)})
		}
	}
	_, login, _ := githubNoreply(a.email)
	for _, r := range t.login {
		if (!human && login != "" && r.matches(login, login)) || r.matches(name, fold(name)) {
			a.add(mark{agent: r.Agent, kind: r.Kind, model: modelOf(name)})
		}
	}
	if !human && len(a.shapes) == 0 {
		a.shapes = append(a.shapes, t.shapes(id.roster, name, a.email, a.text)...)
	}
	return a
}

// match adds the marks of rules that match folded text, unless an agent is known already.
func (a *actor) match(rules []*rule, folded, name string) {
	for _, m := range a.marks {
		if m.kind != kindBot {
			return
		}
	}
	for _, r := range rules {
		if r.Kind != kindHuman && r.Kind != kindForged && r.matches(folded, folded) {
			a.add(mark{agent: r.Agent, kind: r.Kind, model: modelOf(name)})
		}
	}
}

// add keeps one mark for each agent.
func (a *actor) add(m mark) {
	for _, have := range a.marks {
		if have.agent == m.agent && have.kind == m.kind {
			return
		}
	}
	a.marks = append(a.marks, m)
}

// The trailers whose value is somebody who took part in making the change. Reviewed-by,
// Acked-by and their like are not among them.
var makerTrailers = map[string]bool{
	coAuthor: true, "co-developed-by": true, "authored-by": true, "committed-by": true,
	"signed-off-by": true, "assisted-by": true, "generated-by": true,
}

// The trailers that name a further author, who may not approve the change either. A sign-off
// is also what a maintainer adds who took the patch over, so it is not among them.
var authorTrailers = map[string]bool{coAuthor: true, "co-developed-by": true, "authored-by": true}

// message collects the marks in a commit's message and in its trailers.
func (g *gather) message(c *sallyport.Commit) {
	msg := c.Message
	if strings.Contains(msg, "\r") {
		msg = strings.ReplaceAll(msg, "\r\n", "\n")
	}
	g.lines(msg, true)
	// Most trailers stand in the message as they are; one that was folded over several lines, or
	// has blanks before its colon, does not. What is seen twice is told once, so looking for
	// the few usual ones is only there to save time.
	var b strings.Builder
	for _, t := range c.Trailers {
		line := t.Key + ": " + t.Value
		if len(c.Trailers) > 16 || !strings.Contains(msg, line) {
			b.WriteString(strings.ReplaceAll(line, "\n", " ") + "\n")
		}
	}
	if b.Len() > 0 {
		g.lines(b.String(), false)
	}
}

// lines collects the marks in the lines of text; whole says that it is a message from its
// start.
func (g *gather) lines(text string, whole bool) {
	t := g.id.marks()
	folded := fold(text)
	orig := origin{text: text, folded: folded}
	eachLine(folded, "-by:", func(start int, line string) {
		key, _, _ := strings.Cut(line, ":")
		if makerTrailers[key] {
			g.maker(key, orig.line(start))
		}
	})
	for _, key := range t.lineKeys {
		orig := origin{text: text, folded: folded}
		eachLine(folded, key, func(start int, line string) {
			for _, r := range t.line[key] {
				if r.head && (start != 0 || !whole) {
					continue
				}
				if !r.matches(line, line) {
					continue
				}
				g.lineMark(r, orig.line(start))
			}
		})
	}
}

// maker takes a trailer that names who took part.
func (g *gather) maker(key, line string) {
	_, value, _ := strings.Cut(line, ":")
	name, email, ok := splitIdent(value)
	if !ok {
		return
	}
	a := g.id.actor(name, email, true)
	g.actor("trailer", a)
	if authorTrailers[key] {
		g.claim(a)
	}
}

// lineMark takes a line that a rule matched.
func (g *gather) lineMark(r *rule, line string) {
	m := mark{agent: r.Agent, kind: r.Kind}
	if r.Agent == anyAgent {
		_, value, _ := strings.Cut(line, ":")
		if strings.Contains(value, "@") {
			return // a person's; an agent's address was seen as one
		}
		m.agent = Unnamed
		if a, ok := wordAgent(value); ok {
			m.agent = a
		}
		name, version, hasVersion := strings.Cut(strings.TrimSpace(value), ":")
		m.model = modelOf(name)
		if f := strings.Fields(version); hasVersion && len(f) > 0 {
			m.model = clip(printable(f[0]))
		}
	}
	g.mark(m, "message says "+quote(strings.TrimSpace(line)))
}

// eachLine calls f with every line of text that contains key, and where the line starts.
func eachLine(text, key string, f func(start int, line string)) {
	for pos := 0; ; {
		i := strings.Index(text[pos:], key)
		if i < 0 {
			return
		}
		i += pos
		start := strings.LastIndexByte(text[:i], '\n') + 1
		end := len(text)
		if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
			end = i + n
		}
		f(start, strings.TrimSuffix(text[start:end], "\r"))
		if end == len(text) {
			return
		}
		pos = end
	}
}

// An origin finds the lines of a text that folding turned into those of folded. Folding may
// change lengths and never adds or drops a newline. Lines are asked for in ascending order, so
// that a message of many marks is walked once.
type origin struct {
	text, folded string
	at, atFolded int // the starts of the same line in both
}

// line returns the line of the text that starts at start in folded.
func (o *origin) line(start int) string {
	for n := strings.Count(o.folded[o.atFolded:start], "\n"); n > 0; n-- {
		o.at += strings.IndexByte(o.text[o.at:], '\n') + 1
	}
	o.atFolded = start
	line, _, _ := strings.Cut(o.text[o.at:], "\n")
	return strings.TrimSuffix(line, "\r")
}

// splitIdent takes "Name <address>" apart, or a bare address. Text after the address is not an
// excuse: it is ignored.
func splitIdent(s string) (name, email string, ok bool) {
	if name, rest, found := strings.Cut(s, "<"); found {
		email, _, found = strings.Cut(rest, ">")
		return strings.TrimSpace(name), strings.TrimSpace(email), found && strings.TrimSpace(email) != ""
	}
	for f := range strings.FieldsSeq(s) {
		if strings.Contains(f, "@") {
			return strings.TrimSpace(strings.Replace(s, f, "", 1)), f, true
		}
	}
	return "", "", false
}

// modelOf returns the model that an agent's display name claims: "Claude Opus 4.6" does, as
// does what stands in brackets in "aider (gpt-4o)"; "Claude" and "Copilot" claim none.
func modelOf(name string) string {
	if rest, ok := strings.CutPrefix(fold(name), "aider ("); ok && strings.HasSuffix(rest, ")") {
		return clip(printable(name[len("aider (") : len(name)-1]))
	}
	if !strings.ContainsAny(name, "0123456789") || strings.HasSuffix(name, "[bot]") {
		return ""
	}
	return clip(printable(strings.TrimSpace(name)))
}

// printable returns s if it may be printed as it is, and otherwise quoted in ASCII: no escape
// sequence, bidirectional control or invisible character reaches a terminal. Look-alike letters
// are printable; a shape that is about them quotes them itself.
func printable(s string) string {
	s = clip(s)
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// quote is printable, always in quotation marks.
func quote(s string) string {
	if p := printable(s); strings.HasPrefix(p, `"`) && p != s {
		return p
	}
	return `"` + clip(s) + `"`
}

// maxText bounds what is repeated of a commit in a sentence, in bytes.
const maxText = 160

// clip cuts s at a rune's start.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

// appendNew appends s unless it is there.
func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
