// Package sallyport is the vocabulary: the words in which every other package speaks.
//
// Sallyport governs autonomous coding agents. Nothing that an agent wrote reaches a merge, a
// release or production without evidence that was checked and, where risk asks for it, a
// person who countersigned exactly those bytes.
//
// Read this package first; it is the glossary:
//
//   - A [Gate] decides about a [Subject], which is named by a [Digest].
//   - A [Change] is what a merge would do to a target ref, cut into [Unit]s; every unit is
//     attributed to a [Principal] at a [Grade], and a unit that nobody accounts for is judged
//     as an agent's.
//   - An [Attestation] is a signed statement that nobody has verified yet. [Evidence] is the
//     same once it has verified against the trust roots. They are two types so that one can
//     never be passed for the other.
//   - An [Approval] is a reviewer's signature over exact content.
//   - A [Finding] is something that a scan saw in new content.
//   - A [Decision] is what the engine returns: an [Outcome], and a [Reason] for each thing that
//     keeps the gate from opening.
//
// The package imports the standard library only, holds no behaviour beyond the meaning of its
// words, and is safe for concurrent use because its values are not shared.
//
// The zero value of every type is the safe one: the zero [Outcome] is [Shut], the zero [Mode]
// enforces, the zero [Grade] is accepted by no policy.
package sallyport

import (
	"encoding/json"
	"fmt"
)

// A Gate is one of the five places where Sallyport decides.
type Gate string

// The five gates, in the order in which a change meets them.
const (
	GatePrompt    Gate = "prompt"    // may this request reach a model?
	GateMerge     Gate = "merge"     // may this change reach a protected ref?
	GateRelease   Gate = "release"   // may these artifacts be published?
	GateAdmission Gate = "admission" // may this image run?
	GateAudit     Gate = "audit"     // is what runs what passed?
)

// An Outcome is what a gate does. The zero Outcome is Shut, so that a forgotten error never
// opens a gate.
type Outcome int

// The outcomes, from strictest to most permissive; the lesser of two outcomes is the stricter.
const (
	Shut    Outcome = iota // something must change before this subject can pass
	Waiting                // shut until a person approves
	Open
)

var outcomeNames = [...]string{Shut: "shut", Waiting: "waiting", Open: "open"}

// String returns "shut", "waiting" or "open".
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return "shut"
	}
	return outcomeNames[o]
}

