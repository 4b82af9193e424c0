package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/sallyport-dev/sallyport/internal/store"
)

// primary returns SQLite's result code without its extension, or 0.
func primary(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// corruptIfSo adds the sentinel to errors that say that the file is damaged or no database.
func corruptIfSo(err error) error {
	switch primary(err) {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_FORMAT:
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}
