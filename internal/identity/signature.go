package identity

import (
	"errors"
	"strings"
	"time"

	sallyport "github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/openpgp"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
)

// checkSignature verifies the commit's signature. The owner is whose key made it, if it
// verifies, expired or not; whether it counts is what the check's state says.
func (id *Identifier) checkSignature(c *sallyport.Commit) (sallyport.SignatureCheck, owner) {
	check := sallyport.SignatureCheck{Kind: c.SignatureKind}
	switch c.SignatureKind {
	case "", "none":
		check.Kind, check.State = "none", sallyport.SignatureNone
		return check, owner{}
	case "ssh":
		return id.checkSSH(c)
	case "openpgp":
		return id.checkOpenPGP(c)
	case "x509":
		return id.checkX509(c)
	}
	check.State = sallyport.SignatureUnsupported
	check.Detail = "its " + printable(c.SignatureKind) + " signature is of a kind that cannot be verified here"
	return check, owner{}
}

func (id *Identifier) checkSSH(c *sallyport.Commit) (sallyport.SignatureCheck, owner) {
	check := sallyport.SignatureCheck{Kind: "ssh"}
	info, err := sshsig.Verify(c.Signature, c.Signed, "git")
	switch {
	case errors.Is(err, sshsig.ErrUnsupported):
		check.State, check.Detail = sallyport.SignatureUnsupported, printable(err.Error())
		return check, owner{}
	case err != nil:
		check.State, check.Detail = sallyport.SignatureBad, printable(err.Error())
		return check, owner{}
	}
	check.Key = info.Fingerprint
	o, ok := id.roster.ownerOf[info.Fingerprint]
	if !ok {
		check.State = sallyport.SignatureUnknownKey
		check.Detail = "signed with " + info.Fingerprint + ", a key that the roster does not hold"
		return check, owner{}
	}
	if o.kind == sallyport.Bot {
		return id.bot(check, o, "key"), o
	}
	grade := o.key.Grade(info.Touched, id.now)
	if grade == "" {
		check.State = sallyport.SignatureUnknownKey
		check.Detail = "signed with a key of " + o.id + " that counted until " + o.key.NotAfter.Format(time.DateOnly)
		return check, o
	}
	check.State, check.Person, check.Grade = sallyport.SignatureGood, o.id, grade
	if o.key.SK && grade == sallyport.Declared {
		var lacks []string
		if !info.Touched {
			lacks = append(lacks, "nobody touched it")
		}
		if o.key.EnrolledBy == "" {
			lacks = append(lacks, "no second person enrolled it")
		}
		check.Detail = "a security key, but " + strings.Join(lacks, " and ")
	}
	return check, o
}

// bot says what a signature proves that a bot's key or identity made.
func (id *Identifier) bot(check sallyport.SignatureCheck, o owner, what string) sallyport.SignatureCheck {
	if b := id.roster.bot(o.id); b == nil || id.now.After(b.expires) {
		check.State = sallyport.SignatureUnknownKey
		check.Detail = "signed with a " + what + " of bot " + o.id + ", which has expired"
		return check
	}
	check.State, check.Grade, check.Detail = sallyport.SignatureGood, sallyport.Declared, what+" of bot "+o.id
	return check
}

// checkOpenPGP verifies the signature under the certificates of the roster. It proves at most a
// declaration: a key on a card and one in a file sign the same bytes.
func (id *Identifier) checkOpenPGP(c *sallyport.Commit) (sallyport.SignatureCheck, owner) {
	check := sallyport.SignatureCheck{Kind: "openpgp"}
	info, err := id.roster.certs.Verify(c.Signature, c.Signed, id.now)
	var o owner
	if info.Fingerprint != "" {
		check.Key = openPGPName(info.Fingerprint)
		o = id.roster.certOf[info.Fingerprint]
	}
	if err != nil {
		check.State, check.Detail = openPGPState(err), printable(err.Error())
		return check, o
	}
	switch {
	case o.id == "":
		check.State, check.Detail = sallyport.SignatureUnknownKey, "signed with a key that the roster does not hold"
		return check, owner{}
	case o.key.Expired(id.now):
		check.State = sallyport.SignatureExpired
		check.Detail = "signed with a key of " + o.id + " that counted until " + o.key.NotAfter.Format(time.DateOnly)
		return check, o
	}
	check.State, check.Person, check.Grade = sallyport.SignatureGood, o.id, sallyport.Declared
	return check, o
}

