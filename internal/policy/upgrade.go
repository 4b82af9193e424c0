package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/sallyport-dev/sallyport"
)

// ErrDiffers says that a set that was rewritten says something else than before.
var ErrDiffers = errors.New("the rewritten policy differs")

// An Upgraded set is one that was rewritten from Rego v0 to v1.
type Upgraded struct {
	// Files are those that change, with their new content.
	Files map[string][]byte
	// Cases and Inputs are how many cases and generated inputs both say the same about.
	Cases, Inputs int
}

// Upgrade rewrites a set from Rego v0 to v1, and shows that it says the same: over the inputs of
// the set's cases, and over inputs that are generated from what its rules read, each package of
// both has to have the same value, or to fail in both. An error that wraps ErrDiffers says where
// one has not; nothing is returned then.
//
// With quotes, strings in single quotes are first put into double ones. No version of Rego has
// the former, so there is nothing to compare that step with.
//
// A set that is v1 already comes back without files.
func Upgrade(ctx context.Context, s Set, quotes bool) (Upgraded, error) {
	before := Set{Name: s.Name, Files: maps.Clone(s.Files)}
	if quotes {
		for name, src := range s.Files {
			if strings.HasSuffix(name, ".rego") {
				mended, err := mendQuotes(src)
				if err != nil {
					return Upgraded{}, fmt.Errorf("%w: %s/%s:%w", ErrCompile, s.Name, name, err)
				}
				before.Files[name] = mended
			}
		}
	}
	old, err := compileModules(before, Data{})
	if err != nil {
		return Upgraded{}, err
	}
	if old.loaded.manifest.version() != ast.RegoV0 {
		return Upgraded{Files: filesChanged(s, before)}, nil
	}
	if !versionLine.Match(before.Files[manifestFile]) {
		return Upgraded{}, fmt.Errorf("%w: %s/%s: rego_version: 0 does not stand on a line of its own", ErrCompile, s.Name, manifestFile)
	}
	after := Set{Name: s.Name, Files: maps.Clone(before.Files)}
	for name, src := range before.Files {
		switch {
		case name == manifestFile:
			after.Files[name] = versionLine.ReplaceAll(src, []byte("${1}1"))
		case strings.HasSuffix(name, ".rego"):
			if after.Files[name], err = rewrite(s.Name+"/"+name, src); err != nil {
				return Upgraded{}, fmt.Errorf("%w: rewrite to v1: %s", ErrCompile, said(err))
			}
		}
	}
	now, err := compileModules(after, Data{})
	if err != nil {
		return Upgraded{}, fmt.Errorf("the set as rewritten: %w", err)
	}
	u := Upgraded{Files: filesChanged(s, after)}
	if err := u.compare(ctx, old, now); err != nil {
		return Upgraded{}, err
	}
	return u, nil
}

// versionLine is the line of a manifest that states the version.
var versionLine = regexp.MustCompile(`(?m)^(rego_version:\s*)0\b`)

// filesChanged returns the files of after that s does not hold as they are.
func filesChanged(s, after Set) map[string][]byte {
	files := map[string][]byte{}
	for name, b := range after.Files {
		if !bytes.Equal(b, s.Files[name]) {
			files[name] = b
		}
	}
	return files
}

func rewrite(name string, src []byte) ([]byte, error) {
	return format.SourceWithOpts(name, src, format.Opts{
		RegoVersion: ast.RegoV1, DropRedundantDirectiveImports: true,
		ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV0, ProcessAnnotation: true},
	})
}

