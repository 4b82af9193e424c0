package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// checkNoNull refuses a key without a value, at any depth.
func checkNoNull(v any, key string, src []byte) error {
	switch v := v.(type) {
	case nil:
		return at(bad(key, "has no value; give it one or leave the key out"), src)
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if err := checkNoNull(v[k], strings.TrimPrefix(key+"."+k, "."), src); err != nil {
				return err
			}
		}
	case []any:
		for _, e := range v {
			if err := checkNoNull(e, key, src); err != nil {
				return err
			}
		}
	}
	return nil
}

// at puts a line number before a complaint about a key, if the key is found in src.
func at(err error, src []byte) error {
	var ke *keyError
	if !errors.As(err, &ke) {
		return err
	}
	if n := line(src, ke.key); n > 0 {
		return fmt.Errorf("line %s: %w", strconv.Itoa(n), err)
	}
	return err
}

// line finds the line on which the last part of a dotted key stands, each part searched below
// the one before it and indented deeper. It is for people: flow mappings are not understood,
// and 0 means that the place is not known.
func line(src []byte, key string) int {
	lines := bytes.Split(src, []byte("\n"))
	at, indent := 0, -1
	for part := range strings.SplitSeq(key, ".") {
		found := false
		for ; at < len(lines); at++ {
			trimmed := bytes.TrimLeft(lines[at], " ")
			in := len(lines[at]) - len(trimmed)
			if len(trimmed) == 0 || trimmed[0] == '#' {
				continue
			}
			if in <= indent {
				return 0
			}
			if bytes.HasPrefix(trimmed, []byte(part+":")) {
				indent, found = in, true
				at++
				break
			}
		}
		if !found {
			return 0
		}
	}
	return at
}
