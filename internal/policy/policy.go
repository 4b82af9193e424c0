// Package policy turns Rego into reasons, and says which Rego is in force.
//
// # Evaluation
//
// A [Set] is a handful of files: Rego modules, at most one data file, cases and a manifest,
// named by the digest of all of them. [Compile] compiles each set on its own, with its own
// compiler and its own data, so that no set can add to, shadow or silence another:
//
//   - every module is known to the compiler as "set/path", since two modules of one name
//     overwrite each other without a word and leave the verdict undefined;
//   - a package may be declared by one file of a set only;
//   - a set without modules, or without data.sallyport.merge.deny, does not compile; a set whose
//     manifest names other entry points is asked those, and has to define each of them;
//   - a set whose manifest says rego_version: 0 is read as Rego v0, as it stands;
//   - built-in functions come from a list of pure ones. There is no network, environment,
//     clock or randomness: the same set, settings and input give the same verdict for ever.
//
// [Evaluator.Evaluate] reads the input once, checks it against [sallyport.Input] and shares it
// between the sets. An input that lacks a property, has one too many, or counts below zero is
// an error and no verdict: a rule that finds nothing because nothing was put in must not open
// a gate. The sets then answer one after another, and the strictest answer holds:
//
//   - deny must be a set. Each member is a reason: an object {code, outcome, text, place, …},
//     or a string, which is a reason with the code "policy" that shuts. An outcome other than
//     "waiting" is read as "shut".
//   - if the set defines allow, it must be true; otherwise that is a reason, "not-allowed".
//   - a function that fails fails the evaluation, instead of leaving a rule undefined.
//
// Title, severity, labels and remedy of a reason that states none come from the set's rule
// table ([Rules]). What a rule says is made safe to print and bounded in length.
//
// # Governed files, root and pin
//
// Everything under .sallyport/ on a ref is governed: policy, roster, configuration, trust. The
// file .sallyport/root.json lists every other one with its digest, and the SHA-256 of its bytes
// is the pin, kept outside the repository. [VerifyRoot] says whether files are exactly those of
// a pin, and [Resolve] finds the files in force for a target: its tip if that matches the pin,
// else the newest commit of its history that does, else the merge result if that does. No pin
// means that anyone who can push may rewrite the rules; the result is then advice.
//
// The package reads no repository and no clock, writes nothing, and knows no forge.
package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	shipped "github.com/sallyport-dev/sallyport/policy"
)

// What Compile and Evaluate fail with. Each of them means that no decision could be made.
var (
	ErrEmpty            = errors.New("no policy")                   // no set, or a set without a module
	ErrUndefined        = errors.New("undefined verdict")           // deny is not defined, or not a set
	ErrDuplicatePackage = errors.New("package declared twice")      // by two files of one set
	ErrCompile          = errors.New("policy does not compile")     // or is no policy at all
	ErrEval             = errors.New("policy failed")               // while it was evaluated
	ErrInput            = errors.New("input is not a policy input") // see [sallyport.Input]
)

// Limits. What exceeds them is an error, never cut short.
const (
	maxSetBytes = 4 << 20
	maxSetFiles = 1000
	maxInput    = 64 << 20
	maxReasons  = 10_000
)

// BaselineName is the name of the built-in set.
const BaselineName = "baseline"

// A Set is a policy set: files by their slash-separated path within the set. Only these are
// known, and any other file is an error, since a rule in a file that nobody reads protects
// nothing:
//
//	*.rego          a module
//	data.json       data, at the top of the set; or data.yaml, not both
//	manifest.yaml   see [Manifest]
//	*_test.yaml     cases, see [Test]
//	*.md            for people
type Set struct {
	Name  string
	Files map[string][]byte
}

// Digest names the set's content: the paths in order, and each file's bytes. It does not
// depend on the set's name.
func (s Set) Digest() sallyport.Digest { return digestFiles("sallyport policy set v1\n", s.Files) }

// digestFiles hashes a tag and then, for each path in byte order, the lengths of path and
// content and both, so that no two maps hash alike.
func digestFiles(tag string, files map[string][]byte) sallyport.Digest {
	h := sha256.New()
	h.Write([]byte(tag))
	var n [8]byte
	write := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		write([]byte(path))
		write(files[path])
	}
	return sallyport.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// Builtin returns the baseline that is built into the binary.
func Builtin() Set { return shippedSet(BaselineName, shipped.Baseline()) }

// ReleaseName is the name of the built-in set that judges the release gate.
const ReleaseName = "release"

// BuiltinRelease returns the set for the release gate that is built into the binary.
func BuiltinRelease() Set { return shippedSet(ReleaseName, shipped.Release()) }

// ToolName is the name of the built-in set that judges tool calls of agents.
const ToolName = "tool"

// BuiltinTool returns the set for tool calls that is built into the binary.
func BuiltinTool() Set { return shippedSet(ToolName, shipped.Tool()) }

func shippedSet(name string, from fs.FS) Set {
	files := map[string][]byte{}
	err := fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = fs.ReadFile(from, path)
		return err
	})
	if err != nil {
		// An embedded file system does not fail; a set without files does not compile.
		return Set{Name: name}
	}
	return Set{Name: name, Files: files}
}

