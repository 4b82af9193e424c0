package identity

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
)

//go:embed data/agent-markers.json
var markerData []byte

// A rule is one entry of the marker table.
type rule struct {
	Agent   string `json:"agent"`
	Kind    string `json:"kind"`
	Type    string `json:"marker_type"`
	Pattern string `json:"pattern"`

	need []string // folded literals that every match contains, longest first
	head bool     // the pattern is anchored at the start of the text, not of a line
	re   func() *regexp.Regexp
}

// Kinds of rule that matter to a commit.
const (
	kindAgent    = "llm-agent"
	kindReviewer = "llm-reviewer" // as author or co-author, a model's suggestion that was applied
	kindBot      = "bot"
	kindTrace    = "provenance" // the trailer of a tool that records agents' sessions
	kindForged   = "forged-identity"
	kindHuman    = "human-account" // a person's account that looks like an agent's
)

// anyAgent is the table's name for "some agent that is not named".
const anyAgent = "any"

// Unnamed is the agent's name in an attribution when a commit says that an agent took part and
// not which one.
const Unnamed = "unnamed"

// table is the marker table, prepared so that a commit without markers costs a few searches
// for literals and no regular expression. Expressions are compiled when first needed.
type table struct {
	identity []*rule            // about an address
	login    []*rule            // about a forge login, or a name that repeats one
	name     []*rule            // about a name
	coAuthor []*rule            // about a Co-authored-by line: addresses again
	line     map[string][]*rule // about any other line, by a literal that it contains
	lineKeys []string           // of line, in a fixed order

	ids     map[string][]string // folded login to the numeric ids that GitHub gave it
	known   map[string]bool     // folded agents' addresses, as far as the table spells them out
	agents  map[string]bool     // folded logins, without [bot], that belong to agents
	domains map[string][]string // vendors' domains to the local parts that agents have there
}

// markers is built once, and not at start-up: most commands attribute nothing.
var markers = sync.OnceValue(func() *table {
	t, err := parseTable(markerData)
	if err != nil {
		panic(err) // the data is part of the program, and a test parses it
	}
	return t
})

func parseTable(b []byte) (*table, error) {
	var all []*rule
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("marker table: %w", err)
	}
	t := &table{
		line: map[string][]*rule{}, ids: map[string][]string{}, known: map[string]bool{},
		agents: map[string]bool{}, domains: map[string][]string{},
	}
	for _, r := range all {
		switch r.Type {
		case "commit_trailer", "message_text", "author_email", "author_name", "bot_login":
		default:
			continue // about branches, pull requests, environments and files
		}
		if err := r.prepare(); err != nil {
			return nil, fmt.Errorf("marker table: %s: %w", r.Agent, err)
		}
		t.learn(r)
		switch r.Type {
		case "author_email":
			t.identity = append(t.identity, r)
		case "author_name":
			t.name = append(t.name, r)
		case "bot_login":
			t.login = append(t.login, r)
		default:
			if slices.Contains(r.need, coAuthor+":") {
				t.coAuthor = append(t.coAuthor, r)
				break
			}
			if len(r.need) == 0 {
				return nil, fmt.Errorf("marker table: %s: no literal in %q", r.Agent, r.Pattern)
			}
			key := r.need[0]
			if !slices.Contains(t.lineKeys, key) {
				t.lineKeys = append(t.lineKeys, key)
			}
			t.line[key] = append(t.line[key], r)
		}
	}
	return t, nil
}

// coAuthor is the trailer in which most agents name themselves.
const coAuthor = "co-authored-by"

func (r *rule) prepare() error {
	tree, err := syntax.Parse(r.Pattern, syntax.Perl)
	if err != nil {
		return err
	}
	tree = tree.Simplify()
	r.need = literals(tree, nil)
	slices.SortStableFunc(r.need, func(a, b string) int { return len(b) - len(a) })
	first := tree
	for len(first.Sub) > 0 && (first.Op == syntax.OpConcat || first.Op == syntax.OpCapture) {
		first = first.Sub[0]
	}
	r.head = first.Op == syntax.OpBeginText
	pattern := r.Pattern
	if r.Type == "bot_login" {
		pattern = "(?i)" + pattern // logins have no case
	}
	r.re = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
	return nil
}

