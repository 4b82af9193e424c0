package predicate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The URI and the field names are frozen, as those of the other predicates are.
func TestReanchorFrozen(t *testing.T) {
	r, err := DecodeReanchor(loadVectors(t, ReanchorType).Valid[0].body())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	h := func(c string) string { return `"sha256:` + strings.Repeat(c, 64) + `"` }
	want := `{"repository":"github.com/acme/app","reason":"key","decision":` + h("a") + `,"decidedAt":"2026-05-01T12:00:00Z","summary":` + h("b") +
		`,"old":{"root":` + h("c") + `,"log":"old.example/log+01234567+AbCd","size":7,"proof":"{}","checkpointAt":"2026-05-01T12:00:01Z","keys":[{"hint":"aGludA==","name":"old verifier"}]},` +
		`"newLog":"new.example/log+01234567+AbCd","evidence":[{"attestation":` + h("b") + `,"predicateType":"https://slsa.dev/verification_summary/v1","key":"aGludA=="},` +
		`{"attestation":` + h("d") + `,"predicateType":"https://slsa.dev/provenance/v1","key":"aGludA=="}],` +
		`"reanchoredAt":"2026-06-01T12:00:00Z","nonce":"00112233445566778899aabbccddeeff","tool":{"name":"sallyport","version":"0.1.0"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if ReanchorType != "https://sallyport.dev/predicate/reanchor/v0.1" {
		t.Error("the predicate type has changed")
	}
}

// FuzzDecodeReanchor: what decodes is valid under the schema, reads the same after it was written, and carries its summary.
func FuzzDecodeReanchor(f *testing.F) {
	vs := loadVectors(f, ReanchorType)
	for _, v := range slices.Concat(vs.Valid, vs.Invalid) {
		f.Add(v.body())
	}
	s := loadSchema(f, ReanchorType)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DecodeReanchor(body)
		roundTrip(t, s, body, r, err, DecodeReanchor)
		if err == nil && !slices.ContainsFunc(r.Evidence, func(e ReanchorEvidence) bool { return e.Attestation == r.Summary }) {
			t.Error("the summary is not carried")
		}
	})
}
