package prompt

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Paths that the gate answers itself.
const (
	own        = "/sallyport/"
	pathHealth = own + "v0/health"
	pathReady  = own + "v0/ready"
	pathMetric = own + "v0/metrics"
)

// An exchange is one request on its way through the gate.
type exchange struct {
	g      *Gate
	w      http.ResponseWriter
	r      *http.Request
	id     string
	began  time.Time
	caller Caller
	rt     *route
	query  string
	alt    string
	body   *body
	out    []byte            // the body that is sent
	header http.Header       // the headers that are sent on
	named  []string          // models in a batch file
	held   int64             // bytes that count against MaxBuffered
	rec    Record            // of the request, and then what its end adds to
	known  bool              // the caller was established
	claims map[string]string // what the client says of itself
	lease  *lease
}

// ServeHTTP answers one request.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, own) {
		g.serveOwn(w, r)
		return
	}
	x := &exchange{g: g, w: w, r: r, id: g.newID(), began: g.o.Clock()}
	g.metrics.inFlight.Add(1)
	defer g.metrics.inFlight.Add(-1)
	defer x.release()
	if ref := x.admit(); ref != nil {
		x.refuse(ref)
		return
	}
	if x.rt.op.kind == kindAlive {
		w.Header().Set("X-Sallyport-Request", x.id)
		w.WriteHeader(http.StatusOK)
		return
	}
	x.forward()
}

func (x *exchange) release() {
	x.g.buffered.Add(-x.held)
	x.lease.end(Usage{}, x.g.o.Clock())
}

// admit takes the steps up to the record. On nil the record is durable and out may leave.
func (x *exchange) admit() *Refusal {
	g, r := x.g, x.r
	x.rt = &route{dialect: OpenAI}
	segments, ref := cleanPath(r)
	if ref != nil {
		return ref
	}
	// Of a path that leads nowhere is told who asked, and the asker in what dialect.
	rt, lost := g.route(r, segments)
	if rt != nil {
		x.rt = rt
	}
	if lost == nil && rt.op.kind == kindAlive {
		return nil // it says that something listens here, which whoever asked knows
	}
	if ref := x.identify(); ref != nil {
		return ref
	}
	if lost != nil {
		return lost
	}
	if ref := x.headers(); ref != nil {
		return ref
	}
	if g.draining.Load() {
		return &Refusal{Status: http.StatusServiceUnavailable, Code: "draining", Text: "the gate is shutting down", Hint: "try again", RetryAfter: time.Second}
	}
	if ref := x.allowed(); ref != nil {
		return ref
	}
	if x.lease, ref = g.limits.begin(&x.caller, g.o.Clock()); ref != nil {
		return ref
	}
	if ref := x.receive(); ref != nil {
		return ref
	}
	if ref := x.approve(); ref != nil {
		return ref
	}
	if ref := x.mask(); ref != nil {
		return ref
	}
	return x.record()
}

// headers refuses what asks for another protocol, or for another method than it has.
func (x *exchange) headers() *Refusal {
	h := x.r.Header
	if h.Get("Upgrade") != "" || strings.Contains(strings.ToLower(h.Get("Connection")), "upgrade") {
		return refuse(http.StatusUpgradeRequired, "upgrade-refused", "use the API's HTTP form", "websockets and other upgrades are not spoken here")
	}
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"} {
		if h.Get(name) != "" {
			return refuse(http.StatusBadRequest, "method-override", "leave the header out", "the header %s asks for another request than this", name)
		}
	}
	return nil
}

// allowed holds the operation to the rules.
func (x *exchange) allowed() *Refusal {
	rules := &x.g.o.Rules
	ok, what := true, ""
	switch x.rt.op.kind {
	case kindFile, kindUpload:
		ok, what = rules.Files, "files"
	case kindBatch:
		ok, what = rules.Batches, "batches"
	case kindStored:
		ok, what = rules.Stored, "stored"
	}
	if !ok {
		return refuse(http.StatusForbidden, "operation-refused", "have prompt.pass allow "+what, "%s at the vendor are not allowed here", what)
	}
	return nil
}

