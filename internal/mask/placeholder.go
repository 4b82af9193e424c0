package mask

import (
	"bytes"
	"sync"

	"github.com/sallyport-dev/sallyport/internal/base/words"
)

// stops are values, or parts of values, that say "put your secret here" or that are no value at all.
// They are compared in lower case; whole ones must be the value, the others may stand anywhere in it.
var (
	stopWhole = sync.OnceValue(func() map[string]bool {
		return set("null", "nil", "none", "true", "false", "undefined", "string", "str", "text", "bool", "int",
			"integer", "number", "object", "bytes", "byte", "char", "varchar", "void", "any", "optional", "required",
			"default", "empty", "unset", "unknown", "value", "name", "username", "user", "login", "email", "admin_password",
			"password", "passwd", "pwd", "pass", "passphrase", "passcode", "secret", "token", "key", "apikey", "api_key", "api-key",
			"credential", "credentials", "auth", "authorization", "bearer", "basic", "header", "cookie", "session", "oauth", "oauth2",
			"hidden", "masked", "redacted", "removed", "encrypted", "hashed", "sensitive", "private", "public", "plain", "plaintext",
			"this", "self", "new", "return", "function", "const", "let", "var", "type", "class", "import", "from", "await", "async",
			"input", "output", "form", "field", "label", "placeholder", "prompt", "ask", "vault", "env", "environment", "file",
			"database", "server", "client", "yes", "off", "enabled", "disabled", "not-set", "notset", "n/a", "tbd", "xxx", "foo", "bar", "baz",
			"qux", "foobar", "abc", "abcd", "abc123", "123", "1234", "the", "and", "for", "is", "are", "must", "should", "can", "will",
			"in", "of", "to", "or", "with", "was", "has", "not", "your", "my", "a", "an", "it", "if", "on", "by", "at", "as")
	})
	stopParts = sync.OnceValue(func() *words.Set {
		return words.New([]string{"changeme", "change_me", "change-me", "changeit", "replaceme", "replace_me", "replace-me", "replace_with",
			"replace-with", "yourpass", "your_", "your-", "my_secret_here", "yoursecret", "yourtoken", "yourapi", "yourkey", "mypassword", "example", "placeholder", "dummy", "sample",
			"insert_", "insert-", "_here", "-here", "goes here", "fixme", "to-do", "todo", "redacted", "xxxx", "****", "....",
			"<your", "enter_", "enter-", "notreal", "not-real", "not_real", "fakekey", "fake_", "fake-", "lorem", "ipsum", "foobar", "abcdefgh", "deadbeef"})
	})
)

func set(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, w := range list {
		m[w] = true
	}
	return m
}

// placeholder reports whether v stands for a value: an example, a variable, a format verb, a mask.
func placeholder(v []byte) bool {
	if len(v) > 2 && (v[0] == '\'' || v[0] == '"') && v[len(v)-1] == v[0] {
		v = v[1 : len(v)-1]
	}
	n := len(v)
	if n == 0 {
		return true
	}
	switch first, last := v[0], v[n-1]; {
	case first == '<' && last == '>', first == '[' && last == ']', first == '{' && last == '}', first == '%' && last == '%' && n > 1:
		return true
	case first == '$' && n > 1 && (v[1] == '{' || v[1] == '(' || letter.has(v[1]) || v[1] == '_'),
		first == '%' && n == 2, first == '@' && n > 1 && v[1] == '{', first == '#' && n > 1 && v[1] == '{',
		first == '!' && n > 4 && letter.has(v[1]) && bytes.IndexByte(v, ' ') > 0:
		return true
	}
	if bytes.Contains(v, []byte("${")) || bytes.Contains(v, []byte("{{")) || bytes.Contains(v, []byte("<%")) ||
		bytes.Contains(v, []byte("#{")) || bytes.Contains(v, []byte("$(")) || bytes.Contains(v, []byte("\u27e6")) {
		return true
	}
	var low [32]byte
	if n <= len(low) {
		for i, b := range v {
			low[i] = lowerByte(b)
		}
		if stopWhole()[string(low[:n])] {
			return true
		}
	}
	if distinct, limit := distinctOf(v), 3; distinct < limit && n > 3 || distinct < 2 {
		return true
	}
	if v[0] == '.' && n > 2 && v[1] == '$' {
		return true // the end of a string, and a variable behind it
	}
	return stopParts().Contains(v) || ladder(v) || counts(v)
}

func distinctOf(v []byte) int {
	var seen [4]uint64
	n := 0
	for _, b := range v {
		if seen[b>>6]>>(b&63)&1 == 0 {
			seen[b>>6] |= 1 << (b & 63)
			n++
		}
	}
	return n
}

// counts reports whether letters and digits of v count up or down by turns, as in a1b2c3d4: nobody is given that.
func counts(v []byte) bool {
	steps, n := 0, 0
	for i := 2; i < len(v); i++ {
		if !alnum.has(v[i]) || !alnum.has(v[i-1]) || !alnum.has(v[i-2]) {
			continue
		}
		n++
		if d := int(v[i]) - int(v[i-2]); d == 1 || d == -1 {
			steps++
		}
	}
	return n >= 8 && steps*10 >= n*7
}

// ladder reports whether most of v counts up or down, or repeats: 123456789, abcdef, aaaa1111.
func ladder(v []byte) bool {
	if len(v) < 8 {
		return false
	}
	steps := 0
	for i := 1; i < len(v); i++ {
		switch d := int(v[i]) - int(v[i-1]); d {
		case 0, 1, -1:
			steps++
		}
	}
	return steps*10 >= (len(v)-1)*7
}
