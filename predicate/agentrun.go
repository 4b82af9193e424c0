package predicate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Separation says what keeps a supervisor out of reach of the agent that it supervises.
type Separation string

// The separations. A run whose supervisor has none is worth no more than what the agent says of
// itself, whatever key signed it.
const (
	SeparationNone    Separation = "none"    // same user: the agent can reach key and record
	SeparationUID     Separation = "uid"     // another user of the same host
	SeparationHost    Separation = "host"    // another host or virtual machine
	SeparationEnclave Separation = "enclave" // attested confidential computing
)

// A Conclusion says how a run ended.
type Conclusion string

// The conclusions.
const (
	ConclusionSuccess Conclusion = "success"
	ConclusionFailure Conclusion = "failure" // the agent ended with an error
	ConclusionAborted Conclusion = "aborted" // somebody or something stopped it
)

// An AgentRun is the predicate of a statement by which a supervisor says what one session of an
// agent changed, and how the session ended.
//
// Sealed, Records and RecordHead tell a whole record from one that was cut short: a supervisor
// seals a run by counting the entries of its record and hashing their chain as its last act.
//
// The statement's subjects are commits (gitCommit) and trees (gitTree) that the run left
// behind. Changes holds what outlives them: after a squash or rebase the hunks, and the blobs of
// files that have no lines, still identify the agent's work.
type AgentRun struct {
	RunID      string     `json:"runId"` // unique among the operator's runs
	Agent      Agent      `json:"agent"`
	Operator   string     `json:"operator"` // id in the roster of the person who started it
	Models     []Model    `json:"models,omitempty"`
	Repository string     `json:"repository"` // as the configuration names it
	StartedAt  string     `json:"startedAt"`
	EndedAt    string     `json:"endedAt"`
	Supervisor Supervisor `json:"supervisor"`
	Changes    Changes    `json:"changes"`
	Sealed     bool       `json:"sealed"`               // the record is complete
	Records    int64      `json:"records"`              // entries in the run's record
	RecordHead string     `json:"recordHead,omitempty"` // sha256 over the record's last entry and, through it, all
	Conclusion Conclusion `json:"conclusion"`

	// What follows tells how the run went. All of it may be absent, and nothing of it narrows what
	// stands above.
	Part          int64        `json:"part,omitempty"`     // checkpoints before this one; the seal is the last
	Previous      string       `json:"previous,omitempty"` // sha256 of the payload of the checkpoint before
	Command       *Command     `json:"command,omitempty"`
	Prompts       *Prompts     `json:"prompts,omitempty"`
	Inputs        []Material   `json:"inputs,omitempty"`        // data and context that the run was given
	Tools         []ToolUse    `json:"tools,omitempty"`         // what the models called
	Servers       []ToolServer `json:"servers,omitempty"`       // MCP servers that were at hand
	Configuration []Material   `json:"configuration,omitempty"` // files that configure or instruct the agent, as it found them
	Sandbox       *Sandbox     `json:"sandbox,omitempty"`
	Hooks         *HookBeats   `json:"hooks,omitempty"`
	Anchor        *LogAnchor   `json:"anchor,omitempty"` // the log as it was when the run began
}

// Agent names an agent as the roster does.
type Agent struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Model names a model that the agent used.
type Model struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint,omitempty"` // where it was reached, without credentials
	Provider string `json:"provider,omitempty"`
	Entry    string `json:"entry,omitempty"` // sha256 of its entry in the model registry
	Requests int64  `json:"requests,omitempty"`
}

// Supervisor says what watched the run, and from where.
type Supervisor struct {
	Version    string     `json:"version"`
	Separation Separation `json:"separation"`
}

// Changes is what the run changed.
type Changes struct {
	// Hunks holds the digest of each hunk (see HunkDigest), as hex, once for every time that
	// the run made it.
	Hunks []string `json:"hunks"`
	// Blobs lists files by content. It covers what has no lines; it may list every file.
	Blobs []Blob `json:"blobs"`
	// Commits lists the object ids of commits whose whole content the run made.
	Commits []string `json:"commits"`
}

// A Blob is a file that the run wrote, as a tree entry: path, mode, object id.
//
// In JSON a path is itself if it is valid UTF-8 that does not start with a quotation mark, and
// otherwise a Go string literal, so that no two paths share an encoding.
type Blob struct {
	Path    string // git's bytes
	Mode    string // 100644, 100755, 120000 or 160000
	GitBlob string // object id in hex; of the commit, for a submodule
}

type blobJSON struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"`
	GitBlob string `json:"gitBlob"`
}

// MarshalJSON encodes b as the schema has it.
func (b Blob) MarshalJSON() ([]byte, error) {
	out := blobJSON(b)
	out.Path = encodePath(b.Path)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(out)
	return buf.Bytes(), err
}

