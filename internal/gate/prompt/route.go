package prompt

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Bounds of what is in a request line.
const (
	maxPath    = 1024
	maxSegment = 256
	maxQuery   = 2048
)

// cleanPath returns the segments of a path that has one reading: no empty or dot segments, no escapes but
// that of the colon, nothing that a server behind could take for a separator.
func cleanPath(r *http.Request) ([]string, *Refusal) {
	raw := r.URL.EscapedPath()
	bad := func(what string) ([]string, *Refusal) {
		return nil, refuse(http.StatusBadRequest, "path-refused", "use the path as the vendor documents it", "the path %s", what)
	}
	if r.URL.IsAbs() || r.URL.Opaque != "" || r.Method == http.MethodConnect {
		return bad("is a whole address: this is no forward proxy")
	}
	if len(raw) > maxPath {
		return bad(fmt.Sprintf("is longer than %d bytes", maxPath))
	}
	if raw == "" || raw == "/" {
		return nil, nil
	}
	if raw[0] != '/' || strings.HasSuffix(raw, "/") {
		return bad("begins with no slash or ends with one")
	}
	segments := strings.Split(raw[1:], "/")
	for i, s := range segments {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "%3A", ":"), "%3a", ":")
		if s == "" || s == "." || s == ".." || len(s) > maxSegment {
			return bad("has an empty, a dot or an overlong segment")
		}
		for j := range len(s) {
			if c := s[j]; !isWord(c) && c != '.' && c != '~' && c != ':' && c != '@' {
				return bad(fmt.Sprintf("has the byte %q", string(rune(c))))
			}
		}
		segments[i] = s
	}
	return segments, nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// plainNames are the query parameters that pass, for all dialects: pages of lists, and what changes nothing
// but the form of the answer.
var plainNames = []string{"after", "after_id", "alt", "api-version", "before", "before_id", "beta", "include", "limit", "order", "pageSize", "pageToken", "purpose", "starting_after", "stream"}

// credentialNames are dropped: they are how clients send the token.
var credentialNames = []string{"key", "access_token"}

// cleanQuery returns the query that is sent on, and the token that was in it.
func cleanQuery(raw string) (query, token string, alt string, ref *Refusal) {
	bad := func(format string, args ...any) (string, string, string, *Refusal) {
		return "", "", "", refuse(http.StatusBadRequest, "query-refused", "leave the parameter out", format, args...)
	}
	if raw == "" {
		return "", "", "", nil
	}
	if len(raw) > maxQuery || strings.Contains(raw, ";") {
		return bad("the query is longer than %d bytes or has a semicolon", maxQuery)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return bad("the query cannot be read")
	}
	out := url.Values{}
	for name, v := range values {
		if len(v) != 1 {
			return bad("the query has %.40q twice", name)
		}
		if slices.Contains(credentialNames, name) {
			if token != "" {
				return bad("the query has two credentials")
			}
			token = v[0]
			continue
		}
		plain := strings.TrimSuffix(name, "[]")
		if !slices.Contains(plainNames, plain) {
			return bad("the query has %.40q, which is not known here", name)
		}
		for i := range len(v[0]) {
			if c := v[0][i]; !isWord(c) && !strings.ContainsRune(".,=+/:", rune(c)) || i >= maxSegment {
				return bad("the value of %.40q in the query is overlong or has an odd byte", name)
			}
		}
		out.Set(name, v[0])
	}
	alt = values.Get("alt")
	if alt != "" && alt != "sse" && alt != "json" {
		return bad("alt=%.40q is not known here", alt)
	}
	return out.Encode(), token, alt, nil
}

// route says where a request leads. segments are those of [cleanPath].
func (g *Gate) route(r *http.Request, segments []string) (*route, *Refusal) {
	if len(segments) == 0 {
		if r.Method == http.MethodHead || r.Method == http.MethodGet {
			return &route{op: operation{name: "alive", kind: kindAlive}, shape: "/"}, nil
		}
		return nil, unknownPath(r.Method, "/")
	}
	p := g.providers[segments[0]]
	if p != nil {
		segments = segments[1:]
		if len(segments) == 0 {
			if r.Method == http.MethodHead || r.Method == http.MethodGet {
				return &route{provider: p, dialect: p.Dialect, op: operation{name: "alive", kind: kindAlive}, shape: "/"}, nil
			}
			return nil, unknownPath(r.Method, "/")
		}
	}
	guess := dialectOf(r, segments)
	d := guess
	if p != nil {
		d = p.Dialect
	} else {
		p = g.first[d]
	}
	if p != nil && d != Opaque {
		if rt := dialectRoute(d, r.Method, segments); rt != nil {
			rt.provider, rt.dialect = p, d
			return rt, nil
		}
	}
	// A rule of the provider that the path names or, if it names none, of any provider.
	for i := range g.o.Providers {
		q := &g.o.Providers[i]
		if named := g.providers[firstSegment(r)]; named != nil && named != q {
			continue
		}
		for j := range q.Rules {
			if rt := q.Rules[j].match(r.Method, segments); rt != nil {
				rt.provider, rt.dialect = q, q.Dialect
				return rt, nil
			}
		}
	}
	ref := unknownPath(r.Method, "/"+strings.Join(segments, "/"))
	return &route{provider: p, dialect: guess}, ref
}

