// Package oidc verifies identity tokens (OpenID Connect Core 1.0) under pinned keys, as CI systems
// issue them to their jobs.
//
// A token is a JWS in compact form (RFC 7515): header, claims and signature in base64url, joined by
// dots. [KeySet.Verify] checks the signature under a key of the issuer's key set (RFC 7517), which the
// caller keeps in a file: nothing is fetched, so that whoever can answer for the issuer's host at
// the moment of a check cannot choose the keys. A key set has to be renewed when its issuer rotates
// keys; until then tokens are refused.
//
// The package is stricter than the standards. The algorithm is RS256 or ES256, it must be that of the key,
// and the token must name its key; critical headers, JSON with a name that stands twice, several
// audiences and lifetimes above [MaxLifetime] are refused. It imports the standard library only, and
// knows nothing of gates or of any CI system's claims.
package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Limits.
const (
	MaxToken    = 16 << 10
	MaxKeySet   = 256 << 10
	maxKeys     = 64
	MaxLifetime = 24 * time.Hour
	MaxSkew     = 5 * time.Minute // how far the issuer's clock may be ahead
)

// Errors that a caller may want to tell apart; the others of this package wrap one of them.
var (
	ErrFormat    = errors.New("malformed token")
	ErrKeySet    = errors.New("malformed key set")
	ErrKey       = errors.New("the token is signed with an unknown key")
	ErrSignature = errors.New("the token's signature does not verify")
	ErrIssuer    = errors.New("the token is of another issuer")
	ErrAudience  = errors.New("the token is for another audience")
	ErrExpired   = errors.New("the token is outside its time")
)

// A KeySet holds the public keys of one issuer. It is safe for concurrent use.
type KeySet struct {
	keys map[string]publicKey // by key id
}

type publicKey struct {
	alg string
	key crypto.PublicKey
}

// An Expect says what a token has to say. All of it is required.
type Expect struct {
	Issuer   string
	Audience string
	Now      time.Time
}

type jwk struct {
	Kty, Kid, Use, Alg string
	N, E               string
	Crv, X, Y          string
	D                  *string
}

// ParseKeySet reads a JSON Web Key Set. Keys of other kinds and for other uses are left out.
func ParseKeySet(b []byte) (*KeySet, error) {
	if err := checkJSON(b, MaxKeySet); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	var in struct{ Keys []jwk }
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	if len(in.Keys) > maxKeys {
		return nil, fmt.Errorf("%w: %d keys, the limit is %d", ErrKeySet, len(in.Keys), maxKeys)
	}
	s := &KeySet{keys: map[string]publicKey{}}
	for i, k := range in.Keys {
		if k.D != nil {
			return nil, fmt.Errorf("%w: key %d is private; whoever can read this file has it now", ErrKeySet, i)
		}
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		pub, alg, err := k.public()
		if err != nil {
			return nil, fmt.Errorf("%w: key %d: %w", ErrKeySet, i, err)
		}
		if pub == nil || k.Alg != "" && k.Alg != alg {
			continue
		}
		if k.Kid == "" {
			return nil, fmt.Errorf("%w: key %d has no kid", ErrKeySet, i)
		}
		if _, ok := s.keys[k.Kid]; ok {
			return nil, fmt.Errorf("%w: the kid %.80q stands twice", ErrKeySet, k.Kid)
		}
		s.keys[k.Kid] = publicKey{alg, pub}
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("%w: it holds no key for RS256 or ES256", ErrKeySet)
	}
	return s, nil
}

// public returns the key and its algorithm; nil for kinds that are left out.
func (k jwk) public() (crypto.PublicKey, string, error) {
	switch {
	case k.Kty == "RSA":
		n, err1 := decode(k.N)
		e, err2 := decode(k.E)
		if err1 != nil || err2 != nil || len(e) == 0 || len(e) > 4 {
			return nil, "", errors.New("its numbers cannot be read")
		}
		pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		if bits := pub.N.BitLen(); bits < 2048 || bits > 8192 || pub.E < 3 || pub.E%2 == 0 {
			return nil, "", fmt.Errorf("an RSA key of %d bits", bits)
		}
		return pub, "RS256", nil
	case k.Kty == "EC" && k.Crv == "P-256":
		x, err1 := decode(k.X)
		y, err2 := decode(k.Y)
		if err1 != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
			return nil, "", errors.New("its point cannot be read")
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, "", errors.New("its point is not on the curve")
		}
		return pub, "ES256", nil
	}
	return nil, "", nil
}

