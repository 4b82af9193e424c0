package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

// Known values are seen through what programs put into and around them.
func TestKnownThrough(t *testing.T) {
	const value = `corr&ct/"horse"+battery\staple`
	e := engine(t, Options{Known: []Known{{"PW", value}, {"SHORT", "k9Lm2x"}}})
	hexed := hex.EncodeToString([]byte(value))
	b64 := base64.StdEncoding.EncodeToString([]byte(value))
	quoted, _ := json.Marshal("pass " + value)
	u := each(value, `\u%04x`)
	for name, text := range map[string]string{
		"percent, all": each(value, "%%%02x"), "percent, all, upper": each(value, "%%%02X"), "percent, some": strings.ReplaceAll(value, "r", "%72"),
		"decimal": each(value, "&#%d;"), "entities": each(value, "&#x%X;"), "some entities": strings.NewReplacer("&", "&amp;", `"`, "&#34;", "r", "&#x72;").Replace(value),
		"u": u, "u in JSON": strings.ReplaceAll(u, `\`, `\\`), "u upper": each(value, `\u%04X`),
		"x": each(value, `\x%02x`), "hex in lines": hexed[:20] + "\n" + hexed[20:], "hex, spaced": each(value, " %02X"), "hex, by fours": hexed[:4] + " " + hexed[4:8] + " " + hexed[8:],
		"base64 in lines": b64[:16] + "\r\n" + b64[16:], "base64 in lines of JSON": b64[:16] + `\n` + b64[16:], "colour": value[:9] + "\x1b[1;31m" + value[9:],
		"colour in JSON": value[:9] + `\u001b[1m` + value[9:], "a line end": value[:9] + "\n" + value[9:], "upper": strings.ToUpper(value), "JSON": string(quoted),
		"short, percent": each("k9Lm2x", "%%%02x"), "short, entities": each("k9Lm2x", "&#%d;"), "short, u": each("k9Lm2x", `\u%04x`),
	} {
		for _, in := range []string{text, strings.Repeat("a b\n", 12000) + text} {
			found := e.Find(nil, []byte("x: "+in+" :y"))
			if len(found) == 0 || found[0].Kind != "secret:known" {
				t.Errorf("%s: found %v in %.100q", name, found, in)
			} else if rest := len(in) + 3 - found[len(found)-1].End; rest > 1 {
				t.Errorf("%s: %d bytes left at the end of %.100q", name, rest, in)
			}
		}
	}
	if f := e.Find(nil, []byte("k9 Lm 2x and correct horse % \\ & &# \x1b")); len(f) > 0 {
		t.Errorf("found %v", f)
	}
}

// A number of JSON that is known or that of a card is masked by a string, and comes back as the number.
func TestNumberOfJSON(t *testing.T) {
	e := engine(t, Options{Known: []Known{{"PIN", "83729104"}}, Personal: []Kind{Card}})
	body := []byte(`{"card":4111111111111111,"pin":[83729104, 83729105],"n":12345678901,"s":"83729104"}`)
	found, err := e.FindJSON(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	v := NewVault()
	masked := v.Mask(nil, body, found)
	if !json.Valid(masked) || bytes.Contains(masked, []byte("4111")) || bytes.Contains(masked, []byte("83729104")) || !bytes.Contains(masked, []byte("83729105")) {
		t.Errorf("masked: %s", masked)
	}
	saved, err := v.Save()
	if err != nil {
		t.Fatal(err)
	}
	if v, err = LoadVault(saved); err != nil {
		t.Fatal(err)
	}
	all := func(Kind) bool { return true }
	if back := v.UnmaskJSON(nil, masked, all); !bytes.Equal(back, body) {
		t.Errorf("came back as %s", back)
	}
	bare := bytes.Split(masked, []byte(`"`))[3]
	if back := v.UnmaskJSON(nil, []byte(`"a\"`+string(bare)+`"`), all); !json.Valid(back) {
		t.Errorf("no JSON: %s", back)
	}
}
