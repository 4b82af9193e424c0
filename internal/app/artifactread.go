package app

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
)

// maxOpenPGPFile is the largest file over which an OpenPGP signature is verified, in bytes: all of it
// is held in memory.
const maxOpenPGPFile = 1 << 30

// readLimit reads a file of at most limit bytes.
func readLimit(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d MiB", name, limit>>20)
	}
	return b, err
}

// OfGittuf reports whether one of the files is an envelope of gittuf, which nobody's trust roots name: it is verified
// by who is named.
func OfGittuf(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		b, err := readLimit(name, sigstore.MaxBundle)
		return err == nil && sigstore.IsGittuf(b)
	})
}

func isOpenPGP(b []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(b), []byte("-----BEGIN PGP ")) }

// isText reports whether b can be base64 with line ends.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' || c >= 0x7f {
			return false
		}
	}
	return true
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func unbase64(b []byte) ([]byte, error) {
	return base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
}
