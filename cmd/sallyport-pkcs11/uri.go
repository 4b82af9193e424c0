package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A location says where a key is.
type location struct {
	module string
	token  string
	slot   *int
	label  []byte
	id     []byte
	pin    string
}

// parseURI reads a PKCS #11 URI, as far as RFC 7512's attributes are used here.
func parseURI(uri string, getenv func(string) string) (location, error) {
	rest, ok := strings.CutPrefix(uri, "pkcs11:")
	if !ok {
		return location{}, errors.New("the key resource is no pkcs11: URI")
	}
	path, query, _ := strings.Cut(rest, "?")
	l := location{module: getenv("COSIGN_PKCS11_MODULE_PATH"), pin: getenv("COSIGN_PKCS11_PIN")}
	source := ""
	seen := map[string]bool{}
	set := func(attr string, names map[string]func(string) error) error {
		if attr == "" {
			return nil
		}
		name, raw, ok := strings.Cut(attr, "=")
		use := names[name]
		switch {
		case !ok || use == nil:
			return fmt.Errorf("the attribute %.50q is not known; there are token, slot-id, object, id, and after ? module-path and pin-source", name)
		case seen[name]:
			return fmt.Errorf("the attribute %q stands twice", name)
		}
		seen[name] = true
		v, err := url.PathUnescape(raw)
		if err != nil {
			return fmt.Errorf("the attribute %q is not percent-encoded as RFC 7512 has it", name)
		}
		if v == "" {
			return fmt.Errorf("the attribute %q is empty", name)
		}
		return use(v)
	}
	text := func(p *string) func(string) error { return func(v string) error { *p = v; return nil } }
	for attr := range strings.SplitSeq(path, ";") {
		if err := set(attr, map[string]func(string) error{
			"token":  text(&l.token),
			"object": func(v string) error { l.label = []byte(v); return nil },
			"id":     func(v string) error { l.id = []byte(v); return nil },
			"type": func(v string) error {
				if v != "private" {
					return fmt.Errorf("the type is %.20q, want private", v)
				}
				return nil
			},
			"slot-id": func(v string) error {
				n, err := strconv.ParseUint(v, 10, 31)
				slot := int(n) //nolint:gosec // 31 bits
				l.slot = &slot
				if err != nil {
					return fmt.Errorf("the slot %.20q is not a number", v)
				}
				return nil
			},
		}); err != nil {
			return location{}, err
		}
	}
	for attr := range strings.SplitSeq(strings.ReplaceAll(query, ";", "&"), "&") {
		if err := set(attr, map[string]func(string) error{"module-path": text(&l.module), "pin-source": text(&source)}); err != nil {
			return location{}, err
		}
	}
	switch {
	case l.token == "" && l.slot == nil:
		return location{}, errors.New("the URI names no token: add token=LABEL or slot-id=NUMBER")
	case l.token != "" && l.slot != nil:
		return location{}, errors.New("the URI names a token and a slot: give one of them")
	case l.label == nil && l.id == nil:
		return location{}, errors.New("the URI names no key: add object=LABEL or id=%01…")
	case !filepath.IsAbs(l.module):
		return location{}, errors.New("the path of the PKCS #11 module is missing or relative: add ?module-path=/PATH/OF/MODULE.so, or set COSIGN_PKCS11_MODULE_PATH")
	}
	if source != "" {
		path := strings.TrimPrefix(strings.TrimPrefix(source, "file:"), "//")
		if !filepath.IsAbs(path) {
			return location{}, fmt.Errorf("read the PIN: its file is named by the relative path %.200q: make it absolute", path)
		}
		pin, err := readPIN(path)
		if err != nil {
			return location{}, err
		}
		l.pin = pin
	}
	if l.pin == "" {
		return location{}, errors.New("there is no PIN: put it into COSIGN_PKCS11_PIN, or add ?pin-source=file:/PATH")
	}
	return l, nil
}

// readPIN reads a file with a PIN, which nobody else may read.
func readPIN(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read the PIN: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > 1024 || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("read the PIN: %s is not a small file that only its owner can read; chmod 600 it", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the PIN: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
