package sshsig

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
	armorWidth = 70 // as ssh-keygen writes it; readers take any width
)

// Armor encodes a blob as text, byte for byte as ssh-keygen does.
func Armor(blob []byte) []byte {
	var buf bytes.Buffer
	buf.WriteString(armorBegin + "\n")
	b64 := base64.StdEncoding.EncodeToString(blob)
	for len(b64) > 0 {
		n := min(armorWidth, len(b64))
		buf.WriteString(b64[:n] + "\n")
		b64 = b64[n:]
	}
	buf.WriteString(armorEnd + "\n")
	return buf.Bytes()
}

// Dearmor decodes armoured text. Only white space may stand before or after it.
func Dearmor(text []byte) ([]byte, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(text), MaxSize)
	}
	body, ok := bytes.CutPrefix(bytes.TrimSpace(text), []byte(armorBegin))
	if !ok {
		return nil, fmt.Errorf("%w: it does not start with %q", ErrFormat, armorBegin)
	}
	if body, ok = bytes.CutSuffix(body, []byte(armorEnd)); !ok {
		return nil, fmt.Errorf("%w: it does not end with %q", ErrFormat, armorEnd)
	}
	// The decoder skips line ends; the lines of the armour itself must have had them.
	if len(body) < 2 || (body[0] != '\n' && body[0] != '\r') || body[len(body)-1] != '\n' {
		return nil, fmt.Errorf("%w: the armour's lines are not lines of their own", ErrFormat)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrFormat, err)
	}
	return blob, nil
}
