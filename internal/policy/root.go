package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Where governed files live.
const (
	GovernedDir = ".sallyport/"
	RootPath    = GovernedDir + "root.json"
	// SignaturesDir holds the signatures over root.json. What is in it is no part of any root: it
	// proves itself or is nothing.
	SignaturesDir = GovernedDir + "root.signatures/"
)

// What VerifyRoot, VerifyFresh and Resolve fail with.
var (
	ErrUnpinned    = errors.New("no root digest is pinned")
	ErrRootChanged = errors.New("the governed files are not those of the pinned root")
	ErrNoRoot      = errors.New("the pinned root is nowhere to be found")
	ErrRootExpired = errors.New("the pinned root expired")
	ErrGoverned    = errors.New("governed files are malformed")
)

// MaxRoot is how large a root.json may be, in bytes.
const MaxRoot = 1 << 20

// Limits of governed files.
const (
	maxGovernedFiles = 2000
	maxGovernedBytes = 16 << 20
	maxRootKeys      = 100
	maxRootVersion   = 1 << 20
)

// GovernedDigest names governed files by content: the paths in order, and each file's bytes.
func GovernedDigest(files map[string][]byte) sallyport.Digest {
	return digestFiles("sallyport governed files v1\n", files)
}

// RootDigest names governed files by what a pin would have to be for them: the SHA-256 of
// root.json if they are exactly the files that it lists, else GovernedDigest, which is no
// root.json's. No files have no digest. Signatures do not matter.
func RootDigest(files map[string][]byte) sallyport.Digest {
	files = withoutSignatures(files)
	if len(files) == 0 {
		return ""
	}
	if root, ok := files[RootPath]; ok {
		if pin := sallyport.SHA256(root); VerifyRoot(files, pin) == nil {
			return pin
		}
	}
	return GovernedDigest(files)
}

// A Root is the file .sallyport/root.json.
type Root struct {
	// Version counts the roots of a repository, from 1. Only version 1 has no Previous.
	Version int `json:"version"`
	// Previous is the digest of the version before this one.
	Previous sallyport.Digest `json:"previous,omitempty"`
	// Repository is the configuration's name of the repository. A root without it has no next
	// version, and one with another name is no next version: signatures given in a fork are
	// worth nothing here.
	Repository string `json:"repository,omitempty"`
	// Solo is the person who is the whole team, by roster id; empty for a team. That person may
	// approve what agents that they operate made, and every decision says so.
	Solo string `json:"solo,omitempty"`
	// Expires is the RFC 3339 time from which nothing is decided under the root; empty for never.
	Expires string `json:"expires"`
	// Threshold of the Keys, each another person's, must sign the next version, and this one if it
	// has a Previous. Without keys it is zero, and the only way to the next version is another pin.
	Threshold int       `json:"threshold"`
	Keys      []RootKey `json:"keys"`
	// Files are all governed files but this one, by path.
	Files []RootFile `json:"files"`
}

// A RootKey is the key of a person with the role root.
type RootKey struct {
	Person      string `json:"person"`      // the roster's id
	Fingerprint string `json:"fingerprint"` // "SHA256:…", as ssh-keygen -l prints it
}

// A RootFile is one governed file.
type RootFile struct {
	Path   string           `json:"path"` // from the top of the repository
	SHA256 sallyport.Digest `json:"sha256"`
}

// RootOptions are what InitRoot cannot find out from the files.
type RootOptions struct {
	Previous   *Root  // the version before; nil makes version 1
	PreviousIs []byte // the bytes of Previous
	Repository string
	Solo       string
	Keys       []RootKey
	Threshold  int
	Expires    time.Time // zero for never
}

