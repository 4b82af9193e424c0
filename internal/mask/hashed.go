package mask

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A HashList is a list of values that are known to be secret, which holds none of them: each line has the
// HMAC-SHA-256 of a value under a key that is kept elsewhere, and the value's length.
//
//	0f3b…  24  prod-db
//
// Whoever has the list and not the key learns how many there are and how long; whoever has both can try
// guesses. Values are found where they stand as a word of their own, behind "=" or ":", or as a whole string
// of JSON, and in base64 and hex.
type HashList struct {
	key     []byte
	sums    map[[sha256.Size]byte]string
	lengths [MaxHashed + 1]bool
}

// Bounds on hashed values.
const (
	MinHashed = 8
	MaxHashed = 255
	maxHashes = 1_000_000
	minKey    = 16
)

// HashLine returns the line of a list for a value.
func HashLine(key []byte, k Known) (string, error) {
	if len(key) < minKey {
		return "", fmt.Errorf("the key of a hash list has %d bytes; it needs %d", len(key), minKey)
	}
	if n := len(k.Value); n < MinHashed || n > MaxHashed {
		return "", fmt.Errorf("value %s has %d bytes; one of %d to %d can be hashed", k.Name, n, MinHashed, MaxHashed)
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte(k.Value))
	return fmt.Sprintf("%x %d %s", m.Sum(nil), len(k.Value), strings.Join(strings.Fields(k.Name), "_")), nil
}

// ReadHashList reads a list. Empty lines and those that begin with "#" are left out.
func ReadHashList(key, list []byte) (*HashList, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("the key of a hash list has %d bytes; it needs %d", len(key), minKey)
	}
	h := &HashList{key: bytes.Clone(key), sums: map[[sha256.Size]byte]string{}}
	n := 0
	for line := range bytes.Lines(list) {
		n++
		f := bytes.Fields(line)
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		var sum [sha256.Size]byte
		if len(f) < 2 || len(f) > 3 || hex.DecodedLen(len(f[0])) != len(sum) {
			return nil, fmt.Errorf("hash list, line %d: want HMAC LENGTH [NAME]", n)
		}
		if _, err := hex.Decode(sum[:], f[0]); err != nil {
			return nil, fmt.Errorf("hash list, line %d: %w", n, err)
		}
		length, err := strconv.Atoi(string(f[1]))
		if err != nil || length < MinHashed || length > MaxHashed {
			return nil, fmt.Errorf("hash list, line %d: a length is %d to %d", n, MinHashed, MaxHashed)
		}
		if len(h.sums) >= maxHashes {
			return nil, fmt.Errorf("hash list: more than %d values", maxHashes)
		}
		name := ""
		if len(f) == 3 {
			name = string(f[2])
		}
		h.sums[sum], h.lengths[length] = name, true
	}
	return h, nil
}

// hashing is what a search keeps for its list.
type hashing struct {
	mac hash.Hash
	sum []byte
}

// hashes looks up the words of the text in the list.
func (s *search) hashes() {
	text, list := s.text, s.e.hashed
	if s.hashing.mac == nil {
		s.hashing.mac = hmac.New(sha256.New, list.key)
	}
	if len(text) <= MaxHashed {
		s.hashed(0, len(text))
	}
	for i := 0; i < len(text); {
		if !inWord(text[i]) {
			i++
			continue
		}
		if i > 0 && text[i-1] == '\\' {
			i++ // the letter of an escape
		}
		start := i
		for i < len(text) && inWord(text[i]) {
			i++
		}
		s.hashed(start, i)
		// What is assigned, and what stands between other marks.
		if cut := start + bytes.IndexAny(text[start:min(i, start+80)], "=:"); cut > start {
			s.hashed(cut+1, i)
			if c := start + bytes.IndexByte(text[start:i], '@'); c > cut {
				s.hashed(cut+1, c)
			}
			if c := bytes.LastIndexAny(text[cut+1:i], "=:"); c >= 0 {
				s.hashed(cut+1+c+1, i)
			}
		}
	}
}

func inWord(b byte) bool {
	switch b {
	case '"', '\'', '`', '<', '>', '(', ')', '[', ']', '{', '}', ',', ';', '\\', '|':
		return false
	}
	return b > ' ' && b != 0x7f
}

func (s *search) hashed(start, end int) {
	list := s.e.hashed
	if n := end - start; n < MinHashed || n > MaxHashed || !list.lengths[n] {
		return
	}
	h := &s.hashing
	h.mac.Reset()
	h.mac.Write(s.text[start:end])
	h.sum = h.mac.Sum(h.sum[:0])
	if _, ok := list.sums[[sha256.Size]byte(h.sum)]; ok {
		s.add("secret:known", "known-hash", start, end, sallyport.Critical, byValue)
	}
}
