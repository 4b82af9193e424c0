package prompt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// said joins what a client of the dialect would show of a stream, and what its tools would be called with.
func said(t *testing.T, rt *route, stream string) (text, tool string, events int, last string) {
	t.Helper()
	in := newEventReader(strings.NewReader(stream), 1<<20)
	var rd reading
	for {
		ok := in.more()
		for {
			ev, ok := in.next()
			if !ok {
				break
			}
			if ev.data == nil {
				continue
			}
			events++
			last = string(ev.data)
			rt.readEvent(ev.data, &rd)
			for _, d := range rd.deltas {
				s := str(d.value)
				if d.where == InTool {
					tool += s
				} else {
					text += s
				}
			}
		}
		if !ok {
			return
		}
	}
}

// pieces cuts a text into pieces of n bytes, at letters.
func pieces(s string, n int) (out []string) {
	r := []rune(s)
	for len(r) > 0 {
		k := min(n, len(r))
		out = append(out, string(r[:k]))
		r = r[k:]
	}
	return out
}

// A talk is a stream in which a model says text and calls a tool with args.
type talk struct {
	name, path, body string
	rt               route
	stream           func(t *testing.T, text, args []string) []string
}

var talks = []talk{
	{"anthropic", "/v1/messages", `{"model":"good","stream":true}`, route{dialect: Anthropic, op: ask("messages")}, func(t *testing.T, text, args []string) []string {
		out := []string{"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n", "event: ping\ndata: {\"type\": \"ping\"}\n\n",
			"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"}
		for _, s := range text {
			out = append(out, "event: content_block_delta\ndata: "+jsonOf(t, map[string]any{"type": "content_block_delta", "index": 0, "delta": map[string]any{"type": "text_delta", "text": s}})+"\n\n")
		}
		out = append(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n")
		for _, s := range args {
			out = append(out, "event: content_block_delta\ndata: "+jsonOf(t, map[string]any{"type": "content_block_delta", "index": 1, "delta": map[string]any{"type": "input_json_delta", "partial_json": s}})+"\n\n")
		}
		return append(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":9}}\n\n", "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	}},
	{"chat", "/v1/chat/completions", `{"model":"good","stream":true}`, route{dialect: OpenAI, op: ask("chat")}, func(t *testing.T, text, args []string) []string {
		chunk := func(delta map[string]any, fin any) string {
			return "data: " + jsonOf(t, map[string]any{"id": "c1", "object": "chat.completion.chunk", "model": "good", "choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": fin}}}) + "\n\n"
		}
		var out []string
		for _, s := range text {
			out = append(out, chunk(map[string]any{"content": s}, nil))
		}
		for i, s := range args {
			call := map[string]any{"index": 0, "function": map[string]any{"arguments": s}}
			if i == 0 {
				call["id"] = "call_1"
			}
			out = append(out, chunk(map[string]any{"tool_calls": []any{call}}, nil))
		}
		return append(out, chunk(map[string]any{}, "tool_calls"), "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}\n\n", "data: [DONE]\n\n")
	}},
	{"responses", "/v1/responses", `{"model":"good","stream":true}`, route{dialect: OpenAI, op: ask("responses")}, func(t *testing.T, text, args []string) []string {
		var out []string
		for _, s := range text {
			out = append(out, "event: response.output_text.delta\ndata: "+jsonOf(t, map[string]any{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "m", "delta": s})+"\n\n")
		}
		out = append(out, "event: response.output_text.done\ndata: "+jsonOf(t, map[string]any{"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": strings.Join(text, "")})+"\n\n")
		for _, s := range args {
			out = append(out, "event: response.function_call_arguments.delta\ndata: "+jsonOf(t, map[string]any{"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "f", "delta": s})+"\n\n")
		}
		return append(out, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":9},\"output\":["+
			jsonOf(t, map[string]any{"type": "function_call", "arguments": strings.Join(args, "")})+"]}}\n\n")
	}},
	{"gemini", "/v1beta/models/good:streamGenerateContent?alt=sse", `{"contents":[]}`, route{dialect: Gemini, op: ask("generate")}, func(t *testing.T, text, _ []string) []string {
		var out []string
		for i, s := range text {
			c := map[string]any{"index": 0, "content": map[string]any{"parts": []any{map[string]any{"text": s}}}}
			if i == len(text)-1 {
				c["finishReason"] = "STOP"
			}
			out = append(out, "data: "+jsonOf(t, map[string]any{"candidates": []any{c}, "usageMetadata": map[string]any{"promptTokenCount": 7, "candidatesTokenCount": 9}})+"\r\n\r\n")
		}
		return out
	}},
}

func flushing(w http.ResponseWriter, events []string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		fmt.Fprint(w, e)
		w.(http.Flusher).Flush()
	}
}

// Originals return as policy lets them, however the sentinels are cut, and everything else stays as it was.
func TestStreams(t *testing.T) {
	mark := "before " + nameMark + " between " + sentinel + " after ⟦not one⟧ and ⟦secr"
	args := jsonOf(t, map[string]any{"cmd": "echo " + sentinel + " " + nameMark})
	for _, talk := range talks {
		for _, back := range []bool{false, true} {
			for _, n := range []int{1, 2, 3, 7, 1000} {
				t.Run(fmt.Sprintf("%s/%v/%d", talk.name, back, n), func(t *testing.T) {
					r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
						flushing(w, talk.stream(t, pieces(mark, n), pieces(args, n)))
					}, nil)
					r.masker.putBack = back
					got := r.do("POST", talk.path, talk.body)
					text, tool, _, _ := said(t, &talk.rt, got.body)
					want := strings.ReplaceAll(mark, nameMark, personal)
					wantTool := strings.ReplaceAll(args, nameMark, personal)
					if back {
						want = strings.ReplaceAll(want, sentinel, secret)
						q := string(quote(nil, []byte(secret)))
						wantTool = strings.ReplaceAll(wantTool, sentinel, q[1:len(q)-1])
					}
					if text != want {
						t.Errorf("text %q, want %q", text, want)
					}
					if talk.name != "gemini" && tool != wantTool {
						t.Errorf("tool %q, want %q\n%s", tool, wantTool, got.body)
					}
					end := r.journal.wait(t, 2)[1]
					if end.Outcome != Complete || end.Usage != (Usage{Input: 7, Output: 9}) || !end.Stream || end.Commitment.Digest.Zero() {
						t.Errorf("record %+v", end)
					}
				})
			}
		}
	}
}

// A stream in which there is nothing to put back reaches the client byte for byte.
func TestStreamsUntouched(t *testing.T) {
	for _, talk := range talks {
		events := talk.stream(t, pieces("nothing \u2028 \\ \" to see", 3), pieces(`{"a":"\u0041"}`, 4))
		events = append([]string{": a comment\n\n"}, events...)
		r := newRig(t, func(w http.ResponseWriter, _ *http.Request) { flushing(w, events) }, nil)
		if got := r.do("POST", talk.path, talk.body); got.body != strings.Join(events, "") {
			t.Errorf("%s: got %q", talk.name, got.body)
		}
	}
}

// A vendor that dies in the middle gives the client an error event of its dialect, and a record that says so.
func TestStreamDies(t *testing.T) {
	for _, talk := range talks {
		for _, how := range []string{"cut", "ends", "half an event"} {
			t.Run(talk.name+"/"+how, func(t *testing.T) {
				r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
					events := talk.stream(t, pieces("some text", 3), pieces("{}", 1))
					flushing(w, events[:2])
					switch how {
					case "cut":
						panic(http.ErrAbortHandler)
					case "half an event":
						fmt.Fprint(w, events[2][:len(events[2])-9])
					}
				}, nil)
				got := r.do("POST", talk.path, talk.body)
				_, _, n, last := said(t, &talk.rt, got.body)
				if !strings.Contains(last, "upstream-cut") || n < 3 {
					t.Errorf("the last event is %s of\n%s", last, got.body)
				}
				var rd reading
				if talk.rt.readEvent([]byte(last), &rd); !rd.failed {
					t.Errorf("a client does not take it for an error: %s", last)
				}
				if end := r.journal.wait(t, 2)[1]; end.Outcome != Cut || end.Code != "upstream-cut" {
					t.Errorf("record %+v", end)
				}
			})
		}
	}
}

