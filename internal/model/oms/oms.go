// Package oms reads and writes the statements of the OpenSSF Model Signing specification, v1.0: signed lists of
// the files of a model.
//
// A statement is an in-toto Statement v1 of type https://model_signing/signature/v1.0. Its one subject has as digest the
// root, the SHA-256 over the binary digests of all files in the order in which the predicate lists them. The predicate names
// each file with its digest, and says how the list was made: the method (files), the hash (sha256), whether symbolic links
// were followed, and which paths were left out.
//
// [Statement.Compare] holds a folder against such a list and says of each file how it differs: changed, missing, added, renamed.
// A link that leads out of the folder, and anything that is neither file nor folder, is refused however the list
// was made. Files in shards and other hashes are refused as not supported, never passed over.
//
// The package verifies no signature: whoever calls it has done so.
package oms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Type is the predicate type of the specification.
const Type = "https://model_signing/signature/v1.0"

// Bounds.
const (
	MaxStatement = 64 << 20
	MaxFiles     = 200_000
	maxPath      = 4096
	maxIgnored   = 1000
)

// ErrStatement is wrapped by every error about a statement that is none of this type, or is not supported.
var ErrStatement = errors.New("model signature")

// A File is one file of a model.
type File struct {
	Name   string `json:"name"` // with slashes, below the model's folder
	Digest string `json:"digest"`

	Algorithm string `json:"algorithm"`
}

// Serialization says how a list was made.
type Serialization struct {
	Method        string   `json:"method"`
	HashType      string   `json:"hash_type"`
	AllowSymlinks bool     `json:"allow_symlinks"`
	IgnorePaths   []string `json:"ignore_paths"`
}

// Predicate is the body of a statement.
type Predicate struct {
	Serialization Serialization `json:"serialization"`
	Resources     []File        `json:"resources"`
}

// A Statement is one that was read.
type Statement struct {
	Name string           // of the model, as its signer calls it
	Root sallyport.Digest // over all files
	Predicate
}

// Parse reads a statement, and checks that its root is that of its files.
func Parse(b []byte) (Statement, error) {
	fail := func(format string, args ...any) (Statement, error) {
		return Statement{}, fmt.Errorf("%w: %w", ErrStatement, fmt.Errorf(format, args...))
	}
	if err := strict.CheckJSON(b, MaxStatement); err != nil {
		return fail("%w", err)
	}
	var st sallyport.Statement
	if err := json.Unmarshal(b, &st); err != nil {
		return fail("%w", err)
	}
	if st.Type != sallyport.StatementType || st.PredicateType != Type {
		return fail("it is a statement of type %.200q, want %s", st.PredicateType, Type)
	}
	if len(st.Subject) != 1 {
		return fail("it has %d subjects, want one", len(st.Subject))
	}
	s := Statement{Name: st.Subject[0].Name, Root: sallyport.Digest("sha256:" + st.Subject[0].Digest["sha256"])}
	if err := json.Unmarshal(st.Predicate, &s.Predicate); err != nil {
		return fail("%w", err)
	}
	switch z := s.Serialization; {
	case z.Method != "files":
		return fail("its files are listed by the method %.80q, and this release reads files", z.Method)
	case z.HashType != "sha256":
		return fail("its files are listed by the hash %.80q, and this release reads sha256", z.HashType)
	case len(s.Resources) == 0 || len(s.Resources) > MaxFiles:
		return fail("it lists %d files, want 1 to %d", len(s.Resources), MaxFiles)
	case len(z.IgnorePaths) > maxIgnored:
		return fail("it leaves out %d paths, the limit is %d", len(z.IgnorePaths), maxIgnored)
	}
	seen := map[string]bool{}
	for _, f := range s.Resources {
		sum, err := hex.DecodeString(f.Digest)
		switch {
		case !clean(f.Name):
			return fail("%.200q is no path below the model's folder", f.Name)
		case seen[f.Name]:
			return fail("%.200q stands twice", f.Name)
		case f.Algorithm != "sha256" || err != nil || len(sum) != sha256.Size || f.Digest != strings.ToLower(f.Digest):
			return fail("%.200q has no sha256 digest", f.Name)
		}
		seen[f.Name] = true
	}
	if root := RootOf(s.Resources); root != s.Root {
		return fail("its subject is %s, and its files come to %s", s.Root, root)
	}
	return s, nil
}

func clean(name string) bool {
	return name != "." && len(name) <= maxPath && fs.ValidPath(name) && !strings.ContainsAny(name, "\x00\\")
}

