// Package card turns what others write about models into what a registry knows of them, and back: the
// models of a CycloneDX ML-BOM, and the model cards of Hugging Face.
//
// [Read] takes facts alone: name, version, licence, data sets, tuning and evaluations. Who may use a model, where and until
// when is never read from a card: that is for whoever answers for the registry to say. What a card says is its author's
// claim; it becomes an entry once a person signs it.
//
// [CycloneDX] writes a registry as an ML-BOM of version 1.6 of the format, of which each model is a component with a model card. What
// the format has no field for stands in properties whose names begin with "sallyport:".
package card

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Bounds of what is read.
const (
	MaxSize   = 8 << 20
	maxFront  = 256 << 10
	maxModels = 1000
	maxFacts  = 256 // of one kind, as an entry has it
)

// ErrCard is wrapped by every error about a document.
var ErrCard = errors.New("model card")

// Read returns what a document says of models: an ML-BOM of several, a model card of one. Provider and
// name are empty where it does not say.
func Read(b []byte) ([]predicate.ModelEntry, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: it is larger than %d MiB", ErrCard, MaxSize>>20)
	}
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\ufeff")), " \t\r\n")
	var list []predicate.ModelEntry
	var err error
	switch {
	case bytes.HasPrefix(trimmed, []byte("{")):
		list, err = readCycloneDX(trimmed)
	case bytes.HasPrefix(trimmed, []byte("---")):
		list, err = readFrontMatter(trimmed)
	default:
		err = errors.New("it is neither a CycloneDX document nor a card that begins with ---")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCard, err)
	}
	return list, nil
}

