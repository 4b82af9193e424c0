package prompt

import (
	"strconv"
	"strings"
)

// A call is a model's wish that the client calls a tool. key tells it from others of its stream, in which it
// may be named several times; a call without one is named once.
type call struct {
	name []byte // a JSON string
	key  string
}

// Bounds of what is counted of one answer, since the vendor chooses the names.
const (
	maxCallNames = 256
	maxCallKeys  = 4096
	maxCallName  = 128
)

// called counts the calls, each key once.
func (a *answer) called(calls []call) {
	for _, c := range calls {
		name, ok := text(c.name)
		if !ok || name == "" || len(name) > maxCallName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
			continue
		}
		if c.key != "" {
			if a.calls[c.key] || len(a.calls) >= maxCallKeys {
				continue
			}
			if a.calls == nil {
				a.calls = map[string]bool{}
			}
			a.calls[c.key] = true
		}
		if name = a.x.clean(name); name == "" {
			continue
		}
		if a.rec.Calls == nil {
			a.rec.Calls = map[string]int64{}
		}
		if _, ok := a.rec.Calls[name]; ok || len(a.rec.Calls) < maxCallNames {
			a.rec.Calls[name]++
		}
	}
}

func isString(v []byte) bool { return len(v) > 2 && v[0] == '"' }

// anthropicCall reads a content block.
func anthropicCall(calls []call, b []byte, key string) []call {
	if name := get(b, "name"); isString(name) && strings.HasSuffix(str(get(b, "type")), "tool_use") {
		calls = append(calls, call{name, key})
	}
	return calls
}

// chatCalls reads a message of a choice, or a piece of one.
func chatCalls(calls []call, m []byte, key string) []call {
	if name := get(m, "function_call", "name"); isString(name) {
		calls = append(calls, call{name, key + ".f"})
	}
	n := 0
	each(get(m, "tool_calls"), func(t []byte) bool {
		index := string(get(t, "index"))
		if index == "" {
			index = "n" + strconv.Itoa(n)
		}
		for _, form := range []string{"function", "custom"} {
			if name := get(t, form, "name"); isString(name) {
				calls = append(calls, call{name, key + ".t" + index})
			}
		}
		n++
		return n < maxDeltas
	})
	return calls
}

// responsesCall reads an item of the output. What a vendor calls without a name is called by its type.
func responsesCall(calls []call, item []byte, key string) []call {
	typ := get(item, "type")
	if !strings.HasSuffix(str(typ), "_call") {
		return calls
	}
	name := get(item, "name")
	if !isString(name) {
		name = typ
	}
	return append(calls, call{name, key})
}

// geminiCalls reads a candidate. A call is always whole.
func geminiCalls(calls []call, candidate []byte) []call {
	n := 0
	each(get(candidate, "content", "parts"), func(p []byte) bool {
		if name := get(p, "functionCall", "name"); isString(name) {
			calls = append(calls, call{name, ""})
		}
		n++
		return n < maxDeltas
	})
	return calls
}

// readCalls finds the calls in an answer that is one JSON object. One that a rule passes may have any form.
func (rt *route) readCalls(v []byte) []call {
	var calls []call
	n := 0
	list := func(of []byte, read func(element []byte, key string)) {
		each(of, func(e []byte) bool {
			read(e, "w"+strconv.Itoa(n))
			n++
			return n < maxCallKeys
		})
	}
	list(get(v, "content"), func(b []byte, key string) { calls = anthropicCall(calls, b, key) })
	list(get(v, "choices"), func(c []byte, key string) { calls = chatCalls(calls, get(c, "message"), key) })
	list(get(v, "output"), func(item []byte, key string) { calls = responsesCall(calls, item, key) })
	if part := get(v, "response"); part != nil && rt.dialect == Gemini {
		v = part
	}
	list(get(v, "candidates"), func(c []byte, _ string) { calls = geminiCalls(calls, c) })
	return calls
}