// RootOf returns the digest over the digests of files, in their order.
func RootOf(files []File) sallyport.Digest {
	h := sha256.New()
	for _, f := range files {
		sum, err := hex.DecodeString(f.Digest)
		if err != nil {
			return ""
		}
		h.Write(sum)
	}
	return sallyport.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// A Difference is one file that is not as it was signed.
type Difference struct {
	Kind string `json:"kind"` // changed, missing, added, renamed, refused
	Name string `json:"name"`
	Why  string `json:"why,omitempty"`
}

// String says it in one line.
func (d Difference) String() string {
	if d.Why != "" {
		return d.Kind + " " + sallyport.Path(d.Name).String() + ": " + d.Why
	}
	return d.Kind + " " + sallyport.Path(d.Name).String()
}

// Options say how a folder is read.
type Options struct {
	AllowSymlinks bool     // follow links to files, as long as they stay in the folder
	Ignore        []string // paths that are left out with all below them
}

// Scan lists the files of a folder, sorted by name. What is refused is told, and not listed.
func Scan(ctx context.Context, root *os.Root, o Options) (files []File, refused []Difference, err error) {
	ignored := map[string]bool{}
	for _, p := range o.Ignore {
		ignored[path.Clean(p)] = true
	}
	err = fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read %s: %w", sallyport.Path(p), err)
		case ctx.Err() != nil:
			return ctx.Err()
		case p != "." && ignored[p]:
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir():
			return nil
		}
		if len(files)+len(refused) >= MaxFiles {
			return fmt.Errorf("there are more than %d files", MaxFiles)
		}
		digest, why, err := digestOf(ctx, root, p, e, o)
		if err != nil {
			return err
		}
		if why != "" {
			refused = append(refused, Difference{"refused", p, why})
			return nil
		}
		files = append(files, File{Name: p, Digest: digest, Algorithm: "sha256"})
		return nil
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, refused, err
}

// digestOf digests one file, or says why it is refused.
func digestOf(ctx context.Context, root *os.Root, p string, e fs.DirEntry, o Options) (digest, why string, err error) {
	link := e.Type()&fs.ModeSymlink != 0
	switch {
	case link && !o.AllowSymlinks:
		return "", "it is a symbolic link, and the list was made without any", nil
	case !link && !e.Type().IsRegular():
		return "", "it is neither a file nor a folder", nil
	case !clean(p):
		return "", "its name cannot be written in a list", nil
	}
	f, err := root.Open(p) // os.Root follows no link that leads out of it
	if err != nil {
		if link {
			return "", "it is a symbolic link that leads out of the folder, or nowhere", nil
		}
		return "", "", fmt.Errorf("read %s: %w", sallyport.Path(p), err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", fmt.Errorf("read %s: %w", sallyport.Path(p), err)
	}
	if !info.Mode().IsRegular() {
		return "", "it is a symbolic link to something else than a file", nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, untilDone{ctx, f}); err != nil {
		return "", "", fmt.Errorf("read %s: %w", sallyport.Path(p), err)
	}
	return hex.EncodeToString(h.Sum(nil)), "", nil
}

// untilDone stops reading when ctx ends: weights may be large.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// Compare reads a folder as the statement says it was read, and returns what differs, sorted by name. Skip are
// further paths that are left out: the signature itself, where it lies in the folder.
func (s Statement) Compare(ctx context.Context, root *os.Root, skip ...string) ([]Difference, error) {
	have, out, err := Scan(ctx, root, Options{s.Serialization.AllowSymlinks, append(slices.Clone(s.Serialization.IgnorePaths), skip...)})
	if err != nil {
		return nil, err
	}
	want := map[string]string{}
	for _, f := range s.Resources {
		want[f.Name] = f.Digest
	}
	for _, d := range out {
		delete(want, d.Name)
	}
	var added []File
	for _, f := range have {
		digest, known := want[f.Name]
		switch {
		case !known:
			added = append(added, f)
		case digest != f.Digest:
			out = append(out, Difference{"changed", f.Name, ""})
		}
		delete(want, f.Name)
	}
	gone := map[string][]string{} // by digest
	for _, f := range s.Resources {
		if _, ok := want[f.Name]; ok {
			gone[f.Digest] = append(gone[f.Digest], f.Name)
		}
	}
	for _, f := range added {
		if names := gone[f.Digest]; len(names) > 0 {
			out = append(out, Difference{"renamed", f.Name, "it was signed as " + sallyport.Path(names[0]).String()})
			delete(want, names[0])
			gone[f.Digest] = names[1:]
			continue
		}
		out = append(out, Difference{"added", f.Name, ""})
	}
	for name := range want {
		out = append(out, Difference{"missing", name, ""})
	}
	slices.SortFunc(out, func(a, b Difference) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Defaults are the paths that the reference implementation leaves out.
func Defaults() []string { return []string{".git", ".gitattributes", ".github", ".gitignore"} }

// New returns the statement to sign for the files of a folder.
func New(name string, files []File, o Options) (sallyport.Statement, error) {
	if len(files) == 0 {
		return sallyport.Statement{}, fmt.Errorf("%w: there are no files to sign", ErrStatement)
	}
	root := RootOf(files)
	body, err := sallyport.EncodeJSON(Predicate{
		Serialization: Serialization{Method: "files", HashType: "sha256", AllowSymlinks: o.AllowSymlinks, IgnorePaths: append([]string{}, o.Ignore...)},
		Resources:     files,
	})
	if err != nil {
		return sallyport.Statement{}, err
	}
	return sallyport.Statement{
		Type: sallyport.StatementType, PredicateType: Type, Predicate: body,
		Subject: []sallyport.StatementSubject{{Name: name, Digest: map[string]string{"sha256": root.Hex()}}},
	}, nil
}
