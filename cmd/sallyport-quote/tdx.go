package main

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	sev "github.com/google/go-sev-guest/abi"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-tdx-guest/abi"
	pb "github.com/google/go-tdx-guest/proto/tdx"
	"github.com/google/go-tdx-guest/validate"
	"github.com/google/go-tdx-guest/verify"

	"github.com/sallyport-dev/sallyport/internal/key/quote"
)

// debugAttribute is the bit of TD_ATTRIBUTES that lets the host read the machine's memory.
const debugAttribute = 1

// Intel's quoting enclave for TDX, as Intel's enclave identity TD_QE has it and the published quote shows:
// who signed it, and which of the signer's enclaves it is.
const (
	quotingSigner  = "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"
	quotingProduct = 2
)

// enclaveDebug is the bit of an enclave's attributes that lets the host read and change its memory.
const enclaveDebug = 2

// chipCertificate returns the certificate of the chip in a report of SEV-SNP, if it can be read.
func chipCertificate(att *spb.Attestation, key sev.ReportSigner) (*x509.Certificate, bool) {
	der := att.GetCertificateChain().GetVcekCert()
	if key == sev.VlekReportSigner {
		der = att.GetCertificateChain().GetVlekCert()
	}
	c, err := x509.ParseCertificate(der)
	return c, err == nil
}

// verifyTDX verifies a quote of TDX, version 4, which brings its certificates. roots are for tests; nil
// for Intel's.
func verifyTDX(r quote.Request, roots *x509.CertPool) quote.Answer {
	parsed, err := abi.QuoteToProto(r.Quote)
	if err != nil {
		return refuse(quote.Malformed, err.Error())
	}
	q, ok := parsed.(*pb.QuoteV4)
	if !ok {
		return refuse(quote.Malformed, "it is of a version other than 4")
	}
	if err := verify.TdxQuote(q, &verify.Options{Now: r.At, TrustedRoots: roots}); err != nil {
		code := quote.Signature
		if strings.Contains(err.Error(), "ertificate") || strings.Contains(err.Error(), "x509") {
			code = quote.Certificate
		}
		return refuse(code, err.Error())
	}
	return checkTDX(r, q)
}

// checkTDX holds a quote whose signature verified against the request.
func checkTDX(r quote.Request, q *pb.QuoteV4) quote.Answer {
	rules, body := r.Policy.TDX, q.GetTdQuoteBody()
	if !bytes.Equal(body.GetReportData(), r.ReportData) {
		return refuse(quote.ReportDatum, fmt.Sprintf("its report data %x is not the digest of the key", body.GetReportData()))
	}
	if len(body.GetTdAttributes()) != 8 {
		return refuse(quote.Malformed, "its attributes cannot be read")
	}
	if binary.LittleEndian.Uint64(body.GetTdAttributes())&debugAttribute != 0 {
		return refuse(quote.Debug, "its machine may be debugged: whoever runs it reads the key")
	}
	minimum, err := hex.DecodeString(rules.MinimumTCB)
	if err != nil || len(minimum) != len(body.GetTeeTcbSvn()) {
		return refuse(quote.Malformed, "the versions of its firmware cannot be read")
	}
	header, enclave := q.GetHeader(), q.GetSignedData().GetCertificationData().GetQeReportCertificationData().GetQeReport()
	if len(header.GetPceSvn()) != 2 || len(enclave.GetAttributes()) != 16 || enclave.GetIsvSvn() > 0xffff {
		return refuse(quote.Malformed, "its quoting enclave cannot be read")
	}
	// The library holds the enclave to Intel's only with collateral that is fetched. Without this anybody's
	// enclave on a genuine processor, which gets a report as well, could sign quotes.
	if hex.EncodeToString(enclave.GetMrSigner()) != quotingSigner || enclave.GetIsvProdId() != quotingProduct {
		return refuse(quote.Certificate, fmt.Sprintf("it is signed by an enclave that is not Intel's quoting enclave for TDX: signer %x, product %d", enclave.GetMrSigner(), enclave.GetIsvProdId()))
	}
	if enclave.GetAttributes()[0]&enclaveDebug != 0 {
		return refuse(quote.Debug, "its quoting enclave may be debugged: whoever runs it signs what he likes")
	}
	// The header's version is for information; the processor vouches for the report's.
	qe, pce := uint16(enclave.GetIsvSvn()), binary.LittleEndian.Uint16(header.GetPceSvn()) //nolint:gosec // bounded above
	levels := fmt.Sprintf("tee %x, qe %d, pce %d", body.GetTeeTcbSvn(), qe, pce)
	low := qe < rules.MinimumQESVN || pce < rules.MinimumPCESVN
	for i, svn := range body.GetTeeTcbSvn() {
		low = low || svn < minimum[i]
	}
	if low {
		return refuse(quote.Firmware, fmt.Sprintf("its firmware is at %s, and the policy asks for tee %s, qe %d, pce %d", levels, rules.MinimumTCB, rules.MinimumQESVN, rules.MinimumPCESVN))
	}
	measurement := hex.EncodeToString(body.GetMrTd())
	if !slices.Contains(rules.Measurements, measurement) {
		return refuse(quote.Measurement, "the policy does not know the code that it measured, "+measurement)
	}
	var rtmrs [][]byte
	for i, want := range rules.RTMRs {
		b, err := hex.DecodeString(want)
		if err != nil || i >= len(body.GetRtmrs()) || !bytes.Equal(b, body.GetRtmrs()[i]) {
			return refuse(quote.Measurement, fmt.Sprintf("its run-time measurement %d is not the policy's", i))
		}
		rtmrs = append(rtmrs, b)
	}
	if err := validate.TdxQuote(q, &validate.Options{
		HeaderOptions:      validate.HeaderOptions{MinimumPceSvn: rules.MinimumPCESVN},
		TdQuoteBodyOptions: validate.TdQuoteBodyOptions{MinimumTeeTcbSvn: minimum, MrTd: body.GetMrTd(), Rtmrs: rtmrs, ReportData: r.ReportData},
	}); err != nil {
		return refuse(quote.Unwanted, err.Error())
	}
	return quote.Answer{Kind: quote.TDX, Measurement: measurement, Firmware: levels}
}
