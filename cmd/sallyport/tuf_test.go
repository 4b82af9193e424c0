package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-dev/sallyport/internal/evidence/tuf/tufrepo"
)

// tufRepositories is the script command tuf: a repository of The Update Framework on loopback.
//
//	tuf start FILE     begins one whose trusted root is FILE, and puts its URL into $TUF and its first root
//	                   into $TUF_ROOT
//	tuf next FILE      publishes FILE, with the next version
//	tuf rotate         publishes the next root, with other keys
//	tuf old            publishes the first version again
//	tuf frozen         publishes a version that has expired
//	tuf forged FILE    puts FILE where the trusted root is
//	tuf endless PATH   answers what is asked at PATH without an end
//	tuf unsigned FILE  publishes FILE with fewer signatures than it needs
//	tuf folder DIR     writes what is published to DIR
func tufRepositories(t *testing.T) func(*testscript.TestScript, bool, []string) {
	var mu sync.Mutex
	all := map[string]*tufrepo.Repository{} // by the script's folder
	endless := map[string]string{}
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: tuf start|next|rotate|old|frozen|forged|endless|unsigned|folder [FILE]")
		}
		file := func() []byte {
			if len(args) != 2 {
				ts.Fatalf("usage: tuf %s FILE", args[0])
			}
			return []byte(ts.ReadFile(args[1]))
		}
		mu.Lock()
		defer mu.Unlock()
		r := all[ts.Getenv("WORK")]
		if r == nil && args[0] != "start" {
			ts.Fatalf("tuf start FILE comes first")
		}
		switch args[0] {
		case "start":
			r = tufrepo.New(t, time.Now(), file())
			all[ts.Getenv("WORK")] = r
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if at := endless[ts.Getenv("WORK")]; at != "" && req.URL.Path == "/repository/"+at {
					for n, err := 0, error(nil); err == nil && n < 64<<20; { // the client goes away long before
						var m int
						m, err = w.Write(make([]byte, 1<<16))
						n += m
					}
					return
				}
				b, ok := r.Files[strings.TrimPrefix(req.URL.Path, "/repository/")]
				if !ok {
					http.NotFound(w, req)
					return
				}
				_, _ = w.Write(b)
			}))
			ts.Defer(s.Close)
			ts.Setenv("TUF", s.URL+"/repository")
			ts.Setenv("TUF_ROOT", ts.MkAbs("first.root.json"))
			ts.Check(os.WriteFile(ts.MkAbs("first.root.json"), r.Pinned(), 0o600))
			return
		case "next":
			r.Version, r.Target = r.Version+1, file()
		case "rotate":
			r.Version++
			r.RotateRoot()
		case "old":
			r.Version = 1
		case "frozen":
			r.Version, r.Expires = r.Version+1, time.Now().Add(-time.Hour)
		case "endless":
			if len(args) != 2 {
				ts.Fatalf("usage: tuf endless PATH")
			}
			endless[ts.Getenv("WORK")] = args[1]
			return
		case "unsigned":
			r.Version, r.Target, r.Signers["targets"] = r.Version+1, file(), 1
		case "forged":
			for name := range r.Files {
				if strings.HasPrefix(name, "targets/") {
					r.Files[name] = file()
				}
			}
			return
		case "folder":
			for name, b := range r.Files {
				to := filepath.Join(ts.MkAbs(args[1]), filepath.FromSlash(name))
				ts.Check(os.MkdirAll(filepath.Dir(to), 0o700))
				ts.Check(os.WriteFile(to, b, 0o600))
			}
			return
		default:
			ts.Fatalf("tuf %s is not known", args[0])
		}
		r.Publish()
	}
}
