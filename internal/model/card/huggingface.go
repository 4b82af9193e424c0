package card

import (
	"bytes"
	"errors"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/predicate"
)

// methods are what Hugging Face calls the ways from one model to another.
var methods = map[string]string{"finetune": "fine-tune", "quantized": "quantisation", "adapter": "adapter", "merge": "merge"}

// readFrontMatter reads the YAML at the head of a model card. The text below it is for people.
func readFrontMatter(b []byte) ([]predicate.ModelEntry, error) {
	rest, ok := bytes.CutPrefix(b, []byte("---"))
	if !ok {
		return nil, errors.New("it has no front matter")
	}
	nl := bytes.IndexByte(rest, '\n')
	if nl < 0 || len(bytes.TrimSpace(rest[:nl])) != 0 {
		return nil, errors.New("it has no front matter")
	}
	rest = rest[nl+1:]
	end := -1
	for at := 0; at < len(rest) && at <= maxFront; {
		n := bytes.IndexByte(rest[at:], '\n')
		text := rest[at:]
		if n >= 0 {
			text = rest[at : at+n]
		}
		if string(bytes.TrimRight(text, " \r\t")) == "---" {
			end = at
			break
		}
		if n < 0 {
			break
		}
		at += n + 1
	}
	if end < 0 {
		return nil, errors.New("its front matter does not end, or is too long")
	}
	docs, err := strict.YAMLNodes(rest[:end], maxFront)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 || docs[0].Kind != strict.MapNode {
		return nil, errors.New("its front matter is no map")
	}
	n := docs[0]
	e := predicate.ModelEntry{Licence: hfLicence(n)}
	for _, d := range texts(n.Get("datasets")) {
		e.Datasets = appendDataset(e.Datasets, predicate.ModelDataset{Name: line(d), Source: hfURL("datasets/", d)})
	}
	method := methods[n.Get("base_model_relation").Text()]
	for _, base := range texts(n.Get("base_model")) {
		if len(e.Tuning) < maxFacts && line(base) != "" {
			e.Tuning = append(e.Tuning, predicate.ModelTuning{Method: first(method, "derived"), Base: line(base)})
		}
	}
	for _, m := range items(n.Get("model-index")) {
		e.Name = first(e.Name, line(m.Get("name").Text()))
		for _, r := range items(m.Get("results")) {
			name := first(r.Get("dataset").Get("name").Text(), r.Get("task").Get("name").Text(), r.Get("task").Get("type").Text())
			for _, v := range items(r.Get("metrics")) {
				e.Evaluations = appendEvaluation(e.Evaluations, predicate.ModelEvaluation{
					Name: line(name), Metric: line(first(v.Get("name").Text(), v.Get("type").Text())), Value: line(v.Get("value").Text()),
				})
			}
		}
	}
	return []predicate.ModelEntry{e}, nil
}

// hfLicence reads the licence, which is an identifier in lower case, or other with a name of its own.
func hfLicence(n *strict.Node) string {
	l := strings.Join(texts(n.Get("license")), " AND ")
	if l == "other" || l == "" {
		l = first(n.Get("license_name").Text(), n.Get("license_link").Text(), l)
	}
	return line(l)
}

// hfURL is where a repository of Hugging Face stands, if s is the name of one.
func hfURL(kind, s string) string {
	if s = line(s); strings.Count(s, "/") != 1 || strings.ContainsAny(s, " :") {
		return ""
	}
	return "https://huggingface.co/" + kind + s
}

// texts returns a scalar, or the scalars of a list.
func texts(n *strict.Node) []string {
	if n == nil {
		return nil
	}
	if n.Kind == strict.ScalarNode {
		return []string{n.Value}
	}
	var out []string
	for _, i := range n.Items {
		if t := i.Text(); t != "" && len(out) < maxFacts {
			out = append(out, t)
		}
	}
	return out
}

func items(n *strict.Node) []*strict.Node {
	if n == nil {
		return nil
	}
	return n.Items
}
