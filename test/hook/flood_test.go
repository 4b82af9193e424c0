package hook

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// The evidence ref has room for so many files. Nobody fills it with what is no evidence, or with
// the same over and over, and no push takes much of it.
func TestEvidenceFlood(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	const ref = "refs/sallyport/evidence"
	s.agentWork("work")
	s.AttestRun("main", "HEAD")
	s.pushEvidence()
	held := s.ref(ref)
	path, _, _ := strings.Cut(s.Git("ls-tree", "-r", "--name-only", held), "\n")
	bundle := s.Git("cat-file", "blob", held+":"+path)
	// with commits the files of the ref and n others, which content makes.
	with := func(n int, content func(i int) string) string {
		t.Helper()
		in := bytes.NewBufferString(s.Git("ls-tree", held) + "\n")
		for i := range n {
			fmt.Fprintf(in, "100644 blob %s\t%05d.json\n", s.WriteObject("blob", []byte(content(i))), i)
		}
		tree, err := s.TryGit(scene.Who(scene.Alice), in.Bytes(), "mktree")
		if err != nil {
			t.Fatal(err)
		}
		return s.Git("commit-tree", "-p", held, "-m", "more", tree)
	}
	another := func(i int) string { return bundle + strings.Repeat("\n", i+2) } // other bytes, and the same statement
	for _, tt := range []struct {
		name    string
		n       int
		content func(i int) string
		says    string
	}{
		{"what is no bundle", 1, func(int) string { return "{}" }, "00000.json is no attestation: "},
		{"one file many times", 2, func(int) string { return another(0) }, "00000.json is there 2 times under several names"},
		{"too much at once", 501, another, "one push adds at most 500 attestations"},
	} {
		a := s.push(with(tt.n, tt.content) + ":" + ref)
		s.refused(a, ref, held)
		if got := a.remote(); !strings.HasPrefix(got, "sallyport: "+ref+": "+tt.says) {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	some := with(3, another)
	s.accepted(s.push(some+":"+ref), ref, some)
}
