package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

var today = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// A team makes roots and signs them.
type team struct {
	t    testing.TB
	keys map[string]*sshsig.SimulatedSK
}

func newTeam(t testing.TB) *team { return &team{t, map[string]*sshsig.SimulatedSK{}} }

// key returns a person's key; a name such as "ada2" is another key of ada, and "ada-untouched"
// her first one without her finger.
func (m *team) key(name string) *sshsig.SimulatedSK {
	m.t.Helper()
	base, untouched := strings.CutSuffix(name, "-untouched")
	if m.keys[name] == nil {
		seed := bytes.NewReader(bytes.Repeat([]byte(base + "................................")[:32], 4))
		k, err := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{Touch: !untouched, Rand: seed})
		if err != nil {
			m.t.Fatal(err)
		}
		m.keys[name] = k
	}
	return m.keys[name]
}

func person(key string) string {
	key, _ = strings.CutSuffix(key, "-untouched")
	return strings.TrimRight(key, "0123456789")
}

// A draft is a root to be made.
type draft struct {
	mark       string
	keys       []string // of the roster and of the root
	rosterOnly []string // lines of the roster beside them: "name" or "name until 2026-01-01" or "name absent"
	threshold  int
	after      map[string][]byte // the files of the version before
	repository string
	solo       string
	expires    time.Time
	edit       func(*Root)
}

// files returns governed files with their root.json.
func (m *team) files(d draft) map[string][]byte {
	m.t.Helper()
	if d.repository == "" {
		d.repository = "example.com/a/b"
	}
	var roster strings.Builder
	notes := map[string]string{}
	for _, l := range d.rosterOnly {
		name, note, _ := strings.Cut(l, " ")
		notes[name] = note
	}
	o := RootOptions{Repository: d.repository, Threshold: d.threshold, Solo: d.solo, Expires: d.expires}
	for _, k := range d.keys {
		o.Keys = append(o.Keys, RootKey{person(k), m.key(k).Fingerprint()})
		fmt.Fprintf(&roster, "%s %s %s\n", person(k), m.key(k).Fingerprint(), notes[k])
	}
	files := map[string][]byte{
		".sallyport/sallyport.yaml": []byte("version: 1 # " + d.mark + "\n"),
		".sallyport/roster.yaml":    []byte(roster.String()),
	}
	if d.after != nil {
		prev, err := ParseRoot(d.after[RootPath])
		if err != nil {
			m.t.Fatal(err)
		}
		o.Previous, o.PreviousIs = &prev, d.after[RootPath]
	}
	b, err := InitRoot(files, o)
	if err != nil {
		m.t.Fatal(err)
	}
	if d.edit != nil {
		r, err := ParseRoot(b)
		if err != nil {
			m.t.Fatal(err)
		}
		d.edit(&r)
		if b, err = sallyport.EncodeJSON(r); err != nil {
			m.t.Fatal(err)
		}
	}
	files[RootPath] = b
	return files
}

// sign returns the files with signatures over their root.json.
func (m *team) sign(files map[string][]byte, keys ...string) map[string][]byte {
	m.t.Helper()
	return m.signAs(RootNamespace, files[RootPath], files, keys...)
}

func (m *team) signAs(namespace string, message []byte, files map[string][]byte, keys ...string) map[string][]byte {
	m.t.Helper()
	r, err := ParseRoot(files[RootPath])
	if err != nil {
		m.t.Fatal(err)
	}
	out := maps.Clone(files)
	for _, k := range keys {
		sig, err := m.key(k).Sign(context.Background(), namespace, message)
		if err != nil {
			m.t.Fatal(err)
		}
		out[SignaturePath(r.Version, m.key(k).Fingerprint())] = sig
	}
	return out
}

