package approval

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// Who could not have approved holds up nobody's approval but their own.
func TestNegativeWordsThatDoNotBlock(t *testing.T) {
	for _, tt := range []struct {
		name string
		ev   func(s *scene) sallyport.Evidence
	}{
		{"a decline by the operator", func(s *scene) sallyport.Evidence { return seal(decline("alice", s.c.Change, -time.Minute)) }},
		{"a decline without the role", func(s *scene) sallyport.Evidence { return seal(decline("dave", s.c.Change, -time.Minute)) }},
		{"a decline signed by somebody else", func(s *scene) sallyport.Evidence {
			return sealAs(decline("carol", s.c.Change, -time.Minute), sallyport.Evidence{Signer: sallyport.Principal{Kind: sallyport.Person, Name: "dave"}, Grade: sallyport.Present}, nil)
		}},
		{"a decline by a bot in a reviewer's name", func(s *scene) sallyport.Evidence {
			return sealAs(decline("carol", s.c.Change, -time.Minute), sallyport.Evidence{Signer: sallyport.Principal{Kind: sallyport.Bot, Name: "carol"}, Grade: sallyport.Present}, nil)
		}},
		{"a decline of a sibling", func(s *scene) sallyport.Evidence { return seal(decline("carol", sibling(s), -time.Minute)) }},
		{"a decline for another branch", func(s *scene) sallyport.Evidence {
			p := decline("carol", s.c.Change, -time.Minute)
			p.TargetRef = "refs/heads/dev"
			return seal(p)
		}},
		{"a revocation by somebody else", func(s *scene) sallyport.Evidence {
			return seal(revocation("carol", sealAs(s.a, s.ev, nil).Attestation))
		}},
		{"a revocation of another approval", func(s *scene) sallyport.Evidence {
			return seal(revocation("bob", sallyport.SHA256([]byte("another"))))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			s.evs = append(s.evs, tt.ev(s))
			if j := s.judge(t); !slices.Equal(j.Counting, []string{"bob"}) || len(j.Declined) != 0 {
				t.Errorf("bob's approval does not count: %+v", j)
			}
		})
	}
}

// An objection stands until the same person approves or takes it back, and no weaker word of
// theirs undoes it.
func TestDeclineIsWithdrawn(t *testing.T) {
	objection := func(s *scene) sallyport.Evidence { return seal(decline("carol", s.c.Change, -3*time.Hour)) }
	later := func(s *scene) predicate.Approval { return approve("carol", s.c.Change) }
	for _, tt := range []struct {
		name     string
		word     func(s *scene) sallyport.Evidence
		declined []string
		counting []string
	}{
		{"not withdrawn", nil, []string{"carol"}, nil},
		{"by an approval", func(s *scene) sallyport.Evidence { return seal(later(s)) }, nil, []string{"bob", "carol"}},
		{"by a revocation", func(s *scene) sallyport.Evidence { return seal(revocation("carol", objection(s).Attestation)) }, nil, []string{"bob"}},
		{"not by another's revocation", func(s *scene) sallyport.Evidence { return seal(revocation("bob", objection(s).Attestation)) }, []string{"carol"}, nil},
		{"not by an approval at a lower grade", func(s *scene) sallyport.Evidence {
			return sealAs(later(s), sallyport.Evidence{Signer: sallyport.Principal{Kind: sallyport.Person, Name: "carol"}, Grade: sallyport.Declared}, nil)
		}, []string{"carol"}, nil},
		{"not by an approval of a sibling", func(s *scene) sallyport.Evidence { return seal(approve("carol", sibling(s))) }, []string{"carol"}, nil},
		{"not by an approval that is older", func(s *scene) sallyport.Evidence {
			p := later(s)
			p.IssuedAt = predicate.FormatTime(now.Add(-4 * time.Hour))
			return seal(p)
		}, []string{"carol"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			o := objection(s)
			s.evs = append(s.evs, o)
			if tt.word != nil {
				w := tt.word(s)
				if tt.name == "by a revocation" || tt.name == "not by another's revocation" {
					p, _ := predicate.DecodeApproval(w.Statement.Predicate)
					p.Revokes = string(o.Attestation) // each objection has a nonce of its own
					w = seal(p)
				}
				s.evs = append(s.evs, w)
			}
			j := s.judge(t)
			if !slices.Equal(j.Declined, tt.declined) || !slices.Equal(j.Counting, tt.counting) {
				t.Errorf("got declined %q, counting %q; want %q, %q", j.Declined, j.Counting, tt.declined, tt.counting)
			}
		})
	}
}

