package mask

import (
	"bytes"

	"github.com/sallyport-dev/sallyport"
)

// This file finds secrets by what stands before them: password = "…", "token": "…", --api-key …,
// <password>…</password>, ENV.fetch("TOKEN", "…"), {name: DB_PASSWORD, value: …}.

const (
	maxValue = 512 // bytes of a value that are looked at
	maxGap   = 48  // bytes of indentation between a name and its value
)

// name is called where a keyword stands. It finds the whole name and what is assigned to it.
func (s *search) name(start, end int) {
	text := s.text
	stop := end
	for stop < len(text) && stop-end < maxName && (dotted.has(text[stop]) || text[stop] >= 0x80) && !(text[stop] == '.' && stop+1 < len(text) && !word.has(text[stop+1])) {
		stop++
	}
	s.named = stop
	// Most names in a text are followed by nothing that assigns.
	at, how := operator(text, stop)
	if how == none {
		return
	}
	begin := start
	for begin > 0 && start-begin < maxName && (dotted.has(text[begin-1]) || text[begin-1] >= 0x80) {
		begin--
	}
	if begin > 0 && begin < start && isEscapeBefore(text, begin+1) && letter.has(text[begin]) {
		begin++ // the n of \n is no part of the name
	}
	flag := begin < len(text) && text[begin] == '-'
	quoted := how == gap && (text[at] == '"' || text[at] == '\'')
	// ENV NAME value, as a Dockerfile has it, and "config set NAME value".
	env := how == gap && !flag && !quoted && (hasFold(text, begin-4, "env ") || hasFold(text, begin-11, "config set ") || hasFold(text, begin-14, "configure set ") || has(text, begin-4, "ARG "))
	said := how == sets && text[at-1] == ' ' && at >= 3 && has(text, at-3, "is ") // a sentence
	if how == gap && !flag && !quoted && !env {
		return
	}
	if env {
		at = run(text, at, blank, 16)
	}
	l := levelOf(bytes.Trim(text[begin:stop], "-."))
	if l == noSecret || quoted && !flag && l < strong {
		return
	}
	s.assigned(at, l, how == gap && !quoted && !env || said && text[at] != '"' && text[at] != '\'' && text[at] != '`')
}

// How a name is joined to what follows.
type operation uint8

const (
	none operation = iota
	sets           // = : => := , ( > and their like
	gap            // white space alone
)

// operator looks for what assigns after a name that ends at i, and returns where the value begins, or
// the white space and quotation mark before it.
func operator(text []byte, i int) (at int, how operation) {
	j, closed := i, false
	// What closes the name: quotation marks, also escaped ones, and brackets.
	for j < len(text) && j-i < 10 {
		switch b := text[j]; {
		case b == '\\' && j+1 < len(text) && (text[j+1] == '"' || text[j+1] == '\'' || text[j+1] == '\\' || text[j+1] == ']'):
			j++
		case b == '"' || b == '\'' || b == '`' || b == ']' || b == '}':
			closed = true
			j++
		case b == '*' || b == '?' || b == '!':
			j++
		case has(text, j, "&quot;"):
			closed = true
			j += 6
		case b == 0x1b || b == '\\':
			n := colour(text, j)
			if n == j {
				goto closedOff
			}
			i, j = i+n-j, n
		default:
			goto closedOff
		}
	}
closedOff:
	k := run(text, j, blank, 32)
	if k >= len(text) {
		return 0, none
	}
	switch b := text[k]; b {
	case '=', ':':
		for k < len(text) && (text[k] == '=' || text[k] == ':' || text[k] == '>' || text[k] == '~') {
			k++
		}
		// A type between the name and its value: password: string = "…".
		if text[k-1] == ':' && k < len(text) {
			m := run(text, k, blank, 4)
			n := run(text, m, word, 24)
			if p := run(text, n, blank, 4); n > m && p < len(text) && text[p] == '=' && (p+1 >= len(text) || text[p+1] != '=') && p > m {
				if isType(text[m:n]) {
					return p + 1, sets
				}
			}
		}
		return k, sets
	case '|', '?', '+':
		if k+1 < len(text) && (text[k+1] == '=' || text[k+1] == b) {
			k += 2
			if k < len(text) && text[k] == '=' {
				k++
			}
			return k, sets
		}
	case '-':
		if k+1 < len(text) && text[k+1] == '>' {
			return k + 2, sets
		}
	case '!':
		if k+1 < len(text) && text[k+1] == '=' {
			return k + 2, sets
		}
	case ',':
		if closed {
			if v := valueKey(text, k+1); v > 0 {
				return v, sets
			}
			return k + 1, sets
		}
	case '>':
		if j == k { // <password>…
			return k + 1, sets
		}
	case '(':
		if j == k && k+1 < len(text) && (text[k+1] == '"' || text[k+1] == '\'') { // setPassword("…")
			return k + 1, sets
		}
	case ')':
		if closed && k+1 < len(text) {
			if m := run(text, k+1, blank, 4); has(text, m, "||") || has(text, m, "??") || has(text, m, "or ") {
				return m + 2, sets
			}
		}
	}
	if closed || text[k] == '\n' || text[k] == '\r' || text[k] == ';' {
		if v := valueKey(text, j); v > 0 {
			return v, sets
		}
	}
	if k > j && digit.has(text[k]) { // "Key 1: …"
		if m := run(text, k, digit, 2); m < len(text) && (text[m] == ':' || text[m] == '=') {
			return m + 1, sets
		}
	}
	if k > j && j == i && has(text, k, "is ") && k+3 < len(text) {
		return run(text, k+3, blank, 4), said(text, k+3) // the password is "…"
	}
	if k > j && has(text, k, "is:") {
		return k + 3, sets
	}
	if k > j && j == i {
		// "password string = …", as Go and SQL write it, or a flag and its value.
		m := run(text, k, word, 24)
		if p := run(text, m, blank, 8); m > k && p < len(text) && p > m && text[p] == '=' && isType(text[k:m]) {
			return p + 1, sets
		}
		return k, gap
	}
	return 0, none
}

