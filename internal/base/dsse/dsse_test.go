package dsse

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// The vector of the DSSE protocol's own example.
func TestPAE(t *testing.T) {
	got := string(PAE("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("PAE = %q, want %q", got, want)
	}
	if a, b := PAE("a", []byte("b 1 c")), PAE("a 1 b", []byte("c")); bytes.Equal(a, b) {
		t.Error("two different (type, payload) pairs have the same encoding")
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
		says     string
	}{
		{"one signature", `{"payload":"aGk=","payloadType":"t","signatures":[{"sig":"AAEC"}]}`, nil, ""},
		{"URL-safe base64", `{"payload":"_-8=","payloadType":"t","signatures":[{"sig":"AAEC","keyid":"k"}]}`, nil, ""},
		{"unknown keys are ignored", `{"payload":"","payloadType":"t","signatures":[{"sig":"AAEC","cert":"x"}],"more":{"a":[1]}}`, nil, ""},
		{"no signature", `{"payload":"aGk=","payloadType":"t","signatures":[]}`, ErrSignature, "not 0"},
		{"two signatures", `{"payload":"aGk=","payloadType":"t","signatures":[{"sig":"AA=="},{"sig":"AA=="}]}`, ErrSignature, "not 2"},
		{"empty signature", `{"payload":"aGk=","payloadType":"t","signatures":[{"sig":""}]}`, ErrSignature, "empty"},
		{"no type", `{"payload":"aGk=","signatures":[{"sig":"AAEC"}]}`, ErrEnvelope, "payloadType"},
		{"payload twice", `{"payload":"aGk=","payload":"aGo=","payloadType":"t","signatures":[{"sig":"AAEC"}]}`, ErrEnvelope, "twice"},
		{"another case", `{"Payload":"aGk=","payloadType":"t","signatures":[{"sig":"AAEC"}]}`, ErrEnvelope, "not spelt"},
		{"trailing data", `{"payload":"aGk=","payloadType":"t","signatures":[{"sig":"AAEC"}]}{}`, ErrEnvelope, "after the end"},
		{"mixed alphabets", `{"payload":"_+8=","payloadType":"t","signatures":[{"sig":"AAEC"}]}`, ErrEnvelope, "base64"},
		{"stray bits", `{"payload":"aGl=","payloadType":"t","signatures":[{"sig":"AAEC"}]}`, ErrEnvelope, "base64"},
		{"cut short", `{"payload":"aGk=","payloadType":`, ErrEnvelope, ""},
		{"empty", ``, ErrEnvelope, "empty"},
		{"not an object", `"x"`, ErrEnvelope, "not an object"},
		{"too deep", strings.Repeat(`[`, 100), ErrEnvelope, "deep"},
		{"too large", strings.Repeat(" ", MaxSize+1), ErrEnvelope, "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.in))
			if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("Parse = %v, want %v saying %q", err, tt.want, tt.says)
			}
		})
	}
}

// What parses has one signature, and writing it and reading it again changes nothing that is
// signed.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"payload":"aGk=","payloadType":"t","signatures":[{"sig":"AAEC","keyid":"k"}]}`))
	f.Add([]byte(`{"payload":"_-8=","payloadType":"","signatures":[{"sig":"AAEC"},{"sig":"AAEC"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		if len(e.Signature) == 0 || e.PayloadType == "" {
			t.Fatalf("accepted without signature or type: %q", b)
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if !bytes.Equal(again.PAE(), e.PAE()) || !bytes.Equal(again.Signature, e.Signature) || again.KeyID != e.KeyID {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}

// ParsePAE takes apart what PAE made, of the type that is expected, and nothing else.
func TestParsePAE(t *testing.T) {
	for _, payload := range []string{"", "x", "two words", " 3 abc", strings.Repeat("a", 1000)} {
		if got, err := ParsePAE(PAE(InTotoPayload, []byte(payload)), InTotoPayload); err != nil || string(got) != payload {
			t.Errorf("%.20q: %.20q, %v", payload, got, err)
		}
	}
	good := string(PAE(InTotoPayload, []byte("abc")))
	for _, b := range []string{"", "DSSEv1", good[:len(good)-1], good + "x", strings.Replace(good, " 3 ", " 03 ", 1), strings.Replace(good, " 3 ", " +3 ", 1), strings.Replace(good, "v1", "v2", 1), string(PAE("text/plain", []byte("abc")))} {
		if got, err := ParsePAE([]byte(b), InTotoPayload); err == nil || got != nil {
			t.Errorf("%q: %q", b, got)
		}
	}
}
