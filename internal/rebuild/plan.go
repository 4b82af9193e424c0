package rebuild

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// What is rebuilt: SLSA provenance of builds that are one command.
const (
	ProvenanceType = "https://slsa.dev/provenance/v1"
	BuildType      = "https://sallyport.dev/build/command/v1"
)

// Bounds of a plan.
const (
	maxPredicate = 8 << 20
	maxWords     = 10_000
	maxWord      = 128 << 10
	maxPatterns  = 64
	maxVariables = 256
	maxArtifacts = 10_000
)

// An Artifact is a file by name, from the folder of the run, and its SHA-256.
type Artifact struct {
	Name   string           `json:"name"`
	Digest sallyport.Digest `json:"digest"`
}

// A Plan is what a provenance statement says was done.
type Plan struct {
	Builder     string            `json:"builder"`
	Commit      string            `json:"commit"` // object id
	Source      string            `json:"source"` // URI
	Branch      string            `json:"branch,omitempty"`
	Command     []string          `json:"command"`
	Directory   string            `json:"directory"` // from the top of the checkout; "." is the top
	Patterns    []string          `json:"patterns"`
	Environment map[string]string `json:"environment"`
	Artifacts   []Artifact        `json:"artifacts"` // by name
	Finished    time.Time         `json:"finished"`

	globs []glob.Glob
}

// provenance is the part of the predicate that is read.
type provenance struct {
	BuildDefinition struct {
		BuildType          string `json:"buildType"`
		ExternalParameters struct {
			Command     []string          `json:"command"`
			Directory   string            `json:"directory"`
			Artifacts   []string          `json:"artifacts"`
			Environment map[string]string `json:"environment"`
		} `json:"externalParameters"`
		InternalParameters struct {
			ExitStatus *int   `json:"exitStatus"`
			Ended      string `json:"ended"`
			Source     struct {
				Dirty      bool `json:"dirty"`
				Submodules int  `json:"submodules"`
			} `json:"source"`
		} `json:"internalParameters"`
		ResolvedDependencies []struct {
			Name   string            `json:"name"`
			URI    string            `json:"uri"`
			Digest map[string]string `json:"digest"`
		} `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Metadata struct {
			FinishedOn time.Time `json:"finishedOn"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// ReadPlan reads a verified provenance statement.
func ReadPlan(st sallyport.Statement) (*Plan, error) {
	if st.PredicateType != ProvenanceType {
		return nil, fmt.Errorf("%w: the statement is %.200q, not %s", ErrType, st.PredicateType, ProvenanceType)
	}
	var p provenance
	if err := strict.LaxJSON(st.Predicate, maxPredicate, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShape, err)
	}
	d := &p.BuildDefinition
	in, ext := &d.InternalParameters, &d.ExternalParameters
	switch {
	case d.BuildType != BuildType:
		return nil, fmt.Errorf("%w: its build type is %.200q, and %s is the one whose command is known", ErrType, d.BuildType, BuildType)
	case in.ExitStatus == nil:
		return nil, fmt.Errorf("%w: it does not say how the run ended", ErrShape)
	case *in.ExitStatus != 0 || (in.Ended != "" && in.Ended != "exited"):
		return nil, fmt.Errorf("%w: status %d %.40q", ErrFailed, *in.ExitStatus, in.Ended)
	case in.Source.Dirty:
		return nil, fmt.Errorf("%w: the work tree that was built differed from it", ErrSource)
	case in.Source.Submodules > 0:
		return nil, fmt.Errorf("%w: it has submodules, which are not checked out", ErrSource)
	}
	plan := &Plan{
		Builder: p.RunDetails.Builder.ID, Command: ext.Command, Directory: ext.Directory,
		Patterns: ext.Artifacts, Environment: ext.Environment, Finished: p.RunDetails.Metadata.FinishedOn,
	}
	if len(d.ResolvedDependencies) == 0 {
		return nil, fmt.Errorf("%w: it names no commit", ErrSource)
	}
	src := d.ResolvedDependencies[0]
	plan.Source, plan.Commit = src.URI, src.Digest["gitCommit"]
	if _, err := sallyport.ParseDigest("gitCommit:" + plan.Commit); err != nil || (src.Name != "" && src.Name != "source") {
		return nil, fmt.Errorf("%w: the first dependency names no commit", ErrSource)
	}
	if i := strings.LastIndex(src.URI, "@refs/heads/"); i >= 0 {
		plan.Branch = src.URI[i+len("@refs/heads/"):]
	}
	if err := plan.readSubjects(st.Subject); err != nil {
		return nil, err
	}
	if err := plan.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShape, err)
	}
	return plan, nil
}

