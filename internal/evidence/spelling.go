package evidence

import (
	"bytes"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
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
func checkSpelling(raw []byte, p parsed, hint string, st sallyport.Statement) error {
	if p.cert || st.PredicateType != predicate.ApprovalType && st.PredicateType != predicate.ExceptionType || negative(st) {
		return nil
	}
	want, err := encodeBundle(dsse.Envelope{
		PayloadType: p.envelope.PayloadType, Payload: p.envelope.Payload, Signature: p.envelope.Signature,
	}, hint)
	if err != nil {
		return err
	}
	if !bytes.Equal(raw, want) {
		return fmt.Errorf("%w: it is spelt in another way than it was written, and could be a revoked word that is not to be known again", ErrBundle)
	}
	return nil
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
	}
	return false
}
