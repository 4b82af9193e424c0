package prompt

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxBlocks bounds the texts that one stream may have open.
const maxBlocks = 1024

// A block is a text that comes in pieces.
type block struct {
	u    Unmasker
	was  []byte // data of its last delta
	name []byte // of that event
	at   Span   // its value in was
	open bool
}

// A weaver puts originals back in a stream.
type weaver struct {
	a      *answer
	blocks map[string]*block
	rd     reading
	edits  []edit
	dec    []byte
	last   bool // a last event was seen
	flood  bool // an event has more texts than it may, and was not passed
	usage  Usage
}

// stream passes a stream of events.
func (a *answer) stream() {
	in := newEventReader(a, a.x.g.o.MaxEvent)
	w := &weaver{a: a, blocks: map[string]*block{}}
	var out []byte
	for {
		ok := in.more()
		out = out[:0]
		for {
			ev, ok := in.next()
			if !ok {
				break
			}
			out = w.event(out, &ev)
		}
		if len(out) > 0 {
			if _, err := a.Write(out); err != nil {
				break
			}
			a.flush()
		}
		if cap(out) > 256<<10 {
			out = nil
		}
		if !ok || w.flood {
			break
		}
	}
	a.rec.Usage = w.usage
	if a.gone {
		return
	}
	switch rest := in.rest(); {
	case w.flood:
		a.endBadly("upstream-invalid", "the vendor's stream has more texts than it may have")
	case in.err != nil && !errors.Is(in.err, io.EOF):
		code, why := a.why(in.err)
		a.endBadly(code, why)
	case len(rest) > 0 && !w.last, !w.last && a.x.rt.dialect != Opaque && a.x.rt.op.kind == kindModel && a.resp.StatusCode == http.StatusOK:
		a.endBadly("upstream-cut", "the vendor's stream ended before its last event")
	default:
		if a.rec.Outcome == "" {
			a.rec.Outcome = Complete
		}
	}
}

// endBadly ends the client's stream with an error event.
func (a *answer) endBadly(code, why string) {
	a.rec.Outcome, a.rec.Code, a.rec.Text = Cut, code, why
	a.x.g.metrics.upstreamFailed(code)
	_, _ = a.Write(errorEvent(a.x.rt, a.x.id, refuse(http.StatusBadGateway, code, "try again", "%s", why)))
	a.flush()
}

// event appends to out what the client gets for an event.
func (w *weaver) event(out []byte, ev *event) []byte {
	if ev.data == nil {
		return append(out, ev.raw...)
	}
	rt := w.a.x.rt
	rt.readEvent(ev.data, &w.rd)
	rd := &w.rd
	if w.flood = w.flood || rd.flood || len(w.blocks) > maxBlocks; w.flood {
		return out
	}
	w.usage.Input, w.usage.Output = max(w.usage.Input, rd.usage.Input), max(w.usage.Output, rd.usage.Output)
	w.a.called(rd.calls)
	if rd.last {
		w.last = true
	}
	if rd.failed {
		w.a.rec.Outcome, w.a.rec.Code = Cut, "upstream-error"
	}
	w.edits = w.edits[:0]
	for i := range rd.deltas {
		w.delta(ev, i)
	}
	if rd.whole {
		w.edits = w.a.texts(w.edits, ev.data, rd.deltas)
	}
	for _, c := range rd.closes {
		out = w.close(out, c)
	}
	if len(w.edits) == 0 {
		return append(out, ev.raw...)
	}
	return ev.with(out, splice(ev.data, w.edits))
}

// delta puts one delta through its block. If the event ends the block, the last delta has all of it.
func (w *weaver) delta(ev *event, n int) {
	d := &w.rd.deltas[n]
	b := w.blocks[d.block]
	if b == nil {
		b = &block{u: w.a.x.g.o.Masker.Unmask(w.a.x.caller.Session, d.where, d.inJSON)}
		w.blocks[d.block] = b
	}
	if b.u == nil {
		return
	}
	s, ok := text(d.value)
	if !ok {
		return
	}
	at := offset(ev.data, d.value)
	b.was = append(b.was[:0], ev.data...)
	b.name = append(b.name[:0], ev.name()...)
	b.at, b.open = Span{at, at + len(d.value)}, true
	w.dec = b.u.Write(w.dec[:0], []byte(s))
	if slices.ContainsFunc(w.rd.closes, func(c string) bool { return ends(c, d.block) }) &&
		!slices.ContainsFunc(w.rd.deltas[n+1:], func(o delta) bool { return o.block == d.block }) {
		w.dec = b.u.Flush(w.dec)
		b.open = false
	}
	if string(w.dec) != s {
		w.edits = append(w.edits, edit{at, at + len(d.value), quote(nil, w.dec)})
	}
}

