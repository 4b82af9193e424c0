package main

import (
	"bytes"
	"database/sql"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// Whoever can write the state folder can change what is recorded, triggers or not. What they
// change is found: it no longer has its digest, it no longer follows, or the log knows better.
func TestTamperedStore(t *testing.T) {
	scene.Use(sallyportPath(t))
	staged := scene.New(t, scene.Options{})
	agentWorks(staged)
	id := staged.Check().ID
	for _, c := range []struct {
		name    string
		tamper  func(t *testing.T, db *sql.DB)
		explain int    // exit status of explain about the decision, or about what became of it
		verify  int    // exit status of log verify
		says    string // part of what explain says
	}{
		{name: "untouched", tamper: func(*testing.T, *sql.DB) {}, says: "derived again"},
		{
			name: "the outcome, in place", explain: 1, verify: 2, says: "sha256:",
			tamper: func(t *testing.T, db *sql.DB) {
				do(t, db, `UPDATE decision SET body = CAST(replace(CAST(body AS TEXT), '"outcome":"shut"', '"outcome":"open"') AS BLOB)`)
			},
		}, {
			name: "the outcome that lists show", explain: 1, verify: 2, says: "shut",
			tamper: func(t *testing.T, db *sql.DB) { do(t, db, `UPDATE decision SET outcome = 'open'`) },
		}, {
			name: "the whole decision, under a digest of its own", explain: 2, verify: 2, says: "the outcome was open, now it is shut",
			tamper: func(t *testing.T, db *sql.DB) {
				body := bytes.Replace(bodyOf(t, db), []byte(`"outcome":"shut"`), []byte(`"outcome":"open"`), 1)
				forged := string(sallyport.SHA256(body))
				do(t, db, `UPDATE decision SET body = ?, id = ?, outcome = 'open'`, body, forged)
				do(t, db, `UPDATE entry SET digest = ? WHERE kind = 'decision'`, forged)
			},
		}, {
			name: "the input", explain: 1, verify: 2, says: "its content is",
			tamper: func(t *testing.T, db *sql.DB) {
				do(t, db, `UPDATE blob SET body = CAST(replace(CAST(body AS TEXT), '"from_agent":true', '"from_agent":false') AS BLOB) WHERE digest = (SELECT input FROM decision)`)
			},
		}, {
			name: "the policy", explain: 1, says: "its content is",
			tamper: func(t *testing.T, db *sql.DB) {
				do(t, db, `UPDATE blob SET body = CAST(replace(CAST(body AS TEXT), '"shut"', '"open"') AS BLOB)`)
			},
		}, {
			name: "the decision is gone", explain: 1, verify: 2, says: "hint: sallyport log tail",
			tamper: func(t *testing.T, db *sql.DB) { do(t, db, `DELETE FROM decision`) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := staged.Fork(t)
			db, err := sql.Open("sqlite", s.State("state.db"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range triggers(t, db) {
				do(t, db, `DROP TRIGGER "`+name+`"`)
			}
			c.tamper(t, db)
			about := id
			_ = db.QueryRow(`SELECT id FROM decision`).Scan(&about) // none, if it is gone
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			x := s.Sallyport("explain", "--repo", s.Repo, string(about))
			if x.Status != c.explain || !strings.Contains(x.Stdout+x.Stderr, c.says) {
				t.Errorf("%v\nwant status %d, and %q", x, c.explain, c.says)
			}
			if v := s.Sallyport("log", "verify", "--repo", s.Repo); v.Status != c.verify {
				t.Errorf("%v\nwant status %d", v, c.verify)
			}
		})
	}
}

func do(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func bodyOf(t *testing.T, db *sql.DB) []byte {
	t.Helper()
	var body []byte
	if err := db.QueryRow(`SELECT body FROM decision`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	return body
}

func triggers(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}
