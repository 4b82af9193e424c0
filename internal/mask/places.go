package mask

import (
	"bytes"
	"encoding/base64"
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// This file holds the matchers that know a secret by its own form, or by a place that is made for one.

// format checks for a token whose prefix stands at start.
func (s *search) format(f *format, start, end int) {
	text := s.text
	if !has(text, start, f.prefix) || !startsHere(text, start) && !s.border(start, start+1) && !f.glued() {
		return
	}
	glued := !startsHere(text, start) && !s.border(start, start+1)
	stop := end
	for limit := min(len(text), end+f.most+1); stop < limit && f.body[text[stop]]; {
		stop++
	}
	// What looks like the end of the token may be that of a sentence.
	for stop > end && (text[stop-1] == '.' || text[stop-1] == '-' && f.least == f.most) {
		stop--
	}
	n := stop - end
	if n > f.most || n == f.most && f.least == f.most && stop < len(text) && word.has(text[stop]) && !s.border(stop, stop+1) {
		// Too long, but what goes on may be the next string of a message.
		if n = s.lastBorder(end+f.least, end+f.most) - end; n < 0 {
			return
		}
		stop = end + n
	}
	if n < f.least {
		return
	}
	body := text[end:stop]
	sev := sallyport.Critical
	switch {
	case distinctOf(body) < 4 || counts(body):
		return
	case glued:
		if sh := shapeOf(body); !sh.random() {
			return
		}
	case f.loose:
		if sh := shapeOf(body); !sh.random() || sh.digits < 2 {
			return
		}
		sev = sallyport.High
	case (f.kind == "secret:github-token" && n == 36 || f.kind == "secret:npm-token") && !crcBase62(body):
		sev = sallyport.High // its checksum is wrong: made up, cut, or changed
	}
	s.add(f.kind, f.rule, start, stop, sev, byForm)
	if f.kind == "secret:aws-access-key" {
		s.awsSecret(start, stop)
	}
}

// glued reports whether a token of the format is one behind a word too: its prefix is long and ends in a mark.
func (f *format) glued() bool {
	n := len(f.prefix)
	return n >= 4 && !f.loose && f.least >= 16 && f.body != nil && (f.prefix[n-1] == '_' || f.prefix[n-1] == '-') && letter.has(f.prefix[0])
}

// border reports whether a string of the body ends in text[from:to].
func (s *search) border(from, to int) bool {
	return len(s.borders) > 0 && s.lastBorder(from, to-1) >= 0
}

// lastBorder returns the last end of a string from from to to, both included, or -1.
func (s *search) lastBorder(from, to int) int {
	i, _ := slices.BinarySearch(s.borders, to+1)
	if i == 0 || s.borders[i-1] < from {
		return -1
	}
	return s.borders[i-1]
}

// awsSecret looks for the other half of an AWS key near its id: forty characters of base64.
func (s *search) awsSecret(start, end int) {
	text := s.text
	from, to := end, min(len(text), end+160)
	for i := from; i < to; {
		if !b64.has(text[i]) {
			i++
			continue
		}
		if text[i-1] == '\\' {
			i++ // the letter of an escape
			continue
		}
		stop := run(text, i, b64, 200)
		if k := stop - i; k == 40 || k == 41 && text[i] == '=' {
			if sh := shapeOf(text[stop-40 : stop]); sh.digits > 1 && sh.lower > 4 && sh.upper > 4 && sh.random() {
				s.add("secret:aws-secret-key", "aws-secret-key", stop-40, stop, sallyport.Critical, byForm)
				return
			}
		}
		i = stop
	}
}

// A backMark stands inside a token, which reaches to both sides of it.
type backMark struct {
	word        string
	kind        Kind
	class       class
	before      [2]int // least and most bytes before the mark
	after       [2]int
	digitBefore bool
}

var backMarks = []backMark{
	{"AZDO", "secret:azure-devops-token", alnum, [2]int{76, 76}, [2]int{4, 4}, false},
	{"JQQJ99", "secret:azure-key", b64, [2]int{52, 52}, [2]int{26, 34}, false},
	{"+ASt", "secret:azure-storage-key", b64, [2]int{76, 76}, [2]int{6, 10}, false},
	{"8Q~", "secret:azure-client-secret", dotted, [2]int{3, 3}, [2]int{30, 36}, false},
	{"7Q~", "secret:azure-client-secret", dotted, [2]int{3, 3}, [2]int{30, 36}, false},
	{":AA", "secret:telegram-token", url64, [2]int{8, 10}, [2]int{32, 33}, true},
	{".atlasv1.", "secret:terraform-token", url64, [2]int{14, 14}, [2]int{50, 80}, false},
	{"-us", "secret:mailchimp-key", hexLower, [2]int{32, 32}, [2]int{1, 2}, false},
	{"NRAL", "secret:newrelic-key", lower | digit, [2]int{36, 36}, [2]int{0, 0}, false},
	{"T3BlbkFJ", "secret:openai-key", url64, [2]int{20, 100}, [2]int{20, 100}, false},
}

func (s *search) back(m *backMark, start, end int) {
	text := s.text
	if !has(text, start, m.word) {
		return
	}
	c := m.class
	if m.digitBefore {
		c = digit
	}
	from := runBack(text, start, c, m.before[1]+1)
	if m.before[0] < m.before[1] && start-from > 0 && m.kind == "secret:openai-key" && has(text, from, "sk-") {
		// the prefix is of the same class
	} else if start-from < m.before[0] || start-from > m.before[1] {
		if !(start-from > m.before[1] && isEscapeBefore(text, start-m.before[1])) {
			return
		}
		from = start - m.before[1]
	}
	if start-from < m.before[0] || !startsHere(text, from) {
		return
	}
	stop := run(text, end, m.class, m.after[1]+1)
	if n := stop - end; n < m.after[0] || n > m.after[1] {
		return
	}
	if sh := shapeOf(text[from:stop]); sh.digits < 2 || sh.wordy() && !sh.hexOnly || counts(text[from:stop]) {
		return
	}
	s.add(m.kind, string(m.kind[len("secret:"):]), from, stop, sallyport.Critical, byForm)
}

// url finds the password in scheme://user:password@host.
func (s *search) url(start, end int) {
	text := s.text
	if start == 0 || !letter.has(text[start-1]) && !digit.has(text[start-1]) {
		return
	}
	colon := -1
	at := -1
	i := end
scan:
	for limit := min(len(text), end+maxValue); i < limit; i++ {
		switch text[i] {
		case ':':
			if colon < 0 {
				colon = i
			}
		case '@':
			at = i
		case '/', '?', '#':
			if colon < 0 || at >= 0 {
				break scan
			}
			if allDigits(text[colon+1 : i]) {
				break scan // a port
			}
			// A slash inside a password is an error of its writer, who may not know.
			if k := bytes.IndexByte(text[i:min(len(text), i+40)], '@'); k < 0 || bytes.ContainsAny(text[i:i+k], " \t\n\r\"'`<>&=") {
				break scan
			}
		case ' ', '\t', '\n', '\r', '"', '\'', '`', '<', '>', '\\', ',', ';', ')', 0x1b:
			break scan
		}
	}
	if colon < 0 || at <= colon+1 || at+1 >= len(text) {
		// A token alone: https://TOKEN@host.
		if colon < 0 && at > end {
			v := text[end:at]
			if sh := shapeOf(v); len(v) >= 16 && sh.random() && !placeholder(v) {
				s.add("secret:url-credential", "url-token", end, at, sallyport.High, byPlace)
			}
		}
		return
	}
	v := text[colon+1 : at]
	if !dotted.has(text[at+1]) && text[at+1] != '[' && text[at+1] != '$' && text[at+1] != '{' && text[at+1] != '*' && text[at+1] != '(' && text[at+1] != '%' {
		return
	}
	if len(v) < 3 || urlPlaceholder(v) || bytes.Equal(v, text[end:colon]) && len(v) < 5 {
		return
	}
	s.add("secret:url-credential", "url-password", colon+1, at, sallyport.High, byPlace)
}

// urlPlaceholder reports whether a URL's password only says that one goes there.
func urlPlaceholder(v []byte) bool {
	if allDigits(v) && len(v) <= 5 {
		return true // host:port@…, which is no password
	}
	switch string(bytes.ToLower(v[:min(len(v), 12)])) {
	case "pass", "password", "passwd", "pwd", "secret", "token", "your_passwor", "xxx", "xxxx", "***", "****", "user", "foo", "bar", "baz", "pw", "p4ss", "...", "%s", "%v", "%d", "%q", "key", "pass1", "changeme":
		return true
	}
	if v[0] == '$' || v[0] == '<' || v[0] == '{' || v[0] == '%' && len(v) < 4 || v[0] == '*' || v[0] == '[' || v[0] == ':' {
		return true
	}
	return bytes.Contains(v, []byte("${")) || bytes.Contains(v, []byte("{{")) || bytes.Contains(v, []byte("\u27e6")) || distinctOf(v) < 2 ||
		bytes.ContainsAny(v, "{}()[]") && bytes.IndexByte(v, '.') > 0
}

func allDigits(v []byte) bool {
	for _, b := range v {
		if !digit.has(b) {
			return false
		}
	}
	return true
}

// scheme finds what follows Bearer and Basic.
func (s *search) scheme(start, end int) {
	text := s.text
	if start > 0 && letter.has(text[start-1]) && !isEscapeBefore(text, start) {
		return
	}
	basic := lowerByte(text[start+1]) == 'a'
	i := end
	for i < len(text) && i-end < 6 && (blank.has(text[i]) || text[i] == '=' || text[i] == ':' || text[i] == '"' || text[i] == '\'') {
		i++
	}
	if i == end && !basic {
		if has(text, i, "%20") {
			i += 3
		} else {
			return
		}
	}
	stop := i
	for limit := min(len(text), i+2048); stop < limit && (dotted.has(text[stop]) || b64.has(text[stop]) || text[stop] == '~' || text[stop] == '|'); {
		stop++
	}
	v := bytes.TrimRight(text[i:stop], ".")
	stop = i + len(v)
	if len(v) < 8 || placeholder(v) {
		return
	}
	sh := shapeOf(v)
	if basic {
		var buf [96]byte
		n, ok := decodeBase64(buf[:], v)
		if !ok || n < 3 || bytes.IndexByte(buf[:n], ':') < 1 || !printable(buf[:n]) {
			return
		}
		s.add("secret:basic-auth", "basic-auth", i, stop, sallyport.High, byPlace)
		return
	}
	if len(v) >= 12 && (sh.random() || sh.digits >= 3 && sh.lower+sh.upper >= 3 && len(v) >= 16 && !identifier(v, &sh)) {
		s.add("secret:bearer-token", "bearer-token", i, stop, sallyport.High, byPlace)
	}
}

// curl finds -u user:password in a command.
func (s *search) curl(end int) {
	text := s.text
	limit := min(len(text), end+1024)
	for i := max(end, s.commands); i+3 < limit; i++ {
		s.commands = i
		if text[i] == '\n' && (i == 0 || text[i-1] != '\\' && text[i-1] != '\r') {
			return
		}
		if text[i] != '-' || !space.has(text[i-1]) {
			continue
		}
		var j int
		switch {
		case text[i+1] == 'u' && (blank.has(text[i+2]) || text[i+2] == '"' || text[i+2] == '\''):
			j = i + 2
		case hasFold(text, i, "--user") && i+6 < limit && (blank.has(text[i+6]) || text[i+6] == '='):
			j = i + 7
		default:
			continue
		}
		v := valueAt(text, j, true, maxValue)
		colon := bytes.IndexByte(text[v.start:v.end], ':')
		if colon < 1 || v.start+colon+1 >= v.end {
			continue
		}
		pass := text[v.start+colon+1 : v.end]
		if len(pass) >= 3 && !urlPlaceholder(pass) && !placeholder(pass) {
			s.add("secret:basic-auth", "curl-user", v.start+colon+1, v.end, sallyport.High, byPlace)
		}
		return
	}
}

// netrc finds "login NAME password VALUE".
func (s *search) netrc(end int) {
	text := s.text
	i := end
	for limit := min(len(text), end+80); i < limit && !space.has(text[i]) && text[i] != '\\'; i++ {
	}
	for i < len(text) && (space.has(text[i]) || has(text, i, `\n`) || text[i] == 'n' && text[i-1] == '\\') {
		i++
	}
	if !has(text, i, "password ") {
		return
	}
	if v := valueAt(text, i+9, false, maxValue); v.end-v.start >= 3 && alnum.has(text[v.end-1]) && !placeholder(text[v.start:v.end]) {
		s.add("secret:password", "netrc-password", v.start, v.end, sallyport.High, byPlace)
	}
}

// pem finds private keys, whole or cut, also as one string with escapes for line ends.
func (s *search) pem(start, end int) {
	if start < s.until {
		return
	}
	text := s.text
	if lowerByte(text[start]) == 'p' { // a PuTTY file
		if end+2 > len(text) || !digit.has(text[end]) || text[end+1] != ':' {
			return
		}
		stop := min(len(text), end+1)
		if i := bytes.Index(text[end:min(len(text), end+16<<10)], []byte("Private-MAC:")); i >= 0 {
			stop = run(text, end+i+12, blank|hexAny, 80)
		}
		s.add("secret:private-key", "private-key", start, stop, sallyport.Critical, byForm)
		s.until = stop
		return
	}
	head := text[end:min(len(text), end+80)]
	close := bytes.Index(head, []byte("-----"))
	if close < 0 || !bytes.Contains(head[:close], []byte("PRIVATE KEY")) && !bytes.Contains(head[:close], []byte("private key")) {
		return
	}
	body := end + close + 5
	limit := min(len(text), body+32<<10)
	stop := body
	if i := bytes.Index(text[body:limit], []byte("-----END")); i >= 0 {
		stop = body + i
		if j := bytes.Index(text[stop+8:min(len(text), stop+100)], []byte("-----")); j >= 0 {
			stop += 8 + j + 5
		}
		if i < 24 {
			return // nothing inside
		}
	} else {
		for stop < limit && (b64.has(text[stop]) || space.has(text[stop]) || text[stop] == '\\' || text[stop] == '"' || text[stop] == '\'' || text[stop] == ',' || text[stop] == '-' || text[stop] == ':') {
			stop++
		}
		if stop-body < 24 {
			return
		}
	}
	inside := text[body:stop]
	if bytes.Contains(inside, []byte("...")) && len(inside) < 120 || distinctOf(inside[:min(len(inside), 200)]) < 8 {
		return
	}
	s.add("secret:private-key", "private-key", start, stop, sallyport.Critical, byForm)
	s.until = stop
}

// jwt finds three parts of base64, the first of which is a header.
func (s *search) jwt(start int) {
	text := s.text
	if start < s.until || !has(text, start, "eyJ") || !startsHere(text, start) {
		return
	}
	// Begins that share an end are many in a hostile text: the parts are measured once.
	if start >= s.jwtEnd[0] {
		s.jwtEnd[0] = run(text, start, url64, 4096)
		s.jwtEnd[1] = run(text, min(s.jwtEnd[0]+1, len(text)), url64, 16<<10)
	}
	a, b := s.jwtEnd[0], s.jwtEnd[1]
	if a-start < 16 || a+3 >= len(text) || text[a] != '.' {
		return
	}
	if b-a < 8 {
		return
	}
	var buf [48]byte
	part := text[start:min(a, start+64)]
	n, ok := decodeBase64(buf[:], part[:len(part)/4*4])
	if !ok || n < 8 || buf[0] != '{' || !bytes.Contains(buf[:n], []byte(`"`)) {
		return
	}
	stop := b
	if b < len(text) && text[b] == '.' {
		if c := run(text, b+1, url64, 2048); c-b > 8 {
			stop = c
		}
		for d := stop; d < len(text) && text[d] == '.'; { // an encrypted token has five parts
			e := run(text, d+1, url64, 16<<10)
			if e-d < 8 {
				break
			}
			stop, d = e, e
		}
	} else if b-a < 24 {
		return
	}
	s.until = stop
	s.add("secret:jwt", "jwt", start, stop, sallyport.High, byForm)
}

// decodeBase64 decodes as much of v as fits into dst, in either alphabet, padded or not.
func decodeBase64(dst, v []byte) (int, bool) {
	v = bytes.TrimRight(v, "=")
	if most := len(dst) / 3 * 4; len(v) > most {
		v = v[:most]
	}
	if len(v)%4 == 1 {
		return 0, false
	}
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(v, "-_") {
		enc = base64.RawURLEncoding
	}
	n, err := enc.Decode(dst[:enc.DecodedLen(len(v))], v)
	return n, err == nil
}

// printable reports whether v is text.
func printable(v []byte) bool {
	odd := 0
	for _, b := range v {
		if b < 0x20 && !space.has(b) || b == 0x7f {
			odd += 4
		} else if b >= 0x80 {
			odd++
		}
	}
	return odd*8 <= len(v)
}
