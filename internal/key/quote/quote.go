// Package quote says what has to be in a confidential machine's quote for a run's key to count as kept
// in an enclave: an attestation report of AMD SEV-SNP, or a quote of Intel TDX.
//
// A machine asks its processor for a quote over 64 bytes of its choice. [ReportData] is what they have
// to be: a digest of the key, so that the quote is about this key and no other. Who verifies it asks a
// [Policy] which code may run there, at least which firmware, and never in debug mode.
//
// The verification itself is done by a helper program, sallyport-quote, with the libraries of Google;
// a [Request] is what it reads on standard input and an [Answer] what it writes. It opens no socket: the
// processor makers' root certificates are built in, the chip's certificate comes with the quote, and
// revocation lists and Intel's list of firmware states are not asked. What firmware is too old, the
// policy says.
package quote

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Kind is a kind of confidential machine.
type Kind string

// The kinds.
const (
	SEVSNP Kind = "sev-snp"
	TDX    Kind = "tdx"
)

// Limits of what is read.
const (
	MaxQuote  = 64 << 10
	MaxPolicy = 64 << 10
	maxCodes  = 256
)

// ErrPolicy says that a policy cannot be used.
var ErrPolicy = errors.New("the policy for quotes is not valid")

// Why a quote is refused. [Answer.Code] is one of them.
const (
	Malformed   = "quote-malformed"
	Certificate = "quote-certificate" // not of the processor's maker, or not valid then
	Signature   = "quote-signature"
	ReportDatum = "quote-report-data" // about another key
	Debug       = "quote-debug"
	Firmware    = "quote-firmware" // older than the policy asks for
	Measurement = "quote-measurement"
	Unwanted    = "quote-policy" // anything else that the policy does not allow
)

// ReportData returns the 64 bytes that a quote about a public key holds.
func ReportData(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	sum := sha512.Sum512(append([]byte("sallyport-run-key-v1\n"), der...))
	return sum[:], nil
}

// A Policy says which quotes are accepted. A kind that it has no section for is not.
type Policy struct {
	Version int       `yaml:"version" json:"version"`
	SEVSNP  *SEVRules `yaml:"sev_snp" json:"sev_snp,omitempty"`
	TDX     *TDXRules `yaml:"tdx" json:"tdx,omitempty"`
}

// SEVRules are for reports of AMD SEV-SNP.
type SEVRules struct {
	Measurements []string `yaml:"measurements" json:"measurements"` // of the code that was launched, 48 bytes in hex; at least one
	// MinimumTCB are the lowest patch levels of the chip's firmware. Without them a policy is refused.
	MinimumTCB      *TCB   `yaml:"minimum_tcb" json:"minimum_tcb"`
	MinimumGuestSVN uint32 `yaml:"minimum_guest_svn" json:"minimum_guest_svn"`
	VMPL            int    `yaml:"vmpl" json:"vmpl"` // privilege level of who asked for the report; 0 is the highest
}

// TCB are patch levels of AMD's firmware.
type TCB struct {
	Bootloader uint8 `yaml:"bootloader" json:"bootloader"`
	TEE        uint8 `yaml:"tee" json:"tee"`
	SNP        uint8 `yaml:"snp" json:"snp"`
	Microcode  uint8 `yaml:"microcode" json:"microcode"`
}

// TDXRules are for quotes of Intel TDX.
type TDXRules struct {
	Measurements  []string `yaml:"measurements" json:"measurements"` // MRTD, 48 bytes in hex; at least one
	RTMRs         []string `yaml:"rtmrs" json:"rtmrs"`               // the four run-time measurements, in order; without them they are not looked at
	MinimumTCB    string   `yaml:"minimum_tee_tcb_svn" json:"minimum_tee_tcb_svn"`
	MinimumQESVN  uint16   `yaml:"minimum_qe_svn" json:"minimum_qe_svn"`
	MinimumPCESVN uint16   `yaml:"minimum_pce_svn" json:"minimum_pce_svn"`
}

