package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// What looks like a secret is put together here, so that nobody's scanner stops at this file.
var (
	awsID    = "AKIA" + "Q7ZP4MXN2KLV6RTD"
	slackBot = "xox" + "b-263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"
	dbPass   = "t7#Kq" + "9!vLm2"
	bearer   = "eIdWHQqR" + "fFmvP5LDDh" + "IGxPUzi7I27HthzCPAVmS"
	jwtToken = "eyJ" + "hbGciOiJIUzI1NiIsInR5" + "cCI6IkpXVCJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ" + ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJVadQssw5c"
)

func githubToken() string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := "x9Qm3ZtLr7Vb1NcWk5Ys8GhPd2Jf6T"
	return "gh" + "p_" + body + checksum62(body, digits)
}

func engine(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// kindsIn lists what was found, as kind and text.
func kindsIn(text []byte, found []Finding) []string {
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%s %s", f.Kind, text[f.Start:f.End]))
	}
	return out
}

func checksum62(body, digits string) string {
	sum := crc32Of(body)
	out := make([]byte, 6)
	for i := 5; i >= 0; i-- {
		out[i] = digits[sum%62]
		sum /= 62
	}
	return string(out)
}

func TestFind(t *testing.T) {
	e := engine(t, Options{})
	basic := base64.StdEncoding.EncodeToString([]byte("deploy:" + dbPass))
	for _, row := range []struct {
		name, text, want string // want is kind and value; empty if nothing is to be found
	}{
		{"a token by its form", "use " + awsID + " for it", "secret:aws-access-key " + awsID},
		{"a longer word is none", "x" + awsID, ""},
		{"a token with a checksum", githubToken(), "secret:github-token " + githubToken()},
		{"behind an escape", `line\n` + awsID + `\n`, "secret:aws-access-key " + awsID},
		{"behind a colour", "\x1b[1;32m" + awsID + "\x1b[0m", "secret:aws-access-key " + awsID},
		{"behind a colour that is itself escaped", `\x1b[1m` + awsID, "secret:aws-access-key " + awsID},
		{"percent-encoded surroundings", "q%3D" + awsID + "%26", "secret:aws-access-key " + awsID},
		{"a presigned URL", "https://b.s3.amazonaws.com/o?X-Amz-Credential=" + awsID + "%2F20260101%2Fus-east-1", "secret:aws-access-key " + awsID},
		{"an environment file", "DB_PASSWORD=" + dbPass + "\n", "secret:password " + dbPass},
		{"YAML", "  password: " + dbPass + "\n  user: app\n", "secret:password " + dbPass},
		{"JSON", `{"dbPassword": "` + dbPass + `"}`, "secret:password " + dbPass},
		{"JSON in JSON", `{\"dbPassword\": \"` + dbPass + `\"}`, "secret:password " + dbPass},
		{"XML", "<password>" + dbPass + "</password>", "secret:password " + dbPass},
		{"an attribute", `<add key="DbPassword" value="` + dbPass + `"/>`, "secret:password " + dbPass},
		{"Kubernetes", "- name: DB_PASSWORD\n  value: " + dbPass + "\n", "secret:password " + dbPass},
		{"a typed variable", `var password string = "` + dbPass + `"`, "secret:password " + dbPass},
		{"TypeScript", `const password: string = '` + dbPass + `';`, "secret:password " + dbPass},
		{"a default", `os.getenv("DB_PASSWORD", "` + dbPass + `")`, "secret:password " + dbPass},
		{"a hash rocket", `:password => '` + dbPass + `',`, "secret:password " + dbPass},
		{"a flag", "mysqldump --password " + dbPass + " db", "secret:password " + dbPass},
		{"a setter", `conn.setPassword("` + dbPass + `");`, "secret:password " + dbPass},
		{"a connection string", "Server=db;User Id=sa;Password=" + dbPass + ";Encrypt=true", "secret:password " + dbPass},
		{"a URL", "postgres://app:" + "k9Lm2xQv" + "@db.internal/x", "secret:url-credential k9Lm2xQv"},
		{"Bearer", "Authorization: Bearer " + bearer, "secret:bearer-token " + bearer},
		{"Basic", "Authorization: Basic " + basic, "secret:basic-auth " + basic},
		{"curl", "curl -s -u admin:" + "k9Lm2xQv" + " https://x.example", "secret:basic-auth k9Lm2xQv"},
		{"netrc", "machine h login joe password " + "k9Lm2xQv" + "\n", "secret:password k9Lm2xQv"},
		{"a JSON web token", "t=" + jwtToken, "secret:jwt " + jwtToken},
		{"a slack token", "S=" + slackBot, "secret:slack-token " + slackBot},

		{"a sentence", "the default password is '" + dbPass + "'.", "secret:password " + dbPass},
		{"Gradle", "credentials {\n  password '" + dbPass + "'\n}", "secret:password " + dbPass},

		{"a selector", `this.addPassword = "#add-password";`, ""},
		{"a variable in quotes", `PASSWORD="'$PRECOMPILE_PASSWORD'"`, ""},
		{"a variable", "password: ${DB_PASSWORD}", ""},
		{"a template", "password: {{ .Values.password }}", ""},
		{"a placeholder", `password = "<your password>"`, ""},
		{"an example", "api_key: YOUR_" + "API_KEY_HERE", ""},
		{"changeme", "password=changeme", ""},
		{"a mask", "password: ********", ""},
		{"a call", "password = getPassword(user)", ""},
		{"a member", "password: this.form.password,", ""},
		{"an argument", "connect(user=user, password=password)", ""},
		{"an environment", `token = os.environ["TOKEN"]`, ""},
		{"a label", `"password": "Mot de passe"`, ""},
		{"a type", "password: string;", ""},
		{"a file", "password_file: /run/secrets/db", ""},
		{"prose", "The password must be changed every year.", ""},
		{"a question", "Enter password: ", ""},
		{"a public key", `public_key = "` + "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" + `"`, ""},
		{"a URL with a variable", "postgres://app:$PASS@db/x", ""},
		{"a host and its port", "http://localhost:8080/a@b", ""},
	} {
		text := []byte(row.text)
		got := strings.Join(kindsIn(text, e.Find(nil, text)), "; ")
		if got != row.want {
			t.Errorf("%s: %q\n got %q\nwant %q", row.name, row.text, got, row.want)
		}
	}
}

