package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
)

// timestamps returns the script command tsa, which starts a timestamp authority: $TSA is its address,
// and the trusted root that verifies its answers is written to the file that is named.
func timestamps(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: tsa FILE")
		}
		authority := keylesstest.New(t, time.Now())
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
			answer, err := authority.Answer(query, time.Now())
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			_, _ = w.Write(answer)
		}))
		ts.Defer(s.Close)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), authority.TrustedRoot(), 0o600))
		ts.Setenv("TSA", s.URL)
	}
}
