package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// A writer is the one connection on which a DB writes. SQLite has one writer at a time anyway; a
// connection of its own lets statements be compiled once, which is a third of what a small
// transaction costs beside its sync.
//
// It is safe for concurrent use: writers take turns.
type writer struct {
	turn   chan struct{}        // holds a token while somebody writes, who alone uses the rest
	conn   *sql.Conn            // nil until somebody writes, and after a connection was given up
	stmts  map[string]*sql.Stmt // of conn, by text
	closed bool                 // the store was, and nobody writes any more
}

func newWriter() *writer { return &writer{turn: make(chan struct{}, 1)} }

// A tx is an open transaction of the writer. It ends with the function that got it.
type tx struct{ w *writer }

// write runs f in a transaction that holds the write lock from its beginning, and commits it. If
// f fails, or the commit does, nothing was written.
func (db *DB) write(ctx context.Context, f func(tx) error) error {
	return db.inTurn(ctx, func(w *writer) error { return w.transact(ctx, f) })
}

// writeOne is write for an f of a single statement, which SQLite makes a transaction by itself.
func (db *DB) writeOne(ctx context.Context, f func(tx) error) error {
	return db.inTurn(ctx, func(w *writer) error { return f(tx{w}) })
}

func (db *DB) inTurn(ctx context.Context, f func(*writer) error) error {
	w := db.writer
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	if w.closed {
		return sql.ErrConnDone
	}
	if w.conn == nil {
		conn, err := db.sql.Conn(ctx)
		if err != nil {
			return corruptIfSo(err)
		}
		w.conn, w.stmts = conn, map[string]*sql.Stmt{}
	}
	return corruptIfSo(f(w))
}

func (w *writer) transact(ctx context.Context, f func(tx) error) (err error) {
	t := tx{w}
	// Taking the lock later, with the first write, fails at once and without waiting if somebody
	// else wrote in between.
	if _, err := t.exec(ctx, `BEGIN IMMEDIATE`); err != nil {
		w.rollback() // the driver may have begun before it noticed that ctx had ended
		return err
	}
	done := false
	defer func() {
		if !done { // f panicked, failed, or the commit did
			w.rollback()
		}
	}()
	if err := f(t); err != nil {
		return err
	}
	// Once it is asked for, the commit is waited for: a caller who goes away meanwhile must not be
	// told that nothing was written when it was.
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := t.exec(context.WithoutCancel(ctx), `COMMIT`); err != nil {
		return err
	}
	done = true
	return nil
}

// rollback ends a transaction that is not to be. A connection that has none, or cannot even do
// that, is given up: nothing that was begun on it can be committed by what comes next.
func (w *writer) rollback() {
	if _, err := w.conn.ExecContext(context.Background(), `ROLLBACK`); err == nil {
		return
	}
	// Statements go first: what they were compiled for is freed with the connection.
	_ = w.closeStatements()
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it, rather than pooling it
	_ = w.close()
}

// endWriting waits for whoever writes and closes the writer's connection.
func (db *DB) endWriting() error {
	w := db.writer
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.closed = true
	return w.close()
}

// close gives up the connection and what was compiled for it.
func (w *writer) close() error {
	if w.conn == nil {
		return nil
	}
	err := errors.Join(w.closeStatements(), w.conn.Close())
	w.conn = nil
	return err
}

func (w *writer) closeStatements() error {
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	w.stmts = nil
	return errors.Join(errs...)
}

// stmt returns the compiled statement of a text. Texts are constants of this package, so there are
// few of them.
func (t tx) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := t.w.stmts[query]; ok {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.w.stmts[query] = s
	return s, nil
}

func (t tx) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // it is closed with the connection
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// row is the row that a query finds. Its Scan fails with [sql.ErrNoRows] if there is none.
func (t tx) row(ctx context.Context, query string, args ...any) scanner {
	s, err := t.stmt(ctx, query) //nolint:sqlclosecheck // it is closed with the connection
	if err != nil {
		return failed{err}
	}
	return s.QueryRowContext(ctx, args...)
}

// failed is a row that could not be asked for.
type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }
