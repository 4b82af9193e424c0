package render

import (
	"bytes"
	"encoding/json"
	"html"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// What exceptions hold off, and rules that act in a mode of their own, are told in every form.
func TestTeamForms(t *testing.T) {
	warned := sallyport.Reason{Code: "attestation-missing", Outcome: sallyport.Shut, Text: "no run", Mode: sallyport.Warn, EffectiveOn: "2027-01-31"}
	enforced := sallyport.Reason{Code: "secret", Outcome: sallyport.Shut, Text: "a token", Mode: sallyport.Enforce}
	off := sallyport.Excepted{
		Reason:    sallyport.Reason{Code: "finding", Outcome: sallyport.Shut, Text: "a hook", Place: "a/b:3", Paths: []sallyport.Path{"a/b"}},
		Exception: "sha256:0123456789abcdef", By: "sam", Until: "2027-01-01T00:00:00Z", Ticket: "SEC-7",
	}
	for _, tt := range []struct {
		name string
		d    sallyport.Decision
		want []string
	}{
		{"only what warns", sallyport.Decision{Outcome: sallyport.Shut, Mode: sallyport.Enforce, Reasons: []sallyport.Reason{warned}}, []string{
			"this rule warns, and is enforced from 2027-01-31", "mode: no rule that is enforced refuses; recorded as shut, and the exit status is 0 all the same",
		}},
		{"what warns, and what does not", sallyport.Decision{Outcome: sallyport.Shut, Mode: sallyport.Enforce, Reasons: []sallyport.Reason{warned, {Code: "x", Text: "y"}}}, []string{
			"this rule warns",
		}},
		{"a rule enforced where the rest is observed", sallyport.Decision{Outcome: sallyport.Shut, Mode: sallyport.Observe, Reasons: []sallyport.Reason{enforced}}, []string{
			"this rule is enforced, whatever the repository's mode is", "mode: observe; recorded as shut, and the exit status is 2, since a rule of its own mode is enforced",
		}},
		{"held off", sallyport.Decision{Outcome: sallyport.Open, Mode: sallyport.Enforce, Excepted: []sallyport.Excepted{off}}, []string{
			"held off by exceptions", "- finding: a/b:3: a hook", "accepted by sam until 2027-01-01T00:00:00Z, exception sha256:0123456789ab, SEC-7",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var text, js, sarif bytes.Buffer
			if err := Text(&text, tt.d, "", Options{}); err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("the text does not say %q:\n%s", want, text.String())
				}
			}
			if tt.d.ExitStatus() == 2 && tt.d.Mode == sallyport.Enforce && strings.Contains(text.String(), "exit status is 0") {
				t.Errorf("it says that the exit status is 0:\n%s", text.String())
			}
			if err := JSON(&js, tt.d, "", nil); err != nil {
				t.Fatal(err)
			}
			var doc Document
			if err := json.Unmarshal(js.Bytes(), &doc); err != nil || len(doc.Decision.Excepted) != len(tt.d.Excepted) || doc.ExitStatus != tt.d.ExitStatus() {
				t.Errorf("JSON %s, %v", js.String(), err)
			}
			if err := SARIF(&sarif, tt.d, "", ""); err != nil {
				t.Fatal(err)
			}
			var log sarifLog
			if err := json.Unmarshal(sarif.Bytes(), &log); err != nil {
				t.Fatal(err)
			}
			var junit, md bytes.Buffer
			if err := JUnit(&junit, tt.d, ""); err != nil {
				t.Fatal(err)
			}
			if err := Markdown(&md, tt.d, "", Summary{}); err != nil {
				t.Fatal(err)
			}
			for _, x := range tt.d.Excepted {
				for form, text := range map[string]string{"JUnit": junit.String(), "Markdown": md.String()} {
					if !strings.Contains(text, x.Reason.Code) || !strings.Contains(text, x.Ticket) {
						t.Errorf("%s does not tell what is held off:\n%s", form, text)
					}
				}
			}
			for _, r := range tt.d.Reasons {
				if said := ruleMode(r, tt.d.Mode); said != "" && (!strings.Contains(html.UnescapeString(junit.String()), said) || !strings.Contains(md.String(), said)) {
					t.Errorf("JUnit or Markdown does not say %q:\n%s\n%s", said, junit.String(), md.String())
				}
			}
			results := log.Runs[0].Results
			if len(results) != len(tt.d.Reasons)+len(tt.d.Excepted) {
				t.Fatalf("%d SARIF results", len(results))
			}
			for i, res := range results {
				if held := i >= len(tt.d.Reasons); held != (len(res.Suppressions) == 1) {
					t.Errorf("result %d: suppressed %v, want %v", i, !held, held)
				}
				if i < len(tt.d.Reasons) && tt.d.Reasons[i].Mode != "" && res.Properties["mode"] != string(tt.d.Reasons[i].Mode) {
					t.Errorf("result %d has mode %v", i, res.Properties["mode"])
				}
			}
		})
	}
}

// Nothing in an exception or a mode acts on a terminal either.
func TestTeamFormsAreClean(t *testing.T) {
	r := sallyport.Reason{Code: hostile, Text: hostile, Place: hostile, Mode: hostile, EffectiveOn: hostile}
	d := sallyport.Decision{Mode: sallyport.Enforce, Reasons: []sallyport.Reason{r},
		Excepted: []sallyport.Excepted{{Reason: r, Exception: hostile, By: hostile, Until: hostile, Ticket: hostile}}}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":     func(b *bytes.Buffer) error { return Text(b, d, "", Options{}) },
		"JSON":     func(b *bytes.Buffer) error { return JSON(b, d, "", nil) },
		"SARIF":    func(b *bytes.Buffer) error { return SARIF(b, d, "", "") },
		"JUnit":    func(b *bytes.Buffer) error { return JUnit(b, d, "") },
		"Markdown": func(b *bytes.Buffer) error { return Markdown(b, d, "", Summary{}) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if c := unprintable(b.String()); c != "" {
			t.Errorf("%s writes %s", name, c)
		}
	}
}
