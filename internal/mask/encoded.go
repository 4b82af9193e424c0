package mask

import (
	"encoding/base64"
	"encoding/hex"
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// This file looks into what is encoded in a text: runs of base64 and of hex. A run of minRun bytes
// cannot hide between two probes that are minRun/2 bytes apart, so that most of the text is not read a
// second time.

const (
	minRun   = 24
	maxRun   = 1 << 20 // of a run, bytes that are decoded
	maxDepth = 3       // of encodings in encodings
)

// encoded decodes long runs of base64 and hex, and looks for secrets in those that turn out to be text.
func (s *search) encoded() {
	text := s.text
	const step = minRun / 2
	last := 0
	for i := step - 1; i < len(text); i += step {
		if !isB64Any(text[i]) {
			continue
		}
		if i+step < len(text) && !isB64Any(text[i+step]) && (i < step || !isB64Any(text[i-step])) {
			continue // shorter than minRun
		}
		start := i
		for start > last && isB64Any(text[start-1]) {
			start--
		}
		stop := i + 1
		for stop < len(text) && isB64Any(text[stop]) {
			stop++
		}
		last = stop
		if start > 0 && start < stop && text[start-1] == '\\' && start+1 < stop {
			start++ // the n of \n
		}
		if stop-start >= minRun {
			s.blob(start, stop)
		}
		i += (stop - i) / step * step
	}
}

func isB64Any(b byte) bool { return classes[b]&(b64|url64) != 0 }

// blob looks into one run.
func (s *search) blob(start, stop int) {
	text := s.text
	if n := stop - start; n == 58 && text[start] == 'S' && nkey(text[start:stop]) {
		s.add("secret:nkey-seed", "nkey-seed", start, stop, sallyport.Critical, byForm)
		return
	}
	if s.depth >= maxDepth || stop-start > maxRun {
		return
	}
	// "data=" and a path's folders are of the alphabet too: begin behind what can only be a separator.
	for i := min(stop, start+64) - 1; i > start; i-- {
		if text[i] == '=' && i+1 < stop && text[i+1] != '=' {
			start = i + 1
			break
		}
	}
	for stop > start && text[stop-1] == '=' {
		stop--
	}
	v := text[start:stop]
	if len(v) < minRun-4 {
		return
	}
	isHex := true
	url := false
	for _, b := range v {
		if !classHex(b) {
			isHex = false
		}
		if b == '-' || b == '_' {
			url = true
		}
		if b == '=' {
			return
		}
	}
	if isHex && len(v)%2 == 0 {
		s.decode(start, stop, nil)
	}
	if len(v)%4 == 1 {
		stop--
		v = v[:len(v)-1]
	}
	enc := base64.RawStdEncoding
	if url {
		for _, b := range v {
			if b == '+' || b == '/' {
				return
			}
		}
		enc = base64.RawURLEncoding
	}
	s.decode(start, stop, enc)
}

func classHex(b byte) bool { return classes[b]&(hexLower|hexUpper) != 0 }

// decode looks for secrets in what text[start:stop] encodes: in hex, if enc is nil.
func (s *search) decode(start, stop int, enc *base64.Encoding) {
	src := s.text[start:stop]
	from, to := 4, 3
	if enc == nil {
		from, to = 2, 1
	}
	dec := func(dst, src []byte) (int, error) {
		if enc == nil {
			return hex.Decode(dst, src)
		}
		return enc.Decode(dst, src)
	}
	var head [24]byte
	if n, err := dec(head[:], src[:16]); err != nil || !printable(head[:n]) {
		return
	}
	if s.inner == nil {
		s.inner = &search{e: s.e}
	}
	s.scratch = slices.Grow(s.scratch[:0], len(src))[:len(src)]
	n, err := dec(s.scratch, src)
	if err != nil || !printable(s.scratch[:n]) {
		clear(s.scratch)
		return
	}
	s.inner.depth = s.depth + 1
	s.inner.look(s.scratch[:n])
	for _, f := range tidy(s.inner.found) {
		a := start + f.Start/to*from
		b := min(stop, start+(f.End+to-1)/to*from)
		for b == stop && b < len(s.text) && s.text[b] == '=' {
			b++
			stop++
		}
		s.add(f.Kind, f.Rule, a, b, f.Severity, f.confidence)
	}
	s.inner.text, s.inner.found = nil, s.inner.found[:0]
	clear(s.scratch)
}

// nkey reports whether v is the seed of a NATS key: base32 with a CRC-16 at its end.
func nkey(v []byte) bool {
	var raw [37]byte
	acc, bits, n := uint32(0), 0, 0
	for _, b := range v {
		var x uint32
		switch {
		case 'A' <= b && b <= 'Z':
			x = uint32(b - 'A')
		case '2' <= b && b <= '7':
			x = uint32(b-'2') + 26
		default:
			return false
		}
		acc = acc<<5 | x
		if bits += 5; bits >= 8 {
			bits -= 8
			if n < len(raw) {
				raw[n] = byte(acc >> bits)
				n++
			}
		}
	}
	if n < 36 || raw[0]>>3 != 18 { // 18 is S
		return false
	}
	switch v[1] {
	case 'A', 'C', 'N', 'O', 'U', 'X':
	default:
		return false
	}
	sh := shapeOf(v)
	return crc16(raw[:34]) == uint16(raw[34])|uint16(raw[35])<<8 || sh.digits >= 4 && sh.entropy > 3.8
}

// crc16 is CRC-16/XMODEM.
func crc16(v []byte) uint16 {
	var c uint16
	for _, b := range v {
		c ^= uint16(b) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
	}
	return c
}
