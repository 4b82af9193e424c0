package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Predicate types that the gate reads.
const (
	provenanceType = "https://slsa.dev/provenance/v1"
	testType       = "https://in-toto.io/attestation/test-result/v0.1"
	// BuildType is that of `sallyport build`, whose provenance tells how the run ended.
	BuildType = "https://sallyport.dev/build/command/v1"
)

// sbomTypes are the predicate types of bills of materials.
func isSBOM(t string) bool {
	return t == "https://cyclonedx.org/bom" || strings.HasPrefix(t, "https://cyclonedx.org/bom/") ||
		t == "https://spdx.dev/Document" || strings.HasPrefix(t, "https://spdx.dev/Document/")
}

// artifact gathers what is known of a file.
func (g *Gate) artifact(p Params, a Artifact, sums map[string]sallyport.Digest, evidence []sallyport.Evidence) sallyport.ArtifactInput {
	in := sallyport.ArtifactInput{
		Name: a.Name, Digest: a.Digest, Provenance: []sallyport.ProvenanceInput{}, SBOM: []sallyport.SBOMInput{}, Rebuilt: []sallyport.TestInput{},
		Checksummed: sums[a.Name] == a.Digest && !a.Digest.Zero(), Checksums: right(a, p.Artifacts), Source: a.Source,
	}
	commit, tree := sallyport.GitCommit(p.Commit), sallyport.GitTree(p.Tree)
	for _, ev := range evidence {
		about := ev.About(a.Digest)
		source := ev.About(commit) || ev.About(tree)
		t := ev.Statement.PredicateType
		switch {
		case t == provenanceType && about:
			in.Provenance = append(in.Provenance, named(g.provenance(ev, p.Commit), ev, a))
		case isSBOM(t) && !isBill(ev.Statement.Predicate):
			continue // a statement that says that it is one, and holds nothing
		case isSBOM(t) && about:
			in.SBOM = append(in.SBOM, bill(ev, "artifact"))
		case isSBOM(t) && source:
			in.SBOM = append(in.SBOM, bill(ev, "source"))
		case t == testType && about:
			if r, err := g.Rebuild(ev.Statement); err == nil {
				in.Rebuilt = append(in.Rebuilt, rebuilt(ev, r, a, evidence))
			}
		}
	}
	return in
}

// named holds provenance to the name that it gives the artifact: the same bytes under another name are another
// thing to whoever installs them.
func named(p sallyport.ProvenanceInput, ev sallyport.Evidence, a Artifact) sallyport.ProvenanceInput {
	for _, s := range ev.Statement.Subject {
		if s.Digest[a.Digest.Algorithm()] == a.Digest.Hex() && (s.Name == "" || path.Base(s.Name) == a.Name) {
			return p
		}
	}
	p.Source = false
	p.Why = strings.TrimPrefix(p.Why+"; it gives it another name", "; ")
	return p
}

// isBill reports whether a predicate is a bill of materials in one of the two formats, by what either has to
// begin with.
func isBill(body []byte) bool {
	var b struct {
		BOMFormat   string `json:"bomFormat"`
		SpecVersion string `json:"specVersion"`
		SPDXVersion string `json:"spdxVersion"`
		SPDXID      string `json:"SPDXID"`
		Context     string `json:"@context"` // SPDX 3
	}
	return json.Unmarshal(body, &b) == nil &&
		(b.BOMFormat == "CycloneDX" && b.SpecVersion != "" || strings.HasPrefix(b.SPDXVersion, "SPDX-") && b.SPDXID != "" || strings.HasPrefix(b.Context, "https://spdx.org/rdf/3"))
}

