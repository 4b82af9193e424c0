package identity

// AgentNamed returns the agent of the marker table that a tool's own name for it means, such as
// claude-code for "Claude Code" or "claude-opus". It is for comparing what records say with what else
// is known: a name is no proof, and people are called Claude too.
func AgentNamed(name string) (string, bool) { return wordAgent(name) }
