package tessera

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/tlog"
)

// A bundle that parses is what its entries make, byte for byte: nothing in it is skipped.
func FuzzParseBundle(f *testing.F) {
	leaf := leafOf(f, 1)
	one := append(binary.BigEndian.AppendUint16(nil, uint16(len(leaf))), leaf...)
	f.Add([]byte{})
	f.Add(one)
	f.Add(append(bytes.Clone(one), one...))
	f.Add(one[:len(one)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseBundle(b)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = append(binary.BigEndian.AppendUint16(again, uint16(len(e))), e...)
		}
		if !bytes.Equal(again, b) || len(entries) > width {
			t.Errorf("%q parsed as %d entries, which make %q", b, len(entries), again)
		}
	})
}

// A state that parses has a root of the right length.
func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"size":0,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`))
	f.Add([]byte(`{"size":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseState(b); err == nil && len(h.Root) != tlog.HashSize {
			t.Errorf("%q parsed as %v", b, h)
		}
	})
}
