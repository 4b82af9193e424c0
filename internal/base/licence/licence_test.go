package licence

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"MIT", "MIT"},
		{"mit", "MIT"},
		{"MIT OR Apache-2.0", "MIT OR Apache-2.0"},
		{"(MIT)", "MIT"},
		{"MIT AND (BSD-3-Clause OR Apache-2.0)", "MIT AND (BSD-3-Clause OR Apache-2.0)"},
		{"MIT OR BSD-3-Clause AND Apache-2.0", "MIT OR BSD-3-Clause AND Apache-2.0"},
		{"(MIT OR BSD-3-Clause) AND Apache-2.0", "(MIT OR BSD-3-Clause) AND Apache-2.0"},
		{"GPL-2.0", "GPL-2.0-only"},
		{"GPL-2.0+", "GPL-2.0-or-later"},
		{"gpl-2.0-only+", "GPL-2.0-or-later"},
		{"Apache-1.0+", "Apache-1.0+"},
		{"GPL-2.0-with-classpath-exception", "GPL-2.0-only WITH Classpath-exception-2.0"},
		{"GPL-2.0-or-later WITH Classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"},
		{"DocumentRef-a:LicenseRef-b.1", "DocumentRef-a:LicenseRef-b.1"},
		{"", ""}, {"MIT OR", ""}, {"OR MIT", ""}, {"MIT MIT", ""}, {"(MIT", ""}, {"MIT)", ""}, {"MIT/Apache-2.0", ""}, {"MIT Or Apache-2.0", ""},
		{"Apache License 2.0", ""}, {"NOASSERTION", ""}, {"NONE", ""}, {"MIT WITH MIT", ""}, {"MIT WITH", ""}, {"LicenseRef-", ""}, {"LicenseRef-a_b", ""},
		{"x:LicenseRef-a", ""}, {strings.Repeat("(", 60) + "MIT" + strings.Repeat(")", 60), ""}, {strings.Repeat("MIT OR ", 20000) + "MIT", ""},
	} {
		e, err := Parse(tt.in)
		got := ""
		if err == nil {
			got = e.String()
		}
		if got != tt.want {
			t.Errorf("%.60q: %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	permissive := []string{"MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"}
	for _, tt := range []struct {
		name        string
		allow, deny []string
		in          string
		want        Verdict
		why         string
	}{
		{"allowed", permissive, nil, "mit", Allowed, "MIT"},
		{"not named", permissive, nil, "BSD-3-Clause", Unlisted, "BSD-3-Clause"},
		{"any of alternatives", permissive, nil, "GPL-3.0-only OR MIT", Allowed, "MIT"},
		{"all of what holds together", permissive, nil, "MIT AND GPL-3.0-only", Unlisted, "GPL-3.0-only"},
		{"denied with another", nil, []string{"GPL-3.0-only"}, "MIT AND GPL-3.0", Denied, "GPL-3.0-only"},
		{"denied can be avoided", nil, []string{"GPL-3.0-only"}, "MIT OR GPL-3.0", Allowed, "MIT"},
		{"denied or unlisted", permissive, []string{"GPL-3.0-only"}, "BSD-3-Clause OR GPL-3.0", Unlisted, "BSD-3-Clause"},
		{"all denied", nil, []string{"GPL-3.0-only", "AGPL-3.0-only"}, "AGPL-3.0 OR GPL-3.0", Denied, "AGPL-3.0-only,GPL-3.0-only"},
		{"deprecated spelling of what is denied", nil, []string{"GPL-2.0-only"}, "GPL-2.0", Denied, "GPL-2.0-only"},
		{"deprecated exception of what is denied", nil, []string{"GPL-2.0"}, "GPL-2.0-with-GCC-exception", Denied, "GPL-2.0-only WITH GCC-exception-2.0"},
		{"exception that is allowed", permissive, []string{"GPL-2.0"}, "GPL-2.0 WITH Classpath-exception-2.0", Allowed, "GPL-2.0-only WITH Classpath-exception-2.0"},
		{"exception of what is allowed", permissive, nil, "Apache-2.0 WITH LLVM-exception", Allowed, "Apache-2.0 WITH LLVM-exception"},
		{"later of what is denied", nil, []string{"Apache-1.0"}, "Apache-1.0+", Denied, "Apache-1.0+"},
		{"or later of what is denied", nil, []string{"GPL-3.0-only"}, "GPL-3.0-or-later", Denied, "GPL-3.0-or-later"},
		{"plus of what is denied by its deprecated name", nil, []string{"GPL-3.0"}, "GPL-3.0+", Denied, "GPL-3.0-or-later"},
		{"or later with an exception", nil, []string{"GPL-3.0-only"}, "GPL-3.0-or-later WITH GCC-exception-3.1", Denied, "GPL-3.0-or-later WITH GCC-exception-3.1"},
		{"plus with an exception", nil, []string{"Apache-1.0"}, "Apache-1.0+ WITH LLVM-exception", Denied, "Apache-1.0+ WITH LLVM-exception"},
		{"or later that a rule allows", []string{"GPL-3.0-or-later"}, []string{"GPL-3.0-only"}, "GPL-3.0-or-later", Allowed, "GPL-3.0-or-later"},
		{"another than what is denied", nil, []string{"LGPL-3.0-only"}, "GPL-3.0-or-later", Allowed, "GPL-3.0-or-later"},
		{"only of what is allowed", []string{"GPL-3.0-only"}, nil, "GPL-3.0-or-later", Unlisted, "GPL-3.0-or-later"},
		{"denied with an exception alone", nil, []string{"GPL-2.0-only WITH Classpath-exception-2.0"}, "GPL-2.0-only", Allowed, "GPL-2.0-only"},
		{"denied with an exception, and or later", nil, []string{"GPL-2.0-only WITH Classpath-exception-2.0"}, "GPL-2.0-or-later WITH Classpath-exception-2.0", Allowed, "GPL-2.0-or-later WITH Classpath-exception-2.0"},
		{"a deprecated name that hides what is denied", nil, []string{"GPL-2.0-only"}, "eCos-2.0", Denied, "GPL-2.0-or-later WITH eCos-exception-2.0"},
		{"another such name", nil, []string{"LGPL-2.0-or-later"}, "wxwindows", Denied, "LGPL-2.0-or-later WITH WxWindows-exception-3.1"},
		{"off the list", nil, []string{"GPL-3.0-only"}, "LicenseRef-own", Unlisted, "LicenseRef-own"},
		{"off the list and named", []string{"LicenseRef-own"}, nil, "LicenseRef-own", Allowed, "LicenseRef-own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewRules(tt.allow, tt.deny)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if v, why := r.Judge(e); v != tt.want || strings.Join(why, ",") != tt.why {
				t.Errorf("%v because of %v", v, why)
			}
		})
	}
	for _, bad := range [][2][]string{{{"Apache 2"}, nil}, {nil, {"MIT OR X11"}}, {{"GPL-2.0"}, {"GPL-2.0-only"}}} {
		if _, err := NewRules(bad[0], bad[1]); err == nil {
			t.Errorf("%v were taken for rules", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"MIT", "(MIT OR Apache-2.0+) AND GPL-2.0 WITH Classpath-exception-2.0", "LicenseRef-a", "((", "MIT or or"} {
		f.Add(s)
	}
	r, err := NewRules([]string{"MIT"}, []string{"GPL-2.0"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(e.String())
		if err != nil || again.String() != e.String() {
			t.Fatalf("%q is written %q, and read again %v, %v", s, e, again, err)
		}
		v, _ := r.Judge(e)
		if w, _ := r.Judge(again); v != w {
			t.Fatalf("%q: %v and then %v", s, v, w)
		}
	})
}
