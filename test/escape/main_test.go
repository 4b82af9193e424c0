// Package escape is what a confined command tries in order to get out. Each attempt is run inside by
// each mechanism, has to be refused, and, where the witness can see it, has to be told. Each has a
// twin, in internal/run/confine's tests, that does the allowed thing beside it.
package escape

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

func TestMain(m *testing.M) {
	if confine.IsInit(os.Args) {
		os.Exit(confine.Init())
	}
	if len(os.Args) == 3 && os.Args[1] == "attempt" {
		os.Exit(attemptMain(os.Args[2]))
	}
	if os.Getenv("SALLYPORT_CONFINE_PROBE") != "" {
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "supervise" {
		os.Exit(supervise(os.Args[2]))
	}
	if len(os.Args) == 5 && os.Args[1] == "as-user" {
		user, _ := strconv.Atoi(os.Args[4])
		os.Exit(asUser(os.Args[2], os.Args[3], user))
	}
	os.Exit(m.Run())
}

var offers = sync.OnceValue(func() []confine.Offer { return confine.Available(context.Background()) })

// mechanisms runs a test under each. One that is missing fails in CI and says which.
func mechanisms(t *testing.T, f func(t *testing.T, m confine.Mechanism)) {
	for _, m := range []confine.Mechanism{confine.Bubblewrap, confine.Namespaces} {
		t.Run(string(m), func(t *testing.T) {
			i := slices.IndexFunc(offers(), func(o confine.Offer) bool { return o.Mechanism == m })
			if o := offers()[i]; !o.Usable {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%s cannot be had: %s; %s", m, o.Why, o.Install)
				}
				t.Skipf("%s cannot be had: %s", m, o.Why)
			}
			f(t, m)
		})
	}
}

type outcome struct {
	out    string
	status confine.Status
	err    error
	events []confine.Event
}

func run(t *testing.T, spec confine.Spec) outcome {
	t.Helper()
	var o outcome
	spec.Events = func(e confine.Event) { o.events = append(o.events, e) }
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec.Stdout, spec.Stderr = w, w
	s, err := confine.Start(t.Context(), spec)
	w.Close()
	if err != nil {
		t.Fatalf("starting: %v", err)
	}
	var b bytes.Buffer
	io.Copy(&b, r)
	o.status, o.err = s.Wait()
	o.out = b.String()
	return o
}
