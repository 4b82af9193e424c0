package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// RootNamespace is the SSHSIG namespace of a signature over the bytes of a root.json:
//
//	ssh-keygen -Y check-novalidate -n root@sallyport.dev -s SIGNATURE < .sallyport/root.json
//
// It keeps such a signature from meaning anything elsewhere, and a commit's from meaning anything
// here.
const RootNamespace = "root@sallyport.dev"

// What following a chain of roots fails with. None leaves an earlier version in force: whoever
// an earlier version trusted may be whom a later one put out.
var (
	ErrRootForked = errors.New("two next versions of the root are signed")
	ErrRootStale  = errors.New("the signatures that lead to the root in force have expired")
	ErrRootBeyond = errors.New("the tip holds a later version of the root that the pin does not lead to")
	ErrTooMuch    = errors.New("the history of the governed files is too long to be followed")
)

// A Keyring says what the governed files of one version say about an SSH key: whose it is,
// whether a touched signature of it proves that person's presence as long as it is valid, and
// the last instant at which it is; zero for no end. Person is empty for a key that they do not
// hold. It must be safe for concurrent use.
type Keyring func(files map[string][]byte, fingerprint string) (person string, present bool, notAfter time.Time)

// A Version is one version of the root that was seen, and what its signatures come to.
type Version struct {
	Number int              `json:"version"`
	Root   sallyport.Digest `json:"root"`
	At     string           `json:"at,omitempty"` // the newest commit that was seen to hold its files
	// Signers are the persons whose signatures count towards the threshold of the version
	// before; Needed is that threshold. A pinned version needs none.
	Signers []string `json:"signers"`
	Needed  int      `json:"needed"`
	// OwnSigners and OwnNeeded are the same for the version's own keys.
	OwnSigners []string `json:"own_signers"`
	OwnNeeded  int      `json:"own_needed"`
	// NotAfter is when the first of the signatures that the version cannot do without stops
	// counting, because its key expires; zero for never.
	NotAfter time.Time `json:"not_after,omitzero"`
	// Fault says why it does not take effect; empty if it does.
	Fault string `json:"fault,omitempty"`

	expired bool // it would take effect, had no key expired
}

// SignaturePath returns where a version's signature by the key with this fingerprint stands.
func SignaturePath(version int, fingerprint string) string {
	name := strings.NewReplacer("/", "_", "+", "-").Replace(strings.TrimPrefix(fingerprint, "SHA256:"))
	return SignaturesDir + strconv.Itoa(version) + "." + name + ".sig"
}

func isSignature(p string) bool { return strings.HasPrefix(p, SignaturesDir) }

func withoutSignatures(files map[string][]byte) map[string][]byte {
	if !slices.ContainsFunc(slices.Collect(maps.Keys(files)), isSignature) {
		return files
	}
	out := make(map[string][]byte, len(files))
	for p, b := range files {
		if !isSignature(p) {
			out[p] = b
		}
	}
	return out
}

// sealed is a root.json with exactly the files that it lists.
type sealed struct {
	root   Root
	raw    []byte
	digest sallyport.Digest
	files  map[string][]byte // without signatures
	at     string
}

// seal returns the root that files are exactly the files of, or why they are none.
func seal(files map[string][]byte, at string) (*sealed, error) {
	raw, ok := files[RootPath]
	if !ok {
		return nil, fmt.Errorf("%s is missing", RootPath)
	}
	d := sallyport.SHA256(raw)
	if err := VerifyRoot(files, d); err != nil {
		return nil, err
	}
	r, err := ParseRoot(raw)
	if err != nil {
		return nil, err
	}
	return &sealed{root: r, raw: raw, digest: d, files: withoutSignatures(files), at: at}, nil
}

// A chain collects the roots that a repository has held, and the signatures beside them.
type chain struct {
	seen map[sallyport.Digest]*sealed
	sigs map[string]map[string]bool // by path, which may have held several
	junk map[string]error           // by path, why something that stood there is no signature of its key
	keys Keyring
	now  time.Time

	kept, tried int  // how many signatures are held, and how often one was verified
	overflow    bool // there were more, so that nothing that the chain says can be relied on
}

