package sshsig

import (
	"crypto/ecdsa"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// Spellings returns s as [Signer]s write it, and, of an ECDSA signature, the other one that verifies
// for the same message: whoever has (r, s) has (r, -s) too, without the key. Of other signatures
// there is no other.
func (s *Signature) Spellings() (own, other []byte) {
	sig := s.sig
	ck, ok := s.PublicKey.(ssh.CryptoPublicKey)
	if !ok {
		return encode(s.PublicKey, s.Namespace, s.Hash, &sig), nil
	}
	pub, ok := ck.CryptoPublicKey().(*ecdsa.PublicKey)
	if !ok {
		return encode(s.PublicKey, s.Namespace, s.Hash, &sig), nil
	}
	var rs struct{ R, S *big.Int }
	if err := ssh.Unmarshal(s.sig.Blob, &rs); err != nil {
		return nil, nil // it does not verify
	}
	sig.Blob = ssh.Marshal(rs)
	own = encode(s.PublicKey, s.Namespace, s.Hash, &sig)
	rs.S = new(big.Int).Sub(pub.Curve.Params().N, rs.S)
	sig.Blob = ssh.Marshal(rs)
	return own, encode(s.PublicKey, s.Namespace, s.Hash, &sig)
}
