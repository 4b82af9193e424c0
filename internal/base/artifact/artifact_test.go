package artifact

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	later := noon.Add(90 * time.Second)
	f := func(name, text string) file { return file{name: name, text: text, mtime: noon, mode: 0o644} }
	with := func(f file, change func(*file)) file { change(&f); return f }
	tests := []struct {
		name, a, b string
		want       []string
	}{
		{"equal", "a", "a", nil},
		{"bytes", "\x00\x01\x02", "\x00\x01\x03", []string{": content byte 0x2: 00 01 02 | 00 01 03"}},
		{"one is longer", "\x00\x01", "\x00\x01\x03", []string{": content byte 0x2: 00 01 (end) | 00 01 03"}},
		{"other kinds of file", "text", "\x00", []string{": format format: text | data"}},
		{"empty", "", "text", []string{": format format: empty | text"}},
		{"string in a binary", "\x00built in /src/one/x.c\x00", "\x00built in /src/two/x.c\x00", []string{": path byte 0xf: built in /src/one/x.c | built in /src/two/x.c"}},

		{"line", "one\ntwo\n", "one\nzwei\n", []string{`: content line 2: two\n | zwei\n`}},
		{"lines in another order", "one\ntwo\nthree\n", "one\nthree\ntwo\n", []string{`: order line 2: two\n | three\n`}},
		{"more lines", "one\n", "one\ntwo\n", []string{`: content line 2:  | two\n`}},
		{"a time, and more lines", "at 12:00:00\n", "at 12:00:01\nmore\n", []string{`: timestamp line 1: at 12:00:00\n | at 12:00:01\n`, `: content line 1: at 12:00:00\n | at 12:00:01\n`}},
		{"iso time", "built 2026-11-26T12:00:00Z\n", "built 2026-11-26T12:01:30Z\n", []string{`: timestamp line 1: built 2026-11-26T12:00:00Z\n | built 2026-11-26T12:01:30Z\n`}},
		{"date as programs print it", "Thu Nov 26 12:00:00 UTC 2026", "Thu Nov 26 12:01:30 UTC 2026", []string{": timestamp line 1: Thu Nov 26 12:00:00 UTC 2026 | Thu Nov 26 12:01:30 UTC 2026"}},
		{"epoch", "at=1795694400", "at=1795694490", []string{": timestamp line 1: at=1795694400 | at=1795694490"}},
		{"a number is no time", "n=12", "n=13", []string{": content line 1: n=12 | n=13"}},
		{"path", "-I/home/a/src", "-I/tmp/build-1234/src", []string{": path line 1: -I/home/a/src | -I/tmp/build-1234/src"}},
		{"path and time", "/a/b 2026-11-26", "/c/d 2026-11-27", []string{": timestamp line 1: /a/b 2026-11-26 | /c/d 2026-11-27", ": path line 1: /a/b 2026-11-26 | /c/d 2026-11-27"}},
		{"uuid", "id 7f2c1c5e-0000-4000-8000-000000000001", "id 7f2c1c5e-0000-4000-8000-000000000002", []string{": identifier line 1: id 7f2c1c5e-0000-4000-8000-000000000001 | id 7f2c1c5e-0000-4000-8000-000000000002"}},
		{"digest", "x " + strings.Repeat("a", 64), "x " + strings.Repeat("b", 64), []string{": digest line 1: x " + strings.Repeat("a", 64) + " | x " + strings.Repeat("b", 64)}},
		{"each kind once", "2026-11-26\n2026-11-26\nx\n", "2026-11-27\n2026-11-28\ny\n", []string{`: timestamp line 1: 2026-11-26\n | 2026-11-27\n`, `: content line 3: x\n | y\n`}},
		{"a terminal's sequence", "a\x1b[2J\n", "b\x1b[2J\n", []string{`: content line 1: a\x1b[2J\n | b\x1b[2J\n`}},

		{"json keys", `{"a":1,"b":2}`, `{"b":2,"a":1}`, []string{": order $ (keys): a | b"}},
		{"json elements", `{"x":["p","q"]}`, `{"x":["q","p"]}`, []string{`: order $.x[0]: "p" | "q"`}},
		{"json value", `{"x":[{"at":"2026-11-26T12:00:00Z"}]}`, `{"x":[{"at":"2026-11-26T12:00:01Z"}]}`, []string{`: timestamp $.x[0].at: "2026-11-26T12:00:00Z" | "2026-11-26T12:00:01Z"`}},
		{"json missing and extra", `{"a":1,"c":{}}`, `{"b":[1],"c":{}}`, []string{": missing $.a: 1 | ", ": extra $.b:  | a list of 1 element"}},
		{"json kind", `{"a":1}`, `{"a":[]}`, []string{": content $.a: 1 | a list of 0 elements"}},
		{"json spaces", `{"a":1}`, `{"a": 1}`, []string{`: content line 1: {"a":1} | {"a": 1}`}},
		{"json twice", `{"a":1,"a":2}`, `{"a":2,"a":1}`, []string{": content $.a: 2 | 1"}},

		{"tar time", packTar(t, f("x", "1")), packTar(t, with(f("x", "1"), func(f *file) { f.mtime = later })), []string{"x: timestamp mtime: 2026-11-26T12:00:00Z | 2026-11-26T12:01:30Z"}},
		{"tar owner and mode", packTar(t, f("x", "1")), packTar(t, with(f("x", "1"), func(f *file) { f.uid, f.uname, f.mode = 1000, "bob", 0o664 })),
			[]string{"x: mode mode: 0644 | 0664", "x: owner uid: 0 | 1000", "x: owner uname:  | bob"}},
		{"tar order", packTar(t, f("x", "1"), f("y", "2")), packTar(t, f("y", "2"), f("x", "1")), []string{": order member 1: x | y"}},
		{"tar members", packTar(t, f("x", "1"), f("y", "2")), packTar(t, f("x", "1"), f("z", "22")), []string{"y: missing member: 1 bytes | ", "z: extra member:  | 2 bytes"}},
		{"tar content", packTar(t, f("x", "1")), packTar(t, f("x", "2")), []string{"x: content line 1: 1 | 2"}},
		{"tar twice the same name", packTar(t, f("x", "1"), f("x", "2")), packTar(t, f("x", "1"), f("x", "3")), []string{"x (number 2 of this name): content line 1: 2 | 3"}},
		{"tar rest", packTar(t, f("x", "1")), packTar(t, f("x", "1")) + "more", []string{": content after the last member, byte 0x0:  (end) | 6d 6f 72 65"}},

		{"gzip header", packGzip(t, "x", "a", noon, 6), packGzip(t, "x", "b", later, 9),
			[]string{": timestamp gzip time: 2026-11-26T12:00:00Z | 2026-11-26T12:01:30Z", ": content gzip name: a | b", ": compression gzip level: not said (0) | best (2)"}},
		{"gzip content", packGzip(t, "x", "", noon, 6), packGzip(t, "y", "", noon, 6), []string{": content line 1: x | y"}},
		{"gzip packed otherwise", packGzip(t, strings.Repeat("ab", 99), "", noon, 6), packGzip(t, strings.Repeat("ab", 99), "", noon, 0), []string{": compression gzip: 28 bytes | 226 bytes"}},
		{"tar in gzip", packGzip(t, packTar(t, f("x", "1")), "", noon, 6), packGzip(t, packTar(t, f("x", "2")), "", noon, 6), []string{"x: content line 1: 1 | 2"}},
		{"zip in tar", packTar(t, f("w.whl", packZip(t, f("x", "1")))), packTar(t, f("w.whl", packZip(t, f("x", "2")))), []string{"w.whl!x: content line 1: 1 | 2"}},

		{"zip time", packZip(t, f("x", "1")), packZip(t, with(f("x", "1"), func(f *file) { f.mtime = later })),
			[]string{"x: timestamp extra field 0x5455 (times): 01401f086b (2026-11-26T12:00:00Z) | 019a1f086b (2026-11-26T12:01:30Z)", "x: timestamp mtime: 2026-11-26 12:00:00 | 2026-11-26 12:01:30"}},
		{"zip order", packZip(t, f("x", "1"), f("y", "2")), packZip(t, f("y", "2"), f("x", "1")), []string{": order member 1: x | y"}},

		{"ar", packAr(f("x", "1"), f("y", "2")), packAr(with(f("x", "1"), func(f *file) { f.mtime, f.uid = later, 7 }), f("y", "3")),
			[]string{"x: timestamp mtime: 1795694400 (2026-11-26T12:00:00Z) | 1795694490 (2026-11-26T12:01:30Z)", "x: owner uid: 0 | 7", "y: content line 1: 2 | 3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := compare(t, tt.a, tt.b)
			if got := told(r); !slices.Equal(got, tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if r.Equal != (tt.a == tt.b) {
				t.Errorf("equal is %t", r.Equal)
			}
			for _, d := range r.Differences {
				if d.Why == "" {
					t.Errorf("%v has no cause", d)
				}
			}
			symmetric(t, r, compare(t, tt.b, tt.a))
		})
	}
}

