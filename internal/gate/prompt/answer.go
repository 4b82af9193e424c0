package prompt

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An answer is what a vendor sends back, on its way to the client.
type answer struct {
	x      *exchange
	resp   *http.Response
	cancel context.CancelCauseFunc
	rec    *Record
	commit *committer
	calls  map[string]bool // those that were counted
	idle   *time.Timer
	broken bool // the client's connection is to be broken once the end is recorded
	gone   bool // the client takes nothing any more
	rc     *http.ResponseController
}

// Read reads from the vendor.
func (a *answer) Read(b []byte) (int, error) {
	n, err := a.resp.Body.Read(b)
	a.idle.Reset(a.x.g.o.IdleTimeout)
	a.rec.Received += int64(n)
	a.commit.Write(b[:n])
	return n, err
}

// Write writes to the client. It waits for a slow one, which is what keeps memory bounded: while it waits
// nothing is read.
func (a *answer) Write(b []byte) (int, error) {
	if a.gone {
		return 0, errSlow
	}
	a.idle.Stop() // that the vendor is not read from is not its silence
	defer a.idle.Reset(a.x.g.o.IdleTimeout)
	_ = a.rc.SetWriteDeadline(time.Now().Add(a.x.g.o.IdleTimeout)) //nolint:forbidigo // a deadline of the socket, which knows no other clock
	n, err := a.x.w.Write(b)
	a.rec.Sent += int64(n)
	if err != nil {
		a.gone = true
		a.rec.Outcome = Cancelled
		a.cancel(errSlow)
	}
	return n, err
}

func (a *answer) flush() {
	if !a.gone && a.rc.Flush() != nil {
		a.gone = true
		a.rec.Outcome = Cancelled
		a.cancel(errSlow)
	}
}

func (a *answer) serve() {
	a.rc = http.NewResponseController(a.x.w)
	if enc := a.resp.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		a.fail("upstream-encoding", "the vendor's answer is encoded, which it was not asked for")
		return
	}
	mediaType, _, err := mime.ParseMediaType(a.resp.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	switch {
	case a.resp.StatusCode >= 300 && a.resp.StatusCode < 400:
		// A redirect would have the client, or us, send the prompt elsewhere.
		a.fail("upstream-redirect", "the vendor answers with a redirect, which is not followed")
	case mediaType == "text/event-stream":
		a.x.rec.Stream = true
		a.begin()
		a.stream()
	case mediaType == "application/json" && a.x.rt.dialect == Gemini && a.x.rt.stream && a.x.alt != "sse" && a.resp.StatusCode == http.StatusOK:
		a.begin()
		a.array()
	case mediaType == "application/json":
		a.whole()
	default:
		a.begin()
		a.copy()
	}
}

// begin sends the head of the answer.
func (a *answer) begin() {
	a.x.copyHeaders(a.resp.Header)
	a.x.w.WriteHeader(a.resp.StatusCode)
	a.flush()
}

// fail answers instead of the vendor, of whose answer nothing was sent.
func (a *answer) fail(code, why string) {
	a.rec.Outcome, a.rec.Code, a.rec.Text = Cut, code, why
	a.x.g.metrics.upstreamFailed(code)
	problem(a.x.w, a.x.rt.dialect, a.x.id, refuse(http.StatusBadGateway, code, "ask whoever runs the gate", "%s", why))
}

// whole passes an answer that is one JSON value.
func (a *answer) whole() {
	b, err := io.ReadAll(io.LimitReader(a, a.x.g.o.MaxResponse+1))
	switch {
	case int64(len(b)) > a.x.g.o.MaxResponse:
		a.fail("upstream-too-large", "the vendor's answer is larger than it may be")
		return
	case err != nil:
		a.fail(a.why(err))
		return
	}
	a.rec.Usage = a.x.rt.readUsage(b)
	a.called(a.x.rt.readCalls(b))
	out := a.restore(b)
	a.x.copyHeaders(a.resp.Header)
	a.x.w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	a.x.w.WriteHeader(a.resp.StatusCode)
	a.rec.Outcome = Complete
	// A client that has the whole answer may ask again at once, and must not meet its own request.
	a.x.settle(a.rec)
	_, _ = a.Write(out) // a failure is noted in Write
}

// copy passes what is not understood as it comes.
func (a *answer) copy() {
	buf := make([]byte, 32<<10)
	for {
		n, err := a.Read(buf)
		if n > 0 {
			if _, err := a.Write(buf[:n]); err != nil {
				return
			}
			a.flush()
		}
		if errors.Is(err, io.EOF) {
			a.rec.Outcome = Complete
			return
		}
		if err != nil {
			code, why := a.why(err)
			a.rec.Outcome, a.rec.Code, a.rec.Text = Cut, code, why
			a.abort()
			return
		}
	}
}

// why says how reading from the vendor failed.
func (a *answer) why(err error) (code, text string) {
	switch {
	case errors.Is(context.Cause(a.resp.Request.Context()), errIdle):
		return "upstream-timeout", "the vendor fell silent"
	case errors.Is(err, errEventSize):
		return "upstream-too-large", "an event of the vendor's stream is larger than it may be"
	}
	return "upstream-cut", "the vendor's answer ended before its end"
}

// abort breaks the client's connection, so that a half answer is not taken for a whole one. What defers
// the end's record has still to run.
func (a *answer) abort() {
	a.broken = true
}
