// Package vendor is a fake of the companies that serve models, for tests: an HTTP handler that speaks
// the wire formats of the Anthropic Messages, OpenAI Chat Completions and Responses, and Gemini APIs,
// streamed and whole, so that the real clients of coding agents complete their turns against it.
//
// It is a fake, and named as one: there is no model. What it answers is decided by a [Script], a
// function from the conversation so far to one reply, a text or a tool call. Replies are cut into
// small pieces ([Vendor.Piece] bytes), as a vendor's are, so that whatever reads the stream has to
// put together what belongs together.
//
// Every request is kept, whole, in the order of arrival: what a vendor saw is what left the house. A
// path that it does not know is answered with 404 and kept too.
//
// A Vendor is safe for concurrent use.
package vendor

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Dialect is the API that a request speaks.
type Dialect string

// The dialects.
const (
	Messages    Dialect = "messages"  // Anthropic
	Completions Dialect = "chat"      // OpenAI Chat Completions
	Responses   Dialect = "responses" // OpenAI Responses
	Gemini      Dialect = "gemini"    // generateContent and streamGenerateContent
)

// A Conversation is what a request holds, as far as a script needs it.
type Conversation struct {
	Dialect Dialect
	Model   string
	Stream  bool
	Tools   []string // names of the tools that may be called
	Results []string // texts of the tool results so far, in order
}

// Has returns the first of names that is among the tools, or "".
func (c Conversation) Has(names ...string) string {
	for _, n := range names {
		if slices.Contains(c.Tools, n) {
			return n
		}
	}
	return ""
}

// A Call asks the client to call a tool.
type Call struct {
	Tool string
	Args map[string]any
}

// A Reply is a text, or a call if there is one.
type Reply struct {
	Text string
	Call *Call
}

// A Script decides what is answered.
type Script func(Conversation) Reply

// A Request is what a client sent.
type Request struct {
	Method, Path string // Path with its query
	Header       http.Header
	Body         []byte
	Known        bool // it was understood
}

// maxBody bounds what is read of a request.
const maxBody = 64 << 20

// A Vendor answers requests.
type Vendor struct {
	Script Script
	Piece  int // bytes of a streamed piece of text or arguments; 0 for 5

	mu   sync.Mutex
	seen []Request
}

// Requests returns what was received so far.
func (v *Vendor) Requests() []Request {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.seen)
}

// Saw reports whether any request held text, in its path, headers or body.
func (v *Vendor) Saw(text string) bool {
	for _, r := range v.Requests() {
		if strings.Contains(r.Path, text) || bytes.Contains(r.Body, []byte(text)) {
			return true
		}
		for _, values := range r.Header {
			if slices.ContainsFunc(values, func(s string) bool { return strings.Contains(s, text) }) {
				return true
			}
		}
	}
	return false
}

// ServeHTTP implements [http.Handler].
func (v *Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client has gone
	}
	answer := v.route(r, body)
	v.mu.Lock()
	v.seen = append(v.seen, Request{Method: r.Method, Path: r.URL.String(), Header: r.Header.Clone(), Body: body, Known: answer != nil})
	v.mu.Unlock()
	if answer == nil {
		http.Error(w, `{"error":{"type":"not_found_error","message":"the fake vendor has no such path"}}`, http.StatusNotFound)
		return
	}
	answer(w)
}

// route returns what answers the request, or nil.
func (v *Vendor) route(r *http.Request, body []byte) func(http.ResponseWriter) {
	p := r.URL.Path
	post := r.Method == http.MethodPost
	switch {
	case r.Method == http.MethodHead || p == "/":
		return func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }
	case post && strings.HasSuffix(p, "/messages/count_tokens"):
		return whole(object{"input_tokens": 42})
	case post && strings.Contains(p, ":countTokens"):
		return whole(object{"totalTokens": 42})
	case strings.HasSuffix(p, "/models") && r.Method == http.MethodGet:
		return whole(object{"object": "list", "data": list{object{"id": "fake-model", "object": "model", "type": "model"}}, "models": list{}})
	case post && strings.HasSuffix(p, "/messages"):
		return v.messages(body)
	case post && strings.HasSuffix(p, "/chat/completions"):
		return v.completions(body)
	case post && strings.HasSuffix(p, "/responses"):
		return v.responses(body)
	case post && (strings.HasSuffix(p, ":generateContent") || strings.HasSuffix(p, ":streamGenerateContent")):
		return v.gemini(p, r.URL.Query().Get("alt") == "sse", body)
	}
	return nil
}

// pieces cuts s into what is streamed at once.
func (v *Vendor) pieces(s string) []string {
	n := v.Piece
	if n <= 0 {
		n = 5
	}
	var out []string
	for chunk := range slices.Chunk([]rune(s), n) {
		out = append(out, string(chunk))
	}
	return out
}
