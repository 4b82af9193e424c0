package sigstore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// gittuf's reference state log is a line of commits without files. The message of an entry says to which object a
// reference was set, and whoever pushed has signed it as any commit. One entry is read here, as git cat-file commit
// prints it: that it is in the log, and that no later entry takes it back, the commit alone cannot say.

// maxEntry is the largest entry that is read, in bytes.
const maxEntry = 64 << 10

// rslHeader begins the message of an entry.
const rslHeader = "RSL Reference Entry"

// isCommit reports whether a file is a commit, as git prints it.
func isCommit(raw []byte) bool { return bytes.HasPrefix(raw, []byte("tree ")) }

// rslPiece reads an entry. Every byte of it counts, line ends included.
func rslPiece(raw []byte) Piece {
	p, err := readEntry(raw)
	if err != nil {
		return Piece{Format: "gittuf-entry", err: fmt.Errorf("%w: %s", ErrBundle, oneLine(err))}
	}
	return Piece{Format: "gittuf-entry", ssh: p}
}

func readEntry(raw []byte) (*sshPiece, error) {
	if len(raw) > maxEntry {
		return nil, fmt.Errorf("a commit of %d bytes, the limit is %d", len(raw), maxEntry)
	}
	head, message, ok := bytes.Cut(raw, []byte("\n\n"))
	if !ok {
		return nil, errors.New("a commit without a message")
	}
	var signed, signature []byte
	inside, found := false, 0
	for line := range bytes.Lines(append(bytes.Clone(head), '\n')) {
		name, rest, _ := bytes.Cut(line, []byte(" "))
		switch {
		case inside && line[0] == ' ':
			signature = append(signature, line[1:]...)
			continue
		case string(name) == "gpgsig" || string(name) == "gpgsig-sha256":
			signature, inside = append(signature, rest...), true
			found++
			continue
		case string(name) == "mergetag" || string(name) == "parent" && bytes.Count(signed, []byte("parent ")) > 0:
			return nil, errors.New("an entry of the log has one parent")
		}
		inside = false
		signed = append(signed, line...)
	}
	if found != 1 {
		return nil, fmt.Errorf("the commit has %d signatures, want one", found)
	}
	blob, err := sshsig.Dearmor(signature)
	if err != nil {
		return nil, errors.New("the commit is not signed with an SSH key")
	}
	signed = append(append(signed, '\n'), message...)
	change, err := readEntryMessage(string(message))
	if err != nil {
		return nil, err
	}
	return &sshPiece{signature: blob, message: signed, change: change, read: statement{subjects: []map[string]string{{"gitCommit": change.To}}, first: change.Ref}}, nil
}

// readEntryMessage reads what an entry says: its lines in their order, and nothing else.
func readEntryMessage(message string) (*RefChange, error) {
	lines := strings.Split(strings.TrimSuffix(message, "\n"), "\n")
	if len(lines) < 4 || len(lines) > 5 || lines[0] != rslHeader || lines[1] != "" {
		return nil, errors.New("the commit is no entry of gittuf's reference state log that sets a reference")
	}
	var values []string
	for i, key := range []string{"ref", "targetID", "number"}[:len(lines)-2] {
		value, ok := strings.CutPrefix(lines[2+i], key+": ")
		if !ok || value == "" || strings.TrimSpace(value) != value {
			return nil, fmt.Errorf("line %d of the entry is no %s", 3+i, key)
		}
		values = append(values, value)
	}
	if !strings.HasPrefix(values[0], "refs/") {
		return nil, errors.New("the entry names no reference")
	}
	if b, err := hex.DecodeString(values[1]); err != nil || !slices.Contains([]int{20, 32}, len(b)) || hex.EncodeToString(b) != values[1] {
		return nil, errors.New("the entry names no object")
	}
	if len(values) == 3 {
		if n, err := strconv.ParseUint(values[2], 10, 64); err != nil || strconv.FormatUint(n, 10) != values[2] {
			return nil, errors.New("the number of the entry is none")
		}
	}
	return &RefChange{Ref: values[0], To: values[1]}, nil
}