// registered are the claims that every token has.
type registered struct {
	Iss string          `json:"iss"`
	Aud json.RawMessage `json:"aud"`
	Exp *int64          `json:"exp"`
	Iat *int64          `json:"iat"`
	Nbf *int64          `json:"nbf"`
}

// Verify checks a token and returns its claims as JSON. On error there are none.
func (s *KeySet) Verify(token string, want Expect) ([]byte, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrFormat, len(token), MaxToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: it has %d parts, want three", ErrFormat, len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = decode(p); err != nil {
			return nil, fmt.Errorf("%w: part %d is not base64url", ErrFormat, i+1)
		}
	}
	if err := s.signed(raw[0], parts[0]+"."+parts[1], raw[2]); err != nil {
		return nil, err
	}
	if err := checkJSON(raw[1], MaxToken); err != nil {
		return nil, fmt.Errorf("%w: its claims: %w", ErrFormat, err)
	}
	var r registered
	if err := json.Unmarshal(raw[1], &r); err != nil {
		return nil, fmt.Errorf("%w: its claims: %w", ErrFormat, err)
	}
	if err := r.check(want); err != nil {
		return nil, err
	}
	return raw[1], nil
}

// signed checks the signature over text.
func (s *KeySet) signed(header []byte, text string, sig []byte) error {
	if err := checkJSON(header, MaxToken); err != nil {
		return fmt.Errorf("%w: its header: %w", ErrFormat, err)
	}
	var h struct {
		Alg, Kid string
		Crit     json.RawMessage
	}
	if err := json.Unmarshal(header, &h); err != nil {
		return fmt.Errorf("%w: its header: %w", ErrFormat, err)
	}
	if h.Crit != nil {
		return fmt.Errorf("%w: its header asks for what is not understood here", ErrFormat)
	}
	k, ok := s.keys[h.Kid]
	switch {
	case !ok || h.Kid == "":
		return fmt.Errorf("%w: kid %.80q", ErrKey, h.Kid)
	case h.Alg != k.alg: // "none", or HS256 with a public key as the secret
		return fmt.Errorf("%w: algorithm %.20q with a key for %s", ErrSignature, h.Alg, k.alg)
	}
	sum := sha256.Sum256([]byte(text))
	good := false
	switch pub := k.key.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig) == nil
	case *ecdsa.PublicKey:
		good = len(sig) == 64 && ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	if !good {
		return fmt.Errorf("%w under %.80q", ErrSignature, h.Kid)
	}
	return nil
}

func (r registered) check(want Expect) error {
	if want.Issuer == "" || r.Iss != want.Issuer {
		return fmt.Errorf("%w: %.200q", ErrIssuer, r.Iss)
	}
	var one string
	if err := json.Unmarshal(r.Aud, &one); err != nil {
		var list []string
		if err := json.Unmarshal(r.Aud, &list); err != nil || len(list) != 1 {
			return fmt.Errorf("%w: want exactly one", ErrAudience)
		}
		one = list[0]
	}
	if want.Audience == "" || one != want.Audience {
		return fmt.Errorf("%w: %.200q", ErrAudience, one)
	}
	if r.Exp == nil || r.Iat == nil {
		return fmt.Errorf("%w: it does not say when it was issued and when it ends", ErrExpired)
	}
	exp, iat := time.Unix(*r.Exp, 0), time.Unix(*r.Iat, 0)
	latest := want.Now.Add(MaxSkew)
	switch {
	case !want.Now.Before(exp):
		return fmt.Errorf("%w: it ended at %s", ErrExpired, exp.UTC().Format(time.RFC3339))
	case iat.After(latest), r.Nbf != nil && time.Unix(*r.Nbf, 0).After(latest):
		return fmt.Errorf("%w: it has not begun", ErrExpired)
	case exp.Sub(iat) > MaxLifetime || exp.Before(iat):
		return fmt.Errorf("%w: it lasts for %s, the limit is %s", ErrExpired, exp.Sub(iat), MaxLifetime)
	}
	return nil
}

func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, ErrFormat
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
