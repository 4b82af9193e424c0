package vendor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Objects and lists of JSON, as the formats have them.
type (
	object = map[string]any
	list   = []any
)

func encode(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // all that is encoded is built here
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

func whole(v any) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(encode(v))
	}
}

// events streams server-sent events. Named ones say their type in an event line too.
func events(named bool, list []object, last string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w)
		for _, e := range list {
			if named {
				_, _ = fmt.Fprintf(w, "event: %v\n", e["type"])
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", encode(e)); err != nil {
				return
			}
			_ = flush.Flush()
		}
		_, _ = fmt.Fprint(w, last)
	}
}

// textOf returns all text in a value: the strings of content blocks, parts and outputs.
func textOf(v any) string {
	var b strings.Builder
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			b.WriteString(v)
		case list:
			for _, x := range v {
				walk(x)
			}
		case object:
			for _, k := range []string{"text", "output", "content", "result", "error"} {
				walk(v[k])
			}
		}
	}
	walk(v)
	return b.String()
}

func decode(body []byte) object {
	var o object
	if json.Unmarshal(body, &o) != nil {
		return object{}
	}
	return o
}

func field(v any, name string) any {
	o, _ := v.(object)
	return o[name]
}

func items(v any) list {
	l, _ := v.(list)
	return l
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// ask hands a conversation to the script.
func (v *Vendor) ask(c Conversation) Reply {
	if v.Script == nil || len(c.Tools) == 0 { // a title, a summary, a router: not the agent's turn
		return Reply{Text: "ok"}
	}
	return v.Script(c)
}

// messages answers Anthropic's POST /v1/messages.
func (v *Vendor) messages(body []byte) func(http.ResponseWriter) {
	in := decode(body)
	c := Conversation{Dialect: Messages, Model: str(in["model"]), Stream: in["stream"] == true}
	for _, t := range items(in["tools"]) {
		c.Tools = append(c.Tools, str(field(t, "name")))
	}
	for _, m := range items(in["messages"]) {
		for _, b := range items(field(m, "content")) {
			if field(b, "type") == "tool_result" {
				c.Results = append(c.Results, textOf(field(b, "content")))
			}
		}
	}
	r := v.ask(c)
	block, stop, key, kind := object{"type": "text", "text": ""}, "end_turn", "text", "text_delta"
	raw := r.Text
	if r.Call != nil {
		block = object{"type": "tool_use", "id": fmt.Sprintf("toolu_%d", len(c.Results)+1), "name": r.Call.Tool, "input": object{}}
		stop, key, kind, raw = "tool_use", "partial_json", "input_json_delta", string(encode(r.Call.Args))
	}
	message := object{
		"id": "msg_1", "type": "message", "role": "assistant", "model": c.Model, "content": list{}, "stop_reason": nil,
		"stop_sequence": nil, "usage": object{"input_tokens": 10, "output_tokens": 1},
	}
	if !c.Stream {
		if r.Call != nil {
			block["input"] = r.Call.Args
		} else {
			block["text"] = r.Text
		}
		message["content"], message["stop_reason"] = list{block}, stop
		return whole(message)
	}
	out := []object{{"type": "message_start", "message": message}, {"type": "content_block_start", "index": 0, "content_block": block}, {"type": "ping"}}
	for _, p := range v.pieces(raw) {
		out = append(out, object{"type": "content_block_delta", "index": 0, "delta": object{"type": kind, key: p}})
	}
	out = append(out, object{"type": "content_block_stop", "index": 0},
		object{"type": "message_delta", "delta": object{"stop_reason": stop, "stop_sequence": nil}, "usage": object{"output_tokens": 20}},
		object{"type": "message_stop"})
	return events(true, out, "")
}

// completions answers OpenAI's POST /v1/chat/completions.
func (v *Vendor) completions(body []byte) func(http.ResponseWriter) {
	in := decode(body)
	c := Conversation{Dialect: Completions, Model: str(in["model"]), Stream: in["stream"] == true}
	for _, t := range items(in["tools"]) {
		c.Tools = append(c.Tools, str(field(field(t, "function"), "name")))
	}
	for _, m := range items(in["messages"]) {
		if field(m, "role") == "tool" {
			c.Results = append(c.Results, textOf(field(m, "content")))
		}
	}
	r := v.ask(c)
	usage := object{"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
	head := func(kind string) object {
		return object{"id": "chatcmpl-1", "object": kind, "created": 1, "model": c.Model}
	}
	finish := "stop"
	var call object
	if r.Call != nil {
		finish = "tool_calls"
		call = object{"id": fmt.Sprintf("call_%d", len(c.Results)+1), "type": "function", "function": object{"name": r.Call.Tool, "arguments": string(encode(r.Call.Args))}}
	}
	if !c.Stream {
		message := object{"role": "assistant", "content": r.Text}
		if call != nil {
			message = object{"role": "assistant", "content": nil, "tool_calls": list{call}}
		}
		o := head("chat.completion")
		o["choices"], o["usage"] = list{object{"index": 0, "finish_reason": finish, "message": message}}, usage
		return whole(o)
	}
	var out []object
	chunk := func(delta object, finish any) {
		o := head("chat.completion.chunk")
		o["choices"] = list{object{"index": 0, "delta": delta, "finish_reason": finish}}
		out = append(out, o)
	}
	if call == nil {
		chunk(object{"role": "assistant", "content": ""}, nil)
		for _, p := range v.pieces(r.Text) {
			chunk(object{"content": p}, nil)
		}
	} else {
		f := call["function"].(object)
		raw := f["arguments"].(string)
		f["arguments"], call["index"] = "", 0
		chunk(object{"role": "assistant", "content": nil, "tool_calls": list{call}}, nil)
		for _, p := range v.pieces(raw) {
			chunk(object{"tool_calls": list{object{"index": 0, "function": object{"arguments": p}}}}, nil)
		}
	}
	chunk(object{}, finish)
	if field(in["stream_options"], "include_usage") == true {
		o := head("chat.completion.chunk")
		o["choices"], o["usage"] = list{}, usage
		out = append(out, o)
	}
	return events(false, out, "data: [DONE]\n\n")
}

// responses answers OpenAI's POST /v1/responses.
func (v *Vendor) responses(body []byte) func(http.ResponseWriter) {
	in := decode(body)
	c := Conversation{Dialect: Responses, Model: str(in["model"]), Stream: in["stream"] == true}
	for _, t := range items(in["tools"]) {
		if n := str(field(t, "name")); n != "" {
			c.Tools = append(c.Tools, n)
		}
	}
	for _, i := range items(in["input"]) {
		if strings.HasSuffix(str(field(i, "type")), "call_output") {
			c.Results = append(c.Results, textOf(field(i, "output")))
		}
	}
	r := v.ask(c)
	response := object{"id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": c.Model, "output": list{}}
	item := object{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": list{object{"type": "output_text", "text": r.Text, "annotations": list{}}}}
	if r.Call != nil {
		n := len(c.Results) + 1
		item = object{"id": fmt.Sprintf("fc_%d", n), "type": "function_call", "status": "completed", "call_id": fmt.Sprintf("call_%d", n), "name": r.Call.Tool, "arguments": string(encode(r.Call.Args))}
	}
	done := object{
		"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": c.Model, "output": list{item},
		"usage": object{"input_tokens": 10, "input_tokens_details": object{"cached_tokens": 0}, "output_tokens": 5, "output_tokens_details": object{"reasoning_tokens": 0}, "total_tokens": 15},
	}
	if !c.Stream {
		return whole(done)
	}
	out := []object{{"type": "response.created", "response": response}}
	add := func(o object) {
		o["output_index"], o["sequence_number"] = 0, len(out)
		out = append(out, o)
	}
	if r.Call != nil {
		empty := object{"id": item["id"], "type": "function_call", "status": "in_progress", "call_id": item["call_id"], "name": item["name"], "arguments": ""}
		add(object{"type": "response.output_item.added", "item": empty})
		for _, p := range v.pieces(item["arguments"].(string)) {
			add(object{"type": "response.function_call_arguments.delta", "item_id": item["id"], "delta": p})
		}
		add(object{"type": "response.function_call_arguments.done", "item_id": item["id"], "arguments": item["arguments"]})
	} else {
		add(object{"type": "response.output_item.added", "item": object{"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": list{}}})
		add(object{"type": "response.content_part.added", "item_id": "msg_1", "content_index": 0, "part": object{"type": "output_text", "text": "", "annotations": list{}}})
		for _, p := range v.pieces(r.Text) {
			add(object{"type": "response.output_text.delta", "item_id": "msg_1", "content_index": 0, "delta": p})
		}
		add(object{"type": "response.output_text.done", "item_id": "msg_1", "content_index": 0, "text": r.Text})
	}
	add(object{"type": "response.output_item.done", "item": item})
	add(object{"type": "response.completed", "response": done})
	return events(true, out, "")
}

// gemini answers Google's POST …:generateContent and …:streamGenerateContent.
func (v *Vendor) gemini(path string, sse bool, body []byte) func(http.ResponseWriter) {
	in := decode(body)
	stream := strings.HasSuffix(path, ":streamGenerateContent")
	model := path[strings.LastIndexByte(path, '/')+1 : strings.LastIndexByte(path, ':')]
	c := Conversation{Dialect: Gemini, Model: model, Stream: stream}
	for _, t := range items(in["tools"]) {
		for _, f := range items(field(t, "functionDeclarations")) {
			c.Tools = append(c.Tools, str(field(f, "name")))
		}
	}
	for _, m := range items(in["contents"]) {
		for _, p := range items(field(m, "parts")) {
			if f := field(p, "functionResponse"); f != nil {
				c.Results = append(c.Results, textOf(field(f, "response")))
			}
		}
	}
	candidate := func(part object, finish any) object {
		o := object{"content": object{"role": "model", "parts": list{part}}, "index": 0}
		if finish != nil {
			o["finishReason"] = finish
		}
		return object{"candidates": list{o}, "usageMetadata": object{"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, "modelVersion": model}
	}
	r := v.ask(c)
	if len(c.Tools) == 0 && in["generationConfig"] != nil { // the client's router asks for JSON
		r.Text = `{"reasoning":"simple","model_choice":"flash","complexity_reasoning":"simple","complexity_score":10,"next_speaker":"user"}`
	}
	var parts []object
	switch {
	case r.Call != nil:
		parts = []object{{"functionCall": object{"name": r.Call.Tool, "args": r.Call.Args}}}
	case stream:
		for _, p := range v.pieces(r.Text) {
			parts = append(parts, object{"text": p})
		}
	default:
		parts = []object{{"text": r.Text}}
	}
	var out []object
	for i, p := range parts {
		var finish any
		if i == len(parts)-1 {
			finish = "STOP"
		}
		out = append(out, candidate(p, finish))
	}
	switch {
	case !stream && len(out) > 0:
		return whole(out[0])
	case sse:
		return events(false, out, "")
	}
	return whole(out)
}
