package claims

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

type traceContributor struct {
	Type    string `json:"type"` // human, ai, mixed or unknown
	ModelID string `json:"model_id"`
}

type traceRecord struct {
	Version string `json:"version"`
	VCS     struct {
		Revision string `json:"revision"`
	} `json:"vcs"`
	Tool struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"tool"`
	Files []struct {
		Path          string `json:"path"`
		Conversations []struct {
			URL         string           `json:"url"`
			Contributor traceContributor `json:"contributor"`
			Ranges      []traceRange     `json:"ranges"`
		} `json:"conversations"`
	} `json:"files"`
}

// Drafts of the specification call the ends of a range by two names.
type traceRange struct {
	Start       int              `json:"start"`
	End         int              `json:"end"`
	StartLine   int              `json:"start_line"`
	EndLine     int              `json:"end_line"`
	Contributor traceContributor `json:"contributor"`
}

// FromAgentTrace reads Agent Trace records: one, a list of them, or one a line.
func FromAgentTrace(b []byte) ([]Claim, error) {
	if len(b) > MaxText {
		return nil, fmt.Errorf("agent-trace record: %w: %d bytes, the limit is %d", ErrTooLarge, len(b), MaxText)
	}
	var records []traceRecord
	whole := bytes.TrimSpace(b)
	switch {
	case len(whole) > 0 && whole[0] == '[':
		if err := strict.LaxJSON(whole, MaxText, &records); err != nil {
			return nil, fmt.Errorf("agent-trace record: %w: %w", ErrFormat, err)
		}
	case json.Valid(whole):
		records = make([]traceRecord, 1)
		if err := strict.LaxJSON(whole, MaxText, &records[0]); err != nil {
			return nil, fmt.Errorf("agent-trace record: %w: %w", ErrFormat, err)
		}
	default:
		for line := range bytes.SplitSeq(whole, []byte{'\n'}) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			var r traceRecord
			if err := strict.LaxJSON(line, MaxText, &r); err != nil {
				return nil, fmt.Errorf("agent-trace record: %w: %w", ErrFormat, err)
			}
			records = append(records, r)
		}
	}
	l := &list{kind: AgentTrace}
	for _, r := range records {
		if r.Version == "" || r.Files == nil {
			return nil, fmt.Errorf("agent-trace record: %w: it has no version or no files", ErrFormat)
		}
		for _, f := range r.Files {
			for _, conv := range f.Conversations {
				for _, rg := range conv.Ranges {
					who := rg.Contributor
					if who.Type == "" {
						who = conv.Contributor
					}
					c := Claim{
						Commit: r.VCS.Revision, Path: f.Path, Start: max(rg.Start, rg.StartLine), End: max(rg.End, rg.EndLine),
						By: traceBy(who.Type), Agent: r.Tool.Name, Model: who.ModelID, Session: conv.URL,
					}
					if c.Start == 0 {
						continue // lines that are not named are no claim about lines
					}
					l.add(c)
				}
			}
		}
	}
	return sorted(l.all), l.err
}

func traceBy(s string) string {
	switch s {
	case "ai":
		return ByAgent
	case ByHuman, ByMixed:
		return s
	}
	return ByUnknown
}