// keyring reads the rosters that files makes.
func keyring(files map[string][]byte, fingerprint string) (string, bool, time.Time) {
	for line := range strings.Lines(string(files[".sallyport/roster.yaml"])) {
		f := strings.Fields(line)
		if f[1] != fingerprint || slices.Contains(f, "absent") {
			continue
		}
		end := time.Time{}
		if i := slices.Index(f, "until"); i > 0 {
			end, _ = time.Parse(time.DateOnly, f[i+1])
		}
		return f[0], !slices.Contains(f, "unseen"), end
	}
	return "", false, time.Time{}
}

// ask resolves over a history, newest first, whose first is the tip.
func ask(t testing.TB, pin sallyport.Digest, result map[string][]byte, history ...map[string][]byte) (Governing, error) {
	t.Helper()
	r := repo{files: map[string]map[string][]byte{"result": result}}
	for i, files := range history {
		name := fmt.Sprintf("commit%d", i)
		r.files[name], r.history = files, append(r.history, name)
	}
	q := Request{Pin: pin, Now: today, Keys: keyring}
	if len(history) > 0 {
		q.Tip = "commit0"
	}
	if result != nil {
		q.Result = "result"
	}
	return Resolve(context.Background(), r, q)
}

func pinOf(files map[string][]byte) sallyport.Digest { return sallyport.SHA256(files[RootPath]) }

