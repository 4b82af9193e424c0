package quote

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

const good = `version: 1
sev_snp:
  measurements: [` + zeros + `]
  minimum_tcb: {bootloader: 4, tee: 0, snp: 22, microcode: 213}
tdx:
  measurements: [` + zeros + `]
  minimum_tee_tcb_svn: "05010600000000000000000000000000"
`

const zeros = `"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"`

// A policy names code and firmware. What would accept anything is refused.
func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy([]byte(good))
	if err != nil || p.SEVSNP.MinimumTCB.Microcode != 213 || len(p.TDX.Measurements) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for says, text := range map[string]string{
		"version is 2":           strings.Replace(good, "version: 1", "version: 2", 1),
		"neither":                "version: 1\n",
		"of any code":            strings.Replace(good, "["+zeros+"]", "[]", 1),
		"48 bytes":               strings.Replace(good, `"00`, `"`, 1),
		"lower-case hex":         strings.Replace(good, `"00`, `"AA`, 1),
		"vmpl is 4":              strings.Replace(good, "  minimum_tcb", "  vmpl: 4\n  minimum_tcb", 1),
		"unknown field":          strings.Replace(good, "  minimum_tcb", "  debug: true\n  minimum_tcb", 1),
		"minimum_tee_tcb_svn":    strings.Replace(good, `  minimum_tee_tcb_svn: "05010600000000000000000000000000"`+"\n", "", 1),
		"minimum_tcb is missing": strings.Replace(good, "  minimum_tcb: {bootloader: 4, tee: 0, snp: 22, microcode: 213}\n", "", 1),
		"rtmrs has 1":            good + "  rtmrs: [" + zeros + "]\n",
	} {
		if _, err := ParsePolicy([]byte(text)); !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// Each key has report data of its own.
func TestReportData(t *testing.T) {
	one, err1 := ReportData(ed25519.PublicKey(make([]byte, 32)))
	two, err2 := ReportData(ed25519.PublicKey(bytes.Repeat([]byte{1}, 32)))
	if err1 != nil || err2 != nil || len(one) != 64 || bytes.Equal(one, two) {
		t.Errorf("%x, %x, %v, %v", one, two, err1, err2)
	}
	if _, err := ReportData("x"); err == nil {
		t.Error("no key has report data")
	}
}

func request(t testing.TB) Request {
	t.Helper()
	p, err := ParsePolicy([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	return Request{Version: 1, Kind: TDX, Quote: []byte("q"), ReportData: make([]byte, 64), At: time.Unix(1, 0), Policy: p}
}

func TestParseRequest(t *testing.T) {
	for name, edit := range map[string]func(*Request){
		"": nil, "version": func(r *Request) { r.Version = 2 }, "report data": func(r *Request) { r.ReportData = nil },
		"time": func(r *Request) { r.At = time.Time{} }, "quote": func(r *Request) { r.Quote = nil },
		"a large quote": func(r *Request) { r.Quote = make([]byte, MaxQuote+1) }, "policy": func(r *Request) { r.Policy = Policy{} },
	} {
		r := request(t)
		if edit != nil {
			edit(&r)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRequest(b); (err == nil) != (edit == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An answer about another kind, or about nothing, is none.
func TestParseAnswer(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"kind":"tdx","measurement":"00"}`: true, "WARN: x\n" + `{"kind":"tdx","measurement":"00"}` + "\n": true,
		`{"kind":"tdx","measurement":"00"}` + "\nx\n": false, `{"kind":"sev-snp","measurement":"00"}`: false, `{"kind":"tdx"}`: false, `{}`: false, ``: false,
		`{"kind":"tdx","measurement":"00","error":"no","code":"quote-debug"}`: false, `{"kind":"tdx","measurement":"00","kind":"tdx"}`: false,
	} {
		if a, err := ParseAnswer([]byte(text), TDX); (err == nil) != ok {
			t.Errorf("%s: %+v, %v", text, a, err)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"kind":"tdx","measurement":"00"}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := ParseAnswer(b, TDX); err == nil && (a.Kind != TDX || a.Error != "" || a.Measurement == "") {
			t.Errorf("%+v", a)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("version: 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParsePolicy(b); err == nil && p.Validate() != nil {
			t.Errorf("%+v", p)
		}
	})
}