// InitRoot returns the bytes of a root.json for files; an older root.json among them is left
// out. The result is indented, for its reviewers, and the same for the same arguments.
func InitRoot(files map[string][]byte, o RootOptions) ([]byte, error) {
	r := Root{Version: 1, Repository: o.Repository, Solo: o.Solo, Threshold: o.Threshold, Keys: slices.Clone(o.Keys), Files: []RootFile{}}
	if r.Keys == nil {
		r.Keys = []RootKey{}
	}
	if o.Previous != nil {
		r.Version, r.Previous = o.Previous.Version+1, sallyport.SHA256(o.PreviousIs)
	}
	slices.SortFunc(r.Keys, func(a, b RootKey) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	if !o.Expires.IsZero() {
		r.Expires = o.Expires.UTC().Format(time.RFC3339)
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if p != RootPath && !isSignature(p) {
			r.Files = append(r.Files, RootFile{p, sallyport.SHA256(files[p])})
		}
	}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	return buf.Bytes(), nil
}

// ParseRoot decodes and validates root.json.
func ParseRoot(b []byte) (Root, error) {
	var r Root
	if err := strict.JSON(b, MaxRoot, &r); err != nil {
		return Root{}, fmt.Errorf("parse %s: %w", RootPath, err)
	}
	if err := r.validate(); err != nil {
		return Root{}, fmt.Errorf("parse %s: %w", RootPath, err)
	}
	return r, nil
}

// Expired reports whether the root is stale at the time now.
func (r Root) Expired(now time.Time) bool {
	if r.Expires == "" {
		return false
	}
	t, err := time.Parse(time.RFC3339, r.Expires)
	return err != nil || !now.Before(t)
}

// VerifyFresh returns an error that wraps ErrRootExpired if the root.json among files, which
// [VerifyRoot] verified, is stale at the time now.
func VerifyFresh(files map[string][]byte, now time.Time) error {
	r, err := ParseRoot(files[RootPath])
	if err != nil {
		return err
	}
	if r.Expired(now) {
		return fmt.Errorf("%w on %s", ErrRootExpired, r.Expires)
	}
	return nil
}

func (r Root) validate() error {
	if r.Version < 1 || r.Version > maxRootVersion {
		return fmt.Errorf("version is %d, want 1 to %d", r.Version, maxRootVersion)
	}
	if d, err := sallyport.ParseDigest(string(r.Previous)); r.Version == 1 && !r.Previous.Zero() || r.Version > 1 && (err != nil || d.Algorithm() != "sha256") {
		return fmt.Errorf("previous is %.80q in version %d: the first version has none, every other a sha256 digest", r.Previous, r.Version)
	}
	if strings.TrimSpace(r.Repository) != r.Repository || len(r.Repository) > 256 {
		return fmt.Errorf("repository %.80q is no name", r.Repository)
	}
	if len(r.Keys) > maxRootKeys {
		return fmt.Errorf("it lists %d keys, the limit is %d", len(r.Keys), maxRootKeys)
	}
	if _, err := time.Parse(time.RFC3339, r.Expires); r.Expires != "" && err != nil {
		return fmt.Errorf("expires: %w", err)
	}
	persons, prints := map[string]bool{}, map[string]bool{}
	for _, k := range r.Keys {
		if k.Person == "" || !strings.HasPrefix(k.Fingerprint, "SHA256:") {
			return fmt.Errorf("key %q of %q: want a person and a SHA256: fingerprint", k.Fingerprint, k.Person)
		}
		if prints[k.Fingerprint] {
			return fmt.Errorf("key %s stands twice", k.Fingerprint)
		}
		if r.Solo != "" && k.Person != r.Solo {
			return fmt.Errorf("solo is %q, and %q holds a root key: a team of one is one", r.Solo, k.Person)
		}
		persons[k.Person], prints[k.Fingerprint] = true, true
	}
	// A threshold of zero with keys would let anybody sign the next version; one above the
	// number of persons would let nobody.
	if (r.Threshold < 1) != (len(persons) == 0) || r.Threshold < 0 || r.Threshold > len(persons) {
		return fmt.Errorf("threshold is %d of %d persons", r.Threshold, len(persons))
	}
	if len(r.Files) == 0 {
		return errors.New("it lists no files")
	}
	if len(r.Files) > maxGovernedFiles {
		return fmt.Errorf("it lists %d files, the limit is %d", len(r.Files), maxGovernedFiles)
	}
	last := ""
	for _, f := range r.Files {
		if err := checkGovernedPath(f.Path); err != nil {
			return err
		}
		if f.Path == RootPath || isSignature(f.Path) || f.Path <= last {
			return fmt.Errorf("%q stands twice, out of order, or is the root itself or a signature", f.Path)
		}
		last = f.Path
		if d, err := sallyport.ParseDigest(string(f.SHA256)); err != nil || d.Algorithm() != "sha256" {
			return fmt.Errorf("%q: want a sha256 digest, have %q", f.Path, f.SHA256)
		}
	}
	return nil
}

func checkGovernedPath(p string) error {
	if !strings.HasPrefix(p, GovernedDir) || path.Clean(p) != p || strings.ContainsRune(p, 0) || !utf8.ValidString(p) {
		return fmt.Errorf("%q is no path under %s", p, GovernedDir)
	}
	return nil
}

// VerifyRoot reports whether files, by path from the top of the repository, are exactly the
// governed files of the root whose digest is pin. The error names the first file that differs.
// Files in SignaturesDir are not asked about.
func VerifyRoot(files map[string][]byte, pin sallyport.Digest) error {
	if pin.Zero() {
		return ErrUnpinned
	}
	root, ok := files[RootPath]
	if !ok {
		return fmt.Errorf("%w: %s is missing", ErrRootChanged, RootPath)
	}
	if have := sallyport.SHA256(root); have != pin {
		return fmt.Errorf("%w: %s is %s, pinned is %s", ErrRootChanged, RootPath, have, pin)
	}
	r, err := ParseRoot(root)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRootChanged, err)
	}
	listed := map[string]bool{RootPath: true}
	for _, f := range r.Files {
		listed[f.Path] = true
		b, ok := files[f.Path]
		if !ok {
			return fmt.Errorf("%w: %s is missing", ErrRootChanged, f.Path)
		}
		if sallyport.SHA256(b) != f.SHA256 {
			return fmt.Errorf("%w: %s was changed", ErrRootChanged, f.Path)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if !listed[p] && !isSignature(p) {
			return fmt.Errorf("%w: %s was added", ErrRootChanged, sallyport.Path(p))
		}
	}
	return nil
}
