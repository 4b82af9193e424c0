package sallyport

// GateTool names what judges the tool calls of an agent before they run. It is none of the five gates: nothing
// that it lets pass is thereby allowed to land, and its decisions are advice to an agent that may have
// switched it off. It shares the gates' policy sets, inputs and reasons.
const GateTool Gate = "tool"

// A ToolInput is the one document that policy sees of a tool call. All of it is what the agent says that
// it is about to do. Its JSON Schema is policy/tool.schema.json.
type ToolInput struct {
	Version string `json:"version"` // "v1"
	Gate    Gate   `json:"gate"`
	Time    string `json:"time"` // RFC 3339, UTC
	Mode    Mode   `json:"mode"`
	Agent   string `json:"agent"` // claude, codex, gemini, copilot, cursor or opencode
	Tool    string `json:"tool"`  // as the agent names it
	Class   string `json:"class"` // shell, write, read, network, mcp, inner; empty: a tool that nobody knows
	Server  string `json:"server"`
	// Confined is true inside a run of which Sallyport says that a sandbox keeps it in.
	Confined bool          `json:"confined"`
	Commands []ToolCommand `json:"commands"`
	Writes   []ToolPath    `json:"writes"`
	Reads    []ToolPath    `json:"reads"`
	Hosts    []string      `json:"hosts"` // that it names, without ports
	Packages []ToolPackage `json:"packages"`
	// Unclear says why it cannot be told all that a command line does.
	Unclear []string `json:"unclear"`
}

// A ToolCommand is a program that a command line starts, after quotes, variables that the line sets, sudo,
// sh -c and their like have been taken away.
type ToolCommand struct {
	Name     string   `json:"name"` // without its folder
	Args     []string `json:"args"` // what is not known has a question mark in its place
	Env      []string `json:"env"`  // names of variables that are set for it
	From     string   `json:"from"` // the program before it in a pipe
	Into     string   `json:"into"` // and after it; "$(" if the line uses what it prints
	Elevated bool     `json:"elevated"`
}

// A ToolPath is a file or folder that is touched.
type ToolPath struct {
	// Path is relative to the repository inside it, begins with "~/" in the home of the user, and is
	// absolute elsewhere.
	Path    string `json:"path"`
	Inside  bool   `json:"inside"`  // of the repository
	By      string `json:"by"`      // the program or tool
	Removes bool   `json:"removes"` // it is deleted or moved away
	Tree    bool   `json:"tree"`    // with all that is below it
	Unknown bool   `json:"unknown"` // a part of it is not known
}

// A ToolPackage is a package that is about to be installed or run from a registry.
type ToolPackage struct {
	Manager string `json:"manager"`
	Name    string `json:"name"` // empty: whatever the manifest asks for
	// Locked is true if the package manager takes no other version than the lock file has.
	Locked bool `json:"locked"`
}
