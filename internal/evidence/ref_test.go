package evidence

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

var refPath = regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{14}-[0-9a-f]{32}\.json$`)

// An attestation lies under each of its subjects, and may lie nowhere else but in the top folder.
func TestRefPaths(t *testing.T) {
	s := newEd25519(t)
	raw := mustSign(t, statement(commit, tree), s)
	paths, err := RefPaths(raw)
	if err != nil || len(paths) != 3 {
		t.Fatalf("got %q, %v", paths, err)
	}
	hint, err := Hint(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{string(commit), string(tree), TypedBy(TypeDigest(testType), hint)} {
		folder, prefix := RefPlace(d)
		if !slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, folder+"/"+prefix) }) {
			t.Errorf("%s is at none of %q", d, paths)
		}
	}
	for _, p := range append(paths, "anything.json") {
		if _, err := CheckRefPaths([]string{p}, raw); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	for _, p := range []string{"x/" + paths[0], "aa/" + paths[0][3:], strings.ToUpper(paths[0]), paths[0] + "x", "./x.json"} {
		if _, err := CheckRefPaths([]string{p}, raw); err == nil && !slices.Contains(paths, p) {
			t.Errorf("%s is accepted", p)
		}
	}
	if _, err := RefPaths([]byte("{}")); err == nil {
		t.Error("what is no attestation has a place")
	}
	if ClaimedKey(raw) != hint || ClaimedKey([]byte("{")) != "" {
		t.Errorf("claimed %q, want %q", ClaimedKey(raw), hint)
	}
}

// FuzzRef: what has a place on the ref has each of its subjects there, its paths have the one
// form, and what names a key is never verified under another.
func FuzzRef(f *testing.F) {
	s := newEd25519(f)
	f.Add(mustSign(f, statement(commit, tree), s))
	f.Add(signPayload(f, `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"a","digest":{"dirHash1":"h1:x"}}],"predicateType":"t"}`, s, nil))
	f.Add(signPayload(f, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"gitCommit":"`+commit.Hex()+`"}}],"predicateType":"`+predicate.ApprovalType+`","predicate":{}}`, s, nil))
	f.Add([]byte(`{"verification_material":{"public_key":{"hint":"x"}}}`))
	v := NewVerifier([]Key{keyFor(s.Public())}, now)
	mine := keyFor(s.Public()).Hint()
	f.Fuzz(func(t *testing.T, b []byte) {
		ev, verr := v.Verify(t.Context(), sallyport.Attestation{Raw: b})
		if claimed := ClaimedKey(b); verr == nil && claimed != "" && claimed != mine {
			t.Fatalf("it names %q and verifies under another key", claimed)
		}
		keys, err := RefKeys(b)
		if err != nil {
			if verr == nil {
				t.Fatalf("it verifies and has no place: %v", err)
			}
			return
		}
		paths, err := RefPaths(b)
		if err != nil || len(paths) != len(keys) {
			t.Fatalf("%d keys, paths %q, %v", len(keys), paths, err)
		}
		for _, p := range paths {
			if !refPath.MatchString(p) {
				t.Errorf("path %q", p)
			}
		}
		if wrong, err := CheckRefPaths(paths, b); err != nil {
			t.Errorf("%s: %v", wrong, err)
		}
		if verr == nil && (!ev.About(commit) || !slices.Contains(keys, string(commit))) {
			t.Errorf("about %v, found by %q", ev.Statement.Subject, keys)
		}
	})
}
