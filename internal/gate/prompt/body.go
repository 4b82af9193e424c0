package prompt

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// maxModel bounds a model's name, maxModels how many one request may name.
const (
	maxModel  = 200
	maxModels = 64
)

// A body is what a request brings, once it was read.
type body struct {
	raw    []byte
	facts  *facts // nil if it is no JSON object
	stream bool
	models []string
}

// decisive are the names of outermost members that decide something, in the spelling that counts. The same
// word in other letters is refused: a lenient server might take it for this one.
var decisive = []string{"model", "models", "stream", "messages", "input", "contents", "requests", "tools", "mcp_servers"}

// read understands a JSON body as one of the route's.
func (rt *route) read(raw []byte) (*body, *Refusal) {
	f, ref := scan(raw)
	if ref != nil {
		return nil, ref
	}
	b := &body{raw: raw, facts: f}
	for _, m := range f.top {
		for _, d := range decisive {
			if m.name != d && strings.EqualFold(m.name, d) {
				return nil, bodyRefused("has %.40q beside or instead of %q", m.name, d)
			}
		}
	}
	if err := b.findModels(rt); err != nil {
		return nil, err
	}
	b.stream = rt.stream || bytes.Equal(f.get(raw, "stream"), []byte("true"))
	if s := f.get(raw, "stream"); s != nil && !slices.Contains([]string{"true", "false", "null"}, string(s)) {
		return nil, bodyRefused("has a stream that is neither true nor false")
	}
	return b, nil
}

// findModels collects each model that the path or the body names. Path and body have to agree.
func (b *body) findModels(rt *route) *Refusal {
	add := func(v []byte) *Refusal {
		if v == nil {
			return nil
		}
		s, ok := text(v)
		if !ok {
			return bodyRefused("has a model that is no string")
		}
		if rt.dialect == Gemini {
			s = strings.TrimPrefix(s, "models/")
		}
		return b.addModel(s)
	}
	if rt.model != "" {
		if ref := b.addModel(rt.model); ref != nil {
			return ref
		}
	}
	if ref := add(b.facts.get(b.raw, "model")); ref != nil {
		return ref
	}
	if rt.dialect == Gemini {
		if ref := add(get(b.raw, "generateContentRequest", "model")); ref != nil {
			return ref
		}
	}
	if rt.model != "" && len(b.models) > 1 {
		return refuse(http.StatusBadRequest, "model-ambiguous", "name one model", "the path names the model %q and the body %q", b.models[0], b.models[1])
	}
	// Servers that speak a dialect have further names for models to fall back on: each has to be approved.
	var ref *Refusal
	for _, m := range b.facts.top {
		if lower := strings.ToLower(m.name); m.name == "model" || !strings.HasSuffix(lower, "model") && !strings.HasSuffix(lower, "models") {
			continue
		}
		v := b.raw[m.start:m.end]
		if v[0] == '"' {
			ref = add(v)
		}
		each(v, func(v []byte) bool { ref = add(v); return ref == nil })
		if ref != nil {
			return ref
		}
	}
	each(b.facts.get(b.raw, "tools"), func(v []byte) bool { ref = add(get(v, "model")); return ref == nil })
	if ref != nil {
		return ref
	}
	if rt.op.kind == kindBatch || rt.op.name == "embed" {
		n := len(b.models)
		each(b.facts.get(b.raw, "requests"), func(v []byte) bool {
			for _, m := range [][]byte{get(v, "params", "model"), get(v, "model"), get(v, "request", "model")} {
				if ref = add(m); ref != nil {
					return false
				}
			}
			return true
		})
		if ref != nil {
			return ref
		}
		if rt.model != "" && len(b.models) > n {
			return refuse(http.StatusBadRequest, "model-ambiguous", "name one model", "the path names the model %q and the batch %q", rt.model, b.models[n])
		}
	}
	if rt.op.models && len(b.models) == 0 {
		return refuse(http.StatusBadRequest, "model-missing", "name an approved model", "the request names no model")
	}
	return nil
}

func (b *body) addModel(s string) *Refusal {
	if s == "" || len(s) > maxModel || strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r > 0x7e }) {
		return refuse(http.StatusBadRequest, "model-malformed", "name an approved model", "the model's name is empty, longer than %d bytes or has other letters than visible ASCII", maxModel)
	}
	if !slices.Contains(b.models, s) {
		if len(b.models) == maxModels {
			return refuse(http.StatusBadRequest, "model-ambiguous", "name fewer models", "the request names more than %d models", maxModels)
		}
		b.models = append(b.models, s)
	}
	return nil
}

// maxToolNames bounds what the record holds of a request's tools.
const maxToolNames = 128

// toolNames are the names of the tools that a request offers, in the forms of the dialects.
func toolNames(tools []byte) []string {
	var out []string
	add := func(v []byte) bool {
		if s, ok := text(v); ok && len(s) <= 128 && len(out) < maxToolNames {
			out = append(out, s)
			return true
		}
		return false
	}
	each(tools, func(v []byte) bool {
		if !add(get(v, "name")) && !add(get(v, "function", "name")) {
			n := len(out)
			each(get(v, "functionDeclarations"), func(f []byte) bool { return add(get(f, "name")) })
			if len(out) == n {
				add(get(v, "type"))
			}
		}
		return len(out) < maxToolNames
	})
	return out
}

// judge holds what is no text to the rules.
func (r *Rules) judge(f *facts) (map[string]int, *Refusal) {
	var found map[string]int
	for _, m := range f.media {
		ok := false
		switch m.kind {
		case "image":
			ok = r.Images
		case "document":
			ok = r.Documents
		case "audio":
			ok = r.Audio
		case "remote":
			ok = r.Remote
		case "file":
			ok = r.Files
		}
		if !ok {
			hint := "leave it out, or have prompt.pass allow " + m.kind + " (docs/prompt-gate.md)"
			if m.kind == "unknown" {
				hint = "send an image, a document or a recording as what it is"
			}
			return nil, refuse(http.StatusForbidden, "media-refused", hint, "the body holds a part of kind %s, which no rule lets pass", m.kind)
		}
		if found == nil {
			found = map[string]int{}
		}
		found[m.kind]++
	}
	if len(f.servers) > 0 && !r.RemoteServers {
		return nil, refuse(http.StatusForbidden, "server-refused", "run the MCP server yourself, or have prompt.pass allow remote-servers",
			"the body asks the vendor to call the MCP server %.200q", f.servers[0])
	}
	return found, nil
}

// skips are the parts of a body in which nothing is to be replaced.
func (f *facts) skips() []Span {
	var out []Span
	for _, m := range f.media {
		if m.End > m.Start && m.kind != "unknown" {
			out = append(out, m.Span)
		}
	}
	slices.SortFunc(out, func(a, b Span) int { return a.Start - b.Start })
	return out
}

// text decodes a JSON string.
func text(v []byte) (string, bool) {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return "", false
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1]), true
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err == nil
}
