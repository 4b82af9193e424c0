package scan

import (
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// A secret that a later commit of the range removes is found, and its commit is named.
func TestPassing(t *testing.T) {
	b := &blobs{}
	secret := b.added("config.py", "KEY = \"ghp_"+strings.Join([]string{"q7Zt2Lw9", "Xk4Rb8Nm", "1Vc6Yh3D", "s5Jf0PaG", "uE2o"}, "")+"\"\n")
	commit := sallyport.GitCommit(strings.Repeat("1", 40))
	c := &sallyport.Change{Passing: []sallyport.Passage{{Commit: commit, File: secret}}}
	found, err := New(b, nil).Change(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Kind != sallyport.FindingSecret || found[0].Commit != commit {
		t.Fatalf("got %+v, want one secret in commit %s", found, commit.Short())
	}
	if !strings.Contains(found[0].Text, "no longer in the result") {
		t.Errorf("the text does not say that it is in passing: %q", found[0].Text)
	}
}
