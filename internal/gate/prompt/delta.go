package prompt

import (
	"bytes"
	"strconv"
	"strings"
)

// A delta is a piece of a text that comes in pieces.
type delta struct {
	value  []byte // the JSON string, a piece of the event's data
	block  string // which text it continues
	where  Where
	inJSON bool
}

// A reading is what an event says, as its dialect has it.
type reading struct {
	deltas []delta
	closes []string // blocks that end with the event; "" at the end of one means all that begin so
	last   bool     // nothing has to follow
	final  bool     // nothing may follow
	failed bool     // the vendor says that it failed
	flood  bool     // it says more than it may
	whole  bool     // strings outside the deltas are texts of their own
	usage  Usage
	calls  []call
}

// closesAll ends every block.
const closesAll = "*"

func (rd *reading) reset() {
	*rd = reading{deltas: rd.deltas[:0], closes: rd.closes[:0], calls: rd.calls[:0]}
}

// maxDeltas bounds the texts of one event, and the ends of texts. Vendors send a handful.
const maxDeltas = 256

func (rd *reading) add(value []byte, where Where, inJSON bool, block ...string) {
	if len(rd.deltas) >= maxDeltas || len(rd.closes) >= maxDeltas {
		rd.flood = true
		return
	}
	if len(value) > 1 && value[0] == '"' {
		rd.deltas = append(rd.deltas, delta{value, strings.Join(block, "."), where, inJSON})
	}
}

// readEvent understands the data of an event.
func (rt *route) readEvent(data []byte, rd *reading) {
	rd.reset()
	switch {
	case rt.dialect == Anthropic:
		readAnthropic(data, rd)
	case rt.dialect == OpenAI && rt.op.name == "responses":
		readResponses(data, rd)
	case rt.dialect == OpenAI:
		readChat(data, rd)
	case rt.dialect == Gemini:
		readGemini(data, rd)
	}
}

func str(v []byte) string { s, _ := text(v); return s }

func number(v []byte) int64 {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0
	}
	return n
}

func readAnthropic(data []byte, rd *reading) {
	switch str(get(data, "type")) {
	case "content_block_delta":
		index, d := string(get(data, "index")), get(data, "delta")
		switch str(get(d, "type")) {
		case "text_delta":
			rd.add(get(d, "text"), InText, false, index)
		case "input_json_delta":
			rd.add(get(d, "partial_json"), InTool, true, index)
		}
	case "content_block_start":
		rd.whole = true
		rd.calls = anthropicCall(rd.calls, get(data, "content_block"), string(get(data, "index")))
	case "content_block_stop":
		rd.closes = append(rd.closes, string(get(data, "index")))
	case "message_start":
		rd.usage = anthropicUsage(get(data, "message", "usage"))
	case "message_delta":
		rd.usage = anthropicUsage(get(data, "usage"))
	case "message_stop":
		rd.closes, rd.last, rd.final = append(rd.closes, closesAll), true, true
	case "error":
		rd.closes, rd.last, rd.final, rd.failed = append(rd.closes, closesAll), true, true, true
	}
}

func anthropicUsage(v []byte) Usage {
	return Usage{
		Input:  number(get(v, "input_tokens")) + number(get(v, "cache_creation_input_tokens")) + number(get(v, "cache_read_input_tokens")),
		Output: number(get(v, "output_tokens")),
	}
}

func readChat(data []byte, rd *reading) {
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		rd.closes, rd.last, rd.final = append(rd.closes, closesAll), true, true
		return
	}
	each(get(data, "choices"), func(c []byte) bool {
		index, d := "c"+string(get(c, "index")), get(c, "delta")
		rd.calls = chatCalls(rd.calls, d, index)
		rd.add(get(d, "content"), InText, false, index)
		rd.add(get(d, "refusal"), InText, false, index, "r")
		rd.add(get(d, "function_call", "arguments"), InTool, true, index, "f")
		each(get(d, "tool_calls"), func(t []byte) bool {
			rd.add(get(t, "function", "arguments"), InTool, true, index, "t"+string(get(t, "index")))
			rd.add(get(t, "custom", "input"), InTool, false, index, "u"+string(get(t, "index")))
			return !rd.flood
		})
		rd.add(get(c, "text"), InText, false, index, "x")
		if f := get(c, "finish_reason"); len(f) > 0 && f[0] == '"' {
			rd.closes, rd.last = append(rd.closes, index), true
		}
		return !rd.flood
	})
	if e := get(data, "error"); len(e) > 0 && e[0] == '{' {
		rd.last, rd.failed = true, true
	}
	rd.usage = openAIUsage(get(data, "usage"))
}

func openAIUsage(v []byte) Usage {
	return Usage{
		Input:  number(get(v, "prompt_tokens")) + number(get(v, "input_tokens")),
		Output: number(get(v, "completion_tokens")) + number(get(v, "output_tokens")),
	}
}

