package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	issuer   = "https://token.example.com"
	audience = "sallyport"
)

var b64 = base64.RawURLEncoding.EncodeToString

// An issuerKeys signs tokens with a key of each kind.
type issuerKeys struct {
	tb  testing.TB
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newIssuer(tb testing.TB) issuerKeys {
	tb.Helper()
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		tb.Fatal(err)
	}
	return issuerKeys{tb, r, e}
}

func (i issuerKeys) jwks() string {
	point, err := i.ec.PublicKey.Bytes()
	if err != nil {
		i.tb.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"r","use":"sig","alg":"RS256","n":%q,"e":"AQAB"},{"kty":"EC","kid":"e","crv":"P-256","x":%q,"y":%q},{"kty":"oct","kid":"o"},{"kty":"RSA","kid":"x","use":"enc","n":"AA","e":"AQAB"}]}`,
		b64(i.rsa.N.Bytes()), b64(point[1:33]), b64(point[33:]))
}

// sign makes a token with these header and claims.
func (i issuerKeys) sign(header, claims string) string {
	i.tb.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	var err error
	if strings.Contains(header, `"e"`) {
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, i.ec, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	} else {
		sig, err = rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, sum[:])
	}
	if err != nil {
		i.tb.Fatal(err)
	}
	return text + "." + b64(sig)
}

func claims(edit func(m map[string]any)) string {
	m := map[string]any{"iss": issuer, "aud": audience, "sub": "job", "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	if edit != nil {
		edit(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestVerify(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	set, err := ParseKeySet([]byte(i.jwks()))
	if err != nil {
		t.Fatal(err)
	}
	const rs, es = `{"alg":"RS256","kid":"r","typ":"JWT"}`, `{"alg":"ES256","kid":"e"}`
	with := func(name string, v any) string { return claims(func(m map[string]any) { m[name] = v }) }
	without := func(name string) string { return claims(func(m map[string]any) { delete(m, name) }) }
	good := i.sign(rs, claims(nil))
	// HS256 with the public key's bytes as the secret: the oldest trick there is.
	text := b64([]byte(`{"alg":"HS256","kid":"r"}`)) + "." + b64([]byte(claims(nil)))
	mac := hmac.New(sha256.New, i.rsa.N.Bytes())
	mac.Write([]byte(text))
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"RS256", good, nil},
		{"ES256", i.sign(es, claims(nil)), nil},
		{"one audience in a list", i.sign(rs, with("aud", []string{audience})), nil},
		{"ahead by less than the skew", i.sign(rs, with("nbf", now.Add(MaxSkew).Unix())), nil},
		{"another issuer's key", other.sign(rs, claims(nil)), ErrSignature},
		{"unknown kid", i.sign(`{"alg":"RS256","kid":"z"}`, claims(nil)), ErrKey},
		{"no kid", i.sign(`{"alg":"RS256"}`, claims(nil)), ErrKey},
		{"kid of a key for encryption", i.sign(`{"alg":"RS256","kid":"x"}`, claims(nil)), ErrKey},
		{"alg none", b64([]byte(`{"alg":"none","kid":"r"}`)) + "." + b64([]byte(claims(nil))) + ".", ErrSignature},
		{"HS256 under the public key", text + "." + b64(mac.Sum(nil)), ErrSignature},
		{"ES256 with the RSA key", i.sign(`{"alg":"ES256","kid":"r"}`, claims(nil)), ErrSignature},
		{"critical header", i.sign(`{"alg":"RS256","kid":"r","crit":["b64"]}`, claims(nil)), ErrFormat},
		{"key twice in the header", i.sign(`{"alg":"RS256","kid":"r","kid":"r"}`, claims(nil)), ErrFormat},
		{"key twice in the claims", i.sign(rs, strings.Replace(claims(nil), "{", `{"iss":"x",`, 1)), ErrFormat},
		{"claims changed", strings.Replace(good, "."+strings.Split(good, ".")[1]+".", "."+b64([]byte(with("sub", "root")))+".", 1), ErrSignature},
		{"issuer", i.sign(rs, with("iss", issuer+"/")), ErrIssuer},
		{"audience", i.sign(rs, with("aud", "sigstore")), ErrAudience},
		{"two audiences", i.sign(rs, with("aud", []string{audience, "sigstore"})), ErrAudience},
		{"no audience", i.sign(rs, without("aud")), ErrAudience},
		{"expired", i.sign(rs, with("exp", now.Unix())), ErrExpired},
		{"no end", i.sign(rs, without("exp")), ErrExpired},
		{"no beginning", i.sign(rs, without("iat")), ErrExpired},
		{"issued in the future", i.sign(rs, with("iat", now.Add(MaxSkew+time.Second).Unix())), ErrExpired},
		{"not yet", i.sign(rs, with("nbf", now.Add(MaxSkew+time.Second).Unix())), ErrExpired},
		{"without end in practice", i.sign(rs, with("exp", now.AddDate(10, 0, 0).Unix())), ErrExpired},
		{"two parts", good[:strings.LastIndex(good, ".")], ErrFormat},
		{"padding", good + "=", ErrFormat},
		{"newline", good + "\n", ErrFormat},
		{"nothing", "", ErrFormat},
		{"too large", strings.Repeat("a", MaxToken+1), ErrFormat},
	} {
		b, err := set.Verify(tt.token, Expect{Issuer: issuer, Audience: audience, Now: now})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if (err == nil) != (b != nil) {
			t.Errorf("%s: %s with %v", tt.name, b, err)
		}
	}
	for name, e := range map[string]Expect{"no issuer": {Audience: audience, Now: now}, "no audience": {Issuer: issuer, Now: now}} {
		if _, err := set.Verify(i.sign(rs, claims(func(m map[string]any) { delete(m, "iss"); m["aud"] = "" })), e); err == nil {
			t.Errorf("%s is expected, and a token without one verifies", name)
		}
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	i := newIssuer(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"nothing":       "",
		"no keys":       `{"keys":[]}`,
		"only others":   `{"keys":[{"kty":"oct","kid":"o"}]}`,
		"kid twice":     strings.Replace(i.jwks(), `"kid":"e"`, `"kid":"r"`, 1),
		"no kid":        strings.Replace(i.jwks(), `"kid":"r",`, "", 1),
		"a private key": strings.Replace(i.jwks(), `"kid":"r"`, `"kid":"r","d":"AA"`, 1),
		"off the curve": fmt.Sprintf(`{"keys":[{"kty":"EC","kid":"e","crv":"P-256","x":%q,"y":%[1]q}]}`, b64(make([]byte, 32))),
		"1024 bits":     fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"r","n":%q,"e":"AQAB"}]}`, b64(small.N.Bytes())),
		"key twice":     `{"keys":[],"keys":[]}`,
		"data after it": i.jwks() + "{}",
	} {
		if s, err := ParseKeySet([]byte(b)); !errors.Is(err, ErrKeySet) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// FuzzVerify: what verifies is the issuer's for this audience, and nothing that was changed is.
func FuzzVerify(f *testing.F) {
	i := newIssuer(f)
	set, err := ParseKeySet([]byte(i.jwks()))
	if err != nil {
		f.Fatal(err)
	}
	good := i.sign(`{"alg":"RS256","kid":"r"}`, claims(nil))
	f.Add(good)
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		b, err := set.Verify(token, Expect{Issuer: issuer, Audience: audience, Now: now})
		if err == nil && token != good {
			t.Errorf("a token that nobody issued verifies: %s", b)
		}
		if err != nil && b != nil {
			t.Errorf("claims with %v", err)
		}
	})
}
