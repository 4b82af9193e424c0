package openpgp

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// dearmor returns what one armoured block of the given type holds. It is stricter than RFC 9580,
// section 6: nothing but blanks may stand round the block, a line of the body is 76 characters at
// most, and a checksum that is there is right.
func dearmor(b []byte, kind string, limit int) ([]byte, error) {
	if len(b) > limit {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(b), limit)
	}
	lines := bytes.Split(bytes.ReplaceAll(bytes.TrimSpace(b), []byte("\r\n"), []byte("\n")), []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimRight(lines[i], " \t")
	}
	if string(lines[0]) != "-----BEGIN "+kind+"-----" {
		if bytes.HasPrefix(lines[0], []byte("-----BEGIN PGP PRIVATE KEY BLOCK")) {
			return nil, fmt.Errorf("%w: this is a private key; whoever can read this file has it now", ErrFormat)
		}
		if bytes.HasPrefix(lines[0], []byte("-----BEGIN PGP ")) {
			return nil, fmt.Errorf("%w: it starts with %.64q, want -----BEGIN %s-----", ErrUnsupported, lines[0], kind)
		}
		return nil, fmt.Errorf("%w: it does not start with -----BEGIN %s-----", ErrFormat, kind)
	}
	if last := lines[len(lines)-1]; string(last) != "-----END "+kind+"-----" {
		return nil, fmt.Errorf("%w: it does not end with -----END %s-----", ErrFormat, kind)
	}
	body := lines[1 : len(lines)-1]
	for len(body) > 0 && bytes.Contains(body[0], []byte(": ")) { // "Version: …", "Comment: …"
		body = body[1:]
	}
	if len(body) == 0 || len(body[0]) != 0 {
		return nil, fmt.Errorf("%w: an empty line has to end the armour's headers", ErrFormat)
	}
	body = body[1:]
	var sum []byte
	if n := len(body); n > 0 && len(body[n-1]) == 5 && body[n-1][0] == '=' {
		sum, body = body[n-1][1:], body[:n-1]
	}
	for _, line := range body {
		if len(line) == 0 || len(line) > 76 {
			return nil, fmt.Errorf("%w: a line of %d characters in its armour", ErrFormat, len(line))
		}
	}
	out, err := base64.StdEncoding.Strict().DecodeString(string(bytes.Join(body, nil)))
	if err != nil {
		return nil, fmt.Errorf("%w: its armour: %s", ErrFormat, oneLine(err))
	}
	if sum != nil {
		want, err := base64.StdEncoding.Strict().DecodeString(string(sum))
		if err != nil || !bytes.Equal(want, crc24(out)) {
			return nil, fmt.Errorf("%w: the checksum of its armour is wrong", ErrFormat)
		}
	}
	return out, nil
}

// crc24 is the checksum of RFC 9580, section 6.1.
func crc24(b []byte) []byte {
	crc := uint32(0xb704ce)
	for _, c := range b {
		crc ^= uint32(c) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return []byte{byte(crc >> 16), byte(crc >> 8), byte(crc)}
}

// Tags of packets.
const (
	tagSignature  = 2
	tagSecretKey  = 5
	tagPublicKey  = 6
	tagSecretSub  = 7
	tagMarker     = 10
	tagTrust      = 12
	tagUserID     = 13
	tagPublicSub  = 14
	tagUserAttr   = 17
	tagPadding    = 21
	tagPrivateMin = 60 // experimental from here on
)

const maxPackets = 2000

// A rawPacket is a packet whose content was not read yet. Whole is the packet with its header.
type rawPacket struct {
	tag         byte
	body, whole []byte
}

// split takes a sequence of packets apart (RFC 9580, section 4.2). Lengths that are partial or
// that are not told are refused: no key or signature needs them.
func split(b []byte) ([]rawPacket, error) {
	var list []rawPacket
	for len(b) > 0 {
		if len(list) == maxPackets {
			return nil, fmt.Errorf("%w: more than %d packets", ErrFormat, maxPackets)
		}
		p, n, err := first(b)
		if err != nil {
			return nil, err
		}
		list, b = append(list, p), b[n:]
	}
	return list, nil
}

// first reads the packet at the start of b and returns its length with its header.
func first(b []byte) (rawPacket, int, error) {
	cut := fmt.Errorf("%w: cut short", ErrFormat)
	head, tag, size := 0, b[0]&0x3f, uint64(0)
	number := func(n int) bool { // of n bytes, after the tag and skip bytes
		head = 1 + n
		if len(b) < head {
			return false
		}
		for _, c := range b[1:head] {
			size = size<<8 | uint64(c)
		}
		return true
	}
	var ok bool
	switch {
	case b[0]&0x80 == 0:
		return rawPacket{}, 0, fmt.Errorf("%w: no packet starts here", ErrFormat)
	case b[0]&0x40 == 0: // the legacy format
		tag = b[0] >> 2 & 0x0f
		if b[0]&3 == 3 {
			return rawPacket{}, 0, fmt.Errorf("%w: a packet without a length", ErrUnsupported)
		}
		ok = number(1 << (b[0] & 3))
	case len(b) < 2:
		ok = false
	case b[1] < 192:
		ok = number(1)
	case b[1] < 224:
		if ok = number(2); ok {
			size = size - 192<<8 + 192
		}
	case b[1] < 255:
		return rawPacket{}, 0, fmt.Errorf("%w: a packet of partial length", ErrUnsupported)
	default:
		if ok = number(5); ok {
			size &= 0xffffffff
		}
	}
	if !ok || size > uint64(len(b)-head) {
		return rawPacket{}, 0, cut
	}
	n := head + int(size)
	return rawPacket{tag, b[head:n], b[:n]}, n, nil
}

// parse reads the packet with the library, and refuses what the library left unread: bytes that
// no two readers need to agree on.
func (p rawPacket) parse() (packet.Packet, error) {
	if len(p.body) == 0 {
		return nil, fmt.Errorf("%w: an empty packet", ErrFormat)
	}
	r := bytes.NewReader(append([]byte{0xc0 | p.tag, 0xff, byte(len(p.body) >> 24), byte(len(p.body) >> 16), byte(len(p.body) >> 8), byte(len(p.body))}, p.body...))
	got, err := packet.Read(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrUnsupported, oneLine(err))
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("%w: a packet holds more than its content", ErrFormat)
	}
	return got, nil
}

func (p rawPacket) signature() (*packet.Signature, error) {
	got, err := p.parse()
	if err != nil {
		return nil, err
	}
	sig, ok := got.(*packet.Signature)
	if !ok {
		return nil, fmt.Errorf("%w: not a signature", ErrFormat)
	}
	return sig, nil
}

func (p rawPacket) publicKey() (*packet.PublicKey, error) {
	got, err := p.parse()
	if err != nil {
		return nil, err
	}
	pub, ok := got.(*packet.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: not a public key", ErrFormat)
	}
	return pub, nil
}

// ArmorSignature returns a binary detached signature in the form that stands beside a file: RFC 9580,
// section 6.2, with the checksum that older readers want.
func ArmorSignature(sig []byte) []byte {
	var b bytes.Buffer
	b.WriteString("-----BEGIN PGP SIGNATURE-----\n\n")
	for text := base64.StdEncoding.EncodeToString(sig); text != ""; {
		n := min(64, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString("=" + base64.StdEncoding.EncodeToString(crc24(sig)) + "\n-----END PGP SIGNATURE-----\n")
	return b.Bytes()
}