func newChain(keys Keyring, now time.Time) *chain {
	return &chain{seen: map[sallyport.Digest]*sealed{}, sigs: map[string]map[string]bool{}, junk: map[string]error{}, keys: keys, now: now}
}

// add takes in what one tree holds. Trees are added newest first, and of several that hold one
// root the newest is kept.
func (c *chain) add(files map[string][]byte, at string) {
	c.addSignatures(files)
	if s, err := seal(files, at); err == nil && c.seen[s.digest] == nil {
		c.seen[s.digest] = s
	}
}

// Bounds on the signatures that are held, and on how often one is verified. Beyond either nothing
// is passed over: whoever can write junk must not be able to hide a signature behind it.
const (
	maxSignatures = 1 << 14
	maxTried      = 1 << 15
)

// addSignatures holds what may be a signature by the key that its path names, over any content.
// What is none takes no room.
func (c *chain) addSignatures(files map[string][]byte) {
	for p, b := range files {
		if !isSignature(p) || c.sigs[p][string(b)] {
			continue
		}
		if err := named(p, b); err != nil {
			c.junk[p] = err
			continue
		}
		if c.kept >= maxSignatures {
			c.overflow = true
			return
		}
		if c.sigs[p] == nil {
			c.sigs[p] = map[string]bool{}
		}
		c.sigs[p][string(b)] = true
		c.kept++
	}
}

// named says why sig cannot be a signature by the key that its path names.
func named(p string, sig []byte) error {
	s, err := sshsig.Parse(sig)
	if err != nil {
		return err
	}
	if s.Namespace != RootNamespace {
		return fmt.Errorf("it was signed for another purpose, %.64q", s.Namespace)
	}
	number, _, _ := strings.Cut(strings.TrimPrefix(p, SignaturesDir), ".")
	version, err := strconv.Atoi(number)
	if f := sshsig.Fingerprint(s.PublicKey); err != nil || SignaturePath(version, f) != p {
		return fmt.Errorf("it is by another key, %s", f)
	}
	return nil
}

// follow goes from the pinned root along signed versions to the one in force, and returns all
// that it passed, the pinned one first.
func (c *chain) follow(pin *sealed) (*sealed, []Version, error) {
	if c.overflow {
		return nil, nil, tooManySignatures()
	}
	cur := pin
	passed := []Version{{Number: pin.root.Version, Root: pin.digest, At: pin.at, Signers: []string{}, OwnSigners: []string{}}}
	for {
		var next []*sealed
		var taken []Version
		for _, d := range slices.Sorted(maps.Keys(c.seen)) {
			s := c.seen[d]
			if s.root.Previous != cur.digest {
				continue
			}
			v := c.judge(cur, s)
			if c.overflow {
				return nil, nil, tooManySignatures()
			}
			if v.expired {
				return nil, nil, fmt.Errorf("%w: version %d (%s) was signed under keys of which too few are still valid", ErrRootStale, v.Number, v.Root)
			}
			if v.Fault == "" {
				next, taken = append(next, s), append(taken, v)
			}
		}
		switch len(next) {
		case 0:
			return cur, passed, nil
		case 1:
			cur, passed = next[0], append(passed, taken[0])
		default:
			return nil, nil, fmt.Errorf("%w: %s and %s both follow version %d", ErrRootForked, next[0].digest, next[1].digest, cur.root.Version)
		}
	}
}

func tooManySignatures() error {
	return fmt.Errorf("%w: %s has held too many different signatures", ErrTooMuch, SignaturesDir)
}

// beyond fails if tip is a later version than cur and validly follows one that was seen, but that
// the chain does not reach: a link is missing, and what cur says has been replaced since.
func (c *chain) beyond(cur, tip *sealed) error {
	prev := c.seen[tip.root.Previous]
	if prev == nil || prev.digest == cur.digest || tip.root.Version <= cur.root.Version {
		return nil
	}
	v := c.judge(prev, tip)
	if c.overflow {
		return tooManySignatures()
	}
	if v.Fault != "" && !v.expired {
		return nil
	}
	return fmt.Errorf("%w: version %d (%s) is signed under version %d, which does not follow version %d", ErrRootBeyond,
		tip.root.Version, tip.digest, prev.root.Version, cur.root.Version)
}

