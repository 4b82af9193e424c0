// Package prompt is the prompt gate: may this request go to this model?
//
// It is an HTTP gateway that stands between an agent and its model. It speaks the Anthropic Messages,
// OpenAI (Chat Completions and Responses) and Gemini APIs, passes other paths where a [Rule] names them,
// and refuses the rest. For each request it takes the same steps, in this order:
//
//  1. what is asked: the path is one of a dialect's, spelt in the one way that leaves no doubt ([route]);
//  2. who asks: an [Authenticator] turns the token or the client certificate into a [Caller];
//  3. how much: the caller's rates and budgets;
//  4. the body is read, bounded, decompressed and held to one meaning: valid JSON, no key twice, no
//     excessive depth ([scan]);
//  5. is the model approved: every model that the path or the body names, for this principal, repository
//     and endpoint, by the [Registry];
//  6. what must not leave: images, documents, remote references and remote servers by the [Rules], secrets,
//     personal data and never-leave documents by the [Masker];
//  7. the [Journal] makes the record durable;
//  8. only then is the request sent, with the credential of the [Endpoint], which the caller never sees.
//
// A refusal at any step is recorded as well, under a code of its own, and answered in the error form of the
// dialect, so that clients show it and do not try again. If the journal cannot write, nothing is sent.
//
// # What is changed, and what is not
//
// Bodies are spliced, never decoded and encoded again: a field that the gate does not know reaches the
// vendor byte for byte. Masked values are replaced in place. Headers and query parameters pass by an allow
// list, since both could carry what must not leave. The answer's headers pass by a list too.
//
// Streams are read event by event. Text and tool-call deltas have sentinels put back as the [Masker]
// allows; a sentinel that is split across deltas is held back until it is whole, which is never more than
// the longest sentinel. Events are written as they come; a slow reader stops the reading from the vendor,
// so that what is in memory is bounded by one event. A stream that ends before its dialect's last event ends
// for the client with the dialect's error event, and the record says how it ended.
//
// # What is sent twice
//
// Nothing that could have an effect. A request is tried again, or at the next endpoint, only if no
// connection could be made; GET requests also if the connection broke before an answer. A further endpoint
// is used only if the registry approves it for each model of the request.
package prompt

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Limits that hold where [Options] say nothing.
const (
	DefaultMaxBody     = 32 << 20 // what Anthropic and OpenAI take
	DefaultMaxResponse = 64 << 20
	DefaultMaxEvent    = 16 << 20
	DefaultMaxBuffered = 1 << 30 // of bodies of all requests at once
)

// Options say what a gate is made of. The zero value of every rule and list is the closed one.
type Options struct {
	Auth      Authenticator // required
	Registry  Registry      // required
	Masker    Masker        // required
	Journal   Journal       // required
	Providers []Provider    // the first of a dialect answers for it; others are reached as /NAME/…
	Rules     Rules

	MaxBody, MaxResponse int64 // bytes
	MaxEvent             int   // bytes of one event of a stream
	MaxBuffered          int64 // bytes of all bodies that are held at once

	HeaderTimeout time.Duration // until the vendor's answer begins; default 10m
	IdleTimeout   time.Duration // between two reads of it, or two writes to the client; default 5m
	BodyTimeout   time.Duration // until the client's body is there; default 2m
	Retries       int           // further attempts per endpoint when it cannot be reached

	// LateEnds has the records of ends written beside the requests: nobody waits for them, and whoever closes
	// the journal has to call Wait first. Without it a request has ended once its end is durable.
	LateEnds bool

	Transport http.RoundTripper       // nil: one without proxy, compression and HTTP/2 surprises
	Extra     map[string]http.Handler // further paths below /sallyport/, such as a run's hooks
	Clock     func() time.Time        // required
	Log       func(msg string, args ...any)
}

// A Provider is a vendor, or a server that speaks a vendor's dialect.
type Provider struct {
	Name      string
	Dialect   Dialect
	Endpoints []Endpoint // in the order in which they are tried
	Rules     []Rule     // paths that no dialect knows
	Headers   []string   // further request headers that pass, in canonical form
}

