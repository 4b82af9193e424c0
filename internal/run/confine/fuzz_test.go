package confine

import (
	"path/filepath"
	"strings"
	"testing"
)

func FuzzRefuseName(f *testing.F) {
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03api\x07example\x00\x00\x01\x00\x01"))
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, q []byte) {
		name, answer, ok := refuseName(q)
		if !ok {
			return
		}
		if len(name) == 0 || len(name) > maxName || strings.ContainsAny(name, "\x00\x1b\n") {
			t.Errorf("name %q", name)
		}
		if len(answer) > len(q) || answer[0] != q[0] || answer[1] != q[1] || answer[2]&0x80 == 0 || answer[3]&0xf != 3 {
			t.Errorf("answer %x to %x", answer, q)
		}
		if _, _, again := refuseName(answer); again {
			t.Error("an answer was taken for a question")
		}
	})
}

func FuzzOrigins(f *testing.F) {
	f.Add([]byte("file:.git/config\x00core.hookspath\n.husky\x00file:/etc/gitconfig\x00a.b\nc\x00"))
	f.Add([]byte("command line:\x00core.fsmonitor\n../x/y z\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, path := range parseOrigins(b, "/ws") {
			if !filepath.IsAbs(path) || path != filepath.Clean(path) {
				t.Errorf("path %q", path)
			}
		}
	})
}
