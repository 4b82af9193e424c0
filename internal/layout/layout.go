// Package layout keeps the tree in the shape that docs/layout.md describes.
//
// Which package may import which is the only part of an architecture that a program can hold a
// team to, so this one does. [Check] reads the import declarations of every Go file of a tree,
// whatever its build constraints, and reports each one that breaks one of these rules:
//
//  1. A package lies in a part that the table [Parts] names. An unknown folder fails, so that
//     adding a part is a decision that somebody reviews.
//  2. A package imports only its own part and what its part's level may reach:
//     level 0, the vocabulary and the predicates, the standard library alone;
//     level 1, tools that know nothing of gates, level 0;
//     level 2, services and their backends, levels 0 and 1: never another service. A backend
//     imports the service it serves, the service never a backend, backends never each other;
//     level 3, the engine, level 0;
//     level 4, gates, renderers and pages, levels 0, 1 and 3: never each other;
//     level 5, the wiring, everything below it;
//     level 6, the commands, level 0, the wiring, the renderer and the services' types.
//  3. A library is imported by the packages that the table [Libraries] names and by no other,
//     so that replacing a vendor touches one folder. A library that the table lacks fails.
//  4. Packages of the standard library that reach further than a part should (cgo, other
//     processes, the network) are held in the same way by the table [Reaches].
//  5. A package has exactly one package comment, which says at least three lines.
//  6. A Go file has at most 600 lines and no note about work that is still to be done.
//  7. No file holds a path of the machine on which it was written.
//
// Test files obey rules 1, 2 and 6. For them rule 3 asks only that the table knows the library,
// rule 4 is waived, and a backend's tests may import the suite that its service keeps beside it
// (internal/store/storetest). Tests of commands, and packages under test/, may import anything
// that the module holds, the helpers under test/ included, since they look at the product as a
// whole.
//
// A file whose build constraint needs the tag "ignore" is a program run by hand: rules 3, 4 and
// 5 do not bind it. Folders named testdata, folders whose name starts with a dot or an
// underscore, and folders with a go.mod of their own are not read for rules 1 to 6.
//
// Check parses files in process. A test that asked "go list" instead would be answered from
// Go's test cache after a rule was broken: the cache sees the files that a test opens, and not
// those that its children open.
package layout

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxLines is the longest that a Go file may be, and minDoc the shortest package comment.
const (
	maxLines = 600
	minDoc   = 3
)

// maxFile bounds what is read of any one file.
const maxFile = 4 << 20

// A Problem is one rule broken at one place.
type Problem struct {
	File string // slash-separated, relative to the tree
	Line int    // 0 if the file or folder as a whole
	Rule string // folder, arrow, library, reach, doc, length, note, machine or parse
	Text string
}

// String returns the problem as compilers print theirs.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", p.File, p.Rule, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Rule, p.Text)
}

// A pkg is what rule 5 needs to know of a folder.
type pkg struct {
	docs []string // files that carry a package comment
	code bool     // holds a Go file that is neither a test nor run by hand
}

type checker struct {
	module   string
	problems []Problem
	packages map[string]*pkg
}

func (c *checker) add(file string, line int, rule, format string, args ...any) {
	c.problems = append(c.problems, Problem{file, line, rule, fmt.Sprintf(format, args...)})
}

// Check reads the tree, whose root holds the go.mod of module, and returns every problem,
// sorted by file and line. The error is about reading and never about a rule: a tree that
// cannot be read whole, or that holds no Go file at all, has not been checked.
func Check(tree fs.FS, module string) ([]Problem, error) {
	c := &checker{module: module, packages: map[string]*pkg{}}
	if err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if skipped(name) {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular() || skipped(name): // of a linked work tree, .git is a file
			return nil
		}
		return c.file(tree, name)
	}); err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	if len(c.packages) == 0 {
		return nil, fmt.Errorf("read the tree: no Go file in it")
	}
	c.docs()
	slices.SortFunc(c.problems, func(a, b Problem) int {
		if n := strings.Compare(a.File, b.File); n != 0 {
			return n
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Text, b.Text)
	})
	return c.problems, nil
}

