package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestSinks(t *testing.T) {
	for _, c := range []struct {
		name  string
		specs []string
		json  bool
		want  []sink
		err   string
	}{
		{name: "nothing said", want: []sink{{"text", "-"}}},
		{name: "--json", json: true, want: []sink{{"json", "-"}}},
		{name: "a format alone goes to standard output", specs: []string{"sarif"}, want: []sink{{"sarif", "-"}}},
		{name: "to a file, and the text is still told", specs: []string{"sarif=gate.sarif"}, want: []sink{{"text", "-"}, {"sarif", "gate.sarif"}}},
		{name: "to a file whose name holds the sign", specs: []string{"json=a=b"}, want: []sink{{"text", "-"}, {"json", "a=b"}}},
		{name: "several", specs: []string{"sarif=s", "json=-", "text=t"}, want: []sink{{"sarif", "s"}, {"json", "-"}, {"text", "t"}}},
		{name: "for the forge", specs: []string{"markdown=summary.md", "junit=gate.xml"}, want: []sink{{"text", "-"}, {"markdown", "summary.md"}, {"junit", "gate.xml"}}},
		{name: "two for standard output", specs: []string{"sarif"}, json: true, err: "only one output"},
		{name: "no such format", specs: []string{"xml=x"}, err: "unknown output format"},
		{name: "no file", specs: []string{"json="}, err: "name a file"},
		{name: "nothing", specs: []string{""}, err: "unknown output format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := outputFlag{specs: c.specs, json: c.json}
			got, err := o.sinks(decisionFormats...)
			if c.err != "" {
				var usage usageError
				if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want wrong usage that says %q", err, c.err)
				}
				return
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

// An output is written whole or not at all: what stood in the file before stays.
func TestSinkLeavesNothingHalfWritten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "gate.json")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := sink{"json", file}.write(io.Discard, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v, want %v", err, boom)
	}
	if b, _ := os.ReadFile(file); string(b) != "before" {
		t.Errorf("the file holds %q", b)
	}
	var out bytes.Buffer
	if err := (sink{"json", "-"}).write(&out, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return boom
	}); !errors.Is(err, boom) || out.Len() > 0 {
		t.Errorf("got %v, and %q on standard output", err, out.String())
	}
	if err := (sink{"json", file}).write(io.Discard, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "whole" {
		t.Errorf("the file holds %q", b)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files are left behind", len(left)-1)
	}
}

// What foreign programs and files put into an error stays one line and moves no cursor.
func TestErrorsAreOneLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", "read x: no such file", "read x: no such file"},
		{"a second line", "read x\nsallyport: note: all is well", "read x sallyport: note: all is well"},
		{"escape sequences", "read \x1b[2J\x1b]0;t\x07x", "read [2J]0;tx"},
		{"controls of the second kind", "read \u009b2Jx", "read 2Jx"},
		{"reversed text", "read \u202egpj.exe\u2066", "read gpj.exe"},
		{"space around", "\n read x \n", "read x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			printError(&out, errors.New(c.text))
			if want := "sallyport: error: " + c.want + "\n"; out.String() != want {
				t.Errorf("got %q, want %q", out.String(), want)
			}
		})
	}
}

// FuzzOneLine: whatever it is given, it is one line without control characters.
func FuzzOneLine(f *testing.F) {
	f.Add("a\nb\x1b[0m")
	f.Add("\u202e\u2069\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range oneLine(s) {
			if r < 0x20 || (r >= 0x7f && r < 0xa0) || isBidi(r) {
				t.Errorf("%q holds %U", oneLine(s), r)
			}
		}
	})
}

// What a reviewer signs is what was shown: if the branch, the target or the policy moved while
// they were reading, nothing is signed.
func TestChangedWhileBeingRead(t *testing.T) {
	scene.Use(sallyportPath(t))
	staged := scene.New(t, scene.Options{})
	agentWorks(staged)
	staged.AttestRun("main", "HEAD")
	for _, c := range []struct {
		name string
		move func(s *scene.Scene)
		ok   bool
	}{
		{name: "nothing moved", move: func(*scene.Scene) {}, ok: true},
		{name: "the target moved", move: func(s *scene.Scene) {
			s.Git("switch", "-q", "main")
			s.Append("util.py", "\n\ndef more():\n    return 1\n")
			s.Commit("More")
		}},
		{name: "the rules moved", move: func(s *scene.Scene) {
			s.Git("switch", "-q", "main")
			s.Append(".sallyport/sallyport.yaml", "data:\n  approvals_required: 3\n")
			s.Commit("Stricter")
		}},
		{name: "evidence was lost", move: func(s *scene.Scene) { s.LoseEvidence() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := staged.Fork(t)
			a := &app.App{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }, Clock: time.Now}
			o := app.Options{Repo: s.Repo, Target: app.TargetOptions{Ref: "main", Head: "agent"}}
			shown, err := a.Ceremony(t.Context(), o, s.KeyRef(scene.Bob))
			if err != nil {
				t.Fatal(err)
			}
			c.move(s)
			given, err := a.GiveApproval(t.Context(), o, shown, s.KeyRef(scene.Bob), false)
			if c.ok {
				if err != nil || given.Reviewer != "bob" {
					t.Errorf("got %+v, %v", given, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "no longer what was shown: nothing was signed") || given.Attestation != sallyport.Digest("") {
				t.Errorf("got %+v, %v: it was signed", given, err)
			}
		})
	}
}
