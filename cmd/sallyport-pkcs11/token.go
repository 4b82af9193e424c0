//go:build cgo

package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ThalesGroup/crypto11"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

// answer writes an answer, or returns the error that is to be answered.
func answer(args []string, stdin io.Reader, stdout io.Writer) (err error) {
	request, err := handler.GetPluginArgs(args)
	if err != nil {
		return err
	}
	switch {
	case request.InitOptions == nil || request.MethodArgs == nil:
		return errors.New("the request names no key or no method")
	case request.InitOptions.ProtocolVersion != common.ProtocolVersion:
		return fmt.Errorf("the request is of version %.20q, this program speaks %s", request.InitOptions.ProtocolVersion, common.ProtocolVersion)
	case request.MethodName == common.PublicKeyMethodName && request.PublicKey != nil && request.PublicKey.PublicKeyOptions != nil,
		request.MethodName == common.SignMessageMethodName && request.SignMessage != nil && request.SignMessage.SignOptions != nil:
	default:
		return fmt.Errorf("the method %.50q is not offered", request.MethodName)
	}
	l, err := parseURI(request.InitOptions.KeyResourceID, os.Getenv)
	if err != nil {
		return err
	}
	session, err := crypto11.Configure(&crypto11.Config{Path: l.module, TokenLabel: l.token, SlotNumber: l.slot, Pin: l.pin})
	if err != nil {
		return fmt.Errorf("open the token: %w", err)
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	pairs, err := session.FindKeyPairs(l.id, l.label)
	switch {
	case err != nil:
		return fmt.Errorf("find the key: %w", err)
	case len(pairs) == 0:
		return errors.New("find the key: the token holds no such pair of a private and a public key")
	case len(pairs) > 1:
		return fmt.Errorf("find the key: the token holds %d keys of that name; add id=%%01… to name one", len(pairs))
	}
	_, err = handler.Dispatch(stdout, stdin, request, pair{pairs[0]})
	return err
}

// A pair is a key of a token, as the protocol's handler calls it.
type pair struct{ key crypto.Signer }

func (p pair) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return p.key.Public(), nil
}

// SignMessage signs a digest. There is no other way in: a token that hashes itself would have to
// be told how, and modules differ in that.
func (p pair) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	var digest []byte
	var so crypto.SignerOpts = crypto.SHA256
	for _, o := range opts {
		o.ApplyDigest(&digest)
		o.ApplyCryptoSignerOpts(&so)
	}
	if rest, err := io.Copy(io.Discard, message); err != nil || rest != 0 || len(digest) != so.HashFunc().Size() {
		return nil, errors.New("tokens sign digests here, and this is none: Ed25519 keys in tokens are not supported")
	}
	return p.key.Sign(rand.Reader, digest, so)
}

var errNotOffered = errors.New("not offered")

func (p pair) VerifySignature(io.Reader, io.Reader, ...signature.VerifyOption) error {
	return errNotOffered
}

func (p pair) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, errNotOffered
}

func (p pair) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errNotOffered
}
func (p pair) SupportedAlgorithms() []string { return nil }
func (p pair) DefaultAlgorithm() string      { return "" }
