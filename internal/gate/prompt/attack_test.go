package prompt

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func content(part string) string {
	return `{"model":"good","messages":[{"role":"user","content":[` + part + `]}]}`
}

// Media, references and servers are found however they are spelt and whoever's form they have.
func TestSpeltOtherwise(t *testing.T) {
	closed := newRig(t, nil, nil)
	images := newRig(t, nil, func(o *Options) { o.Rules.Images, o.Rules.Documents, o.Rules.Audio = true, true, true })
	for _, c := range []struct {
		r          *rig
		body, code string
	}{
		{closed, `{"model":"good","tools":[{"type":"m\u0063p","server_url":"https://example.com"}]}`, "server-refused"},
		{closed, `{"model":"good","tools":[{"mcpServers":[{"url":"https://example.com"}]}]}`, "server-refused"},
		{closed, content(`{"type":"image","source":{"type":"ur\u006c","url":"https://example.com/x.png"}}`), "media-refused"},
		{closed, content(`{"type":"file","file":{"file_data":"\u0064ata:application/pdf;base64,JVBERi0x"}}`), "media-refused"},
		{closed, content(`{"type":"file","file":{"file_data":"JVBERi0x"}}`), "media-refused"},
		{closed, content(`{"type":"image_url","image_url":"https://example.com"}`), "media-refused"},
		{closed, content(`{"type":"document_url","document_url":"https://example.com"}`), "media-refused"},
		{closed, content(`{"type":"video_url","video_url":{"url":"https://example.com"}}`), "media-refused"},
		{closed, content(`{"document":{"format":"pdf","source":{"bytes":"JVBERi0x"}}}`), "media-refused"},
		{closed, content(`{"document":{"source":{"s3Location":{"uri":"s3://b/k"}}}}`), "media-refused"},
		{closed, content(`{"type":"input_file","file_id":"file-1"}`), "media-refused"},
		{closed, content(`{"type":"image","source":{"type":"file","file_id":"file-1"}}`), "media-refused"},
		{closed, `{"model":"good","tools":[{"urlContext":{}}]}`, "media-refused"},
		{closed, `{"model":"good","tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]}`, "media-refused"},
		{images, content(`{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo and a token"}}`), "media-refused"},
		{images, content(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo GH"}}`), "media-refused"},
		{images, content(`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAApassword"}}`), "media-refused"},
		{images, content(`{"type":"tool_result","content":[{"mimeType":"image/png","data":"/9j/ password=x"}]}`), "media-refused"},
		// Twins: text, and what a tool is called with.
		{closed, content(`{"type":"text","text":"see data:image/png;base64,iVBORw0KGgo"}`), ""},
		{closed, content(`{"type":"tool_use","name":"a","input":{"mimeType":"text/plain","data":"hello"}}`), ""},
		{closed, content(`{"type":"tool_use","name":"a","input":{"type":"mcp","url":"x"}}`), ""},
		{closed, content(`{"type":"tool_result","content":"data:application/json;base64,e30="}`), ""},
		{images, content(`{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgoAAA=="}}`), ""},
	} {
		got := c.r.do("POST", "/v1/messages", c.body)
		if code := got.header.Get("X-Sallyport-Reason"); code != c.code {
			t.Errorf("%s: code %q, want %q", c.body, code, c.code)
		}
	}
	// A text that begins as an image's address does is masked like all text: no span is spared.
	f, ref := scan([]byte(content(`{"type":"text","text":"data:image/png;base64,iVBORw0KGgo and a token"}`)))
	if ref != nil || len(f.skips()) > 0 {
		t.Errorf("%v, %v is spared", ref, f.skips())
	}
}

// The headers that are looked through are those that are sent, however many there are, names included.
func TestManyHeaders(t *testing.T) {
	r := newRig(t, nil, nil)
	body := `{"model":"good"}`
	for range 10 {
		var h []string
		for i := range 150 {
			h = append(h, fmt.Sprintf("X-Stainless-H%d", i), "a")
		}
		h = append(h, "X-Stainless-Os", secret)
		if got := r.do("POST", "/v1/messages", body, h...); got.header.Get("X-Sallyport-Reason") != "header-refused" {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if got := r.do("POST", "/v1/messages", body, "X-Stainless-"+strings.ToUpper(pathSecret[:1])+pathSecret[1:], "a"); got.status != http.StatusOK {
		t.Errorf("another word than the secret: %d %s", got.status, got.body)
	}
	if n := len(r.reached()); n != 1 {
		t.Errorf("%d reached the vendor", n)
	}
}

// A form has one reading, a batch file as well, and what the client chose in a part's header is looked through.
func TestUploadsOfAnAttacker(t *testing.T) {
	r := newRig(t, nil, func(o *Options) { o.Rules.Files, o.Rules.Images = true, true })
	line := `{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"good","messages":[]}}`
	part := func(head, body string) string {
		return "--b\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + body + "\r\n"
	}
	file := `name="file"; filename="a.jsonl"`
	for _, c := range []struct{ form, code string }{
		{part(`name="purpose"`, "batch") + part(file, line), ""},
		{part(`name="Purpose"`, "batch") + part(file, line), "body-refused"},
		{part(`name="purpose"; name*=utf-8''zzz`, "batch") + part(file, line), "body-refused"},
		{part(`name="purpose"`, "batch ") + part(file, line), "field-refused"},
		{part(`name="purpose"`, "batch") + part(file, "\x89PNG\r\n\x1a\n\x00\n"+line), "body-refused"},
		{part(`name="purpose"`, "batch") + part(file, "{\"custom_id\":\r"+line[13:]), "body-refused"},
		{part(`name="purpose"`, "batch") + part(file, line[:len(line)-1]+`,"Body":{"model":"bad"}}`), "body-refused"},
		{part(`name="purpose"`, "batch") + part(file, strings.Replace(line, `"model":"good"`, `"model":"good","Model":"bad"`, 1)), "body-refused"},
		{part(`name="purpose"`, "assistants") + part(`name="file"; filename="`+pathSecret+`.txt"`, "a"), "field-refused"},
		{part(`name="purpose"`, "assistants") + part(`name="`+pathSecret+`"`, "a"), "body-refused"},
	} {
		got := r.do("POST", "/v1/files", c.form+"--b--\r\n", "Content-Type", "multipart/form-data; boundary=b")
		if code := got.header.Get("X-Sallyport-Reason"); code != c.code {
			t.Errorf("%s: code %q, want %q: %s", c.form, code, c.code, got.body)
		}
	}
	n := len(r.reached())
	r.do("POST", "/v1/files", part(`name="purpose"`, "assistants")+part(file+"\r\nX-Note: "+pathSecret, `{"a":1}`+"\n"+`{"b":"`+string(quote(nil, []byte(secret)))[1:]+"}")+"--b--\r\n", "Content-Type", "multipart/form-data; boundary=b")
	if all := r.reached(); len(all) != n+1 || strings.Contains(all[n].body, pathSecret) || strings.Contains(all[n].body, "hunter2") {
		t.Errorf("%+v", all[n:])
	}
}

// An object with very many names is refused before they fill the memory, and a model's name that masking would
// change is none that was approved.
func TestManyNames(t *testing.T) {
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return b.String()
	}
	for _, c := range []struct {
		body string
		ok   bool
	}{
		{`{"model":"good"` + names(999) + `}`, true},
		{`{"model":"good"` + names(1000) + `}`, false},
		{`{"a":{"b":1` + names(maxNames-1) + `}}`, true},
		{`{"a":{"b":1` + names(maxNames) + `}}`, false},
	} {
		if _, ref := scan([]byte(c.body)); (ref == nil) != c.ok {
			t.Errorf("%d bytes: %v", len(c.body), ref)
		}
	}
	r := newRig(t, nil, nil)
	if got := r.do("POST", "/v1/messages", `{"model":"good-`+pathSecret+`"}`); got.header.Get("X-Sallyport-Reason") != "model-unapproved" || len(r.reached()) > 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
}
