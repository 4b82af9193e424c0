package record

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// The OpenTelemetry exports are OTLP in JSON, one message a line, as collectors read from files. Names
// of attributes are those of the semantic conventions for generative AI where there is one, and begin
// with sallyport. where there is none.

type otlpValue struct {
	String *string    `json:"stringValue,omitempty"`
	Int    *string    `json:"intValue,omitempty"`
	Array  *otlpArray `json:"arrayValue,omitempty"`
}

type otlpArray struct {
	Values []otlpValue `json:"values"`
}

type otlpAttribute struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

type attributes []otlpAttribute

func stringValue(s string) otlpValue { return otlpValue{String: &s} }

func (a *attributes) text(key, s string) {
	if s != "" {
		*a = append(*a, otlpAttribute{key, stringValue(s)})
	}
}

func (a *attributes) number(key string, n int64) {
	s := strconv.FormatInt(n, 10)
	*a = append(*a, otlpAttribute{key, otlpValue{Int: &s}})
}

func (a *attributes) list(key string, list []string) {
	if len(list) == 0 {
		return
	}
	v := otlpArray{Values: []otlpValue{}}
	for _, s := range list {
		v.Values = append(v.Values, stringValue(s))
	}
	*a = append(*a, otlpAttribute{key, otlpValue{Array: &v}})
}

type otlpResource struct {
	Attributes attributes `json:"attributes"`
}

type otlpScope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type otlpLog struct {
	Time       string     `json:"timeUnixNano"`
	Observed   string     `json:"observedTimeUnixNano"`
	Severity   int        `json:"severityNumber"`
	Level      string     `json:"severityText"`
	Event      string     `json:"eventName"`
	Body       otlpValue  `json:"body"`
	Attributes attributes `json:"attributes"`
	Trace      string     `json:"traceId"`
	Span       string     `json:"spanId,omitempty"`
}

type otlpSpan struct {
	Trace      string     `json:"traceId"`
	Span       string     `json:"spanId"`
	Parent     string     `json:"parentSpanId,omitempty"`
	Name       string     `json:"name"`
	Kind       int        `json:"kind"`
	Start      string     `json:"startTimeUnixNano"`
	End        string     `json:"endTimeUnixNano"`
	Attributes attributes `json:"attributes"`
	Status     otlpStatus `json:"status"`
}