// readSubjects takes the artifacts from the subjects. One of them may be the commit.
func (p *Plan) readSubjects(subjects []sallyport.StatementSubject) error {
	seen := map[string]bool{}
	for _, s := range subjects {
		if c, ok := s.Digest["gitCommit"]; ok {
			if c != p.Commit {
				return fmt.Errorf("%w: the subject is the commit %.12s, and the source %.12s", ErrSource, c, p.Commit)
			}
			continue
		}
		d := sallyport.Digest("sha256:" + s.Digest["sha256"])
		if _, err := sallyport.ParseDigest(string(d)); err != nil {
			return fmt.Errorf("%w: the subject %.100q has no sha256 digest", ErrShape, s.Name)
		}
		if !local(s.Name) {
			return fmt.Errorf("%w: the subject %.100q is not a file below the folder of the run", ErrShape, s.Name)
		}
		if seen[s.Name] {
			return fmt.Errorf("%w: the subject %.100q stands twice", ErrShape, s.Name)
		}
		seen[s.Name] = true
		p.Artifacts = append(p.Artifacts, Artifact{s.Name, d})
	}
	switch n := len(p.Artifacts); {
	case n == 0:
		return fmt.Errorf("%w: it has no artifact", ErrType)
	case n > maxArtifacts:
		return fmt.Errorf("%w: %d artifacts, the limit is %d", ErrShape, n, maxArtifacts)
	}
	slices.SortFunc(p.Artifacts, func(a, b Artifact) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// local reports whether a name is a clean path to something below where it starts.
func local(name string) bool {
	return name != "" && name != "." && len(name) <= 4096 && name == path.Clean(name) &&
		!strings.HasPrefix(name, "/") && name != ".." && !strings.HasPrefix(name, "../") && !strings.ContainsAny(name, "\x00\\")
}

func (p *Plan) validate() error {
	if len(p.Command) == 0 || p.Command[0] == "" || len(p.Command) > maxWords {
		return fmt.Errorf("a command of %d words", len(p.Command))
	}
	for i, w := range p.Command {
		if strings.Contains(w, "\x00") || len(w) > maxWord {
			return fmt.Errorf("word %d of the command cannot be handed to a program", i)
		}
	}
	if p.Directory == "" {
		p.Directory = "."
	}
	if p.Directory != "." && !local(p.Directory) {
		return fmt.Errorf("the folder %.100q is not below the checkout", p.Directory)
	}
	if len(p.Patterns) == 0 || len(p.Patterns) > maxPatterns {
		return fmt.Errorf("%d patterns of artifacts, want 1 to %d", len(p.Patterns), maxPatterns)
	}
	for _, s := range p.Patterns {
		g, err := glob.Parse(strings.TrimPrefix(s, "./"))
		if err != nil {
			return fmt.Errorf("artifacts: %w", err)
		}
		p.globs = append(p.globs, g)
	}
	for _, a := range p.Artifacts {
		if !p.matches(a.Name) {
			return fmt.Errorf("the subject %.100q matches none of the patterns %.200q", a.Name, p.Patterns)
		}
	}
	if len(p.Environment) > maxVariables {
		return fmt.Errorf("%d recorded variables, the limit is %d", len(p.Environment), maxVariables)
	}
	for name, v := range p.Environment {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(v, "\x00") || len(v) > maxWord {
			return fmt.Errorf("the variable %.100q cannot be set", name)
		}
	}
	return nil
}

func (p *Plan) matches(name string) bool {
	return slices.ContainsFunc(p.globs, func(g glob.Glob) bool { return g.Match(name) })
}

// digestOf returns what is attested of a name.
func (p *Plan) digestOf(name string) (sallyport.Digest, bool) {
	i, ok := slices.BinarySearchFunc(p.Artifacts, name, func(a Artifact, n string) int { return strings.Compare(a.Name, n) })
	if !ok {
		return "", false
	}
	return p.Artifacts[i].Digest, true
}

// ShellCommand spells the command so that a shell, and a person, would read it.
func (p *Plan) ShellCommand() string {
	words := make([]string, len(p.Command))
	for i, w := range p.Command {
		words[i] = w
		if w == "" || strings.ContainsFunc(w, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r))
		}) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
