package prompt

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// What scan accepts, the standard library accepts; the members that it names stand where it says; and no
// name stands twice, however it is spelt.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"model":"m","messages":[{"content":[{"type":"image","source":{"media_type":"image/png","data":"iVBORw0KGgo"}}]}]}`,
		`{"u":"data:image/png;base64,iVBORw0KGgo="}`, `{"n":[-0.5e+3,0,1E9]}`, `{"n":01}`, `{"s":"\ud800"}`, `{"a":{"b":[null,true,false]}}`, "{\"a\":\"\x01\"}", `{"a":1}x`, `{"a":1,}`, `[1]`, `{"mcp_servers":[{"url":"x"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, ref := scan(b)
		if ref != nil {
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("accepted %q: %v", b, err)
		}
		if len(m) != len(facts.top) {
			t.Fatalf("%q has %d members, scan says %d", b, len(m), len(facts.top))
		}
		for _, top := range facts.top {
			if got := b[top.start:top.end]; !bytes.Equal(got, bytes.TrimSpace(m[top.name])) || !bytes.Equal(get(b, top.name), got) {
				t.Fatalf("%q: member %q is %q, want %q", b, top.name, got, m[top.name])
			}
		}
		for _, md := range facts.media {
			if md.Start > md.End || md.End > len(b) {
				t.Fatalf("%q: medium %+v", b, md)
			}
		}
	})
}

// However a stream is cut into reads, it has the same events; joined they are the stream; and no event grows
// over its bound.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{"data: a\n\n", "event: x\ndata: {\"a\":1}\ndata: 2\n\n", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", ": hi\n\n\n\n", "data\ndata:\n\n", "\ufeffdata: a\n\n", "data: cut"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(r io.Reader) (events []string, data []string, rest string) {
			in := newEventReader(r, 1<<16)
			for {
				ok := in.more()
				for {
					ev, ok := in.next()
					if !ok {
						break
					}
					if ev.at >= 0 && ev.data != nil && !bytes.Equal(ev.raw[ev.at:ev.end], ev.data) {
						t.Fatalf("data %q is not at its place in %q", ev.data, ev.raw)
					}
					events, data = append(events, string(ev.raw)), append(data, string(ev.data))
				}
				if !ok {
					if errors.Is(in.err, errEventSize) {
						t.Skip()
					}
					return events, data, string(in.buf[in.start:])
				}
			}
		}
		e1, d1, r1 := read(bytes.NewReader(b))
		e2, d2, r2 := read(iotest.OneByteReader(bytes.NewReader(b)))
		if strings.Join(e1, "")+r1 != string(b) {
			t.Fatalf("%q came out as %q and %q", b, e1, r1)
		}
		if strings.Join(e2, "")+r2 != string(b) || strings.Join(d1, "\x00") != strings.Join(d2, "\x00") {
			t.Fatalf("%q: %q %q %q byte by byte %q %q %q", b, e1, d1, r1, e2, d2, r2)
		}
	})
}

// The walkers of vendors' answers neither panic nor leave what they were given.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}`, `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]},"finish_reason":null}]}`,
		`{"type":"response.output_text.delta","output_index":0,"delta":"x"}`, `{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}`, `[DONE]`, `{"choices":[{"delta":{"content":"`, `{"a":`, `{"a"}`, `{"a":"\`} {
		f.Add([]byte(s))
	}
	routes := []route{{dialect: Anthropic, op: ask("messages")}, {dialect: OpenAI, op: ask("chat")}, {dialect: OpenAI, op: ask("responses")}, {dialect: Gemini, op: ask("generate")}}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, ref := scan(b)
		for i := range routes {
			var rd reading
			routes[i].readEvent(b, &rd)
			routes[i].readUsage(b)
			for _, d := range rd.deltas {
				at := offset(b, d.value)
				if at < 0 || at+len(d.value) > len(b) {
					t.Fatalf("a delta of %q at %d", b, at)
				}
				tail := routes[i].tail(b, Span{at, at + len(d.value)}, []byte(`"held"`))
				// What an intact event is made into is an intact one, which says the text once more.
				if ref == nil {
					if _, ref := scan(tail); ref != nil {
						t.Fatalf("%q became %q: %v", b, tail, ref)
					}
				}
			}
		}
	})
}

// What is quoted is read as what it was.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"a", "\"\\\n\x00\x7f", "⟦x⟧", "\xff\xc3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s string
		if err := json.Unmarshal(quote(nil, b), &s); err != nil || s != strings.ToValidUTF8(string(b), "\ufffd") && !strings.Contains(s, "\ufffd") {
			t.Fatalf("%q became %q, %v", b, s, err)
		}
	})
}
