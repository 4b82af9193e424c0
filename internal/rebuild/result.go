package rebuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/artifact"
)

// An Outcome says how an artifact came out of the rebuild.
type Outcome string

// The outcomes. Only Equal is a success.
const (
	Equal     Outcome = "equal"
	Different Outcome = "different"
	Missing   Outcome = "missing" // attested, and not made again
	Extra     Outcome = "extra"   // made, and not attested
)

// A Result is one artifact, attested and rebuilt.
type Result struct {
	Name       string           `json:"name"`
	Outcome    Outcome          `json:"outcome"`
	Attested   sallyport.Digest `json:"attested,omitempty"`
	Rebuilt    sallyport.Digest `json:"rebuilt,omitempty"`
	Comparison *artifact.Report `json:"comparison,omitempty"` // where both were there to be looked into
}

// Judge compares what was attested with what the rebuild made, by digest.
func Judge(plan *Plan, made []Artifact) []Result {
	rebuilt := make(map[string]sallyport.Digest, len(made))
	for _, a := range made {
		rebuilt[a.Name] = a.Digest
	}
	out := make([]Result, 0, len(plan.Artifacts))
	for _, a := range plan.Artifacts {
		res := Result{Name: a.Name, Attested: a.Digest, Rebuilt: rebuilt[a.Name], Outcome: Different}
		switch res.Rebuilt {
		case "":
			res.Outcome = Missing
		case a.Digest:
			res.Outcome = Equal
		}
		out = append(out, res)
	}
	for _, a := range made {
		if _, ok := plan.digestOf(a.Name); !ok {
			out = append(out, Result{Name: a.Name, Rebuilt: a.Digest, Outcome: Extra})
		}
	}
	return out
}

// AllEqual reports whether there are results and each is equal.
func AllEqual(results []Result) bool {
	for _, r := range results {
		if r.Outcome != Equal {
			return false
		}
	}
	return len(results) > 0
}

// A Level says how far apart the two builds were.
type Level string

// The levels. The zero Level is none.
const (
	SameMachine  Level = "same-machine"  // or not known to be another
	OtherBuilder Level = "other-builder" // another builder, by the word of another principal
)

// TestResultType is the type of the statements that Statement makes.
const TestResultType = "https://in-toto.io/attestation/test-result/v0.1"

// Extension is the key in the predicate under which a rebuild says what test-result has no word for. A
// test-result without it is no rebuild.
const Extension = "https://sallyport.dev/rebuild/v0.1"

// About is what a statement says beside the results.
type About struct {
	Provenance sallyport.Digest // of the attestation that was rebuilt
	Level      Level
	Builder    string // URI of who rebuilt; empty if it has no name
	Started    time.Time
	Finished   time.Time
	Variations []Variation
}

type resource struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

type testResult struct {
	Result        string     `json:"result"`
	Configuration []resource `json:"configuration"`
	Passed        []string   `json:"passedTests"`
	Warned        []string   `json:"warnedTests"`
	Failed        []string   `json:"failedTests"`
	Rebuild       extension  `json:"https://sallyport.dev/rebuild/v0.1"`
}

type extension struct {
	Level           Level        `json:"level"`
	Builder         string       `json:"builder,omitempty"`
	AttestedBuilder string       `json:"attestedBuilder"`
	StartedOn       string       `json:"startedOn"`
	FinishedOn      string       `json:"finishedOn"`
	Variations      []Variation  `json:"variations"`
	Artifacts       []difference `json:"artifacts"` // that are not equal
}

type difference struct {
	Name        string           `json:"name"`
	Outcome     Outcome          `json:"outcome"`
	Attested    sallyport.Digest `json:"attested,omitempty"`
	Rebuilt     sallyport.Digest `json:"rebuilt,omitempty"`
	Differences []told           `json:"differences,omitempty"`
}

// told is a difference without the values: they may be large, and hold what was in the artifact.
type told struct {
	Member string        `json:"member"`
	What   artifact.Kind `json:"what"`
	Where  string        `json:"where"`
}

// Bounds of a statement, which has to stay small.
const (
	maxTold    = 10  // differences of one artifact
	maxUnequal = 200 // artifacts that are told in full
)

// Statement says how a rebuild came out. Its subjects are the attested artifacts, and it fails if
// any of them was not equal or anything else was made.
func Statement(plan *Plan, results []Result, about About) (sallyport.Statement, error) {
	if _, err := sallyport.ParseDigest(string(about.Provenance)); err != nil {
		return sallyport.Statement{}, fmt.Errorf("name the provenance: %w", err)
	}
	if about.Level != SameMachine && (about.Level != OtherBuilder || about.Builder == "" || about.Builder == plan.Builder) {
		return sallyport.Statement{}, errors.New("the level is not one that was shown")
	}
	if u, err := url.Parse(about.Builder); err != nil || (about.Builder != "" && u.Scheme == "") {
		return sallyport.Statement{}, fmt.Errorf("the builder's id %.100q is not a URI", about.Builder)
	}
	body := testResult{
		Result: "FAILED",
		Configuration: []resource{
			{Name: "provenance", Digest: map[string]string{about.Provenance.Algorithm(): about.Provenance.Hex()}},
			{Name: "source", URI: plan.Source, Digest: map[string]string{"gitCommit": plan.Commit}},
		},
		Passed: []string{}, Warned: []string{}, Failed: []string{},
		Rebuild: extension{
			Level: about.Level, Builder: about.Builder, AttestedBuilder: plan.Builder,
			StartedOn: about.Started.UTC().Format(time.RFC3339), FinishedOn: about.Finished.UTC().Format(time.RFC3339),
			Variations: append([]Variation{}, about.Variations...), Artifacts: []difference{},
		},
	}
	if AllEqual(results) {
		body.Result = "PASSED"
	}
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: TestResultType}
	for _, r := range results {
		name := testName(r.Name)
		if !r.Attested.Zero() {
			st.Subject = append(st.Subject, sallyport.StatementSubject{Name: r.Name, Digest: map[string]string{r.Attested.Algorithm(): r.Attested.Hex()}})
		}
		if r.Outcome == Equal {
			body.Passed = append(body.Passed, name)
			continue
		}
		body.Failed = append(body.Failed, name)
		if len(body.Rebuild.Artifacts) < maxUnequal {
			body.Rebuild.Artifacts = append(body.Rebuild.Artifacts, unequal(r))
		}
	}
	b, err := sallyport.EncodeJSON(body)
	if err != nil {
		return sallyport.Statement{}, fmt.Errorf("encode the rebuild: %w", err)
	}
	st.Predicate = json.RawMessage(b)
	return st, nil
}

func unequal(r Result) difference {
	d := difference{Name: r.Name, Outcome: r.Outcome, Attested: r.Attested, Rebuilt: r.Rebuilt}
	if r.Comparison == nil {
		return d
	}
	for _, x := range r.Comparison.Differences[:min(maxTold, len(r.Comparison.Differences))] {
		d.Differences = append(d.Differences, told{x.Member, x.What, x.Where})
	}
	return d
}
