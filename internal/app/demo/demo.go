// Package demo tells the story that a newcomer sees first: an agent's branch meets the merge
// gate.
//
// Nothing in it is played. The demo makes a git repository in a temporary folder, lets a
// scripted agent commit to it, and runs the very binary it is part of as a child process, on
// the code path that everybody else uses. After each step it compares the exit status and the
// reason codes with what the story says; if a rule were missing, or one too many fired, the
// story ends there with an error.
//
// The keys are made on the spot. The reviewers' are simulated security keys and the supervisor's
// is a file: both are worth something under the demo's own root and nowhere else. Nothing is
// sent anywhere, and no configuration of the machine is read or written.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Options are the demo's.
type Options struct {
	Keep   bool // leave the folder behind
	JSON   bool // one document instead of the story
	Color  bool
	Binary string // the program to run; it must be the one that runs the demo
	Out    io.Writer
}

// A Step is one chapter of the story, as --json prints it.
type Step struct {
	Title   string   `json:"title"`
	Command string   `json:"command,omitempty"` // the last gate command of the chapter
	Status  int      `json:"status"`
	Codes   []string `json:"codes,omitempty"` // reason codes of its decision
}

// ErrStory is wrapped when a step did not go as the story says.
var ErrStory = errors.New("the demo did not go as it should")

// timeout bounds each command that the demo runs.
const timeout = 2 * time.Minute

// Run tells the story to its end.
func Run(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "sallyport-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	// Scripts compare paths with what git prints, which resolves links.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	d := &demo{Options: o, ctx: ctx, dir: dir, repo: filepath.Join(dir, "service"), start: time.Now()}
	err = d.tell()
	if o.Keep {
		d.say("\nEverything is still in %s", dir)
	} else if rmErr := os.RemoveAll(dir); rmErr != nil && err == nil {
		err = fmt.Errorf("remove the demo's folder: %w", rmErr)
	}
	if o.JSON {
		doc := struct {
			Steps  []Step `json:"steps"`
			OK     bool   `json:"ok"`
			Error  string `json:"error,omitempty"`
			Folder string `json:"folder,omitempty"`
		}{Steps: d.steps, OK: err == nil}
		if err != nil {
			doc.Error = err.Error()
		}
		if o.Keep {
			doc.Folder = dir
		}
		enc := json.NewEncoder(o.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return errors.Join(err, enc.Encode(doc))
	}
	return err
}

type demo struct {
	Options
	ctx   context.Context
	dir   string // everything is below
	repo  string // the service's checkout
	pin   string // digest of the demo's root
	start time.Time
	steps []Step
}

// git runs git in the service's checkout with a configuration of its own.
func (d *demo) git(args ...string) (string, error) {
	return d.gitAs("Alice Example", "alice@example.com", args...)
}

func (d *demo) gitAs(name, email string, args ...string) (string, error) {
	cmd := d.command("git", append([]string{"-C", d.repo, "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"}, args...)...)
	cmd.Env = append(cmd.Env,
		"GIT_AUTHOR_NAME="+name, "GIT_AUTHOR_EMAIL="+email,
		"GIT_COMMITTER_NAME="+name, "GIT_COMMITTER_EMAIL="+email)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// command prepares a child with an environment that no CI system, pin or git setting of the
// caller reaches.
func (d *demo) command(name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(d.ctx, timeout)
	cmd := exec.CommandContext(ctx, name, args...)
	context.AfterFunc(ctx, cancel)
	cmd.Dir = d.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "LC_ALL=C.UTF-8", "NO_COLOR=1",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
	}
	if tmp := os.Getenv("TMPDIR"); tmp != "" {
		cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	}
	return cmd
}

// A result is what a run of the binary gave.
type result struct {
	status int
	text   string
	doc    struct {
		ID       sallyport.Digest   `json:"id"`
		Decision sallyport.Decision `json:"decision"`
	}
}

func (r result) codes() []string {
	var codes []string
	for _, reason := range r.doc.Decision.Reasons {
		codes = append(codes, reason.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// sallyport runs the binary and demands an exit status.
func (d *demo) sallyport(want int, args ...string) (result, error) {
	cmd := d.command(d.Binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{}, fmt.Errorf("sallyport %s: %w", args[0], err)
	}
	r := result{status: cmd.ProcessState.ExitCode(), text: out.String()}
	if r.status != want {
		return r, fmt.Errorf("%w: sallyport %s ended with %d, want %d\n%s%s",
			ErrStory, strings.Join(args, " "), r.status, want, out.String(), errs.String())
	}
	return r, nil
}

// gate runs check merge and demands an exit status and exactly these reason codes.
func (d *demo) gate(want int, codes []string, args ...string) (result, error) {
	file := filepath.Join(d.dir, "decision.json")
	all := append([]string{"check", "merge", "--repo", d.repo, "--root", d.pin, "--output", "json=" + file}, args...)
	r, err := d.sallyport(want, all...)
	if err != nil {
		return r, err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return r, fmt.Errorf("read the decision: %w", err)
	}
	if err := json.Unmarshal(b, &r.doc); err != nil {
		return r, fmt.Errorf("read the decision: %w", err)
	}
	if got := r.codes(); !slices.Equal(got, codes) {
		return r, fmt.Errorf("%w: the gate gave the reasons %v, want %v\n%s", ErrStory, got, codes, r.text)
	}
	last := &d.steps[len(d.steps)-1]
	last.Command, last.Status, last.Codes = "sallyport check merge "+strings.Join(args, " "), r.status, r.codes()
	return r, nil
}

func (d *demo) write(path, content string) error {
	path = filepath.Join(d.repo, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

// title starts a chapter.
func (d *demo) title(format string, args ...any) {
	t := fmt.Sprintf(format, args...)
	d.steps = append(d.steps, Step{Title: t})
	d.say("\n%s", d.paint("1", fmt.Sprintf("%d. %s", len(d.steps), t)))
}

func (d *demo) say(format string, args ...any) {
	if !d.JSON {
		fmt.Fprintf(d.Out, format+"\n", args...)
	}
}

// show prints a command as a person would type it, and what it printed.
func (d *demo) show(command, output string) {
	d.say("\n  %s", d.paint("36", "$ "+command))
	for line := range strings.Lines(output) {
		d.say("  %s %s", d.paint("2", "│"), d.outcome(strings.TrimRight(line, "\n")))
	}
}

// short leaves out of a verdict what the story has shown before: where it is about, and why a
// check on this machine is advice.
func short(text string) string {
	var b strings.Builder
	skipping := false
	for line := range strings.Lines(text) {
		skipping = strings.HasPrefix(line, "advice only:") || strings.HasPrefix(line, "for ") ||
			(skipping && strings.HasPrefix(line, "      "))
		if !skipping {
			b.WriteString(line)
		}
	}
	return b.String()
}

// outcome colours the line that carries a verdict.
func (d *demo) outcome(line string) string {
	switch {
	case strings.HasPrefix(line, "merge gate: shut"):
		return d.paint("1;31", line)
	case strings.HasPrefix(line, "merge gate: waiting"):
		return d.paint("1;33", line)
	case strings.HasPrefix(line, "merge gate: open"):
		return d.paint("1;32", line)
	}
	return line
}

func (d *demo) paint(code, s string) string {
	if !d.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