func firstSegment(r *http.Request) string {
	s, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	return s
}

func unknownPath(method, path string) *Refusal {
	return refuse(http.StatusNotFound, "endpoint-unknown", "a rule of the provider can let it pass (docs/prompt-gate.md)",
		"%s %.200s is no request that this gate understands", method, path)
}

// dialectOf tells from a path, and where paths are alike from a header, which dialect is spoken.
func dialectOf(r *http.Request, s []string) Dialect {
	if len(s) > 1 && s[0] == "upload" || len(s) > 0 && (s[0] == "v1beta" || s[0] == "v1alpha") {
		return Gemini
	}
	if len(s) > 1 && strings.Contains(s[len(s)-1], ":") && (s[1] == "models" || s[1] == "tunedModels") {
		return Gemini
	}
	if len(s) > 1 && s[1] == "messages" || r.Header.Get("Anthropic-Version") != "" {
		return Anthropic
	}
	return OpenAI
}

func dialectRoute(d Dialect, method string, s []string) *route {
	switch d {
	case Anthropic:
		return anthropicRoute(method, s)
	case OpenAI:
		return openAIRoute(method, s)
	case Gemini:
		return geminiRoute(method, s)
	}
	return nil
}

// A pattern is a request of a dialect. ":id" stands for the name of a thing, ":model" for a model's.
type pattern struct {
	method, path string
	op           operation
}

func find(patterns []pattern, method string, s []string) *route {
	for i := range patterns {
		p := &patterns[i]
		if p.method != method {
			continue
		}
		want := strings.Split(p.path, "/")
		if len(want) != len(s) {
			continue
		}
		rt := &route{op: p.op, path: "/" + strings.Join(s, "/"), shape: "/" + p.path}
		ok := true
		for j, w := range want {
			switch w {
			case ":id":
			case ":model":
				rt.model = s[j]
			default:
				ok = ok && w == s[j]
			}
		}
		if ok {
			return rt
		}
	}
	return nil
}

var (
	opList   = operation{name: "models", kind: kindList}
	opModel  = operation{name: "model", kind: kindList, models: true}
	opFile   = operation{name: "files", kind: kindFile}
	opUpload = operation{name: "upload", kind: kindUpload}
	opBatch  = operation{name: "batches", kind: kindBatch}
	opStored = operation{name: "stored", kind: kindStored}
)

func ask(name string) operation { return operation{name: name, kind: kindModel, models: true} }

var anthropicPatterns = []pattern{
	{"POST", "v1/messages", ask("messages")},
	{"POST", "v1/messages/count_tokens", ask("count")},
	{"GET", "v1/models", opList},
	{"GET", "v1/models/:model", opModel},
	{"POST", "v1/messages/batches", operation{name: "batch", kind: kindBatch, models: true}},
	{"GET", "v1/messages/batches", opBatch},
	{"GET", "v1/messages/batches/:id", opBatch},
	{"GET", "v1/messages/batches/:id/results", opBatch},
	{"POST", "v1/messages/batches/:id/cancel", opBatch},
	{"DELETE", "v1/messages/batches/:id", opBatch},
	{"POST", "v1/files", opUpload},
	{"GET", "v1/files", opFile},
	{"GET", "v1/files/:id", opFile},
	{"GET", "v1/files/:id/content", opFile},
	{"DELETE", "v1/files/:id", opFile},
}

func anthropicRoute(method string, s []string) *route { return find(anthropicPatterns, method, s) }

