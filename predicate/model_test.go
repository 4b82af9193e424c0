package predicate

import (
	"encoding/json"
	"slices"
	"testing"
)

// The URI, the field names and the digest of an entry are frozen, as those of the other predicates are.
func TestModelFrozen(t *testing.T) {
	m, err := DecodeModel(loadVectors(t, ModelType).Valid[0].body())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"action":"approve","who":"sam","repository":"github.com/acme/app","entry":{"provider":"anthropic","name":"claude-sonnet-4","digest":"sha256:1111111111111111111111111111111111111111111111111111111111111111","aliases":["claude-sonnet-4-0"],"patterns":["claude-sonnet-4-x*"],"snapshots":true,"latest":true,"regions":["us"],"endpoints":[{"url":"https://api.anthropic.com/v1","kind":"external"},{"url":"http://127.0.0.1:8000","kind":"internal"}],"licence":"LicenseRef-vendor-terms","datasets":[{"name":"web","source":"https://example.com/card","digest":"sha256:2222222222222222222222222222222222222222222222222222222222222222","licence":"CC-BY-4.0"}],"tuning":[{"method":"rlhf","base":"claude-base","by":"Anthropic","date":"2025-05-01","datasets":[{"name":"preferences"}]}],"evaluations":[{"name":"SWE-bench Verified","metric":"resolved","value":"0.727","date":"2025-05-22","report":"sha256:3333333333333333333333333333333333333333333333333333333333333333"}],"notes":"For code alone.","owner":"alice","uses":["code"],"principals":["agent:claude-code"],"repositories":["github.com/acme/*"],"notBefore":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00Z"},"justification":"Read the terms.","expiresAt":"2026-08-01T00:00:00Z","issuedAt":"2026-05-01T12:00:00Z","nonce":"00112233445566778899aabbccddeeff","tool":{"name":"sallyport","version":"0.1.0"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if ModelType != "https://sallyport.dev/predicate/model/v0.1" {
		t.Error("the predicate type has changed")
	}
	if got := m.Entry.ID(); got != "sha256:6dc7244b720aa1c8227155387250228b2f5a5cd307f9e7710efad656814ed3d2" {
		t.Errorf("the digest of an entry has changed: %s", got)
	}
}

// FuzzDecodeModel: what decodes is valid under the schema, and reads the same after it was written, so that
// its entry keeps its digest.
func FuzzDecodeModel(f *testing.F) {
	vs := loadVectors(f, ModelType)
	for _, v := range slices.Concat(vs.Valid, vs.Invalid) {
		f.Add(v.body())
	}
	s := loadSchema(f, ModelType)
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := DecodeModel(body)
		roundTrip(t, s, body, m, err, DecodeModel)
	})
}
