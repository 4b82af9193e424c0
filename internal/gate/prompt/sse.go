package prompt

import (
	"bytes"
	"errors"
	"io"
)

// An event is one event of a stream, as it came.
type event struct {
	raw  []byte // with the empty line that ends it
	data []byte // of its data lines, joined; nil if it has none
	// The place of data in raw if it stands there in one piece; else only data counts.
	at, end int
}

var errEventSize = errors.New("an event of the stream is larger than it may be")

// An eventReader cuts a stream of server-sent events (WHATWG HTML, 9.2) into events. Lines end with LF,
// CRLF or CR.
type eventReader struct {
	r     io.Reader
	buf   []byte
	start int // of what was not yet given out
	seen  int // up to where no end of an event was found
	max   int
	err   error
	first bool
	join  []byte
}

// idleBuffer is what an idle stream holds.
const idleBuffer = 4 << 10

func newEventReader(r io.Reader, limit int) *eventReader {
	return &eventReader{r: r, max: limit, buf: make([]byte, 0, idleBuffer), first: true}
}

// more reads what there is, and reports whether there was something. It blocks.
func (e *eventReader) more() bool {
	if e.err != nil {
		return false
	}
	if e.start > 0 {
		n := copy(e.buf, e.buf[e.start:])
		e.buf, e.seen, e.start = e.buf[:n], e.seen-e.start, 0
	}
	if len(e.buf) == 0 && cap(e.buf) > 16*idleBuffer {
		e.buf = make([]byte, 0, idleBuffer) // one large event must not stay
	}
	if len(e.buf) == cap(e.buf) {
		if len(e.buf) >= e.max {
			e.err = errEventSize
			return false
		}
		e.buf = append(make([]byte, 0, 2*cap(e.buf)), e.buf...)
	}
	n, err := e.r.Read(e.buf[len(e.buf):cap(e.buf)])
	e.buf = e.buf[:len(e.buf)+n]
	if err != nil {
		e.err = err
	}
	return n > 0 || err == nil
}

// next gives out a whole event that has been read. It is valid until more is called.
func (e *eventReader) next() (event, bool) {
	i := max(e.seen, e.start)
	for {
		n := bytes.IndexAny(e.buf[i:], "\r\n")
		if n < 0 {
			e.seen = len(e.buf)
			return event{}, false
		}
		// i+n ends a line. The event ends if the next line is empty.
		end, ok := lineEnd(e.buf, i+n, e.err != nil)
		if !ok {
			e.seen = i + n
			return event{}, false
		}
		if i+n == e.start { // an empty line, and nothing before it
			raw := e.buf[e.start:end]
			e.start, e.seen = end, end
			return event{raw: raw}, true
		}
		if end == len(e.buf) {
			e.seen = i + n
			return event{}, false
		}
		if c := e.buf[end]; c == '\n' || c == '\r' {
			stop, ok := lineEnd(e.buf, end, e.err != nil)
			if !ok {
				e.seen = i + n
				return event{}, false
			}
			raw := e.buf[e.start:stop]
			e.start, e.seen = stop, stop
			return e.parse(raw), true
		}
		i = end
	}
}

// lineEnd returns the place after the line end at i. It cannot be told while a CR is the last byte, unless
// nothing follows.
func lineEnd(b []byte, i int, last bool) (int, bool) {
	if b[i] == '\n' {
		return i + 1, true
	}
	if i+1 == len(b) {
		return i + 1, last
	}
	if b[i+1] == '\n' {
		return i + 2, true
	}
	return i + 1, true
}

// rest reports what is left once the stream has ended.
func (e *eventReader) rest() []byte { return bytes.TrimSpace(e.buf[e.start:]) }

func (e *eventReader) parse(raw []byte) event {
	ev := event{raw: raw, at: -1}
	lines := 0
	if e.first { // a byte order mark may stand before all
		e.first = false
		raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	}
	skipped := len(ev.raw) - len(raw)
	for i := 0; i < len(raw); {
		n := bytes.IndexAny(raw[i:], "\r\n")
		if n < 0 {
			break
		}
		line := raw[i : i+n]
		if v, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			from := i + len("data:")
			if len(v) > 0 && v[0] == ' ' {
				v, from = v[1:], from+1
			}
			switch lines++; lines {
			case 1:
				ev.data, ev.at, ev.end = v, skipped+from, skipped+from+len(v)
			case 2:
				e.join = append(append(e.join[:0], ev.data...), '\n')
				e.join = append(e.join, v...)
				ev.at = -1
			default:
				e.join = append(append(e.join, '\n'), v...)
			}
		} else if string(line) == "data" {
			lines += 2
			ev.at = -1
		}
		i, _ = lineEnd(raw, i+n, true)
	}
	if lines > 1 {
		ev.data = e.join
	}
	return ev
}

// with appends the event with other data.
func (ev *event) with(dst, data []byte) []byte {
	if ev.at >= 0 {
		dst = append(dst, ev.raw[:ev.at]...)
		dst = append(dst, data...)
		return append(dst, ev.raw[ev.end:]...)
	}
	// The data came in several lines. JSON has no line ends that matter, so that one does.
	for _, line := range bytes.FieldsFunc(ev.raw, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if !bytes.HasPrefix(line, []byte("data")) {
			dst = append(append(dst, line...), '\n')
		}
	}
	dst = append(dst, "data: "...)
	dst = append(dst, data...)
	return append(dst, "\n\n"...)
}

// name returns the event's name, or "".
func (ev *event) name() []byte {
	for _, line := range bytes.FieldsFunc(ev.raw, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if v, ok := bytes.CutPrefix(line, []byte("event:")); ok {
			return bytes.TrimPrefix(v, []byte(" "))
		}
	}
	return nil
}
