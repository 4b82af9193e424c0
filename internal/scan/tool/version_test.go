package tool

import (
	"bytes"
	"debug/buildinfo"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

// program makes bytes that hold what the Go linker writes.
func program(before int, goVersion, info string) []byte {
	b := bytes.Repeat([]byte{0}, before)
	b = append(b, buildMagic...)
	b = append(b, 8, buildInline)
	b = append(b, make([]byte, buildHeader-16)...)
	for _, s := range []string{goVersion, info} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, make([]byte, 100)...)
}

func marked(s string) string { return strings.Repeat("<", 16) + s + strings.Repeat(">", 16) }

const builtInfo = "path\texample.com/m/cmd/x\nmod\texample.com/peers\t(devel)\t\ndep\texample.com/m\tv1.2.3\th1:x\ndep\texample.com/other\tv9.9.9\th1:x\n"

func TestBuiltVersion(t *testing.T) {
	const chunk = 4 << 20
	good := marked(builtInfo)
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"at the start", program(0, "go1.26.8", good), "v1.2.3"},
		{"across a chunk", program(chunk-20, "go1.26.8", good), "v1.2.3"},
		{"in the second chunk", program(chunk+maxBuildInfo+5, "go1.26.8", good), "v1.2.3"},
		{"after the constant of a program that reads such headers", append([]byte("\xff Go buildinf:\x00\x00"), program(64, "go1.26.8", good)...), "v1.2.3"},
		{"the main module", program(0, "go1.26.8", marked("path\tm\nmod\tm\tv0.1.0\th1:x\n")), "v0.1.0"},
		{"devel", program(0, "go1.26.8", marked("path\tm\nmod\tm\t(devel)\t\n")), ""},
		{"without modules", program(0, "go1.26.8", ""), ""},
		{"no Go", []byte("#!/bin/sh\n"), ""},
		{"cut short", program(0, "go1.26.8", good)[:60], ""},
		{"nothing", nil, ""},
	} {
		if got, err := builtVersion(bytes.NewReader(tt.b)); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// This test's own program is read as debug/buildinfo reads it.
func TestBuiltVersionAgrees(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := buildinfo.ReadFile(self)
	if err != nil {
		t.Skip(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for n := bytes.Index(b, buildMagic); n >= 0; n = bytes.Index(b[i:], buildMagic) {
		i += n
		if v, ok := parseBuild(b[i:]); ok {
			if v != "" && v != want.Main.Version {
				t.Errorf("%q, want %q", v, want.Main.Version)
			}
			return
		}
		i++
	}
	t.Error("nothing is found in this program, which Go built")
}

// FuzzBuiltVersion: whatever a file holds, what comes out is one short word of it.
func FuzzBuiltVersion(f *testing.F) {
	f.Add(program(0, "go1.26.8", marked(builtInfo)))
	f.Add(program(3, "devel", ""))
	f.Add([]byte("\xff Go buildinf:\x08\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := builtVersion(bytes.NewReader(b))
		if err != nil || len(v) > 80 || !bytes.Contains(b, []byte(v)) {
			t.Errorf("%q, %v", v, err)
		}
	})
}
