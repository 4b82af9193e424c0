package mask

import (
	"sync"

	"github.com/sallyport-dev/sallyport/internal/base/words"
)

// A level says how much a name promises that its value is a secret.
type level uint8

const (
	noSecret level = iota
	weak           // key, auth, signature: only what looks random is one
	medium         // token, secret, API key: a value that is no word
	strong         // password: anything that is not plainly something else
)

// keywords are what names of secrets hold. Those in short stand alone or where a word begins, since
// they are parts of ordinary words.
var keywords = map[string]level{
	"password": strong, "passwd": strong, "passphrase": strong, "passcode": strong, "pwd": strong, "pass": strong, "_pw": strong, "psw": strong,
	"passwort": strong, "senha": strong, "contrasena": strong, "contraseña": strong, "wachtwoord": strong, "motdepasse": strong, "mot_de_passe": strong, "parola": strong,
	"пароль": strong, "密码": strong, "passw": strong, "pword": strong,

	"secret": medium, "token": medium, "apikey": medium, "api_key": medium, "api-key": medium, "api key": medium, "accesskey": medium,
	"access_key": medium, "access-key": medium, "access key": medium, "privatekey": medium, "private_key": medium, "private-key": medium, "credential": medium,
	"creds": medium, "authkey": medium, "auth_key": medium, "auth-key": medium, "signingkey": medium, "signing_key": medium, "encryptionkey": medium,
	"encryption_key": medium, "encryption-key": medium, "masterkey": medium, "master_key": medium, "accountkey": medium, "account_key": medium,
	"sharedaccesskey": medium, "sharedkey": medium, "presharedkey": medium, "pre_shared_key": medium, "psk": medium, "appkey": medium, "app_key": medium, "app-key": medium,
	"license_key": medium, "licensekey": medium, "subscription-key": medium, "passkey": medium, "secretkey": medium, "servicekey": medium, "service_key": medium,
	"integration_key": medium, "ingest_key": medium, "writekey": medium, "write_key": medium, "deploy_key": medium, "consumer_key": medium, "consumerkey": medium,
	"cryptokey": medium, "crypto_key": medium, "aes_key": medium, "aeskey": medium, "hmac_key": medium, "hmackey": medium, "jwt": medium, "accesstoken": medium, "pat": medium,

	"key": weak, "auth": weak, "signature": weak, "session": weak, "cookie": weak, "sig": weak, "seed": weak, "mnemonic": weak, "salt": weak,
	"authorization": medium, "secret key": medium, "webhook": weak, "sas": weak, "credentials": medium, "hash": weak, "nonce": weak, "otp": medium, "sid": weak, "login": weak, "dsn": weak, "cert": weak,
}

// short keywords must begin where a word begins.
func short(k string) bool {
	return len(k) <= 4 && k[0] != '_' || k == "login" || k == "parola" || k == "senha" || k == "creds"
}

// about are words that, after the keyword, make a name that is about a secret and not of one.
var about = sync.OnceValue(func() map[string]bool {
	return set("file", "files", "filename", "path", "paths", "url", "uri", "urls", "name", "names", "type", "types", "len", "length", "size", "count", "field", "fields",
		"label", "hint", "policy", "policies", "expiry", "expires", "expiration", "expired", "ttl", "regex", "regexp", "pattern", "prompt", "help", "text", "msg", "message",
		"error", "errors", "title", "class", "column", "col", "dir", "arn", "version", "algo", "algorithm", "method", "format", "min", "max", "required", "require",
		"valid", "validator", "validation", "reset", "changed", "host", "port", "user", "username", "email", "public", "placeholder", "id", "ids", "index", "provider", "service",
		"manager", "handler", "store", "storage", "issuer", "endpoint", "enabled", "disabled", "attempts", "strength", "rotation", "created", "updated", "date", "time", "at",
		"ref", "refs", "link", "page", "view", "button", "icon", "input", "map", "list", "array", "set", "usage", "scope", "scopes", "mode", "alias", "prefix", "suffix",
		"encoding", "model", "schema", "param", "header", "headers", "generator", "factory", "builder", "parser", "reader", "writer", "checker", "encoder", "provided",
		"limit", "limits", "budget", "source", "kind", "state", "status", "vault", "namespace", "box", "form", "protected", "authentication", "auth", "management", "function",
		"exists", "found", "missing", "info", "data", "config", "settings", "options", "event", "events", "request", "response", "code", "codes", "chain", "ring", "pair", "pairs",
		"stroke", "board", "word", "words", "frame", "frames", "press", "down", "up", "binding", "bindings", "range", "space", "spec", "order", "by", "equals", "mapping", "template", "color")
})

