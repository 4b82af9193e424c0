package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A Known is a value that is known to be secret, such as that of a variable of the environment.
type Known struct {
	Name  string // shown; never the value
	Value string
}

// Bounds on known values. A shorter one would be found everywhere.
const (
	MinKnown  = 6
	MaxKnown  = 16 << 10
	MaxKnowns = 4096
)

// A form is one way to write a known value.
type form struct {
	text  []byte
	fold  bool // letters of either case (hex)
	which int  // of the values
}

type knownSet struct {
	forms []form
	names []string
}

// head is what the automaton looks for.
func (f *form) head() string { return string(f.text[:min(len(f.text), 8)]) }

// newKnown writes each value in the ways in which it may turn up: as it is, as a string of JSON, once and
// twice, percent-encoded, in hex, and in base64 at each of the three places where it may lie between others.
func newKnown(list []Known) (*knownSet, error) {
	if len(list) > MaxKnowns {
		return nil, fmt.Errorf("mask: %d known values; at most %d are looked for: use a keyed-hash list", len(list), MaxKnowns)
	}
	k := &knownSet{}
	for i, v := range list {
		if len(v.Value) < MinKnown || len(v.Value) > MaxKnown {
			return nil, fmt.Errorf("mask: known value %d (%s) has %d bytes; one of %d to %d can be looked for", i+1, v.Name, len(v.Value), MinKnown, MaxKnown)
		}
		k.names = append(k.names, v.Name)
		seen := map[string]bool{}
		add := func(text string, fold bool) {
			if len(text) >= MinKnown && !seen[text] {
				seen[text] = true
				k.forms = append(k.forms, form{text: []byte(text), fold: fold, which: i})
			}
		}
		value := v.Value
		add(value, false)
		once := jsonInner(value, false)
		add(once, false)
		add(jsonInner(once, false), false)
		add(jsonInner(value, true), false)
		add(url.QueryEscape(value), false)
		add(url.PathEscape(value), false)
		add(percent(value), true)
		add(each(value, "%%%02x"), true)
		add(each(value, `\u%04x`), true)
		add(each(value, `\\u%04x`), true)
		add(each(value, "&#%d;"), false)
		add(each(value, "&#x%x;"), true)
		add(each(value, " %02x")[1:], true)
		add(each(value, ":%02x")[1:], true)
		add(hex.EncodeToString([]byte(value)), true)
		add(strings.ReplaceAll(strings.ReplaceAll(value, "&", "&amp;"), `"`, "&quot;"), false)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for shift := range 3 {
				add(inBase64(enc, value, shift), false)
			}
		}
		// A text in base64 may be the encoding of the value with an end of line.
		add(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(value)))), false)
	}
	return k, nil
}

// inBase64 returns the characters of base64 that depend on value alone when shift bytes stand before it.
func inBase64(enc *base64.Encoding, value string, shift int) string {
	s := enc.EncodeToString([]byte(strings.Repeat("\x00", shift) + value))
	from := (shift*8 + 5) / 6
	to := (shift + len(value)) * 8 / 6
	if from >= to {
		return ""
	}
	return s[from:to]
}

func jsonInner(s string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if enc.Encode(s) != nil {
		return ""
	}
	out := strings.TrimSuffix(b.String(), "\n")
	return out[1 : len(out)-1]
}

// percent encodes every byte that is no letter or digit.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if alnum.has(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// each writes every byte in a form.
func each(s, form string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, form, s[i])
	}
	return b.String()
}

// knownAt checks whether a form stands at start.
func (s *search) knownAt(i, start int) {
	f := &s.e.known.forms[i]
	if len(s.text)-start < len(f.text) {
		return
	}
	got := s.text[start : start+len(f.text)]
	if !bytes.Equal(got, f.text) && !(f.fold && bytes.EqualFold(got, f.text)) {
		return
	}
	s.add("secret:known", "known-value", start, start+len(f.text), sallyport.Critical, byValue)
}
