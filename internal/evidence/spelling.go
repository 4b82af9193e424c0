package evidence

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A person's word is taken back by the digest of its bundle, and nobody has signed that: whoever puts
// a blank in front of a revoked approval, or writes its JSON anew, has a bundle of another digest
// whose signature is as good. So an approval or an exception has one spelling, the one that
// [Sign], [SignSSH] and [SignOpenPGP] write, and any other is refused. What other programs sign is of
// other types, nobody takes it back by its digest, and it stays free in its spelling. So does what is
// signed with a certificate, which holds more than is written here: its spellings are told as
// one word by [sallyport.Evidence.Payload]. A word that takes something back
// is not asked either: believing it only shuts.
//
// An ECDSA signature can be turned into another one without the key. Neither is refused, since who
// signs cannot choose; twin is the digest of the bundle with the other.
func checkSpelling(raw []byte, p parsed, s signed, st sallyport.Statement) (twin sallyport.Digest, err error) {
	if p.cert || st.PredicateType != predicate.ApprovalType && st.PredicateType != predicate.ExceptionType || negative(st) {
		return "", nil
	}
	own, other, err := spellings(p, s)
	if err != nil {
		return "", err
	}
	want, err := encodeBundle(dsse.Envelope{
		PayloadType: p.envelope.PayloadType, Payload: p.envelope.Payload, Signature: own,
	}, s.hint)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(raw, want) {
		return "", fmt.Errorf("%w: it is spelt in another way than it was written, and could be a revoked word that is not to be known again", ErrBundle)
	}
	if other == nil {
		return "", nil
	}
	if want, err = encodeBundle(dsse.Envelope{PayloadType: p.envelope.PayloadType, Payload: p.envelope.Payload, Signature: other}, s.hint); err != nil {
		return "", err
	}
	return sallyport.SHA256(want), nil
}

// spellings returns the signature as it is written here, and the other that verifies as well, if
// there is one. An OpenPGP signature is taken as it is.
func spellings(p parsed, s signed) (own, other []byte, err error) {
	sig := p.envelope.Signature
	if p.isSSH() {
		parsed, err := sshsig.Parse(sig)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
		}
		own, other = parsed.Spellings()
		return own, other, nil
	}
	pub, ok := s.keys[0].Public.(*ecdsa.PublicKey)
	if !ok {
		return sig, nil, nil
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	if own, err = asn1.Marshal(rs); err != nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	rs.S = new(big.Int).Sub(pub.Curve.Params().N, rs.S)
	if other, err = asn1.Marshal(rs); err != nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrSignature, oneLine(err))
	}
	return own, other, nil
}

// negative reports whether a statement takes something back: a decline, or the revocation of an
// approval, a decline or an exception.
func negative(st sallyport.Statement) bool {
	switch st.PredicateType {
	case predicate.ApprovalType:
		p, err := predicate.DecodeApproval(st.Predicate)
		return err == nil && (p.Verdict == predicate.VerdictDecline || p.Verdict == predicate.VerdictRevoke)
	case predicate.ExceptionType:
		p, err := predicate.DecodeException(st.Predicate)
		return err == nil && p.Action == predicate.ExceptionRevoke
	case predicate.ModelType:
		p, err := predicate.DecodeModel(st.Predicate)
		return err == nil && p.Action == predicate.ModelRevoke
	}
	return false
}
