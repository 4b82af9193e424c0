// Package pack holds evidence packs to what they promise: no byte of one can be changed unseen.
package pack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	archive "github.com/sallyport-dev/sallyport/internal/evidence/pack"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// exported is the pack of a decision that an agent's change waits for, and the root.
func exported(t *testing.T) ([]byte, sallyport.Digest, string) {
	t.Helper()
	s := scene.New(t, scene.Options{})
	s.Git("switch", "-q", "-c", "work")
	s.Write("server.py", "print(1)\n")
	s.GitAs(scene.Who(scene.Alice), "commit", "-q", "-a", "-m", "Work")
	s.AttestRun("main", "HEAD")
	v := s.Check()
	file := filepath.Join(s.Dir, "pack.tar")
	s.Must("evidence", "export", string(v.ID), "--repo", s.Repo, "--to", file, "--root", string(s.Pin), "--target", "main")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var log struct{ Key string }
	if err := json.Unmarshal([]byte(s.Must("log", "status", "--repo", s.Repo, "--json")), &log); err != nil {
		t.Fatal(err)
	}
	return b, s.Pin, log.Key
}

// TestPackBytes changes one byte at a time: of the archive, and of each member in a pack that is otherwise
// whole. None is taken, but where a change leaves the archive's bytes as they were.
func TestPackBytes(t *testing.T) {
	b, root, log := exported(t)
	a := &app.App{Getenv: func(string) string { return "" }}
	verify := func(b []byte) error {
		_, err := a.VerifyPack(context.Background(), b, app.PackOptions{Root: root, LogKey: log, Advice: true})
		return err
	}
	if err := verify(b); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(b); at += 97 {
		c := bytes.Clone(b)
		c[at] ^= 1
		if err := verify(c); !errors.Is(err, app.ErrRefused) {
			t.Fatalf("byte %d: %v\n%q", at, err, b[max(0, at-700):at+40])
		}
	}
	files, err := archive.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		for _, at := range []int{0, len(content) / 3, len(content) / 2, len(content) - 2} {
			if at < 0 || at >= len(content) {
				continue
			}
			changed := bytes.Clone(content)
			changed[at] ^= 1
			files[name] = changed
			c, err := archive.Write(files)
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(c); !errors.Is(err, app.ErrRefused) {
				t.Errorf("%s, byte %d: %v", name, at, err)
			}
		}
		delete(files, name)
		if c, err := archive.Write(files); err == nil && !errors.Is(verify(c), app.ErrRefused) {
			t.Errorf("%s is not needed", name)
		}
		files[name] = content
	}
	for _, more := range []string{"more.json", "governed/.sallyport/signatures/x.sig", "evidence/00.json", "policy/00"} {
		files[more] = []byte("{}")
		c, err := archive.Write(files)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(c); !errors.Is(err, app.ErrRefused) {
			t.Errorf("%s, which belongs to nothing: %v", more, err)
		}
		delete(files, more)
	}
}

func TestMain(m *testing.M) { os.Exit(scene.Main(m)) }
