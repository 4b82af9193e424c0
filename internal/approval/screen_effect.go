package approval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// findings lists what scans saw, open ones first: those that were accepted are vouched for too.
func (s *screen) findings() {
	fs := slices.Clone(s.in.Input.Findings)
	slices.SortStableFunc(fs, func(a, b sallyport.Finding) int {
		return cmp.Or(boolRank(b.State == "open")-boolRank(a.State == "open"), b.Severity.Rank()-a.Severity.Rank())
	})
	if len(fs) == 0 {
		s.heading("FINDINGS: none in new content")
		return
	}
	open := 0
	for _, f := range fs {
		if f.State == "open" {
			open++
		}
	}
	s.heading("FINDINGS: %d open, %d accepted or closed", open, len(fs)-open)
	for n, f := range fs {
		if n == maxFindings && len(fs) > maxFindings+1 {
			s.more(len(fs)-n, "findings")
			break
		}
		place := ""
		switch {
		case f.Path != "" && f.Line > 0:
			place = fmt.Sprintf("%s:%d", cut(ascii(string(f.Path)), 36), f.Line)
		case f.Path != "":
			place = cut(ascii(string(f.Path)), 40)
		case f.Commit != "":
			place = "commit " + first(f.Commit.Hex(), 12)
		}
		s.line("  %-8s %-8s %-24s %s  %s", ascii(string(f.Severity)), ascii(f.State), trim(ascii(string(f.Kind)+"/"+f.Rule), 24), place, ascii(f.Text))
	}
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// residue lists what the closest earlier approval does not cover: where a reviewer who knows
// the rest looks first.
func (s *screen) residue() {
	rs := s.in.Input.Change.Residue
	if len(rs) == 0 {
		return
	}
	s.heading("NEW SINCE THE CLOSEST EARLIER APPROVAL: %s", plural(len(rs), "file"))
	for n, f := range rs {
		if n == maxResidue && len(rs) > maxResidue+1 {
			s.more(len(rs)-n, "files")
			break
		}
		s.line("  +%d -%d  %s", f.Added, f.Removed, ascii(string(f.Path)))
	}
}

// effect tells what approving does, so that nobody signs in the belief that it does more.
func (s *screen) effect() {
	var waiting, shut []sallyport.Reason
	for _, r := range s.in.Reasons {
		if r.Outcome == sallyport.Waiting {
			waiting = append(waiting, r)
		} else {
			shut = append(shut, r)
		}
	}
	s.heading("IF YOU APPROVE")
	c := s.in.Input.Change
	if left := c.ApprovalsRequired - c.ApprovalsCounting - 1; left > 0 {
		s.line("  your approval alone does not open the gate: %d more will be needed", left)
	}
	s.codes("answers", waiting)
	if len(shut) > 0 {
		s.line("  THE GATE STAYS SHUT all the same:")
	}
	s.codes("stays", shut)
	s.excepted()
	if len(waiting)+len(shut) == 0 {
		s.line("  nothing is waiting for an approval")
	}
}

// excepted says in one line what nobody is asked about any more.
func (s *screen) excepted() {
	var codes []string
	for _, x := range s.in.Excepted {
		if code := ascii(x.Reason.Code); !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	if len(codes) > 0 {
		s.line("  held off by exceptions (%d): %s", len(s.in.Excepted), strings.Join(codes, ", "))
	}
}

// codes lists reasons by code, each with how often it stands and one text.
func (s *screen) codes(verb string, rs []sallyport.Reason) {
	count := map[string]int{}
	var once []sallyport.Reason
	for _, r := range rs {
		if count[r.Code]++; count[r.Code] == 1 {
			once = append(once, r)
		}
	}
	for n, r := range once {
		if n == maxReasons && len(once) > maxReasons+1 {
			s.more(len(once)-n, "codes")
			break
		}
		times := ""
		if count[r.Code] > 1 {
			times = fmt.Sprintf(" (%d times)", count[r.Code])
		}
		s.line("  %-7s %s%s: %s", verb, trim(ascii(r.Code), 28), times, ascii(r.Text))
	}
}

// signed lists what the signature covers, in full.
func (s *screen) signed() {
	c := s.in.Change
	s.heading("YOU SIGN EXACTLY")
	s.line("  base        %s", digest(c.Base))
	s.line("  head        %s", digest(c.Head))
	s.line("  head tree   %s", digest(c.HeadTree))
	s.line("  result      %s", digest(c.MergeTree))
	for n, p := range s.in.Policies {
		if n == maxShown && len(s.in.Policies) > maxShown+1 {
			var all strings.Builder
			for _, p := range s.in.Policies {
				fmt.Fprintf(&all, "%q %s\n", p.Name, p.Digest)
			}
			s.line("  and %d more policy sets; digest of the whole list:", len(s.in.Policies)-n)
			s.line("              %s", sallyport.SHA256([]byte(all.String())))
			break
		}
		s.line("  policy      %s  %s", digest(p.Digest), trim(ascii(p.Name), 12))
	}
	if !s.in.Expires.IsZero() {
		s.line("  valid until %s, for this repository and this target only", s.in.Expires.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	s.line("  One new byte in any of it, and this approval no longer counts.")
}

func digest(d sallyport.Digest) string {
	if d.Zero() {
		return "none"
	}
	return ascii(string(d))
}
