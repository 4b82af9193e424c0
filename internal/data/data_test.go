package data

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
)

var from = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func example(t testing.TB) (File, string) {
	t.Helper()
	f, err := Make("agent-markers", 7, []byte("[]"), from, from.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Statement()
	if err != nil {
		t.Fatal(err)
	}
	return f, string(st.Predicate)
}

func TestDecode(t *testing.T) {
	f, body := example(t)
	for _, tt := range []struct{ name, old, new, want string }{
		{"as made", "", "", ""},
		{"an unknown key", `"name"`, `"label"`, "unknown field"},
		{"a key twice", `{"name":`, `{"name":"a","name":`, "twice"},
		{"a path for a name", "agent-markers", "../x", "name"},
		{"no version", `"version":7`, `"version":0`, "version 0"},
		{"other content", `"content":"W10="`, `"content":"e30="`, "and the content's is"},
		{"no content", `"content":"W10="`, `"content":""`, "0 bytes"},
		{"no end", f.ExpiresAt, "", "expires_at"},
		{"an end before its beginning", f.ExpiresAt, "2026-01-01T00:00:00Z", "want some time"},
		{"without an end in sight", f.ExpiresAt, "2036-01-01T00:00:00Z", "at most 400 days"},
		{"trailing data", `"W10="}`, `"W10="}{}`, "after the end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode([]byte(strings.Replace(body, tt.old, tt.new, 1)))
			if tt.want == "" && (err != nil || got.Version != 7) || tt.want != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %+v, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestFile(t *testing.T) {
	f, _ := example(t)
	end := from.AddDate(1, 0, 0)
	for _, tt := range []struct {
		at time.Time
		ok bool
	}{{from.Add(-1), false}, {from, true}, {end.Add(-1), true}, {end, false}} {
		if err := f.Counts(tt.at); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrTime) {
			t.Errorf("at %s: %v", tt.at, err)
		}
	}
	for version, ok := range map[int]bool{0: true, 6: true, 7: false, 8: false} {
		if err := f.Replaces(version); (err == nil) != ok || err != nil && !errors.Is(err, ErrRollback) {
			t.Errorf("over version %d: %v", version, err)
		}
	}
	if err := (File{}).Counts(from); !errors.Is(err, ErrTime) {
		t.Errorf("a file that says nothing counts: %v", err)
	}
	st, err := f.Statement()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Read(sallyport.Evidence{Statement: st}); err != nil || got.SHA256 != f.SHA256 {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, edit := range map[string]func(*sallyport.Statement){
		"another type": func(s *sallyport.Statement) { s.PredicateType = "https://sallyport.dev/predicate/approval/v0.1" },
		"another subject": func(s *sallyport.Statement) {
			s.Subject[0].Digest = map[string]string{"sha256": strings.Repeat("0", 64)}
		},
		"two subjects":    func(s *sallyport.Statement) { s.Subject = append(s.Subject, s.Subject[0]) },
		"none":            func(s *sallyport.Statement) { s.Subject = nil },
		"a second digest": func(s *sallyport.Statement) { s.Subject[0].Digest["sha512"] = strings.Repeat("0", 128) },
	} {
		st, _ := f.Statement()
		edit(&st)
		if got, err := Read(sallyport.Evidence{Statement: st}); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// What decodes has the digest that it says, a time in which it counts, and an end.
func FuzzDecode(f *testing.F) {
	_, body := example(f)
	f.Add([]byte(body))
	f.Add([]byte(`{"name":"a"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Decode(b)
		if err != nil {
			return
		}
		from, to, err := file.window()
		if err != nil || file.Counts(from) != nil || file.Counts(to) == nil || sallyport.SHA256(file.Content) != file.SHA256 || !ValidName(file.Name) {
			t.Errorf("it decodes: %s", b)
		}
	})
}