// Persons count, not signatures; and it does not matter in which order evidence is found.
func TestDistinctPersons(t *testing.T) {
	s := newScene()
	again := approve("bob", s.c.Change)
	again.IssuedAt = predicate.FormatTime(now.Add(-time.Minute))
	carol := approve("carol", s.c.Change)
	bob := sealAs(s.a, s.ev, nil)
	evs := []sallyport.Evidence{bob, seal(again), seal(carol), bob, {Statement: sallyport.Statement{PredicateType: "https://example.com/other"}}}
	first, err := Judge(t.Context(), evs, s.c)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Approvals) != 3 || !slices.Equal(first.Counting, []string{"bob", "carol"}) {
		t.Fatalf("got %d approvals, counting %q; want 3, bob and carol", len(first.Approvals), first.Counting)
	}
	n := 0
	for _, a := range first.Approvals {
		if a.Counts {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d approvals count, want one for each of two persons", n)
	}
	slices.Reverse(evs)
	second, err := Judge(t.Context(), evs, s.c)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("another order gives another answer:\n%+v\n%+v", first, second)
	}
}

func TestFreshness(t *testing.T) {
	for _, tt := range []struct {
		name           string
		set            func(*scene)
		replayed       bool
		gitIsAskedAtMo int
	}{
		{"the very head", func(*scene) {}, false, 0},
		{"squash", (*scene).squash, true, 1},
		{"base moved", baseMoved, true, 2},
		{"squash on a base that moved", func(s *scene) { baseMoved(s); s.squash() }, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			tt.set(s)
			j := s.judge(t)
			a := j.Approvals[0]
			if !a.Counts || !a.Fresh || a.Replayed != tt.replayed || a.Residue != 0 || len(j.Residue) != 0 {
				t.Errorf("got %+v, want it fresh, replayed %v", a, tt.replayed)
			}
			if s.w.asked > tt.gitIsAskedAtMo {
				t.Errorf("git was asked %d times, want at most %d", s.w.asked, tt.gitIsAskedAtMo)
			}
		})
	}
}

// The closest approval tells what it does not cover; one about another change does not.
func TestResidue(t *testing.T) {
	set := func(near, far int) *scene {
		s := newScene()
		s.squash()
		s.c.Change.MergeTree = tree("landed")
		s.w.merges[[2]string{oid("B"), oid("F")}] = oid("B+F")
		s.w.residue[[2]string{oid("B+H"), oid("landed")}] = near
		s.w.residue[[2]string{oid("B+F"), oid("landed")}] = far
		c := *s.c.Change
		c.Head, c.HeadTree, c.MergeTree = commit("F"), tree("F"), tree("B+F")
		s.evs = append(s.evs, seal(approve("carol", &c)))
		return s
	}
	for _, tt := range []struct {
		name      string
		near, far int
		want      int // units of residue; the change has 5
	}{
		{"one line smuggled", 1, 3, 1},
		{"the other is closer", 4, 3, 3},
		{"neither is about this change", 5, 9, 0},
		{"differs and shows no difference", 0, 9, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := set(tt.near, tt.far).judge(t)
			if got := units(j.Residue); got != tt.want || (tt.want > 0) == j.ResidueOf.Zero() {
				t.Errorf("got residue of %d units by %q, want %d", got, j.ResidueOf, tt.want)
			}
			for _, a := range j.Approvals {
				if a.Counts || a.Fresh || a.Residue == 0 {
					t.Errorf("a stale approval covers everything: %+v", a)
				}
			}
		})
	}
	t.Run("not of who may not approve", func(t *testing.T) {
		s := set(1, 9)
		s.c.Ineligible["bob"] = "pushed the change"
		if j := s.judge(t); len(j.Residue) != 0 {
			t.Errorf("got residue of %s", j.ResidueOf)
		}
	})
	t.Run("not beside a fresh one", func(t *testing.T) {
		s := set(1, 9)
		c := *s.c.Change
		s.evs = append(s.evs, seal(approve("carol", &c)))
		if j := s.judge(t); len(j.Residue) != 0 || !slices.Equal(j.Counting, []string{"carol"}) {
			t.Errorf("got residue of %s, counting %q", j.ResidueOf, j.Counting)
		}
	})
}

