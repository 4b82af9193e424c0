package predicate

import (
	"encoding/json"
	"slices"
	"testing"
)

// The URI, the subject and the field names are frozen, as those of the other predicates are.
func TestExceptionFrozen(t *testing.T) {
	e, err := DecodeException(loadVectors(t, ExceptionType).Valid[0].body())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"action":"grant","who":"sam","repository":"github.com/acme/app","targetRefs":["refs/heads/main","refs/heads/release/2"],` +
		`"codes":["finding","secret"],"scope":{"everything":false,"paths":["testdata/**"],"findings":["f-1"],"rules":["aws-key"],` +
		`"packages":["pkg:npm/left-pad@1.3.0"]},"justification":"The keys in the test data are published examples.",` +
		`"ticket":"https://tickets.example/SEC-7","notBefore":"2026-05-01T12:00:00Z","expiresAt":"2026-10-28T12:00:00Z",` +
		`"issuedAt":"2026-05-01T12:00:00Z","nonce":"00112233445566778899aabbccddeeff","tool":{"name":"sallyport","version":"0.1.0"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if ExceptionType != "https://sallyport.dev/predicate/exception/v0.1" {
		t.Error("the predicate type has changed")
	}
	if got := ExceptionSubject("github.com/acme/app"); got != "sha256:5c3b8e6d04dd2db50370b410d08efb9bcfd0a53b0170c469b79260212ac161d2" {
		t.Errorf("the subject of a repository has changed: %s", got)
	}
}

// FuzzDecodeException: what decodes is valid under the schema, reads the same after it was
// written, and a grant ends within its bound.
func FuzzDecodeException(f *testing.F) {
	vs := loadVectors(f, ExceptionType)
	for _, v := range slices.Concat(vs.Valid, vs.Invalid) {
		f.Add(v.body())
	}
	s := loadSchema(f, ExceptionType)
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := DecodeException(body)
		roundTrip(t, s, body, e, err, DecodeException)
		if err != nil || e.Action == ExceptionRevoke {
			return
		}
		from, err1 := ParseTime(e.NotBefore)
		until, err2 := ParseTime(e.ExpiresAt)
		if err1 != nil || err2 != nil || !until.After(from) || until.Sub(from) > MaxExceptionLife {
			t.Errorf("it lasts from %q to %q", e.NotBefore, e.ExpiresAt)
		}
	})
}