// An Endpoint is where requests go. URL has no path's trailing slash.
type Endpoint struct {
	URL string
	// Credential returns the headers that open the endpoint. It is asked for each request, so that a
	// renewed key is used at once, and an error is a refusal.
	Credential func(ctx context.Context) (http.Header, error)
}

// A Rule lets a path pass that no dialect knows. Path's segments are words, "*" for any one segment, and
// "{model}", possibly followed by ":verb", for the model's name. Without {model} there has to be a model in
// the body, or the rule has NoModel.
type Rule struct {
	Methods []string
	Path    string
	NoModel bool
	// Opaque lets bodies pass that are not JSON. Nothing is looked for in them, which the record says.
	Opaque bool
}

// Rules say what passes beside text and tool calls. The zero Rules let nothing else pass.
type Rules struct {
	Images, Documents, Audio, Remote bool // inline media of that kind; references that the vendor fetches
	RemoteServers                    bool // MCP servers that the vendor calls
	Files, Batches, Stored           bool // what is kept at the vendor: files, batches, stored responses
}

// A Caller is who a request comes from, as the [Authenticator] established it.
type Caller struct {
	Principal  sallyport.Principal
	Operator   string
	Run        string
	Repository string
	Use        string // what for, in the registry's words
	Key        string // which key or certificate, by a name that opens nothing
	Session    string // whose sentinels; callers with the same one see each other's
	Limits     Limits
}

// A Credential is what a request brings to say who it is from.
type Credential struct {
	Token      string
	Subject    string // of a verified client certificate: its first URI, DNS name or common name
	Issuer     string
	Repository string // what the client says it works on: a wish, which the authenticator grants or not
}

// An Authenticator turns credentials into callers. An unknown one is [ErrUnknown].
type Authenticator interface {
	Authenticate(ctx context.Context, c Credential) (Caller, error)
}

// ErrUnknown is what an [Authenticator] says of a credential that it does not know.
var ErrUnknown = errors.New("unknown credential")

// A ModelRequest asks whether a model may be used.
type ModelRequest struct {
	Principal  sallyport.Principal
	Repository string
	Provider   string
	Model      string
	Endpoint   string
	Operator   string
	Use        string // the caller's
	Operation  string // messages, chat, responses, generate, count, embed, batch, model, rule, upload
	Time       time.Time
}

// A Verdict is a registry's answer. The zero Verdict refuses.
type Verdict struct {
	Allowed          bool
	Code, Text, Hint string
	Entry            sallyport.Digest // of the entry that was decisive
}

// A Registry knows which models are approved.
type Registry interface {
	Check(ctx context.Context, r ModelRequest) Verdict
}

// A Span is a piece of a body.
type Span struct{ Start, End int }

// A Masker takes out what must not leave, and puts back what may return. It must be safe for
// concurrent use.
type Masker interface {
	// MaskJSON returns body with what must not leave replaced, and how many of each kind. Spans in
	// skip are media, in the order in which they stand; nothing in them is replaced but values that are
	// known to be secret. It may return
	// body itself, and must not change it. A [*Refusal] as error refuses the request.
	MaskJSON(session string, body []byte, skip []Span) (masked []byte, found map[string]int, err error)
	// MaskText is MaskJSON for text that is no JSON.
	MaskText(session string, text []byte) (masked []byte, found map[string]int, err error)
	// Unmask returns what puts originals back in one stream of text. If inJSON, the text is itself
	// JSON, and what is put back is escaped for it. nil: nothing ever is.
	Unmask(session string, where Where, inJSON bool) Unmasker
}

// Where says to which part of an answer originals may return.
type Where int

// The parts of an answer.
const (
	InText Where = iota
	InTool       // arguments of tool calls
)

// An Unmasker puts originals back in a stream. Write appends to dst what can be told of the text so far,
// and holds back no more than what may be the beginning of a sentinel; Flush appends that.
type Unmasker interface {
	Write(dst, text []byte) []byte
	Flush(dst []byte) []byte
}

