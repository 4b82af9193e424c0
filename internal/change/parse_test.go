package change

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

var messages = []struct{ name, text string }{
	{"none", "title\n\nbody\n"},
	{"one", "title\n\nbody\n\nSigned-off-by: A <a@b>\n"},
	{"title only", "Key: value\n"},
	{"no body", "title\n\nKey: value\n"},
	{"several", "title\n\nA: 1\nB-c: 2\nCo-authored-by: X <x@y>\n"},
	{"continued", "title\n\nbody\n\nA: one\n  two\n\tthree\nB: 2\n"},
	{"prose among them", "title\n\nA: 1\nprose\nB: 2\n"},
	{"prose and a generated line", "title\n\nprose\nmore\nSigned-off-by: A <a@b>\n"},
	{"too much prose", "title\n\n1\n2\n3\n4\nSigned-off-by: A <a@b>\n"},
	{"cherry-picked", "title\n\nA: 1\n(cherry picked from commit abc)\n"},
	{"space before the colon", "title\n\nA : 1\n"},
	{"no space after it", "title\n\nA:1\n"},
	{"empty value", "title\n\nA:\n"},
	{"not a token", "title\n\nA_b: 1\n"},
	{"url", "title\n\nhttps://example.com/x\n"},
	{"blank lines at the end", "title\n\nA: 1\n\n\n"},
	{"paragraph of blanks", "title\n\nbody\n  \nA: 1\n"},
	{"divider", "title\n\nbody\n---\nA: 1\n\nB: 2\n"},
	{"two blocks", "title\n\nA: 1\n\nB: 2\n"},
	{"carriage returns", "title\r\n\r\nbody\r\n\r\nA: 1\r\n"},
	{"empty", ""},
	{"last line without a line feed", "title\n\nA: 1"},
}

// Git itself is the reference.
func TestTrailersAgreeWithGit(t *testing.T) {
	l := newLab(t)
	for _, tt := range messages {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(l.dir, ".git", "message")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			l.git("commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-F", file)
			out := l.git("log", "-1", "--format=%(trailers:only,unfold)")
			want := []string{}
			for line := range strings.SplitSeq(out, "\n") {
				if k, v, ok := strings.Cut(line, ":"); ok {
					want = append(want, strings.TrimSpace(k)+"|"+strings.TrimSpace(v))
				}
			}
			got := []string{}
			for _, tr := range parseTrailers(tt.text) {
				got = append(got, tr.Key+"|"+tr.Value)
			}
			if !slices.Equal(got, want) {
				t.Errorf("trailers %q, git says %q", got, want)
			}
		})
	}
}

// FuzzTrailers: every trailer has a key made of a token's characters and no line feed anywhere.
func FuzzTrailers(f *testing.F) {
	for _, m := range messages {
		f.Add(m.text)
	}
	f.Fuzz(func(t *testing.T, message string) {
		for _, tr := range parseTrailers(message) {
			if tr.Key == "" || strings.Trim(tr.Key, "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" ||
				strings.Contains(tr.Value, "\n") || !strings.Contains(message, tr.Key) {
				t.Errorf("trailer %+v of %q", tr, message)
			}
		}
	})
}

// The signature and the signed bytes are those that ssh-keygen verifies.
func TestSignedCommit(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh-keygen is not installed: install openssh-client")
		}
		t.Skip("NOT TESTED: ssh-keygen is not installed; install openssh-client")
	}
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			l := newLab(t, "--object-format="+format)
			key := filepath.Join(t.TempDir(), "key")
			if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
				t.Fatalf("%s", out)
			}
			base := l.commit("base")
			l.write("f", "x\n")
			l.git("add", ".")
			l.git("-c", "gpg.format=ssh", "-c", "user.signingKey="+key, "commit", "-q", "-S", "-m", "signed\n\nA: 1")
			c := l.change(base, l.git("rev-parse", "HEAD")).Commits[0]
			if c.SignatureKind != "ssh" || len(c.Trailers) != 1 {
				t.Fatalf("commit = %+v", c)
			}
			sig := filepath.Join(t.TempDir(), "sig")
			if err := os.WriteFile(sig, c.Signature, 0o600); err != nil {
				t.Fatal(err)
			}
			check := func(data []byte) error {
				cmd := exec.Command("ssh-keygen", "-Y", "check-novalidate", "-n", "git", "-s", sig)
				cmd.Stdin = bytes.NewReader(data)
				return cmd.Run()
			}
			if err := check(c.Signed); err != nil {
				t.Errorf("the signature does not verify over the signed bytes: %v", err)
			}
			if check(append(slices.Clone(c.Signed), '\n')) == nil {
				t.Error("the check accepts other bytes")
			}
		})
	}
}