// Old approvals of other heads cannot make a check expensive, nor hide a newer one.
func TestReplaysAreBounded(t *testing.T) {
	s := newScene()
	s.squash()
	for i := range 3 * maxReplays {
		c := *s.c.Change
		c.Head, c.HeadTree, c.MergeTree = commit(fmt.Sprint("old", i)), tree("old"), tree("old")
		p := approve("carol", &c)
		p.IssuedAt = predicate.FormatTime(now.Add(-48 * time.Hour))
		s.evs = append(s.evs, seal(p))
	}
	j := s.judge(t)
	if !slices.Equal(j.Counting, []string{"bob"}) {
		t.Errorf("counting %q, want bob", j.Counting)
	}
	if s.w.asked > maxReplays {
		t.Errorf("git was asked %d times, want at most %d", s.w.asked, maxReplays)
	}
}

// What cannot be judged is an error, and an error is shut.
func TestContext(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Context)
	}{
		{"no repository", func(c *Context) { c.Repository = "" }},
		{"no change", func(c *Context) { c.Change = nil }},
		{"no ref", func(c *Context) { c.TargetRef = "" }},
		{"another ref", func(c *Context) { c.TargetRef = "refs/heads/dev" }},
		{"no time", func(c *Context) { c.Now = time.Time{} }},
		{"no roster", func(c *Context) { c.Reviewer = nil }},
		{"no replay", func(c *Context) { c.Replay = nil }},
		{"no residue", func(c *Context) { c.Residue = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			tt.spoil(&s.c)
			if j, err := Judge(t.Context(), nil, s.c); !errors.Is(err, ErrContext) || len(j.Approvals) != 0 {
				t.Errorf("got %v, %v; want ErrContext", j, err)
			}
		})
	}
	s := newScene()
	s.squash()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Judge(ctx, []sallyport.Evidence{sealAs(s.a, s.ev, nil)}, s.c); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestNewStatementRefuses(t *testing.T) {
	good := func() Answer {
		return Answer{Verdict: predicate.VerdictApprove, Reviewer: "bob", Repository: "github.com/acme/app", Change: newScene().c.Change,
			Policies: policies, Screen: "shown", At: now, Version: "test"}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*Answer)
	}{
		{"no verdict", func(a *Answer) { a.Verdict = "" }},
		{"no change", func(a *Answer) { a.Change = nil }},
		{"no time", func(a *Answer) { a.At = time.Time{} }},
		{"no reviewer", func(a *Answer) { a.Reviewer = "" }},
		{"no screen", func(a *Answer) { a.Screen = "" }},
		{"no policy", func(a *Answer) { a.Policies = nil }},
		{"conflict", func(a *Answer) { a.Change.MergeTree = "" }},
		{"too long", func(a *Answer) { a.Expires = now.Add(MaxLifetime + time.Second) }},
		{"too short", func(a *Answer) { a.Expires = now }},
		{"revokes nothing", func(a *Answer) { a.Verdict = predicate.VerdictRevoke }},
		{"approval that revokes", func(a *Answer) { a.Revokes = sallyport.SHA256(nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewStatement(good()); err != nil {
				t.Fatalf("the twin: %v", err)
			}
			a := good()
			tt.spoil(&a)
			if st, err := NewStatement(a); err == nil {
				t.Errorf("it was written: %s", st.Predicate)
			}
		})
	}
}