// Data holds the settings of a repository that rules read as data.protected_classes and so on.
// A nil or zero field keeps the default of the set's own data file or, where that has none, of
// the baseline: every set sees every setting.
type Data struct {
	// ProtectedClasses are the classes of files that no agent changes without a person's
	// approval. An empty list, as opposed to none, protects nothing.
	ProtectedClasses []string `json:"protected_classes"`
	// Unattributed says whether an approval may vouch for a unit that nobody accounts for:
	// "vouchable", or "agent" if it is judged as an agent's whatever happens.
	Unattributed string `json:"unattributed"`
	// PersonGrades are the grades at which a person accounts for a unit.
	PersonGrades []sallyport.Grade `json:"person_grades"`
	// RunGrades are the grades at which run evidence covers a unit.
	RunGrades []sallyport.Grade `json:"run_grades"`
	// ApprovalGrades are the grades at which an approval counts.
	ApprovalGrades []sallyport.Grade `json:"approval_grades"`

	// What teams choose beside it; see settings.go. What is absent leaves the default.
	Modes      map[string]RuleMode `json:"modes,omitempty"`      // by reason code
	Thresholds []Threshold         `json:"thresholds,omitempty"` // of approvals
	Findings   *FindingLimits      `json:"findings,omitempty"`
	Codeowners string              `json:"codeowners,omitempty"`
	Disclosure string              `json:"disclosure,omitempty"`
	Exceptions *ExceptionRules     `json:"exceptions,omitempty"`

	// RequiredReports are the reports of other tools that must be there. None leaves the demand to
	// the set's own data, so that a repository's settings never take one away.
	RequiredReports []RequiredReport `json:"required_reports,omitempty"`
	// Dependencies says where packages may come from.
	Dependencies Dependencies `json:"dependencies"`
}

// A RequiredReport is a kind of report, of a certain tool if one is named.
type RequiredReport struct {
	Kind string `json:"kind"`
	Tool string `json:"tool,omitempty"`
}

// Dependencies are the settings about packages.
type Dependencies struct {
	// Registries are hosts that packages may come from beside their default registries.
	Registries []string `json:"registries"`
}

// The values of [Data].Unattributed.
const (
	Vouchable = "vouchable"
	AsAgent   = "agent"
)

// Defaults returns the baseline's settings.
var Defaults = sync.OnceValue(func() Data {
	var d Data
	b, err := fs.ReadFile(shipped.Baseline(), dataJSON)
	if err == nil {
		err = strict.LaxJSON(b, maxSetBytes, &d)
	}
	if err != nil {
		return Data{Unattributed: AsAgent} // nothing is accepted; a test keeps this from happening
	}
	return d
})

// WithDefaults returns d with the baseline's settings in place of those that it leaves open.
func (d Data) WithDefaults() Data { return d.Over(Defaults()) }

// Encode returns the one encoding of d, for the store; ParseData reads it.
func (d Data) Encode() []byte {
	b, err := sallyport.EncodeJSON(d)
	if err != nil {
		panic("policy: strings do not encode: " + err.Error()) // cannot happen: the type has no such value
	}
	return b
}

// ParseData decodes what [Data.Encode] wrote.
func ParseData(b []byte) (Data, error) {
	var d Data
	if err := strict.JSON(b, 1<<20, &d); err != nil {
		return Data{}, fmt.Errorf("parse policy settings: %w", err)
	}
	return d, d.validate()
}

func (d Data) validate() error {
	if d.Unattributed != "" && d.Unattributed != Vouchable && d.Unattributed != AsAgent {
		return fmt.Errorf("unattributed is %q, want %q or %q", d.Unattributed, Vouchable, AsAgent)
	}
	for _, list := range [][]sallyport.Grade{d.PersonGrades, d.RunGrades, d.ApprovalGrades} {
		for _, g := range list {
			switch g {
			case sallyport.Declared, sallyport.Observed, sallyport.Recomputed, sallyport.Present, sallyport.Attested:
			default:
				return fmt.Errorf("unknown grade %q", g)
			}
		}
	}
	return d.validateTeam()
}

// settings returns the settings that d states, by the key that rules read them under.
func (d Data) settings() map[string]any {
	m := map[string]any{}
	if d.ProtectedClasses != nil {
		m["protected_classes"] = d.ProtectedClasses
	}
	if d.Unattributed != "" {
		m["unattributed"] = d.Unattributed
	}
	for key, list := range map[string][]sallyport.Grade{
		"person_grades": d.PersonGrades, "run_grades": d.RunGrades, "approval_grades": d.ApprovalGrades,
	} {
		if list != nil {
			m[key] = list
		}
	}
	d.teamSettings(m)
	if len(d.RequiredReports) > 0 {
		m["required_reports"] = d.RequiredReports
	}
	if d.Dependencies.Registries != nil {
		m["dependencies"] = d.Dependencies
	}
	return m
}

// oneLine keeps the first line of a library's error.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