// ParsePolicy reads a policy. What would accept any code is refused.
func ParsePolicy(b []byte) (Policy, error) {
	var p Policy
	if err := strict.YAML(b, MaxPolicy, &p); err != nil {
		return Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return p, p.Validate()
}

// Validate checks the shape of p.
func (p Policy) Validate() error {
	if p.Version != 1 {
		return fmt.Errorf("%w: version is %d, this release reads version 1", ErrPolicy, p.Version)
	}
	if p.SEVSNP == nil && p.TDX == nil {
		return fmt.Errorf("%w: it has neither sev_snp nor tdx", ErrPolicy)
	}
	if s := p.SEVSNP; s != nil {
		if err := codes("sev_snp.measurements", s.Measurements); err != nil {
			return err
		}
		// Zero is a minimum that is met by everything: it is to be said, not left out.
		if s.MinimumTCB == nil {
			return fmt.Errorf("%w: sev_snp.minimum_tcb is missing: name the oldest firmware that is accepted (bootloader, tee, snp, microcode)", ErrPolicy)
		}
		if s.VMPL < 0 || s.VMPL > 3 {
			return fmt.Errorf("%w: sev_snp.vmpl is %d, want 0 to 3", ErrPolicy, s.VMPL)
		}
	}
	if t := p.TDX; t != nil {
		if err := codes("tdx.measurements", t.Measurements); err != nil {
			return err
		}
		if len(t.RTMRs) != 0 && len(t.RTMRs) != 4 {
			return fmt.Errorf("%w: tdx.rtmrs has %d entries, want all four or none", ErrPolicy, len(t.RTMRs))
		}
		for _, r := range t.RTMRs {
			if err := isHex("tdx.rtmrs", r, 48); err != nil {
				return err
			}
		}
		if err := isHex("tdx.minimum_tee_tcb_svn", t.MinimumTCB, 16); err != nil {
			return err
		}
	}
	return nil
}

func codes(field string, list []string) error {
	if len(list) == 0 || len(list) > maxCodes {
		return fmt.Errorf("%w: %s has %d entries, want 1 to %d: a quote of any code vouches for nothing", ErrPolicy, field, len(list), maxCodes)
	}
	for _, s := range list {
		if err := isHex(field, s, 48); err != nil {
			return err
		}
	}
	return nil
}

func isHex(field, s string, n int) error {
	if b, err := hex.DecodeString(s); err != nil || len(b) != n || hex.EncodeToString(b) != s {
		return fmt.Errorf("%w: %s: %.100q is not %d bytes in lower-case hex", ErrPolicy, field, s, n)
	}
	return nil
}

// A Request is one quote to verify.
type Request struct {
	Version     int       `json:"version"` // 1
	Kind        Kind      `json:"kind"`
	Quote       []byte    `json:"quote"`
	Certificate []byte    `json:"certificate,omitempty"` // of the chip, DER, where the quote does not hold it
	ReportData  []byte    `json:"report_data"`
	At          time.Time `json:"at"` // at which certificates have to be valid
	Policy      Policy    `json:"policy"`
}

// An Answer is what a verified quote says, or why it does not verify.
type Answer struct {
	Error       string `json:"error,omitempty"`
	Code        string `json:"code,omitempty"`
	Kind        Kind   `json:"kind,omitempty"`
	Measurement string `json:"measurement,omitempty"`
	Firmware    string `json:"firmware,omitempty"` // its patch levels
	Chip        string `json:"chip,omitempty"`     // its id; empty if the machine hides it
}

// MaxRequest bounds a request, and MaxAnswer an answer, in bytes.
const (
	MaxRequest = 256 << 10
	MaxAnswer  = 16 << 10
)

// ParseRequest reads a request.
func ParseRequest(b []byte) (Request, error) {
	var r Request
	if err := strict.JSON(b, MaxRequest, &r); err != nil {
		return Request{}, fmt.Errorf("read the request: %w", err)
	}
	switch {
	case r.Version != 1:
		return Request{}, fmt.Errorf("read the request: its version is %d, want 1", r.Version)
	case len(r.ReportData) != 64:
		return Request{}, fmt.Errorf("read the request: the report data has %d bytes, want 64", len(r.ReportData))
	case r.At.IsZero():
		return Request{}, errors.New("read the request: it names no time")
	case len(r.Quote) == 0 || len(r.Quote) > MaxQuote || len(r.Certificate) > MaxQuote:
		return Request{}, fmt.Errorf("read the request: the quote has %d bytes, want 1 to %d", len(r.Quote), MaxQuote)
	}
	return r, r.Policy.Validate()
}

// ParseAnswer reads an answer, the last line of what the helper wrote: what its libraries log stands
// before it. An answer with an error, or of another kind than was asked about, is an error.
func ParseAnswer(b []byte, asked Kind) (Answer, error) {
	var a Answer
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = b[bytes.LastIndexByte(b, '\n')+1:]
	if err := strict.JSON(b, MaxAnswer, &a); err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	switch {
	case a.Error != "":
		return a, fmt.Errorf("%w: %s: %s", ErrRefused, a.Code, a.Error)
	case a.Kind != asked || a.Measurement == "":
		return Answer{}, errors.New("read the answer: it says nothing about the quote")
	}
	return a, nil
}

// ErrRefused says that a quote does not verify, or is not what the policy asks for.
var ErrRefused = errors.New("the quote is refused")
