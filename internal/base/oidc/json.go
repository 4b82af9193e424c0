package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const maxDepth = 16

// checkJSON refuses what two readers could understand in two ways: a name that stands twice in one
// object, without regard to case since package json has none, and data after the value.
func checkJSON(b []byte, limit int) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, the limit is %d", len(b), limit)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := checkValue(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after its end")
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return errors.New("it is no JSON")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return errors.New("it is nested too deeply")
	}
	names := map[string]bool{}
	for d.More() {
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return errors.New("it is no JSON")
			}
			name, _ := t.(string)
			if name = strings.ToLower(name); names[name] {
				return fmt.Errorf("the name %.80q stands twice", name)
			}
			names[name] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("it is no JSON")
	}
	return nil
}