// judge says whether next takes effect after prev: it counts one further, names prev by digest and
// the same repository, and is signed by a threshold of prev's keys and of its own, each another
// person's, each with that person's touch. The new keys sign too, as in TUF, so that no version
// takes effect whose keys nobody holds.
func (c *chain) judge(prev, next *sealed) Version {
	v := Version{Number: next.root.Version, Root: next.digest, At: next.at, Needed: prev.root.Threshold, OwnNeeded: next.root.Threshold}
	old := c.signed(prev, next)
	own := c.signed(next, next)
	v.Signers, v.OwnSigners = slices.Sorted(maps.Keys(old.valid)), slices.Sorted(maps.Keys(own.valid))
	if v.Signers == nil {
		v.Signers = []string{}
	}
	if v.OwnSigners == nil {
		v.OwnSigners = []string{}
	}
	v.NotAfter = earliest(old.end(prev.root.Threshold), own.end(next.root.Threshold))
	switch {
	case c.overflow:
		v.Fault = tooManySignatures().Error()
	case next.root.Version != prev.root.Version+1:
		v.Fault = fmt.Sprintf("version %d does not follow version %d", next.root.Version, prev.root.Version)
	case next.root.Previous != prev.digest:
		v.Fault = fmt.Sprintf("it follows %s, and in force is %s", orNothing(next.root.Previous), prev.digest)
	case prev.root.Repository == "":
		v.Fault = "the version in force names no repository, and only another pin can follow it"
	case next.root.Repository != prev.root.Repository:
		v.Fault = fmt.Sprintf("it is a root of %q, and this repository is %q", next.root.Repository, prev.root.Repository)
	case prev.root.Threshold < 1:
		v.Fault = "the version in force names no root keys, and only another pin can follow it"
	case len(v.Signers) < prev.root.Threshold:
		v.Fault = fmt.Sprintf("%d of %d signatures by root keys of version %d%s", len(v.Signers), prev.root.Threshold, prev.root.Version, because(old.why))
		v.expired = len(old.valid)+len(old.late) >= prev.root.Threshold && len(own.valid)+len(own.late) >= next.root.Threshold
	case len(v.OwnSigners) < next.root.Threshold:
		v.Fault = fmt.Sprintf("%d of %d signatures by its own root keys%s", len(v.OwnSigners), next.root.Threshold, because(own.why))
		v.expired = len(own.valid)+len(own.late) >= next.root.Threshold
	}
	return v
}

func orNothing(d sallyport.Digest) string {
	if d.Zero() {
		return "nothing"
	}
	return string(d)
}

func because(why []string) string {
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why[:min(len(why), 3)], "; ") + ")"
}

// signers are the persons who signed with keys of one version.
type signers struct {
	valid map[string]time.Time // person to when their last valid key expires; zero for never
	late  map[string]bool      // persons whose keys have all expired
	why   []string             // what keeps further signatures from counting
}

// signed says whose signatures over next there are by keys that by lists, as the governed files
// of by's own version know them.
func (c *chain) signed(by, next *sealed) signers {
	s := signers{valid: map[string]time.Time{}, late: map[string]bool{}}
	for _, k := range by.root.Keys {
		why := ""
		p := SignaturePath(next.root.Version, k.Fingerprint)
		if err := c.junk[p]; err != nil {
			why = fmt.Sprintf("%s's: %v", k.Person, err)
		}
		for _, sig := range slices.Sorted(maps.Keys(c.sigs[p])) {
			if c.tried++; c.tried > maxTried {
				c.overflow = true
				return s
			}
			end, err := c.counts(by, next, k, []byte(sig))
			switch {
			case err != nil:
				why = fmt.Sprintf("%s's: %v", k.Person, err)
				continue
			case !end.IsZero() && c.now.After(end):
				why = fmt.Sprintf("%s's: the key expired on %s", k.Person, end.UTC().Format(time.DateOnly))
				s.late[k.Person] = true
				continue
			}
			if have, ok := s.valid[k.Person]; !ok || !have.IsZero() && (end.IsZero() || end.After(have)) {
				s.valid[k.Person] = end
			}
			why = ""
			break
		}
		if why != "" {
			s.why = append(s.why, why)
		}
	}
	for person := range s.valid {
		delete(s.late, person)
	}
	return s
}