func TestNewRevocation(t *testing.T) {
	s := newScene()
	ev := sealAs(s.a, s.ev, nil)
	st, err := NewRevocation(ev, "bob", "the wrong branch", "test", now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := predicate.DecodeApproval(st.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	s.evs = append(s.evs, seal(p))
	if j := s.judge(t); len(j.Counting) != 0 || !j.Approvals[0].Revoked {
		t.Errorf("it was not taken back: %+v", j.Approvals)
	}
	if _, err := NewRevocation(ev, "carol", "", "test", now); err == nil {
		t.Error("carol took back bob's approval")
	}
	if _, err := NewRevocation(seal(p), "bob", "", "test", now); err == nil {
		t.Error("a revocation was taken back")
	}
}

// A revocation names one bundle and takes back every other with the same signed content.
func TestRevokedContent(t *testing.T) {
	s := newScene()
	s.ev.Payload = sallyport.SHA256([]byte("content"))
	ev := sealAs(s.a, s.ev, nil)
	st, err := NewRevocation(ev, "bob", "", "test", now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := predicate.DecodeApproval(st.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"content", "other content"} {
		again := ev
		again.Attestation, again.Payload = sallyport.SHA256([]byte("respelt")), sallyport.SHA256([]byte(payload))
		s.evs = []sallyport.Evidence{again, seal(p)}
		want := 0
		if payload != "content" {
			want = 1
		}
		if j := s.judge(t); len(j.Counting) != want {
			t.Errorf("%s: %d count, want %d: %+v", payload, len(j.Counting), want, j.Approvals)
		}
	}
}

// A revocation under a key that has run out takes back an approval, and no objection.
func TestLapsedRevocation(t *testing.T) {
	for _, lapsed := range []bool{false, true} {
		s := newScene()
		st, err := NewRevocation(sealAs(s.a, s.ev, nil), "bob", "", "test", now)
		if err != nil {
			t.Fatal(err)
		}
		p, err := predicate.DecodeApproval(st.Predicate)
		if err != nil {
			t.Fatal(err)
		}
		r := seal(p)
		r.Lapsed = lapsed
		s.evs = []sallyport.Evidence{r}
		if j := s.judge(t); len(j.Counting) != 0 {
			t.Errorf("lapsed %v: an approval that was taken back counts", lapsed)
		}

		s = newScene()
		d := s.a
		d.Reviewer, d.Verdict, d.ExpiresAt = "carol", predicate.VerdictDecline, ""
		no := seal(d)
		if st, err = NewRevocation(no, "carol", "", "test", now); err != nil {
			t.Fatal(err)
		}
		if p, err = predicate.DecodeApproval(st.Predicate); err != nil {
			t.Fatal(err)
		}
		r = seal(p)
		r.Lapsed = lapsed
		s.evs = []sallyport.Evidence{no, r}
		if j := s.judge(t); (len(j.Declined) == 1) != lapsed {
			t.Errorf("lapsed %v: declined by %v", lapsed, j.Declined)
		}
	}
}

// An approval of which only the other ECDSA signature is left is as revoked.
func TestRevokedTwin(t *testing.T) {
	for _, twin := range []bool{false, true} {
		s := newScene()
		st, err := NewRevocation(sealAs(s.a, s.ev, nil), "bob", "", "test", now)
		if err != nil {
			t.Fatal(err)
		}
		p, err := predicate.DecodeApproval(st.Predicate)
		if err != nil {
			t.Fatal(err)
		}
		s.evs = []sallyport.Evidence{seal(p)}
		s.ev.Attestation, s.ev.Payload = sallyport.SHA256([]byte("turned")), sallyport.SHA256([]byte("content"))
		if twin {
			s.ev.Twin = sallyport.Digest(p.Revokes)
		}
		if j := s.judge(t); (len(j.Counting) == 0) != twin {
			t.Errorf("twin %v: %+v", twin, j.Approvals)
		}
	}
}
