package approval

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

func request() Request {
	return Request{Repository: "github.com/acme/app", TargetRef: "refs/heads/main", Base: commit("B"), Head: commit("H"), MergeTree: tree("B+H"),
		Asked: "2026-11-23T12:00:00Z", Reasons: []sallyport.Reason{{Code: "approval-missing", Outcome: sallyport.Waiting, Text: "a change waits"}}, Note: "please"}
}

func TestRequest(t *testing.T) {
	b, err := EncodeRequest(request())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"as written", "", "", ""},
		{"unknown key", `"note"`, `"remark"`, "unknown field"},
		{"duplicate key", `{"version":1`, `{"version":1,"version":1`, "twice"},
		{"another version", `{"version":1`, `{"version":2`, "version 2"},
		{"no head", string(commit("H")), "", "head: invalid digest"},
		{"a tree for a head", string(commit("H")), string(tree("H")), "is not a gitCommit"},
		{"no time", "2026-11-23T12:00:00Z", "now", "asked:"},
		{"no ref", "refs/heads/main", "", "missing"},
		{"unknown outcome", `"waiting"`, `"opened"`, "unknown outcome"},
		{"long note", "please", strings.Repeat("x", 4097), "note is longer"},
		{"trailing data", `"please"}`, `"please"}{}`, "after the end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := DecodeRequest([]byte(strings.Replace(string(b), tt.old, tt.new, 1)))
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("got error %v, want one with %q", err, tt.want)
			case tt.want != "" && !reflect.DeepEqual(r, Request{}):
				t.Errorf("a refused request was returned: %+v", r)
			}
		})
	}
	if _, err := EncodeRequest(Request{}); err == nil {
		t.Error("an empty request was encoded")
	}
}

func FuzzDecodeRequest(f *testing.F) {
	b, _ := EncodeRequest(request())
	f.Add(b)
	f.Add([]byte(`{"version":1}`))
	// What decodes is encoded to what decodes to the same.
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		again, err := EncodeRequest(r)
		if err != nil {
			t.Skip() // grew over the limit by escaping
		}
		r2, err := DecodeRequest(again)
		if err != nil {
			t.Fatal(err)
		}
		if r.Reasons == nil {
			r.Reasons = []sallyport.Reason{}
		}
		if !reflect.DeepEqual(r, r2) {
			t.Errorf("got %+v\nwant %+v", r2, r)
		}
	})
}

// Whatever stands in a predicate, signed by a reviewer with presence: it counts only if it
// names this repository, this ref, this head or one that replays to it, these policy sets and
// its signer; and what is said about it is one printable line.
func FuzzJudge(f *testing.F) {
	s := newScene()
	for _, p := range []predicate.Approval{s.a, decline("bob", s.c.Change, 0), revocation("bob", sallyport.SHA256(nil)), approve("bob", sibling(s))} {
		b, _ := sallyport.EncodeJSON(p)
		f.Add(b)
	}
	f.Add([]byte(`{"verdict":"approve"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ev := sealAs(predicate.Approval{Head: string(s.c.Change.Head), MergeTree: string(s.c.Change.MergeTree)}, s.ev, body)
		j, err := Judge(t.Context(), []sallyport.Evidence{ev}, s.c)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range j.Approvals {
			if strings.ContainsFunc(a.Why, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("why is not printable: %q", a.Why)
			}
			if !a.Counts {
				if a.Why == "" {
					t.Error("an approval does not count and does not say why")
				}
				continue
			}
			p, err := predicate.DecodeApproval(body)
			if err != nil {
				t.Fatalf("an invalid predicate counts: %v", err)
			}
			if p.Verdict != predicate.VerdictApprove || p.Reviewer != "bob" || p.Repository != s.c.Repository || p.TargetRef != s.c.TargetRef ||
				len(p.Policy) != 2 || p.Head != string(s.c.Change.Head) || p.MergeTree != string(s.c.Change.MergeTree) {
				t.Errorf("it counts: %s", body)
			}
		}
	})
}
