package mask

import "bytes"

// A Stream puts values back in a text that comes in chunks. It holds back no more than what may be the
// begin of a sentinel.
type Stream struct {
	v       *Vault
	allow   func(Kind) bool
	escaped bool
	held    []byte
}

// Stream returns a stream that puts back what allow lets through.
func (v *Vault) Stream(allow func(Kind) bool) *Stream { return &Stream{v: v, allow: allow} }

// StreamJSON returns one for chunks of the inside of a string of JSON, or of a whole body.
func (v *Vault) StreamJSON(allow func(Kind) bool) *Stream {
	return &Stream{v: v, allow: allow, escaped: true}
}

// Write appends to dst what can be said after chunk.
func (s *Stream) Write(dst, chunk []byte) []byte {
	text := chunk
	if len(s.held) > 0 {
		s.held = append(s.held, chunk...)
		text = s.held
	}
	keep := s.v.pending(text)
	out := text[:len(text)-keep]
	rest := text[len(text)-keep:]
	dst = s.v.unmask(dst, out, s.allow, s.escaped)
	s.held = append(s.held[:0], rest...)
	return dst
}

// Flush appends to dst what is held back.
func (s *Stream) Flush(dst []byte) []byte {
	dst = s.v.unmask(dst, s.held, s.allow, s.escaped)
	s.held = s.held[:0]
	return dst
}

// Held is the number of bytes that are held back.
func (s *Stream) Held() int { return len(s.held) }

// pending returns how many bytes at the end of text may be the begin of a sentinel of the vault.
func (v *Vault) pending(text []byte) int {
	v.mu.RLock()
	longest := v.longest
	v.mu.RUnlock()
	if longest == 0 {
		return 0
	}
	open, shut := []byte(v.form.open), []byte(v.form.close)
	from := max(0, len(text)-longest+1)
	// The first opening mark that nothing closes, no further back than a sentinel is long.
	for i := from; ; {
		j := bytes.Index(text[i:], open)
		if j < 0 {
			break
		}
		i += j
		if !bytes.Contains(text[i:], shut) {
			return len(text) - i
		}
		i += len(open)
	}
	// Part of an opening mark.
	for n := min(len(open)-1, len(text)); n > 0; n-- {
		if bytes.HasSuffix(text, open[:n]) {
			return n
		}
	}
	return 0
}
