package prompt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting. Tool schemas of real clients reach twenty.
const maxDepth = 128

// maxMedia bounds the parts of a body that are no text.
const maxMedia = 2000

// manyKeys is from how many keys on an object's keys are held in a map.
const manyKeys = 24

// maxTop bounds the outermost object's names, maxNames those of any object: they are held while it is read.
const (
	maxTop   = 1000
	maxNames = 100_000
)

// facts are what a body says that decides about it.
type facts struct {
	top     []member // of the outermost object
	media   []medium
	servers []string // MCP servers that the vendor is to call
}

// A member is a name and where its value stands.
type member struct {
	name       string
	start, end int
}

// A medium is a piece of a body that is no text, or a reference to one.
type medium struct {
	kind string // image, document, audio, remote, unknown
	Span        // of the string's content, without quotes; empty for references
}

// get returns the value of a member of the outermost object, or nil.
func (f *facts) get(body []byte, name string) []byte {
	for _, m := range f.top {
		if m.name == name {
			return body[m.start:m.end]
		}
	}
	return nil
}

// scan reads a body once. It refuses what two readers could understand differently: JSON that is not
// RFC 8259, a name that stands twice in one object, nesting deeper than maxDepth, bytes that are no UTF-8.
// On the way it collects what decides about the body.
func scan(body []byte) (*facts, *Refusal) {
	s := scanner{b: body, f: &facts{}}
	if !utf8.Valid(body) {
		return nil, bodyRefused("is not UTF-8")
	}
	if s.space() != '{' {
		return nil, bodyRefused("is no JSON object")
	}
	if !s.value(0, "") {
		return nil, bodyRefused("%s at byte %d", s.why, s.i)
	}
	if len(s.f.media) > maxMedia || len(s.f.servers) > maxMedia {
		return nil, bodyRefused("has more than %d images, documents or references", maxMedia)
	}
	if s.space() != 0 || s.i < len(body) {
		return nil, bodyRefused("goes on after its end, at byte %d", s.i)
	}
	return s.f, nil
}

func bodyRefused(format string, args ...any) *Refusal {
	return refuse(http.StatusBadRequest, "body-refused", "send one JSON object", "the body "+format, args...)
}

// A scanner is at a place in a body.
type scanner struct {
	b   []byte
	i   int
	why string
	f   *facts
}

func (s *scanner) fail(why string) bool {
	if s.why == "" {
		s.why = why
	}
	return false
}

// space moves past white space and returns the byte there, 0 at the end.
func (s *scanner) space() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// value moves past one value. name is that of the member it belongs to.
func (s *scanner) value(depth int, name string) bool {
	if depth > maxDepth {
		return s.fail("is nested too deeply")
	}
	switch c := s.space(); c {
	case '{':
		return s.object(depth, name)
	case '[':
		s.i++
		if s.space() == ']' {
			s.i++
			return true
		}
		for {
			if !s.value(depth+1, name) {
				return false
			}
			switch s.space() {
			case ',':
				s.i++
			case ']':
				s.i++
				return true
			default:
				return s.fail("has a list that does not end")
			}
		}
	case '"':
		start := s.i
		escaped, ok := s.text()
		if !ok {
			return false
		}
		if mediaMember(name) {
			s.dataURL(start, s.i, escaped)
		}
		return true
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	case 0:
		return s.fail("ends too early")
	default:
		return s.number(c)
	}
}

func (s *scanner) word(w string) bool {
	if !bytes.HasPrefix(s.b[s.i:], []byte(w)) {
		return s.fail("has a word that is no JSON")
	}
	s.i += len(w)
	return true
}

func (s *scanner) number(c byte) bool {
	if c == '-' {
		s.i++
	}
	digits := func() int {
		n := s.i
		for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
			s.i++
		}
		return s.i - n
	}
	first := s.i
	n := digits()
	if n == 0 || n > 1 && s.b[first] == '0' {
		return s.fail("has something that is no JSON value")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if digits() == 0 {
			return s.fail("has a number that does not end")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if digits() == 0 {
			return s.fail("has a number that does not end")
		}
	}
	return true
}