// ends reports whether the name of what closes means the block.
func ends(name, key string) bool {
	return name == closesAll || key == name || strings.HasPrefix(key, name+".")
}

// close ends blocks: what they still hold back goes into an event of its own.
func (w *weaver) close(out []byte, name string) []byte {
	for key, b := range w.blocks {
		if !ends(name, key) {
			continue
		}
		delete(w.blocks, key)
		if b.u == nil || !b.open {
			continue
		}
		w.dec = b.u.Flush(w.dec[:0])
		if len(w.dec) == 0 {
			continue
		}
		if len(b.name) > 0 {
			out = append(append(append(out, "event: "...), b.name...), '\n')
		}
		out = append(out, "data: "...)
		out = append(out, w.a.x.rt.tail(b.was, b.at, quote(nil, w.dec))...)
		out = append(out, "\n\n"...)
	}
	return out
}

// array passes a stream that is one JSON array, as Gemini sends without alt=sse. Each element is passed as
// it ends.
func (a *answer) array() {
	w := &weaver{a: a, blocks: map[string]*block{}}
	limit := a.x.g.o.MaxEvent
	var buf, out []byte
	first := true
	ended := false
	var failed error
	chunk := make([]byte, idleBuffer)
	for !ended && failed == nil && !w.flood {
		n, err := a.Read(chunk)
		buf = append(buf, chunk[:n]...)
		out = out[:0]
		for {
			i := skipSpace(buf, 0)
			if first && i < len(buf) && buf[i] == '[' || !first && i < len(buf) && buf[i] == ',' {
				i = skipSpace(buf, i+1)
			} else if !first && i < len(buf) && buf[i] == ']' {
				ended = true
				break
			}
			if i >= len(buf) || buf[i] != '{' {
				break
			}
			end := skipValue(buf, i)
			if end < 0 {
				break
			}
			sep := byte(',')
			if first {
				sep = '['
			}
			first = false
			out = append(out, sep)
			out = w.element(out, buf[i:end:end])
			buf = buf[end:]
		}
		if len(out) > 0 {
			if _, err := a.Write(out); err != nil {
				return
			}
			a.flush()
		}
		if len(buf) > limit {
			failed = errEventSize
		} else if err != nil {
			failed = err
		}
	}
	a.rec.Usage = w.usage
	switch {
	case ended && (w.last || first):
		if a.rec.Outcome == "" {
			a.rec.Outcome = Complete
		}
		_, _ = a.Write([]byte("]\n"))
	default:
		if failed == nil {
			failed = io.ErrUnexpectedEOF
		}
		code, why := a.why(failed)
		a.rec.Outcome, a.rec.Code, a.rec.Text = Cut, code, why
		a.x.g.metrics.upstreamFailed(code)
		sep := ","
		if first {
			sep = "["
		}
		_, _ = a.Write([]byte(sep + string(errorBody(a.x.rt.dialect, a.x.id, refuse(http.StatusBadGateway, code, "try again", "%s", why))) + "]\n"))
	}
}

// element appends what the client gets for an element of the array.
func (w *weaver) element(out, v []byte) []byte {
	ev := event{raw: v, data: v, at: 0, end: len(v)}
	woven := w.event(nil, &ev)
	// Text that was held back comes as an event before it.
	for {
		rest, ok := bytes.CutPrefix(woven, []byte("data: "))
		if !ok {
			return append(out, woven...)
		}
		before, after, ok := bytes.Cut(rest, []byte("\n\n"))
		if !ok {
			return append(out, woven...)
		}
		out = append(append(out, before...), ',')
		woven = after
	}
}