const oid1, oid2 = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"

func TestParseCommit(t *testing.T) {
	const ids = "author A <a@b> 1 +0000\ncommitter C <c@d> 2 +0000\n"
	for _, tt := range []struct {
		name, raw, kind string
		err             error
	}{
		{"plain", "tree " + oid1 + "\n" + ids + "\nm\n", "none", nil},
		{"root and parents", "tree " + oid1 + "\nparent " + oid2 + "\nparent " + oid1 + "\n" + ids + "\nm\n", "none", nil},
		{"openpgp", "tree " + oid1 + "\n" + ids + "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nm\n", "openpgp", nil},
		{"x509", "tree " + oid1 + "\n" + ids + "gpgsig -----BEGIN SIGNED MESSAGE-----\n x\n\nm\n", "x509", nil},
		{"unknown armour", "tree " + oid1 + "\n" + ids + "gpgsig hello\n\nm\n", "unknown", nil},
		{"signature of the other format", "tree " + oid1 + "\n" + ids + "gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n\nm\n", "none", nil},
		{"signature in the message", "tree " + oid1 + "\n" + ids + "\ngpgsig -----BEGIN SSH SIGNATURE-----\n", "none", nil},
		{"no tree", ids + "\nm\n", "", errCommit},
		{"two trees", "tree " + oid1 + "\ntree " + oid2 + "\n" + ids + "\nm\n", "", errCommit},
		{"two authors", "tree " + oid1 + "\nauthor B <b@b> 1 +0000\n" + ids + "\nm\n", "", errCommit},
		{"short parent", "tree " + oid1 + "\nparent 12\n" + ids + "\nm\n", "", errCommit},
		{"no message", "tree " + oid1 + "\n" + ids, "", errCommit},
		{"continuation first", " x\ntree " + oid1 + "\n" + ids + "\nm\n", "", errCommit},
		{"empty", "", "", errCommit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseCommit([]byte(tt.raw), false)
			if !errors.Is(err, tt.err) || c.SignatureKind != tt.kind {
				t.Errorf("kind %q, error %v; want %q, %v", c.SignatureKind, err, tt.kind, tt.err)
			}
		})
	}
}

// FuzzParseCommit: what is signed is part of the object, in order, and holds all that was read.
func FuzzParseCommit(f *testing.F) {
	f.Add([]byte("tree " + oid1 + "\nauthor A <a@b> 1 +0000\ncommitter C <c@d> 2 +0000\ngpgsig -----BEGIN SSH SIGNATURE-----\n x\n\nm\n\nA: 1\n"))
	f.Add([]byte("tree " + oid1 + "\nauthor A\ncommitter <> 2\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseCommit(raw, false)
		if err != nil {
			return
		}
		if !bytes.Contains(raw, []byte("tree "+c.Tree.Hex()+"\n")) || !bytes.HasSuffix(raw, []byte(c.Message)) && len(c.Message) < maxMessage {
			t.Errorf("commit %+v of %q", c, raw)
		}
		if (c.Signature == nil) != (c.SignatureKind == "none") || (c.Signature == nil) != (c.Signed == nil) {
			t.Errorf("kind %q, signature %q, signed %q", c.SignatureKind, c.Signature, c.Signed)
		}
		if c.Signed == nil {
			return
		}
		again, err := parseCommit(c.Signed, false)
		if err != nil || again.Tree != c.Tree || !slices.Equal(again.Parents, c.Parents) || again.Author != c.Author ||
			again.Message != c.Message || again.SignatureKind != "none" {
			t.Errorf("the signed bytes read as %+v, %v; the object as %+v", again, err, c)
		}
	})
}

type recorder struct {
	events  []string
	entered int
}

func (r *recorder) pair(i int) error { r.events = append(r.events, fmt.Sprint("pair ", i)); return nil }

func (r *recorder) entries(e []rawEntry) error { r.entered = len(e); return nil }

func (r *recorder) hunk(e, o, n int) {
	r.events = append(r.events, fmt.Sprintf("hunk %d -%d +%d", e, o, n))
}

func (r *recorder) line(e int, op byte, text []byte, long bool) error {
	r.events = append(r.events, fmt.Sprintf("%d%c%s", e, op, text))
	return nil
}

func (r *recorder) endHunk(int)  {}
func (r *recorder) binary(e int) { r.events = append(r.events, fmt.Sprint("binary ", e)) }

