// Package policy holds the Rego that Sallyport ships, and the schema of what Rego sees.
//
// The folder is written for people who read Rego and not Go. The baseline set judges the merge
// gate: its rules are in baseline/merge.rego, the table that explains them and the default
// settings in baseline/data.json, and the cases that prove them in baseline/*_test.yaml. The release
// set judges the release gate in the same way, and the tool set judges tool calls of agents. What rules
// see is described by input.schema.json, release.schema.json and tool.schema.json (JSON Schema 2020-12).
//
// What the files mean, and how they are evaluated, is the business of internal/policy.
package policy

import (
	"embed"
	"io/fs"
)

//go:embed baseline release tool
var files embed.FS

// InputSchema is the JSON Schema of the policy input.
//
//go:embed input.schema.json
var InputSchema []byte

// Baseline returns the files of the baseline set.
func Baseline() fs.FS {
	sub, err := fs.Sub(files, "baseline")
	if err != nil {
		panic(err) // the name is valid, and that is all that Sub checks
	}
	return sub
}

// Release returns the files of the set that judges the release gate.
func Release() fs.FS {
	sub, err := fs.Sub(files, "release")
	if err != nil {
		panic(err) // the name is valid, and that is all that Sub checks
	}
	return sub
}

// Tool returns the files of the set that judges tool calls of agents.
func Tool() fs.FS {
	sub, err := fs.Sub(files, "tool")
	if err != nil {
		panic(err) // the name is valid, and that is all that Sub checks
	}
	return sub
}

// ToolSchema is the JSON Schema of a tool call's input.
//
//go:embed tool.schema.json
var ToolSchema []byte

// ReleaseSchema is the JSON Schema of the release gate's input.
//
//go:embed release.schema.json
var ReleaseSchema []byte
