package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Junk in the place of a signature hides none that stood there before, however much of it there
// is and however much it looks like one.
func TestJunkSignatures(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada", "grace", "carol"}, threshold: 2})
	two := m.sign(m.files(draft{mark: "2", keys: []string{"ada", "grace"}, threshold: 2, after: one}), "ada", "grace")
	half := m.sign(m.files(draft{mark: "2", keys: []string{"ada", "grace"}, threshold: 2, after: one}), "ada")
	p := SignaturePath(2, m.key("grace").Fingerprint())
	for name, junk := range map[string]func(i int) map[string][]byte{
		"no signatures": func(i int) map[string][]byte { return changed(two, p, fmt.Sprintf("junk %d", i)) },
		"of another key": func(i int) map[string][]byte {
			return changed(two, p, string(m.signAs(RootNamespace, fmt.Append(nil, i), two, "carol")[SignaturePath(2, m.key("carol").Fingerprint())]))
		},
		"of the key, over something else": func(i int) map[string][]byte {
			return m.signAs(RootNamespace, fmt.Append(nil, i), two, "grace")
		},
		"of the key, for something else": func(i int) map[string][]byte {
			return m.signAs("git", two[RootPath], two, "grace")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var history []map[string][]byte
			for i := range 40 {
				history = append(history, junk(i))
			}
			for _, tt := range []struct {
				below map[string][]byte
				root  map[string][]byte
			}{{two, two}, {half, one}} {
				g, err := ask(t, pinOf(one), nil, append(slices.Clone(history), tt.below, one)...)
				if err != nil || g.Trust.Root != pinOf(tt.root) {
					t.Errorf("in force is version %d, %v, want %s", g.Trust.Version, err, pinOf(tt.root))
				}
			}
		})
	}
}

// Where there is more than is read, nothing is passed over.
func TestTooManySignatures(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada"}, threshold: 1})
	two := m.sign(m.files(draft{mark: "2", keys: []string{"ada"}, threshold: 1, after: one}), "ada")
	for _, tt := range []struct {
		name        string
		kept, tried int
		want        error
	}{
		{"as many as are read", maxSignatures - 1, maxTried - 2, nil},
		{"one more to be held", maxSignatures, 0, ErrTooMuch},
		{"one more to be verified", 0, maxTried - 1, ErrTooMuch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(keyring, today)
			c.kept, c.tried = tt.kept, tt.tried
			c.add(two, "b")
			c.add(one, "a")
			cur, _, err := c.follow(c.seen[pinOf(one)])
			if !errors.Is(err, tt.want) || err == nil && cur.digest != pinOf(two) {
				t.Errorf("got %v, %v, want %v", cur, err, tt.want)
			}
		})
	}
}

// What stands among the signatures of the root in force is a signature.
func TestLitter(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada", "grace", "carol"}, threshold: 2})
	bare := m.files(draft{mark: "2", keys: []string{"ada", "grace"}, threshold: 2, after: one})
	two := m.sign(bare, "ada", "grace")
	p := SignaturePath(2, m.key("grace").Fingerprint())
	junk := changed(two, p, "junk")
	for _, tt := range []struct {
		name   string
		tip    map[string][]byte
		result map[string][]byte
		fault  bool
	}{
		{"as it was", two, two, false},
		{"a signature replaced by junk", two, junk, true},
		{"junk beside it", two, changed(two, SignaturesDir+"notes.md", "x"), true},
		{"a signature of nobody's", two, m.sign(two, "mallory"), true},
		{"a signature over something else", two, m.signAs(RootNamespace, []byte("x"), two, "grace"), true},
		{"a further signature", two, m.sign(two, "carol"), false},
		{"signatures taken out", two, bare, false},
		{"junk that is there already", junk, junk, false},
		{"junk put right", junk, two, false},
		{"rolled back, and put right", one, two, false},
		{"rolled back, and put right with junk", one, junk, true},
		{"the rules removed, and put right", nil, two, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := ask(t, pinOf(one), tt.result, tt.tip, two, one)
			if err != nil || g.Trust.Root != pinOf(two) || (g.Trust.RotationFault != "") != tt.fault || g.Trust.Rotation {
				t.Errorf("got %+v, %v, want a fault: %v", g.Trust, err, tt.fault)
			}
		})
	}
}