const sampleDiff = oid1 + " " + oid2 + "\n" +
	":100644 100644 " + oid1 + " " + oid2 + " M\t\"a\\tb\"\n" +
	":100644 120000 " + oid1 + " " + oid2 + " T\tt\n\n" +
	"diff --git \"a/a\\tb\" \"b/a\\tb\"\nindex 1..2 100644\n--- \"a/a\\tb\"\n+++ \"b/a\\tb\"\n@@ -1 +1,2 @@ fn\n-x\n\\ No newline at end of file\n+diff --git a/x b/x\n+y\n" +
	"diff --git a/t b/t\ndeleted file mode 100644\nBinary files a/t and /dev/null differ\n" +
	"diff --git a/t b/t\nnew file mode 120000\n@@ -0,0 +1 @@\n+z\n\\ No newline at end of file\n" +
	oid2 + " " + oid2 + "\n"

func TestReadDiffs(t *testing.T) {
	var r recorder
	if err := readDiffs(strings.NewReader(sampleDiff), 2, 40, &r); err != nil {
		t.Fatal(err)
	}
	want := []string{"pair 0", "hunk 0 -1 +1", "0-x", "0+diff --git a/x b/x\n", "0+y\n", "binary 1", "hunk 1 -0 +1", "1+z", "pair 1"}
	if !slices.Equal(r.events, want) {
		t.Errorf("events %q\nwant %q", r.events, want)
	}
	for _, tt := range []struct{ name, text string }{
		{"cut off in a hunk", sampleDiff[:strings.Index(sampleDiff, "+y")]},
		{"cut off between files", sampleDiff[:strings.Index(sampleDiff, "diff --git a/t")]},
		{"cut off in a type change", sampleDiff[:strings.LastIndex(sampleDiff, "diff --git a/t")]},
		{"cut off before the second pair", strings.TrimSuffix(sampleDiff, oid2+" "+oid2+"\n")},
		{"another file's diff", strings.Replace(sampleDiff, "diff --git a/t b/t", "diff --git a/u b/u", 1)},
		{"hunk longer than told", strings.Replace(sampleDiff, "@@ -1 +1,2", "@@ -1 +1,1", 1)},
		{"rename", strings.Replace(sampleDiff, "M\t", "R\t", 1)},
		{"no pair", sampleDiff[82:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := readDiffs(strings.NewReader(tt.text), 2, 40, &recorder{}); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// FuzzReadDiffs: only entries that were told are spoken of, and lines are in hunks.
func FuzzReadDiffs(f *testing.F) {
	f.Add([]byte(sampleDiff), 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		s := &checkingSink{t: t}
		_ = readDiffs(bytes.NewReader(b), n, 40, s) // an error is a fine answer
	})
}

type checkingSink struct {
	t      *testing.T
	told   int
	inHunk bool
}

func (s *checkingSink) check(e int) {
	if e < 0 || e >= s.told {
		s.t.Fatalf("entry %d of %d", e, s.told)
	}
}
func (s *checkingSink) pair(int) error             { s.told = 0; return nil }
func (s *checkingSink) entries(e []rawEntry) error { s.told = len(e); return nil }
func (s *checkingSink) hunk(e, _, _ int)           { s.check(e); s.inHunk = true }
func (s *checkingSink) endHunk(e int)              { s.check(e); s.inHunk = false }
func (s *checkingSink) binary(e int)               { s.check(e) }
func (s *checkingSink) line(e int, op byte, _ []byte, _ bool) error {
	s.check(e)
	if !s.inHunk || !strings.ContainsRune(" +-", rune(op)) {
		s.t.Fatalf("line %q outside a hunk", op)
	}
	return nil
}

// FuzzReadMerges: a clean merge has a tree and no conflicts, another one no tree.
func FuzzReadMerges(f *testing.F) {
	f.Add([]byte("1\x00"+oid1+"\x00\x000\x00"+oid2+"\x00f\x00g\x00\x00"), 2)
	f.Add([]byte("1\x00"+oid1+"\x00f\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > 1000 {
			return
		}
		results, err := readMerges(bytes.NewReader(b), n, func(s string) bool { return isOID(s, 40) })
		if err == nil && len(results) != n {
			t.Errorf("%d results of %d", len(results), n)
		}
		for _, r := range results {
			if r.tree != "" && (len(r.conflicts) > 0 || !isOID(r.tree, 40)) || slices.Contains(r.conflicts, sallyport.Path("")) {
				t.Errorf("result %+v", r)
			}
		}
	})
}

// FuzzLFSPointer: a pointer is small text that begins as the specification says.
func FuzzLFSPointer(f *testing.F) {
	f.Add([]byte(pointerLine + "oid sha256:" + strings.Repeat("a", 64) + "\nsize 1\n"))
	f.Add([]byte(pointerLine + "size 1\nrm -rf /\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if isLFSPointer(b) && (len(b) >= maxPointer || !bytes.HasPrefix(b, []byte(pointerLine)) || bytes.Contains(b, []byte("\nrm"))) {
			t.Errorf("%q is taken for a pointer", b)
		}
	})
}