// The next version takes effect exactly if a threshold of the version before signed it; each
// attack stands beside what opens.
func TestRotation(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada", "ada2", "grace", "alan"}, threshold: 2})
	two := func(edit func(*draft)) map[string][]byte {
		d := draft{mark: "2", keys: []string{"ada", "grace", "alan"}, threshold: 2, after: one}
		if edit != nil {
			edit(&d)
		}
		return m.files(d)
	}
	plain := two(nil)
	under := func(edit func(*draft)) (first, next map[string][]byte) {
		d := draft{mark: "1", keys: []string{"ada", "ada2", "grace", "alan"}, threshold: 2}
		edit(&d)
		first = m.files(d)
		return first, m.files(draft{mark: "2", keys: []string{"ada", "grace"}, threshold: 1, after: first})
	}
	unseen, afterUnseen := under(func(d *draft) { d.rosterOnly = []string{"grace unseen"} })
	other, afterOther := under(func(d *draft) { d.rosterOnly = []string{"grace absent"} })
	expired, afterExpired := under(func(d *draft) { d.rosterOnly = []string{"grace until 2026-11-01"} })
	nameless, afterNameless := under(func(d *draft) { d.edit = func(r *Root) { r.Repository = "" } })
	fresh := func(edit func(*Root)) map[string][]byte { return two(func(d *draft) { d.edit = edit }) }
	for _, tt := range []struct {
		name  string
		first map[string][]byte
		next  map[string][]byte
		fault string // empty: it takes effect
	}{
		{"signed by two", one, m.sign(plain, "ada", "grace"), ""},
		{"signed by three", one, m.sign(plain, "ada", "grace", "alan"), ""},
		{"signed by nobody", one, plain, "0 of 2 signatures"},
		{"signed by one", one, m.sign(plain, "ada"), "1 of 2 signatures"},
		{"signed twice by one person", one, m.sign(two(func(d *draft) { d.keys = []string{"ada", "ada2", "grace"} }), "ada", "ada2"), "1 of 2 signatures by root keys of version 1"},
		{"signed by two, one of them twice", one, m.sign(two(func(d *draft) { d.keys = []string{"ada", "ada2", "grace"} }), "ada", "ada2", "grace"), ""},
		{"signed by one and by somebody who is not a root", one, m.sign(two(func(d *draft) { d.keys = append(d.keys, "mallory") }), "ada", "mallory"), "1 of 2 signatures by root keys of version 1"},
		{"signed without a touch", one, m.sign(plain, "ada", "grace-untouched"), "nobody touched"},
		{"signed in another namespace", one, m.signAs("git", plain[RootPath], m.sign(plain, "ada"), "grace"), "signed for another purpose"},
		{"signed over the root before", one, m.signAs(RootNamespace, one[RootPath], m.sign(plain, "ada"), "grace"), "does not verify"},
		{"a signature under another's name", one, changed(m.sign(plain, "ada", "grace"), SignaturePath(2, m.key("grace").Fingerprint()),
			string(m.sign(plain, "alan")[SignaturePath(2, m.key("alan").Fingerprint())])), "it is by another key"},
		{"a signature cut short", one, changed(m.sign(plain, "ada", "grace"), SignaturePath(2, m.key("grace").Fingerprint()), "-----BEGIN SSH SIGNATURE-----\n"), "malformed"},
		{"new keys that did not sign", one, m.sign(two(func(d *draft) { d.keys, d.threshold = []string{"ada", "barbara"}, 2 }), "ada", "grace"), "1 of 2 signatures by its own root keys"},
		{"new keys that did", one, m.sign(two(func(d *draft) { d.keys, d.threshold = []string{"ada", "barbara"}, 2 }), "ada", "grace", "barbara"), ""},
		{"a lost key left out by the others", one, m.sign(two(func(d *draft) { d.keys, d.threshold = []string{"grace", "alan"}, 2 }), "alan", "grace"), ""},
		{"no keys any more", one, m.sign(two(func(d *draft) { d.keys, d.threshold = nil, 0 }), "ada", "grace"), ""},
		{"a version skipped", one, m.sign(fresh(func(r *Root) { r.Version = 3 }), "ada", "grace"), "version 3 does not follow version 1"},
		{"another version before it", one, m.sign(fresh(func(r *Root) { r.Previous = sallyport.SHA256(nil) }), "ada", "grace"), "it follows sha256:e3b0"},
		{"another repository's", one, m.sign(two(func(d *draft) { d.repository = "example.com/a/fork" }), "ada", "grace"), `it is a root of "example.com/a/fork"`},
		{"after one that names no repository", nameless, m.sign(afterNameless, "ada", "grace"), "names no repository"},
		{"signed by a key that nobody saw enrolled", unseen, m.sign(afterUnseen, "ada", "grace"), "the roster beside it does not say"},
		{"signed by a key that the roster does not hold", other, m.sign(afterOther, "ada", "grace"), "the roster beside it does not say"},
		{"signed by an expired key", expired, m.sign(afterExpired, "ada", "grace"), "the key expired on 2026-11-01"},
		{"signed by a key beside the expired one", expired, m.sign(afterExpired, "ada", "alan"), ""},
		{"it has expired itself", one, m.sign(two(func(d *draft) { d.expires = today }), "ada", "grace"), "it expired on"},
		{"it will expire", one, m.sign(two(func(d *draft) { d.expires = today.Add(time.Second) }), "ada", "grace"), ""},
		{"something beside the signatures", one, changed(m.sign(plain, "ada", "grace"), SignaturesDir+"notes.md", "x"), "notes.md is no signature by a root key"},
		{"a signature of nobody's beside them", one, m.sign(plain, "ada", "grace", "mallory"), "is no signature by a root key"},
		{"a file that the root does not list", one, changed(m.sign(plain, "ada", "grace"), ".sallyport/x", "x"), "whole"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := ask(t, pinOf(tt.first), tt.next, tt.first)
			if err != nil {
				t.Fatal(err)
			}
			if tt.fault == "whole" { // not even a root
				if g.Trust.Rotation || g.Trust.ResultRoot == pinOf(tt.next) {
					t.Errorf("got %+v", g.Trust)
				}
				return
			}
			if g.Trust.Rotation != (tt.fault == "") || !strings.Contains(g.Trust.RotationFault, tt.fault) {
				t.Errorf("rotation %v, fault %q, want %q", g.Trust.Rotation, g.Trust.RotationFault, tt.fault)
			}
			if g.Trust.Root != pinOf(tt.first) || g.Trust.RootChanged || g.Trust.Source != SourceRef {
				t.Errorf("before it lands: %+v", g.Trust)
			}
			// The same once it has landed past every gate: what takes no effect before takes none then.
			g, err = ask(t, pinOf(tt.first), nil, tt.next, tt.first)
			switch {
			case strings.HasPrefix(tt.fault, "it expired"), strings.Contains(tt.fault, "is no signature by"):
				return // it is in force, and expired; or has litter beside it
			case strings.Contains(tt.name, "an expired key"):
				if !errors.Is(err, ErrRootStale) {
					t.Errorf("landed: got %v, want %v", err, ErrRootStale)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			want, changed := pinOf(tt.first), true
			if tt.fault == "" {
				want, changed = pinOf(tt.next), false
			}
			if g.Trust.Root != want || g.Trust.RootChanged != changed || g.Trust.Pin != pinOf(tt.first) {
				t.Errorf("landed: %+v", g.Trust)
			}
			if VerifyRoot(g.Files, want) != nil || slices.ContainsFunc(slices.Collect(maps.Keys(g.Files)), isSignature) {
				t.Error("landed: the files in force are not those of the root in force")
			}
			if changed && (g.AtTip == nil || !strings.Contains(g.AtTip.Fault, tt.fault)) {
				t.Errorf("landed: at the tip %+v", g.AtTip)
			}
		})
	}
}

// What a target has held decides, not only what it holds.
func TestChain(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada", "grace", "carol"}, threshold: 2})
	bare2 := m.files(draft{mark: "2", keys: []string{"ada", "grace"}, threshold: 2, after: one})
	two := m.sign(bare2, "ada", "grace")
	three := m.sign(m.files(draft{mark: "3", keys: []string{"ada", "grace"}, threshold: 1, after: two}), "ada", "grace")
	byRemoved := m.sign(m.files(draft{mark: "3", keys: []string{"ada", "carol"}, threshold: 1, after: two}), "ada", "carol")
	fork := m.sign(m.files(draft{mark: "other 2", keys: []string{"ada", "grace"}, threshold: 1, after: one}), "ada", "carol")
	bad := changed(two, ".sallyport/roster.yaml", "x")
	unsigned := m.files(draft{mark: "3", keys: []string{"mallory"}, threshold: 1, after: two})
	for _, tt := range []struct {
		name    string
		pin     map[string][]byte
		result  map[string][]byte
		history []map[string][]byte // newest first
		root    map[string][]byte
		source  string
		changed bool
		rotates bool
		passed  int
		err     error
	}{
		{"two versions", one, three, []map[string][]byte{two, one}, two, SourceRef, false, true, 2, nil},
		{"three versions", one, nil, []map[string][]byte{three, two, one}, three, SourceRef, false, false, 3, nil},
		{"the pin moved forward", two, three, []map[string][]byte{two, one}, two, SourceRef, false, true, 1, nil},
		{"the pin is what the merge brings", two, two, []map[string][]byte{one}, two, SourceResult, true, false, 1, nil},
		{"signatures that came later", one, nil, []map[string][]byte{two, bare2, one}, two, SourceRef, false, false, 2, nil},
		{"signatures that are gone again", one, nil, []map[string][]byte{bare2, two, one}, two, SourceRef, false, false, 2, nil},
		{"rolled back", one, nil, []map[string][]byte{one, two, one}, two, SourceHistory, true, false, 2, nil},
		{"rolled back, and the merge puts it right", one, two, []map[string][]byte{one, two, one}, two, SourceHistory, true, false, 2, nil},
		{"a version skipped", one, nil, []map[string][]byte{three, one}, one, SourceHistory, true, false, 1, nil},
		{"signed by whom the version before put out", one, byRemoved, []map[string][]byte{two, one}, two, SourceRef, false, false, 2, nil},
		{"the same, landed", one, nil, []map[string][]byte{byRemoved, two, one}, two, SourceHistory, true, false, 2, nil},
		{"two next versions", one, nil, []map[string][]byte{fork, two, one}, nil, "", false, false, 0, ErrRootForked},
		{"two next versions, and one is pinned", two, nil, []map[string][]byte{fork, two, one}, two, SourceHistory, true, false, 1, nil},
		{"a second next version arrives", one, fork, []map[string][]byte{two, one}, two, SourceRef, false, false, 2, nil},
		{"unsigned keys of an agent's", one, nil, []map[string][]byte{unsigned, two, one}, two, SourceHistory, true, false, 2, nil},
		{"a file of the signed version changed", one, nil, []map[string][]byte{bad, two, one}, two, SourceHistory, true, false, 2, nil},
		{"only the changed file ever landed", one, nil, []map[string][]byte{bad, one}, one, SourceHistory, true, false, 1, nil},
		{"the rules removed", one, nil, []map[string][]byte{{}, two, one}, two, SourceHistory, true, false, 2, nil},
		{"the pin is nowhere", three, nil, []map[string][]byte{two, one}, nil, "", false, false, 0, ErrNoRoot},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := ask(t, pinOf(tt.pin), tt.result, tt.history...)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if g.Trust.Root != pinOf(tt.root) || g.Trust.Source != tt.source || g.Trust.RootChanged != tt.changed || g.Trust.Rotation != tt.rotates || len(g.Chain) != tt.passed {
				t.Errorf("got %+v, passed %+v", g.Trust, g.Chain)
			}
		})
	}
}

