package run

import (
	"errors"
	"testing"
)

// Another user is another user, root as well.
func TestSameUser(t *testing.T) {
	if err := sameUser(1000, 1000); err != nil {
		t.Error(err)
	}
	for _, ids := range [][2]int{{0, 1000}, {1000, 0}, {1001, 1000}, {4294967295, -1}} {
		if err := sameUser(uint32(ids[0]), ids[1]); !errors.Is(err, ErrPeer) { //nolint:gosec // test values
			t.Errorf("user %d for user %d: %v", ids[0], ids[1], err)
		}
	}
}
