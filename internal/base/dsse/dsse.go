// Package dsse reads and writes DSSE envelopes, the wrapping of a signed in-toto statement.
//
// A signature is over [PAE](type, payload), which fixes where the type ends and the payload
// begins, so that bytes signed as one type can never be read as another. [Parse] is stricter
// than the specification in three ways: it takes exactly one signature (with two, a verifier
// that stops at the first good one passes an envelope whose other signature failed), it refuses
// a key that stands twice or differs from a known one in case only, and it has a size limit.
// Unknown keys are ignored, as the specification asks.
//
// The package verifies nothing and chooses no keys. It imports the standard library only.
package dsse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// InTotoPayload is the payload type of an in-toto statement.
const InTotoPayload = "application/vnd.in-toto+json"

// MaxSize is the largest envelope that [Parse] reads.
const MaxSize = 10 << 20

// Errors of Parse.
var (
	ErrEnvelope  = errors.New("not a DSSE envelope")
	ErrSignature = errors.New("an envelope must have exactly one signature")
)

// An Envelope is a payload, its type and one signature over both. KeyID is a hint that nobody
// has signed: it may choose a key to try, never decide.
type Envelope struct {
	PayloadType string
	Payload     []byte
	KeyID       string
	Signature   []byte
}

// PAE returns the pre-authentication encoding of a payload, version 1: what is signed.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payloadType)+len(payload)+40)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// ParsePAE returns the payload of a pre-authentication encoding of the given type. It is for whoever
// is asked to sign one, and looks at what it signs.
func ParsePAE(b []byte, payloadType string) ([]byte, error) {
	head := PAE(payloadType, nil)
	head = head[:len(head)-len("0 ")]
	rest, ok := bytes.CutPrefix(b, head)
	if !ok {
		return nil, fmt.Errorf("%w: it is no encoding of the type %q", ErrEnvelope, payloadType)
	}
	_, payload, _ := bytes.Cut(rest, []byte(" "))
	if !bytes.Equal(PAE(payloadType, payload), b) {
		return nil, fmt.Errorf("%w: its length is not what it says", ErrEnvelope)
	}
	return payload, nil
}

// PAE returns what the signature of e is over.
func (e Envelope) PAE() []byte { return PAE(e.PayloadType, e.Payload) }

type envelopeJSON struct {
	Payload     string          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []signatureJSON `json:"signatures"`
}

type signatureJSON struct {
	KeyID string `json:"keyid,omitempty"`
	Sig   string `json:"sig"`
}

// MarshalJSON writes e as the standard JSON envelope.
func (e Envelope) MarshalJSON() ([]byte, error) {
	return json.Marshal(envelopeJSON{
		Payload:     base64.StdEncoding.EncodeToString(e.Payload),
		PayloadType: e.PayloadType,
		Signatures:  []signatureJSON{{KeyID: e.KeyID, Sig: base64.StdEncoding.EncodeToString(e.Signature)}},
	})
}

// Parse reads one JSON envelope. Its errors wrap [ErrEnvelope] or [ErrSignature].
func Parse(b []byte) (Envelope, error) {
	if len(b) > MaxSize {
		return Envelope{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrEnvelope, len(b), MaxSize)
	}
	if err := checkKeys(b); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	var in envelopeJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	if len(in.Signatures) != 1 {
		return Envelope{}, fmt.Errorf("%w, not %d", ErrSignature, len(in.Signatures))
	}
	if in.PayloadType == "" {
		return Envelope{}, fmt.Errorf("%w: payloadType is missing", ErrEnvelope)
	}
	e := Envelope{PayloadType: in.PayloadType, KeyID: in.Signatures[0].KeyID}
	var err error
	if e.Payload, err = decode64(in.Payload); err != nil {
		return Envelope{}, fmt.Errorf("%w: payload: %w", ErrEnvelope, err)
	}
	if e.Signature, err = decode64(in.Signatures[0].Sig); err != nil {
		return Envelope{}, fmt.Errorf("%w: signature: %w", ErrEnvelope, err)
	}
	if len(e.Signature) == 0 {
		return Envelope{}, fmt.Errorf("%w: it is empty", ErrSignature)
	}
	return e, nil
}

// decode64 accepts both alphabets of base64, as the specification asks, but not both at once,
// and no line breaks or stray bits.
func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("base64 with line breaks")
	}
	enc := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	return enc.Strict().DecodeString(s)
}

const maxDepth = 32

// checkKeys walks the document: one value, no key twice, none that differs from a known key in
// case only (encoding/json would take it for the known one, others would not).
func checkKeys(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the document is empty or cut short")
		}
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the end of the document")
	}
	return nil
}

var knownKeys = []string{"payload", "payloadType", "signatures", "keyid", "sig"}

func checkValue(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		if depth == 0 {
			return errors.New("the document is not an object")
		}
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			tok, err := dec.Token()
			if err != nil {
				return err
			}
			key, _ := tok.(string)
			if seen[key] {
				return fmt.Errorf("key %q stands twice in one object", key)
			}
			seen[key] = true
			for _, k := range knownKeys {
				if key != k && strings.EqualFold(key, k) {
					return fmt.Errorf("key %q is not spelt %q", key, k)
				}
			}
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing delimiter
	return err
}
