package prompt

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// identify establishes who asks. A credential may stand in several places, as clients put it there, if it
// is the same in all.
func (x *exchange) identify() *Refusal {
	var token string
	give := func(s string) bool {
		if s == "" || s == token {
			return true
		}
		if token != "" {
			return false
		}
		token = s
		return true
	}
	h := x.r.Header
	query, inQuery, alt, ref := cleanQuery(x.r.URL.RawQuery)
	if ref != nil {
		return ref
	}
	x.query, x.alt = query, alt
	ok := give(inQuery)
	for _, name := range []string{"X-Api-Key", "X-Goog-Api-Key", "Api-Key"} {
		for _, v := range h.Values(name) {
			ok = ok && give(v)
		}
	}
	for _, v := range h.Values("Authorization") {
		t, isBearer := bearer(v)
		ok = ok && isBearer && give(t)
	}
	if !ok {
		return refuse(http.StatusUnauthorized, "credential-ambiguous", "send one token, as a bearer token or an API key", "the request brings two different credentials, or one that is no bearer token")
	}
	c := Credential{Token: token, Repository: h.Get("X-Sallyport-Repository")}
	if len(token) > 16<<10 || len(c.Repository) > 256 {
		return refuse(http.StatusUnauthorized, "credential-unknown", "", "the credential is too long")
	}
	if t := x.r.TLS; t != nil && len(t.VerifiedChains) > 0 {
		leaf := t.VerifiedChains[0][0]
		c.Issuer = leaf.Issuer.String()
		switch {
		case len(leaf.URIs) > 0:
			c.Subject = leaf.URIs[0].String()
		case len(leaf.DNSNames) > 0:
			c.Subject = leaf.DNSNames[0]
		default:
			c.Subject = leaf.Subject.CommonName
		}
	}
	if c.Token == "" && c.Subject == "" {
		return refuse(http.StatusUnauthorized, "credential-missing", "send the virtual key as the API key (sallyport proxy key makes one)", "the request does not say who it is from")
	}
	caller, err := x.g.o.Auth.Authenticate(x.r.Context(), c)
	var own *Refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, ErrUnknown):
		return refuse(http.StatusUnauthorized, "credential-unknown", "use a virtual key of this gate, not the vendor's", "the credential is none that this gate knows")
	case err != nil:
		x.g.o.Log("a credential could not be looked up", "request", x.id, "error", err)
		return refuse(http.StatusServiceUnavailable, "credential-undecided", "ask whoever runs the gate", "who the request is from could not be found out")
	}
	x.caller, x.known = caller, true
	return nil
}

// receive reads the body, as far as the operation has one.
func (x *exchange) receive() *Refusal {
	r := x.r
	hasBody := r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete {
		if hasBody {
			return refuse(http.StatusBadRequest, "body-refused", "leave the body out", "a %s request has a body", r.Method)
		}
		return nil
	}
	if !hasBody {
		if x.rt.op.kind == kindStored || x.rt.op.kind == kindBatch && !x.rt.op.models {
			return nil // an order to cancel
		}
		return bodyRefused("is empty")
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return refuse(http.StatusUnsupportedMediaType, "body-refused", "send UTF-8", "the body is said to be %.40q", cs)
	}
	raw, ref := x.readAll()
	if ref != nil {
		return ref
	}
	x.rec.Received = int64(len(raw))
	switch {
	case x.rt.op.kind == kindUpload && mediaType == "multipart/form-data":
		return x.upload(raw, params["boundary"])
	case mediaType == "application/json":
		x.body, ref = x.rt.read(raw)
		return ref
	case x.rt.op.rule != nil && x.rt.op.rule.Opaque:
		if x.rt.op.models && x.rt.model == "" {
			return refuse(http.StatusBadRequest, "model-missing", "", "the rule for this path does not say where the model is named")
		}
		x.out, x.rec.Opaque = raw, true
		return nil
	}
	return refuse(http.StatusUnsupportedMediaType, "body-refused", "send application/json", "the body is of type %.80q", r.Header.Get("Content-Type"))
}

