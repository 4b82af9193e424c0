package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func server() *Server {
	return &Server{Name: "sallyport", Version: "test", Tools: []Tool{
		{Name: "echo", Title: "Echo", Description: "Says it again.", Parameters: []Parameter{{Name: "text", Description: "what", Required: true}, {Name: "more"}}, Call: func(_ context.Context, args map[string]string) (string, error) {
			switch args["text"] {
			case "fail":
				return "", errors.New("it failed")
			case "panic":
				panic("no")
			}
			return args["text"], nil
		}},
	}}
}

// TestFrames answers frames as clients write them; the first three are written by hand in the form
// in which Claude Code 2.1.197 writes them.
func TestFrames(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{},"elicitation":{}},"clientInfo":{"name":"claude-code","version":"2.1.197"}},"jsonrpc":"2.0","id":0}`, `"protocolVersion":"2025-11-25"`},
		{`{"method":"notifications/initialized","jsonrpc":"2.0"}`, ``},
		{`{"method":"tools/list","jsonrpc":"2.0","id":1}`, `"readOnlyHint":true`},
		{`{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2024-11-05"}}`, `"id":"a","result":{"capabilities":{"tools":{}},"instructions":"","protocolVersion":"2024-11-05"`},
		{`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2099-01-01"}}`, `"protocolVersion":"2025-11-25"`},
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}`, `{"content":[{"text":"hi","type":"text"}],"isError":false}`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"fail"}}}`, `"isError":true`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"panic"}}}`, `"isError":true`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, `-32602`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":7}}}`, `-32602`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a","other":"b"}}}`, `-32602`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}`, `-32602`},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, `-32601`},
		{`{"jsonrpc":"1.0","id":1,"method":"ping"}`, `-32600`},
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, `-32600`},
		{`{"jsonrpc":"2.0","id":{},"method":"ping"}`, `-32600`},
		{`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `-32600`},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}`, `-32700`},
		{`{`, `-32700`},
		{`{"jsonrpc":"2.0","id":7,"result":{}}`, ``},
		{``, ``},
	} {
		var out bytes.Buffer
		if err := server().Serve(t.Context(), strings.NewReader(tt.in+"\n"), &out); err != nil {
			t.Errorf("%s: %v", tt.in, err)
		}
		if got := out.String(); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

func TestTooLong(t *testing.T) {
	in := `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", MaxFrame) + `"}`
	if err := server().Serve(t.Context(), strings.NewReader(in), &bytes.Buffer{}); !errors.Is(err, ErrFrame) {
		t.Errorf("got %v, want an end of the session", err)
	}
}

// FuzzServe holds that every line that is written is one JSON-RPC response.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	f.Add([]byte(`[1]` + "\n" + `{"id":"x","jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{"text":"a"}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		_ = server().Serve(t.Context(), bytes.NewReader(in), &out)
		for l := range strings.Lines(out.String()) {
			var r response
			if err := json.Unmarshal([]byte(l), &r); err != nil || r.Version != "2.0" || (r.Result == nil) == (r.Error == nil) {
				t.Fatalf("%q is no response: %v", l, err)
			}
		}
	})
}