// openPGPState is the state of a signature that does not verify. What says that it is somebody's
// and is not theirs is bad; what cannot be judged, or is too weak to be, is not verified.
func openPGPState(err error) string {
	switch {
	case errors.Is(err, openpgp.ErrRevoked):
		return sallyport.SignatureRevoked
	case errors.Is(err, openpgp.ErrExpired), errors.Is(err, openpgp.ErrNotYet):
		return sallyport.SignatureExpired
	case errors.Is(err, openpgp.ErrUnknownKey), errors.Is(err, openpgp.ErrMayNotSign), errors.Is(err, openpgp.ErrUnbound):
		return sallyport.SignatureUnknownKey
	case errors.Is(err, openpgp.ErrUnsupported), errors.Is(err, openpgp.ErrWeak):
		return sallyport.SignatureUnsupported
	}
	return sallyport.SignatureBad
}

// An X509Info is what a verified X.509 signature says about who made it.
type X509Info struct {
	Issuer  string // of the token by which the certificate authority knew the subject
	Subject string // the certificate's subject alternative name
}

// Errors of an X509Verifier that are told apart. Every other error means that the signature is
// bad.
var (
	ErrX509NotVerified = errors.New("the X.509 signature cannot be verified here") // nothing is known against it, nor for it
	ErrX509Untrusted   = errors.New("the certificate is of no trusted authority")
	ErrX509Expired     = errors.New("the certificate was not valid when it signed")
)

// An X509Verifier verifies a CMS signature over message: the mathematics, the certificate's chain to a
// configured root, and that it was made while the certificate was valid. The Info says whose it
// is only if the error is nil. It must be safe for concurrent use.
type X509Verifier func(sig, message []byte) (X509Info, error)

// checkX509 verifies the signature and asks the roster whose identity it is. Whoever can get a
// token of the identity can get a certificate, and an agent that runs as its operator often can, so
// the grade is declared.
func (id *Identifier) checkX509(c *sallyport.Commit) (sallyport.SignatureCheck, owner) {
	check := sallyport.SignatureCheck{Kind: "x509", State: sallyport.SignatureUnsupported}
	if id.X509 == nil {
		check.Detail = "its x509 signature cannot be verified: no certificate authority is configured"
		return check, owner{}
	}
	info, err := id.X509(c.Signature, c.Signed)
	switch {
	case err == nil:
	case errors.Is(err, ErrX509NotVerified):
		check.Detail = printable(err.Error())
		return check, owner{}
	case errors.Is(err, ErrX509Expired):
		check.State, check.Detail = sallyport.SignatureExpired, printable(err.Error())
		return check, owner{}
	case errors.Is(err, ErrX509Untrusted):
		check.State, check.Detail = sallyport.SignatureUnknownKey, printable(err.Error())
		return check, owner{}
	default:
		check.State, check.Detail = sallyport.SignatureBad, printable(err.Error())
		return check, owner{}
	}
	who := Subject(info)
	check.Key = printable(who.String())
	o, ok := id.roster.subjectOf[who]
	switch {
	case !ok || who.Issuer == "" || who.Subject == "":
		check.State = sallyport.SignatureUnknownKey
		check.Detail = "signed as " + check.Key + ", whom the roster does not know"
		return check, owner{}
	case o.kind == sallyport.Bot:
		return id.bot(check, o, "identity"), o
	}
	check.State, check.Person, check.Grade = sallyport.SignatureGood, o.id, sallyport.Declared
	return check, o
}