var openAIPatterns = []pattern{
	{"POST", "v1/chat/completions", ask("chat")},
	{"POST", "v1/responses", ask("responses")},
	{"POST", "v1/responses/input_tokens", ask("count")},
	{"POST", "v1/responses/compact", ask("compact")},
	{"POST", "v1/embeddings", ask("embed")},
	{"GET", "v1/models", opList},
	{"GET", "v1/models/:model", opModel},
	{"GET", "v1/responses/:id", opStored},
	{"GET", "v1/responses/:id/input_items", opStored},
	{"POST", "v1/responses/:id/cancel", opStored},
	{"DELETE", "v1/responses/:id", opStored},
	{"POST", "v1/files", opUpload},
	{"GET", "v1/files", opFile},
	{"GET", "v1/files/:id", opFile},
	{"GET", "v1/files/:id/content", opFile},
	{"DELETE", "v1/files/:id", opFile},
	{"POST", "v1/batches", operation{name: "batch", kind: kindBatch}}, // its models are in a file, looked at when it was sent
	{"GET", "v1/batches", opBatch},
	{"GET", "v1/batches/:id", opBatch},
	{"POST", "v1/batches/:id/cancel", opBatch},
}

func openAIRoute(method string, s []string) *route { return find(openAIPatterns, method, s) }

var geminiVerbs = map[string]operation{
	"generateContent":       ask("generate"),
	"streamGenerateContent": ask("generate"),
	"countTokens":           ask("count"),
	"embedContent":          ask("embed"),
	"batchEmbedContents":    ask("embed"),
	"batchGenerateContent":  {name: "batch", kind: kindBatch, models: true},
}

var geminiPatterns = []pattern{
	{"GET", "models", opList},
	{"GET", "models/:model", opModel},
	{"GET", "files", opFile},
	{"GET", "files/:id", opFile},
	{"DELETE", "files/:id", opFile},
	{"GET", "batches", opBatch},
	{"GET", "batches/:id", opBatch},
	{"DELETE", "batches/:id", opBatch},
}

func geminiRoute(method string, s []string) *route {
	if len(s) < 2 || s[0] != "v1" && s[0] != "v1beta" && s[0] != "v1alpha" {
		return nil
	}
	version := s[0]
	if method == http.MethodPost && len(s) == 3 && (s[1] == "models" || s[1] == "tunedModels") {
		model, verb, ok := strings.Cut(s[2], ":")
		op, known := geminiVerbs[verb]
		if !ok || !known || model == "" {
			return nil
		}
		if s[1] == "tunedModels" {
			model = "tunedModels/" + model
		}
		stream := verb == "streamGenerateContent"
		return &route{op: op, model: model, path: "/" + strings.Join(s, "/"), shape: "/" + version + "/" + s[1] + "/:model:" + verb, stream: stream}
	}
	rt := find(geminiPatterns, method, s[1:])
	if rt != nil {
		rt.path, rt.shape = "/"+version+rt.path, "/"+version+rt.shape
	}
	return rt
}

// check refuses rules that would match what nobody meant.
func (r *Rule) check() error {
	segments := strings.Split(strings.TrimPrefix(r.Path, "/"), "/")
	models := 0
	for i, s := range segments {
		name, _, _ := strings.Cut(s, ":")
		switch {
		case s == "*" && i > 0:
		case name == "{model}":
			models++
		case s == "" || strings.ContainsAny(s, "*{}%?#"):
			return fmt.Errorf("the path %q of a rule has a segment that is neither a word, nor *, nor {model}, or begins with *", r.Path)
		}
	}
	if r.Path == "" || r.Path[0] != '/' || len(r.Methods) == 0 || models > 1 || models == 1 && r.NoModel {
		return fmt.Errorf("the rule %q needs a path that begins with a slash, methods, and {model} once or a word that there is none", r.Path)
	}
	return nil
}

// match returns the route by which the rule lets the request pass, or nil.
func (r *Rule) match(method string, s []string) *route {
	want := strings.Split(strings.TrimPrefix(r.Path, "/"), "/")
	if len(want) != len(s) || !slices.Contains(r.Methods, method) {
		return nil
	}
	rt := &route{op: operation{name: "rule", kind: kindRule, models: !r.NoModel, rule: r}, path: "/" + strings.Join(s, "/"), shape: r.Path}
	for i, w := range want {
		switch {
		case w == "*" || w == s[i]:
		case w == "{model}":
			rt.model = s[i]
		case strings.HasPrefix(w, "{model}:"):
			model, ok := strings.CutSuffix(s[i], strings.TrimPrefix(w, "{model}"))
			if !ok || model == "" {
				return nil
			}
			rt.model = model
		default:
			return nil
		}
	}
	return rt
}