// said judges the operation of "is": what must stand there is a value, not another word.
func said(text []byte, i int) operation {
	if run(text, i, blank, 4) < len(text) {
		return sets
	}
	return none
}

func isType(w []byte) bool {
	switch string(w) {
	case "string", "String", "str", "char", "text", "any", "const", "static", "final", "var", "NSString", "Text", "auto", "SecureString", "bytes", "byte", "uint8_t":
		return true
	}
	return false
}

// valueKey finds a key called "value" next to one that holds the name: name="password" value="…",
// {"name": "PASSWORD", "value": "…"}, - name: PASSWORD and value: … on the next line.
func valueKey(text []byte, i int) int {
	end := min(len(text), i+maxGap)
	for j := i; j < end; j++ {
		b := text[j]
		if b == 'v' || b == 'V' {
			if hasFold(text, j, "value") {
				k := j + 5
				for k < len(text) && k-j < 12 && (text[k] == '"' || text[k] == '\'' || text[k] == '\\' || blank.has(text[k])) {
					k++
				}
				if k < len(text) && (text[k] == '=' || text[k] == ':') {
					return k + 1
				}
			}
			return 0
		}
		if b == 'n' && text[j-1] == '\\' || b == 'r' && text[j-1] == '\\' {
			continue
		}
		if b == 'd' && has(text, j, "default") { // variable "x" { default = "…" }
			if k := run(text, j+7, blank, 16); k < len(text) && text[k] == '=' {
				return k + 1
			}
			return 0
		}
		if !space.has(b) && b != '{' && b != '"' && b != '\'' && b != ',' && b != '\\' && b != ';' {
			return 0
		}
	}
	return 0
}

// assigned judges the value that begins at i, or behind the white space there.
func (s *search) assigned(i int, l level, loose bool) {
	limit := maxValue
	if s.spent > 4*s.allowed+64<<10 {
		limit = 80
	}
	v := valueAt(s.text, i, loose, limit)
	if v.prose && v.start > 1 && s.text[v.start-1] == '=' && upper.has(s.text[v.start-2]) {
		v.prose = false // a variable for one command: PGPASSWORD=… psql
	}
	s.spent += max(v.end-v.start, 64)
	if v.start >= v.end {
		return
	}
	s.judged(v, l)
}

