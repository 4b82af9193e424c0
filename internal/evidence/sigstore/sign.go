package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/keyalg"
)

// A Content is what is signed: an artifact as it is, or a statement in an envelope.
type Content struct {
	Artifact  Artifact
	Statement []byte // an in-toto statement; with it, Artifact is what it should be about
}

// Sign signs content with a key, and asks nobody. The bundle is what sigstore-go's own signing makes,
// and has been verified under the key before it is returned.
//
// ECDSA keys sign a SHA-256 digest (P-384: SHA-384), RSA keys SHA-256 with PKCS #1 v1.5, and Ed25519
// keys the bytes themselves. Sigstore's registry of algorithms has Ed25519ph for files as well, and
// [Root.Verify] takes it; cosign does not for keys, so that it is not what is made. A file that is signed
// with Ed25519 is read into memory, and is at most 256 MiB.
func Sign(ctx context.Context, key crypto.Signer, c Content) ([]byte, error) {
	k, err := newKeypair(key, c)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	raw, err := makeBundle(ctx, c, k, sign.BundleOptions{Context: ctx})
	if err != nil {
		return nil, err
	}
	root, err := PublicGood() // asked about nothing: the key is all that is needed
	if err != nil {
		return nil, err
	}
	if _, err := root.Verify(raw, c.Artifact, Signer{Key: key.Public()}); err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	return raw, nil
}

// makeBundle signs, and writes the bundle without the spaces that protojson adds at random.
func makeBundle(ctx context.Context, c Content, k *keypair, o sign.BundleOptions) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !c.Artifact.Known() {
		return nil, errors.New("sign: there is nothing to sign")
	}
	b, err := sign.Bundle(c.content(), k, o)
	if err != nil {
		return nil, fmt.Errorf("sign: %s", oneLine(err))
	}
	loose, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	var tight bytes.Buffer
	if err := json.Compact(&tight, loose); err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	if tight.Len() > MaxBundle {
		return nil, fmt.Errorf("the bundle is larger than %d MiB", MaxBundle>>20)
	}
	return tight.Bytes(), nil
}

func (c Content) content() sign.Content {
	if c.Statement != nil {
		return envelopeContent(c.Statement)
	}
	return fileContent{}
}

// fileContent is a file of which the keypair knows the digest already.
type fileContent struct{}

func (fileContent) PreAuthEncoding() []byte { return nil }

func (fileContent) Bundle(b *protobundle.Bundle, signature, digest []byte, h protocommon.HashAlgorithm) {
	b.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: h, Digest: digest}, Signature: signature}}
}

type envelopeContent []byte

func (c envelopeContent) PreAuthEncoding() []byte { return dsse.PAE(inTotoPayload, c) }

func (c envelopeContent) Bundle(b *protobundle.Bundle, signature, _ []byte, _ protocommon.HashAlgorithm) {
	b.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		Payload: c, PayloadType: inTotoPayload, Signatures: []*protodsse.Signature{{Sig: signature}}}}
}

// A keypair is what sigstore-go signs with: a key and the digest of the file, if one is signed.
type keypair struct {
	key       crypto.Signer
	spki      []byte
	algorithm protocommon.PublicKeyDetails
	hash      protocommon.HashAlgorithm
	digest    []byte // of the file; nil for a statement
	whole     []byte // the file, for keys that sign no digest
	options   crypto.SignerOpts
}

func newKeypair(key crypto.Signer, c Content) (*keypair, error) {
	if err := keyalg.Check(key.Public()); err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	k := &keypair{key: key, spki: spki, hash: protocommon.HashAlgorithm_SHA2_256, options: crypto.SHA256}
	name := "sha256"
	switch pub := key.Public().(type) {
	case ed25519.PublicKey:
		k.algorithm, k.options = protocommon.PublicKeyDetails_PKIX_ED25519, crypto.Hash(0)
		if c.Statement == nil {
			if k.whole, err = c.Artifact.whole(); err != nil {
				return nil, err
			}
		}
	case *ecdsa.PublicKey:
		k.algorithm = protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
		switch pub.Curve {
		case elliptic.P256():
		case elliptic.P384():
			name, k.hash, k.options = "sha384", protocommon.HashAlgorithm_SHA2_384, crypto.SHA384
			k.algorithm = protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384
		default:
			return nil, errors.New("the key is on a curve other than P-256 and P-384")
		}
	case *rsa.PublicKey:
		details := map[int]protocommon.PublicKeyDetails{2048: protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256,
			3072: protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256, 4096: protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256}
		if k.algorithm = details[pub.N.BitLen()]; k.algorithm == protocommon.PublicKeyDetails_PUBLIC_KEY_DETAILS_UNSPECIFIED {
			return nil, errors.New("the RSA key is not of 2048, 3072 or 4096 bits")
		}
	default:
		return nil, keyalg.ErrRefused
	}
	if c.Statement == nil {
		if k.digest = c.Artifact.sums[name]; k.digest == nil {
			return nil, fmt.Errorf("this key signs a %s digest, and that of the artifact is not known", name)
		}
	}
	return k, nil
}

func (k *keypair) GetHashAlgorithm() protocommon.HashAlgorithm       { return k.hash }
func (k *keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails { return k.algorithm }
func (k *keypair) GetPublicKey() crypto.PublicKey                    { return k.key.Public() }

func (k *keypair) GetHint() []byte {
	sum := sha256.Sum256(k.spki)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

func (k *keypair) GetKeyAlgorithm() string {
	switch k.key.Public().(type) {
	case *ecdsa.PublicKey:
		return "ECDSA"
	case *rsa.PublicKey:
		return "RSA"
	}
	return "ED25519"
}

func (k *keypair) GetPublicKeyPem() (string, error) {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.spki})), nil
}

// SignData signs data, or the digest of the file that the keypair was made for if data is empty, and
// returns the signature and the digest that it is over.
func (k *keypair) SignData(ctx context.Context, data []byte) (signature, digest []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	h := map[protocommon.HashAlgorithm]crypto.Hash{protocommon.HashAlgorithm_SHA2_256: crypto.SHA256,
		protocommon.HashAlgorithm_SHA2_384: crypto.SHA384, protocommon.HashAlgorithm_SHA2_512: crypto.SHA512}[k.hash].New()
	message := data
	switch {
	case data == nil && k.whole != nil:
		digest, message = k.digest, k.whole
	case data == nil && k.digest != nil:
		digest, message = k.digest, k.digest
	default:
		h.Write(data)
		digest = h.Sum(nil)
		if k.options != crypto.SignerOpts(crypto.Hash(0)) {
			message = digest
		}
	}
	signature, err = k.key.Sign(rand.Reader, message, k.options)
	return signature, digest, err
}