// compare evaluates both and counts.
func (u *Upgraded) compare(ctx context.Context, old, now *compiled) error {
	packages := map[string]ast.Ref{}
	for _, m := range old.loaded.modules {
		packages[m.Package.Path.String()] = m.Package.Path
	}
	same := func(what string, input []byte) (bool, error) {
		doc, err := parseDocument(input, gates[old.loaded.manifest.gate()]())
		if err != nil {
			return false, nil //nolint:nilerr // no input of either
		}
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			a, errA := old.document(ctx, packages[name], doc)
			b, errB := now.document(ctx, packages[name], doc)
			if err := ctx.Err(); err != nil {
				return false, fmt.Errorf("compare the policies: %w", err)
			}
			if (errA == nil) != (errB == nil) || (a == nil) != (b == nil) || a != nil && a.Compare(b) != 0 {
				return false, fmt.Errorf("%w: %s, %s: it was %s, and is %s", ErrDiffers, what, name, shown(a, errA), shown(b, errB))
			}
		}
		return true, nil
	}
	for _, name := range old.loaded.cases {
		cases, err := parseCases(old.loaded.set.Files[name])
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrCases, name, err)
		}
		for _, tc := range cases {
			input, err := caseInput(old.loaded.manifest.gate(), tc.Input)
			if err != nil {
				return fmt.Errorf("%w: %s: %q: %w", ErrCases, name, tc.Note, err)
			}
			ok, err := same(fmt.Sprintf("case %q", tc.Note), input)
			if err != nil {
				return err
			}
			if ok {
				u.Cases++
			}
		}
	}
	for what, input := range generate(old.loaded) {
		ok, err := same(what, input)
		if err != nil {
			return err
		}
		if ok {
			u.Inputs++
		}
	}
	if u.Inputs == 0 {
		return fmt.Errorf("%w: no input could be generated to compare them with", ErrDiffers)
	}
	return nil
}

// document evaluates a whole package.
func (c *compiled) document(ctx context.Context, pkg ast.Ref, input ast.Value) (ast.Value, error) {
	q, err := c.query(pkg)
	if err != nil {
		return nil, err
	}
	return c.eval(ctx, q, ast.NewTerm(input))
}

func shown(v ast.Value, err error) string {
	switch {
	case err != nil:
		return "an error"
	case v == nil:
		return "undefined"
	}
	s := clean(v.String())
	return s[:min(len(s), 200)]
}

// mendQuotes puts strings in single quotes into double ones. It leaves alone what stands in other
// strings and in comments.
func mendQuotes(src []byte) ([]byte, error) {
	var out bytes.Buffer
	line := 1
	for i := 0; i < len(src); i++ {
		switch c := src[i]; c {
		case '\n':
			line++
			out.WriteByte(c)
		case '#':
			end := i + bytes.IndexByte(append(src[i:len(src):len(src)], '\n'), '\n')
			out.Write(src[i:end])
			i = end - 1
		case '"', '`', '\'':
			end := i + 1
			for ; end < len(src) && src[end] != c && (c == '`' || src[end] != '\n'); end++ {
				if c != '`' && src[end] == '\\' && end+1 < len(src) {
					end++
				}
			}
			if end >= len(src) || src[end] != c {
				return nil, fmt.Errorf("%d: the string that begins with %c has no end", line, c)
			}
			line += bytes.Count(src[i:end], []byte("\n"))
			if c != '\'' {
				out.Write(src[i : end+1])
			} else {
				out.Write(doubleQuoted(src[i+1 : end]))
			}
			i = end
		default:
			out.WriteByte(c)
		}
	}
	return out.Bytes(), nil
}

// doubleQuoted is the content of a string in single quotes as a string of Rego.
func doubleQuoted(b []byte) []byte {
	out := []byte{'"'}
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\' && i+1 < len(b) && b[i+1] == '\'':
			out = append(out, '\'')
			i++
		case b[i] == '\\' && i+1 < len(b):
			out = append(out, b[i], b[i+1])
			i++
		case b[i] == '"':
			out = append(out, '\\', '"')
		default:
			out = append(out, b[i])
		}
	}
	return append(out, '"')
}

// encode is the JSON of a generated input.
func encode(doc map[string]any) []byte {
	b, err := sallyport.EncodeJSON(doc)
	if err != nil {
		panic("policy: an input does not encode: " + err.Error()) // cannot happen: it was decoded from JSON
	}
	return b
}

// openDocument is openInput as JSON has it.
func openDocument() map[string]any {
	b, err := sallyport.EncodeJSON(openInput())
	var doc map[string]any
	if err == nil {
		err = json.Unmarshal(b, &doc)
	}
	if err != nil {
		panic("policy: an input does not encode: " + err.Error()) // cannot happen
	}
	return doc
}
