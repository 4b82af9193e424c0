package policy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

const setTag = "sallyport policy set v1\n"

// Archive returns the bytes whose SHA-256 is [Set.Digest], so that a store that keeps content by
// digest keeps a set under its own name. [ParseArchive] is its inverse.
func (s Set) Archive() []byte {
	var buf bytes.Buffer
	buf.WriteString(setTag)
	write := func(b []byte) {
		_ = binary.Write(&buf, binary.BigEndian, uint64(len(b))) // a Buffer does not fail
		buf.Write(b)
	}
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		write([]byte(path))
		write(s.Files[path])
	}
	return buf.Bytes()
}

var errArchive = errors.New("not an archived policy set")

// ParseArchive decodes what [Set.Archive] wrote.
func ParseArchive(name string, b []byte) (Set, error) {
	rest, ok := bytes.CutPrefix(b, []byte(setTag))
	if !ok {
		return Set{}, errArchive
	}
	s := Set{Name: name, Files: map[string][]byte{}}
	read := func() ([]byte, error) {
		if len(rest) < 8 {
			return nil, errArchive
		}
		n := binary.BigEndian.Uint64(rest)
		if n > uint64(len(rest)-8) {
			return nil, errArchive
		}
		field := rest[8 : 8+n]
		rest = rest[8+n:]
		return field, nil
	}
	last := ""
	for len(rest) > 0 {
		path, err := read()
		if err != nil {
			return Set{}, err
		}
		content, err := read()
		if err != nil {
			return Set{}, err
		}
		if p := string(path); p <= last {
			return Set{}, fmt.Errorf("%w: %q stands twice or out of order", errArchive, p)
		}
		last = string(path)
		s.Files[last] = content
	}
	return s, nil
}