func (s *search) judged(v value, l level) {
	text := s.text[v.start:v.end]
	if !isSecret(text, v, l, s.e.precise) {
		return
	}
	kind, rule, sev := Kind("secret:generic"), "assigned-secret", sallyport.High
	if l == strong {
		kind, rule = "secret:password", "assigned-password"
	}
	s.add(kind, rule, v.start, v.end, sev, byName)
}

// A value is a stretch of text that stands where a secret would.
type value struct {
	start, end int
	quoted     bool
	prose      bool // words follow on the same line
	code       bool // it is followed by what only code has
	cut        bool // it goes on beyond maxValue
	loose      bool // only white space stands before it
	line       bool // it goes to the end of its line, and follows its name at once
}

// valueAt finds the value at i, of no more than limit bytes.
func valueAt(text []byte, i int, loose bool, limit int) value {
	v := value{loose: loose}
	start := i
	tight := i < len(text) && !space.has(text[i])
	for i < len(text) && i-start < maxGap {
		b := text[i]
		switch {
		case blank.has(b), b == '[' && i > start, b == '(' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\''):
			i++
			continue
		case has(text, i, `\n`) || has(text, i, `\t`):
			i += 2
			continue
		case b == 0x1b || b == '\\':
			if n := colour(text, i); n > i {
				i = n
				continue
			}
		}
		break
	}
	if i >= len(text) || text[i] == '\n' || text[i] == '\r' {
		return v
	}
	// A prefix of a string: b"…", r'…', @"…", N'…'.
	if i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\'') {
		switch text[i] {
		case 'b', 'r', 'u', 'f', 'N', '@', 'L', 'B', 'R':
			i++
		}
	}
	slashes := 0
	for i+slashes < len(text) && text[i+slashes] == '\\' && slashes < 8 {
		slashes++
	}
	j := i + slashes
	if j >= len(text) {
		return v
	}
	if has(text, j, "&quot;") && slashes == 0 {
		v.start, v.quoted = j+6, true
		n := bytes.Index(text[v.start:min(len(text), v.start+limit)], []byte("&quot;"))
		if n < 0 {
			return value{}
		}
		v.end = v.start + n
		return v
	}
	if q := text[j]; q == '"' || q == '\'' || q == '`' {
		v.quoted, v.start = true, j+1
		if has(text, j, `"""`) || has(text, j, `'''`) {
			v.start = j + 3
		}
		v.end = closing(text, v.start, q, slashes, limit)
		if v.end < 0 {
			return value{}
		}
		return v
	}
	if slashes > 0 {
		return v
	}
	if has(text, i, "<![CDATA[") {
		i += 9
	}
	v.start = i
	for i < len(text) && i-v.start < limit && !endsValue(text, i, v.start) {
		i++
	}
	v.end = i
	v.cut = i-v.start == limit
	// What follows tells prose and code from a bare value.
	k := run(text, i, blank, 8)
	switch {
	case i == len(text) || k == len(text) || text[k] == '\n' || text[k] == '\r' || has(text, k, `\n`) || has(text, k, `\r`), k > i && text[k] == '#':
		v.line = tight
	case k > i && (letter.has(text[k]) || text[k] >= 0x80):
		v.prose = true
	case text[i] == '(' || text[i] == '[' || text[i] == ')' || text[i] == '{':
		v.code = true
	}
	// Punctuation at the end belongs to the sentence.
	for v.end > v.start && (text[v.end-1] == '.' || text[v.end-1] == ':' || text[v.end-1] == '?') {
		v.end--
	}
	return v
}

// endsValue reports whether a bare value that began at start ends before text[i].
func endsValue(text []byte, i, start int) bool {
	switch b := text[i]; b {
	case '"', '\'':
		return !quoteInside(text, i, start)
	case ' ', '\t', '\n', '\r', '`', ';', '<', '>', ')', '}', ']', '|', 0x1b, '(', '{':
		return true
	case ',':
		return i+1 == len(text) || space.has(text[i+1]) || text[i+1] == '"' || text[i+1] == '\'' || bytes.IndexByte(text[i:min(len(text), i+40)], '=') > 0
	case '&':
		return true
	case '\\':
		if i+1 < len(text) {
			switch text[i+1] {
			case 'n', 'r', 't', '"', '\'', 'u', 'x', '\\', '\n', 'e', '0', 'b':
				return true
			}
		}
	case '#':
		return i > start && space.has(text[i-1])
	}
	return false
}