// An array of Gemini's is passed element by element, and its death is told as its last element.
func TestGeminiArray(t *testing.T) {
	element := func(text, end string) string {
		return fmt.Sprintf(`{"candidates":[{"content":{"parts":[{"text":%s}]}%s}],"usageMetadata":{"promptTokenCount":1}}`, jsonOf(t, text), end)
	}
	half := len(nameMark) / 3 * 1
	whole := "[" + element("a "+nameMark[:half], "") + "\n,\r\n" + element(nameMark[half:], `,"finishReason":"STOP"`) + "\n]\n"
	for _, cut := range []bool{false, true} {
		r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for i := 0; i < len(whole); i += 5 {
				if cut && i > len(whole)/2 {
					panic(http.ErrAbortHandler)
				}
				fmt.Fprint(w, whole[i:min(i+5, len(whole))])
				w.(http.Flusher).Flush()
			}
		}, nil)
		got := r.do("POST", "/v1beta/models/good:streamGenerateContent", `{"contents":[]}`)
		if _, ref := scan([]byte(`{"a":` + got.body + `}`)); ref != nil {
			t.Fatalf("cut %v: no JSON: %s", cut, got.body)
		}
		end := r.journal.wait(t, 2)[1]
		if cut != strings.Contains(got.body, "upstream-cut") || (end.Outcome == Cut) != cut {
			t.Errorf("cut %v: %s, %+v", cut, got.body, end)
		}
		text := ""
		each([]byte(got.body), func(v []byte) bool {
			each(get(v, "candidates"), func(c []byte) bool {
				each(get(c, "content", "parts"), func(p []byte) bool { text += str(get(p, "text")); return true })
				return true
			})
			return true
		})
		if !cut && text != "a "+personal {
			t.Errorf("text %q of %s", text, got.body)
		}
	}
}

