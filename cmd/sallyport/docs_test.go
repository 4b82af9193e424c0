package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

const top = "../.." // the module, seen from here

func program() *cobra.Command {
	return newRootCommand(&app.App{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }})
}

// A newcomer types the first two commands of the README. They stand there as they are promised.
func TestReadmeStarts(t *testing.T) {
	var commands []string
	for line := range strings.Lines(read(t, "README.md")) {
		if code, ok := strings.CutPrefix(line, "    "); ok && strings.HasPrefix(code, "go ") {
			commands = append(commands, strings.TrimSpace(code))
		}
	}
	if want := []string{"go run ./cmd/sallyport demo", "go test ./..."}; len(commands) < 2 || !slices.Equal(commands[:2], want) {
		t.Errorf("the README's commands are %q, want %q first", commands, want)
	}
}

// The README's table names every command, and no other.
func TestReadmeNamesEveryCommand(t *testing.T) {
	text := read(t, "README.md")
	_, table, ok := strings.Cut(text, "\n## Commands\n")
	if !ok {
		t.Fatal("the README has no section on commands")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	named := map[string]bool{}
	span := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(table) {
		cell, _, ok := strings.Cut(strings.TrimPrefix(line, "|"), " | ")
		if !ok {
			continue
		}
		for _, m := range span.FindAllStringSubmatch(cell, -1) {
			parent, verbs, _ := strings.Cut(strings.ReplaceAll(m[1], `\|`, "|"), " ")
			for _, verb := range strings.Split(verbs, "|") {
				named[strings.TrimSpace(parent+" "+verb)] = true
			}
		}
	}
	known := map[string]bool{}
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		if !c.HasSubCommands() {
			known[path] = true
			return
		}
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && !sub.Hidden {
				walk(sub, strings.TrimSpace(path+" "+sub.Name()))
			}
		}
	}
	walk(program(), "")
	for c := range known {
		// "key" stands for what is below it.
		if parent, _, _ := strings.Cut(c, " "); !named[c] && !named[parent] {
			t.Errorf("the README does not name %q", c)
		}
	}
	for c := range named {
		if found, rest, err := program().Find(strings.Fields(c)); err != nil || len(rest) > 0 || found.Name() == "sallyport" {
			t.Errorf("the README names %q, which is no command", c)
		}
	}
}

// Whatever the documents, the rules' remedies and the program's own hints tell a reader to type
// is a command, and has the flags that they name.
func TestCommandsInTextsExist(t *testing.T) {
	docs := glob(t, "*.md", "docs/*.md", "docs/*/*.md", "changelog/unreleased/*")
	sources := glob(t, "policy/baseline/*.rego", "policy/baseline/*.json", "internal/*/*.go", "internal/*/*/*.go", "cmd/sallyport/*.go")
	count := 0
	for _, name := range docs {
		for _, line := range codeOf(read(t, name)) {
			for _, words := range commandsIn(quotedVariable.ReplaceAllString(line, "$1")) {
				count++
				if err := parses(words, strings.HasPrefix(line, "    ")); err != nil {
					t.Errorf("%s: %q: %v", name, strings.TrimSpace(line), err)
				}
			}
		}
	}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for line := range strings.Lines(read(t, name)) {
			for _, words := range commandsIn(line) {
				// In a source a sentence may have the program as its subject.
				if c, _, err := program().Find(words[:1]); err != nil || c.Name() == "sallyport" {
					continue
				}
				if s := strings.Join(words, " "); strings.HasPrefix(s, "policy set v1") || strings.HasPrefix(s, "finding v1") {
					continue // the first words of what a set's digest, or a finding's id, is over
				}
				count++
				if err := parses(words, false); err != nil {
					t.Errorf("%s: %q: %v", name, strings.TrimSpace(line), err)
				}
			}
		}
	}
	if count < 50 {
		t.Errorf("found %d commands only: the test does not see them any more", count)
	}
}

func TestParses(t *testing.T) {
	for _, c := range []struct {
		line string
		ok   bool
	}{
		{"sallyport check merge", true},
		{"exec sallyport hook pre-receive --root sha256:… --ref refs/heads/main", true},
		{"sallyport approval give COMMIT --key ~/.ssh/id # touch it", true},
		{"sallyport log prove DECISION > proof.json", true},
		{"sallyport", true},
		{"sallyport chekc", false},
		{"sallyport check mrege", false},
		{"sallyport check merge --jsno", false},
		{"sallyport explain", false}, // it needs an argument
		{"sallyport log tail -n 3", true},
		{"sallyport log tail -x 3", false},
		{"sallyport build --key REF -- make -j4 --always", true},
		{"sallyport build --kye REF -- make", false},
	} {
		var err error
		for _, words := range commandsIn(c.line) {
			err = parses(words, true)
		}
		if (err == nil) != c.ok {
			t.Errorf("%q: %v, want it to be right: %v", c.line, err, c.ok)
		}
	}
}

// codeOf returns the indented lines and the code spans of a Markdown document.
func codeOf(text string) []string {
	var code []string
	span := regexp.MustCompile("`([^`\n]+)`")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "sallyport") && strings.HasPrefix(line, "    ") || strings.Contains(line, "exec sallyport") {
			code = append(code, line)
			continue
		}
		for _, m := range span.FindAllStringSubmatch(line, -1) {
			code = append(code, m[1])
		}
	}
	return code
}

// quotedVariable is one word of a shell; a quote ends a command elsewhere.
var quotedVariable = regexp.MustCompile(`"(\$[A-Za-z_][^"\s]*)"`)

var commandRE = regexp.MustCompile("(?:^|[\\s`\"'(:])sallyport( [^`\"#>|;,\\n]*)?")

// commandsIn returns the words that follow the program's name wherever a line runs it. A path
// or a file that merely has that name is none.
func commandsIn(line string) [][]string {
	var all [][]string
	for _, m := range commandRE.FindAllStringSubmatch(line, -1) {
		words := strings.Fields(m[1])
		for i, w := range words {
			words[i] = strings.TrimRight(w, ".)") // the end of the sentence
		}
		if len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}

// parses reports whether the words are a command with flags that it has and, if whole, with as
// many arguments as it takes. In a sentence a command may be named without them.
func parses(words []string, whole bool) error {
	root := program()
	c, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if c == root && !strings.HasPrefix(words[0], "-") {
		return fmt.Errorf("%q is no command", words[0])
	}
	var args []string
	for i := 0; i < len(rest); i++ {
		word := rest[i]
		if word == "--" { // the rest is another program's
			args = append(args, rest[i+1:]...)
			break
		}
		name, _, assigned := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if !strings.HasPrefix(word, "-") || word == "-" {
			args = append(args, word)
			continue
		}
		flag := c.Flags().Lookup(name)
		if !strings.HasPrefix(word, "--") {
			flag = c.Flags().ShorthandLookup(name[:1])
		}
		if flag == nil && name != "help" {
			return fmt.Errorf("%s has no flag %s", c.CommandPath(), word)
		}
		if flag != nil && flag.Value.Type() != "bool" && !assigned {
			i++ // its value
		}
	}
	// What does something without a subcommand, as attest and sbom do, takes arguments of its own.
	group := c.HasSubCommands() && c.Args(c, nil) == nil && !strings.Contains(c.Use, " ")
	if group && len(args) > 0 {
		return fmt.Errorf("%s has no command %q", c.CommandPath(), args[0])
	}
	if whole && c.Args != nil && !group && c.Name() != "completion" {
		return c.Args(c, args)
	}
	return nil
}

func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var names []string
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(top, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
				rel, err := filepath.Rel(top, f)
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, rel)
			}
		}
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
