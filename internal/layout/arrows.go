package layout

import (
	"fmt"
	"path"
	"strings"
)

// An importer is a file as rule 2 to 4 see it.
type importer struct {
	dir    string
	test   bool
	byHand bool
}

// match reports whether dir is the folder that pattern names or lies under it, and returns the
// folder that was matched: "internal/base/git" for "internal/base/*" and anything in git. The
// root matches itself only.
func match(pattern, dir string) (string, bool) {
	if pattern == "." || dir == "." {
		return ".", pattern == dir
	}
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		rest, ok := strings.CutPrefix(dir, parent+"/")
		if !ok {
			return "", false
		}
		child, _, _ := strings.Cut(rest, "/")
		return parent + "/" + child, true
	}
	return pattern, dir == pattern || strings.HasPrefix(dir, pattern+"/")
}

// partOf returns the part that dir lies in, its path with any star filled in. A folder beside a
// service's backends that is named after the service and ends in "test" is a part of the
// service: the suite that every backend must pass.
func partOf(dir string) (Part, bool) {
	best, found := Part{}, false
	for _, p := range Parts {
		at, ok := match(p.Path, dir)
		if !ok || (found && len(at) < len(best.Path)) {
			continue
		}
		if p.Kind == Backend && isSuite(at) {
			continue
		}
		best, found = Part{at, p.Kind}, true
	}
	return best, found
}

func isSuite(dir string) bool {
	return path.Base(dir) == path.Base(path.Dir(dir))+"test"
}

// judge returns the rule that the import breaks and what it should have been, or nothing.
func (c *checker) judge(from importer, target string) (rule, why string) {
	if p, ok := partOf(from.dir); ok && p.Kind == Whole && p.Path != "internal/layout" {
		from.test = true // helpers of tests are tests
	}
	dir, internal := c.local(target)
	switch {
	case internal:
		return "arrow", arrow(from, dir)
	case from.byHand:
		return "", ""
	case isStandard(target):
		if lib, ok := find(Reaches, target); ok && !from.test && !allows(lib.Folders, from.dir) {
			return "reach", fmt.Sprintf("%s is not for %s: %s", target, from.dir, who(lib))
		}
		return "", ""
	}
	lib, ok := find(Libraries, target)
	if !ok {
		return "library", fmt.Sprintf("%s is in no line of Libraries in internal/layout/table.go", target)
	}
	if from.test && (!fromVocabulary(from) || len(lib.Folders) == 0) {
		return "", ""
	}
	if !allows(lib.Folders, from.dir) {
		return "library", fmt.Sprintf("%s is not for %s: %s", target, from.dir, who(lib))
	}
	return "", ""
}

// fromVocabulary reports whether the file belongs to level 0, which stays on the standard
// library in its tests as well: other modules run them.
func fromVocabulary(from importer) bool {
	p, ok := partOf(from.dir)
	return ok && p.Kind == Vocabulary
}

func who(lib Library) string {
	if len(lib.Folders) == 0 {
		return "only tests may import it"
	}
	return "only " + strings.Join(lib.Folders, ", ") + " may import it"
}

// local returns the folder of a package of the module.
func (c *checker) local(target string) (string, bool) {
	if target == c.module {
		return ".", true
	}
	return strings.CutPrefix(target, c.module+"/")
}

// isStandard uses the rule of the go command: paths whose first element has no dot are the
// standard library's.
func isStandard(target string) bool {
	first, _, _ := strings.Cut(target, "/")
	return !strings.Contains(first, ".")
}

// find returns the line with the longest prefix of target, by path elements.
func find(table []Library, target string) (Library, bool) {
	best, found := Library{}, false
	for _, l := range table {
		if (target == l.Prefix || strings.HasPrefix(target, l.Prefix+"/")) && len(l.Prefix) >= len(best.Prefix) {
			best, found = l, true
		}
	}
	return best, found
}

// arrow is rule 2: it returns why the file may not import the folder, or nothing.
func arrow(from importer, dir string) string {
	a, ok := partOf(from.dir)
	if !ok {
		return "" // rule 1 has said so
	}
	b, ok := partOf(dir)
	if !ok {
		return fmt.Sprintf("%s is in no part of the layout", dir)
	}
	no := func(format string, args ...any) string {
		return fmt.Sprintf("%s imports %s: ", from.dir, dir) + fmt.Sprintf(format, args...)
	}
	suite := isSuite(dir) && b.Kind == Service
	switch {
	case a.Path == b.Path && !suite:
		return ""
	case suite && from.test && a.Kind == Backend && path.Dir(a.Path) == b.Path:
		return ""
	case suite && a.Path == b.Path && from.test:
		return ""
	case suite:
		return no("a suite is for the tests of its service and of its backends")
	case a.Path == "internal/layout":
		return no("the judge of the layout is no part of it")
	case a.Kind == Command && from.test && b.Path == "test":
		return "" // a command's scripts stage what the product's tests stage
	case b.Kind == Whole:
		return no("nothing imports %s", b.Path)
	case a.Kind == Whole, a.Kind == Command && from.test && b.Kind != Command:
		return ""
	}
	if b.Kind.Level() > a.Kind.Level() {
		return no("%s imports only from lower levels, and %s is on level %d", kindNames[a.Kind], b.Path, b.Kind.Level())
	}
	switch a.Kind {
	case Vocabulary:
		if a.Path == "predicate" || b.Path == "predicate" {
			return no("the vocabulary and the predicates import the standard library only")
		}
	case Tool:
		if b.Kind == Tool {
			return no("tools do not import each other")
		}
	case Service:
		if b.Kind == Backend {
			return no("a backend imports its service, never the reverse; join them in internal/app")
		}
		if b.Kind == Service && service(a.Path) != service(b.Path) {
			return no("services do not import each other; declare the interface that is needed, and join them in internal/app")
		}
	case Backend:
		if b.Kind == Backend || (b.Kind == Service && b.Path != path.Dir(a.Path)) {
			return no("a backend imports its own service only")
		}
	case Engine:
		if b.Kind != Vocabulary {
			return no("the engine imports the vocabulary only")
		}
	case Gate:
		if b.Kind != Vocabulary && b.Kind != Tool && b.Kind != Engine {
			return no("%s imports levels 0, 1 and 3 only", kindNames[a.Kind])
		}
	case Command:
		if b.Kind != Vocabulary && b.Kind != Wiring && b.Kind != Service && b.Path != "internal/render" {
			return no("a command imports the vocabulary, internal/app, internal/render and services' types")
		}
	case Wiring, Whole:
	}
	return ""
}

// service returns the name under which a folder counts as a service.
func service(p string) string {
	if s, ok := sameService[p]; ok {
		return s
	}
	return p
}
