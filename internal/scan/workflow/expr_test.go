package workflow

import (
	"slices"
	"strings"
	"testing"
)

func TestFlows(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"github.event.issue.title", "github.event.issue.title"},
		{" GitHub.Event.Issue['Title'] ", "github.event.issue.title"},
		{"github['event']['issue'] . title", "github.event.issue.title"},
		{"github.event.commits[0].message", "github.event.commits.*.message"},
		{"github.event.commits.*.message", "github.event.commits.*.message"},
		{"toJSON(github.event)", "github.event"},
		{"fromJSON(toJSON(github)).event.issue.body", "github.event.issue.body"},
		{"format('{0} {1}', github.sha, github.head_ref)", "github.sha github.head_ref"},
		{"github.head_ref || github.sha", "github.head_ref github.sha"},
		{"github.head_ref == 'main'", ""},
		{"contains(github.event.issue.title, 'x')", ""},
		{"!github.event.issue.title", ""},
		{"contains(github.event.comment.body, 'x') && github.event.comment.body || 'none'", "github.event.comment.body"},
		{"github.event.issue.title != '' && 'a' || 'b'", ""},
		{"'it''s github.event.issue.title'", ""},
		{"1.5e3", ""},
		{"(github.head_ref)", "github.head_ref"},
		{"github.event.issue.title ??", "github.event.issue.title"}, // cannot be read: every path counts
		{"contains(github.event.issue.title", "contains github.event.issue.title"},
	} {
		if got := strings.Join(flows(tt.in), " "); got != tt.want {
			t.Errorf("flows(%q)\ngot  %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

func TestExprs(t *testing.T) {
	got := exprs("a ${{ x }} b ${{ '}}' }} c ${{ y")
	want := []string{" x ", " '}}' ", " y"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := exprs("${{ 'a }} ${{ github.head_ref }}"); len(got) != 2 {
		t.Errorf("a lone quotation mark hides what follows: %q", got)
	}
}

func FuzzFlows(f *testing.F) {
	f.Add("github.event.issue.title")
	f.Add("format('{0}', github['event'].*.x[1]) || !a && (b)")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 || strings.Contains(s, "'") {
			return
		}
		// What stands bare in an alternative flows, whatever stands beside it.
		if got := flows("github.head_ref || " + s); !slices.ContainsFunc(got, func(p string) bool {
			return strings.Contains(p, "github.head_ref")
		}) && flowsAlone(s) {
			t.Errorf("flows(%q) = %q lost github.head_ref", s, got)
		}
	})
}

// flowsAlone reports whether s can be read as one expression that ends where it ends, so that it
// binds nothing to its left.
func flowsAlone(s string) bool {
	p := exprParser{s: strings.ToLower(s)}
	p.unary(0)
	p.space()
	return !p.failed && p.i == len(p.s)
}
