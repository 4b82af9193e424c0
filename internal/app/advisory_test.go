package app

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAdvisoryUpdate downloads from a server on this machine, which also does what servers do on bad days. What
// fails leaves the database as it is.
func TestAdvisoryUpdate(t *testing.T) {
	var export bytes.Buffer
	z := zip.NewWriter(&export)
	w, err := z.Create("GHSA-1.json")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(`{"id":"GHSA-1","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"p"},"versions":["1.0.0"]}]}`))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var answer http.HandlerFunc
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "a.db")
	update := func(h http.HandlerFunc, ecosystems ...string) (*AdvisoryStatus, error) {
		answer = h
		a := &App{Clock: func() time.Time { return now }, Getenv: func(string) string { return "" }}
		return a.AdvisoryUpdate(context.Background(), Options{}, AdvisoryOptions{Database: file}, s.URL, ecosystems, nil)
	}
	good := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/npm/all.zip" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.Header().Set("Last-Modified", now.Add(-3*time.Hour).Format(http.TimeFormat))
		_, _ = w.Write(export.Bytes())
	}
	got, err := update(good, "npm")
	if err != nil {
		t.Fatal(err)
	}
	if e := got.Ecosystems[0]; e.Name != "npm" || e.AgeHours == nil || *e.AgeHours != 3 || got.Sources[0].Path != s.URL+"/npm/all.zip" {
		t.Errorf("got %+v from %+v", e, got.Sources)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		answer     http.HandlerFunc
	}{
		{"not found", "answers 404", http.NotFound},
		{"no zip", "no OSV records", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":"all"}`)) }},
		{"cut short", "unexpected EOF", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(export.Bytes())
		}},
		{"half a zip", "zip", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(export.Bytes()[:export.Len()/2]) }},
		{"too large", "the limit is", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "9000000000") }},
		{"unencrypted elsewhere", "nothing is encrypted", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://osv.example/all.zip", http.StatusFound)
		}},
		{"in a circle", "too often", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}},
	} {
		if _, err := update(c.answer, "npm"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error about %q", c.name, err, c.want)
		}
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a failed update changed the database: %v", err)
	}
	// A time to come says nothing; the records do.
	got, err = update(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", now.Add(300*time.Hour).Format(http.TimeFormat))
		_, _ = w.Write(export.Bytes())
	}, "npm")
	if err != nil || !got.Ecosystems[0].AsOf.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v, %v", got, err)
	}
}
