package prompt

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// A Dialect is a vendor's way to ask a model.
type Dialect string

// The dialects.
const (
	Opaque    Dialect = "" // none: only a provider's rules say what passes
	Anthropic Dialect = "anthropic"
	OpenAI    Dialect = "openai"
	Gemini    Dialect = "gemini"
)

// An operation is what a request of a dialect asks for.
type operation struct {
	name   string
	kind   kind
	models bool // a body of this operation names a model
	rule   *Rule
}

// A kind groups operations that are treated alike.
type kind int

const (
	kindModel  kind = iota // a body goes to a model
	kindList               // what models there are, and what became of a batch: no body
	kindFile               // files at the vendor
	kindUpload             // a file goes to the vendor
	kindBatch              // many bodies go to models
	kindStored             // what the vendor stored of earlier answers
	kindAlive              // answered here
	kindRule               // passed by rule
)

// A route is where a request leads.
type route struct {
	provider *Provider
	dialect  Dialect
	op       operation
	model    string // named by the path
	path     string // at the vendor, escaped
	shape    string // path without names of things, for the record
	stream   bool   // the path asks for a stream
}

// problem writes a refusal in the dialect's form.
func problem(w http.ResponseWriter, d Dialect, id string, r *Refusal) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Sallyport-Reason", r.Code)
	h.Set("X-Sallyport-Request", id)
	if r.Status < 500 {
		h.Set("X-Should-Retry", strconv.FormatBool(r.RetryAfter > 0)) // which the vendors' libraries follow
	}
	h.Set("Cache-Control", "no-store")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(r.RetryAfter.Seconds())+1))
	}
	if r.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(append(errorBody(d, id, r), '\n'))
}

// message is what a person reads.
func message(r *Refusal) string {
	s := "sallyport: " + r.Code + ": " + r.Text
	if r.Hint != "" {
		s += " (next: " + r.Hint + ")"
	}
	return s
}

// errorBody is a refusal as the dialect's error object.
func errorBody(d Dialect, id string, r *Refusal) []byte {
	var v any
	switch d {
	case Anthropic:
		v = map[string]any{"type": "error", "error": map[string]any{"type": anthropicType(r.Status), "message": message(r)}, "request_id": id}
	case Gemini:
		v = map[string]any{"error": map[string]any{"code": r.Status, "message": message(r), "status": googleStatus(r.Status),
			"details": []any{map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": r.Code, "domain": "sallyport"}}}}
	default:
		v = map[string]any{"error": map[string]any{"message": message(r), "type": openAIType(r.Status), "code": r.Code, "param": nil}}
	}
	b, err := json.Marshal(v)
	if err != nil { // strings and numbers: it cannot be
		return []byte(`{"error":{"message":"sallyport refused the request"}}`)
	}
	return b
}

func anthropicType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	}
	if status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

func openAIType(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "rate_limit_exceeded"
	case status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

func googleStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	}
	if status >= 500 {
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

// errorEvent is the event that ends a stream of the dialect with an error.
func errorEvent(rt *route, id string, r *Refusal) []byte {
	body := string(errorBody(rt.dialect, id, r))
	switch {
	case rt.dialect == Anthropic:
		return []byte("event: error\ndata: " + body + "\n\n")
	case rt.dialect == OpenAI && rt.op.name == "responses":
		b, err := json.Marshal(map[string]any{"type": "error", "code": r.Code, "message": message(r), "param": nil})
		if err == nil {
			body = string(b)
		}
		return []byte("event: error\ndata: " + body + "\n\n")
	}
	return []byte("data: " + body + "\n\n")
}

// bearer takes the token out of a header's value.
func bearer(v string) (string, bool) {
	scheme, token, ok := strings.Cut(v, " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}