// A Journal keeps the record. Append returns once r is durable, and an error means that it may not be.
// body is what is about to be sent, for requests; it must not be kept or changed after the return.
type Journal interface {
	Append(ctx context.Context, r *Record, body []byte) error
}

// A Gate is the gateway. It is an [http.Handler].
type Gate struct {
	o         Options
	providers map[string]*Provider
	first     map[Dialect]*Provider
	limits    *limiter
	metrics   *metrics
	transport http.RoundTripper
	buffered  atomic.Int64
	draining  atomic.Bool
	strangers strangers
	ends      chan struct{}  // a place for each record of an end that is being written
	ending    sync.WaitGroup // those
}

// New checks options and makes a gate.
func New(o Options) (*Gate, error) {
	switch {
	case o.Auth == nil, o.Registry == nil, o.Masker == nil, o.Journal == nil, o.Clock == nil:
		return nil, errors.New("prompt gate: an authenticator, a registry, a masker, a journal and a clock are needed")
	case len(o.Providers) == 0:
		return nil, errors.New("prompt gate: no provider is configured")
	}
	o.MaxBody, o.MaxResponse = positive(o.MaxBody, DefaultMaxBody), positive(o.MaxResponse, DefaultMaxResponse)
	o.MaxEvent, o.MaxBuffered = positive(o.MaxEvent, DefaultMaxEvent), positive(o.MaxBuffered, DefaultMaxBuffered)
	o.HeaderTimeout = positive(o.HeaderTimeout, 10*time.Minute)
	o.IdleTimeout = positive(o.IdleTimeout, 5*time.Minute)
	o.BodyTimeout = positive(o.BodyTimeout, 2*time.Minute)
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	g := &Gate{o: o, providers: map[string]*Provider{}, first: map[Dialect]*Provider{}, limits: newLimiter(), metrics: newMetrics(), ends: make(chan struct{}, maxEnds)}
	for i := range o.Providers {
		p := &o.Providers[i]
		if err := g.add(p); err != nil {
			return nil, fmt.Errorf("prompt gate: provider %q: %w", p.Name, err)
		}
	}
	if g.transport = o.Transport; g.transport == nil {
		g.transport = newTransport(o.HeaderTimeout)
	}
	return g, nil
}

func positive[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

func (g *Gate) add(p *Provider) error {
	switch {
	case !validName(p.Name):
		return errors.New("a name has small letters, digits and dashes, and is no version such as v1")
	case g.providers[p.Name] != nil:
		return errors.New("stands twice")
	case len(p.Endpoints) == 0:
		return errors.New("has no endpoint")
	case p.Dialect == Opaque && len(p.Rules) == 0:
		return errors.New("has no dialect and no rule, so that nothing could pass")
	}
	for _, e := range p.Endpoints {
		if e.Credential == nil || e.URL == "" || strings.HasSuffix(e.URL, "/") {
			return errors.New("an endpoint has no credential, no URL or a slash at its end")
		}
	}
	for i := range p.Rules {
		if err := p.Rules[i].check(); err != nil {
			return err
		}
	}
	g.providers[p.Name] = p
	if g.first[p.Dialect] == nil && p.Dialect != Opaque {
		g.first[p.Dialect] = p
	}
	return nil
}

// validName keeps a provider's name from being taken for the first segment of a dialect's path.
func validName(s string) bool {
	if s == "" || len(s) > 40 || s == "sallyport" || s == "upload" || s == "model" || len(s) > 1 && s[0] == 'v' && s[1] >= '0' && s[1] <= '9' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0) {
			return false
		}
	}
	return true
}

// maxEnds is how many records of ends are written beside their requests.
const maxEnds = 1024

// Wait returns once the records of all requests that ended are durable. It is called when no more are
// served, before the journal is closed.
func (g *Gate) Wait() { g.ending.Wait() }

// Drain makes the gate say that it is not ready, and refuse what is new. What runs goes on.
func (g *Gate) Drain() { g.draining.Store(true) }

// newID returns a name for a request: its time, so that names sort, and chance.
func (g *Gate) newID() string {
	var b [14]byte
	ms := g.o.Clock().UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	_, _ = rand.Read(b[6:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
