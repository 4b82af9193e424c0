package render

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
)

var update = flag.Bool("update", false, "rewrite the expected files")

const subject = sallyport.Digest("gitCommit:4f2a9c1d00000000000000000000000000000000")

func decision(outcome sallyport.Outcome, mode sallyport.Mode, reasons ...sallyport.Reason) sallyport.Decision {
	return sallyport.Decision{
		Version: "v1", Gate: sallyport.GateMerge, Subject: sallyport.Subject{Digest: subject}, Resource: "github.com/acme/app refs/heads/main",
		Outcome: outcome, Mode: mode, Time: "2026-11-23T12:00:00Z", Reasons: append([]sallyport.Reason{}, reasons...), Advice: []string{},
		Policies: []sallyport.PolicySet{}, Input: sallyport.SHA256([]byte("input")), Evidence: []sallyport.Digest{}, Dropped: []sallyport.Dropped{},
	}
}

var (
	approvalMissing = sallyport.Reason{Code: "approval-missing", Outcome: sallyport.Waiting, Severity: sallyport.High,
		Text: "deploy/prod.yaml was changed by agent claude-code and nobody has approved it", Place: "deploy/prod.yaml",
		Next: "sallyport approval request " + string(subject), Labels: []string{"ASI03", "SLSA"}, Looked: []string{"refs/sallyport/evidence", "--bundle approval.json"}}
	secret = sallyport.Reason{Code: "secret", Outcome: sallyport.Shut, Severity: sallyport.Critical, Title: "Secrets in new content",
		Text: "an AWS access key id", Place: "upload/retry.go:14", Next: "take the secret out, and revoke it", Set: "baseline"}
	secretToo = sallyport.Reason{Code: "secret", Outcome: sallyport.Shut, Severity: sallyport.Critical, Title: "Secrets in new content",
		Text: "a private key", Place: "weird:name/\"k\".pem", Next: "take the secret out, and revoke it", Set: "baseline"}
	conflict = sallyport.Reason{Code: "merge-conflict", Outcome: sallyport.Shut, Text: "the head does not merge into refs/heads/main", Place: string(subject)}
)

func cases() map[string]sallyport.Decision {
	undecided := decision(sallyport.Shut, sallyport.Observe)
	undecided.Undecided = true
	undecided.Advice = []string{"no root digest is pinned", "this verifier's key is local"}
	shut := decision(sallyport.Shut, sallyport.Enforce, secret, approvalMissing, secretToo, conflict)
	shut.Subject.Name = "feat/retry"
	shut.Dropped = []sallyport.Dropped{{Attestation: sallyport.SHA256([]byte("d")), Source: "refs/sallyport/evidence", Why: "the signature does not verify"}}
	solo := decision(sallyport.Open, sallyport.Enforce)
	solo.Solo = "alice"
	return map[string]sallyport.Decision{
		"solo": solo,
		"open": decision(sallyport.Open, sallyport.Enforce), "waiting": decision(sallyport.Waiting, sallyport.Enforce, approvalMissing),
		"shut": shut, "observed": decision(sallyport.Shut, sallyport.Observe, conflict), "undecided": undecided,
	}
}

func id(t *testing.T, d sallyport.Decision) sallyport.Digest {
	t.Helper()
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return sallyport.SHA256(b)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestGolden(t *testing.T) {
	for name, d := range cases() {
		t.Run(name, func(t *testing.T) {
			var text, js, sarif bytes.Buffer
			if err := Text(&text, d, id(t, d), Options{Width: 80}); err != nil {
				t.Fatal(err)
			}
			if err := JSON(&js, d, id(t, d), &LogEntry{Origin: "local", Index: 7}); err != nil {
				t.Fatal(err)
			}
			if err := SARIF(&sarif, d, id(t, d), "0.1.0"); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			golden(t, name+".json", js.Bytes())
			var indented bytes.Buffer
			if err := json.Indent(&indented, sarif.Bytes(), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".sarif", indented.Bytes())
			var md, junit bytes.Buffer
			if err := Markdown(&md, d, id(t, d), Summary{Missing: 2, Reviewers: []string{"bob", "carol"}}); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".md", md.Bytes())
			if err := JUnit(&junit, d, id(t, d)); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".junit.xml", junit.Bytes())
		})
	}
}