// quoteInside reports whether the quotation mark at i is part of a bare value: letters or digits on both sides, and
// no other to the end of the line, which would say that the value stands in a string.
func quoteInside(text []byte, i, start int) bool {
	if i == start || i+1 >= len(text) || !alnum.has(text[i+1]) || !alnum.has(text[i-1]) {
		return false
	}
	rest := text[i+1 : min(len(text), i+80)]
	if n := bytes.IndexByte(rest, '\n'); n >= 0 {
		rest = rest[:n]
	}
	before := text[max(0, start-80):start]
	if n := bytes.LastIndexByte(before, '\n'); n >= 0 {
		before = before[n:]
	}
	return bytes.IndexByte(rest, text[i]) < 0 && bytes.IndexByte(before, text[i]) < 0
}

// closing returns where the string ends that began at i behind slashes and q, or -1.
func closing(text []byte, i int, q byte, slashes, limit int) int {
	end := min(len(text), i+limit)
	for j := i; j < end; j++ {
		switch text[j] {
		case q:
			n := 0
			for j-n > i && text[j-n-1] == '\\' {
				n++
			}
			if slashes == 0 && n%2 == 0 {
				return j
			}
			if slashes > 0 && n <= slashes {
				return j - n
			}
		case '\n':
			if q != '`' {
				return -1
			}
		}
	}
	return -1
}

// isSecret judges a value that stands behind a name of level l.
func isSecret(v []byte, at value, l level, precise bool) bool {
	n := len(v)
	if precise && l < strong {
		return false // the merge gate has rules for these, with fewer false alarms
	}
	if n < 4 || at.cut || l == weak && n < 16 || l == medium && n < 8 || placeholder(v) {
		return false
	}
	sh := shapeOf(v)
	if at.code && !sh.random() {
		return false
	}
	if !at.quoted && (isReference(v, &sh) || !at.line && isName(v, &sh) && !(l == strong && respelled(v))) {
		return false
	}
	hasSpace := bytes.IndexByte(v, ' ') >= 0
	if hasSpace && (l < strong || !at.quoted || bytes.Count(v, []byte(" ")) > 2 || sh.wordy() && sh.digits == 0) {
		return false
	}
	if isLocation(v) {
		return false
	}
	random := sh.random()
	switch {
	case l == weak:
		return random && n >= 16 && !hasSpace && sh.others*4 <= n && !isDigest(v, &sh)
	case l == medium:
		if random && n >= 12 && sh.others*3 <= n {
			return true
		}
		if at.quoted && n >= 16 && !hasSpace && sh.digits > 1 && sh.lower > 2 && sh.upper > 2 && sh.others > 2 && sh.entropy >= 4 && !sh.wordy() {
			return true // all four kinds of characters
		}
		// A secret of letters and digits that somebody made up: not one word.
		return !precise && (at.quoted || at.line) && n >= 8 && sh.digits > 0 && sh.lower+sh.upper > 0 && sh.others*3 <= n && !identifier(v, &sh)
	case at.loose:
		return random || sh.digits > 0 && sh.lower+sh.upper > 1 && n >= 6 && (!identifier(v, &sh) || respelled(v))
	}
	if precise && (hasSpace || !at.quoted && !at.line || bytes.IndexByte(v, '/') >= 0) {
		return false
	}
	if random {
		return true
	}
	if n > 64 {
		return false
	}
	mixed := 0
	for _, c := range [...]int{sh.lower, sh.upper, sh.digits, sh.others} {
		if c > 0 {
			mixed++
		}
	}
	switch {
	case precise:
		return at.quoted && mixed >= 3 && n >= 8 && !identifier(v, &sh)
	case identifier(v, &sh) && !respelled(v):
		return false
	case mixed >= 2 && (sh.digits > 0 || sh.others > 0):
		return at.quoted || !at.prose
	case mixed == 1 && sh.digits == n:
		return n >= 6 && n <= 12
	case sh.lower == n:
		return (at.quoted || at.line) && !at.prose && n >= 5 && n <= 20
	}
	return mixed >= 2 && (at.quoted || at.line) && !sh.wordy()
}

// respelled reports whether digits stand for letters inside of words, as in passwords that people make up: two
// or more that have small letters on both sides.
func respelled(v []byte) bool {
	n := 0
	for i := 1; i+1 < len(v); i++ {
		if digit.has(v[i]) && letter.has(v[i-1]) && lower.has(v[i+1]) {
			n++
		}
	}
	return n >= 2
}