// readAll reads the body within its bound and undoes gzip, within the same bound.
func (x *exchange) readAll() ([]byte, *Refusal) {
	g := x.g
	rc := http.NewResponseController(x.w)
	_ = rc.SetReadDeadline(time.Now().Add(g.o.BodyTimeout)) //nolint:forbidigo // a deadline of the socket, which knows no other clock
	limit := g.o.MaxBody
	tooLarge := refuse(http.StatusRequestEntityTooLarge, "body-too-large", "send less", "the body is larger than %d bytes", limit)
	if x.r.ContentLength > limit {
		return nil, tooLarge
	}
	var in io.Reader = x.r.Body
	switch enc := strings.ToLower(strings.TrimSpace(strings.Join(x.r.Header.Values("Content-Encoding"), ","))); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(io.LimitReader(x.r.Body, limit+1))
		if err != nil {
			return nil, bodyRefused("is no gzip")
		}
		in = z
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, "encoding-refused", "send it as it is, or as gzip", "the body is encoded as %.40q", enc)
	}
	size := int64(32 << 10)
	if n := x.r.ContentLength; n > 0 {
		size = min(n+1, 1<<20) // as much as is said to come, but a promise of much buys little
	}
	if !x.hold(size) {
		return nil, busy()
	}
	buf := make([]byte, 0, size)
	for {
		if len(buf) == cap(buf) {
			if !x.hold(int64(cap(buf))) {
				return nil, busy()
			}
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return nil, tooLarge
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "body-incomplete", "send it again", "the body ended before its end, or could not be decompressed")
		}
	}
	_ = rc.SetReadDeadline(time.Time{})
	return buf, nil
}

// hold counts bytes against what all requests may hold at once.
func (x *exchange) hold(n int64) bool {
	x.held += n
	return x.g.buffered.Add(n) <= x.g.o.MaxBuffered
}

func busy() *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Code: "busy", Text: "the gate holds as many bodies as it may", Hint: "try again", RetryAfter: time.Second}
}

// passes are the request headers that are sent on, beside those that begin with one of passPrefixes and
// those that the provider's configuration names. All others stay here: credentials, cookies, addresses
// of proxies, and names that nobody looked at.
var (
	passes       = []string{"Accept", "Accept-Language", "Content-Type", "Conversation-Id", "Idempotency-Key", "Openai-Beta", "Originator", "Session-Id", "Session_id", "Thread-Id", "User-Agent", "Version", "X-App", "X-Client-Request-Id", "X-Goog-Api-Client", "X-Initiator", "X-Request-Id", "X-Session-Id", "X-Server-Timeout"}
	passPrefixes = []string{"Anthropic-", "X-Claude-Code-", "X-Codex-", "X-Stainless-", "X-Amzn-Bedrock-"}
)

// maxHeader bounds one value, and maxHeaders all of them.
const (
	maxHeader  = 8 << 10
	maxHeaders = 64
)

// maskHeaders refuses headers, paths and queries that carry what must not leave.
func (x *exchange) maskHeaders() *Refusal {
	_, found, err := x.g.o.Masker.MaskText(x.caller.Session, []byte(x.rt.path+" "+x.query))
	if err != nil {
		return maskRefusal(err)
	}
	if len(found) > 0 {
		return refuse(http.StatusForbidden, "path-refused", "take it out of the path", "the path or the query holds what must not leave")
	}
	// What is looked at here is what is sent: it is chosen once.
	if x.header = x.passing(); len(x.header) > maxHeaders {
		return refuse(http.StatusBadRequest, "header-refused", "send fewer headers", "more than %d headers would be sent on", maxHeaders)
	}
	for name, values := range x.header {
		for _, v := range append([]string{name}, values...) {
			if len(v) > maxHeader {
				return refuse(http.StatusBadRequest, "header-refused", "", "the header %s is longer than %d bytes", name, maxHeader)
			}
			_, found, err := x.g.o.Masker.MaskText(x.caller.Session, []byte(v))
			if err != nil {
				return maskRefusal(err)
			}
			if len(found) > 0 {
				return refuse(http.StatusForbidden, "header-refused", "take it out of the header", "the header %s, or its name, holds what must not leave", x.clean(name))
			}
		}
	}
	return nil
}

// passing returns the headers that are sent on.
func (x *exchange) passing() http.Header {
	out := http.Header{}
	for name, values := range x.r.Header {
		if passHeader(name, x.rt.provider.Headers) {
			out[name] = values
		}
	}
	return out
}

func passHeader(name string, more []string) bool {
	for _, list := range [][]string{passes, more} {
		for _, p := range list {
			if p == name {
				return true
			}
		}
	}
	for _, p := range passPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