// The handlers cannot disagree: each code is in each form, and as often as it was given.
func TestFormsAgree(t *testing.T) {
	for name, d := range cases() {
		t.Run(name, func(t *testing.T) {
			var text, js, sarif, junit, markdown bytes.Buffer
			if err := errors.Join(JUnit(&junit, d, ""), Markdown(&markdown, d, "", Summary{})); err != nil {
				t.Fatal(err)
			}
			var report junitSuites
			if err := xml.Unmarshal(junit.Bytes(), &report); err != nil {
				t.Fatal(err)
			}
			// The gate itself is a test, which passes if and only if it is open.
			if bad := report.Failures + report.Errors; report.Tests != len(d.Reasons)+1 || (bad == 0) != (d.Outcome == sallyport.Open) || len(report.Suite.Cases) != report.Tests {
				t.Errorf("JUnit has %d tests of which %d are not passed, for %d reasons and %s", report.Tests, bad, len(d.Reasons), d.Outcome)
			}
			if first, _, _ := strings.Cut(markdown.String(), "\n"); d.Undecided != strings.Contains(first, "no decision") || !d.Undecided && !strings.Contains(first, ": "+d.Outcome.String()) {
				t.Errorf("the summary begins with %q", first)
			}
			if err := Text(&text, d, "", Options{}); err != nil {
				t.Fatal(err)
			}
			if err := JSON(&js, d, "", nil); err != nil {
				t.Fatal(err)
			}
			if err := SARIF(&sarif, d, "", ""); err != nil {
				t.Fatal(err)
			}
			var doc Document
			if err := json.Unmarshal(js.Bytes(), &doc); err != nil {
				t.Fatal(err)
			}
			var log sarifLog
			if err := json.Unmarshal(sarif.Bytes(), &log); err != nil {
				t.Fatal(err)
			}
			run := log.Runs[0]
			if len(doc.Decision.Reasons) != len(d.Reasons) || len(run.Results) != len(d.Reasons) {
				t.Fatalf("%d reasons, %d in JSON, %d in SARIF", len(d.Reasons), len(doc.Decision.Reasons), len(run.Results))
			}
			for i, r := range d.Reasons {
				res := run.Results[i]
				if res.RuleID != r.Code || run.Tool.Driver.Rules[res.RuleIndex].ID != r.Code || (res.Level == "error") != (r.Outcome == sallyport.Shut) {
					t.Errorf("SARIF result %d is %s, %s; the reason is %s, %s", i, res.RuleID, res.Level, r.Code, r.Outcome)
				}
				if len(res.Locations) != 1 || len(res.PartialFingerprints) != 1 {
					t.Errorf("SARIF result %d has %d locations and %d fingerprints", i, len(res.Locations), len(res.PartialFingerprints))
				}
				for _, want := range []string{r.Code, r.Text, r.Place, r.Next} { // a place that is the subject stands at the top
					if !strings.Contains(text.String(), want) {
						t.Errorf("the text does not show %q", want)
					}
					if !strings.Contains(markdown.String(), want) && want != string(d.Subject.Digest) {
						t.Errorf("the summary does not show %q", want)
					}
				}
			}
			if doc.ExitStatus != d.ExitStatus() || run.Invocations[0].ExecutionSuccessful == d.Undecided {
				t.Errorf("exit status %d, successful %v; undecided is %v", doc.ExitStatus, run.Invocations[0].ExecutionSuccessful, d.Undecided)
			}
		})
	}
}

// What JSON writes is the decision: encoded again, it has the id that stands beside it.
func TestJSONKeepsTheID(t *testing.T) {
	d := cases()["shut"]
	d.Reasons[0].Text = "a\u202eb\u0085c <&> 日本"
	var b bytes.Buffer
	if err := JSON(&b, d, id(t, d), nil); err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Decision json.RawMessage  `json:"decision"`
		ID       sallyport.Digest `json:"id"`
	}
	if err := json.Unmarshal(b.Bytes(), &raw); err != nil {
		t.Fatal(err)
	}
	again, err := sallyport.ParseDecision(raw.Decision)
	if err != nil {
		t.Fatal(err)
	}
	if got := id(t, again); got != raw.ID {
		t.Errorf("got %s, want %s", got, raw.ID)
	}
}

