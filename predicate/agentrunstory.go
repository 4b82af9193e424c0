package predicate

import "errors"

// A Command is what a supervisor started. Arguments may hold what must not be published, so they
// stand here as a salted commitment; the run's record holds the salt.
type Command struct {
	Name       string `json:"name"`                // base name of the program
	Digest     string `json:"digest,omitempty"`    // sha256 of the program, where it is a file that could be read
	Arguments  string `json:"arguments,omitempty"` // commitment, sha256
	ExitStatus int64  `json:"exitStatus"`          // 0 to 255; 128 and a signal's number if one ended it
}

// Prompts counts what went to models, and commits to it. Commitment is the SHA-256 over the
// commitments of all requests, in the order of the record; each of them is salted, so that it tells
// nothing about a text that could be guessed, and stays valid after the text was destroyed.
type Prompts struct {
	Requests   int64        `json:"requests"` // that were forwarded
	Refused    int64        `json:"refused"`
	Commitment string       `json:"commitment,omitempty"`
	Masked     []MaskedKind `json:"masked,omitempty"`
}

// A MaskedKind says how many distinct values of a kind were replaced before anything left.
type MaskedKind struct {
	Kind   string `json:"kind"` // such as secret:aws-access-key or personal:email
	Values int64  `json:"values"`
}

// A Material is a file or a datum by name and content.
type Material struct {
	Name   string `json:"name"`   // path in the repository, or a URI
	Digest string `json:"digest"` // sha256
}

// A ToolUse counts the calls of one tool that models asked for.
type ToolUse struct {
	Name   string `json:"name"`
	Server string `json:"server,omitempty"` // the MCP server that offers it
	Calls  int64  `json:"calls"`
}

// A ToolServer is an MCP server, with the digest of the definition that the agent was given.
type ToolServer struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // sha256
}

// A Sandbox is what confined the agent, and what it refused.
type Sandbox struct {
	Mechanism string         `json:"mechanism"` // such as bubblewrap or landlock; none if nothing did
	Version   string         `json:"version,omitempty"`
	Profile   string         `json:"profile,omitempty"` // sha256 of the rules
	Refused   []RefusedCount `json:"refused,omitempty"`
}

// A RefusedCount counts refusals of one kind: write, network, process, signal, memory.
type RefusedCount struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
}

// HookBeats says whether the agent's hooks were installed, and how often they were heard.
type HookBeats struct {
	Installed bool  `json:"installed"`
	Events    int64 `json:"events"`
	Denied    int64 `json:"denied"`
}

// A LogAnchor is a checkpoint of a log: the run began after it.
type LogAnchor struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"` // sha256 of the tree
}

// Limits of what tells how a run went.
const (
	maxMaterials = 20_000
	maxTools     = 2_000
	maxKinds     = 1_000
)

func (m Model) validate(c *checker) {
	if m.Endpoint != "" {
		c.word("models.endpoint", m.Endpoint, maxURI)
	}
	if m.Provider != "" {
		c.text("models.provider", m.Provider, maxName)
	}
	if m.Entry != "" {
		c.digest("models.entry", m.Entry, "sha256")
	}
	c.count("models.requests", m.Requests)
}

func (r AgentRun) validateStory(c *checker) {
	c.count("part", r.Part)
	if r.Previous != "" {
		c.digest("previous", r.Previous, "sha256")
	}
	if (r.Part > 0) != (r.Previous != "") {
		c.fail("previous", errors.New("is there without part, or part without it"))
	}
	if p := r.Command; p != nil {
		c.text("command.name", p.Name, maxName)
		optionalDigest(c, "command.digest", p.Digest)
		optionalDigest(c, "command.arguments", p.Arguments)
		c.count("command.exitStatus", p.ExitStatus)
		if p.ExitStatus > 255 {
			c.fail("command.exitStatus", errors.New("is over 255"))
		}
	}
	if p := r.Prompts; p != nil {
		c.count("prompts.requests", p.Requests)
		c.count("prompts.refused", p.Refused)
		optionalDigest(c, "prompts.commitment", p.Commitment)
		c.atMost("prompts.masked", len(p.Masked), maxKinds)
		for _, k := range p.Masked {
			c.word("prompts.masked.kind", k.Kind, maxName)
			c.count("prompts.masked.values", k.Values)
		}
	}
	materials(c, "inputs", r.Inputs)
	materials(c, "configuration", r.Configuration)
	c.atMost("tools", len(r.Tools), maxTools)
	for _, t := range r.Tools {
		c.text("tools.name", t.Name, maxName)
		if t.Server != "" {
			c.text("tools.server", t.Server, maxName)
		}
		c.count("tools.calls", t.Calls)
	}
	c.atMost("servers", len(r.Servers), maxTools)
	for _, s := range r.Servers {
		c.text("servers.name", s.Name, maxName)
		c.digest("servers.digest", s.Digest, "sha256")
	}
	if s := r.Sandbox; s != nil {
		c.text("sandbox.mechanism", s.Mechanism, maxName)
		if s.Version != "" {
			c.text("sandbox.version", s.Version, maxName)
		}
		optionalDigest(c, "sandbox.profile", s.Profile)
		c.atMost("sandbox.refused", len(s.Refused), maxKinds)
		for _, k := range s.Refused {
			c.word("sandbox.refused.kind", k.Kind, maxName)
			c.count("sandbox.refused.count", k.Count)
		}
	}
	if h := r.Hooks; h != nil {
		c.count("hooks.events", h.Events)
		c.count("hooks.denied", h.Denied)
	}
	if a := r.Anchor; a != nil {
		c.text("anchor.origin", a.Origin, maxURI)
		c.count("anchor.size", a.Size)
		c.digest("anchor.root", a.Root, "sha256")
	}
}

func materials(c *checker, field string, list []Material) {
	c.atMost(field, len(list), maxMaterials)
	for _, m := range list {
		c.text(field+".name", m.Name, maxPath)
		c.digest(field+".digest", m.Digest, "sha256")
	}
}

func optionalDigest(c *checker, field, s string) {
	if s != "" {
		c.digest(field, s, "sha256")
	}
}