func encodePath(p string) string {
	if !utf8.ValidString(p) || strings.HasPrefix(p, `"`) {
		return strconv.QuoteToASCII(p)
	}
	return p
}

// UnmarshalJSON decodes what MarshalJSON wrote, and no other spelling of the same path.
func (b *Blob) UnmarshalJSON(raw []byte) error {
	var in blobJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	if strings.HasPrefix(in.Path, `"`) {
		p, err := strconv.Unquote(in.Path)
		if err != nil {
			return fmt.Errorf("path %s: %w", in.Path, err)
		}
		if encodePath(p) != in.Path {
			return fmt.Errorf("path %s is not spelt the one way it can be", in.Path)
		}
		in.Path = p
	}
	*b = Blob(in)
	return nil
}

// Limits of a run.
const (
	maxModels  = 64
	maxHunks   = 200_000
	maxBlobs   = 200_000
	maxCommits = 20_000
	maxPath    = 4096
)

// DecodeAgentRun reads the predicate of a statement of type [AgentRunType] and validates it.
func DecodeAgentRun(body []byte) (AgentRun, error) {
	var r AgentRun
	if err := decode(body, &r); err != nil {
		return AgentRun{}, fmt.Errorf("read the agent run: %w", err)
	}
	if err := r.Validate(); err != nil {
		return AgentRun{}, err
	}
	return r, nil
}

// Validate checks the shape of r: required fields, well-formed digests, an end after the start,
// and a seal that has something to seal. It verifies nothing.
func (r AgentRun) Validate() error {
	var c checker
	c.word("runId", r.RunID, maxName)
	c.text("agent.name", r.Agent.Name, maxName)
	if r.Agent.Version != "" {
		c.text("agent.version", r.Agent.Version, maxName)
	}
	c.text("operator", r.Operator, maxName)
	c.atMost("models", len(r.Models), maxModels)
	for _, m := range r.Models {
		c.text("models.name", m.Name, maxName)
		m.validate(&c)
	}
	c.word("repository", r.Repository, maxURI)
	start, end := c.time("startedAt", r.StartedAt), c.time("endedAt", r.EndedAt)
	if c.err == nil && end.Before(start) {
		c.fail("endedAt", errors.New("is before startedAt"))
	}
	c.text("supervisor.version", r.Supervisor.Version, maxName)
	c.oneOf("supervisor.separation", string(r.Supervisor.Separation), string(SeparationNone),
		string(SeparationUID), string(SeparationHost), string(SeparationEnclave))
	c.oneOf("conclusion", string(r.Conclusion), string(ConclusionSuccess), string(ConclusionFailure),
		string(ConclusionAborted))
	r.Changes.validate(&c)
	c.count("records", r.Records)
	if r.Sealed && r.Records == 0 {
		c.fail("records", errors.New("is zero, and a sealed run has at least its seal"))
	}
	if r.Sealed || r.RecordHead != "" {
		c.digest("recordHead", r.RecordHead, "sha256")
	}
	r.validateStory(&c)
	if c.err != nil {
		return fmt.Errorf("invalid agent run: %w", c.err)
	}
	return nil
}

func (ch Changes) validate(c *checker) {
	c.atMost("changes.hunks", len(ch.Hunks), maxHunks)
	c.atMost("changes.blobs", len(ch.Blobs), maxBlobs)
	c.atMost("changes.commits", len(ch.Commits), maxCommits)
	if c.err != nil {
		return
	}
	for _, h := range ch.Hunks {
		c.hex("changes.hunks", h, 64)
	}
	for _, b := range ch.Blobs {
		switch {
		case b.Path == "" || len(b.Path) > maxPath || strings.ContainsRune(b.Path, 0):
			c.fail("changes.blobs.path", fmt.Errorf("%q is not a path of at most %d bytes", b.Path, maxPath))
		case b.Mode != "100644" && b.Mode != "100755" && b.Mode != "120000" && b.Mode != "160000":
			c.fail("changes.blobs.mode", fmt.Errorf("%q is not a mode of a file, symlink or submodule", b.Mode))
		}
		c.hex("changes.blobs.gitBlob", b.GitBlob, 40, 64)
	}
	for _, id := range ch.Commits {
		c.hex("changes.commits", id, 40, 64)
	}
}

// checkSubjects requires the statement to be about commits or trees.
func (r AgentRun) checkSubjects(subjects []map[string]string) error {
	for _, s := range subjects {
		if s["gitCommit"] != "" || s["gitTree"] != "" {
			return nil
		}
	}
	return errors.New("invalid agent run: no subject of the statement is a gitCommit or gitTree")
}