const hostile = "a\x1b[31mred\x1b[0m\nb\r\x07\x9b2J\u009b\u202eevil\u2066\u200b\ufeff\U000e0041\x00\xffz"

// hostileDecision has bytes that act in every field that an agent can reach.
func hostileDecision(s string) sallyport.Decision {
	r := sallyport.Reason{Code: s, Outcome: sallyport.Shut, Severity: sallyport.Severity(s), Title: s, Text: s, Place: s, Looked: []string{s}, Next: s, Set: s, Labels: []string{s}}
	noText := r
	noText.Text, noText.Place = "", s+":3"
	d := decision(sallyport.Shut, sallyport.Mode(s), r, noText)
	d.Gate, d.Subject, d.Resource, d.Time = sallyport.Gate(s), sallyport.Subject{Digest: sallyport.Digest(s), Name: s}, s, s
	d.Advice = []string{s}
	d.Dropped = []sallyport.Dropped{{Attestation: sallyport.Digest(s), Source: s, Why: s}}
	return d
}

// unprintable returns the first character of s that is neither printable nor a line break, as
// it would be written; empty if there is none.
func unprintable(s string) string {
	for _, r := range s {
		if r != '\n' && (r == utf8.RuneError || !unicode.IsPrint(r)) {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

func TestNothingActsOnTheTerminal(t *testing.T) {
	d := hostileDecision(hostile)
	report := DetectReport{Range: hostile,
		Commits: []sallyport.CommitInput{{ID: sallyport.Digest("gitCommit:" + hostile), Title: hostile, Evil: true,
			Attribution: sallyport.Attribution{Principal: sallyport.Principal{Kind: sallyport.Agent, Name: hostile}, Grade: sallyport.Grade(hostile), Model: hostile, Operator: hostile, Why: []string{hostile}},
			Signature:   sallyport.SignatureCheck{Kind: hostile, State: hostile, Person: hostile, Detail: hostile}}},
		Files:    []sallyport.FileInput{{Path: hostile, Classes: []string{hostile}}},
		Findings: []sallyport.Finding{{Kind: hostile, Severity: hostile, Path: hostile, Line: 1, Text: hostile}, {Commit: hostile, Text: hostile}},
	}
	for _, tt := range []struct {
		name  string
		lines int // how many there are with harmless input; 0 is not checked
		write func(*bytes.Buffer) error
	}{
		{"text", lineCount(t, hostileDecision("x")), func(b *bytes.Buffer) error { return Text(b, d, hostile, Options{}) }},
		{"json", 1, func(b *bytes.Buffer) error { return JSON(b, d, hostile, &LogEntry{Origin: hostile}) }},
		{"sarif", 1, func(b *bytes.Buffer) error { return SARIF(b, d, hostile, "0.1.0") }},
		{"detect", 0, func(b *bytes.Buffer) error { return Agents(b, report, Options{Width: 60}) }},
		{"detect as json", 1, func(b *bytes.Buffer) error { return Value(b, report) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.write(&b); err != nil {
				t.Fatal(err)
			}
			if r := unprintable(b.String()); r != "" {
				t.Errorf("the output holds %s:\n%q", r, b.String())
			}
			if n := strings.Count(b.String(), "\n"); tt.lines > 0 && n != tt.lines {
				t.Errorf("the output has %d lines, want %d:\n%s", n, tt.lines, b.String())
			}
		})
	}
}

// carriedOut returns the first line that a CI system would take for a command.
func carriedOut(s string) string {
	for line := range strings.Lines(s) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") || strings.Contains(line, "##vso[") {
			return line
		}
	}
	return ""
}

// What an agent wrote is no command to the CI system that the gate runs in, wherever a line is
// broken. Two colons elsewhere are what they are.
func TestNothingActsOnCI(t *testing.T) {
	for _, name := range []string{"::notice title=Gate::open.tf", "a ::stop-commands::x", "##[error]x", "see ###[group]x", "##vso[task.complete result=Succeeded]x"} {
		for _, width := range []int{0, 8, 40, 78} {
			var b bytes.Buffer
			if err := Text(&b, hostileDecision(name), "", Options{Width: width}); err != nil {
				t.Fatal(err)
			}
			if err := Agents(&b, DetectReport{Range: name, Files: []sallyport.FileInput{{Path: sallyport.Path(name)}}, Findings: []sallyport.Finding{{Text: name}}}, Options{Width: width}); err != nil {
				t.Fatal(err)
			}
			if line := carriedOut(b.String()); line != "" {
				t.Errorf("%q at width %d gives the line %q", name, width, line)
			}
		}
	}
	for _, s := range []string{"std::vector", "a: b", "https://x", "# [x]", "#[derive]"} {
		if got := Clean(s); got != s {
			t.Errorf("Clean(%q) is %q", s, got)
		}
	}
}

func lineCount(t *testing.T, d sallyport.Decision) int {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, d, "x", Options{}); err != nil {
		t.Fatal(err)
	}
	return strings.Count(b.String(), "\n")
}