// symmetric fails unless the second report is the first with the sides exchanged.
func symmetric(t testing.TB, r, back Report) {
	t.Helper()
	mirror := map[Kind]Kind{Missing: Extra, Extra: Missing}
	var a, b []string
	for _, d := range r.Differences {
		a = append(a, fmt.Sprint(d.Member, "\n", d.Where, "\n", d.What, "\n", d.A, "\n", d.B))
	}
	for _, d := range back.Differences {
		if m, ok := mirror[d.What]; ok {
			d.What = m
		}
		b = append(b, fmt.Sprint(d.Member, "\n", d.Where, "\n", d.What, "\n", d.B, "\n", d.A))
	}
	slices.Sort(a)
	slices.Sort(b)
	if r.Omitted == 0 && !slices.Equal(a, b) || r.Omitted != back.Omitted || r.Equal != back.Equal {
		t.Errorf("not symmetric:\n%q\n%q", a, b)
	}
}

// What is beyond a bound is told, and is a difference all the same.
func TestBounds(t *testing.T) {
	f := func(n int, text string) file { return file{name: fmt.Sprint("f", n), text: text, mtime: noon} }
	bomb := func(end string) string { return packGzip(t, strings.Repeat("\x00", 40<<20)+end, "", noon, 9) }
	deep := func(s string) string {
		for range 5 {
			s = packGzip(t, s, "", noon, 6)
		}
		return s
	}
	var many, other []file
	for i := range 50 {
		many = append(many, f(i, "x"))
		other = append(other, file{name: fmt.Sprint("f", i), text: "x", mtime: noon.Add(time.Hour)})
	}
	tests := []struct {
		name, a, b string
		limits     Limits
		want       string // among what is unexamined
		what       Kind   // of the first difference
	}{
		{"ratio", bomb("a"), bomb("b"), Limits{}, "more than 200 times its size", Content},
		{"unpacked", bomb("a"), bomb("b"), Limits{Unpacked: 1 << 20}, "more than 1048576 bytes are unpacked", Content},
		{"depth", deep("a"), deep("b"), Limits{Depth: 3}, "not examined beyond 3 archives in each other", Content},
		{"members", packTar(t, many...), packTar(t, append(many, f(50, "y"))...), Limits{Members: 10}, "not examined beyond member 10: more than 10 members", Content},
		{"text", strings.Repeat("a\n", 100) + "a", strings.Repeat("a\n", 100) + "b", Limits{Text: 100}, "larger than 100 bytes", Content},
		{"listed", packTar(t, many...), packTar(t, other...), Limits{Each: 5}, "", Timestamp},
		{"no gzip", "\x1f\x8b\x08", "\x1f\x8b\x08\x00", Limits{}, "not examined inside", Content},
		{"no zip", "PK\x03\x04a", "PK\x03\x04b", Limits{}, "not a valid zip file", Content},
		{"no ELF", "\x7fELFa", "\x7fELFb", Limits{}, "not examined by section", Content},
		{"xz", "\xfd7zXZ\x00a", "\xfd7zXZ\x00b", Limits{}, "xz is not unpacked", Content},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.limits.TempDir = t.TempDir()
			r, err := Compare(t.Context(), input("a", tt.a), input("b", tt.b), tt.limits)
			if err != nil {
				t.Fatal(err)
			}
			if r.Equal || len(r.Differences) == 0 || r.Differences[0].What != tt.what {
				t.Errorf("differences: %q", told(r))
			}
			has := slices.ContainsFunc(r.Unexamined, func(u Unexamined) bool { return strings.Contains(u.Why, tt.want) })
			if has != (tt.want != "") {
				t.Errorf("unexamined: %v", r.Unexamined)
			}
			if tt.limits.Each == 5 && (len(r.Differences) != 5 || r.Omitted != 45 || r.Counts[Timestamp] != 50) {
				t.Errorf("%d listed, %d omitted, %v", len(r.Differences), r.Omitted, r.Counts)
			}
		})
	}
	if _, err := Compare(t.Context(), input("a", "aa"), input("b", "b"), Limits{Size: 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file beyond the limit: %v", err)
	}
	short := input("a", "aa")
	short.Size = 3
	if _, err := Compare(t.Context(), short, input("b", "b"), Limits{}); err == nil {
		t.Error("a file that is shorter than it was said to be is compared")
	}
}