// approve asks the registry for each model, at the first endpoint. Further endpoints are asked for when
// they are needed.
func (x *exchange) approve() *Refusal {
	models := x.models()
	x.rec.Endpoint = x.rt.provider.Endpoints[0].URL
	uses, ref := x.approvedAt(x.rec.Endpoint, models)
	if ref != nil {
		// Another endpoint may be approved where the first is not.
		for _, e := range x.rt.provider.Endpoints[1:] {
			if u, r := x.approvedAt(e.URL, models); r == nil {
				uses, ref, x.rec.Endpoint = u, nil, e.URL
				break
			}
		}
	}
	x.rec.Models = uses
	return ref
}

func (x *exchange) models() []string {
	switch {
	case x.body != nil:
		return x.body.models
	case x.named != nil:
		return x.named
	case x.rt.model != "":
		return []string{strings.TrimPrefix(x.rt.model, "models/")}
	}
	return nil
}

func (x *exchange) approvedAt(endpoint string, models []string) ([]ModelUse, *Refusal) {
	var uses []ModelUse
	for _, m := range models {
		// A name that masking would change is another at the vendor than the one that is approved.
		if (x.body != nil || x.named != nil) && x.clean(m) != m {
			return append(uses, ModelUse{Name: x.clean(m)}), refuse(http.StatusForbidden, "model-unapproved", "name the model alone", "the model's name holds what must not leave")
		}
		v := x.g.o.Registry.Check(x.r.Context(), ModelRequest{
			Principal: x.caller.Principal, Repository: x.caller.Repository,
			Provider: x.rt.provider.Name, Model: m, Endpoint: endpoint, Operator: x.caller.Operator, Use: x.caller.Use, Operation: x.rt.op.name, Time: x.g.o.Clock(),
		})
		uses = append(uses, ModelUse{Name: x.clean(m), Entry: v.Entry})
		if !v.Allowed {
			code := v.Code
			if code == "" {
				code = "model-unapproved"
			}
			return uses, &Refusal{Status: http.StatusForbidden, Code: code, Text: orText(v.Text, "the model "+m+" is not approved"), Hint: v.Hint}
		}
	}
	return uses, nil
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// mask holds what is no text to the rules, and takes out what must not leave.
func (x *exchange) mask() *Refusal {
	if ref := x.maskHeaders(); ref != nil {
		return ref
	}
	if x.body == nil {
		return nil // no body, or one that receive has masked
	}
	f := x.body.facts
	media, ref := x.g.o.Rules.judge(f)
	if ref != nil {
		return ref
	}
	x.rec.Media = media
	for _, s := range f.servers {
		x.rec.Servers = append(x.rec.Servers, x.clean(s))
	}
	out, found, err := x.g.o.Masker.MaskJSON(x.caller.Session, x.body.raw, f.skips())
	if err != nil {
		return maskRefusal(err)
	}
	x.out, x.rec.Masked = out, found
	x.rec.Tools = toolNames(get(out, "tools"))
	return nil
}

func maskRefusal(err error) *Refusal {
	var ref *Refusal
	if errors.As(err, &ref) {
		return ref
	}
	return refuse(http.StatusInternalServerError, "mask-failed", "ask whoever runs the gate", "what is in the body could not be looked through")
}

// record makes the record of the request durable.
func (x *exchange) record() *Refusal {
	x.rec.Kind, x.rec.Sent = KindRequest, int64(len(x.out))
	x.rec.Stream = x.rt.stream || x.body != nil && x.body.stream
	x.fill(&x.rec)
	start := x.g.o.Clock()
	err := x.g.o.Journal.Append(x.r.Context(), &x.rec, x.out)
	x.g.metrics.journal.observe(x.g.o.Clock().Sub(start))
	if err != nil {
		x.g.metrics.journalFailed.Add(1)
		x.g.o.Log("the record could not be written; the request was not sent", "request", x.id, "error", err)
		return &Refusal{Status: http.StatusServiceUnavailable, Code: "record-failed", Text: "the record could not be written, so nothing was sent", Hint: "ask whoever runs the gate", RetryAfter: 5 * time.Second}
	}
	for k, n := range x.rec.Masked {
		x.g.metrics.mask(k, n)
	}
	return nil
}

// fill puts into a record who asked and for what.
func (x *exchange) fill(rec *Record) {
	rec.ID, rec.Time = x.id, x.g.o.Clock().UTC()
	c := &x.caller
	rec.Principal, rec.Operator, rec.Run, rec.Repository, rec.Key = c.Principal, c.Operator, c.Run, c.Repository, c.Key
	rec.Method, rec.Path = x.r.Method, x.rt.shape
	if rec.Path == "" {
		rec.Path = clip(x.r.URL.EscapedPath(), 200)
	}
	rec.Dialect, rec.Operation = x.rt.dialect, x.rt.op.name
	if x.rt.provider != nil {
		rec.Provider = x.rt.provider.Name
	}
	if x.claims == nil {
		x.claims = x.clientClaims()
	}
	rec.Client = x.claims
}

// clean returns s without what must not be kept either: a client chooses its path, its model's name and what it
// says of itself, and the record is read by more people than prompts are.
func (x *exchange) clean(s string) string {
	if s == "" {
		return s
	}
	out, _, err := x.g.o.Masker.MaskText(x.caller.Session, []byte(s))
	if err != nil {
		return ""
	}
	return string(out)
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// refuse records a refusal and answers it.
func (x *exchange) refuse(ref *Refusal) {
	g := x.g
	g.metrics.refused(ref.Code)
	rec := x.rec
	rec.Kind, rec.Code, rec.Text, rec.Sent, rec.Commitment = KindRefused, ref.Code, clip(ref.Text, 500), 0, Commitment{}
	x.fill(&rec)
	rec.Text, rec.Path = x.clean(rec.Text), x.clean(rec.Path)
	rec.Models = slices.Clone(rec.Models)
	for i := range rec.Models {
		rec.Models[i].Name = x.clean(rec.Models[i].Name)
	}
	keep := true
	if !x.known { // whoever cannot say who they are must not be able to fill the disk
		rec.Suppressed, keep = g.strangers.note(g.o.Clock())
	}
	if keep {
		// The client may be gone; its refusal is recorded all the same.
		if err := g.o.Journal.Append(context.WithoutCancel(x.r.Context()), &rec, nil); err != nil {
			g.metrics.journalFailed.Add(1)
			g.o.Log("the record of a refusal could not be written", "request", x.id, "code", ref.Code, "error", err)
			ref = &Refusal{Status: http.StatusServiceUnavailable, Code: "record-failed", Text: "the request was refused (" + ref.Code + ") and that could not be recorded", Hint: "ask whoever runs the gate"}
		}
	}
	// What is left of a body is not read: the connection is of no use any more.
	if x.r.Body != nil && x.r.Body != http.NoBody && x.body == nil {
		x.w.Header().Set("Connection", "close")
	}
	problem(x.w, x.rt.dialect, x.id, ref)
}

// clientClaims are what the client says of itself, so that a record can be found from its side.
func (x *exchange) clientClaims() map[string]string {
	out := map[string]string{}
	for _, name := range claimHeaders {
		if v := x.r.Header.Get(name); v != "" {
			out[strings.ToLower(name)] = x.clean(clip(v, 256))
		}
	}
	return out
}

var claimHeaders = []string{"User-Agent", "X-App", "X-Claude-Code-Session-Id", "X-Claude-Code-Agent-Id", "X-Claude-Code-Parent-Agent-Id", "Session-Id", "Session_id", "Thread-Id", "Originator", "X-Session-Id", "X-Initiator"}

func (g *Gate) serveOwn(w http.ResponseWriter, r *http.Request) {
	if h := g.o.Extra[r.URL.Path]; h != nil {
		h.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !slices.Contains([]string{pathHealth, pathReady, pathMetric}, r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch r.URL.Path {
	case pathMetric:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		g.WriteMetrics(w)
	case pathReady:
		w.Header().Set("Content-Type", "application/json")
		if g.draining.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("{\"ready\":false,\"why\":\"draining\"}\n"))
			return
		}
		_, _ = w.Write([]byte("{\"ready\":true}\n"))
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{\"alive\":true}\n"))
	}
}