// Answers that are one object have originals put back in texts and tool calls, and thoughts left alone.
func TestWhole(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"x","content":[{"type":"thinking","thinking":"%[1]s","signature":"s"},{"type":"text","text":"hi %[1]s\n"},{"type":"tool_use","input":{"a":{"b":["%[2]s"]}}}],"usage":{"input_tokens":3,"output_tokens":4}}`, nameMark, sentinel)
	}, nil)
	r.masker.putBack = true
	got := r.do("POST", "/v1/messages", `{"model":"good","messages":[{"content":"`+personal+`"}]}`)
	want := fmt.Sprintf(`{"id":"x","content":[{"type":"thinking","thinking":"%s","signature":"s"},{"type":"text","text":"hi %s\n"},{"type":"tool_use","input":{"a":{"b":[%s]}}}],"usage":{"input_tokens":3,"output_tokens":4}}`, nameMark, personal, quote(nil, []byte(secret)))
	if got.body != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
	if s := r.reached()[0]; s.body != `{"model":"good","messages":[{"content":"`+nameMark+`"}]}` {
		t.Errorf("the vendor got %s", s.body)
	}
	if rec := r.journal.wait(t, 2); rec[0].Masked["personal:name"] != 1 || rec[1].Usage != (Usage{Input: 3, Output: 4}) {
		t.Errorf("records %+v", rec)
	}
}

// A reader that takes nothing stops the reading from the vendor: what the vendor could send is bounded by
// the sockets' buffers and one event.
func TestSlowReader(t *testing.T) {
	const piece = 32 << 10
	sent := make(chan int, 1)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		line := "data: {\"type\":\"ping\",\"pad\":\"" + strings.Repeat("x", piece) + "\"}\n\n"
		n := 0
		for ; n < 10_000; n++ { // 320 MB, if somebody took them
			if _, err := io.WriteString(w, line); err != nil || req.Context().Err() != nil {
				break
			}
		}
		sent <- n
	}, func(o *Options) { o.IdleTimeout = 300 * time.Millisecond })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.front.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"model":"good","stream":true}`
	fmt.Fprintf(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Api-Key: key-1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	select {
	case n := <-sent:
		if n*piece > 64<<20 {
			t.Errorf("the vendor could send %d MiB to a client that reads nothing", n*piece>>20)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the vendor is still held")
	}
	if end := r.journal.wait(t, 2)[1]; end.Outcome != Cancelled {
		t.Errorf("record %+v", end)
	}
}

// A client that goes away takes the vendor's connection with it.
func TestCancel(t *testing.T) {
	gone := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		flushing(w, []string{"event: ping\ndata: {\"type\":\"ping\"}\n\n"})
		<-req.Context().Done()
		close(gone)
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.front.URL+"/v1/messages", bytes.NewReader([]byte(`{"model":"good","stream":true}`)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", "key-1")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-gone
	if end := r.journal.wait(t, 2)[1]; end.Outcome != Cancelled {
		t.Errorf("record %+v", end)
	}
}

// A vendor that falls silent is given up.
func TestSilence(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		flushing(w, []string{"event: ping\ndata: {\"type\":\"ping\"}\n\n"})
		<-req.Context().Done()
	}, func(o *Options) { o.IdleTimeout = 50 * time.Millisecond })
	got := r.do("POST", "/v1/messages", `{"model":"good","stream":true}`)
	if !strings.Contains(got.body, "event: error") || !strings.Contains(got.body, "upstream-timeout") {
		t.Errorf("got %s", got.body)
	}
	if end := r.journal.wait(t, 2)[1]; end.Outcome != Cut || end.Code != "upstream-timeout" {
		t.Errorf("record %+v", end)
	}
}

// An event that opens more texts than any vendor does ends the stream, before it costs anything.
func TestFlood(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, `,{"index":%d,"delta":{"content":"x"},"finish_reason":"stop"}`, i)
	}
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		flushing(w, []string{"data: {\"choices\":[" + b.String()[1:] + "]}\n\n", "data: [DONE]\n\n"})
	}, nil)
	got := r.do("POST", "/v1/chat/completions", `{"model":"good","stream":true}`)
	if !strings.Contains(got.body, "upstream-invalid") || len(got.body) > 4096 {
		t.Errorf("got %.200s", got.body)
	}
	if end := r.journal.wait(t, 2)[1]; end.Outcome != Cut {
		t.Errorf("record %+v", end)
	}
}
