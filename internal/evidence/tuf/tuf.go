// Package tuf keeps a Sigstore trusted root up to date from a repository of The Update Framework
// (https://theupdateframework.github.io/specification/latest/), such as the one of the public Sigstore instance.
// What the framework demands of a client is go-tuf's to do; what is kept, what it is worth later and how a
// file is fetched is decided here.
//
// [Update] starts from a root that was pinned, in the program or by whoever runs it, follows the chain of
// roots that follow it, and takes a trusted root only if a threshold of the targets role's keys signed it.
// It refuses
//
//   - what is older than what was seen before (rollback), of every role: see [State];
//   - what has expired (freeze): who keeps a client from the news cannot do so for longer than the
//     timestamp lives, which is days;
//   - more bytes than a file may have, or than the metadata say that it has (endless data);
//   - fewer signatures than the role's threshold, a root that the one before it did not sign, and files that
//     are not of one snapshot.
//
// A State is everything that was believed, in one file, so that it is replaced whole or not at all. [Load]
// believes nothing because it is in that file: it starts at the pinned root again and verifies every
// signature and digest up to the trusted root, whoever wrote the file. Only time is not asked there: what was
// taken while it was fresh stays in use until something newer is taken, and says until when it was vouched for.
//
// Two things go-tuf leaves to its caller. Its updater starts each time at the root that it is given and so
// would not notice that a mirror serves an older one; the chain of roots is kept here, and it starts at the
// newest. And it writes what it fetched one file at a time; here it does so in a folder that is thrown away.
package tuf

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	sigstoretuf "github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// PublicMirror is where the public Sigstore instance's repository is.
const PublicMirror = sigstoretuf.DefaultMirror

// PublicRoot is the root of the public instance's repository, as this program pins it.
func PublicRoot() []byte { return sigstoretuf.DefaultRoot() }

// Bounds.
const (
	MaxRoot   = 512_000 // of a root that is pinned, in bytes
	MaxState  = 8 << 20
	maxTarget = 1 << 20 // as large as a trusted root may be
	maxRoots  = 256     // that may follow one another
)

// target is the name of a trusted root in every repository that has one.
const target = "trusted_root.json"

// Why a repository is not believed. An error that wraps none of these is about reaching it.
var (
	ErrExpired  = errors.New("it has expired: nobody vouches that it is the newest (a freeze attack, or a repository that nobody looks after)")
	ErrRollback = errors.New("it is older than what was seen before (a rollback attack)")
	ErrUnsigned = errors.New("too few of the keys that have to sign it did")
	ErrTooLarge = errors.New("it is larger than it may be (an endless data attack)")
	ErrMismatch = errors.New("it is not the file that the snapshot names (a mix-and-match attack)")
	ErrInvalid  = errors.New("it is no metadata that can be used")
	ErrState    = errors.New("what is kept of the repository does not verify")
)

// ErrNotFound is what a [Getter] returns for a file that the repository does not have.
var ErrNotFound = errors.New("the repository does not have it")

// A Getter returns a file of a repository by its path below the repository. It must not return more than limit
// bytes, and fails with ErrTooLarge if there are more.
type Getter func(path string, limit int64) ([]byte, error)

// A State is what is believed of a repository. Nobody but this package looks into it, and what is in a file
// counts after [Load] alone.
type State struct {
	Version     int               `json:"version"` // of this format: 1
	Mirror      string            `json:"mirror"`  // where it came from, for people
	Fetched     time.Time         `json:"fetched"` // for people: no signature covers it
	Roots       []json.RawMessage `json:"roots"`   // that followed the pinned one, in order
	Timestamp   json.RawMessage   `json:"timestamp"`
	Snapshot    json.RawMessage   `json:"snapshot"`
	Targets     json.RawMessage   `json:"targets"`
	TrustedRoot []byte            `json:"trusted_root"`
}

// An Info says what a state is worth.
type Info struct {
	Mirror      string           `json:"mirror"`
	Fetched     time.Time        `json:"fetched"`       // as the state says
	VouchedFor  time.Time        `json:"vouched_until"` // when the timestamp role's word ends
	Root        int64            `json:"root_version"`
	RootExpires time.Time        `json:"root_expires"`
	Timestamp   int64            `json:"timestamp_version"`
	Snapshot    int64            `json:"snapshot_version"`
	Targets     int64            `json:"targets_version"`
	TrustedRoot sallyport.Digest `json:"trusted_root"`
}

