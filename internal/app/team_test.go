package app

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/glob"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/identity/codeowners"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/scan"
)

// A configuration that states nothing has the baseline's settings, which are compiled ahead.
func TestPolicyDataOfNothing(t *testing.T) {
	if got := policyData(config.Default()); !bytes.Equal(got.Encode(), policy.Defaults().Encode()) {
		t.Errorf("got %s, want %s", got.Encode(), policy.Defaults().Encode())
	}
	if n := approvalsRequired(config.Default()); n != 0 {
		t.Errorf("%d approvals required", n)
	}
	strict := config.Config{Level: config.LevelStrict, Data: config.Data{Unattributed: "vouchable"}, Exceptions: config.Exceptions{MaxDays: 7},
		Rules: map[string]config.Rule{"secret": {Mode: sallyport.Enforce}}}
	d := policyData(strict)
	if d.Unattributed != "vouchable" || d.Codeowners != policy.OwnersRequired || d.Exceptions.MaxDays != 7 || len(d.Exceptions.Never) == 0 ||
		d.Modes["secret"].Mode != sallyport.Enforce || approvalsRequired(strict) != 2 {
		t.Errorf("strict is %s", d.Encode())
	}
}

const casting = `version: 1
persons:
  - {id: ada, logins: {github: ada}}
  - {id: bob, emails: [bob@example.com]}
teams: {acme/pay: [ada, bob]}
`

