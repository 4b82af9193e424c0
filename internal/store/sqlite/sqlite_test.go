package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/store"
	"github.com/sallyport-dev/sallyport/internal/store/storetest"
)

func TestSuite(t *testing.T) {
	storetest.Run(t, func() func(*testing.T, string) storetest.Store {
		dirs := map[*testing.T]string{}
		return func(t *testing.T, name string) storetest.Store {
			if dirs[t] == "" {
				dirs[t] = t.TempDir()
			}
			db := openAt(t, filepath.Join(dirs[t], name+".db"))
			return db
		}
	}())
}

func openAt(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var subject = sallyport.GitCommit(strings.Repeat("c", 40))

func TestModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state.db")
	db := openAt(t, path)
	if err := db.Record(t.Context(), storetest.NewRecord(t, 1, subject)); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o700 | os.ModeDir,
	} {
		fi, err := os.Stat(p)
		if err != nil || fi.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", filepath.Base(p), fi.Mode(), err, want)
		}
	}
	var sync, fk int
	var mode string
	if err := db.sql.QueryRow(`SELECT s.synchronous, f.foreign_keys, j.journal_mode FROM pragma_synchronous s, pragma_foreign_keys f, pragma_journal_mode j`).Scan(&sync, &fk, &mode); err != nil {
		t.Fatal(err)
	}
	if sync != 2 || fk != 1 || mode != "wal" {
		t.Errorf("synchronous %d, foreign_keys %d, journal_mode %s", sync, fk, mode)
	}
}