// counts verifies one signature. It returns until when the key is valid.
func (c *chain) counts(by, next *sealed, k RootKey, sig []byte) (time.Time, error) {
	info, err := sshsig.Verify(sig, next.raw, RootNamespace)
	switch {
	case err != nil:
		return time.Time{}, err
	case info.Fingerprint != k.Fingerprint:
		return time.Time{}, fmt.Errorf("it is by another key, %s", info.Fingerprint)
	case !info.SK || !info.Touched:
		return time.Time{}, errors.New("nobody touched a security key for it")
	case c.keys == nil:
		return time.Time{}, errors.New("nothing says whose key it is")
	}
	person, present, end := c.keys(by.files, k.Fingerprint)
	if person != k.Person || !present {
		return time.Time{}, errors.New("the roster beside it does not say that the key proves this person's presence")
	}
	return end, nil
}

// end returns when the threshold is no longer met because keys expire; zero for never.
func (s signers) end(threshold int) time.Time {
	ends := slices.Collect(maps.Values(s.valid))
	// Those that never expire come last, so that the threshold-th from the end is the one that
	// the threshold cannot do without.
	slices.SortFunc(ends, func(a, b time.Time) int {
		switch {
		case a.Equal(b):
			return 0
		case a.IsZero() || !b.IsZero() && a.After(b):
			return 1
		}
		return -1
	})
	if threshold < 1 || len(ends) < threshold {
		return time.Time{}
	}
	return ends[len(ends)-threshold]
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// clean reports whether every signature file among files is one that was there before or one over
// root by a key that it, or the version before it, lists. Otherwise anything could travel beside
// a signed root.
func (c *chain) clean(prev, next *sealed, files, before map[string][]byte) error {
	known := map[string]bool{}
	for _, k := range slices.Concat(prev.root.Keys, next.root.Keys) {
		known[SignaturePath(next.root.Version, k.Fingerprint)] = true
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if !isSignature(p) || string(before[p]) == string(files[p]) && len(files[p]) > 0 {
			continue
		}
		if !known[p] {
			return fmt.Errorf("%s is no signature by a root key", sallyport.Path(p))
		}
		if _, err := sshsig.Verify(files[p], next.raw, RootNamespace); err != nil {
			return fmt.Errorf("%s: %w", sallyport.Path(p), err)
		}
	}
	return nil
}

// litter says which signature file among files is new and is none over a root that was seen, by a
// key that this root or the one before it lists.
func (c *chain) litter(files, before map[string][]byte) error {
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if !isSignature(p) || string(before[p]) == string(files[p]) && len(files[p]) > 0 {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(c.seen)), func(s *sealed) bool { return c.belongs(p, files[p], s) }) {
			return fmt.Errorf("%s is no signature by a root key", sallyport.Path(p))
		}
	}
	return nil
}

// belongs reports whether the file p is a signature over s by a key that s or the root before it
// lists.
func (c *chain) belongs(p string, sig []byte, s *sealed) bool {
	keys := s.root.Keys
	if prev := c.seen[s.root.Previous]; prev != nil {
		keys = slices.Concat(keys, prev.root.Keys)
	}
	for _, k := range keys {
		if p == SignaturePath(s.root.Version, k.Fingerprint) {
			info, err := sshsig.Verify(sig, s.raw, RootNamespace)
			return err == nil && info.Fingerprint == k.Fingerprint
		}
	}
	return false
}

// Judge says how the root among files, with the signatures beside it, stands to the one among
// before, at the time now: whether it takes effect after it, and else why not. It fails if either
// is not exactly the files that its root.json lists.
func Judge(before, files map[string][]byte, now time.Time, keys Keyring) (Version, error) {
	prev, err := seal(before, "")
	if err != nil {
		return Version{}, err
	}
	next, err := seal(files, "")
	if err != nil {
		return Version{}, err
	}
	c := newChain(keys, now)
	c.addSignatures(files)
	return c.judge(prev, next), nil
}
