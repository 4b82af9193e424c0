package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const evidenceRef = "refs/sallyport/evidence"

// Two clones push to one remote, and each takes the other's into account. Neither the remote's
// configuration nor the repository's runs anything but the remote's own hooks.
func TestFetchAndPush(t *testing.T) {
	dir := sample(t)
	remote := filepath.Join(t.TempDir(), "remote.git")
	run(t, dir, "init", "-q", "--bare", remote)
	run(t, dir, "remote", "add", "origin", remote)
	canary := filepath.Join(t.TempDir(), "canary")
	for _, hook := range []string{"pre-push", "reference-transaction"} {
		write(t, dir, ".git/hooks/"+hook, "#!/bin/sh\ntouch "+canary+"\n")
		if err := os.Chmod(filepath.Join(dir, ".git/hooks", hook), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"core.sshCommand", "core.fsmonitor", "credential.helper", "core.gitProxy"} {
		run(t, dir, "config", key, "touch "+canary)
	}
	r := open(t, dir)
	if _, err := r.Fetch(t.Context(), "origin", evidenceRef); !errors.Is(err, ErrNotFound) {
		t.Errorf("fetch of a ref that is not there: %v", err)
	}
	one, err := r.Grown(t.Context(), "", map[string]Addition{"ab/one.json": {Body: []byte("1")}}, "one")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Push(t.Context(), "origin", one, evidenceRef, ""); err != nil {
		t.Fatal(err)
	}
	if err := r.Push(t.Context(), "origin", one, evidenceRef, ""); !errors.Is(err, ErrRace) && err != nil {
		t.Errorf("the same again: %v", err)
	}
	other := open(t, dir)
	tip, err := other.Fetch(t.Context(), remote, evidenceRef)
	if err != nil || tip != one {
		t.Fatalf("fetched %s, %v, want %s", tip, err, one)
	}
	two, err := other.Grown(t.Context(), tip, map[string]Addition{"ab/two.json": {Body: []byte("2")}, "ab/one.json": {Body: []byte("other")}}, "two")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Push(t.Context(), "origin", two, evidenceRef, tip); err != nil {
		t.Fatal(err)
	}
	// The first pushes again, on what is no longer the tip.
	three, err := r.Grown(t.Context(), one, map[string]Addition{"cd/three.json": {Body: []byte("3")}}, "three")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Push(t.Context(), "origin", three, evidenceRef, one); !errors.Is(err, ErrRace) {
		t.Errorf("a lost race: %v", err)
	}
	if got := run(t, remote, "ls-tree", "-r", "--name-only", evidenceRef); got != "ab/one.json\nab/two.json" {
		t.Errorf("the remote holds %q", got)
	}
	if got := run(t, remote, "cat-file", "blob", evidenceRef+":ab/one.json"); got != "1" {
		t.Errorf("a file that was there became %q", got)
	}
	write(t, remote, "hooks/pre-receive", "#!/bin/sh\necho no such evidence here >&2\nexit 1\n")
	if err := os.Chmod(filepath.Join(remote, "hooks/pre-receive"), 0o755); err != nil {
		t.Fatal(err)
	}
	four, err := other.Grown(t.Context(), two, map[string]Addition{"cd/four.json": {Body: []byte("4")}}, "four")
	if err != nil {
		t.Fatal(err)
	}
	err = other.Push(t.Context(), "origin", four, evidenceRef, two)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no such evidence here") {
		t.Errorf("a push that a hook refuses: %v", err)
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("something that the repository names ran")
	}
	// Nothing of it is in the repository.
	if refs := run(t, dir, "for-each-ref", "refs/sallyport"); refs != "" {
		t.Errorf("refs of the repository: %s", refs)
	}
}

// Addresses that would start a program, or be read as an option, are refused.
func TestAddress(t *testing.T) {
	dir := sample(t)
	run(t, dir, "remote", "add", "evil", "ext::sh -c touch% canary")
	run(t, dir, "config", "remote.option.url", "--upload-pack=touch")
	run(t, dir, "remote", "add", "good", "https://example.com/acme/app.git")
	r := open(t, dir)
	for _, tt := range []struct {
		remote string
		err    error
	}{
		{"evil", ErrAddress}, {"option", ErrAddress}, {"nobody", ErrNoRemote}, {"ext::sh -c true", ErrAddress},
		{"http://example.com/x", ErrAddress}, {"git://example.com/x", ErrAddress}, {"-x/y", ErrAddress}, {"https://a\nb/", ErrAddress},
		{"good", nil}, {"https://example.com/x", nil}, {"ssh://git@example.com/x", nil}, {"git@example.com:x", nil}, {"/srv/x.git", nil}, {"../x.git", nil},
		{"http://127.0.0.1:3000/x", nil},
	} {
		if _, err := r.address(tt.remote, false); !errors.Is(err, tt.err) || (tt.err == nil) != (err == nil) {
			t.Errorf("%q: %v, want %v", tt.remote, err, tt.err)
		}
	}
}

// A tree of one folder that is much too large to be listed costs nothing to add to elsewhere; one
// large blob costs its size and no more.
func TestBlobs(t *testing.T) {
	dir := sample(t)
	r := open(t, dir)
	small := r.hash(kindBlob, []byte("one\n"))
	large := run(t, dir, "hash-object", "-w", filepath.Join(dir, "a.txt"))
	missing := strings.Repeat("1", 40)
	tree := run(t, dir, "rev-parse", "HEAD^{tree}")
	var got []string
	err := r.Blobs(t.Context(), []string{small, missing, large, tree, small}, 4, func(i int, b []byte, err error) error {
		switch {
		case err == nil:
			got = append(got, string(b))
		case errors.Is(err, ErrMissingObject):
			got = append(got, "missing")
		case errors.Is(err, ErrTooLarge):
			got = append(got, "large")
		default:
			got = append(got, "other")
		}
		return nil
	})
	want := "missing,large,other,one\n,one\n"
	if err != nil || strings.Join(got, ",") != want {
		t.Errorf("got %q, %v, want %q", strings.Join(got, ","), err, want)
	}
	stop := errors.New("stop")
	if err := r.Blobs(t.Context(), []string{small}, 4, func(int, []byte, error) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
}
