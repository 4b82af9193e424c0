package advisory

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// FuzzRecord: what is read of a record survives being kept, and has no name or id that nothing could be called.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(osv("A-1", "npm", "p", "introduced 0", "fixed 1.0.0")))
	f.Add([]byte(`{"id":"MAL-1","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"p"},"versions":["1.0"]}]}`))
	f.Add([]byte(`{"id":"X","modified":"0001-01-01T00:00:00Z","withdrawn":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"id":"X","modified":"2026-01-01T00:00:00Z","severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],"affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"limit":"*"}]}]}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("an error of more than a line: %q", err)
			}
			return
		}
		if r.withdrawn && len(r.parts) > 0 {
			t.Error("a withdrawn record has packages")
		}
		for i := range r.parts {
			p := &r.parts[i]
			if p.ID == "" || p.Name == "" || key(p.ecosystem, p.key) != p.key {
				t.Errorf("%q of %q has the key %q", p.ID, p.Name, p.key)
			}
			var e, again encoder
			e.entry(&p.Entry)
			d := decoder{b: e.b}
			got := d.entry()
			again.entry(&got)
			if d.bad || len(d.b) != 0 || !bytes.Equal(e.b, again.b) {
				t.Errorf("%+v is %+v once it was kept", p.Entry, got)
			}
			for _, v := range []string{"", "1.0.0", "0"} { // any answer will do, in time
				judge(p.ecosystem, &p.Entry, v)
			}
		}
	})
}

// FuzzIndex: whatever the file holds, a package that was in it is found, or the database is damaged.
func FuzzIndex(f *testing.F) {
	dir := folder(f, map[string]string{"a.json": osv("A-1", "npm", "p", "introduced 0"), "b.json": osv("A-2", "npm", "q", "introduced 0")})
	_, p := imported(f, dir)
	whole, err := os.ReadFile(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, 0, byte(0))
	f.Add(whole, 20, byte(1))
	f.Add(whole, len(whole)-1, byte(255))
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		b = bytes.Clone(b)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		db, err := open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		got := ids(db.Match(Package{"npm", "p", "1.0.0"}))
		if bytes.Equal(b, whole) != (db.Verify() == nil && got == "A-1") && bytes.HasPrefix(b, whole[:headSize]) {
			t.Errorf("got %q", got)
		}
		if bytes.HasPrefix(b, whole[:headSize]) && got != "A-1" && got != "unknown:damaged" {
			t.Errorf("got %q", got)
		}
	})
}