// A tip that is signed under a version that the pin does not lead to leaves no earlier one in force.
func TestChainBeyond(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada", "grace", "carol"}, threshold: 2})
	two := m.sign(m.files(draft{mark: "2", keys: []string{"ada", "grace"}, threshold: 2, after: one}), "ada", "grace")
	three := m.sign(m.files(draft{mark: "3", keys: []string{"ada", "grace"}, threshold: 2, after: two}), "ada", "grace")
	bare := m.files(draft{mark: "4", keys: []string{"ada", "grace"}, threshold: 2, after: three})
	four := m.sign(bare, "ada", "grace")
	for _, tt := range []struct {
		name    string
		history []map[string][]byte
		root    map[string][]byte
		err     error
	}{
		{"a link is missing", []map[string][]byte{four, three, one}, nil, ErrRootBeyond},
		{"no link is missing", []map[string][]byte{four, three, two, one}, four, nil},
		{"a link is missing, and the tip is not signed", []map[string][]byte{bare, three, one}, one, nil},
		{"a link is missing, and the tip is signed by one", []map[string][]byte{m.sign(bare, "ada"), three, one}, one, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := ask(t, pinOf(one), nil, tt.history...)
			if !errors.Is(err, tt.err) || err == nil && g.Trust.Root != pinOf(tt.root) {
				t.Errorf("got %+v, %v, want %v", g.Trust, err, tt.err)
			}
		})
	}
}

// What a change's history brings along must not leave a chain that nobody can follow.
func TestHeadHistory(t *testing.T) {
	m := newTeam(t)
	one := m.files(draft{mark: "1", keys: []string{"ada", "grace"}, threshold: 2})
	bare := m.files(draft{mark: "other 2", keys: []string{"ada", "grace"}, threshold: 1, after: one})
	two := m.sign(m.files(draft{mark: "2", keys: []string{"ada", "grace"}, threshold: 2, after: one}), "ada", "grace")
	for _, tt := range []struct {
		name   string
		brings []map[string][]byte
		fault  bool
	}{
		{"nothing", nil, false},
		{"a version that was signed and given up", []map[string][]byte{two, m.sign(bare, "ada", "grace")}, true},
		{"a version that was not signed by enough", []map[string][]byte{two, m.sign(bare, "ada")}, false},
		{"more than is read", slices.Repeat([]map[string][]byte{two}, maxHistory-2), true},
		{"as much as is read", slices.Repeat([]map[string][]byte{two}, maxHistory-3), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := ranges{"tip": {two, one}, "tip..head": tt.brings}
			g, err := Resolve(context.Background(), src, Request{Pin: pinOf(one), Tip: "tip", Head: "head", Result: "result", Now: today, Keys: keyring})
			if err != nil || g.Trust.Root != pinOf(two) || (g.Trust.RotationFault != "") != tt.fault {
				t.Errorf("got %+v, %v, want a fault: %v", g.Trust, err, tt.fault)
			}
		})
	}
}

// ranges is a Source of what tips and ranges hold, newest first. Its result is what its tip holds.
type ranges map[string][]map[string][]byte

func (r ranges) Files(_ context.Context, treeish string) (map[string][]byte, error) {
	name, n, ok := strings.Cut(treeish, "#")
	if !ok {
		return r["tip"][0], nil
	}
	i, err := strconv.Atoi(n)
	return r[name][i], err
}

func (r ranges) History(_ context.Context, tip string) ([]string, error) {
	var out []string
	for i := range r[tip] {
		out = append(out, tip+"#"+strconv.Itoa(i))
	}
	return out, nil
}
