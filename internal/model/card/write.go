package card

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/licence"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A Model is an entry as it is written.
type Model struct {
	predicate.ModelEntry
	State string // what the registry says of it
}

// CycloneDX writes models as an ML-BOM. The same models at the same time give the same bytes.
func CycloneDX(models []Model, created time.Time, tool string) ([]byte, error) {
	doc := bom{Format: "CycloneDX", Spec: "1.6", Version: 1, Components: []component{}, Metadata: &metadata{
		Timestamp: created.UTC().Format(time.RFC3339),
		Tools:     &tools{Components: []component{{Type: "application", Name: "sallyport", Version: tool}}},
	}}
	for _, m := range models {
		doc.Components = append(doc.Components, m.component())
	}
	body, err := sallyport.EncodeJSON(doc)
	if err != nil {
		return nil, err
	}
	h := sallyport.SHA256(body).Hex()
	doc.Serial = fmt.Sprintf("urn:uuid:%s-%s-5%s-8%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32])
	if body, err = sallyport.EncodeJSON(doc); err != nil {
		return nil, err
	}
	return append(body, '\n'), nil
}

func (m Model) component() component {
	e := m.ModelEntry
	c := component{Type: modelType, Ref: e.ID(), Group: e.Provider, Name: e.Name, Version: e.Version, Licences: []choice{licenceOf(e.Licence)}, Card: &modelCard{}}
	p := parameters{}
	for _, d := range e.Datasets {
		p.Datasets = append(p.Datasets, datasetOf(d))
	}
	var ancestors []component
	for _, t := range e.Tuning {
		if t.Base != "" {
			ancestors = append(ancestors, component{Type: modelType, Name: t.Base})
		}
		if strings.EqualFold(t.Method, "rlhf") {
			p.Approach = &approach{"reinforcement-learning"}
		}
		c.add(propertyTuning, t)
	}
	if len(ancestors) > 0 {
		c.Pedigree = &pedigree{Ancestors: ancestors}
	}
	if p.Approach != nil || len(p.Datasets) > 0 {
		c.Card.Parameters = &p
	}
	if len(e.Evaluations) > 0 {
		a := &analysis{}
		for _, v := range e.Evaluations {
			one := metric{Type: v.Name, Value: v.Value}
			if v.Metric != "" {
				one.Type, one.Slice = v.Metric, v.Name
			}
			a.Metrics = append(a.Metrics, one)
		}
		c.Card.Analysis = a
	}
	if uses := slices.DeleteFunc(slices.Clone(e.Uses), func(u string) bool { return u == "*" }); len(uses) > 0 {
		c.Card.Considerations = &considerations{UseCases: uses}
	}
	for _, ep := range e.Endpoints {
		if _, err := url.Parse(ep.URL); err == nil && !strings.Contains(ep.URL, "*") {
			c.References = append(c.References, reference{URL: ep.URL, Type: "other", Comment: string(ep.Kind) + " endpoint"})
		}
	}
	for name, value := range map[string]string{
		"sallyport:entry": e.ID(), "sallyport:state": m.State, "sallyport:owner": e.Owner, "sallyport:expires": e.Expires,
		propertyWeights: e.Digest, propertyNotes: e.Notes,
	} {
		if value != "" {
			c.Properties = append(c.Properties, property{name, value})
		}
	}
	slices.SortStableFunc(c.Properties, func(a, b property) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// add adds a property whose value is JSON.
func (c *component) add(name string, v any) {
	if b, err := sallyport.EncodeJSON(v); err == nil {
		c.Properties = append(c.Properties, property{name, string(b)})
	}
}

func licenceOf(s string) choice {
	if _, err := licence.Parse(s); err == nil {
		return choice{Expression: s}
	}
	var c choice
	c.Licence = &struct {
		ID   string `json:"id,omitempty"`
		Name string `json:"name,omitempty"`
	}{Name: s}
	return c
}

func datasetOf(d predicate.ModelDataset) dataset {
	out := dataset{Type: "dataset", Name: d.Name}
	var more []property
	if d.Digest != "" {
		more = append(more, property{propertyDigest, d.Digest})
	}
	if d.Licence != "" {
		more = append(more, property{propertyLicence, d.Licence})
	}
	if u, err := url.Parse(d.Source); err == nil && u.Scheme != "" && u.Host != "" && !strings.ContainsAny(d.Source, " <>\"{}|\\^`") {
		out.Contents = &contents{URL: d.Source, Properties: more}
		return out
	}
	out.Description = d.Source
	if len(more) > 0 {
		out.Contents = &contents{Properties: more}
	}
	return out
}
