package claims

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// gitAIAgent is what the metadata of a note says about a key.
type gitAIAgent struct {
	AgentID struct {
		Tool  string `json:"tool"`
		ID    string `json:"id"`
		Model string `json:"model"`
	} `json:"agent_id"`
	HumanAuthor string `json:"human_author"`
	Author      string `json:"author"` // of a known human
	Name        string `json:"name"`
}

type gitAIMetadata struct {
	Version  string                `json:"schema_version"`
	Prompts  map[string]gitAIAgent `json:"prompts"`
	Sessions map[string]gitAIAgent `json:"sessions"`
	Humans   map[string]gitAIAgent `json:"humans"`
}

// FromGitAI reads a note of git-ai about a commit.
func FromGitAI(commit string, note []byte) ([]Claim, error) {
	if len(note) > MaxText {
		return nil, fmt.Errorf("git-ai note: %w: %d bytes, the limit is %d", ErrTooLarge, len(note), MaxText)
	}
	text := strings.ReplaceAll(string(note), "\r\n", "\n")
	section, meta, ok := strings.Cut("\n"+text, "\n---\n")
	if !ok {
		return nil, fmt.Errorf("git-ai note: %w: it has no line ---", ErrFormat)
	}
	var m gitAIMetadata
	if err := strict.LaxJSON([]byte(strings.TrimSpace(meta)), MaxText, &m); err != nil {
		return nil, fmt.Errorf("git-ai note: %w: metadata: %w", ErrFormat, err)
	}
	l := &list{kind: GitAI}
	path, attested := "", 0
	for line := range strings.SplitSeq(section, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			path = line
			if strings.HasPrefix(line, `"`) {
				unquoted, err := strconv.Unquote(line)
				if err != nil {
					return nil, fmt.Errorf("git-ai note: %w: path %.80q", ErrFormat, line)
				}
				path = unquoted
			}
			continue
		}
		key, ranges, ok := strings.Cut(strings.TrimSpace(line), " ")
		if path == "" || !ok {
			return nil, fmt.Errorf("git-ai note: %w: line %.80q", ErrFormat, line)
		}
		attested++
		for r := range strings.SplitSeq(strings.ReplaceAll(ranges, " ", ""), ",") {
			start, end, err := lineRange(r)
			if err != nil {
				return nil, fmt.Errorf("git-ai note: %w: range %.80q", ErrFormat, r)
			}
			c := m.claim(key)
			c.Commit, c.Path, c.Start, c.End = commit, path, start, end
			l.add(c)
		}
	}
	if attested == 0 { // it names sessions, and no lines of theirs are left
		for key := range m.Prompts {
			c := m.claim(key)
			c.Commit = commit
			c.Note = "no lines of the commit"
			l.add(c)
		}
	}
	return sorted(l.all), l.err
}

// claim is what the metadata says about a key: s_… of a session, with ::t_… of one trace in it, h_…
// of a person, or the bare one of a prompt.
func (m *gitAIMetadata) claim(key string) Claim {
	session, _, _ := strings.Cut(key, "::")
	if strings.HasPrefix(session, "h_") {
		h := m.Humans[session]
		return Claim{By: ByHuman, Human: firstOf(h.Author, h.HumanAuthor, h.Name)}
	}
	a, ok := m.Sessions[key]
	for _, from := range []map[string]gitAIAgent{m.Sessions, m.Prompts} {
		if !ok {
			a, ok = from[session]
		}
	}
	c := Claim{By: ByAgent, Agent: a.AgentID.Tool, Model: a.AgentID.Model, Session: firstOf(a.AgentID.ID, session), Human: a.HumanAuthor}
	if !ok {
		c.Note = "the note does not say whose key " + key + " is"
	}
	return c
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// lineRange reads "3" or "3-7".
func lineRange(s string) (start, end int, err error) {
	first, last, both := strings.Cut(s, "-")
	if start, err = strconv.Atoi(first); err != nil {
		return 0, 0, err
	}
	if end = start; both {
		end, err = strconv.Atoi(last)
	}
	if err == nil && (start < 1 || end < start) {
		err = ErrFormat
	}
	return start, end, err
}
