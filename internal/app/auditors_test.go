package app

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
	"github.com/sallyport-dev/sallyport/internal/run/profile"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

// What is sent is kept for the auditors whom the configuration names, readable by them alone, and a record
// does not change whom it is for.
func TestAuditors(t *testing.T) {
	who, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r")
	auditors := []string{who.Recipient().String()}
	w, err := openProxyRecord(dir, "g", "example.com/a", auditors, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	const said = "what the prompt says"
	if err := (proxyJournal{w}).Append(context.Background(), &prompt.Record{Kind: prompt.KindRequest}, []byte(said)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, p))
		if bytes.Contains(b, []byte(said)) {
			t.Errorf("%s holds the text as it is", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, others := range [][]string{nil, {"age1other"}} {
		if _, err := openProxyRecord(dir, "g", "example.com/a", others, time.Now); err == nil || !strings.Contains(err.Error(), "other auditors") {
			t.Errorf("for %v: %v", others, err)
		}
	}
	r, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Header().Auditors, auditors) {
		t.Errorf("the header names %v", r.Header().Auditors)
	}
}

// A secret is known by its value as well as by its variable's name.
func TestRunEnvironSecrets(t *testing.T) {
	value := "AKIA" + "Q3EGVZ7RTNB2" + "KL5M"
	env, err := runEnviron([]string{"PATH=/bin", "LC_NOTE=" + value, "GO_TOKEN=hush", "GOFLAGS=-v"}, []string{"GO*"}, profile.Profile{}, &runHome{dir: "/h"})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(env, "\n")
	if strings.Contains(all, value) || strings.Contains(all, "hush") || !strings.Contains(all, "GOFLAGS=-v") || !strings.Contains(all, "PATH=/bin") {
		t.Errorf("%q", env)
	}
}
