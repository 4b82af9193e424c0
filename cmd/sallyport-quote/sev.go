package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"

	"github.com/sallyport-dev/sallyport/internal/key/quote"
)

// offline is asked for what is missing, and has nothing.
type offline struct{}

func (offline) Get(string) ([]byte, error) { return nil, errors.New("nothing is fetched") }

// verifySEV verifies a report of SEV-SNP: 1184 bytes, with a table of certificates behind them or the
// chip's certificate beside. roots, by product line, are for tests; nil for AMD's.
func verifySEV(r quote.Request, roots map[string][]*trust.AMDRootCerts) quote.Answer {
	if len(r.Quote) < abi.ReportSize {
		return refuse(quote.Malformed, fmt.Sprintf("it has %d bytes, and a report has %d", len(r.Quote), abi.ReportSize))
	}
	att, err := abi.ReportCertsToProto(r.Quote)
	if err != nil {
		return refuse(quote.Malformed, err.Error())
	}
	info, err := abi.ParseSignerInfo(att.GetReport().GetSignerInfo())
	if err != nil {
		return refuse(quote.Malformed, err.Error())
	}
	if att.CertificateChain == nil {
		att.CertificateChain = &spb.CertificateChain{}
	}
	if len(r.Certificate) > 0 {
		if info.SigningKey == abi.VlekReportSigner {
			att.CertificateChain.VlekCert = r.Certificate
		} else {
			att.CertificateChain.VcekCert = r.Certificate
		}
	}
	err = verify.SnpAttestation(att, &verify.Options{DisableCertFetching: true, Getter: offline{}, Now: r.At, TrustedRoots: roots})
	if err != nil {
		// The certificate comes first, and the signature under it is the library's last step.
		code := quote.Certificate
		if cert, ok := chipCertificate(att, info.SigningKey); ok && verify.SnpProtoReportSignature(att.GetReport(), cert) != nil {
			code = quote.Signature
		}
		return refuse(code, err.Error())
	}
	return checkSEV(r, att, info.SigningKey)
}

// checkSEV holds a report whose signature verified against the request.
func checkSEV(r quote.Request, att *spb.Attestation, key abi.ReportSigner) quote.Answer {
	rules, report := r.Policy.SEVSNP, att.GetReport()
	if !bytes.Equal(report.GetReportData(), r.ReportData) {
		return refuse(quote.ReportDatum, fmt.Sprintf("its report data %x is not the digest of the key", report.GetReportData()))
	}
	policy, err := abi.ParseSnpPolicy(report.GetPolicy())
	if err != nil {
		return refuse(quote.Malformed, err.Error())
	}
	if policy.Debug {
		return refuse(quote.Debug, "its machine may be debugged: whoever runs it reads the key")
	}
	if policy.MigrateMA {
		return refuse(quote.Unwanted, "its machine may be migrated by an agent")
	}
	tcb := kds.DecomposeTCBVersion(kds.TCBVersion(report.GetReportedTcb()))
	levels := fmt.Sprintf("bootloader %d, tee %d, snp %d, microcode %d", tcb.BlSpl, tcb.TeeSpl, tcb.SnpSpl, tcb.UcodeSpl)
	if m := rules.MinimumTCB; tcb.BlSpl < m.Bootloader || tcb.TeeSpl < m.TEE || tcb.SnpSpl < m.SNP || tcb.UcodeSpl < m.Microcode {
		return refuse(quote.Firmware, fmt.Sprintf("its firmware is at %s, and the policy asks for bootloader %d, tee %d, snp %d, microcode %d",
			levels, m.Bootloader, m.TEE, m.SNP, m.Microcode))
	}
	measurement := hex.EncodeToString(report.GetMeasurement())
	if !slices.Contains(rules.Measurements, measurement) {
		return refuse(quote.Measurement, "the policy does not know the code that it measured, "+measurement)
	}
	// The library checks the rest: versions of committed and current firmware, the chip's id in its
	// certificate, the certificate's own patch levels.
	if err := validate.SnpAttestation(att, &validate.Options{
		GuestPolicy: policy, MinimumGuestSvn: rules.MinimumGuestSVN, ReportData: r.ReportData, VMPL: &rules.VMPL,
		MinimumTCB: kds.TCBParts{BlSpl: rules.MinimumTCB.Bootloader, TeeSpl: rules.MinimumTCB.TEE, SnpSpl: rules.MinimumTCB.SNP, UcodeSpl: rules.MinimumTCB.Microcode},
	}); err != nil {
		return refuse(quote.Unwanted, err.Error())
	}
	a := quote.Answer{Kind: quote.SEVSNP, Measurement: measurement, Firmware: levels}
	if key == abi.VcekReportSigner {
		a.Chip = hex.EncodeToString(report.GetChipId())
	}
	return a
}
