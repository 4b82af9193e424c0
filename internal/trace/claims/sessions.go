package claims

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// FromEntire reads metadata.json of a checkpoint, or of one session in it. The checkpoint's id is what
// commits name in a trailer.
func FromEntire(b []byte) ([]Claim, error) {
	var m struct {
		CheckpointID string   `json:"checkpoint_id"`
		SessionID    string   `json:"session_id"`
		Agent        string   `json:"agent"`
		Model        string   `json:"model"`
		Files        []string `json:"files_touched"`
		Attribution  *struct {
			Percentage float64 `json:"agent_percentage"`
		} `json:"initial_attribution"`
	}
	if err := strict.LaxJSON(b, MaxText, &m); err != nil {
		return nil, fmt.Errorf("entire metadata: %w: %w", ErrFormat, err)
	}
	if m.CheckpointID == "" {
		return nil, fmt.Errorf("entire metadata: %w: it has no checkpoint_id", ErrFormat)
	}
	c := Claim{By: ByAgent, Agent: m.Agent, Model: m.Model, Session: m.CheckpointID}
	if m.SessionID != "" {
		c.Note = "session " + m.SessionID
	}
	if m.Attribution != nil {
		c.By = ByMixed
		c.Note = strings.TrimSpace(fmt.Sprintf("%s; %.0f%% of the lines by the agent", c.Note, m.Attribution.Percentage))
	}
	return ofFiles(Entire, c, m.Files)
}

// ofFiles makes a claim about each file, or about all if none is named.
func ofFiles(kind Kind, c Claim, files []string) ([]Claim, error) {
	l := &list{kind: kind}
	for _, f := range files {
		c.Path = f
		l.add(c)
	}
	if len(files) == 0 {
		l.add(c)
	}
	return sorted(l.all), l.err
}

type chainloopSession struct {
	Agent struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"agent"`
	Session struct {
		ID string `json:"id"`
	} `json:"session"`
	Git struct {
		CommitEnd string   `json:"commit_end"`
		Commits   []string `json:"commits"`
	} `json:"git_context"`
	Model struct {
		Primary string `json:"primary"`
		Name    string `json:"name"`
	} `json:"model"`
	Changes struct {
		Files []struct {
			Path   string `json:"path"`
			Ranges []struct {
				Start int    `json:"start"`
				End   int    `json:"end"`
				Type  string `json:"attribution"`
			} `json:"ranges"`
		} `json:"files"`
	} `json:"code_changes"`
}

// FromChainloop reads a material of type CHAINLOOP_AI_CODING_SESSION, with or without the envelope
// that names its schema.
func FromChainloop(b []byte) ([]Claim, error) {
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := strict.LaxJSON(b, MaxText, &envelope); err != nil {
		return nil, fmt.Errorf("chainloop session: %w: %w", ErrFormat, err)
	}
	body := b
	if len(envelope.Data) > 0 {
		body = envelope.Data
	}
	var s chainloopSession
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("chainloop session: %w: %w", ErrFormat, err)
	}
	if s.Session.ID == "" || s.Agent.Name == "" {
		return nil, fmt.Errorf("chainloop session: %w: it has no session or no agent", ErrFormat)
	}
	commits := s.Git.Commits
	if len(commits) == 0 && s.Git.CommitEnd != "" {
		commits = []string{s.Git.CommitEnd}
	}
	l := &list{kind: Chainloop}
	base := Claim{By: ByAgent, Agent: s.Agent.Name, Model: firstOf(s.Model.Primary, s.Model.Name), Session: s.Session.ID}
	for _, commit := range append([]string{""}, commits...) {
		c := base
		c.Commit = commit
		if len(s.Changes.Files) == 0 {
			l.add(c)
		}
		for _, f := range s.Changes.Files {
			c.Path, c.Start, c.End, c.By = f.Path, 0, 0, ByMixed
			if len(f.Ranges) == 0 || commit == "" {
				l.add(c) // without a commit nobody knows which version the lines are of
			} else {
				for _, r := range f.Ranges {
					c.Start, c.End, c.By = r.Start, r.End, ByAgent
					if r.Type == ByHuman {
						c.By = ByHuman
					}
					l.add(c)
				}
			}
			if l.err != nil {
				return nil, l.err
			}
		}
	}
	return sorted(l.all), l.err
}