func TestColor(t *testing.T) {
	d := cases()["shut"]
	var plain, coloured bytes.Buffer
	if err := Text(&plain, d, "", Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	if err := Text(&coloured, d, "", Options{Width: 80, Color: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(coloured.String(), "\x1b[1;31mshut\x1b[0m") {
		t.Errorf("plain:\n%q\ncoloured:\n%q", plain.String(), coloured.String())
	}
	if got := stripColour(coloured.String()); got != plain.String() {
		t.Errorf("colour changes the text:\n%s\n%s", got, plain.String())
	}
}

func stripColour(s string) string {
	for {
		i := strings.IndexByte(s, 0x1b)
		if i < 0 {
			return s
		}
		s = s[:i] + s[i+strings.IndexByte(s[i:], 'm')+1:]
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Add("plain, 日本語 and é")
	f.Add(" 0\xba00000000000000000000")
	f.Add("a ::error::b ##[group]c ###vso[task.x]d")
	// What is printable stays; the result is one printable line, and stays what it is.
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if r := unprintable(got); r != "" || strings.Contains(got, "\n") {
			t.Errorf("Clean(%q) holds %s", s, r)
		}
		if Clean(got) != got {
			t.Errorf("Clean(%q) is not stable: %q", s, got)
		}
		if line := carriedOut(strings.Join(wrap(got, 1), "\n")); line != "" {
			t.Errorf("Clean(%q) lets a command through: %q", s, line)
		}
		if unprintable(s) == "" && !strings.Contains(s, "\n") && !strings.Contains(s, "::") && !strings.Contains(s, "##") && got != s {
			t.Errorf("Clean(%q) changed it: %q", s, got)
		}
		if w := strings.Join(wrap(got, 20), " "); w != got {
			t.Errorf("wrap lost something: %q, was %q", w, got)
		}
	})
}

// Whatever stands in a decision, its forms stay well-formed and printable.
func FuzzForms(f *testing.F) {
	f.Add(hostile, "a/b.go:12")
	f.Add("text", `"\xff":3`)
	f.Add("", "://x:1:2")
	f.Fuzz(func(t *testing.T, s, place string) {
		d := hostileDecision(s)
		d.Reasons[0].Place = place
		for name, write := range map[string]func(*bytes.Buffer) error{
			"json": func(b *bytes.Buffer) error { return JSON(b, d, "", nil) }, "sarif": func(b *bytes.Buffer) error { return SARIF(b, d, "", "") },
			"text": func(b *bytes.Buffer) error { return Text(b, d, "", Options{Width: 40}) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if r := unprintable(b.String()); r != "" {
				t.Errorf("%s holds %s", name, r)
			}
			if name != "text" && !json.Valid(b.Bytes()) {
				t.Errorf("%s is not JSON: %s", name, b.String())
			}
		}
	})
}