// isReference reports whether a bare value names something instead of being it: a member, a call, a
// variable by convention.
func isReference(v []byte, sh *shape) bool {
	if i := bytes.IndexByte(v, '.'); i > 0 && i+1 < len(v) && letter.has(v[0]) && letter.has(v[i+1]) && (sh.digits == 0 || sh.wordy()) && !sh.random() {
		return true
	}
	if v[0] == '*' || v[0] == '&' || v[0] == '.' && len(v) > 1 && !digit.has(v[1]) || v[0] == '@' && sh.digits == 0 || v[0] == '/' || v[0] == '~' || v[0] == ':' || v[0] == '-' {
		return true
	}
	return bytes.Contains(v, []byte("::")) || bytes.Contains(v, []byte("->")) || bytes.Contains(bytes.TrimRight(v, "="), []byte("=="))
}

// isName reports whether a bare value could be a name of the program: letters that read like words, with
// or without numbers, and nothing that names do not hold.
func isName(v []byte, sh *shape) bool {
	for _, b := range v {
		if !word.has(b) && b != '.' && b != '[' && b != '+' && b != '*' && b != '/' {
			return false
		}
	}
	return letter.has(v[0]) && sh.digits*4 < sh.length && sh.pairs >= 3 && sh.common*100 >= sh.pairs*60
}

// isLocation reports whether v is a path, an address or a time: names of secrets are often of where
// they lie.
func isLocation(v []byte) bool {
	if bytes.Contains(v, []byte("://")) || v[0] == '/' && bytes.Count(v, []byte("/")) >= 2 && bytes.IndexByte(v, '=') < 0 && bytes.IndexByte(v, '+') < 0 ||
		has(v, 0, "./") || has(v, 0, "../") || has(v, 0, "~/") || has(v, 0, "arn:") || has(v, 0, "data:") || has(v, 0, "file:") {
		return true
	}
	if i := bytes.LastIndexByte(v, '.'); i > 0 && len(v)-i <= 5 && len(v)-i > 2 && i+1 < len(v) {
		switch string(v[i+1:]) {
		case "pem", "key", "crt", "cer", "txt", "json", "yml", "yaml", "env", "com", "org", "net", "html", "php", "js", "ts", "go", "py", "rb", "java", "xml", "md", "io", "pub", "local", "cfg", "conf", "ini", "log", "png", "svg", "css", "vue", "tsx", "jsx", "p12", "jks", "pfx":
			return true
		}
	}
	return false
}

// isDigest reports whether v is a hash by its length, which weak names mostly mean.
func isDigest(v []byte, sh *shape) bool {
	if !sh.hexOnly {
		return has(v, 0, "sha256-") || has(v, 0, "sha512-") || has(v, 0, "sha1-") || has(v, 0, "sha256:")
	}
	return sh.length == 40 || sh.length == 64 || sh.length == 128
}

// identifier reports whether v reads like a name in a program: words joined by case, hyphens, dots or
// underscores, with few digits.
func identifier(v []byte, sh *shape) bool {
	if len(v) > 1 && (v[0] == '#' || v[0] == '.') && letter.has(v[1]) {
		v = v[1:] // a selector
	}
	if sh.digits*4 > sh.length || sh.lower+sh.upper < 4 {
		return false
	}
	for i, b := range v {
		if !dotted.has(b) && b != '/' && b != ':' && !(b == '$' && i+1 < len(v)) && b != '[' && b != ']' && b != '(' && b != ')' && b != ',' && b != ' ' {
			return false
		}
	}
	joined := bytes.ContainsAny(v, "_-./:()[] ")
	camel := false
	for i := 1; i < len(v); i++ {
		if upper.has(v[i]) && lower.has(v[i-1]) {
			camel = true
		}
	}
	if sh.digits == 0 {
		return joined || camel && sh.pairs > 0 && sh.common*100 >= sh.pairs*60 || sh.upper == sh.length || upper.has(v[0]) && sh.upper == 1 && sh.wordy()
	}
	return (joined || camel) && sh.wordy() && (v[len(v)-1] < '0' || v[len(v)-1] > '9' || joined)
}