// An encoded secret is found in each encoding, one that is known by its value too.
func TestEncodedSecret(t *testing.T) {
	plainText := "cfg: aws_access_key_id=" + awsID + "\n"
	e := engine(t, Options{})
	value := "correct/horse+battery \"staple\" é"
	known := engine(t, Options{Known: []Known{{Name: "PW", Value: value}}})
	quoted, _ := json.Marshal(value)
	twice, _ := json.Marshal(string(quoted))
	for name, text := range map[string]string{
		"base64":           base64.StdEncoding.EncodeToString([]byte(plainText)),
		"base64 URL":       base64.RawURLEncoding.EncodeToString([]byte(plainText)),
		"base64 twice":     base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(plainText)))),
		"hex":              hex.EncodeToString([]byte(plainText)),
		"base64 in a line": "data: " + base64.StdEncoding.EncodeToString([]byte(plainText)) + " end",
	} {
		if len(e.Find(nil, []byte(text))) == 0 {
			t.Errorf("%s: nothing found in %s", name, text)
		}
	}
	for name, text := range map[string]string{
		"plain": value, "JSON": string(quoted), "JSON twice": string(twice), "hex": hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
		"query": url.QueryEscape(value), "path": url.PathEscape(value),
		"base64 at 0": base64.StdEncoding.EncodeToString([]byte(value)), "base64 at 1": base64.StdEncoding.EncodeToString([]byte("a" + value + "zz")),
		"base64 at 2": base64.URLEncoding.EncodeToString([]byte("ab" + value + "z")),
	} {
		text := []byte("x " + text + " y")
		found := known.Find(nil, text)
		if len(found) == 0 || found[0].Kind != "secret:known" {
			t.Errorf("%s: found %v in %s", name, kindsIn(text, found), text)
		}
	}
}

// A split secret is found piece by piece, whether it is known by value or by form, over two blocks or many.
func TestSplitSecret(t *testing.T) {
	const value = "kX9-horse-battery-staple-42"
	e := engine(t, Options{Known: []Known{{Name: "PW", Value: value}}})
	for _, secret := range []string{value, awsID, githubToken()} {
		for _, cuts := range [][]int{{4}, {10}, {len(secret) - 1}, {3, 6, 9, 12}, {5, 6, 7, 8, 9}} {
			var blocks []string
			at := 0
			for _, c := range append(cuts, len(secret)) {
				part := secret[at:c]
				if at == 0 {
					part = "first line\\n" + part
				}
				if c == len(secret) {
					part += "\\nlast line"
				}
				blocks = append(blocks, `{"type":"text","text":"`+part+`"}`)
				at = c
			}
			body := []byte(`{"messages":[{"role":"user","content":[` + strings.Join(blocks, ",") + `]}]}`)
			found, err := e.FindJSON(nil, body)
			if err != nil {
				t.Fatal(err)
			}
			var joined strings.Builder
			for _, f := range found {
				joined.Write(body[f.Start:f.End])
			}
			if joined.String() != secret {
				t.Errorf("%v: found %q in %s", cuts, joined.String(), body)
			}
			v := NewVault()
			if back := v.UnmaskJSON(nil, v.Mask(nil, body, found), func(Kind) bool { return true }); !bytes.Equal(back, body) {
				t.Errorf("came back as %s", back)
			}
		}
	}
}

