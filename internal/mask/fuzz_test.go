package mask

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"testing"
)

func crc32Of(s string) uint32 { return crc32.ChecksumIEEE([]byte(s)) }

// seeds are texts around the edges of the matchers.
func seeds() []string {
	return []string{
		"", awsID, "password = \"" + dbPass + "\"", `{"password":"` + dbPass + `"}`, "postgres://a:" + "k9Lm2xQv@h/", "Authorization: Bearer " + bearer,
		"-----BEGIN RSA PRIV" + "ATE KEY-----\nMIIEpAIBAAKCAQEA7bq8Zk\n-----END RSA PRIV" + "ATE KEY-----", jwtToken, `\n` + awsID + `\u0022`, "⟦secret:password:1⟧ password=" + dbPass,
		`["\ud83d\ude00` + awsID + `\/",{"text":"AKI"},{"text":"` + awsID[3:] + `"}]`, "cu" + "rl -u a:" + dbPass + " x", "key=key=key=key=", "://:@://:@", "eyJeyJeyJ.eyJ.",
		`{"text":"password: "},{"text":"x"}`, `[{"text":"\"pass\u0077ord\": \""},{"text":"` + dbPass + `\""}]`,
	}
}

func checkFindings(t *testing.T, text []byte, found []Finding) {
	t.Helper()
	at := 0
	for _, f := range found {
		if f.Start < at || f.End <= f.Start || f.End > len(text) || f.Kind == "" || f.Rule == "" {
			t.Fatalf("%+v after %d of %d", f, at, len(text))
		}
		at = f.End
	}
}

// FuzzFind holds Find to its word: spans lie in the text, in order, and what was masked comes back.
func FuzzFind(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	e := engine(f, Options{Known: []Known{{"PW", "correct horse battery"}}, Personal: AllPersonal()})
	all := func(Kind) bool { return true }
	f.Fuzz(func(t *testing.T, text []byte) {
		found := e.Find(nil, text)
		checkFindings(t, text, found)
		v := NewVault()
		masked := v.Mask(nil, text, found)
		if back := v.Unmask(nil, masked, all); !bytes.Equal(back, text) {
			t.Fatalf("%q\nmasked %q\nback   %q", text, masked, back)
		}
	})
}

// FuzzFindJSON: what is JSON stays JSON, what is none is refused, and what was masked comes back.
func FuzzFindJSON(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
		b, _ := json.Marshal([]any{s, map[string]any{"text": s, s: 1, "password": s}})
		f.Add(b)
	}
	e := engine(f, Options{Known: []Known{{"PW", "correct horse battery"}}, Personal: AllPersonal()})
	all := func(Kind) bool { return true }
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := e.FindJSON(nil, body)
		if valid := json.Valid(body); valid != (err == nil) && bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) < maxNesting {
			t.Fatalf("%q: valid is %v, and the error %v", body, valid, err)
		}
		if err != nil {
			return
		}
		checkFindings(t, body, found)
		v := NewVault()
		masked := v.Mask(nil, body, found)
		if !json.Valid(masked) {
			t.Fatalf("%q\nmasked %q", body, masked)
		}
		if back := v.UnmaskJSON(nil, masked, all); !bytes.Equal(back, body) {
			t.Fatalf("%q\nmasked %q\nback   %q", body, masked, back)
		}
	})
}

// FuzzStream: chunks of any size give what the whole gives.
func FuzzStream(f *testing.F) {
	for i, s := range seeds() {
		f.Add([]byte(s), uint8(i))
	}
	e := engine(f, Options{})
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		v := NewVault()
		masked := v.Mask(nil, text, e.Find(nil, text))
		masked = append(masked, masked...)
		allow := func(k Kind) bool { return k != "secret:password" }
		want := v.Unmask(nil, masked, allow)
		s := v.Stream(allow)
		var got []byte
		for len(masked) > 0 {
			n := min(int(size)+1, len(masked))
			got = s.Write(got, masked[:n])
			masked = masked[n:]
			size = size*5 + 3
		}
		if got = s.Flush(got); !bytes.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}
