// Package mcp serves tools to an agent over the Model Context Protocol, on standard input and output.
//
// Of the protocol it speaks what a server of read-only tools needs: initialize, ping, tools/list and tools/call. A
// message is one line, a JSON-RPC 2.0 object of at most [MaxFrame] bytes; what is longer ends the session, since
// the rest of such a line would be read as messages. A batch is refused, as the protocol's newest version does. A
// request with an unknown method, or one that is no request, gets the error that JSON-RPC has for it; a
// notification gets no answer, whatever it holds.
//
// Requests are answered one after another. A tool's failure is a result that says so, which the model sees, and no
// error of the protocol, which it does not.
package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Limits, in bytes.
const (
	MaxFrame  = 1 << 20
	maxResult = 256 << 10
)

// Versions are those of the protocol that are spoken, the newest first. What is used of it is the same in all.
var versions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

// A Tool is something that an agent may ask.
type Tool struct {
	Name        string
	Title       string
	Description string
	// Parameters are the tool's arguments, all of them strings.
	Parameters []Parameter
	// Call answers. It must change nothing.
	Call func(ctx context.Context, args map[string]string) (string, error)
}

// A Parameter is an argument of a tool.
type Parameter struct {
	Name, Description string
	Required          bool
}

// A Server answers one client.
type Server struct {
	Name, Version, Instructions string
	Tools                       []Tool
}

// Codes of JSON-RPC.
const (
	codeParse     = -32700
	codeRequest   = -32600
	codeMethod    = -32601
	codeArguments = -32602
)

type request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message }

// ErrFrame is returned for a message that is too long.
var ErrFrame = errors.New("a message is too long")

// Serve answers messages from in on out until in ends or ctx is done.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), MaxFrame)
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		frame := bytes.TrimSpace(lines.Bytes())
		if len(frame) == 0 {
			continue
		}
		answer := s.answer(ctx, frame)
		if answer == nil {
			continue
		}
		b, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%w: the limit is %d bytes", ErrFrame, MaxFrame)
	} else if err != nil {
		return err
	}
	return nil
}

// answer returns the response to a frame, or nil for a notification.
func (s *Server) answer(ctx context.Context, frame []byte) *response {
	null := json.RawMessage("null")
	fail := func(id json.RawMessage, code int, text string) *response {
		return &response{Version: "2.0", ID: id, Error: &rpcError{code, text}}
	}
	if err := strict.CheckJSON(frame, MaxFrame); err != nil {
		return fail(null, codeParse, "the message is no JSON: "+err.Error())
	}
	var r request
	if err := json.Unmarshal(frame, &r); err != nil || frame[0] != '{' {
		return fail(null, codeRequest, "want one request; batches are not taken")
	}
	if r.ID == nil && r.Method != "" {
		return nil // a notification
	}
	if r.Version != "2.0" || !validID(r.ID) {
		return fail(null, codeRequest, "want a JSON-RPC 2.0 request with an id that is a string or a number")
	}
	if r.Method == "" {
		return nil // an answer to a request that was never made
	}
	result, err := s.call(ctx, r)
	if err != nil {
		var e *rpcError
		if errors.As(err, &e) {
			return fail(r.ID, e.Code, e.Message)
		}
		return fail(r.ID, codeArguments, err.Error())
	}
	return &response{Version: "2.0", ID: r.ID, Result: result}
}

func validID(id json.RawMessage) bool {
	return len(id) > 0 && len(id) <= 256 && (id[0] == '"' || id[0] == '-' || id[0] >= '0' && id[0] <= '9')
}

func (s *Server) call(ctx context.Context, r request) (any, error) {
	switch r.Method {
	case "initialize":
		var p struct {
			Version string `json:"protocolVersion"`
		}
		if err := json.Unmarshal(orObject(r.Params), &p); err != nil {
			return nil, errors.New("protocolVersion is no string")
		}
		version := versions[0]
		if slices.Contains(versions, p.Version) {
			version = p.Version
		}
		return map[string]any{
			"protocolVersion": version,
			"capabilities":    map[string]any{"tools": map[string]any{}},
			"serverInfo":      map[string]any{"name": s.Name, "version": s.Version},
			"instructions":    s.Instructions,
		}, nil
	case "ping":
		return map[string]any{}, nil
	case "tools/list":
		return map[string]any{"tools": s.list()}, nil
	case "tools/call":
		return s.callTool(ctx, r.Params)
	}
	return nil, &rpcError{codeMethod, fmt.Sprintf("unknown method %.80q", r.Method)}
}

func orObject(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("{}")
	}
	return raw
}

func (s *Server) list() []any {
	list := []any{}
	for _, t := range s.Tools {
		properties, required := map[string]any{}, []string{}
		for _, p := range t.Parameters {
			properties[p.Name] = map[string]any{"type": "string", "description": p.Description}
			if p.Required {
				required = append(required, p.Name)
			}
		}
		list = append(list, map[string]any{
			"name": t.Name, "title": t.Title, "description": t.Description,
			"inputSchema": map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false},
			"annotations": map[string]any{"title": t.Title, "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false},
		})
	}
	return list
}

func (s *Server) callTool(ctx context.Context, params json.RawMessage) (result any, err error) {
	var p struct {
		Name      string         `json:"name"`
		Arguments map[string]any `json:"arguments"`
	}
	if err := json.Unmarshal(orObject(params), &p); err != nil {
		return nil, errors.New("want a tool's name and its arguments")
	}
	i := slices.IndexFunc(s.Tools, func(t Tool) bool { return t.Name == p.Name })
	if i < 0 {
		return nil, fmt.Errorf("unknown tool %.80q", p.Name)
	}
	tool := s.Tools[i]
	args := map[string]string{}
	for name, v := range p.Arguments {
		text, ok := v.(string)
		if !ok || !slices.ContainsFunc(tool.Parameters, func(q Parameter) bool { return q.Name == name }) {
			return nil, fmt.Errorf("%s: %.80q is no argument of it, or no string", tool.Name, name)
		}
		args[name] = text
	}
	for _, q := range tool.Parameters {
		if q.Required && args[q.Name] == "" {
			return nil, fmt.Errorf("%s: %s is missing", tool.Name, q.Name)
		}
	}
	defer func() {
		if v := recover(); v != nil {
			result, err = content(fmt.Sprintf("sallyport failed: %v", v), true), nil
		}
	}()
	text, err := tool.Call(ctx, args)
	if err != nil {
		return content("error: "+err.Error(), true), nil
	}
	return content(text, false), nil
}

func content(text string, failed bool) map[string]any {
	if len(text) > maxResult {
		text = text[:maxResult] + "\n(cut off)"
	}
	return map[string]any{"content": []any{map[string]any{"type": "text", "text": text}}, "isError": failed}
}