// text moves past a string and reports whether it has escapes.
func (s *scanner) text() (escaped, ok bool) {
	b := s.b
	i := s.i + 1
	for i < len(b) {
		c := b[i]
		switch {
		case c == '"':
			s.i = i + 1
			return escaped, true
		case c < 0x20:
			s.i = i
			return escaped, s.fail("has a control character in a string")
		case c == '\\':
			escaped = true
			if i+1 >= len(b) {
				s.i = i
				return escaped, s.fail("ends in a string")
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if i+6 > len(b) || !isHex(b[i+2:i+6]) {
					s.i = i
					return escaped, s.fail("has a broken escape")
				}
				i += 6
			default:
				s.i = i
				return escaped, s.fail("has an unknown escape")
			}
		default:
			i++
		}
	}
	s.i = i
	return escaped, s.fail("ends in a string")
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// An object's members that decide whether it is a medium. Texts are decoded: what they say must not depend
// on how they are spelt.
type shape struct {
	data   Span // content of a string, without quotes
	media  string
	url    string
	typ    string
	fileID bool
	// What was found in the arguments of what may be a tool's call: how much there was before, and after.
	args struct{ media, servers, mediaEnd, serversEnd int }
}

func (s *scanner) object(depth int, name string) bool {
	s.i++
	var few [manyKeys][]byte
	var many map[string]bool
	n := 0
	var sh shape
	if s.space() == '}' {
		s.i++
		return true
	}
	for {
		if s.space() != '"' {
			return s.fail("has an object without a name")
		}
		start := s.i
		escaped, ok := s.text()
		if !ok {
			return false
		}
		key := s.b[start+1 : s.i-1]
		if escaped {
			var k string
			if json.Unmarshal(s.b[start:s.i], &k) != nil {
				return s.fail("has a name that cannot be read")
			}
			key = []byte(k)
		}
		if many == nil {
			for _, k := range few[:n] {
				if bytes.Equal(k, key) {
					return s.fail(fmt.Sprintf("has the name %.40q twice in one object", key))
				}
			}
			if n < manyKeys {
				few[n] = key
				n++
			} else {
				many = make(map[string]bool, 2*manyKeys)
				for _, k := range few[:n] {
					many[string(k)] = true
				}
				many[string(key)] = true
			}
		} else {
			if many[string(key)] {
				return s.fail(fmt.Sprintf("has the name %.40q twice in one object", key))
			}
			if len(many) == maxNames {
				return s.fail(fmt.Sprintf("has an object with more than %d names", maxNames))
			}
			many[string(key)] = true
		}
		if s.space() != ':' {
			return s.fail("has a name without a value")
		}
		s.i++
		s.space()
		at := s.i
		media, servers := len(s.f.media), len(s.f.servers)
		if !s.value(depth+1, string(key)) {
			return false
		}
		if k := string(key); k == "input" || k == "args" || k == "response" {
			sh.args.media, sh.args.servers, sh.args.mediaEnd, sh.args.serversEnd = media, servers, len(s.f.media), len(s.f.servers)
		}
		s.note(&sh, key, at, s.i)
		if depth == 0 {
			if len(s.f.top) == maxTop {
				return s.fail(fmt.Sprintf("has more than %d outermost names", maxTop))
			}
			s.f.top = append(s.f.top, member{string(key), at, s.i})
		}
		switch s.space() {
		case ',':
			s.i++
		case '}':
			s.i++
			s.conclude(&sh, name)
			return true
		default:
			return s.fail("has an object that does not end")
		}
	}
}

// note remembers a member that may make its object a medium.
func (s *scanner) note(sh *shape, key []byte, start, end int) {
	if lower := string(key); (lower == "urlContext" || lower == "url_context") && s.b[start] == '{' {
		s.add(medium{kind: "remote"}) // a tool by which the vendor fetches addresses
	}
	if end-start < 2 || s.b[start] != '"' {
		return
	}
	in := Span{start + 1, end - 1}
	decoded := func() string {
		t, _ := text(s.b[start:end])
		return short(t)
	}
	switch string(key) {
	case "type":
		sh.typ = decoded()
	case "data", "file_data", "fileData", "bytes":
		sh.data = in
	case "media_type", "mimeType", "mime_type":
		sh.media = decoded()
	case "file_id":
		sh.fileID = end-start > 2
	case "url", "image_url", "file_url", "document_url", "video_url", "audio_url", "fileUri", "file_uri", "server_url", "uri":
		sh.url = decoded()
	}
	switch string(key) {
	case "image_url", "file_url", "document_url", "video_url", "audio_url", "fileUri", "file_uri":
		if u := decoded(); u != "" && !isDataURL(u) {
			s.add(medium{kind: "remote"})
		}
	}
}

// mediaMember reports whether a member of that name is where vendors look for media. A data URL anywhere
// else is text, and masked like all text.
func mediaMember(name string) bool {
	switch name {
	case "url", "image_url", "file_url", "document_url", "video_url", "audio_url", "fileUri", "file_uri", "uri", "data", "file_data", "bytes":
		return true
	}
	return false
}

func short(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

// isDataURL reports whether s is a data URL. Schemes have no case.
func isDataURL(s string) bool { return len(s) >= 5 && strings.EqualFold(s[:5], "data:") }

func (s *scanner) add(m medium) {
	if len(s.f.media) <= maxMedia { // and refuse all of it
		s.f.media = append(s.f.media, m)
	}
}

// conclude looks at an object whose end was met. name is that of the member it is the value of.
func (s *scanner) conclude(sh *shape, name string) {
	if len(s.f.media) > maxMedia || len(s.f.servers) > maxMedia {
		return // and refuse all of it
	}
	// What a tool is called with, and what a function returned as an object, is text to a vendor, whatever its
	// members are called. It is masked as such.
	if a := sh.args; a.mediaEnd+a.serversEnd > a.media+a.servers && (sh.typ == "tool_use" || name == "functionCall" || name == "functionResponse") {
		s.f.media = append(s.f.media[:a.media], s.f.media[a.mediaEnd:]...)
		s.f.servers = append(s.f.servers[:a.servers], s.f.servers[a.serversEnd:]...)
	}
	hasData := sh.data.End > sh.data.Start
	remote := sh.url != "" && !isDataURL(sh.url)
	switch {
	case sh.typ == "mcp" || name == "mcp_servers" || name == "mcpServers":
		s.f.servers = append(s.f.servers, sh.url)
		return
	case hasData && isDataURL(string(s.b[sh.data.Start:min(sh.data.End, sh.data.Start+5)])): // noted where it stands
	case hasData && sh.media != "" && sh.typ != "text":
		s.medium(sh.media, sh.data)
	case name == "input_audio" && hasData:
		s.medium("audio/any", sh.data)
	case hasData && (name == "source" || name == "file" || sh.typ == "input_file" || sh.typ == "file"):
		s.medium("application/octet-stream", sh.data) // of a vendor that names the type elsewhere, or nowhere
	}
	switch {
	case sh.fileID:
		s.add(medium{kind: "file"})
	case strings.HasPrefix(sh.typ, "web_fetch"):
		s.add(medium{kind: "remote"})
	case remote:
		switch name {
		case "image_url", "video_url", "audio_url", "document_url", "fileData", "file_data", "s3Location", "source":
			s.add(medium{kind: "remote"})
			return
		}
		if sh.typ == "url" || sh.typ == "input_image" || sh.typ == "input_file" {
			s.add(medium{kind: "remote"})
		}
	}
}

// medium notes inline data of a media type, if the data are what the type says. What is not is refused: the
// gate cannot look through it, and does not know what a vendor makes of it.
func (s *scanner) medium(mediaType string, data Span) {
	kind := mediaKind(mediaType)
	b := s.b[data.Start:data.End]
	switch {
	case !isBase64(b):
		kind = "unknown"
	case kind == "text":
		kind = "document" // base64 of text cannot be looked through here
	case !looksLike(kind, b):
		kind = "unknown"
	}
	s.add(medium{kind: kind, Span: data})
}

// dataURL notes a string, with its quotes, that is a data URL as a whole. One that is spelt with escapes
// cannot be spliced and is of no known kind.
func (s *scanner) dataURL(start, end int, escaped bool) {
	if escaped {
		if t, _ := text(s.b[start:end]); isDataURL(t) {
			s.add(medium{kind: "unknown"})
		}
		return
	}
	start, end = start+1, end-1
	if !isDataURL(string(s.b[start:min(end, start+5)])) {
		return
	}
	head := s.b[start:min(end, start+128)]
	mark := bytes.Index(head, []byte(";base64,"))
	if mark < 5 {
		s.add(medium{kind: "unknown"})
		return
	}
	mediaType, _, _ := strings.Cut(string(head[5:mark]), ";")
	s.medium(mediaType, Span{start + mark + len(";base64,"), end})
}

func mediaKind(mediaType string) string {
	t, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	switch top, _, _ := strings.Cut(t, "/"); {
	case top == "image" && t != "image/svg+xml":
		return "image"
	case top == "audio" || top == "video":
		return "audio"
	case top == "text" || t == "application/json" || strings.HasSuffix(t, "xml"):
		return "text"
	}
	return "document"
}

// isBase64 reports whether all of b is base64, padded or not.
func isBase64(b []byte) bool {
	b = bytes.TrimSuffix(b, []byte("="))
	b = bytes.TrimSuffix(b, []byte("="))
	if len(b)%4 == 1 {
		return false
	}
	for _, c := range b {
		if !isWord(c) && c != '+' && c != '/' || c == '-' || c == '_' {
			return false
		}
	}
	return len(b) > 0
}

// looksLike reports whether what base64 decodes to begins as files of the kind do.
func looksLike(kind string, b64 []byte) bool {
	b64 = bytes.TrimRight(b64[:min(len(b64), 32)], "=")
	head := make([]byte, 24)
	n, err := base64.RawStdEncoding.Decode(head, b64)
	if err != nil {
		return false
	}
	head = head[:n]
	at := func(i int, s string) bool { return len(head) >= i+len(s) && string(head[i:i+len(s)]) == s }
	switch kind {
	case "image":
		return at(0, "\x89PNG\r\n\x1a\n") || at(0, "\xff\xd8\xff") || at(0, "GIF8") || at(0, "RIFF") && at(8, "WEBP") || at(0, "BM") && at(6, "\x00\x00\x00\x00") || at(4, "ftyp")
	case "document":
		return at(0, "%PDF-") || at(0, "PK\x03\x04") || at(0, "\xd0\xcf\x11\xe0")
	case "audio":
		return at(0, "RIFF") || at(0, "ID3") || at(0, "OggS") || at(0, "fLaC") || at(0, "\x1aE\xdf\xa3") || at(4, "ftyp") || len(head) > 2 && head[0] == 0xff && head[1]&0xe0 == 0xe0 && head[1]&0x06 != 0
	}
	return false
}
