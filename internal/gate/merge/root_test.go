package merge

import (
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// The signers of the next root account for its files and for nothing else.
func TestSignedRootAccountsForItsFiles(t *testing.T) {
	renamed := file(".sallyport/own.rego", lines(1, hunk1, 0, 0))
	renamed.OldPath = "src/own.rego"
	for _, c := range []struct {
		name     string
		file     sallyport.File
		rotation bool
		person   bool
	}{
		{"a governed file of the next root", file(".sallyport/roster.yaml", lines(3, hunk1, 0, 0)), true, true},
		{"the same without its signatures", file(".sallyport/roster.yaml", lines(3, hunk1, 0, 0)), false, false},
		{"another file beside it", file("deploy/prod.yaml", lines(3, hunk1, 0, 0)), true, false},
		{"a file that only sounds so", file(".sallyports/roster.yaml", lines(3, hunk1, 0, 0)), true, false},
		{"in another case", file(".Sallyport/roster.yaml", lines(3, hunk1, 0, 0)), true, false},
		{"a file that was elsewhere", renamed, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(c.file)
			s.everything(by(sallyport.Agent, "claude-code", sallyport.Declared))
			in := s.check(t, Params{Trust: sallyport.Trust{Rotation: c.rotation}})
			f := in.Change.Files[0]
			if (f.Attribution.Person > 0) != c.person || (f.Uncovered.Total() == 0) != c.person || in.PullRequest.FromAgent == c.person {
				t.Errorf("attributed %+v, uncovered %+v, from an agent %v", f.Attribution, f.Uncovered, in.PullRequest.FromAgent)
			}
		})
	}
}

// In a team of one, and nowhere else, one person is enough and may approve their own.
func TestSolo(t *testing.T) {
	for _, c := range []struct {
		name     string
		trust    sallyport.Trust
		required int
		eligible bool // alice, whose agent made it
	}{
		{"a team", sallyport.Trust{}, 3, false},
		{"alice alone", sallyport.Trust{Solo: "alice"}, 1, true},
		{"another one alone", sallyport.Trust{Solo: "bob"}, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(file("a", lines(3, hunk1, 0, 0)))
			s.authors[0].Attribution.Operator = "alice"
			g := s.gate()
			g.Accepted.Approvals = 3
			res, in, err := g.Check(t.Context(), Params{TargetRef: "refs/heads/main", Action: "update", Trust: c.trust})
			if err != nil {
				t.Fatal(err)
			}
			_, ineligible := s.ineligible["alice"]
			if in.Change.ApprovalsRequired != c.required || ineligible == c.eligible {
				t.Errorf("%d needed, not eligible: %v", in.Change.ApprovalsRequired, s.ineligible)
			}
			if res.Decision.Solo != c.trust.Solo || in.Trust.Solo != c.trust.Solo {
				t.Errorf("the decision says %q, the input %q", res.Decision.Solo, in.Trust.Solo)
			}
		})
	}
}
