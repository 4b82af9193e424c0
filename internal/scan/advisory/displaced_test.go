package advisory

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// TestDisplaced: a record that takes another one back, or that has its id and is about something else, makes its source one of
// those of the other's ecosystems, which are no younger and no more signed than that.
func TestDisplaced(t *testing.T) {
	record := func(id, ecosystem, name, rest string) string {
		return fmt.Sprintf(`{"id": %q, %s, "affected": [{"package": {"ecosystem": %q, "name": %q}, "versions": ["1.0.0"]}]}`, id, rest, ecosystem, name)
	}
	signed := zipped(t, map[string]string{
		"a.json": record("A-1", "npm", "p", `"modified": "2026-11-10T00:00:00Z"`),
		"b.json": record("A-2", "npm", "q", `"modified": "2026-11-10T00:00:00Z"`),
	})
	for _, c := range []struct {
		name, record string
		noted        bool
	}{
		{"withdrawn later", record("A-1", "npm", "p", `"modified": "2026-11-11T00:00:00Z", "withdrawn": "2026-11-11T00:00:00Z"`), true},
		{"withdrawn as late", record("A-1", "npm", "p", `"modified": "2026-11-10T00:00:00Z", "withdrawn": "2026-11-10T00:00:00Z"`), true},
		{"about another ecosystem", record("A-1", "PyPI", "p", `"modified": "2026-11-11T00:00:00Z"`), true},
		{"older", record("A-1", "PyPI", "p", `"modified": "2026-11-09T00:00:00Z"`), false},
		{"another id", record("A-3", "PyPI", "p", `"modified": "2026-11-11T00:00:00Z"`), false},
		{"withdrawn without a time", record("A-1", "npm", "p", `"withdrawn": "2026-11-11T00:00:00Z"`), true},
	} {
		for _, first := range []bool{false, true} {
			other := Origin{Path: zipped(t, map[string]string{"a.json": c.record, "z.json": record("Z-1", "Go", "example.com/z", `"modified": "2026-11-01T00:00:00Z"`)}), AsOf: now.Add(-1000 * time.Hour)}
			origins := []Origin{{Path: signed, Covers: []string{"npm"}}, other}
			n := 1
			if first {
				origins[0], origins[1], n = origins[1], origins[0], 0
			}
			meta, err := Import(context.Background(), filepath.Join(t.TempDir(), "a.db"), origins, now)
			if err != nil {
				t.Fatal(err)
			}
			e, ok := meta.Ecosystem("npm")
			if !ok {
				t.Fatal("no npm")
			}
			noted := false
			for _, s := range e.Sources {
				noted = noted || s == n
			}
			if noted != c.noted || noted != e.AsOf.Equal(other.AsOf) {
				t.Errorf("%s, first %v: sources of npm %v, as of %s", c.name, first, e.Sources, e.AsOf)
			}
		}
	}
}
