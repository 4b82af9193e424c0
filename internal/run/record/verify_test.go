package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport-dev/sallyport"
)

// sealed makes a record of three segments that is sealed, and returns what the log and an
// attestation say of it.
func sealed(t *testing.T, run string, auditors ...string) (string, Expect) {
	t.Helper()
	h := header(run)
	h.Auditors = auditors
	x := Expect{Run: run, Repository: h.Repository}
	w, err := CreateWith(filepath.Join(t.TempDir(), "rec"), h, Options{
		MaxBytes: 900, Closed: func(c Closed) { x.Anchored = append(x.Anchored, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		if _, err := w.Append(KindRequest, body{i}, w.Commit("prompt", []byte("the text of a prompt"))); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Seal(End{Conclusion: "success"})
	if err != nil {
		t.Fatal(err)
	}
	x.Attested = []Attested{{Attestation: sallyport.SHA256([]byte(run)), Run: run, Repository: h.Repository, Sealed: true,
		Records: s.Records, Head: s.Head.String(), Prompts: string(s.Prompts)}}
	return w.Dir(), x
}

func lines(t *testing.T, dir, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.SplitAfter(bytes.TrimSuffix(b, nil), []byte("\n"))
}

func put(t *testing.T, dir, name string, parts ...[]byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
}

// rewrite makes the chain of all segments anew, as somebody would who knows the format, after edit
// changed the JSON of the entries.
func rewrite(t *testing.T, dir string, edit func(line []byte) []byte) {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := segmentNumbers(dir)
	if err != nil {
		t.Fatal(err)
	}
	head := r.id
	for _, n := range numbers {
		var out [][]byte
		for i, l := range lines(t, dir, segmentName(n)) {
			if len(l) == 0 {
				continue
			}
			if i == 0 {
				h, err := parseSegmentHeader(l)
				if err != nil {
					t.Fatal(err)
				}
				h.Previous = head
				b, _ := sallyport.EncodeJSON(h)
				out = append(out, append(b, '\n'))
				continue
			}
			raw := edit(bytes.TrimSuffix(l[65:], []byte("\n")))
			head = head.next(raw)
			out = append(out, []byte(strings.TrimPrefix(head.String(), "sha256:")+" "), raw, []byte("\n"))
		}
		put(t, dir, segmentName(n), out...)
	}
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// What can be done to a record is found, each with its own code. Alone says that the record shows it
// by itself; else it takes what was signed about it, or the log.
func TestFound(t *testing.T) {
	dir, x := sealed(t, "run-1")
	other, ox := sealed(t, "run-2")
	seg1, seg2 := lines(t, dir, segmentName(1)), lines(t, dir, segmentName(2))
	if rep := Verify(dir, x); !rep.OK() || rep.Status != StatusSealed || rep.Attested != 1 || rep.Anchored != len(x.Anchored) || rep.Segments != 3 {
		t.Fatalf("untouched: %+v", rep)
	}
	swap := func(t *testing.T, dir, a, b string) {
		la, lb := lines(t, dir, a), lines(t, dir, b)
		put(t, dir, a, lb...)
		put(t, dir, b, la...)
	}
	for name, c := range map[string]struct {
		want  Code
		alone bool
		do    func(t *testing.T, dir string, x *Expect)
	}{
		"last entry cut off": {Truncated, true, func(t *testing.T, dir string, _ *Expect) {
			l := lines(t, dir, segmentName(3))
			put(t, dir, segmentName(3), l[:len(l)-2]...)
		}},
		"last line cut in the middle": {Truncated, true, func(t *testing.T, dir string, _ *Expect) {
			l := lines(t, dir, segmentName(3))
			put(t, dir, segmentName(3), append(l[:len(l)-2], l[len(l)-2][:90])...)
		}},
		"last segment emptied": {Truncated, true, func(t *testing.T, dir string, _ *Expect) { put(t, dir, segmentName(3)) }},
		"last segment missing": {Truncated, true, func(t *testing.T, dir string, _ *Expect) { remove(t, dir, segmentName(3)) }},
		"last segment missing with its end": {Truncated, true, func(t *testing.T, dir string, _ *Expect) {
			remove(t, dir, segmentName(3), closeName(3))
		}},
		"end cut off cleanly, seal and all": {RolledBack, false, func(t *testing.T, dir string, _ *Expect) {
			remove(t, dir, segmentName(3), closeName(3), sealFile)
		}},
		"segment in the middle missing": {Gap, true, func(t *testing.T, dir string, _ *Expect) { remove(t, dir, segmentName(2)) }},
		"end of a segment missing":      {Gap, true, func(t *testing.T, dir string, _ *Expect) { remove(t, dir, closeName(1)) }},
		"entry in the middle missing":   {Gap, true, func(t *testing.T, dir string, _ *Expect) { put(t, dir, segmentName(1), seg1[0], seg1[2], seg1[3]) }},
		"two entries swapped":           {Reordered, true, func(t *testing.T, dir string, _ *Expect) { put(t, dir, segmentName(1), seg1[0], seg1[2], seg1[1]) }},
		"entries swapped over segments": {Reordered, true, func(t *testing.T, dir string, _ *Expect) {
			put(t, dir, segmentName(1), seg1[0], seg2[1], seg1[2])
			put(t, dir, segmentName(2), seg2[0], seg1[1], seg2[2])
		}},
		"two segments swapped": {Reordered, true, func(t *testing.T, dir string, _ *Expect) { swap(t, dir, segmentName(1), segmentName(2)) }},
		"a word changed": {Forged, true, func(t *testing.T, dir string, _ *Expect) {
			put(t, dir, segmentName(1), seg1[0], bytes.Replace(seg1[1], []byte(`"n":0`), []byte(`"n":7`), 1), seg1[2])
		}},
		"the header of another run": {Replayed, true, func(t *testing.T, dir string, _ *Expect) { put(t, dir, headerFile, lines(t, other, headerFile)...) }},
		"an entry that is none": {Forged, true, func(t *testing.T, dir string, _ *Expect) {
			put(t, dir, segmentName(1), seg1[0], []byte("hello\n"), seg1[2])
		}},
		"the header changed": {Forged, true, func(t *testing.T, dir string, _ *Expect) {
			put(t, dir, headerFile, bytes.Replace(lines(t, dir, headerFile)[0], []byte("\"ada\""), []byte("\"eve\""), 1))
		}},
		"all written anew": {Forged, true, func(t *testing.T, dir string, _ *Expect) {
			rewrite(t, dir, func(l []byte) []byte { return bytes.Replace(l, []byte(`"n":2`), []byte(`"n":9`), 1) })
		}},
		"all written anew with its ends": {Forged, false, func(t *testing.T, dir string, _ *Expect) { reseal(t, dir) }},
		"an entry stands twice": {Replayed, true, func(t *testing.T, dir string, _ *Expect) {
			put(t, dir, segmentName(1), seg1[0], seg1[1], seg1[2], seg1[1])
		}},
		"another run's segment": {Replayed, true, func(t *testing.T, dir string, _ *Expect) {
			put(t, dir, segmentName(2), lines(t, other, segmentName(2))...)
		}},
		"another run's seal":             {Replayed, true, func(t *testing.T, dir string, _ *Expect) { put(t, dir, sealFile, lines(t, other, sealFile)...) }},
		"under another run's name":       {Replayed, false, func(t *testing.T, dir string, x *Expect) { x.Run = "run-7" }},
		"in another repository":          {Replayed, false, func(t *testing.T, dir string, x *Expect) { x.Repository = "example.com/other" }},
		"an attestation for another run": {Replayed, false, func(t *testing.T, dir string, x *Expect) { x.Attested[0].Run = "run-7" }},
		"another record of the run in the log": {Replayed, false, func(t *testing.T, dir string, x *Expect) {
			c := ox.Anchored[0]
			c.Run = "run-1"
			x.Anchored = append(x.Anchored, c)
		}},
		"an attestation of more": {Truncated, false, func(t *testing.T, dir string, x *Expect) { x.Attested[0].Records++ }},
		"two seals that contradict": {Forged, false, func(t *testing.T, dir string, x *Expect) {
			a := x.Attested[0]
			a.Head = x.Anchored[0].Head.String()
			x.Attested = append(x.Attested, a)
		}},
		"never sealed":    {Unsealed, true, func(t *testing.T, dir string, x *Expect) { remove(t, dir, sealFile) }},
		"from the future": {Clock, false, func(t *testing.T, dir string, x *Expect) { x.Now = time.Now().Add(-time.Hour) }},
		"salts gone":      {TextLost, true, func(t *testing.T, dir string, x *Expect) { remove(t, dir, saltsName(2)) }},
		"no header":       {Unreadable, true, func(t *testing.T, dir string, x *Expect) { put(t, dir, headerFile, []byte("{}")) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir, x := copyDir(t, dir), Expect{Run: x.Run, Repository: x.Repository, Attested: append([]Attested{}, x.Attested...), Anchored: append([]Closed{}, x.Anchored...)}
			c.do(t, dir, &x)
			rep := Verify(dir, x)
			if rep.OK() || rep.Problems[0].Code != c.want && !has(rep, c.want) {
				t.Errorf("got %+v, want %s", rep.Problems, c.want)
			}
			if alone := Verify(dir, Expect{}); c.alone && (alone.OK() || alone.Problems[0].Code != c.want) {
				t.Errorf("alone: got %+v, want %s", alone.Problems, c.want)
			}
			for _, p := range rep.Problems {
				if p.Place == "" || p.Text == "" || p.Next == "" {
					t.Errorf("says too little: %+v", p)
				}
			}
		})
	}
}

func has(rep Report, c Code) bool {
	for _, p := range rep.Problems {
		if p.Code == c {
			return true
		}
	}
	return false
}

// reseal writes a record anew with all that can be written without a key.
func reseal(t *testing.T, dir string) {
	t.Helper()
	rewrite(t, dir, func(l []byte) []byte { return bytes.Replace(l, []byte(`"n":2`), []byte(`"n":9`), 1) })
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	numbers, _ := segmentNumbers(dir)
	at := state{head: r.id}
	for _, n := range numbers {
		c := mustClosed(t, dir, n)
		c.Previous = at.head
		for i, l := range lines(t, dir, segmentName(n)) {
			if i > 0 && len(l) > 0 {
				if _, err := at.follow(bytes.TrimSuffix(l, []byte("\n"))); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.Head = at.head
		b, _ := sallyport.EncodeJSON(c)
		put(t, dir, closeName(n), b)
	}
	s, err := r.Seal()
	if err != nil {
		t.Fatal(err)
	}
	s.Head = at.head
	b, _ := sallyport.EncodeJSON(s)
	put(t, dir, sealFile, b)
	if rep := Verify(dir, Expect{}); !rep.OK() {
		t.Fatalf("the forgery is a bad one: %+v", rep)
	}
}

func mustClosed(t *testing.T, dir string, n int) Closed {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, closeName(n)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseClosed(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A record that is being written is open, and not unsealed.
func TestOpen(t *testing.T) {
	w := create(t, Options{})
	appendN(t, w, 3)
	if rep := Verify(w.Dir(), Expect{Run: "run-1"}); !rep.OK() || rep.Status != StatusOpen || rep.Records != 3 {
		t.Errorf("%+v", rep)
	}
	w.Close()
	if rep := Verify(w.Dir(), Expect{}); !has(rep, Unsealed) {
		t.Errorf("after its writer died: %+v", rep)
	}
}

// Texts and salts are erased, then all entries: every proof that stood before stands after.
func TestErase(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir, x := sealed(t, "run-1", id.Recipient().String())
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	entries := readAll(t, dir)
	text, err := r.Text(entries[0].Commits[0], []age.Identity{id})
	if err != nil || string(text) != "the text of a prompt" {
		t.Fatalf("%q, %v", text, err)
	}
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	var anchored int
	o := Order{By: "grace", Reason: "a request under article 17", Now: now, Noted: func(Erasure, []byte) error { anchored++; return nil },
		Match: func(e Entry, _ CommitRef) bool { return e.Seq == 1 }}
	if n, err := Erase(dir, o); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := r.Text(entries[0].Commits[0], []age.Identity{id}); !errors.Is(err, ErrNotKept) {
		t.Errorf("the text is there: %v", err)
	}
	rep := Verify(dir, x)
	if !rep.OK() || rep.Texts != (Texts{6, 6, 5, 1}) || len(rep.Erasures) != 1 || rep.Erasures[0].By != "grace" {
		t.Fatalf("%+v", rep)
	}
	o.Match, o.Salts = nil, true
	if n, err := Erase(dir, o); err != nil || n != 6 {
		t.Fatalf("%d, %v", n, err)
	}
	if rep = Verify(dir, x); !rep.OK() || rep.Texts != (Texts{6, 0, 0, 6}) || rep.Attested != 1 || rep.Anchored != len(x.Anchored) {
		t.Fatalf("%+v", rep)
	}
	if err := EraseRecord(dir, o); err != nil {
		t.Fatal(err)
	}
	if rep = Verify(dir, x); !rep.OK() || rep.Status != StatusErased || rep.Attested != 1 || rep.Anchored != len(x.Anchored) || rep.Records != 7 {
		t.Fatalf("%+v", rep)
	}
	if anchored != 3 {
		t.Errorf("%d notes were told of, want 3", anchored)
	}
	// Without its notes, what is gone is lost.
	remove(t, dir, erasureDir)
	if rep = Verify(dir, x); rep.OK() {
		t.Errorf("%+v", rep)
	}
}

// A text that was destroyed in silence is found, and so is one that was changed.
func TestTextLost(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir, x := sealed(t, "run-1", id.Recipient().String())
	c := readAll(t, dir)[2].Commits[0]
	put(t, dir, rawName(c.Digest), []byte("something else"))
	if rep := Verify(dir, x); !has(rep, Forged) {
		t.Errorf("%+v", rep.Problems)
	}
	remove(t, dir, rawName(c.Digest))
	if rep := Verify(dir, x); !has(rep, TextLost) {
		t.Errorf("%+v", rep.Problems)
	}
}