// A history that is too long to be read may hide the version that took a signer's keys away.
func TestChainTooLong(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada"}, threshold: 1})
	keyless, pin := governed(t, "a")
	keyless = changed(keyless, RootPath, strings.NewReplacer(`"threshold": 2`, `"threshold": 0`).Replace(string(keyless[RootPath])))
	r, err := ParseRoot([]byte(strings.Replace(string(keyless[RootPath]), `"threshold": 0`, `"threshold": 2`, 1)))
	if err != nil || pin.Zero() {
		t.Fatal(err)
	}
	r.Keys, r.Threshold = nil, 0
	if keyless[RootPath], err = sallyport.EncodeJSON(r); err != nil {
		t.Fatal(err)
	}
	long := func(n int, files map[string][]byte) repo {
		r := repo{files: map[string]map[string][]byte{"c": files}}
		for range n {
			r.history = append(r.history, "c")
		}
		return r
	}
	for _, tt := range []struct {
		name  string
		n     int
		files map[string][]byte
		want  error
	}{
		{"short", maxHistory - 1, one, nil},
		{"long", maxHistory, one, ErrTooMuch},
		{"long, of a root that cannot be followed", maxHistory, keyless, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Resolve(context.Background(), long(tt.n, tt.files), Request{Pin: pinOf(tt.files), Tip: "c", Now: today, Keys: keyring})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// What is signed on the default branch is in force for the others.
func TestChainElsewhere(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada"}, threshold: 1})
	two := m.sign(m.files(draft{mark: "2", keys: []string{"ada"}, threshold: 1, after: one}), "ada")
	src := byTip{"old": {one}, "main": {two, one}}
	for _, tt := range []struct {
		name    string
		also    []string
		root    map[string][]byte
		changed bool
	}{
		{"a branch that nobody rotated", []string{"main"}, two, true},
		{"alone", nil, one, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := Resolve(context.Background(), src, Request{Pin: pinOf(one), Tip: "old0", Also: tt.also, Now: today, Keys: keyring})
			if err != nil || g.Trust.Root != pinOf(tt.root) || g.Trust.RootChanged != tt.changed {
				t.Errorf("got %+v, %v", g.Trust, err)
			}
		})
	}
}

// byTip is a Source of several branches, whose commits are "name0", "name1"…, newest first.
type byTip map[string][]map[string][]byte

func (b byTip) Files(_ context.Context, treeish string) (map[string][]byte, error) {
	n := int(treeish[len(treeish)-1] - '0')
	return b[treeish[:len(treeish)-1]][n], nil
}

func (b byTip) History(_ context.Context, tip string) ([]string, error) {
	name := strings.TrimRight(tip, "0123456789")
	var out []string
	for i := range b[name] {
		out = append(out, fmt.Sprintf("%s%d", name, i))
	}
	return out, nil
}

func TestRootSolo(t *testing.T) {
	m := newTeam(t)
	d := draft{mark: "1", keys: []string{"ada", "ada2"}, threshold: 1, solo: "ada"}
	one := m.files(d)
	g, err := ask(t, pinOf(one), nil, one)
	if err != nil || g.Trust.Solo != "ada" {
		t.Errorf("got %+v, %v", g.Trust, err)
	}
	r, err := ParseRoot(one[RootPath])
	if err != nil {
		t.Fatal(err)
	}
	r.Keys = append(r.Keys, RootKey{"grace", "SHA256:zzz"})
	b, err := sallyport.EncodeJSON(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRoot(b); err == nil || !strings.Contains(err.Error(), "a team of one is one") {
		t.Errorf("got %v", err)
	}
}

func TestNotAfter(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada", "grace", "alan"}, threshold: 2,
		rosterOnly: []string{"ada until 2027-01-01", "grace until 2027-02-01", "alan until 2027-03-01"}})
	two := m.files(draft{mark: "2", keys: []string{"ada"}, threshold: 1, after: one})
	for _, tt := range []struct {
		signers []string
		want    string
	}{
		{[]string{"ada", "grace"}, "2027-01-01"},
		{[]string{"ada", "grace", "alan"}, "2027-02-01"},
	} {
		g, err := ask(t, pinOf(one), nil, m.sign(two, tt.signers...), one)
		if err != nil || len(g.Chain) != 2 || g.Chain[1].NotAfter.Format(time.DateOnly) != tt.want {
			t.Errorf("%v: got %+v, %v, want %s", tt.signers, g.Chain, err, tt.want)
		}
	}
}

// A folder of signatures is no policy set: nothing lists what is in it.
func TestSignaturesAreNoSet(t *testing.T) {
	g := Governing{Files: map[string][]byte{SignaturesDir + "m.rego": []byte("package sallyport.merge\n")}}
	if s, err := g.Set("root.signatures"); err == nil {
		t.Errorf("got %v", s)
	}
}

// Whatever stands in a signature file, it counts only if it is the key's own touched signature
// over exactly this root.
func FuzzRootSignature(f *testing.F) {
	m := newTeam(f)
	one := m.files(draft{mark: "1", keys: []string{"ada"}, threshold: 1})
	next := m.files(draft{mark: "2", keys: []string{"ada"}, threshold: 1, after: one})
	ada := m.key("ada").Fingerprint()
	path := SignaturePath(2, ada)
	for _, files := range []map[string][]byte{
		m.sign(next, "ada"), m.sign(next, "ada-untouched"), m.signAs("git", next[RootPath], next, "ada"),
	} {
		f.Add(files[path])
	}
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, sig []byte) {
		g, err := ask(t, pinOf(one), nil, changed(next, path, string(sig)), one)
		if err != nil {
			t.Fatal(err)
		}
		info, err := sshsig.Verify(sig, next[RootPath], RootNamespace)
		good := err == nil && info.Fingerprint == ada && info.Touched
		if (g.Trust.Root == pinOf(next)) != good {
			t.Errorf("in force %s, while the signature is good: %v", g.Trust.Root, good)
		}
	})
}

// No single signer of two, whatever the root that they make says, puts it in force.
func FuzzNextRoot(f *testing.F) {
	m := newTeam(f)
	one := m.files(draft{mark: "1", keys: []string{"ada", "grace"}, threshold: 2})
	next := m.files(draft{mark: "2", keys: []string{"ada"}, threshold: 1, after: one})
	f.Add(next[RootPath])
	f.Add(one[RootPath])
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := ParseRoot(raw); err != nil {
			return
		}
		m := &team{t, m.keys}
		files := m.sign(changed(next, RootPath, string(raw)), "ada")
		g, err := ask(t, pinOf(one), files, one)
		if err != nil {
			t.Fatal(err)
		}
		if g.Trust.Rotation || g.Trust.Root != pinOf(one) {
			t.Errorf("one of two signed, and it takes effect: %s", raw)
		}
	})
}
