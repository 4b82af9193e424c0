package tool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// The header that the Go linker puts before what it knows of a build, since Go 1.18, and the flag by
// which the strings follow it. Package debug/buildinfo reads it too, with parsers of every format of
// programs, which are half a mebibyte.
var buildMagic = []byte("\xff Go buildinf:")

const (
	buildHeader  = 32
	buildAlign   = 16
	buildInline  = 2
	maxBuildInfo = 1 << 20
)

// builtVersion reads a program and returns the version of the module that it was built of, if Go built
// it and says so. An error is one of reading.
func builtVersion(r io.Reader) (string, error) {
	const chunk = 4 << 20
	buf := make([]byte, 0, chunk+buildHeader+maxBuildInfo)
	for {
		n, err := io.ReadFull(r, buf[len(buf):min(cap(buf), len(buf)+chunk)])
		buf = buf[:len(buf)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return "", err
		}
		whole := len(buf) // up to where a header has all of its strings in buf
		if !last {
			whole = max(0, len(buf)-maxBuildInfo)
		}
		for at := 0; at < whole; {
			i := bytes.Index(buf[at:], buildMagic)
			if i < 0 || at+i >= whole {
				break
			}
			at += i
			if v, ok := parseBuild(buf[at:]); ok {
				return v, nil
			}
			at++
		}
		if last {
			return "", nil
		}
		// A header may begin in what has not been searched yet.
		keep := min(len(buf), maxBuildInfo)
		buf = buf[:copy(buf, buf[len(buf)-keep:])]
	}
}

// parseBuild reads what stands at a header.
func parseBuild(b []byte) (version string, ok bool) {
	if len(b) < buildHeader || b[15]&buildInline == 0 {
		return "", false
	}
	goVersion, rest, ok := varString(b[buildHeader:])
	if !ok || !strings.HasPrefix(goVersion, "go") && !strings.HasPrefix(goVersion, "devel") {
		return "", false
	}
	info, _, ok := varString(rest)
	if !ok || len(info) < 2*buildAlign+1 {
		return "", ok // built without modules: it has no version
	}
	info = info[buildAlign : len(info)-buildAlign] // between two marks
	path := ""
	for line := range strings.Lines(info) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case f[0] == "path" && len(f) > 1:
			path = f[1]
		case (f[0] == "mod" || f[0] == "dep") && len(f) > 2 && (path == f[1] || strings.HasPrefix(path, f[1]+"/")):
			if f[2] != "(devel)" && len(f[2]) <= 80 && len(f[1]) > 0 {
				version = f[2]
			}
		}
	}
	return version, true
}

func varString(b []byte) (string, []byte, bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > maxBuildInfo || n > uint64(len(b)-size) {
		return "", nil, false
	}
	return string(b[size : size+int(n)]), b[size+int(n):], true
}