func readResponses(data []byte, rd *reading) {
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		rd.closes, rd.final = append(rd.closes, closesAll), true
		return
	}
	typ := str(get(data, "type"))
	output := "o" + string(get(data, "output_index"))
	switch typ {
	case "response.output_text.delta", "response.refusal.delta":
		rd.add(get(data, "delta"), InText, false, output, string(get(data, "content_index")))
	case "response.function_call_arguments.delta", "response.mcp_call_arguments.delta":
		rd.add(get(data, "delta"), InTool, true, output)
	case "response.custom_tool_call_input.delta", "response.code_interpreter_call_code.delta":
		rd.add(get(data, "delta"), InTool, false, output)
	case "response.completed", "response.incomplete":
		rd.closes, rd.last, rd.whole = append(rd.closes, closesAll), true, true
		rd.usage = openAIUsage(get(data, "response", "usage"))
	case "response.failed", "error":
		rd.closes, rd.last, rd.failed = append(rd.closes, closesAll), true, true
	default:
		// Whatever is done comes once more as a whole, and clients use either.
		rd.whole = !strings.HasPrefix(typ, "response.reasoning")
		if typ == "response.output_item.added" || typ == "response.output_item.done" {
			rd.calls = responsesCall(rd.calls, get(data, "item"), output)
		}
		if strings.HasSuffix(typ, ".done") && len(output) > 1 {
			rd.closes = append(rd.closes, output)
		}
	}
}

func readGemini(data []byte, rd *reading) {
	rd.whole = true
	if part := get(data, "response"); part != nil { // as Cloud Code wraps it
		data = part
	}
	each(get(data, "candidates"), func(c []byte) bool {
		index := "c" + orText(string(get(c, "index")), "0")
		rd.calls = geminiCalls(rd.calls, c)
		each(get(c, "content", "parts"), func(p []byte) bool {
			if string(get(p, "thought")) != "true" {
				rd.add(get(p, "text"), InText, false, index)
			}
			return !rd.flood
		})
		if f := str(get(c, "finishReason")); f != "" {
			rd.closes, rd.last = append(rd.closes, index), true
		}
		return !rd.flood
	})
	if get(data, "promptFeedback", "blockReason") != nil {
		rd.last = true
	}
	if e := get(data, "error"); e != nil {
		rd.last, rd.failed = true, true
	}
	rd.usage = geminiUsage(get(data, "usageMetadata"))
}

func geminiUsage(v []byte) Usage {
	return Usage{Input: number(get(v, "promptTokenCount")), Output: number(get(v, "candidatesTokenCount")) + number(get(v, "thoughtsTokenCount"))}
}

// readUsage finds the usage in an answer that is one JSON object.
func (rt *route) readUsage(v []byte) Usage {
	switch rt.dialect {
	case Anthropic:
		return anthropicUsage(get(v, "usage"))
	case Gemini:
		return geminiUsage(get(v, "usageMetadata"))
	case OpenAI:
		return openAIUsage(get(v, "usage"))
	}
	for _, u := range []Usage{anthropicUsage(get(v, "usage")), openAIUsage(get(v, "usage")), geminiUsage(get(v, "usageMetadata"))} {
		if u != (Usage{}) {
			return u
		}
	}
	return Usage{}
}

// tail is an event that carries text which was held back when its block ended. was is the data of the
// block's last delta, and at where its value stands in it.
func (rt *route) tail(was []byte, at Span, value []byte) []byte {
	switch {
	case rt.dialect == Gemini:
		index := orText(string(get(was, "candidates", "index")), "0")
		each(get(was, "candidates"), func(c []byte) bool {
			index = orText(string(get(c, "index")), "0")
			return offset(was, c)+len(c) < at.Start
		})
		return []byte(`{"candidates":[{"content":{"role":"model","parts":[{"text":` + string(value) + `}]},"index":` + index + `}]}`)
	case rt.dialect == OpenAI && rt.op.name != "responses":
		return chatTail(was, at, value)
	}
	// Such an event has nothing in it but the text and its place.
	out := append([]byte(nil), was[:at.Start]...)
	out = append(out, value...)
	return append(out, was[at.End:]...)
}

// chatTail is a chunk with a text and its place, and without what may stand in a stream once only.
func chatTail(was []byte, at Span, value []byte) []byte {
	out := []byte("{")
	for _, name := range []string{"id", "object", "created", "model"} {
		if v := get(was, name); v != nil {
			out = append(append(append(out, '"'), name...), `":`...)
			out = append(append(out, v...), ',')
		}
	}
	inside := func(v []byte) bool { return v != nil && offset(was, v) <= at.Start && at.End <= offset(was, v)+len(v) }
	out = append(out, `"choices":[{"index":`...)
	each(get(was, "choices"), func(c []byte) bool {
		if !inside(c) {
			return true
		}
		out = append(out, orText(string(get(c, "index")), "0")...)
		d := get(c, "delta")
		name := "content"
		switch {
		case inside(get(d, "tool_calls")):
			each(get(d, "tool_calls"), func(t []byte) bool {
				if !inside(t) {
					return true
				}
				part, field := "function", "arguments"
				if inside(get(t, "custom")) {
					part, field = "custom", "input"
				}
				out = append(out, `,"delta":{"tool_calls":[{"index":`+orText(string(get(t, "index")), "0")+`,"`+part+`":{"`+field+`":`...)
				out = append(append(out, value...), `}}]}`...)
				return false
			})
			return false
		case inside(get(d, "function_call")):
			out = append(out, `,"delta":{"function_call":{"arguments":`...)
			out = append(append(out, value...), `}}`...)
			return false
		case inside(get(d, "refusal")):
			name = "refusal"
		case inside(get(c, "text")):
			out = append(append(out, `,"text":`...), value...)
			return false
		}
		out = append(out, `,"delta":{"`+name+`":`...)
		out = append(append(out, value...), '}')
		return false
	})
	return append(out, `,"finish_reason":null}]}`...)
}
