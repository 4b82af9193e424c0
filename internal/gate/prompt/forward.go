package prompt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// newTransport talks to vendors: no proxy from the environment, no compression that would have to be undone
// to read a stream, no redirects (a RoundTripper follows none), many connections to the same host.
func newTransport(headerTimeout time.Duration) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           2048,
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

var (
	errIdle = errors.New("the vendor said nothing for too long")
	errSlow = errors.New("the client took nothing for too long")
)

// forward sends the request and answers with what comes back. Its record is durable.
func (x *exchange) forward() {
	g := x.g
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	resp, endpoint, attempts, ref := x.send(ctx)
	end := Record{Kind: KindResponse, Endpoint: endpoint, Attempts: attempts}
	if ref != nil {
		end.Outcome, end.Code, end.Text = Unreachable, ref.Code, ref.Text
		if errors.Is(context.Cause(ctx), context.Canceled) {
			end.Outcome = Cancelled
		}
		g.metrics.upstreamFailed(ref.Code)
		x.finish(&end)
		problem(x.w, x.rt.dialect, x.id, ref)
		return
	}
	defer resp.Body.Close()
	a := &answer{x: x, resp: resp, cancel: cancel, rec: &end, commit: newCommitter()}
	end.Status, end.FirstByte = resp.StatusCode, g.o.Clock().Sub(x.began).Microseconds()
	a.idle = time.AfterFunc(g.o.IdleTimeout, func() { cancel(errIdle) })
	defer a.idle.Stop()
	// Should a write to the client fail by panicking (http.ErrAbortHandler), the end is recorded all the same.
	done := false
	defer func() {
		if !done {
			end.Outcome = Cut
			x.finish(&end)
		}
	}()
	a.serve()
	if end.Outcome == Cut && errors.Is(context.Cause(x.r.Context()), context.Canceled) {
		end.Outcome, end.Code = Cancelled, ""
	}
	end.Commitment = a.commit.Commitment()
	done = true
	x.finish(&end)
	if a.broken {
		panic(http.ErrAbortHandler)
	}
}

// finish writes the record of the end and settles the account.
func (x *exchange) finish(end *Record) {
	g := x.g
	x.fill(end)
	end.Stream, end.Models = x.rec.Stream, x.rec.Models
	end.Took = g.o.Clock().Sub(x.began).Microseconds()
	x.settle(end)
	g.metrics.ended(x.rt, end)
	if !g.o.LateEnds {
		x.end(end)
		return
	}
	// The record of the request is durable already. This one says how it ended, and a client that asks again
	// on the same connection would wait for it.
	select {
	case g.ends <- struct{}{}:
		g.ending.Go(func() {
			defer func() { <-g.ends }()
			x.end(end)
		})
	default:
		x.end(end)
	}
}

func (x *exchange) end(end *Record) {
	// The client may be gone.
	if err := x.g.o.Journal.Append(context.WithoutCancel(x.r.Context()), end, nil); err != nil {
		x.g.metrics.journalFailed.Add(1)
		x.g.o.Log("the record of an end could not be written", "request", x.id, "error", err)
	}
}

// settle puts what was used on the caller's account.
func (x *exchange) settle(end *Record) {
	if asks := x.rt.op.kind == kindModel || x.rt.op.kind == kindRule; asks && end.Usage == (Usage{}) && end.Status == http.StatusOK {
		end.Usage = Usage{Input: x.rec.Sent / 4, Output: end.Received / 4, Estimated: true}
	}
	x.lease.end(end.Usage, x.g.o.Clock())
}

// send tries the approved endpoints in turn.
func (x *exchange) send(ctx context.Context) (*http.Response, string, int, *Refusal) {
	g := x.g
	attempts := 0
	var last *Refusal
	for i, e := range x.rt.provider.Endpoints {
		// Also for the first: a model may be approved at another endpoint only.
		if _, ref := x.approvedAt(e.URL, x.models()); ref != nil {
			last = ref
			continue
		}
		if i > 0 && attempts > 0 {
			g.metrics.failovers.Add(1)
		}
		for try := 0; try <= g.o.Retries; try++ {
			if try > 0 {
				g.metrics.retries.Add(1)
				select {
				case <-time.After(time.Duration(100<<min(try, 5)) * time.Millisecond):
				case <-ctx.Done():
				}
			}
			attempts++
			resp, again, ref := x.once(ctx, e)
			if ref == nil {
				return resp, e.URL, attempts, nil
			}
			last = ref
			if !again || ctx.Err() != nil {
				return nil, e.URL, attempts, ref
			}
		}
	}
	return nil, "", attempts, last
}

