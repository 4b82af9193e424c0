// Package intoto verifies in-toto layouts (https://github.com/in-toto/docs, specification 1.0): what steps a
// supply chain has, who may carry out each, and which artifacts go in and come out.
//
// [Verify] takes a layout, the keys of its owner, and link metadata, and checks in this order:
//
//  1. the layout: signed by every key of the owner that is named, not expired, of a form that is understood;
//  2. the links: for each step, at least as many as its threshold, each signed by another of the keys that the
//     layout names for the step. Keys are told apart by what they are and not by what they are called. Links
//     of one step that count have to agree on every artifact;
//  3. the artifacts: each rule of each step, in order: MATCH, CREATE, DELETE, MODIFY, ALLOW, DISALLOW, REQUIRE;
//  4. the product: one of the last step's products has the digest of what is verified.
//
// Read are layouts and links as in-toto writes them: signed canonical JSON, the same in a DSSE envelope, and
// link metadata as a statement (https://in-toto.io/attestation/link/v0.3), bare or in a Sigstore bundle.
//
// What a layout may ask for and is not done here makes it fail, and is never passed over in silence: inspections
// are commands that the layout chooses to run on the verifier's machine, and never are run; a link that is a
// layout again (a sublayout) is refused; functionaries who are known by a certificate count for no step, which
// leaves the threshold to those who have keys. Parameters are not substituted.
//
// Stricter than the specification is: a link of a command that failed counts for nothing; two links that count
// and differ are refused whatever the threshold is; a digest has to be of SHA-2 or git; and an artifact has to
// lie below the prefix that a MATCH rule names.
package intoto

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Bounds.
const (
	MaxSize      = 8 << 20 // of a layout or a link, in bytes
	MaxLinks     = 1024
	maxSteps     = 256
	maxRules     = 1024 // of a step
	maxArtifacts = 100_000
)

// Why a layout is not fulfilled. Every error of [Verify] wraps exactly one.
var (
	ErrLayout    = errors.New("the layout cannot be used")
	ErrSignature = errors.New("the layout is not signed by its owner")
	ErrExpired   = errors.New("the layout has expired")
	ErrThreshold = errors.New("too few of those who may carry out the step did")
	ErrRule      = errors.New("an artifact is not as the layout says")
	ErrProduct   = errors.New("it is no product of the layout's last step")
	ErrUnable    = errors.New("the layout asks for what is not done here")
)

// A Layout is what its owner demands.
type Layout struct {
	Type    string                     `json:"_type"`
	Expires string                     `json:"expires"`
	Steps   []Step                     `json:"steps"`
	Inspect []Inspection               `json:"inspect"`
	Keys    map[string]json.RawMessage `json:"keys"`
	RootCAs map[string]json.RawMessage `json:"rootcas"`
}

// A Step is one that somebody carries out.
type Step struct {
	Name      string     `json:"name"`
	PubKeys   []string   `json:"pubkeys"` // names of Layout.Keys
	Threshold int        `json:"threshold"`
	Materials [][]string `json:"expected_materials"`
	Products  [][]string `json:"expected_products"`
	Command   []string   `json:"expected_command"`
}

// An Inspection is a command that the verifier would run.
type Inspection struct {
	Name string   `json:"name"`
	Run  []string `json:"run"`
}

// A Link says what somebody did in a step.
type Link struct {
	Name      string
	Materials map[string]Digests // by cleaned path
	Products  map[string]Digests
	Command   []string
	Failed    bool // the command's exit status was not 0
}

// Digests are an artifact's, by algorithm.
type Digests map[string]string

// equal reports whether two artifacts are the same: they have a digest of an algorithm that is trusted in
// common, and disagree on none.
func (d Digests) equal(other Digests) bool {
	same := false
	for algorithm, value := range d {
		theirs, ok := other[algorithm]
		if !ok {
			continue
		}
		if value != theirs {
			return false
		}
		same = same || slices.Contains([]string{"sha256", "sha384", "sha512", "gitCommit", "gitTree"}, algorithm)
	}
	return same
}

