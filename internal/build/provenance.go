package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// What statements of builds are called.
const (
	ProvenanceType = "https://slsa.dev/provenance/v1"
	LinkType       = "https://in-toto.io/attestation/link/v0.3"
	// BuildType is the type of a build that is one command. Its external parameters are [External]
	// and its internal ones [Internal]; the first resolved dependency is the source's commit.
	BuildType = "https://sallyport.dev/build/command/v1"
	// LocalBuilder is a machine of which nothing more is known.
	LocalBuilder = "https://sallyport.dev/build/local"
)

// A Resource is an in-toto ResourceDescriptor.
type Resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	MediaType   string            `json:"mediaType,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// A Provenance is the predicate of SLSA provenance v1.
type Provenance struct {
	BuildDefinition struct {
		BuildType            string     `json:"buildType"`
		ExternalParameters   External   `json:"externalParameters"`
		InternalParameters   Internal   `json:"internalParameters"`
		ResolvedDependencies []Resource `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID      string            `json:"id"`
			Version map[string]string `json:"version,omitempty"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string    `json:"invocationId"`
			StartedOn    time.Time `json:"startedOn"`
			FinishedOn   time.Time `json:"finishedOn"`
		} `json:"metadata"`
		Byproducts []Resource `json:"byproducts"`
	} `json:"runDetails"`
}

// External are the parameters that whoever asks for the build chooses.
type External struct {
	Command     []string          `json:"command"`
	Directory   string            `json:"directory"` // from the top of the work tree; "." is the top
	Artifacts   []string          `json:"artifacts"`
	Environment map[string]string `json:"environment"` // of the variables that were named to be recorded
}

// Internal is what the builder adds. A status other than 0 is a failed run, whatever else is said.
type Internal struct {
	ExitStatus      int             `json:"exitStatus"`
	Ended           string          `json:"ended"`
	Why             string          `json:"why,omitempty"`
	Grade           sallyport.Grade `json:"grade"`
	Initiator       Initiator       `json:"initiator"`
	Source          Source          `json:"source"`
	CI              *CIFacts        `json:"ci,omitempty"`
	Unchanged       []string        `json:"unchangedArtifacts,omitempty"` // not made by this run
	EndedLeftover   bool            `json:"endedLeftoverProcesses,omitempty"`
	UnreadLockFiles []string        `json:"unreadLockFiles,omitempty"`
	Omitted         int             `json:"omittedDependencies,omitempty"` // beyond what a statement holds
}

// An Initiator is who started the run, as its environment has it.
type Initiator struct {
	Kind    string          `json:"kind"` // agent, account or unattributed, which is judged as an agent
	Name    string          `json:"name,omitempty"`
	Session string          `json:"session,omitempty"`
	Grade   sallyport.Grade `json:"grade"`
	Markers []string        `json:"markers,omitempty"` // the variables that say so
}

// Source is what was built from.
type Source struct {
	Dirty      bool `json:"dirty"` // the work tree was not the commit; the difference is a dependency
	Modified   int  `json:"modified"`
	Deleted    int  `json:"deleted"`
	Untracked  int  `json:"untracked"`
	Submodules int  `json:"submodules"` // whose folders were not looked at
}

// ErrMoved is returned where another commit is checked out after the run than before it.
var ErrMoved = errors.New("the run checked out another commit")

// Statement makes the statement about a run. Its subjects are the artifacts and the commit; of a failed
// run the commit alone, and to be given artifacts then is an error.
func (p *Provenance) Statement(commit sallyport.Digest, artifacts []Artifact) (sallyport.Statement, error) {
	in := &p.BuildDefinition.InternalParameters
	if (in.ExitStatus != 0 || in.Ended != Exited) && len(artifacts) > 0 {
		return sallyport.Statement{}, errors.New("a failed run has no artifacts")
	}
	return statement(ProvenanceType, p, append(subjects(artifacts), sallyport.StatementSubject{
		Name: "source", Digest: map[string]string{commit.Algorithm(): commit.Hex()},
	}))
}

func subjects(artifacts []Artifact) []sallyport.StatementSubject {
	var out []sallyport.StatementSubject
	for _, a := range artifacts {
		out = append(out, sallyport.StatementSubject{Name: a.Path, Digest: map[string]string{"sha256": a.SHA256}})
	}
	return out
}

func statement(typ string, body any, subjects []sallyport.StatementSubject) (sallyport.Statement, error) {
	b, err := sallyport.EncodeJSON(body)
	if err != nil {
		return sallyport.Statement{}, fmt.Errorf("encode the predicate: %w", err)
	}
	return sallyport.Statement{Type: sallyport.StatementType, PredicateType: typ, Predicate: json.RawMessage(b), Subject: subjects}, nil
}

// SetResult copies how the run ended.
func (p *Provenance) SetResult(r Result) {
	in := &p.BuildDefinition.InternalParameters
	in.ExitStatus, in.Ended, in.Why, in.EndedLeftover = r.ExitStatus, r.Ended, r.Why, r.Leftover
	m := &p.RunDetails.Metadata
	m.StartedOn, m.FinishedOn = r.Started.UTC().Truncate(time.Second), r.Finished.UTC().Truncate(time.Second)
	p.RunDetails.Byproducts = append(p.RunDetails.Byproducts, logResource("stdout", r.Stdout), logResource("stderr", r.Stderr))
}

func logResource(name string, l Log) Resource {
	return Resource{Name: name, Digest: map[string]string{"sha256": l.SHA256}, Annotations: map[string]any{"bytes": l.Size, "complete": l.Complete}}
}

// A Link is the predicate of in-toto link metadata. Its products are the statement's subjects.
type Link struct {
	Name        string            `json:"name"`
	Command     []string          `json:"command"`
	Materials   []Resource        `json:"materials"`
	Byproducts  map[string]any    `json:"byproducts"`
	Environment map[string]string `json:"environment"`
}

// NewLink returns the link metadata of a run. Output is named by its digest: in-toto lets the
// byproducts hold what a layout's author likes.
func NewLink(step string, e External, materials []Resource, r Result) *Link {
	return &Link{
		Name: step, Command: e.Command, Materials: materials, Environment: e.Environment,
		Byproducts: map[string]any{
			"return-value":  r.ExitStatus,
			"stdout-sha256": r.Stdout.SHA256,
			"stderr-sha256": r.Stderr.SHA256,
		},
	}
}

// Statement makes the statement about a run. A failed run has no products, and so its commit is the
// subject.
func (l *Link) Statement(commit sallyport.Digest, artifacts []Artifact) (sallyport.Statement, error) {
	if l.Byproducts["return-value"] != 0 && len(artifacts) > 0 {
		return sallyport.Statement{}, errors.New("a failed run has no artifacts")
	}
	subs := subjects(artifacts)
	if len(subs) == 0 {
		subs = []sallyport.StatementSubject{{Name: "source", Digest: map[string]string{commit.Algorithm(): commit.Hex()}}}
	}
	return statement(LinkType, l, subs)
}
