package prompt

import (
	"maps"
	"strings"
	"testing"
)

// The calls of an answer are counted once each, whether it comes as a stream or as a whole, however often a
// stream names them.
func TestCalls(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rt      route
		events  []string
		whole   string
		want    map[string]int64
		refused string
	}{
		{"anthropic", route{dialect: Anthropic, op: ask("messages")}, []string{
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
			`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"Bash","input":{}}}`,
			`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"b","name":"Bash","input":{}}}`,
			`{"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use","id":"c","name":"web_search","input":{}}}`,
		}, `{"content":[{"type":"text","text":"x"},{"type":"tool_use","name":"Bash"},{"type":"tool_use","name":"Bash"},{"type":"server_tool_use","name":"web_search"}]}`,
			map[string]int64{"Bash": 2, "web_search": 1}, ""},
		{"chat", route{dialect: OpenAI, op: ask("chat")}, []string{
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"bash","arguments":""}}]}}]}`,
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"bash","arguments":"{}"}},{"index":1,"custom":{"name":"patch"}}]}}]}`,
			`{"choices":[{"index":1,"delta":{"function_call":{"name":"old","arguments":""}}}]}`, `[DONE]`,
		}, `{"choices":[{"message":{"tool_calls":[{"function":{"name":"bash"}},{"custom":{"name":"patch"}}]}},{"message":{"function_call":{"name":"old"}}}]}`,
			map[string]int64{"bash": 1, "patch": 1, "old": 1}, ""},
		{"responses", route{dialect: OpenAI, op: ask("responses")}, []string{
			`{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"exec"}}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","name":"exec"}}`,
			`{"type":"response.output_item.done","output_index":1,"item":{"type":"web_search_call"}}`,
			`{"type":"response.output_item.done","output_index":2,"item":{"type":"message","name":"none"}}`,
		}, `{"output":[{"type":"function_call","name":"exec"},{"type":"web_search_call"},{"type":"message"}]}`,
			map[string]int64{"exec": 1, "web_search_call": 1}, ""},
		{"gemini", route{dialect: Gemini, op: ask("generate")}, []string{
			`{"candidates":[{"content":{"parts":[{"text":"x"},{"functionCall":{"name":"read_file","args":{}}}]}}]}`,
			`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"read_file","args":{}}}]}}]}`,
		}, `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"read_file"}},{"functionCall":{"name":"read_file"}}]}}]}`,
			map[string]int64{"read_file": 2}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newRig(t, nil, nil)
			stream := &answer{x: &exchange{g: s.gate}, rec: &Record{}}
			var rd reading
			for _, e := range tt.events {
				tt.rt.readEvent([]byte(e), &rd)
				stream.called(rd.calls)
			}
			if !maps.Equal(stream.rec.Calls, tt.want) {
				t.Errorf("of the stream %v were counted, want %v", stream.rec.Calls, tt.want)
			}
			whole := &answer{x: stream.x, rec: &Record{}}
			whole.called(tt.rt.readCalls([]byte(tt.whole)))
			if !maps.Equal(whole.rec.Calls, tt.want) {
				t.Errorf("of the whole %v were counted, want %v", whole.rec.Calls, tt.want)
			}
		})
	}
}

// A vendor chooses the names, and neither fills the record nor breaks its lines.
func TestCallsBounded(t *testing.T) {
	s := newRig(t, nil, nil)
	a := &answer{x: &exchange{g: s.gate}, rec: &Record{}}
	a.called([]call{{[]byte(`"` + strings.Repeat("x", maxCallName+1) + `"`), ""}, {[]byte(`"a\nb"`), ""}, {[]byte(`""`), ""}})
	for n := range 2 * maxCallNames {
		a.called([]call{{[]byte(`"` + strings.Repeat("y", n%100+1) + strings.Repeat("z", n/100) + `"`), ""}})
	}
	if len(a.rec.Calls) != maxCallNames {
		t.Errorf("%d names are kept", len(a.rec.Calls))
	}
}
