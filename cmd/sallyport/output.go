package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/sallyport-dev/sallyport/internal/app"
)

// An outputFlag is where answers go: "json=-" writes JSON to standard output, "sarif=gate.sarif"
// writes SARIF to a file. Text goes to standard output unless another format does.
type outputFlag struct {
	specs []string
	json  bool
}

func (o *outputFlag) addFlags(f *pflag.FlagSet, formats ...string) {
	f.BoolVar(&o.json, "json", false, "same as --output json=-")
	f.StringArrayVarP(&o.specs, "output", "o", nil, "write `FORMAT=FILE` ("+strings.Join(formats, ", ")+"; - is standard output); repeatable")
}

// A sink is one format and where it goes.
type sink struct {
	format string
	file   string // "-" is standard output
}

func (o *outputFlag) sinks(formats ...string) ([]sink, error) {
	specs := slices.Clone(o.specs)
	if o.json {
		specs = append(specs, "json=-")
	}
	var sinks []sink
	toStdout := 0
	for _, spec := range specs {
		format, file, ok := strings.Cut(spec, "=")
		if !ok {
			file = "-"
		}
		if !slices.Contains(formats, format) {
			return nil, usagef("unknown output format %q: there are %s", format, strings.Join(formats, ", "))
		}
		if file == "" {
			return nil, usagef("--output %s: name a file, or - for standard output", spec)
		}
		if file == "-" {
			toStdout++
		} else if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			// Before anything is decided: a decision whose report is lost has to be asked for again.
			return nil, fmt.Errorf("--output %s: there is no folder %s", spec, filepath.Dir(file))
		}
		sinks = append(sinks, sink{format, file})
	}
	switch {
	case toStdout > 1:
		return nil, usagef("only one output can go to standard output")
	case toStdout == 0:
		sinks = append([]sink{{"text", "-"}}, sinks...)
	}
	return sinks, nil
}

// write renders every sink whole before it writes any byte of it, so that nothing half-written
// is left behind.
func (s sink) write(stdout io.Writer, render func(w io.Writer) error) error {
	var buf bytes.Buffer
	if err := render(&buf); err != nil {
		return fmt.Errorf("render %s: %w", s.format, err)
	}
	if s.file == "-" {
		if _, err := stdout.Write(buf.Bytes()); err != nil {
			return fmt.Errorf("write to standard output: %w", err)
		}
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.file), ".sallyport-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", s.format, err)
	}
	_, err = tmp.Write(buf.Bytes())
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), s.file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", s.format, err)
	}
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour reports whether w wants colour: a terminal, unless NO_COLOR is set or TERM is dumb.
func colour(a *app.App, w io.Writer) bool {
	return isTerminal(w) && a.Getenv("NO_COLOR") == "" && a.Getenv("TERM") != "dumb"
}

// width returns how wide text may be.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 20 {
			return min(n, 100)
		}
	}
	return 100
}

// progress returns a function that shows what is being done on a terminal, and clear, which
// removes it. Both do nothing in a pipe.
func progress(a *app.App) (step func(string), clear func()) {
	if !isTerminal(a.Stderr) {
		return func(string) {}, func() {}
	}
	return func(s string) { fmt.Fprintf(a.Stderr, "\r\x1b[K%s …", s) },
		func() { fmt.Fprint(a.Stderr, "\r\x1b[K") }
}
