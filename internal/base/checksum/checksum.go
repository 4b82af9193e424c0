// Package checksum reads and writes files of checksums, as sha256sum and its siblings do.
//
// A line is a digest in hexadecimal, a space, a space or an asterisk, and a name:
//
//	5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  hello.txt
//
// or, as BSD's tools and `sha256sum --tag` write it, "SHA256 (hello.txt) = 5891b5…". A name with a
// backslash, a line feed or a carriage return is written with escapes, and a line that has one
// begins with a backslash. The length of the digest says which algorithm it is of: 64 digits are
// SHA-256, 96 SHA-384, 128 SHA-512. Shorter ones (MD5, SHA-1) are refused: they identify nothing.
//
// [Parse] refuses what a reader could take for two things: a name that stands twice, whatever its
// digests; an empty name; a line of neither form. Names stay as they are written: whoever opens them
// has to know in which folder.
package checksum

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// MaxSize is the largest file of checksums that is read, in bytes.
const MaxSize = 8 << 20

// maxName bounds a name, in bytes.
const maxName = 4096

// ErrFormat is wrapped by every error of [Parse].
var ErrFormat = errors.New("malformed checksums")

// A Line is one file's digest.
type Line struct {
	Algorithm string // sha256, sha384 or sha512
	Hex       string // lower case
	Name      string
}

var algorithms = map[int]string{64: "sha256", 96: "sha384", 128: "sha512"}

// Parse reads a file of checksums. It has at least one line.
func Parse(b []byte) ([]Line, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: larger than %d MiB", ErrFormat, MaxSize>>20)
	}
	var lines []Line
	seen := map[string]bool{}
	for n, text := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		l, err := parseLine(strings.TrimSuffix(text, "\r"))
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, n+1, err)
		}
		if seen[l.Name] {
			return nil, fmt.Errorf("%w: line %d: %.200q stands twice", ErrFormat, n+1, l.Name)
		}
		seen[l.Name] = true
		lines = append(lines, l)
	}
	return lines, nil
}

func parseLine(s string) (Line, error) {
	s, escaped := strings.CutPrefix(s, `\`)
	var digest, name string
	if algorithm, rest, ok := strings.Cut(s, " ("); ok && (algorithm == "SHA256" || algorithm == "SHA384" || algorithm == "SHA512") {
		i := strings.LastIndex(rest, ") = ")
		if i < 0 {
			return Line{}, errors.New("no digest follows the name")
		}
		name, digest = rest[:i], rest[i+len(") = "):]
		if algorithms[len(digest)] != strings.ToLower(algorithm) {
			return Line{}, fmt.Errorf("its digest is not one of %s", algorithm)
		}
	} else {
		var found bool
		digest, name, found = strings.Cut(s, " ")
		if !found || name == "" || name[0] != ' ' && name[0] != '*' {
			return Line{}, errors.New("want a digest, two spaces and a name")
		}
		name = name[1:]
	}
	if _, err := hex.DecodeString(digest); err != nil {
		return Line{}, errors.New("its digest is not hexadecimal")
	}
	algorithm := algorithms[len(digest)]
	if algorithm == "" {
		return Line{}, fmt.Errorf("a digest of %d bits identifies nothing; want SHA-256, SHA-384 or SHA-512", 4*len(digest))
	}
	if escaped {
		var err error
		if name, err = unescape(name); err != nil {
			return Line{}, err
		}
	}
	if name == "" || len(name) > maxName || strings.ContainsRune(name, 0) {
		return Line{}, fmt.Errorf("its name is empty, longer than %d bytes or holds a zero byte", maxName)
	}
	return Line{algorithm, strings.ToLower(digest), name}, nil
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", errors.New("its name ends in a backslash")
		}
		c, ok := map[byte]byte{'\\': '\\', 'n': '\n', 'r': '\r'}[s[i]]
		if !ok {
			return "", fmt.Errorf("its name has the unknown escape \\%c", s[i])
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)

// Format writes lines as sha256sum does, in the order given.
func Format(lines []Line) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		if name := escaper.Replace(l.Name); name != l.Name {
			fmt.Fprintf(&b, "\\%s  %s\n", l.Hex, name)
		} else {
			fmt.Fprintf(&b, "%s  %s\n", l.Hex, l.Name)
		}
	}
	return b.Bytes()
}
