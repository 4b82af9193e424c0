package vendor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Each dialect asks for a call while there is no result, in pieces that together are the call, and
// answers in words once there is one.
func TestDialects(t *testing.T) {
	v := &Vendor{Script: func(c Conversation) Reply {
		if len(c.Results) == 0 {
			return Reply{Call: &Call{Tool: c.Has("write"), Args: map[string]any{"path": "a ⟦personal:email:1⟧"}}}
		}
		return Reply{Text: "it said " + c.Results[0]}
	}}
	srv := httptest.NewServer(v)
	defer srv.Close()
	for _, c := range []struct{ path, tools, first, second, call, end string }{
		{
			"/v1/messages", `"tools":[{"name":"write"}]`, `"messages":[{"role":"user","content":"go"}]`,
			`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[{"type":"text","text":"done"}]}]}]`,
			`"name":"write"`, "message_stop",
		},
		{
			"/v1/chat/completions", `"tools":[{"type":"function","function":{"name":"write"}}]`, `"messages":[]`,
			`"messages":[{"role":"tool","tool_call_id":"x","content":"done"}]`, `"name":"write"`, "[DONE]",
		},
		{
			"/v1/responses", `"tools":[{"type":"function","name":"write"}]`, `"input":[]`,
			`"input":[{"type":"function_call_output","call_id":"x","output":"done"}]`, `"name":"write"`, "response.completed",
		},
		{
			"/v1beta/models/m:streamGenerateContent?alt=sse", `"tools":[{"functionDeclarations":[{"name":"write"}]}]`, `"contents":[]`,
			`"contents":[{"parts":[{"functionResponse":{"name":"write","response":{"output":"done"}}}]}]`, `"name":"write"`, `"STOP"`,
		},
	} {
		ask := func(body string) string {
			t.Helper()
			resp, err := http.Post(srv.URL+c.path, "application/json", strings.NewReader(`{"model":"m","stream":true,`+c.tools+`,`+body+`}`))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
				t.Fatalf("%s: %v %v %s", c.path, err, resp.Status, b)
			}
			return string(b)
		}
		if got := ask(c.first); !strings.Contains(got, c.call) || !strings.Contains(got, c.end) {
			t.Errorf("%s asks for no call: %s", c.path, got)
		}
		got := ask(c.second)
		if strings.Contains(got, c.call) || !strings.Contains(got, c.end) || !strings.Contains(got, `"it sa"`) || !strings.Contains(got, `"id do"`) || !strings.Contains(got, `"ne"`) {
			t.Errorf("%s does not answer in pieces: %s", c.path, got)
		}
	}
	if resp, err := http.Get(srv.URL + "/v2/else"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown path: %v %v", resp, err)
	}
	if got := v.Requests(); len(got) != 9 || got[8].Known || !v.Saw("function_call_output") || v.Saw("nobody sent this") {
		t.Errorf("kept %d requests", len(got))
	}
}