// once sends the request to one endpoint. again says that it may be sent once more, because it had no effect.
func (x *exchange) once(ctx context.Context, e Endpoint) (resp *http.Response, again bool, ref *Refusal) {
	credential, err := e.Credential(ctx)
	if err != nil {
		x.g.o.Log("the credential of a provider could not be had", "provider", x.rt.provider.Name, "error", err)
		return nil, false, refuse(http.StatusBadGateway, "upstream-credential", "ask whoever runs the gate", "the gate has no credential for %s", x.rt.provider.Name)
	}
	url := e.URL + x.rt.path
	if x.query != "" {
		url += "?" + x.query
	}
	var sent io.Reader
	if x.out != nil {
		sent = bytes.NewReader(x.out)
	}
	// Whether a connection was had decides what may be done again.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), x.r.Method, url, sent)
	if err != nil {
		return nil, false, refuse(http.StatusBadGateway, "upstream-failed", "ask whoever runs the gate", "the request could not be made")
	}
	req.Header = x.header.Clone() // never nil: what passed maskHeaders
	// The transport sends a body once more if none of it was written, which is harmless, and if an
	// Idempotency-Key says that it may, which not every vendor keeps. Under a spelling that it does not look
	// for, the key is the vendor's business alone.
	if key, ok := req.Header["Idempotency-Key"]; ok {
		delete(req.Header, "Idempotency-Key")
		req.Header["idempotency-key"] = key
	}
	for name, v := range credential {
		req.Header[http.CanonicalHeaderKey(name)] = v
	}
	req.Header.Set("Accept-Encoding", "identity")
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header.Set("User-Agent", "sallyport")
	}
	resp, err = x.g.transport.RoundTrip(req) //nolint:bodyclose // forward closes it
	switch {
	case err == nil:
		return resp, false, nil
	case ctx.Err() != nil:
		return nil, false, refuse(http.StatusBadGateway, "cancelled", "", "the client went away")
	}
	x.g.o.Log("a provider did not answer", "provider", x.rt.provider.Name, "request", x.id, "error", err)
	again = !connected.Load() || x.r.Method == http.MethodGet
	status, code := http.StatusBadGateway, "upstream-failed"
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		status, code = http.StatusGatewayTimeout, "upstream-timeout"
	}
	if !connected.Load() {
		code = "upstream-unreachable"
	}
	return nil, again, refuse(status, code, "try again, or ask whoever runs the gate", "%s did not answer", x.rt.provider.Name)
}

// answerHeaders are those of the vendor's that reach the client, beside what begins with answerPrefixes:
// neither cookies nor what would tell the client to go elsewhere.
var (
	answerHeaders  = []string{"Content-Type", "Content-Disposition", "Content-Language", "Date", "Request-Id", "X-Request-Id", "Retry-After", "X-Should-Retry", "Openai-Model", "Openai-Processing-Ms", "Openai-Version", "X-Amzn-Requestid", "X-Models-Etag", "Etag"}
	answerPrefixes = []string{"Anthropic-Ratelimit-", "X-Ratelimit-", "X-Codex-", "X-Amzn-Bedrock-"}
)

func (x *exchange) copyHeaders(from http.Header) {
	to := x.w.Header()
	for name, v := range from {
		ok := false
		for _, h := range answerHeaders {
			ok = ok || h == name
		}
		for _, p := range answerPrefixes {
			ok = ok || strings.HasPrefix(name, p)
		}
		if ok {
			to[name] = v
		}
	}
	to.Set("X-Sallyport-Request", x.id)
	to.Set("X-Content-Type-Options", "nosniff")
}
