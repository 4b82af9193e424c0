package key

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // for HMAC only, in files of old OpenSSL
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// PKCS#8 encryption as RFC 8018 defines it, in the one combination that is still made today.

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	oidAES128CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// Iterations: what we write, and the most that we read. The latter bounds how long a hostile
// file keeps us busy, to a few seconds.
const (
	iterations    = 600_000
	maxIterations = 10_000_000
)

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// encrypt returns der as an EncryptedPrivateKeyInfo.
func encrypt(der, passphrase []byte) ([]byte, error) {
	random := make([]byte, 16+aes.BlockSize)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	salt, iv := random[:16], random[16:]
	k, err := pbkdf2.Key(sha256.New, string(passphrase), salt, iterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	n := aes.BlockSize - len(der)%aes.BlockSize
	data := append([]byte{}, der...)
	for range n {
		data = append(data, byte(n))
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	kdf, err := asn1.Marshal(pbkdf2Params{Salt: salt, Iterations: iterations,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}})
	if err != nil {
		return nil, err
	}
	ivDER, err := asn1.Marshal(iv)
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(pbes2Params{
		KDF:    pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: kdf}},
		Cipher: pkix.AlgorithmIdentifier{Algorithm: oidAES256CBC, Parameters: asn1.RawValue{FullBytes: ivDER}},
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedKey{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: params}},
		Data:      data,
	})
}

// decrypt reverses encrypt, and reads what OpenSSL writes with AES-128 or another HMAC.
func decrypt(der, passphrase []byte) ([]byte, error) {
	var ek encryptedKey
	var params pbes2Params
	var kdf pbkdf2Params
	var iv []byte
	if err := unmarshal(der, &ek); err != nil {
		return nil, err
	}
	if !ek.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("%w: its encryption is not PBES2; openssl pkcs8 -topk8 -v2 aes-256-cbc converts it", ErrFormat)
	}
	if err := unmarshal(ek.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, err
	}
	if !params.KDF.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("%w: its passphrase is not stretched with PBKDF2", ErrFormat)
	}
	if err := unmarshal(params.KDF.Parameters.FullBytes, &kdf); err != nil {
		return nil, err
	}
	if err := unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	prf, keyLen, err := kdf.algorithms(params.Cipher.Algorithm)
	if err != nil {
		return nil, err
	}
	if len(iv) != aes.BlockSize || len(ek.Data) == 0 || len(ek.Data)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: its encrypted part has a wrong length", ErrFormat)
	}
	k, err := pbkdf2.Key(prf, string(passphrase), kdf.Salt, kdf.Iterations, keyLen)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	data := append([]byte{}, ek.Data...)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(data, data)
	return unpad(data)
}

func (p pbkdf2Params) algorithms(cipherOID asn1.ObjectIdentifier) (prf func() hash.Hash, keyLen int, err error) {
	switch {
	case len(p.PRF.Algorithm) == 0, p.PRF.Algorithm.Equal(oidHMACSHA1):
		prf = sha1.New // HMAC-SHA-1 is sound as a PRF; old OpenSSL writes it
	case p.PRF.Algorithm.Equal(oidHMACSHA256):
		prf = sha256.New
	case p.PRF.Algorithm.Equal(oidHMACSHA512):
		prf = sha512.New
	default:
		return nil, 0, fmt.Errorf("%w: its passphrase is stretched with an unknown hash", ErrFormat)
	}
	switch {
	case cipherOID.Equal(oidAES256CBC):
		keyLen = 32
	case cipherOID.Equal(oidAES128CBC):
		keyLen = 16
	default:
		return nil, 0, fmt.Errorf("%w: it is not encrypted with AES-128 or AES-256 in CBC mode", ErrFormat)
	}
	switch {
	case p.KeyLength != 0 && p.KeyLength != keyLen:
		return nil, 0, fmt.Errorf("%w: its key length contradicts its cipher", ErrFormat)
	case p.Iterations < 1 || p.Iterations > maxIterations:
		return nil, 0, fmt.Errorf("%w: %d iterations, the limit is %d", ErrFormat, p.Iterations, maxIterations)
	case len(p.Salt) < 8 || len(p.Salt) > 64:
		return nil, 0, fmt.Errorf("%w: its salt has %d bytes", ErrFormat, len(p.Salt))
	}
	return prf, keyLen, nil
}

// unpad removes PKCS#7 padding, which a wrong passphrase breaks. Nobody can ask this code often
// enough for the padding to be an oracle: the file and the passphrase are the caller's own.
func unpad(data []byte) ([]byte, error) {
	n := int(data[len(data)-1])
	if n == 0 || n > aes.BlockSize || n > len(data) {
		return nil, ErrPassphrase
	}
	for _, b := range data[len(data)-n:] {
		if int(b) != n {
			return nil, ErrPassphrase
		}
	}
	return data[:len(data)-n], nil
}

var errTrailing = errors.New("trailing data")

func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	if err != nil {
		return fmt.Errorf("%w: its PKCS#8 encryption cannot be read: %w", ErrFormat, err)
	}
	return nil
}
