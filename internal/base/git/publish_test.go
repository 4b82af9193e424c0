package git

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPublish(t *testing.T) {
	dir := sample(t)
	hook := filepath.Join(dir, ".git", "hooks", "reference-transaction")
	canary := filepath.Join(t.TempDir(), "canary")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ntouch "+canary+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const ref = "refs/sallyport/evidence"
	first, err := r.Publish(t.Context(), ref, map[string]Addition{"a.json": {Body: []byte("a")}}, "one")
	if err != nil {
		t.Fatal(err)
	}
	same, err := r.Publish(t.Context(), ref, map[string]Addition{"a.json": {Body: []byte("a")}}, "again")
	if err != nil || same != first {
		t.Errorf("the same again: got %s, %v, want %s", same, err, first)
	}
	second, err := r.Publish(t.Context(), ref, map[string]Addition{"b.json": {Body: []byte("b")}}, "two")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Ref(t.Context(), ref); err != nil || got != second {
		t.Errorf("the ref is %s, %v, want %s", got, err, second)
	}
	for name, want := range map[string]string{"a.json": "a", "b.json": "b"} {
		if got, err := r.File(t.Context(), second, name, 10); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := r.Publish(t.Context(), ref, map[string]Addition{"../x": {}}, "bad"); err == nil {
		t.Error("accepted a path")
	}
	if err := os.WriteFile(filepath.Join(dir, ".git", ref+".lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Publish(t.Context(), ref, map[string]Addition{"c.json": {}}, "locked"); err == nil {
		t.Error("wrote past the lock")
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("a hook ran")
	}
}