// The parts of CycloneDX that are read and written.
type (
	bom struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Serial     string      `json:"serialNumber,omitempty"`
		Version    int         `json:"version"`
		Metadata   *metadata   `json:"metadata,omitempty"`
		Components []component `json:"components"`
	}
	metadata struct {
		Timestamp string     `json:"timestamp,omitempty"`
		Tools     *tools     `json:"tools,omitempty"`
		Component *component `json:"component,omitempty"`
	}
	tools struct {
		Components []component `json:"components"`
	}
	component struct {
		Type       string      `json:"type"`
		Ref        string      `json:"bom-ref,omitempty"`
		Publisher  string      `json:"publisher,omitempty"`
		Group      string      `json:"group,omitempty"`
		Name       string      `json:"name"`
		Version    string      `json:"version,omitempty"`
		Licences   []choice    `json:"licenses,omitempty"`
		Pedigree   *pedigree   `json:"pedigree,omitempty"`
		References []reference `json:"externalReferences,omitempty"`
		Card       *modelCard  `json:"modelCard,omitempty"`
		Properties []property  `json:"properties,omitempty"`
	}
	choice struct {
		Expression string `json:"expression,omitempty"`
		Licence    *struct {
			ID   string `json:"id,omitempty"`
			Name string `json:"name,omitempty"`
		} `json:"license,omitempty"`
	}
	pedigree struct {
		Ancestors []component `json:"ancestors,omitempty"`
	}
	reference struct {
		URL     string `json:"url"`
		Type    string `json:"type"`
		Comment string `json:"comment,omitempty"`
	}
	modelCard struct {
		Parameters     *parameters     `json:"modelParameters,omitempty"`
		Analysis       *analysis       `json:"quantitativeAnalysis,omitempty"`
		Considerations *considerations `json:"considerations,omitempty"`
	}
	parameters struct {
		Approach *approach `json:"approach,omitempty"`
		Datasets []dataset `json:"datasets,omitempty"`
	}
	approach struct {
		Type string `json:"type,omitempty"`
	}
	dataset struct {
		Ref         string    `json:"ref,omitempty"` // to a component of the document
		Type        string    `json:"type,omitempty"`
		Name        string    `json:"name,omitempty"`
		Contents    *contents `json:"contents,omitempty"`
		Description string    `json:"description,omitempty"`
	}
	contents struct {
		URL        string     `json:"url,omitempty"`
		Properties []property `json:"properties,omitempty"`
	}
	analysis struct {
		Metrics []metric `json:"performanceMetrics,omitempty"`
	}
	metric struct {
		Type  string `json:"type,omitempty"`
		Value any    `json:"value,omitempty"` // a string; some write numbers
		Slice string `json:"slice,omitempty"`
	}
	considerations struct {
		UseCases []string `json:"useCases,omitempty"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

const (
	modelType       = "machine-learning-model"
	propertyTuning  = "sallyport:tuning"
	propertyDigest  = "sallyport:digest"
	propertyLicence = "sallyport:licence"
	propertyNotes   = "sallyport:notes"
	propertyWeights = "sallyport:weights"
)

func readCycloneDX(b []byte) ([]predicate.ModelEntry, error) {
	if err := strict.CheckJSON(b, MaxSize); err != nil {
		return nil, err
	}
	var doc bom
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, errors.New("it is no CycloneDX document: a field has another type than the format says")
	}
	if doc.Format != "CycloneDX" {
		return nil, fmt.Errorf("its bomFormat is %.40q, want CycloneDX", doc.Format)
	}
	all := doc.Components
	if doc.Metadata != nil && doc.Metadata.Component != nil {
		all = append([]component{*doc.Metadata.Component}, all...)
	}
	byRef := map[string]component{}
	for _, c := range all {
		byRef[c.Ref] = c
	}
	var out []predicate.ModelEntry
	for _, c := range all {
		if c.Type != modelType {
			continue
		}
		if len(out) == maxModels {
			return nil, fmt.Errorf("it has more than %d models", maxModels)
		}
		out = append(out, c.entry(byRef))
	}
	if len(out) == 0 {
		return nil, errors.New("it has no component of the type machine-learning-model")
	}
	return out, nil
}

// entry reads what a component says.
func (c component) entry(byRef map[string]component) predicate.ModelEntry {
	e := predicate.ModelEntry{Provider: provider(first(c.Group, c.Publisher)), Name: line(c.Name), Version: line(c.Version), Licence: c.licence()}
	if c.Card != nil {
		if p := c.Card.Parameters; p != nil {
			for _, d := range p.Datasets {
				if named, ok := byRef[d.Ref]; ok && d.Ref != "" {
					d.Name = first(d.Name, named.Name)
				}
				if len(e.Datasets) < maxFacts {
					e.Datasets = appendDataset(e.Datasets, d.read())
				}
			}
		}
		if a := c.Card.Analysis; a != nil {
			for _, m := range a.Metrics {
				e.Evaluations = appendEvaluation(e.Evaluations, predicate.ModelEvaluation{Name: line(first(m.Slice, m.Type)), Metric: line(m.Type), Value: line(fmt.Sprint(m.Value))})
			}
		}
	}
	for _, p := range c.Properties {
		switch p.Name {
		case propertyTuning:
			var t predicate.ModelTuning
			if json.Unmarshal([]byte(p.Value), &t) == nil && t.Method != "" && len(e.Tuning) < maxFacts {
				e.Tuning = append(e.Tuning, t)
			}
		case propertyWeights:
			e.Digest = line(p.Value)
		case propertyNotes:
			e.Notes = p.Value
		}
	}
	if len(e.Tuning) == 0 && c.Pedigree != nil {
		for _, a := range c.Pedigree.Ancestors {
			if len(e.Tuning) < maxFacts && a.Name != "" {
				e.Tuning = append(e.Tuning, predicate.ModelTuning{Method: "derived", Base: line(strings.TrimPrefix(a.Group+"/"+a.Name, "/"))})
			}
		}
	}
	return e
}

func (c component) licence() string {
	var names []string
	for _, l := range c.Licences {
		switch {
		case l.Expression != "":
			names = append(names, l.Expression)
		case l.Licence != nil:
			names = append(names, first(l.Licence.ID, l.Licence.Name))
		}
	}
	return line(strings.Join(names, " AND "))
}

func (d dataset) read() predicate.ModelDataset {
	out := predicate.ModelDataset{Name: line(d.Name), Source: line(d.Description)}
	if d.Contents != nil {
		out.Source = line(first(d.Contents.URL, d.Description))
		for _, p := range d.Contents.Properties {
			switch p.Name {
			case propertyDigest:
				out.Digest = p.Value
			case propertyLicence:
				out.Licence = line(p.Value)
			}
		}
	}
	return out
}

func appendDataset(list []predicate.ModelDataset, d predicate.ModelDataset) []predicate.ModelDataset {
	if d.Name == "" {
		d.Name, d.Source = d.Source, ""
	}
	if d.Name == "" || len(list) >= maxFacts {
		return list
	}
	return append(list, d)
}

func appendEvaluation(list []predicate.ModelEvaluation, v predicate.ModelEvaluation) []predicate.ModelEvaluation {
	if v.Name == "" || v.Value == "" || len(list) >= maxFacts {
		return list
	}
	if v.Metric == v.Name {
		v.Metric = ""
	}
	return append(list, v)
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// line makes one printable line of what somebody wrote, cut to what an entry holds.
func line(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	const most = 256
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most])
	}
	return s
}

// provider makes a registry's word of a publisher's name, or nothing.
func provider(s string) string {
	s = strings.ToLower(strings.ReplaceAll(line(s), " ", "-"))
	if strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}) || len(s) > 64 {
		return ""
	}
	return s
}