// MarshalText encodes the outcome as its name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText accepts exactly the three names; anything else is an error and leaves Shut.
func (o *Outcome) UnmarshalText(b []byte) error {
	*o = Shut
	for i, name := range outcomeNames {
		if name == string(b) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("unknown outcome %q", b)
}

// A Mode says what a refusal does to the caller. It never changes what is recorded.
type Mode string

// The modes. An empty or unknown Mode enforces.
const (
	Observe Mode = "observe" // say nothing by exit status
	Warn    Mode = "warn"    // print the reasons, exit 0
	Enforce Mode = "enforce" // a refusal fails the caller
)

// Enforces reports whether a refusal under m fails the caller.
func (m Mode) Enforces() bool { return m != Observe && m != Warn }

// A Subject is what is decided about. Its digest identifies it; the name is for people.
type Subject struct {
	Digest Digest `json:"digest"`
	Name   string `json:"name,omitempty"`
}

// A Reason is one thing that keeps a gate from opening: a fact, where it was seen, and what
// moves things on. Codes are stable across versions; texts are not.
type Reason struct {
	Code     string   `json:"code"`
	Outcome  Outcome  `json:"outcome"`            // what this reason alone would do: Shut or Waiting
	Severity Severity `json:"severity,omitempty"` // how bad it is
	Title    string   `json:"title,omitempty"`    // the rule's title
	Text     string   `json:"text"`               // the fact, in one sentence
	Place    string   `json:"place,omitempty"`    // path, path:line, or commit
	Looked   []string `json:"looked,omitempty"`   // where evidence was looked for and not found
	Next     string   `json:"next,omitempty"`     // the command or act that moves things on
	Set      string   `json:"set,omitempty"`      // the policy set that said so
	Labels   []string `json:"labels,omitempty"`   // OWASP ASI, MITRE ATLAS, SLSA

	// Mode is what the reason does to the caller where its rule has a mode of its own; empty
	// means the decision's. EffectiveOn is the day from which the rule enforces, if it has one:
	// before it, Mode is Warn or Observe. Neither changes Outcome.
	Mode        Mode   `json:"mode,omitempty"`
	EffectiveOn string `json:"effective_on,omitempty"` // 2006-01-02, UTC

	// What the reason is about, complete where it is stated: an exception is held against it.
	Paths   []Path `json:"paths,omitempty"`   // every path, old names too
	Finding string `json:"finding,omitempty"` // the finding's id
	Rule    string `json:"rule,omitempty"`    // the rule that made the finding
	Package string `json:"package,omitempty"` // package URL
	Subject Digest `json:"subject,omitempty"` // of a file, where it is not the decision's
}

// A Severity orders findings and reasons.
type Severity string

// The severities.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Rank returns the place of s in that order: 1 for low to 4 for critical, and 0 for one that is
// not known. Where a bound keeps a gate shut, whoever asks takes an unknown one for the gravest.
func (s Severity) Rank() int {
	switch s {
	case Low:
		return 1
	case Medium:
		return 2
	case High:
		return 3
	case Critical:
		return 4
	}
	return 0
}

// A PolicySet names a policy set by content.
type PolicySet struct {
	Name   string `json:"name"`
	Digest Digest `json:"digest"`
}

// A Decision is what the engine returns. It is immutable once recorded: a later decision about
// the same subject supersedes it and never changes it.
type Decision struct {
	Version  string      `json:"version"` // of this encoding: "v1"
	Gate     Gate        `json:"gate"`
	Subject  Subject     `json:"subject"`
	Resource string      `json:"resource,omitempty"` // the repository and ref that were judged
	Outcome  Outcome     `json:"outcome"`
	Mode     Mode        `json:"mode"`
	Time     string      `json:"time"` // RFC 3339, UTC; the enforcement point's clock
	Reasons  []Reason    `json:"reasons"`
	Advice   []string    `json:"advice"`   // why later gates must not rely on it; empty if they may
	Policies []PolicySet `json:"policies"` // what judged
	Root     Digest      `json:"root,omitempty"`
	Solo     string      `json:"solo,omitempty"` // the one person of a team of one, who may approve their own
	Input    Digest      `json:"input"`          // sha256 of the policy input, which the store keeps
	Evidence []Digest    `json:"evidence"`       // the attestations that verified
	Dropped  []Dropped   `json:"dropped"`        // the attestations that did not, and why

	// Excepted are the reasons that a signed exception holds off. They keep the gate from
	// nothing, and they stay told.
	Excepted []Excepted `json:"excepted,omitempty"`

	// Undecided is set when the policy could not be applied (it failed, is empty, or left its
	// verdict undefined). The outcome is then Shut in every mode.
	Undecided bool `json:"undecided"`
}

// Encode returns the one encoding of d: JSON without HTML escaping, fields in the order of the
// struct, no trailing newline. ID is the SHA-256 of these bytes.
func (d Decision) Encode() ([]byte, error) { return EncodeJSON(d) }

// ParseDecision decodes what [Decision.Encode] wrote.
func ParseDecision(b []byte) (Decision, error) {
	var d Decision
	if err := json.Unmarshal(b, &d); err != nil {
		return Decision{}, fmt.Errorf("parse decision: %w", err)
	}
	if d.Version != "v1" {
		return Decision{}, fmt.Errorf("parse decision: unknown version %q", d.Version)
	}
	return d, nil
}

// Exit statuses of every command that decides.
const (
	ExitOpen      = 0  // the gate is open
	ExitUndecided = 1  // no decision could be made; treat the gate as shut
	ExitShut      = 2  // the gate is shut
	ExitWaiting   = 3  // the gate waits for a person's approval
	ExitUsage     = 64 // the command was used wrongly
)

// ExitStatus returns what a command that printed d exits with. Modes turn 2 and 3 into 0 and
// nothing else: what is left is the strictest outcome among the reasons that are enforced. A
// reason's own mode goes before the decision's.
func (d Decision) ExitStatus() int {
	if d.Undecided {
		return ExitUndecided
	}
	switch d.enforced() {
	case Open:
		return ExitOpen
	case Waiting:
		return ExitWaiting
	default:
		return ExitShut
	}
}

// enforced is the outcome as far as it is enforced.
func (d Decision) enforced() Outcome {
	told, enforced := Open, Open
	for _, r := range d.Reasons {
		told = min(told, r.Outcome)
		if d.ModeOf(r).Enforces() {
			enforced = min(enforced, r.Outcome)
		}
	}
	if d.Outcome < told && d.Mode.Enforces() {
		return d.Outcome // no reason says so much, so no rule's mode can take it back
	}
	return enforced
}

// ModeOf returns the mode in which r acts: its own, else the decision's.
func (d Decision) ModeOf(r Reason) Mode {
	if r.Mode != "" {
		return r.Mode
	}
	return d.Mode
}
