package sigstore

import (
	"crypto/x509"
	"errors"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// An entity is a bundle whose parts have been parsed once. sigstore-go's bundle parses its log entries,
// its certificate and its envelope anew each time that it is asked, which it is two to four times; what
// it says of them is kept here. It is safe for concurrent use, as what it hands out is not changed,
// but for certificates, of which everybody gets one of their own.
type entity struct {
	*bundle.Bundle
	entries   []*tlog.Entry
	cert      *x509.Certificate // or nil
	signature verify.SignatureContent
}

// newEntity validates a bundle as sigstore-go does. The log entries are left out of what it looks at,
// since it would parse them only to ask whether they have a promise or a proof; that is asked here.
func newEntity(pb *protobundle.Bundle) (*entity, error) {
	without := &protobundle.Bundle{MediaType: pb.GetMediaType(), Content: pb.GetContent()}
	if m := pb.GetVerificationMaterial(); m != nil {
		without.VerificationMaterial = &protobundle.VerificationMaterial{Content: m.GetContent(), TimestampVerificationData: m.GetTimestampVerificationData()}
	}
	b, err := bundle.NewBundle(without)
	if err != nil {
		return nil, err
	}
	b.Bundle = pb
	e := &entity{Bundle: b}
	if e.entries, err = b.TlogEntries(); err != nil {
		return nil, err
	}
	version, err := b.Version()
	switch {
	case err != nil:
		return nil, err
	case len(e.entries) == 0:
	case version == "v0.1" && !b.HasInclusionPromise():
		return nil, errors.New("its log entries have no promise, which bundles of version 0.1 need")
	case version != "v0.1" && !b.HasInclusionProof():
		return nil, errors.New("its log entries have no proof, which bundles since version 0.2 need")
	}
	content, err := b.VerificationContent()
	if err != nil {
		return nil, err
	}
	e.cert = content.Certificate()
	if e.signature, err = b.SignatureContent(); err != nil {
		return nil, err
	}
	return e, nil
}

// TlogEntries are those of the bundle.
func (e *entity) TlogEntries() ([]*tlog.Entry, error) { return e.entries, nil }

// SignatureContent is the signature and what it is over.
func (e *entity) SignatureContent() (verify.SignatureContent, error) { return e.signature, nil }

// VerificationContent is the certificate or the name of a key. The certificate is the caller's: sigstore-go
// strikes from its list of extensions those that it has handled.
func (e *entity) VerificationContent() (verify.VerificationContent, error) {
	if e.cert == nil {
		return e.Bundle.VerificationContent()
	}
	own := *e.cert
	return bundle.NewCertificate(&own), nil
}
