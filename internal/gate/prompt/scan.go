package prompt

import (
	"bytes"
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
		if _, ok := s.text(); !ok {
			return false
		}
		s.dataURL(start+1, s.i-1)
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

// An object's members that decide whether it is a medium.
type shape struct {
	data, media, url Span // string values, without quotes
	typ, format      string
	fileID           bool
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
			many[string(key)] = true
		}
		if s.space() != ':' {
			return s.fail("has a name without a value")
		}
		s.i++
		s.space()
		at := s.i
		if !s.value(depth+1, string(key)) {
			return false
		}
		s.note(&sh, key, at, s.i)
		if depth == 0 {
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
	if end-start < 2 || s.b[start] != '"' {
		return
	}
	in := Span{start + 1, end - 1}
	switch string(key) {
	case "type":
		sh.typ = short(s.b[in.Start:in.End])
	case "format":
		sh.format = short(s.b[in.Start:in.End])
	case "data", "file_data", "bytes":
		sh.data = in
	case "media_type", "mimeType", "mime_type":
		sh.media = in
	case "url", "image_url", "file_url", "fileUri", "file_uri", "server_url", "uri":
		sh.url = in
	case "file_id":
		sh.fileID = true
	}
}

func short(b []byte) string {
	if len(b) > 64 {
		b = b[:64]
	}
	return string(b)
}

// conclude looks at an object whose end was met. name is that of the member it is the value of.
func (s *scanner) conclude(sh *shape, name string) {
	if len(s.f.media) > maxMedia || len(s.f.servers) > maxMedia {
		return // and refuse all of it
	}
	url := s.b[sh.url.Start:sh.url.End]
	remote := len(url) > 0 && !bytes.HasPrefix(url, []byte("data:"))
	switch {
	case sh.typ == "mcp" || name == "mcp_servers":
		s.f.servers = append(s.f.servers, short(url))
		return
	case sh.data.End > sh.data.Start && sh.media.End > sh.media.Start && !(sh.typ == "text"):
		s.medium(string(s.b[sh.media.Start:sh.media.End]), sh.data)
	case name == "input_audio" && sh.data.End > sh.data.Start:
		s.f.media = append(s.f.media, medium{kind: "audio", Span: sh.data})
	}
	if remote && (sh.typ == "url" || sh.typ == "input_image" || sh.typ == "input_file" || name == "image_url" || name == "fileData" || name == "file_data") {
		s.f.media = append(s.f.media, medium{kind: "remote"})
	}
}

// medium notes inline data of a media type, if the data are what the type says. What is not stays text,
// and is looked through like all text.
func (s *scanner) medium(mediaType string, data Span) {
	if len(s.f.media) > maxMedia {
		return // and refuse all of it
	}
	kind := mediaKind(mediaType)
	if kind == "text" {
		// Base64 of text cannot be looked through here: it is a document.
		kind = "document"
		s.f.media = append(s.f.media, medium{kind: kind, Span: data})
		return
	}
	if !looksLike(kind, s.b[data.Start:data.End]) {
		kind = "unknown"
	}
	s.f.media = append(s.f.media, medium{kind: kind, Span: data})
}

// dataURL notes a string that is a data URL as a whole.
func (s *scanner) dataURL(start, end int) {
	if end-start < 12 || !bytes.HasPrefix(s.b[start:end], []byte("data:")) {
		return
	}
	head := s.b[start:min(end, start+128)]
	mark := bytes.Index(head, []byte(";base64,"))
	if mark < 0 {
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

// looksLike reports whether base64 begins as files of the kind do.
func looksLike(kind string, b64 []byte) bool {
	starts := map[string][]string{
		"image":    {"iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk0", "AAAA"},
		"document": {"JVBERi0", "UEsDB", "0M8R4"},
		"audio":    {"UklGR", "SUQz", "//", "T2dnUw", "ZkxhQ", "AAAA", "GkXfo"},
	}
	for _, p := range starts[kind] {
		if bytes.HasPrefix(b64, []byte(p)) {
			return true
		}
	}
	return false
}
