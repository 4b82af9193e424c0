package tlog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// MaxCheckpoint is the largest signed checkpoint that is read, cosignatures of witnesses included.
const MaxCheckpoint = 16 << 10

// ErrCheckpoint is wrapped by errors about text that is not a checkpoint, or not one that the
// given key signed.
var ErrCheckpoint = errors.New("invalid checkpoint")

// A Checkpoint is a head that a log signed. Only [OpenCheckpoint] makes one.
type Checkpoint struct {
	Origin string
	Head
	Text string // the signed note, byte for byte
}

// CheckpointBody returns the text that a log signs: origin, size and root, one a line.
func CheckpointBody(origin string, h Head) string {
	return origin + "\n" + strconv.FormatUint(h.Size, 10) + "\n" +
		base64.StdEncoding.EncodeToString(h.Root) + "\n"
}

// OpenCheckpoint verifies the signature on text with verifierKey (a note verifier key) and parses
// it. The first line must be the key's name: a log's origin and its key are one identity. A
// checkpoint by another key or origin is [ErrForeign] as well as [ErrCheckpoint].
func OpenCheckpoint(text []byte, verifierKey string) (Checkpoint, error) {
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("log verifier key: %w", err)
	}
	if len(text) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrCheckpoint, len(text), MaxCheckpoint)
	}
	n, err := note.Open(text, note.VerifierList(v))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return Checkpoint{}, fmt.Errorf("%w: %w: not signed by %s+%08x", ErrCheckpoint, ErrForeign, v.Name(), v.KeyHash())
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	origin, h, err := parseBody(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("%w: %w: its origin is %q, the key is that of %q", ErrCheckpoint, ErrForeign, origin, v.Name())
	}
	return Checkpoint{Origin: origin, Head: h, Text: string(text)}, nil
}

// parseBody reads what CheckpointBody writes and nothing else. Extension lines are refused: this
// log writes none, and what is not understood is not vouched for.
func parseBody(text string) (origin string, h Head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return "", Head{}, fmt.Errorf("%w: not three lines", ErrCheckpoint)
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return "", Head{}, fmt.Errorf("%w: size: %w", ErrCheckpoint, err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return "", Head{}, fmt.Errorf("%w: root: %w", ErrCheckpoint, err)
	}
	if len(root) != HashSize {
		return "", Head{}, fmt.Errorf("%w: root of %d bytes", ErrCheckpoint, len(root))
	}
	h = Head{Size: size, Root: root}
	if CheckpointBody(lines[0], h) != text {
		return "", Head{}, fmt.Errorf("%w: not in its one spelling", ErrCheckpoint)
	}
	return lines[0], h, nil
}