// Name says what the trusted root is, for people.
func (i Info) Name() string {
	return fmt.Sprintf("of %s, fetched %s, vouched for until %s (TUF root %d, targets %d)",
		i.Mirror, i.Fetched.UTC().Format(time.DateOnly), i.VouchedFor.UTC().Format(time.DateOnly), i.Root, i.Targets)
}

// Load reads a state and verifies it from the pinned root on. The error of a state that does not verify wraps
// [ErrState].
func Load(pinned, b []byte) (*State, Info, error) {
	s, info, _, err := load(pinned, b)
	if err != nil {
		return nil, Info{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	return s, info, nil
}

// load also returns the newest root.
func load(pinned, b []byte) (*State, Info, []byte, error) {
	var s State
	if err := strict.JSON(b, MaxState, &s); err != nil {
		return nil, Info{}, nil, err
	}
	if s.Version != 1 || len(s.Roots) > maxRoots || len(s.TrustedRoot) > maxTarget {
		return nil, Info{}, nil, ErrInvalid
	}
	t, err := trustedmetadata.New(pinned)
	if err != nil {
		return nil, Info{}, nil, explain(err)
	}
	newest := pinned
	for _, r := range s.Roots {
		if _, err := t.UpdateRoot(r); err != nil {
			return nil, Info{}, nil, fmt.Errorf("root %d: %w", t.Root.Signed.Version+1, explain(err))
		}
		newest = r
	}
	t.RefTime = time.Time{} // before all expiry: see the package comment
	if _, err := t.UpdateTimestamp(s.Timestamp); err != nil {
		return nil, Info{}, nil, fmt.Errorf("timestamp: %w", explain(err))
	}
	if _, err := t.UpdateSnapshot(s.Snapshot, false); err != nil {
		return nil, Info{}, nil, fmt.Errorf("snapshot: %w", explain(err))
	}
	if _, err := t.UpdateTargets(s.Targets); err != nil {
		return nil, Info{}, nil, fmt.Errorf("targets: %w", explain(err))
	}
	file := t.Targets[metadata.TARGETS].Signed.Targets[target]
	if file == nil {
		return nil, Info{}, nil, fmt.Errorf("%w: it has no %s", ErrInvalid, target)
	}
	if err := verifyTarget(file, s.TrustedRoot); err != nil {
		return nil, Info{}, nil, fmt.Errorf("%s: %w", target, explain(err))
	}
	return &s, Info{
		Mirror: s.Mirror, Fetched: s.Fetched, VouchedFor: t.Timestamp.Signed.Expires, Root: t.Root.Signed.Version, RootExpires: t.Root.Signed.Expires,
		Timestamp: t.Timestamp.Signed.Version, Snapshot: t.Snapshot.Signed.Version, Targets: t.Targets[metadata.TARGETS].Signed.Version,
		TrustedRoot: sallyport.SHA256(s.TrustedRoot),
	}, newest, nil
}

// verifyTarget is go-tuf's, which takes a file without a digest for good.
func verifyTarget(file *metadata.TargetFiles, b []byte) error {
	if len(file.Hashes["sha256"]) != 32 && len(file.Hashes["sha512"]) != 64 {
		return fmt.Errorf("%w: no SHA-256 or SHA-512 of %s is named", ErrInvalid, target)
	}
	return file.VerifyLengthHashes(b)
}

// Update fetches what is new since the state before, which may be nil, and returns the state that follows it.
// The state before was verified by [Load] under the same pinned root.
func Update(pinned, before []byte, mirror string, get Getter, now time.Time) (_ []byte, _ Info, err error) {
	known, newest := &State{}, pinned
	if before != nil {
		if known, _, newest, err = load(pinned, before); err != nil {
			return nil, Info{}, fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	dir, err := os.MkdirTemp("", "sallyport-tuf-")
	if err != nil {
		return nil, Info{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := func(role string) string { return filepath.Join(dir, role+".json") }
	for role, b := range map[string][]byte{metadata.TIMESTAMP: known.Timestamp, metadata.SNAPSHOT: known.Snapshot, metadata.TARGETS: known.Targets} {
		if b == nil {
			continue
		}
		if err := os.WriteFile(file(role), b, 0o600); err != nil { //nolint:forbidigo // go-tuf reads it, and then the folder is gone
			return nil, Info{}, err
		}
	}
	f := &fetcher{get: get}
	cfg, err := config.New(base, newest)
	if err != nil {
		return nil, Info{}, err
	}
	cfg.Fetcher, cfg.LocalMetadataDir, cfg.LocalTargetsDir = f, dir, filepath.Join(dir, "targets")
	cfg.MaxRootRotations = maxRoots
	u, err := updater.New(cfg)
	if err != nil {
		return nil, Info{}, explain(err)
	}
	u.UnsafeSetRefTime(now.UTC()) // the caller's clock, as everywhere
	if err := u.Refresh(); err != nil {
		return nil, Info{}, f.explain(err)
	}
	info := u.GetTopLevelTargets()[target]
	if info == nil {
		return nil, Info{}, fmt.Errorf("%w: it has no %s", ErrInvalid, target)
	}
	if info.Length > maxTarget {
		return nil, Info{}, fmt.Errorf("%s: %w", target, ErrTooLarge)
	}
	_, trusted, err := u.DownloadTarget(info, "", "")
	if err != nil {
		return nil, Info{}, f.explain(err)
	}
	next := State{Version: 1, Mirror: mirror, Fetched: now.UTC().Truncate(time.Second), Roots: append(known.Roots, f.roots...), TrustedRoot: trusted}
	for role, to := range map[string]*json.RawMessage{metadata.TIMESTAMP: &next.Timestamp, metadata.SNAPSHOT: &next.Snapshot, metadata.TARGETS: &next.Targets} {
		if *to, err = os.ReadFile(file(role)); err != nil {
			return nil, Info{}, err
		}
	}
	out, err := json.Marshal(next)
	if err != nil {
		return nil, Info{}, err
	}
	_, sum, err := Load(pinned, out) // so that nothing is kept that cannot be read
	return out, sum, err
}

// base stands for the repository in go-tuf's addresses: where it is, the getter knows.
const base = "https://repository.invalid"

// A fetcher is go-tuf's way to a getter. It remembers the roots that were fetched: go-tuf keeps the newest
// alone, from which nobody could come back to the pinned one.
type fetcher struct {
	get   Getter
	path  string // that was asked for last
	roots []json.RawMessage
}

// DownloadFile fetches a file of the repository.
func (f *fetcher) DownloadFile(url string, limit int64, _ time.Duration) ([]byte, error) {
	path, ok := strings.CutPrefix(url, base+"/")
	if !ok {
		return nil, fmt.Errorf("%.200q is not of the repository", url)
	}
	f.path = path
	b, err := f.get(path, limit)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, &metadata.ErrDownloadHTTP{StatusCode: 404, URL: path}
	case errors.Is(err, ErrTooLarge), err == nil && int64(len(b)) > limit:
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: path}
	case err != nil:
		return nil, err
	}
	if strings.HasSuffix(path, ".root.json") {
		f.roots = append(f.roots, b)
	}
	return b, nil
}

// explain says of which file an error is.
func (f *fetcher) explain(err error) error {
	return fmt.Errorf("%s: %w", strings.ReplaceAll(f.path, "\n", " "), explain(err))
}

// explain tells go-tuf's errors apart.
func explain(err error) error {
	var missing *metadata.ErrDownloadHTTP
	switch {
	case errors.Is(err, ErrInvalid):
		return err
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return ErrExpired
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return ErrUnsigned
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		return ErrRollback
	case errors.Is(err, &metadata.ErrDownloadLengthMismatch{}):
		return ErrTooLarge
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		return ErrMismatch
	case errors.As(err, &missing):
		return ErrNotFound
	case errors.Is(err, &metadata.ErrRepository{}), errors.Is(err, &metadata.ErrValue{}), errors.Is(err, &metadata.ErrType{}), errors.Is(err, &metadata.ErrRuntime{}):
		return fmt.Errorf("%w: %.200s", ErrInvalid, strings.ToValidUTF8(err.Error(), "?"))
	}
	return err
}
