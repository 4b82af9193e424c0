// Package claims reads what other tools noted about who wrote what: git-ai's notes, Agent Trace
// records, Entire's checkpoints, Chainloop's session materials, and what trailers and texts say of
// agents and their sessions.
//
// All of it is a claim, of grade declared, and stays one: nobody signed it, or nobody whose key the
// trust roots know; whoever can write the file or push the ref can say anything in it. A claim adds
// an agent's name where nothing else tells, and shows a contradiction where evidence says otherwise.
// It is never evidence, and nothing opens because of it.
//
// The formats are read leniently in what they may add, and strictly in size: a text of more than
// [MaxText] bytes, or one that makes more than [MaxClaims] claims, is an error. Names are cut at
// [MaxName] bytes. What a claim says is not made safe to print: that is the renderer's.
//
// What is read, by the specification or the schema of the time given:
//
//   - git-ai standard v3.0.0: an attestation section (a path, then indented lines of a key and line
//     ranges), a line "---", and JSON that tells each key's agent. Keys are s_…::t_… (sessions), h_…
//     (known humans), and the bare hexadecimal ones of older versions;
//   - Agent Trace 0.1.0 (a record, a list of them, or one a line): files, conversations, ranges;
//   - Entire: metadata.json of a checkpoint on the branch entire/checkpoints/v1, joined to commits by
//     the trailer Entire-Checkpoint;
//   - Chainloop AI coding session 0.1, joined to commits by the trailer Chainloop-Trace-Sessions or
//     the commits that it names;
//   - trailers and texts of commits and pull requests: sessions' links, Assisted-by in the form of the
//     Linux kernel (AGENT:MODEL [TOOL]…) and in those found in the wild.
package claims

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Kind says whose record a claim is from.
type Kind string

// The kinds.
const (
	GitAI      Kind = "git-ai"
	AgentTrace Kind = "agent-trace"
	Entire     Kind = "entire"
	Chainloop  Kind = "chainloop"
	Text       Kind = "text" // a commit's message, or the text of a pull request
)

// Kinds lists them.
var Kinds = []Kind{GitAI, AgentTrace, Entire, Chainloop, Text}

// Limits.
const (
	MaxText   = 16 << 20
	MaxClaims = 100_000 // of one text
	MaxName   = 256
	maxPath   = 4096
	maxLine   = 1 << 30
)

// ErrTooLarge says that a text is larger than this package reads.
var ErrTooLarge = errors.New("too large")

// ErrFormat says that a text is not of the format that it should be.
var ErrFormat = errors.New("not in this format")

// Who is said to have written.
const (
	ByAgent   = "agent"
	ByHuman   = "human"
	ByMixed   = "mixed"
	ByUnknown = "unknown"
)

// A Claim is one thing that a record says.
type Claim struct {
	Kind    Kind   `json:"kind"`
	Commit  string `json:"commit,omitempty"`  // object id; empty where the session tells
	Path    string `json:"path,omitempty"`    // empty: of all that the commit did
	Start   int    `json:"start,omitempty"`   // first line in the commit's version; 0: all lines
	End     int    `json:"end,omitempty"`     // last line
	By      string `json:"by"`                // agent, human, mixed or unknown
	Agent   string `json:"agent,omitempty"`   // the tool, as the record calls it
	Model   string `json:"model,omitempty"`   //
	Session string `json:"session,omitempty"` // as the tool calls it: an id or a link
	Human   string `json:"human,omitempty"`   // the person it names
	Note    string `json:"note,omitempty"`    // what else it says, such as a share of lines
}

// Holds reports whether the claim is about a line of a path.
func (c *Claim) Holds(path string, line int) bool {
	return (c.Path == "" || c.Path == path) && (c.Start == 0 || c.Start <= line && line <= c.End)
}

// A list gathers claims within bounds.
type list struct {
	kind Kind
	all  []Claim
	err  error
}

func (l *list) add(c Claim) {
	if l.err != nil {
		return
	}
	if len(l.all) >= MaxClaims {
		l.err = ErrTooLarge
		return
	}
	c.Kind = l.kind
	if c.By == "" {
		c.By = ByUnknown
	}
	if len(c.Path) > maxPath || strings.ContainsRune(c.Path, 0) {
		return // no file is called so
	}
	if c.Start != 0 && (c.Start < 1 || c.End < c.Start || c.End > maxLine) {
		return
	}
	if !isCommit(c.Commit) {
		c.Commit = ""
	}
	for _, s := range []*string{&c.Agent, &c.Model, &c.Session, &c.Human, &c.Note} {
		*s = clip(*s)
	}
	l.all = append(l.all, c)
}

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// clip trims a name and cuts it at a rune's start.
func clip(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= MaxName {
		return s
	}
	n := MaxName
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// An Index finds claims by what they are about.
type Index struct {
	commits  map[string][]Claim
	sessions map[string][]Claim
}

// NewIndex returns an index of claims.
func NewIndex(all []Claim) *Index {
	x := &Index{commits: map[string][]Claim{}, sessions: map[string][]Claim{}}
	for _, c := range all {
		switch {
		case c.Commit != "":
			x.commits[c.Commit] = append(x.commits[c.Commit], c)
		case c.Session != "":
			x.sessions[c.Session] = append(x.sessions[c.Session], c)
		}
	}
	return x
}

// About returns what is claimed about a commit: by its id, by its message, and by records of the
// sessions that the message names.
func (x *Index) About(commit, message string) []Claim {
	out := slices.Clone(x.commits[commit])
	said := FromMessage(message)
	for _, s := range said {
		s.Commit = commit
		out = append(out, s)
		for _, c := range x.sessions[s.Session] {
			if s.Session != "" {
				c.Commit = commit
				out = append(out, c)
			}
		}
	}
	return out
}

// Len is how many claims the index holds.
func (x *Index) Len() int {
	n := 0
	for _, m := range []map[string][]Claim{x.commits, x.sessions} {
		for _, l := range m {
			n += len(l)
		}
	}
	return n
}

// sorted puts claims into one order, without what is said twice.
func sorted(all []Claim) []Claim {
	slices.SortFunc(all, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.Commit, b.Commit), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End),
			cmp.Compare(a.By, b.By), cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Session, b.Session),
			cmp.Compare(a.Human, b.Human), cmp.Compare(a.Note, b.Note))
	})
	return slices.Compact(all)
}