type otlpStatus struct {
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// An Exporter writes entries in a form that other tools read. Finish has to be called for each record,
// after its last entry.
type Exporter interface {
	Entry(r *Reader, e Entry) error
	Finish(r *Reader) error
}

// NewExporter returns the exporter of a format: jsonl, otlp-logs or otlp-spans.
func NewExporter(format string, w io.Writer, version string) (Exporter, error) {
	scope := otlpScope{"sallyport", version}
	switch format {
	case "jsonl":
		return jsonLines{w}, nil
	case "otlp-logs":
		return &otlpLogs{w: w, scope: scope}, nil
	case "otlp-spans":
		return &otlpSpans{w: w, scope: scope}, nil
	}
	return nil, fmt.Errorf("unknown form of export %q: there are jsonl, otlp-logs and otlp-spans", format)
}

// An Exported is a line of the JSON-lines export, and what search prints.
type Exported struct {
	Record     string      `json:"record"` // its id
	Run        string      `json:"run,omitempty"`
	Gateway    string      `json:"gateway,omitempty"`
	Repository string      `json:"repository,omitempty"`
	Seq        int64       `json:"seq"`
	Time       string      `json:"time"`
	Kind       Kind        `json:"kind"`
	Body       any         `json:"body"`
	Commits    []CommitRef `json:"commits,omitempty"`
	Head       Head        `json:"head"`
}

// Export returns e as exports have it.
func Export(r *Reader, e Entry) Exported {
	return Exported{r.id.String(), r.header.Run, r.header.Gateway, r.header.Repository, e.Seq, e.Time.Format(timeLayout), e.Kind, e.Body, e.Commits, e.Head}
}

func writeLine(w io.Writer, v any) error {
	b, err := sallyport.EncodeJSON(v)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

type jsonLines struct{ w io.Writer }

func (j jsonLines) Entry(r *Reader, e Entry) error { return writeLine(j.w, Export(r, e)) }
func (j jsonLines) Finish(*Reader) error           { return nil }

// perMessage bounds the entries in one message: collectors refuse large ones.
const perMessage = 512

func nano(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func (r *Reader) trace() string { return hex.EncodeToString(r.id[:16]) }

// span is the id of the span that begins with entry n. Span 0 is the run.
func (r *Reader) span(n int64) string {
	s := sha256.New()
	s.Write(r.id[:])
	s.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return hex.EncodeToString(s.Sum(nil)[:8])
}

func (r *Reader) resource(scope otlpScope) otlpResource {
	var a attributes
	a.text("service.name", "sallyport")
	a.text("service.version", scope.Version)
	a.text("sallyport.record", r.id.String())
	a.text("sallyport.run", r.header.Run)
	a.text("sallyport.gateway", r.header.Gateway)
	a.text("sallyport.operator", r.header.Operator)
	a.text("vcs.repository.name", r.header.Repository)
	a.text("gen_ai.agent.name", r.header.Agent)
	return otlpResource{a}
}

// about are the attributes of an entry.
func (r *Reader) about(e *Entry, f Facts) attributes {
	var a attributes
	a.text("gen_ai.conversation.id", orElse(f.Run, r.header.Run))
	a.text("gen_ai.provider.name", f.Provider)
	if len(f.Models) > 0 {
		a.text("gen_ai.request.model", f.Models[0])
	}
	if e.Kind == KindTool && len(f.Tools) == 1 {
		a.text("gen_ai.tool.name", f.Tools[0])
	} else {
		a.list("sallyport.tools", f.Tools)
	}
	a.text("sallyport.principal", f.Principal)
	a.list("sallyport.masked", f.Secrets)
	a.text("error.type", f.Code)
	a.text("file.path", f.Path)
	a.text("server.address", f.Address)
	a.text("sallyport.request", f.ID)
	a.number("sallyport.record.seq", e.Seq)
	return a
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

type otlpLogs struct {
	w     io.Writer
	scope otlpScope
	list  []otlpLog
}

func (o *otlpLogs) Entry(r *Reader, e Entry) error {
	f := e.Facts()
	l := otlpLog{Time: nano(e.Time), Observed: nano(e.Time), Severity: 9, Level: "INFO", Event: "sallyport." + string(e.Kind),
		Body: stringValue(string(e.Body)), Attributes: r.about(&e, f), Trace: r.trace(), Span: r.span(0)}
	if e.Kind == KindRefused || e.Kind == KindRecovered {
		l.Severity, l.Level = 13, "WARN"
	}
	o.list = append(o.list, l)
	if len(o.list) == perMessage {
		return o.Finish(r)
	}
	return nil
}

func (o *otlpLogs) Finish(r *Reader) error {
	if len(o.list) == 0 {
		return nil
	}
	type scopeLogs struct {
		Scope   otlpScope `json:"scope"`
		Records []otlpLog `json:"logRecords"`
	}
	type resourceLogs struct {
		Resource otlpResource `json:"resource"`
		Scopes   []scopeLogs  `json:"scopeLogs"`
	}
	err := writeLine(o.w, map[string]any{"resourceLogs": []resourceLogs{{r.resource(o.scope), []scopeLogs{{o.scope, o.list}}}}})
	o.list = o.list[:0]
	return err
}

// otlpSpans makes a span of a run, of each request with its response, and of each call of a tool.
type otlpSpans struct {
	w           io.Writer
	scope       otlpScope
	open        map[string]*otlpSpan // requests without a response yet, by their id
	order       []string
	list        []otlpSpan
	first, last time.Time
}

func (o *otlpSpans) Entry(r *Reader, e Entry) error {
	if o.first.IsZero() {
		o.first, o.open = e.Time, map[string]*otlpSpan{}
	}
	o.last = e.Time
	f := e.Facts()
	switch e.Kind {
	case KindRequest:
		s := r.newSpan(&e, f, "chat")
		if f.ID == "" || len(o.open) >= maxOpen {
			return o.add(r, s)
		}
		if o.open[f.ID] == nil {
			o.order = append(o.order, f.ID)
		}
		o.open[f.ID] = &s
	case KindResponse:
		s := o.open[f.ID]
		if s == nil {
			return nil
		}
		delete(o.open, f.ID)
		s.End = nano(e.Time)
		s.Attributes.number("gen_ai.usage.input_tokens", f.Input)
		s.Attributes.number("gen_ai.usage.output_tokens", f.Output)
		if f.Status != 0 {
			s.Attributes.number("http.response.status_code", f.Status)
		}
		if f.Code != "" {
			s.Attributes.text("error.type", f.Code)
			s.Status = otlpStatus{2, f.Text}
		}
		return o.add(r, *s)
	case KindTool:
		return o.add(r, r.newSpan(&e, f, "execute_tool"))
	case KindRefused:
		s := r.newSpan(&e, f, "refused")
		s.Status = otlpStatus{2, orElse(f.Text, f.Code)}
		return o.add(r, s)
	}
	return nil
}

// maxOpen bounds the requests that wait for their response: what is over it is told without one.
const maxOpen = 100_000

func (r *Reader) newSpan(e *Entry, f Facts, operation string) otlpSpan {
	s := otlpSpan{Trace: r.trace(), Span: r.span(e.Seq), Parent: r.span(0), Kind: 3, Start: nano(e.Time), End: nano(e.Time), Attributes: r.about(e, f)}
	s.Attributes.text("gen_ai.operation.name", operation)
	if operation == "execute_tool" {
		s.Kind = 1
	}
	s.Name = operation
	switch {
	case operation == "execute_tool" && len(f.Tools) > 0:
		s.Name += " " + f.Tools[0]
	case len(f.Models) > 0:
		s.Name += " " + f.Models[0]
	}
	return s
}

func (o *otlpSpans) add(r *Reader, s otlpSpan) error {
	o.list = append(o.list, s)
	if len(o.list) >= perMessage {
		return o.flush(r)
	}
	return nil
}

func (o *otlpSpans) Finish(r *Reader) error {
	if o.first.IsZero() {
		return nil
	}
	for _, id := range o.order {
		if s := o.open[id]; s != nil {
			s.Status = otlpStatus{2, "the record holds no response"}
			o.list = append(o.list, *s)
		}
	}
	if r.header.Run != "" {
		root := otlpSpan{Trace: r.trace(), Span: r.span(0), Kind: 1, Start: nano(o.first), End: nano(o.last),
			Name: strings.TrimSpace("invoke_agent " + r.header.Agent)}
		root.Attributes.text("gen_ai.operation.name", "invoke_agent")
		root.Attributes.text("gen_ai.agent.name", r.header.Agent)
		root.Attributes.text("gen_ai.conversation.id", r.header.Run)
		o.list = append(o.list, root)
	}
	o.open, o.order, o.first = nil, nil, time.Time{}
	return o.flush(r)
}

func (o *otlpSpans) flush(r *Reader) error {
	if len(o.list) == 0 {
		return nil
	}
	type scopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	type resourceSpans struct {
		Resource otlpResource `json:"resource"`
		Scopes   []scopeSpans `json:"scopeSpans"`
	}
	err := writeLine(o.w, map[string]any{"resourceSpans": []resourceSpans{{r.resource(o.scope), []scopeSpans{{o.scope, o.list}}}}})
	o.list = o.list[:0]
	return err
}