func teamOf(t *testing.T, d codeowners.Dialect, owners string) *team {
	t.Helper()
	r, err := identity.ParseRoster([]byte(casting))
	if err != nil {
		t.Fatal(err)
	}
	tm := &team{roster: r, forge: "github"}
	if tm.exact, err = codeowners.Parse([]byte(owners), d); err == nil {
		tm.folded, err = codeowners.Parse([]byte(scan.FoldPattern(owners)), d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

func TestTeamOwners(t *testing.T) {
	github := "/pay/ @acme/pay\n/ops/ @Ada @stranger\n/none/\n"
	gitlab := "/pay/ @ada\n[Two][2]\n/pay/ @acme/pay\n^[Asked]\n* bob@example.com\n"
	for _, tt := range []struct {
		name      string
		d         codeowners.Dialect
		text      string
		file      sallyport.File
		approvers string
		owners    string
		approved  bool
		unknown   string
	}{
		{"nobody has approved", codeowners.GitHub, github, sallyport.File{Path: "pay/a"}, "", "@acme/pay", false, ""},
		{"a member of the team has", codeowners.GitHub, github, sallyport.File{Path: "pay/a"}, "bob", "@acme/pay", true, ""},
		{"somebody else has", codeowners.GitHub, github, sallyport.File{Path: "pay/a"}, "eve", "@acme/pay", false, ""},
		{"one of two owners is unknown", codeowners.GitHub, github, sallyport.File{Path: "ops/a"}, "ada", "@Ada @stranger", true, "@stranger"},
		{"an unowned path", codeowners.GitHub, github, sallyport.File{Path: "src/a"}, "", "", true, ""},
		{"a path that nobody shall own", codeowners.GitHub, github, sallyport.File{Path: "none/a"}, "", "", true, ""},
		{"the old name is owned", codeowners.GitHub, github, sallyport.File{Path: "src/a", OldPath: "pay/a"}, "", "@acme/pay", false, ""},
		{"another case", codeowners.GitHub, github, sallyport.File{Path: "PAY/a"}, "", "@acme/pay", false, ""},
		{"a link where the folder could be", codeowners.GitHub, github, sallyport.File{Path: "pay", NewMode: "120000"}, "", "@acme/pay", false, ""},
		{"a file where the folder could be", codeowners.GitHub, github, sallyport.File{Path: "pay", NewMode: "100644"}, "", "", true, ""},
		{"two of a section, one has approved", codeowners.GitLab, gitlab, sallyport.File{Path: "pay/a"}, "ada", "@ada @acme/pay", false, ""},
		{"two of a section, both have", codeowners.GitLab, gitlab, sallyport.File{Path: "pay/a"}, "ada bob", "@ada @acme/pay", true, ""},
		{"one section has, the other has not", codeowners.GitLab, gitlab, sallyport.File{Path: "pay/a"}, "bob", "@ada @acme/pay", false, ""},
	} {
		owners, approved, unknown := teamOf(t, tt.d, tt.text).Owners(&tt.file, strings.Fields(tt.approvers))
		if strings.Join(owners, " ") != tt.owners || approved != tt.approved || strings.Join(unknown, " ") != tt.unknown {
			t.Errorf("%s: %q %v %q, want %q %v %q", tt.name, owners, approved, unknown, tt.owners, tt.approved, tt.unknown)
		}
	}
	if owners, approved, _ := (&team{}).Owners(&sallyport.File{Path: "a"}, nil); owners != nil || approved {
		t.Error("no file of owners approves")
	}
}

func TestTeamThresholds(t *testing.T) {
	of := func(th policy.Threshold) *team {
		x := threshold{Threshold: th}
		for _, p := range th.Paths {
			exact, err1 := glob.Parse(p)
			folded, err2 := glob.Parse(scan.FoldPattern(p))
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			x.paths, x.folded = append(x.paths, exact), append(x.folded, folded)
		}
		return &team{thresholds: []threshold{x}}
	}
	c := &sallyport.Change{Files: []sallyport.File{
		{Path: "Pay/b", Classes: []string{"ci"}}, {Path: "src/a", OldPath: "ops/a"}, {Path: "hr", NewMode: "160000"},
	}}
	findings := []sallyport.Finding{
		{Severity: sallyport.High, Path: "pay/k", State: "accepted"}, {Severity: sallyport.Critical, Path: "src/z", State: "fixed"}, {Severity: "dreadful", Commit: "gitCommit:1", State: "open"},
	}
	for _, tt := range []struct {
		name  string
		th    policy.Threshold
		paths string // "-": it does not apply
	}{
		{"a class", policy.Threshold{Classes: []string{"ci"}}, "Pay/b"},
		{"another class", policy.Threshold{Classes: []string{"deploy"}}, "-"},
		{"a path in another case", policy.Threshold{Paths: []string{"pay/**"}}, "Pay/b"},
		{"class and path of one file", policy.Threshold{Classes: []string{"ci"}, Paths: []string{"PAY/*"}}, "Pay/b"},
		{"class and path of two files", policy.Threshold{Classes: []string{"ci"}, Paths: []string{"src/**"}}, "-"},
		{"an old name", policy.Threshold{Paths: []string{"ops/**"}}, "ops/a src/a"},
		{"a submodule where the folder could be", policy.Threshold{Paths: []string{"hr/**/salaries.csv"}}, "hr"},
		{"a severity, accepted or unknown", policy.Threshold{Severity: sallyport.High}, ""},
		{"a severity within paths", policy.Threshold{Severity: sallyport.High, Paths: []string{"pay/*"}}, ""},
	} {
		tt.th.Required = 2
		got := of(tt.th).Thresholds(c, findings)
		if tt.paths == "-" {
			if len(got) != 0 {
				t.Errorf("%s: it applies: %+v", tt.name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Required != 2 || got[0].Why == "" {
			t.Fatalf("%s: %+v", tt.name, got)
		}
		var paths []string
		for _, p := range got[0].Paths {
			paths = append(paths, string(p))
		}
		slices.Sort(paths)
		if strings.Join(paths, " ") != tt.paths {
			t.Errorf("%s: about %q, want %q", tt.name, paths, tt.paths)
		}
	}
	if got := of(policy.Threshold{Required: 1, Severity: sallyport.Critical}).Thresholds(c, findings[:2]); len(got) != 0 {
		t.Errorf("less grave and fixed findings count: %+v", got)
	}
}