// A split sentinel is put back whole, wherever the chunks end, and no more than a sentinel is held back.
func TestSplitSentinel(t *testing.T) {
	e := engine(t, Options{})
	for _, v := range []*Vault{NewVault(), NewASCIIVault()} {
		text := []byte("a " + awsID + " b [[ ⟦ c password=" + dbPass + " d ⟦")
		masked := v.Mask(nil, text, e.Find(nil, text))
		if bytes.Contains(masked, []byte(awsID)) || bytes.Contains(masked, []byte(dbPass)) {
			t.Fatalf("masked: %s", masked)
		}
		for size := 1; size <= len(masked); size++ {
			s := v.Stream(func(Kind) bool { return true })
			var got []byte
			for at := 0; at < len(masked); at += size {
				got = s.Write(got, masked[at:min(len(masked), at+size)])
				if s.Held() >= v.longest {
					t.Fatalf("chunks of %d: %d bytes held back, and the longest sentinel has %d", size, s.Held(), v.longest)
				}
			}
			if got = s.Flush(got); !bytes.Equal(got, text) {
				t.Fatalf("chunks of %d: %q", size, got)
			}
		}
		if got := v.Unmask(nil, masked, NoSecrets); !bytes.Equal(got, masked) {
			t.Errorf("secrets came back: %s", got)
		}
	}
}

// The same value has one sentinel, and a text's own brackets are nobody's.
func TestVault(t *testing.T) {
	e := engine(t, Options{})
	v := NewVault()
	body := []byte(`{"a":"` + awsID + `","b":["` + awsID + `","⟦secret:aws-access-key:1⟧"],"c":"p\u0061ss: \n\"pass` + `word\": \"t7#Kq\u00219\\vLm2\""}`)
	found, err := e.FindJSON(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	masked := v.Mask(nil, body, found)
	if !json.Valid(masked) || bytes.Count(masked, []byte("⟦secret:aws-access-key:2⟧")) != 2 || bytes.Contains(masked, []byte("t7#K")) {
		t.Errorf("masked: %s", masked)
	}
	all := func(Kind) bool { return true }
	if back := v.UnmaskJSON(nil, masked, all); !bytes.Equal(back, body) {
		t.Errorf("came back as %s", back)
	}
	if n := v.Counts()["secret:aws-access-key"]; n != 1 {
		t.Errorf("%d values", n)
	}
	if got := string(v.Unmask(nil, []byte("pw ⟦secret:password:1⟧"), all)); got != `pw t7#Kq!9\vLm2` {
		t.Errorf("as text: %s", got)
	}
}

func TestFindJSONRefuses(t *testing.T) {
	e := engine(t, Options{})
	for _, body := range []string{"", "{", `{"a"}`, `{"a":}`, `["a",]`, `"a`, "\"\n\"", `"\x"`, `01`, `{} {}`, strings.Repeat("[", 600), `{"a":1,}`, `nul`, `[1 2]`, `-`, `1.`, `1e`} {
		if _, err := e.FindJSON(nil, []byte(body)); err == nil {
			t.Errorf("%q was read", body)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	if underRace {
		t.Skip("the race detector has pools forget at random; the same test runs without it")
	}
	e := engine(t, Options{})
	text := cleanText(64 << 10)
	body, _ := json.Marshal(map[string]any{"messages": []any{map[string]string{"role": "user", "content": string(text)}}})
	var dst []Finding
	if f := e.Find(nil, text); len(f) > 0 {
		t.Fatalf("clean text: %v", kindsIn(text, f))
	}
	if n := testing.AllocsPerRun(20, func() { dst = e.Find(dst[:0], text) }); n > 0 {
		t.Errorf("Find allocates %v times", n)
	}
	if n := testing.AllocsPerRun(20, func() { dst, _ = e.FindJSON(dst[:0], body) }); n > 0 {
		t.Errorf("FindJSON allocates %v times", n)
	}
}

// cleanText is source code and prose in which triggers stand and no secret does.
func cleanText(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "// apply%d returns the tokens that the author of the key asked for, if access was given.\n"+
			"func apply%d(ctx context.Context, keys map[string]int, secretName string) (tokens []Token, err error) {\n"+
			"\tfor key, value := range keys {\n\t\tif value > len(secretName) { continue }\n"+
			"\t\ttokens = append(tokens, Token{Kind: key, Auth: authFor(key), Count: %d})\n\t}\n\treturn tokens, nil\n}\n\n", i, i, i)
	}
	return b.Bytes()[:size]
}
