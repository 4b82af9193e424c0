package app

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport/internal/store/sqlite"
)

// clockSlack is how far the clock may stand behind the newest recorded decision: what stepping it
// to the right second takes away, and several machines that share a state folder differ by.
const clockSlack = time.Minute

// notBefore refuses to decide by a clock that stands before the newest decision in the store.
// Whoever can set the clock back could otherwise bring expired keys, approvals and exceptions back
// to life. A decision is recorded whatever its outcome, so its time was the enforcement point's.
func notBefore(ctx context.Context, db *sqlite.DB, now time.Time) error {
	newest, err := db.List(ctx, 1)
	if err != nil || len(newest) == 0 {
		return err
	}
	at, err := time.Parse(time.RFC3339, newest[0].Time)
	if err != nil {
		return fmt.Errorf("read the time of decision %s: %w", newest[0].ID.Short(), err)
	}
	if now.Add(clockSlack).Before(at) {
		return withHint(fmt.Errorf("the clock says %s, and decision %s was made at %s: the clock was set back",
			now.UTC().Format(time.RFC3339), newest[0].ID.Short(), at.UTC().Format(time.RFC3339)),
			"set the clock right; until then nothing is decided. If it was ahead before: docs/log.md, \"A clock that was ahead\"")
	}
	return nil
}