// What is known of the builds makes a cause sharper.
func TestFacts(t *testing.T) {
	run := func(a, b string, fa, fb Facts) string {
		t.Helper()
		ia, ib := input("a", a), input("b", b)
		ia.Facts, ib.Facts = fa, fb
		r, err := Compare(t.Context(), ia, ib, Limits{})
		if err != nil || len(r.Differences) == 0 {
			t.Fatal(err, r)
		}
		return string(r.Differences[0].What)
	}
	if got := run("by alice", "by bob", Facts{Names: []string{"alice"}}, Facts{Names: []string{"bob"}}); got != "environment" {
		t.Errorf("a user's name is %s", got)
	}
	if got := run("by alice", "by bob", Facts{}, Facts{}); got != "content" {
		t.Errorf("any name is %s", got)
	}
	at := Facts{Time: noon}
	if got := run("at 1795694400", "at 1795694490", at, at); got != "timestamp" {
		t.Errorf("a number near the build's time is %s", got)
	}
	if got := run("at 1000000400", "at 1000000490", at, at); got != "content" {
		t.Errorf("a number far from the build's time is %s", got)
	}
	if got := run("in C:\\a b", "in D:\\c", Facts{Roots: []string{"C:\\a b"}}, Facts{Roots: []string{"D:\\c"}}); got != "path" {
		t.Errorf("the checkout is %s", got)
	}
}

// What a hostile file could make of memory is bounded, and told.
func TestMemoryBounds(t *testing.T) {
	many := strings.Repeat("\n", maxLines+1)
	r := compare(t, many+"a", many+"b")
	if len(r.Unexamined) != 1 || !strings.Contains(r.Unexamined[0].Why, "more than 2000000 lines") || r.Differences[0].What != Content {
		t.Errorf("lines: %+v", r)
	}
	list := "[" + strings.Repeat("0,", maxNodes)
	if r = compare(t, list+"0]", list+"1]"); len(r.Differences) != 1 || r.Differences[0].Where != "line 1" {
		t.Errorf("JSON: %q", told(r))
	}
	var names []file
	for i := range 80 {
		names = append(names, file{name: fmt.Sprint(strings.Repeat("n/", 450_000), i), mtime: noon})
	}
	r = compare(t, packTar(t, names...), packTar(t, append(names, file{name: "x"})...))
	if len(r.Unexamined) != 1 || !strings.Contains(r.Unexamined[0].Why, "bytes of headers") {
		t.Errorf("tar: %v", r.Unexamined)
	}
}