// literals collects the folded literals that every match of re contains.
func literals(re *syntax.Regexp, out []string) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) >= 3 {
			out = append(out, fold(string(re.Rune)))
		}
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		for _, s := range re.Sub {
			out = literals(s, out)
		}
	}
	return out
}

// fold lower-cases as (?i) does: the long s and the Kelvin sign are an s and a k to it.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return strings.ReplaceAll(strings.ToLower(s), "ſ", "s") // ToLower knows the Kelvin sign
}

// couldMatch reports whether folded contains what every match of r contains.
func (r *rule) couldMatch(folded string) bool {
	for _, n := range r.need {
		if !strings.Contains(folded, n) {
			return false
		}
	}
	return true
}

// matches reports whether r matches s, of which folded is the folded form.
func (r *rule) matches(s, folded string) bool { return r.couldMatch(folded) && r.re().MatchString(s) }

// How the table's patterns spell a GitHub address and a vendor's: "49699333\+dependabot" and
// "(noreply|codex)@openai\.com".
var (
	patternLogin = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[^0-9])([0-9]{5,})\\\+\)?\??([a-z][a-z0-9-]*)`)
	})
	patternDomain = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(\([a-z|-]+\)|[a-z][a-z-]*)@([a-z0-9-]+(?:\\\.[a-z0-9-]+)+)`)
	})
)

// learn reads out of r's pattern the numeric ids of logins and the addresses at vendors'
// domains. Forgeries are told by them.
func (t *table) learn(r *rule) {
	if r.Kind == kindForged || r.Kind == kindHuman {
		return
	}
	bot := ""
	if strings.Contains(r.Pattern, `\[bot\]`) {
		bot = "[bot]"
	}
	for _, m := range patternLogin().FindAllStringSubmatch(r.Pattern, -1) {
		login := m[2] + bot
		t.agents[m[2]] = t.agents[m[2]] || r.Kind == kindAgent
		if !slices.Contains(t.ids[login], m[1]) {
			t.ids[login] = append(t.ids[login], m[1])
			t.known[m[1]+"+"+login+"@"+noreplyGitHub] = true
		}
	}
	if r.Kind != kindAgent {
		return
	}
	for _, m := range patternDomain().FindAllStringSubmatch(r.Pattern, -1) {
		domain := strings.ReplaceAll(m[2], `\.`, ".")
		if domain == noreplyGitHub {
			continue
		}
		for local := range strings.SplitSeq(strings.Trim(m[1], "()"), "|") {
			if addr := local + "@" + domain; !t.known[addr] {
				t.known[addr] = true
				t.domains[domain] = append(t.domains[domain], local)
			}
		}
	}
}

// words that name an agent, in a name such as "Claude Opus 4.6" or the value of Assisted-by,
// and the agent's name in the table. A word here is never a marker by itself: people are called
// Claude and Devin.
var words = map[string]string{
	"claude": "claude-code", "opus": "claude-code", "sonnet": "claude-code", "haiku": "claude-code",
	"codex": "codex-cli", "copilot": "copilot", "cursor": "cursor", "cursoragent": "cursor",
	"aider": "aider", "amp": "amp", "devin": "devin", "jules": "jules", "junie": "junie",
	"gemini": "gemini-cli", "opencode": "opencode", "openhands": "openhands", "kiro": "kiro",
	"goose": "goose", "cline": "cline", "roo": "roo-code", "windsurf": "windsurf",
	"droid": "factory-droid", "cody": "sourcegraph-cody",
}

// wordAgent returns the agent that a name's words name, if any.
func wordAgent(name string) (agent string, ok bool) {
	for w := range strings.FieldsFuncSeq(fold(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && r < 0x80
	}) {
		if a, ok := words[w]; ok {
			return a, true
		}
	}
	return "", false
}
