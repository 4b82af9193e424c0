package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/scan/advisory"
)

func idsOf(found []sallyport.Finding) (ids []string) {
	for _, f := range found {
		ids = append(ids, f.ID)
	}
	return ids
}

// TestQuestionIDs: the id of what nobody can tell holds which packages it is about, in whatever order they come, so that who
// accepts it says nothing about those that come later.
func TestQuestionIDs(t *testing.T) {
	pack := func(ecosystem, name, version string) sallyport.Dependency {
		return sallyport.Dependency{Purl: "pkg:" + ecosystem + "/" + name + "@" + version, Ecosystem: ecosystem, Name: name, Version: version, Change: "added", Lock: true, DefaultRegistry: true, Path: "a.lock"}
	}
	for _, ecosystem := range []string{"npm", "cargo"} {
		a, b, c := pack(ecosystem, "a", "1.0.0"), pack(ecosystem, "b", "1.0.0"), pack(ecosystem, "b", "1.0.1")
		for name, find := range map[string]func(...sallyport.Dependency) []sallyport.Finding{
			"missing": func(d ...sallyport.Dependency) []sallyport.Finding {
				return new(Scanner).Advised(&Advice{Missing: true, Required: true}).advised(d, nil)
			},
			"damaged": func(d ...sallyport.Dependency) []sallyport.Finding {
				return new(Scanner).Advised(&Advice{Required: true, Why: advisory.ErrDamaged}).advised(d, nil)
			},
			"stale, or uncovered": func(d ...sallyport.Dependency) []sallyport.Finding {
				return new(Scanner).Advised(&Advice{DB: adviceDB(t), Required: true, MaxAge: 1, Now: adviceNow.AddDate(1, 0, 0)}).advised(d, nil)
			},
			"unsigned, or uncovered": func(d ...sallyport.Dependency) []sallyport.Finding {
				return new(Scanner).Advised(&Advice{DB: adviceDB(t), Required: true, Now: adviceNow, Unsigned: map[string]string{"npm": "nobody signed them"}}).advised(d, nil)
			},
			"names": func(d ...sallyport.Dependency) []sallyport.Finding {
				return new(Scanner).Named(&Names{Required: true}).strangers(d)
			},
		} {
			one := find(a, b)
			if len(one) != 1 {
				t.Fatalf("%s of %s: %d findings, want one", name, ecosystem, len(one))
			}
			if got := find(b, a, b); !slices.Equal(idsOf(got), idsOf(one)) {
				t.Errorf("%s of %s: another id for another order", name, ecosystem)
			}
			for _, other := range [][]sallyport.Dependency{{a}, {b}, {a, c}, {a, b, c}} {
				if got := find(other...); len(got) != 1 || got[0].ID == one[0].ID {
					t.Errorf("%s of %s: %d packages have the id of two others", name, ecosystem, len(other))
				}
			}
		}
	}
	// A manifest that asks for more than it did is another question, and so is a lock file with other bytes.
	open := func(asked string) sallyport.Dependency {
		return sallyport.Dependency{Purl: "pkg:npm/left-pad", Ecosystem: "npm", Name: "left-pad", Version: asked, Change: "added", Path: "package.json"}
	}
	unread := func(id string) []sallyport.Finding {
		return []sallyport.Finding{{ID: id, Kind: sallyport.FindingDependency, Rule: ruleUnreadFormat, Path: "bun.lock"}}
	}
	s := new(Scanner).Advised(&Advice{DB: adviceDB(t), Required: true, Now: adviceNow})
	for what, pair := range map[string][2][]sallyport.Finding{
		"unpinned": {s.advised([]sallyport.Dependency{open("^1.2.0")}, nil), s.advised([]sallyport.Dependency{open(">=0")}, nil)},
		"unread":   {s.advised(nil, unread("1")), s.advised(nil, unread("2"))},
	} {
		if len(pair[0]) != 1 || len(pair[1]) != 1 || pair[0][0].ID == pair[1][0].ID {
			t.Errorf("%s: %+v and %+v", what, pair[0], pair[1])
		}
	}
}

// TestUnicodeIDs: the id of a finding about hidden characters holds their line, not where it stands.
func TestUnicodeIDs(t *testing.T) {
	ids := func(text string) []string { return idsOf(new(Scanner).unicodeIn("a.js", []byte(text), nil, false)) }
	const bidi = "\u202e"
	accepted := ids("// plain comment " + bidi + " word\nconst ok = 1;\n")
	if len(accepted) != 1 {
		t.Fatalf("%d findings, want one", len(accepted))
	}
	if got := ids("\nconst other = 1;\n// plain comment " + bidi + " word"); !slices.Equal(got, accepted) {
		t.Error("moved down, it has another id")
	}
	if got := ids("if (admin) { grant(); } // " + bidi + " } reverse\n"); slices.Equal(got, accepted) {
		t.Error("the same character in another line has the same id")
	}
	line := "// plain comment " + bidi + " word\n"
	if got := ids(line + line); len(got) != 2 || got[0] == got[1] || got[0] != accepted[0] {
		t.Errorf("the line twice: %q", got)
	}
	if got := ids("x " + bidi + "\n" + line); len(got) != 2 || got[1] != accepted[0] {
		t.Error("after another line it has another id")
	}
	// The last that is told stands for the lines that are not.
	many := func(last string) (s string) {
		for i := range maxHiddenLines + 4 {
			s += fmt.Sprintln(i, bidi)
		}
		return s + last + bidi
	}
	a, b := ids(many("a")), ids(many("b"))
	if n := maxHiddenLines; len(a) != n || !slices.Equal(a[:n-1], b[:n-1]) || a[n-1] == b[n-1] {
		t.Errorf("what stands for the lines that are left out does not hold them: %s", strings.Join(a[n-1:], " "))
	}
}
