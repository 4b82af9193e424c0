package scan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// TestParseBill: which packages a bill names, in either format, and which of its parts have no name.
func TestParseBill(t *testing.T) {
	for _, c := range []struct {
		name, body string
		purls      []string
		nameless   int
		fails      bool
	}{
		{"CycloneDX", `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a","purl":"pkg:npm/a@1","components":[{"type":"library","name":"b","purl":"pkg:npm/b@2"}]},{"type":"file","name":"f"},{"type":"library","name":"c"}]}`,
			[]string{"pkg:npm/a@1", "pkg:npm/b@2"}, 1, false},
		{"SPDX", `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[{"SPDXID":"SPDXRef-main","name":"app"},{"SPDXID":"x","name":"a","externalRefs":[{"referenceType":"cpe23Type","referenceLocator":"x"},{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]},{"SPDXID":"y","name":"b"}],"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-main"}]}`,
			[]string{"pkg:npm/a@1"}, 1, false},
		{"empty", `{"bomFormat":"CycloneDX","specVersion":"1.6"}`, nil, 0, false},
		{"another format", `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}`, nil, 0, true},
		{"a key twice", `{"bomFormat":"CycloneDX","components":[],"components":[]}`, nil, 0, true},
		{"no JSON", `<bom/>`, nil, 0, true},
		{"deep", `{"bomFormat":"CycloneDX","components":[` + strings.Repeat(`{"components":[`, 40) + strings.Repeat(`]}`, 40) + `]}`, nil, 0, true},
	} {
		b, err := ParseBill([]byte(c.body))
		if (err != nil) != c.fails || !slices.Equal(b.Purls, c.purls) || b.Nameless != c.nameless {
			t.Errorf("%s: %+v, %v", c.name, b, err)
		}
	}
}