// Options say what to verify.
type Options struct {
	Owners []crypto.PublicKey // all have to have signed the layout
	Now    time.Time
	// WithoutInspections passes the layout's inspections over, which are not run in any case.
	WithoutInspections bool
}

// A Result is what a fulfilled layout proves.
type Result struct {
	Expires     time.Time    `json:"expires"`
	Steps       []StepResult `json:"steps"`
	Inspections []string     `json:"inspections_not_run"`
	Product     string       `json:"product"` // the path at which the last step made what was verified
	Notes       []string     `json:"notes"`
}

// A StepResult says who carried out a step.
type StepResult struct {
	Name      string   `json:"name"`
	Threshold int      `json:"threshold"`
	By        []string `json:"by"` // names of keys
	Command   []string `json:"command"`
}

// Verify verifies that an artifact was made as a layout demands. Links are files as they were found, by name; those
// that cannot be read, or that nobody of the layout signed, count for nothing.
func Verify(layout []byte, links map[string][]byte, artifact func(algorithm string) sallyport.Digest, o Options) (Result, error) {
	l, expires, err := readLayout(layout, o)
	if err != nil {
		return Result{}, err
	}
	res := Result{Expires: expires, Steps: []StepResult{}, Inspections: []string{}, Notes: []string{}}
	for _, i := range l.Inspect {
		res.Inspections = append(res.Inspections, i.Name)
	}
	if len(res.Inspections) > 0 && !o.WithoutInspections {
		return Result{}, fmt.Errorf("%w: its inspections %.200q are commands, and never run", ErrUnable, res.Inspections)
	}
	keys, err := l.keys()
	if err != nil {
		return Result{}, err
	}
	found, err := readLinks(links)
	if err != nil {
		return Result{}, err
	}
	done := map[string]Link{}
	for _, s := range l.Steps {
		link, by, err := s.carriedOut(found, keys)
		if err != nil {
			return Result{}, err
		}
		done[s.Name] = link
		res.Steps = append(res.Steps, StepResult{Name: s.Name, Threshold: s.Threshold, By: by, Command: append([]string{}, link.Command...)})
		if len(s.Command) > 0 && !slices.Equal(s.Command, link.Command) {
			res.Notes = append(res.Notes, fmt.Sprintf("step %q ran %.300q, and the layout expects %.300q: whoever signs a link can write any command", s.Name, link.Command, s.Command))
		}
	}
	for _, s := range l.Steps {
		if err := s.check(done); err != nil {
			return Result{}, err
		}
	}
	last := done[l.Steps[len(l.Steps)-1].Name]
	if res.Product, err = last.made(artifact); err != nil {
		return Result{}, err
	}
	return res, nil
}

