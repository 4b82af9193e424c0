package mask

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
)

// maker writes random secrets of one kind.
type maker struct {
	name string
	make func(r *rand.Rand) string
	key  string // a name that is usual for it
}

func pick(r *rand.Rand, n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.Intn(len(alphabet))]
	}
	return string(b)
}

const (
	a62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	a64 = a62 + "+/"
	a36 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	a16 = "0123456789abcdef"
	u64 = a62 + "-_"
)

// The kinds that performance tests of others plant, and some that no scanner finds.
var makers = []maker{
	{"aws id", func(r *rand.Rand) string { return "AKIA" + pick(r, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") }, "AWS_ACCESS_KEY_ID"},
	{"aws secret", func(r *rand.Rand) string { return pick(r, 40, a64) }, "AWS_SECRET_ACCESS_KEY"},
	{"github", func(r *rand.Rand) string {
		body := pick(r, 30, a62)
		return "gh" + "p_" + body + checksum62(body, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
	}, "GITHUB_TOKEN"},
	{"github fine", func(r *rand.Rand) string { return "github_" + "pat_" + pick(r, 22, a62) + "_" + pick(r, 59, a62) }, "GH_TOKEN"},
	{"gitlab", func(r *rand.Rand) string { return "gl" + "pat-" + pick(r, 20, u64) }, "GITLAB_TOKEN"},
	{"slack", func(r *rand.Rand) string {
		return "xo" + "xb-" + pick(r, 12, "123456789") + "-" + pick(r, 12, "123456789") + "-" + pick(r, 24, a62)
	}, "SLACK_TOKEN"},
	{"stripe", func(r *rand.Rand) string { return "sk_" + "live_" + pick(r, 24, a62) }, "STRIPE_KEY"},
	{"openai", func(r *rand.Rand) string { return "sk-" + "proj-" + pick(r, 74, u64) + "T3BlbkFJ" + pick(r, 74, u64) }, "OPENAI_API_KEY"},
	{"anthropic", func(r *rand.Rand) string { return "sk-" + "ant-api03-" + pick(r, 93, u64) + "AA" }, "ANTHROPIC_API_KEY"},
	{"google", func(r *rand.Rand) string { return "AI" + "za" + pick(r, 35, u64) }, "GOOGLE_API_KEY"},
	{"npm", func(r *rand.Rand) string { return "npm" + "_" + pick(r, 36, a62) }, "NPM_TOKEN"},
	{"sendgrid", func(r *rand.Rand) string { return "SG" + "." + pick(r, 22, u64) + "." + pick(r, 43, u64) }, "SENDGRID_API_KEY"},
	{"jwt", func(r *rand.Rand) string {
		e := base64.RawURLEncoding
		return e.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + e.EncodeToString(fmt.Appendf(nil, `{"sub":"%s"}`, pick(r, 20, a62))) + "." + pick(r, 43, u64)
	}, "SESSION_TOKEN"},
	{"pem", func(r *rand.Rand) string {
		var b strings.Builder
		b.WriteString("-----BEGIN RSA PRIV" + "ATE KEY-----\n")
		for range 6 {
			b.WriteString(pick(r, 64, a64) + "\n")
		}
		return b.String() + "-----END RSA PRIV" + "ATE KEY-----"
	}, "TLS_KEY"},
	{"azure storage", func(r *rand.Rand) string { return "Account" + "Key=" + pick(r, 86, a64) + "==" }, "STORAGE"},
	{"database url", func(r *rand.Rand) string { return "postgres://app:" + pick(r, 14, a62) + "@db.internal:5432/x" }, "DATABASE_URL"},
	{"url with symbols", func(r *rand.Rand) string {
		return "mysql://app:" + pick(r, 4, a62) + "%21" + pick(r, 4, a62) + "$" + pick(r, 3, a62) + "@db/x"
	}, "DATABASE_URL"},
	{"hex token", func(r *rand.Rand) string { return pick(r, 32, a16) }, "API_TOKEN"},
	{"password with symbols", func(r *rand.Rand) string { return pick(r, 5, a62) + pick(r, 2, "!@#%^*") + pick(r, 5, a62) }, "DB_PASSWORD"},
	{"base62 key", func(r *rand.Rand) string { return pick(r, 32, a62) }, "api_key"},
}

var contexts = []struct {
	name string
	in   func(key, s string) string
}{
	{"env", func(k, s string) string { return "export " + k + "=" + s + "\n" }},
	{"quoted env", func(k, s string) string { return k + "=\"" + s + "\"\n" }},
	{"yaml", func(k, s string) string { return "  " + strings.ToLower(k) + ": " + s + "\n" }},
	{"code", func(k, s string) string { return "const " + strings.ToLower(k) + " = \"" + s + "\";\n" }},
	{"json", func(k, s string) string { b, _ := json.Marshal(map[string]string{k: s}); return string(b) }},
	{"nested json", func(k, s string) string {
		b, _ := json.Marshal(map[string]string{k: s})
		c, _ := json.Marshal(string(b))
		return string(c)
	}},
	{"bare line", func(_, s string) string { return "try this one:\n" + s + "\n" }},
	{"ansi log", func(k, s string) string { return "\x1b[1m" + k + "\x1b[0m=\x1b[32m" + s + "\x1b[0m\n" }},
	{"base64", func(k, s string) string { return base64.StdEncoding.EncodeToString([]byte(k+"="+s+"\n")) + "\n" }},
}

// TestSynthetic plants secrets of each kind in each context, among clean text, and asks that nothing of eight
// bytes decoded text, and in the body as it is written.
func TestSynthetic(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	e := engine(t, Options{})
	filler := string(cleanText(3000))
	type tally struct{ n, text, raw int }
	byKind, byContext, all := map[string]*tally{}, map[string]*tally{}, &tally{}
	for _, m := range makers {
		for _, c := range contexts {
			if byKind[m.name] == nil {
				byKind[m.name] = &tally{}
			}
			if byContext[c.name] == nil {
				byContext[c.name] = &tally{}
			}
			// Nobody can know forty random letters without a name, or a password.
			if c.name == "bare line" && (m.name == "aws secret" || m.name == "hex token" || m.name == "password with symbols" || m.name == "base62 key") {
				continue
			}
			for range 20 {
				secret := m.make(r)
				planted := c.in(m.key, secret)
				at := r.Intn(2500)
				text := filler[:at] + "\n" + planted + filler[at:]
				body := bodyOf([]byte(text))
				gone := func(found []Finding, in []byte) bool { return !leaks(in, found, planted, secret) }
				found := e.Find(nil, []byte(text))
				raw, err := e.FindJSON(nil, body)
				if err != nil {
					t.Fatal(err)
				}
				okText := gone(found, []byte(text))
				escaped, _ := json.Marshal(planted)
				okRaw := !leaks(body, raw, string(escaped[1:len(escaped)-1]), secret)
				for _, x := range []*tally{byKind[m.name], byContext[c.name], all} {
					x.n++
					if okText {
						x.text++
					}
					if okRaw {
						x.raw++
					}
				}
			}
		}
	}
	for _, group := range []map[string]*tally{byKind, byContext} {
		for name, x := range group {
			t.Logf("%-22s %.2f / %.2f of %d", name, float64(x.text)/float64(x.n), float64(x.raw)/float64(x.n), x.n)
		}
	}
	text, raw := float64(all.text)/float64(all.n), float64(all.raw)/float64(all.n)
	t.Logf("recall %.3f decoded, %.3f raw, of %d", text, raw, all.n)
	if text < minSynthetic || raw < minSynthetic {
		t.Errorf("recall %.3f decoded, %.3f raw; want %.2f", text, raw, minSynthetic)
	}
}

const minSynthetic = 0.95

// leaks reports whether findings leave most of what was planted: the finding that counts covers at least
// three quarters of the secret's length, inside the planted text.
func leaks(text []byte, found []Finding, planted, secret string) bool {
	start := strings.Index(string(text), planted)
	if start < 0 {
		return true
	}
	covered := 0
	for _, f := range found {
		covered += max(0, min(f.End, start+len(planted))-max(f.Start, start))
	}
	want := len(secret)
	if i := strings.Index(secret, "://"); i >= 0 { // the password alone is the secret
		want = strings.LastIndex(secret, "@") - strings.LastIndex(secret[:strings.LastIndex(secret, "@")], ":") - 1
	}
	if i := strings.Index(secret, "Key="); i >= 0 {
		want = len(secret) - i - 6
	}
	return covered < want
}