// TestParseBillWhole: every package URL counts, what a document is about is one thing, and that there is nothing has to be said.
func TestParseBillWhole(t *testing.T) {
	spdx := func(packages, relationships string) string {
		return `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[` + packages + `],"relationships":[` + relationships + `]}`
	}
	const (
		app      = `{"SPDXID":"app","name":"app"}`
		lib      = `{"SPDXID":"lib","name":"lib"}`
		two      = `{"SPDXID":"x","name":"x","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/bad@1"},{"referenceType":"purl","referenceLocator":"pkg:npm/good@1"}]}`
		empty    = `{"SPDXID":"x","name":"x","externalRefs":[{"referenceType":"purl","referenceLocator":""}]}`
		ofApp    = `{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"app"}`
		ofLib    = `{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"lib"}`
		contains = `{"spdxElementId":"app","relationshipType":"CONTAINS","relatedSpdxElement":"NONE"}`
		cyclone  = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"bom-ref":"app","type":"application","name":"app"`
	)
	for _, c := range []struct {
		name, body string
		purls      []string
		nameless   int
		none       bool
	}{
		{"two package URLs", spdx(two, ""), []string{"pkg:npm/bad@1", "pkg:npm/good@1"}, 0, false},
		{"an empty package URL", spdx(empty, ""), nil, 1, false},
		{"about one thing", spdx(app, ofApp), nil, 0, false},
		{"about two things", spdx(app+","+lib, ofApp+","+ofLib), nil, 2, false},
		{"nothing in it, and says so", spdx(app, ofApp+","+contains), nil, 0, true},
		{"says so, and something in it", spdx(app+","+lib, ofApp+","+contains), nil, 1, false},
		{"CycloneDX, complete and empty", cyclone + `}},"components":[],"compositions":[{"aggregate":"complete","assemblies":["app"]},{"aggregate":"unknown","dependencies":["app"]}]}`, nil, 0, true},
		{"of all of it", cyclone + `}},"components":[],"compositions":[{"aggregate":"complete"}]}`, nil, 0, true},
		{"incomplete", cyclone + `}},"components":[],"compositions":[{"aggregate":"complete"},{"aggregate":"incomplete","assemblies":["app"]}]}`, nil, 0, false},
		{"of another part", cyclone + `}},"components":[],"compositions":[{"aggregate":"complete","assemblies":["lib"]}]}`, nil, 0, false},
		{"empty, and does not say so", cyclone + `}},"components":[]}`, nil, 0, false},
		{"in what it is about", cyclone + `,"components":[{"type":"library","name":"a","purl":"pkg:npm/a@1"}]}},"compositions":[{"aggregate":"complete"}]}`, []string{"pkg:npm/a@1"}, 0, false},
	} {
		b, err := ParseBill([]byte(c.body))
		if err != nil || !slices.Equal(b.Purls, c.purls) || b.Nameless != c.nameless || b.None != c.none {
			t.Errorf("%s: %+v, %v", c.name, b, err)
		}
	}
}

// TestLocksBeside: what the commit names is looked up with it, and what two files name with each.
func TestLocksBeside(t *testing.T) {
	var commit Locks
	commit.AddBill("", Bill{Purls: []string{"pkg:npm/a@1"}})
	for range 2 {
		file := commit.Beside()
		file.AddBill("app", Bill{Purls: []string{"pkg:npm/a@1", "pkg:npm/b@1", "pkg:npm/b@1?x=y"}})
		if file.Packages() != 1 {
			t.Errorf("%d packages", file.Packages())
		}
	}
	file := commit.Beside()
	file.AddBill("app", Bill{})
	file.AddBill("app", Bill{None: true})
	if got := (&Advice{Missing: true, Required: true}).Look(file); len(got) != 1 || !strings.Contains(got[0].Text, "does not say that it is complete") || file.None != 1 {
		t.Errorf("an empty bill: %+v", got)
	}
}

// TestLocks: what a bill says twice is looked up once, and what cannot be named is told where it has to be known.
func TestLocks(t *testing.T) {
	var l Locks
	l.AddFile("web/package-lock.json", []byte(`{"name":"shop","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"shop"},"node_modules/left-pad":{"version":"1.2.0"}}}`))
	l.AddFile("broken/package-lock.json", []byte(`{`))
	l.AddFile("src/main.go", []byte("package main"))
	l.AddBill("app.tar.gz", Bill{Purls: []string{"pkg:npm/left-pad@1.2.0", "pkg:npm/other@1.0.0?x=y", "no purl"}, Nameless: 2, Example: "z"})
	if l.Files != 2 || l.Bills != 1 || l.Packages() != 2 {
		t.Errorf("%d files, %d bills, %d packages", l.Files, l.Bills, l.Packages())
	}
	for _, required := range []bool{false, true} {
		a := &Advice{Missing: true, Required: required, Now: time.Unix(1795000000, 0)}
		var got []string
		for _, f := range a.Look(&l) {
			if f.Kind != sallyport.FindingAdvisory {
				t.Errorf("%+v", f)
			}
			got = append(got, string(f.Path)+" "+f.Rule)
		}
		want := []string(nil)
		if required {
			want = []string{"app.tar.gz missing", "app.tar.gz unread", "app.tar.gz unread", "broken/package-lock.json unread", "web/package-lock.json missing"}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("required %t: %q", required, got)
		}
	}
}

// TestBuildInputs: caches and moving names are told whether or not a change brought them, and nothing else is.
func TestBuildInputs(t *testing.T) {
	const text = "on: push\npermissions: {id-token: write}\njobs:\n  release:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/cache@0123456789012345678901234567890123456789\n      - run: echo ${{ github.event.issue.title }}\n"
	var rules []string
	for _, f := range BuildInputs(".github/workflows/release.yml", []byte(text), nil) {
		rules = append(rules, f.Rule)
	}
	slices.Sort(rules)
	if !slices.Equal(rules, []string{"release-cache", "unpinned-action"}) {
		t.Errorf("got %q", rules)
	}
	if fs := BuildInputs(".github/workflows/release.yml", []byte("jobs: ["), nil); len(fs) != 1 || fs[0].Kind != sallyport.FindingUnscanned {
		t.Errorf("one that cannot be read: %+v", fs)
	}
	if !IsDefinition(".github/workflows/a.yml") || !IsDefinition(".gitlab-ci.yml") || IsDefinition("deploy/a.yml") {
		t.Error("which files are definitions")
	}
}

// FuzzParseBill: what is read is bounded, and reads the same again.
func FuzzParseBill(f *testing.F) {
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a","purl":"pkg:npm/a@1"}]}`))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}]}`))
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[],"metadata":{"component":{"bom-ref":"a","components":[{}]}},"compositions":[{"aggregate":"complete","assemblies":["a"]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		bill, err := ParseBill(b)
		if err != nil {
			return
		}
		var l Locks
		l.AddBill("x", bill)
		if l.Packages() > len(bill.Purls) {
			t.Errorf("%d packages of %d", l.Packages(), len(bill.Purls))
		}
	})
}