// readLayout reads a layout and verifies that its owner signed it.
func readLayout(raw []byte, o Options) (*Layout, time.Time, error) {
	fail := func(kind error, format string, args ...any) (*Layout, time.Time, error) {
		return nil, time.Time{}, fmt.Errorf("%w: "+format, append([]any{kind}, args...)...)
	}
	m, err := parse(raw)
	if err != nil {
		return fail(ErrLayout, "%w", err)
	}
	if len(o.Owners) == 0 {
		return fail(ErrSignature, "no key of its owner is named")
	}
	for i, k := range o.Owners {
		if !m.signedBy(k) {
			return fail(ErrSignature, "no signature is of key %d of %d", i+1, len(o.Owners))
		}
	}
	var l Layout
	if err := json.Unmarshal(m.payload, &l); err != nil {
		return fail(ErrLayout, "%w", err)
	}
	if l.Type != "layout" {
		return fail(ErrLayout, "its type is %.40q", l.Type)
	}
	expires, err := time.Parse(time.RFC3339, l.Expires)
	if err != nil {
		return fail(ErrLayout, "it does not say when it expires")
	}
	if !o.Now.Before(expires) {
		return fail(ErrExpired, "at %s", l.Expires)
	}
	if len(l.Steps) == 0 || len(l.Steps) > maxSteps {
		return fail(ErrLayout, "it has %d steps, want 1 to %d", len(l.Steps), maxSteps)
	}
	names := map[string]bool{}
	for _, s := range l.Steps {
		switch {
		case s.Name == "" || names[s.Name]:
			return fail(ErrLayout, "the step %.100q has no name, or one that stands twice", s.Name)
		case s.Threshold < 1:
			return fail(ErrLayout, "the step %.100q needs nobody", s.Name)
		case len(s.Materials)+len(s.Products) > maxRules:
			return fail(ErrLayout, "the step %.100q has more than %d rules", s.Name, maxRules)
		}
		names[s.Name] = true
		for _, r := range slices.Concat(s.Materials, s.Products) {
			if _, err := parseRule(r); err != nil {
				return fail(ErrLayout, "the step %.100q: %w", s.Name, err)
			}
		}
	}
	return &l, expires, nil
}

// carriedOut finds the links of a step that count, and who signed them. One key counts once, by whatever
// names the layout has for it.
func (s Step) carriedOut(found []signedLink, keys map[string]key) (Link, []string, error) {
	var link *Link
	by := map[string]string{} // by the key itself
	sub, failed := false, 0
	for _, f := range found {
		if f.link.Name != s.Name && !f.layout {
			continue
		}
		for _, name := range s.PubKeys {
			k, ok := keys[name]
			if !ok || !f.signedBy(k.public) {
				continue
			}
			switch {
			case f.layout:
				sub = true
				continue
			case f.link.Failed:
				failed++
				continue
			case link != nil && !agree(*link, f.link):
				return Link{}, nil, fmt.Errorf("%w: step %q: two links that count disagree about its artifacts", ErrThreshold, s.Name)
			}
			link, by[k.id] = &f.link, name
		}
	}
	if len(by) < s.Threshold {
		why := ""
		switch {
		case sub:
			return Link{}, nil, fmt.Errorf("%w: step %q was delegated with a layout of its own", ErrUnable, s.Name)
		case failed > 0:
			why = fmt.Sprintf("; %d links are of commands that failed", failed)
		}
		return Link{}, nil, fmt.Errorf("%w: step %q needs %d, and %d signed a link%s", ErrThreshold, s.Name, s.Threshold, len(by), why)
	}
	names := make([]string, 0, len(by))
	for _, n := range by {
		names = append(names, n)
	}
	slices.Sort(names)
	return *link, names, nil
}

// agree reports whether two links name the same artifacts.
func agree(a, b Link) bool {
	same := func(a, b map[string]Digests) bool {
		if len(a) != len(b) {
			return false
		}
		for p, d := range a {
			if other, ok := b[p]; !ok || !d.equal(other) {
				return false
			}
		}
		return true
	}
	return same(a.Materials, b.Materials) && same(a.Products, b.Products)
}

// made returns the path of the product that is the artifact.
func (l Link) made(artifact func(algorithm string) sallyport.Digest) (string, error) {
	is := Digests{}
	for _, algorithm := range []string{"sha256", "sha384", "sha512", "gitCommit", "gitTree"} {
		if d := artifact(algorithm); d != "" {
			is[algorithm] = d.Hex()
		}
	}
	found := ""
	for p, d := range l.Products {
		if d.equal(is) && (found == "" || p < found) {
			found = p
		}
	}
	if found == "" {
		return "", fmt.Errorf("%w (%q has %d)", ErrProduct, l.Name, len(l.Products))
	}
	return found, nil
}

func clean(p string) string {
	if p == "" {
		return p
	}
	return path.Clean(p)
}