// rebuilt is what a rebuild found of an artifact. One of provenance that is not among the verified evidence
// about the artifact was of something else, and passed nothing.
func rebuilt(ev sallyport.Evidence, r Rebuild, a Artifact, evidence []sallyport.Evidence) sallyport.TestInput {
	in := sallyport.TestInput{Attestation: ev.Attestation, Signer: ev.Signer, Grade: ev.Grade, Result: "FAILED"}
	known := slices.ContainsFunc(evidence, func(p sallyport.Evidence) bool {
		return p.Attestation == r.Provenance && p.Statement.PredicateType == provenanceType && p.About(a.Digest)
	})
	if r.Equal && known {
		in.Result = "PASSED"
	}
	return in
}

func bill(ev sallyport.Evidence, about string) sallyport.SBOMInput {
	return sallyport.SBOMInput{Attestation: ev.Attestation, Signer: ev.Signer, Grade: ev.Grade, PredicateType: ev.Statement.PredicateType, About: about}
}

// provenance reads SLSA provenance 1. What cannot be read names no commit and did not succeed.
func (g *Gate) provenance(ev sallyport.Evidence, commit string) sallyport.ProvenanceInput {
	out := sallyport.ProvenanceInput{Attestation: ev.Attestation, Signer: ev.Signer, Grade: ev.Grade}
	var p struct {
		BuildDefinition struct {
			BuildType            string          `json:"buildType"`
			InternalParameters   json.RawMessage `json:"internalParameters"`
			ResolvedDependencies []dependency    `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	}
	if err := json.Unmarshal(ev.Statement.Predicate, &p); err != nil {
		out.Why = "its predicate cannot be read"
		return out
	}
	out.Builder, out.BuildType = p.RunDetails.Builder.ID, p.BuildDefinition.BuildType
	out.Inputs, out.Unpinned = g.inputs(out.BuildType, p.BuildDefinition.ResolvedDependencies)
	var why []string
	var problem string
	if out.Succeeded, problem = succeeded(out.BuildType, p.BuildDefinition.InternalParameters); problem != "" {
		why = append(why, problem)
	}
	if out.Source, problem = g.names(out.BuildType, p.BuildDefinition.ResolvedDependencies, commit); problem != "" {
		why = append(why, problem)
	}
	if problem = unclean(out.BuildType, p.BuildDefinition.InternalParameters); problem != "" {
		out.Source, why = false, append(why, problem)
	}
	out.Why = strings.Join(why, "; ")
	return out
}

// succeeded tells from our own build type how the run ended.
func succeeded(buildType string, internal json.RawMessage) (bool, string) {
	if buildType != BuildType {
		return true, ""
	}
	var parameters struct {
		ExitStatus *int   `json:"exitStatus"`
		Ended      string `json:"ended"`
	}
	if err := json.Unmarshal(internal, &parameters); err != nil || parameters.ExitStatus == nil {
		return false, "it does not say how the run ended"
	}
	if *parameters.ExitStatus != 0 {
		return false, fmt.Sprintf("exit status %d", *parameters.ExitStatus)
	}
	if parameters.Ended != "" && parameters.Ended != "exited" {
		return false, fmt.Sprintf("it ended by %.40q", parameters.Ended)
	}
	return true, ""
}

// unclean tells from our own build type whether something else than the commit was built: a work tree
// that differed from it, or files that the run did not make.
func unclean(buildType string, internal json.RawMessage) string {
	if buildType != BuildType {
		return ""
	}
	var parameters struct {
		Source struct {
			Dirty      *bool `json:"dirty"`
			Submodules int   `json:"submodules"`
		} `json:"source"`
		Unchanged []string `json:"unchangedArtifacts"`
	}
	switch err := json.Unmarshal(internal, &parameters); {
	case err != nil:
		return "its parameters cannot be read"
	case parameters.Source.Dirty == nil:
		return "it does not say whether the work tree was the commit"
	case parameters.Source.Submodules > 0:
		return fmt.Sprintf("nobody looked into the folders of its %d submodules", parameters.Source.Submodules)
	case *parameters.Source.Dirty:
		return "the work tree that it was made from was not the commit"
	case len(parameters.Unchanged) > 0:
		return fmt.Sprintf("%d of its artifacts were there before the run", len(parameters.Unchanged))
	}
	return ""
}

type dependency struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// names reports whether the dependencies say that the commit is the source; see the package comment.
// GitHub's provenance has the digest under gitCommit, and older builders under sha1.
func (g *Gate) names(buildType string, deps []dependency, commit string) (bool, string) {
	if buildType == BuildType {
		switch {
		case len(deps) == 0 || deps[0].Name != "source":
			return false, "it names no source"
		case deps[0].Digest["gitCommit"] != commit:
			return false, fmt.Sprintf("it names the commit %.64s", orNothing(deps[0].Digest["gitCommit"]))
		}
		return true, ""
	}
	found := false
	for _, d := range deps {
		uri, _, _ := strings.Cut(d.URI, "@")
		if strings.TrimSuffix(uri, ".git") != predicate.ResourceURI(g.Repository) {
			continue
		}
		id := d.Digest["gitCommit"]
		if id == "" {
			id = d.Digest["sha1"]
		}
		if id != commit {
			return false, fmt.Sprintf("it names the commit %.64s", orNothing(id))
		}
		found = true
	}
	if !found {
		return false, "it names no commit of " + predicate.ResourceURI(g.Repository)
	}
	return true, ""
}

// maxUnpinned bounds how many names a reason has to tell.
const maxUnpinned = 100

// inputs counts what provenance names beside the source, and returns what of it has no digest.
func (g *Gate) inputs(buildType string, deps []dependency) (pinned int, unpinned []string) {
	unpinned = []string{}
	for i, d := range deps {
		uri, _, _ := strings.Cut(d.URI, "@")
		switch {
		case buildType == BuildType && i == 0, buildType != BuildType && strings.TrimSuffix(uri, ".git") == predicate.ResourceURI(g.Repository):
		case pinnedBy(d.Digest):
			pinned++
		case len(unpinned) < maxUnpinned:
			name := d.URI
			if name == "" {
				name = d.Name
			}
			unpinned = append(unpinned, name)
		}
	}
	return pinned, unpinned
}

// pinnedBy reports whether a digest set holds a digest of an algorithm and a length that are known. SHA-1 names git
// objects and nothing else.
func pinnedBy(digest map[string]string) bool {
	sizes := map[string][]int{
		"gitCommit": {40, 64}, "sha1": {40}, "gitTree": {40, 64}, "gitBlob": {40, 64}, "gitTag": {40, 64},
		"sha256": {64}, "sha384": {96}, "sha512": {128}, "dirHash": {64}, "dirHash1": {64},
	}
	for alg, hex := range digest {
		if slices.Contains(sizes[alg], len(hex)) && strings.Trim(hex, "0123456789abcdef") == "" && strings.Trim(hex, "0") != "" {
			return true
		}
	}
	return false
}

func orNothing(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// tests returns the results of tests of the commit or its tree. Those of rebuilds are about artifacts.
func (g *Gate) tests(evidence []sallyport.Evidence, subjects ...sallyport.Digest) []sallyport.TestInput {
	out := []sallyport.TestInput{}
	for _, ev := range evidence {
		if ev.Statement.PredicateType != testType || !slices.ContainsFunc(subjects, ev.About) {
			continue
		}
		if _, err := g.Rebuild(ev.Statement); errors.Is(err, ErrNoRebuild) && ofTests(ev) {
			out = append(out, testInput(ev))
		}
	}
	return out
}

// ofTests reports whether a test result is one of tests: the type carries summaries of scans as well, whose
// clean answer says nothing of tests, and one that passed and names no test has tested nothing. One that passed in a work
// tree that was not the commit has tested something else; one that failed there is told all the same.
func ofTests(ev sallyport.Evidence) bool {
	var p struct {
		Result        string   `json:"result"`
		Passed        []string `json:"passedTests"`
		Configuration []struct {
			MediaType   string          `json:"mediaType"`
			Annotations json.RawMessage `json:"annotations"`
		} `json:"configuration"`
	}
	if err := json.Unmarshal(ev.Statement.Predicate, &p); err != nil {
		return false
	}
	failed := p.Result != "PASSED" && p.Result != "WARNED"
	for _, c := range p.Configuration {
		if strings.Contains(c.MediaType, "sarif") || !failed && elsewhere(c.Annotations) {
			return false
		}
	}
	return len(p.Passed) > 0 || failed
}

// elsewhere reports whether a statement says of the work tree that tests ran in that files of the commit were changed or
// gone. What our own tools write of one that nobody looked at is "unknown"; what cannot be read is worse.
func elsewhere(annotations json.RawMessage) bool {
	var who struct {
		WorkTree json.RawMessage `json:"worktree"`
	}
	if annotations == nil {
		return false
	}
	if err := json.Unmarshal(annotations, &who); err != nil {
		return true
	}
	if who.WorkTree == nil || string(who.WorkTree) == `"unknown"` {
		return false
	}
	var state struct {
		Modified *int `json:"modified"`
		Deleted  *int `json:"deleted"`
	}
	err := json.Unmarshal(who.WorkTree, &state)
	return err != nil || state.Modified == nil || state.Deleted == nil || *state.Modified != 0 || *state.Deleted != 0
}

func testInput(ev sallyport.Evidence) sallyport.TestInput {
	var p struct {
		Result string `json:"result"`
	}
	_ = json.Unmarshal(ev.Statement.Predicate, &p) // no result is none that passed
	return sallyport.TestInput{Attestation: ev.Attestation, Signer: ev.Signer, Grade: ev.Grade, Result: p.Result}
}

// checksums joins what the lists of checksums say. A name that two lists give two digests has none.
func checksums(artifacts []Artifact) map[string]sallyport.Digest {
	sums := map[string]sallyport.Digest{}
	for _, a := range artifacts {
		for name, d := range a.Checksums {
			name = path.Base(name)
			if have, ok := sums[name]; ok && have != d {
				d = ""
			}
			sums[name] = d
		}
	}
	return sums
}

// right reports whether a is a list of checksums, and every line of it an artifact of this release with
// just that digest. It then says nothing that those do not.
func right(a Artifact, artifacts []Artifact) bool {
	if len(a.Checksums) == 0 {
		return false
	}
	for name, d := range a.Checksums {
		if !slices.ContainsFunc(artifacts, func(b Artifact) bool { return b.Name == path.Base(name) && b.Digest == d && b.Checksums == nil }) {
			return false
		}
	}
	return true
}

// astray returns what was presented, verifies and is about something else: under the name of an artifact,
// which was then changed, or under another.
func astray(p Params, evidence []sallyport.Evidence) []sallyport.RejectedInput {
	presented := map[sallyport.Digest]string{}
	for _, a := range p.Presented {
		presented[a.Digest()] = a.Source
	}
	var out []sallyport.RejectedInput
	for _, ev := range evidence {
		source, ok := presented[ev.Attestation]
		if !ok || ev.Statement.PredicateType == summaryType {
			continue
		}
		about := ev.About(sallyport.GitCommit(p.Commit)) || ev.About(sallyport.GitTree(p.Tree)) ||
			slices.ContainsFunc(p.Artifacts, func(a Artifact) bool { return ev.About(a.Digest) })
		r := sallyport.RejectedInput{Attestation: ev.Attestation, Source: source, Code: "replayed", Why: "it is about none of the artifacts"}
		for _, a := range p.Artifacts {
			named := slices.ContainsFunc(ev.Statement.Subject, func(s sallyport.StatementSubject) bool { return path.Base(s.Name) == a.Name })
			if named && !ev.About(a.Digest) {
				about = false
				r.Code, r.Why = "tampered", fmt.Sprintf("it names %s with another digest", a.Name)
			}
		}
		if !about {
			out = append(out, r)
		}
	}
	return out
}