// A store that several make at the same moment is made once, and none of them takes what another
// has half made for a foreign file.
func TestOpenAtOnce(t *testing.T) {
	for range 40 {
		path := filepath.Join(t.TempDir(), "new", "state.db")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				db, err := Open(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

// Every table that holds evidence refuses what is not an insertion.
func TestAppendOnly(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	if err := db.MarkLog(ctx, store.Marker{Origin: "o", VerifierKey: "k", Created: "2026-01-02T03:04:05Z"}, store.Head{Root: storetest.Root(0)}); err != nil {
		t.Fatal(err)
	}
	if err := db.Record(ctx, storetest.NewRecord(t, 1, subject)); err != nil {
		t.Fatal(err)
	}
	if err := db.Integrated(ctx, 1, 0, store.Head{Size: 1, Root: storetest.Root(1)}); err != nil {
		t.Fatal(err)
	}
	rows, err := db.sql.Query(`SELECT name, (SELECT name FROM pragma_table_info(m.name) LIMIT 1) FROM sqlite_schema AS m WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'entry_pending'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns := map[string]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		columns[table] = column
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if len(columns) != 6 {
		t.Errorf("tables %v", columns)
	}
	for table, column := range columns {
		var before, after int
		count := `SELECT count(*) FROM ` + table
		if err := db.sql.QueryRow(count).Scan(&before); err != nil || before == 0 {
			t.Fatalf("%s holds %d rows: %v", table, before, err)
		}
		for _, q := range []string{`DELETE FROM ` + table, fmt.Sprintf(`UPDATE %s SET %s = %s`, table, column, column)} {
			if _, err := db.sql.Exec(q); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v", q, err)
			}
		}
		if err := db.sql.QueryRow(count).Scan(&after); err != nil || after != before {
			t.Errorf("%s: %d rows, then %d", table, before, after)
		}
	}
}

// Somebody who drops the triggers and edits rows is noticed when they are read.
func TestTampering(t *testing.T) {
	for _, tt := range []struct{ name, sql string }{
		{"the body", `DROP TRIGGER decision_no_update; UPDATE decision SET body = CAST(replace(CAST(body AS TEXT), 'merge', 'audit') AS BLOB)`},
		{"the id", `DROP TRIGGER decision_no_update; UPDATE decision SET id = 'sha256:' || substr(id, 8, 63) || 'x'`},
		{"the input", `DROP TRIGGER blob_no_update; UPDATE blob SET body = x'7b7d' WHERE digest = (SELECT input FROM decision)`},
		{"the summary", `DROP TRIGGER blob_no_update; UPDATE blob SET body = x'00' WHERE digest = (SELECT vsa FROM decision)`},
		{"the subject", `DROP TRIGGER decision_no_update; UPDATE decision SET subject = 'gitCommit:` + strings.Repeat("d", 40) + `'`},
		{"the outcome", `DROP TRIGGER decision_no_update; UPDATE decision SET outcome = 'open'`},
		{"the time", `DROP TRIGGER decision_no_update; UPDATE decision SET time = '2030-01-02T03:04:05Z'`},
		{"which input", `DROP TRIGGER decision_no_update; UPDATE decision SET input = vsa`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := openAt(t, filepath.Join(t.TempDir(), "state.db"))
			r := storetest.NewRecord(t, 1, subject)
			if err := db.Record(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if _, err := db.sql.Exec(tt.sql); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Decision(t.Context(), r.ID.Hex()[:60]); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("read: %v, want %v", err, store.ErrCorrupt)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	sqlAt := func(path string, stmts ...string) {
		h, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		for _, s := range stmts {
			if _, err := h.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name string
		make func(path string)
		want error
	}{
		{"a newer schema", func(p string) {
			openAt(t, p).Close()
			sqlAt(p, `PRAGMA user_version = 99`)
		}, store.ErrNewer},
		{"another program's database", func(p string) { sqlAt(p, `CREATE TABLE t (x)`) }, store.ErrForeign},
		{"another program's database with an id", func(p string) { sqlAt(p, `PRAGMA application_id = 7`) }, store.ErrForeign},
		{"no database", func(p string) {
			if err := os.WriteFile(p, []byte(strings.Repeat("not a database. ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, store.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			tt.make(path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), path); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("a refused file was changed (%v)", err)
			}
		})
	}
}

const killEnv = "SALLYPORT_TEST_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(killEnv); path != "" {
		if err := recordUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func recordUntilKilled(path string) error {
	for i := os.Getpid() * 1000; ; {
		db, err := Open(context.Background(), path)
		if err != nil {
			return err
		}
		for range 3 {
			i++
			r := storetest.NewRecord(&testing.T{}, i, subject)
			if err := db.Record(context.Background(), r); err != nil {
				return err
			}
			fmt.Println(r.ID)
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
}

// A writer is killed at random moments: what Record acknowledged is there and whole, with its
// entry in the outbox, and SQLite finds nothing amiss.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for round := range 20 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), killEnv+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(10+round*8)*time.Millisecond, func() { cmd.Process.Kill() })
		for ids := bufio.NewScanner(out); ids.Scan(); {
			if _, err := sallyport.ParseDigest(ids.Text()); err == nil {
				acked[ids.Text()] = true
			}
		}
		cmd.Wait()
		if cmd.ProcessState.Exited() {
			t.Fatal("the writer ended by itself")
		}
	}
	db := openAt(t, path)
	for id := range acked {
		r, err := db.Decision(t.Context(), id)
		if err != nil {
			t.Error(err)
		} else if e, err := db.Entry(t.Context(), store.KindDecision, r.ID); err != nil || e.Logged {
			t.Errorf("entry %+v, %v", e, err)
		}
	}
	var verdict string
	if err := db.sql.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
	t.Logf("%d acknowledged decisions", len(acked))
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	openAt(b, path).Close()
	for b.Loop() {
		db, err := Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
}

func BenchmarkOpenRecordClose(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	i := 0
	for b.Loop() {
		db, err := Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		i++
		if err := db.Record(b.Context(), storetest.NewRecord(b, i, subject)); err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
}

func BenchmarkRecord(b *testing.B) {
	db := openAt(b, filepath.Join(b.TempDir(), "state.db"))
	i := 0
	for b.Loop() {
		i++
		if err := db.Record(b.Context(), storetest.NewRecord(b, i, subject)); err != nil {
			b.Fatal(err)
		}
	}
}