// skipped reports whether the folder is no part of the sources: the repository's own storage,
// and what .gitignore names.
func skipped(name string) bool {
	return name == ".git" || name == "bin" || name == "dist"
}

// inModule reports whether the go command would see the folder's files as part of the module.
func inModule(tree fs.FS, dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		base := path.Base(dir)
		if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return false
		}
		if _, err := fs.Stat(tree, path.Join(dir, "go.mod")); err == nil {
			return false
		}
	}
	return true
}

func (c *checker) file(tree fs.FS, name string) error {
	f, err := tree.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return err
	}
	c.machine(name, src)
	if path.Ext(name) == ".go" && inModule(tree, path.Dir(name)) {
		c.source(name, src)
	}
	return nil
}

// source holds one Go file of the module to rules 1 to 4 and 6, and notes what rule 5 needs.
func (c *checker) source(name string, src []byte) {
	dir := path.Dir(name)
	p := c.packages[dir]
	if p == nil {
		p = &pkg{}
		c.packages[dir] = p
		if _, ok := partOf(dir); !ok {
			c.add(dir, 0, "folder", "is in no part of the layout; see Parts in internal/layout/table.go")
		}
	}
	c.text(name, src)
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		c.add(name, 0, "parse", "%v", err)
		return
	}
	from := importer{dir: dir, test: strings.HasSuffix(name, "_test.go"), byHand: byHand(f)}
	if !from.test && !from.byHand {
		p.code = true
		if f.Doc != nil {
			p.docs = append(p.docs, name)
			c.doc(name, f)
		}
	}
	for _, spec := range f.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil { // the parser has checked it
			c.add(name, 0, "parse", "%v", err)
			continue
		}
		if rule, why := c.judge(from, target); why != "" {
			c.add(name, fset.Position(spec.Pos()).Line, rule, "%s", why)
		}
	}
}

// byHand reports whether the file is built only when the tag "ignore" is set.
func byHand(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, line := range group.List {
			if line.Pos() > f.Package || !constraint.IsGoBuild(line.Text) {
				continue
			}
			x, err := constraint.Parse(line.Text)
			if err == nil && !x.Eval(func(tag string) bool { return tag != "ignore" }) &&
				x.Eval(func(string) bool { return true }) {
				return true
			}
		}
	}
	return false
}

// doc holds a package comment to its form: go doc's first words, and enough lines to specify.
func (c *checker) doc(name string, f *ast.File) {
	text := f.Doc.Text()
	want := "Package " + f.Name.Name + " "
	if f.Name.Name == "main" {
		want = "Command " + path.Base(path.Dir(name)) + " "
	}
	if !strings.HasPrefix(text, want) {
		c.add(name, 0, "doc", "the package comment starts with %q and should with %q", firstWords(text), want)
	}
	if n := strings.Count(strings.TrimSpace(text), "\n") + 1; n < minDoc {
		c.add(name, 0, "doc", "a package comment of %d lines specifies nothing; write at least %d", n, minDoc)
	}
}

func firstWords(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[:min(3, len(words))], " ")
}

func (c *checker) docs() {
	for dir, p := range c.packages {
		switch {
		case !p.code:
		case len(p.docs) == 0:
			c.add(dir, 0, "doc", "no file has a package comment")
		case len(p.docs) > 1:
			slices.Sort(p.docs)
			c.add(dir, 0, "doc", "one file should carry the package comment, and %s do", strings.Join(p.docs, ", "))
		}
	}
}

// text is rule 6.
func (c *checker) text(name string, src []byte) {
	n := 0
	for line := range bytes.Lines(src) {
		n++
		if m := openNote.Find(line); m != nil {
			c.add(name, n, "note", "%q: finish it, or file an issue and say what is not covered", m)
		}
	}
	if n > maxLines {
		c.add(name, 0, "length", "%d lines; at most %d", n, maxLines)
	}
}

// machine is rule 7. Binary files are looked at too: a path in one says as much.
func (c *checker) machine(name string, src []byte) {
	n := 0
	for line := range bytes.Lines(src) {
		n++
		if m := machinePath.FindSubmatch(line); m != nil {
			c.add(name, n, "machine", "%q is a path of one machine", m[1])
		}
	}
}