// apart are words that, before a weak keyword, say that it is another kind of key.
var apart = sync.OnceValue(func() map[string]bool {
	return set("public", "pub", "primary", "foreign", "sort", "partition", "cache", "row", "map", "hot", "object", "message", "i18n", "translation", "index", "unique",
		"is", "has", "no", "use", "show", "forgot", "reset", "max", "min", "num", "total", "prev", "next", "page", "group", "routing", "dedup", "idempotency", "lookup", "registry",
		"git", "commit", "content", "file", "image", "query", "block", "tree", "build", "tab", "arrow", "enter", "data", "item", "react", "list", "count", "csrf", "prompt", "completion",
		"input", "output", "eos", "bos", "pad", "special", "invalid", "unexpected", "expected", "current", "last", "first", "stop", "start", "end", "close", "open", "lex", "parse", "string", "left", "right", "package", "integrity", "sha")
})

type nameTable struct {
	set    *words.Set
	levels []level
	shorts []bool // must begin a word
	strict []bool // must end one
}

var nameTables = sync.OnceValue(func() *nameTable {
	t := &nameTable{}
	var list []string
	for k, l := range keywords {
		list = append(list, k)
		t.levels = append(t.levels, l)
		t.shorts = append(t.shorts, short(k))
		t.strict = append(t.strict, len(k) <= 4 || short(k))
	}
	t.set = words.New(list)
	return t
})

// levelOf tells what a name promises: of an assignment's left side, a key in JSON, a flag.
func levelOf(name []byte) level {
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	t := nameTables()
	best, first, last := noSecret, -1, 0
	var state uint32
	for i := 0; i < len(name); {
		end, after, found := t.set.Next(name, i, state)
		i, state = end, after
		for _, w := range found {
			start := end - t.set.Len(w)
			if t.shorts[w] && !beginsWord(name, start) || !endsWord(name, end, t.strict[w]) {
				continue
			}
			if t.levels[w] > best {
				best = t.levels[w]
			}
			if first < 0 || start < first {
				first = start
			}
			last = max(last, end)
		}
	}
	if best == noSecret {
		return noSecret
	}
	if anySegment(name[last:], about()) || best < strong && anySegment(name[:first], apart()) || best == strong && anySegment(name[:first], asks()) {
		return noSecret
	}
	return best
}

const maxName = 80

func beginsWord(name []byte, i int) bool {
	if i == 0 {
		return true
	}
	p, b := classes[name[i-1]], classes[name[i]]
	return p&letter == 0 && name[i-1] < 0x80 || p&lower != 0 && b&upper != 0
}

// endsWord reports whether a word may end at i: nothing goes on in small letters but a plural.
func endsWord(name []byte, i int, strict bool) bool {
	if i < len(name) && (name[i] == 's' || name[i] == 'S') {
		i++
	}
	if i == len(name) {
		return true
	}
	c := classes[name[i]]
	if c&lower != 0 {
		return false
	}
	return c&upper == 0 || classes[name[i-1]]&lower != 0 || !strict
}

// asks are words that, before a keyword, make a name that is of a question, a limit or a fact.
var asks = sync.OnceValue(func() map[string]bool {
	return set("is", "has", "no", "max", "min", "num", "forgot", "reset", "show", "require", "requires", "hide", "hash", "change", "validate", "check", "invalid", "wrong")
})

// anySegment reports whether one of the words of a name, in lower case, is in m.
func anySegment(name []byte, m map[string]bool) bool {
	var buf [24]byte
	n := 0
	for i, b := range name {
		c := classes[b]
		if c&letter == 0 || c&upper != 0 && i > 0 && classes[name[i-1]]&lower != 0 {
			if n > 0 && m[string(buf[:n])] {
				return true
			}
			n = 0
		}
		if c&letter != 0 && n < len(buf) {
			buf[n] = lowerByte(b)
			n++
		}
	}
	return n > 0 && m[string(buf[:n])]
}
