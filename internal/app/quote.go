package app

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/key/kms"
	"github.com/sallyport-dev/sallyport/internal/key/quote"
)

// quoteHelper is the program that verifies quotes.
const quoteHelper = "sallyport-quote"

// QuoteOptions say which quote to verify.
type QuoteOptions struct {
	Quote       string // file
	Kind        string // sev-snp or tdx
	Certificate string // file, DER or PEM: of the chip
	Key         string // file with the public key that the quote should be about
	Policy      string // file
	At          string // RFC 3339; empty: the present
}

// VerifiedQuote is what a quote that verified says.
type VerifiedQuote struct {
	Kind        quote.Kind       `json:"kind"`
	Quote       sallyport.Digest `json:"quote"`
	Key         sallyport.Digest `json:"key"`
	Measurement string           `json:"measurement"`
	Firmware    string           `json:"firmware"`
	Chip        string           `json:"chip"`
	At          time.Time        `json:"at"`
}

// VerifyQuote verifies offline that a confidential machine vouches for a key.
func (a *App) VerifyQuote(ctx context.Context, o QuoteOptions) (VerifiedQuote, error) {
	r := quote.Request{Version: 1, Kind: quote.Kind(o.Kind), At: a.now().UTC()}
	if r.Kind != quote.SEVSNP && r.Kind != quote.TDX {
		return VerifiedQuote{}, usagef("--kind is %q: want sev-snp or tdx", o.Kind)
	}
	if o.At != "" {
		at, err := time.Parse(time.RFC3339, o.At)
		if err != nil {
			return VerifiedQuote{}, usagef("--at: %q is no time such as 2026-01-31T12:00:00Z", o.At)
		}
		r.At = at.UTC()
	}
	var err error
	if r.Quote, err = readSmall(o.Quote); err != nil {
		return VerifiedQuote{}, fmt.Errorf("read the quote: %w", err)
	}
	if len(r.Quote) == 0 || len(r.Quote) > quote.MaxQuote {
		return VerifiedQuote{}, fmt.Errorf("%w: the quote has %d bytes, want 1 to %d", ErrRefused, len(r.Quote), quote.MaxQuote)
	}
	if o.Certificate != "" {
		if r.Certificate, err = readSmall(o.Certificate); err != nil {
			return VerifiedQuote{}, fmt.Errorf("read the chip's certificate: %w", err)
		}
		if block, _ := pem.Decode(r.Certificate); block != nil {
			r.Certificate = block.Bytes
		}
	}
	b, err := readSmall(o.Policy)
	if err != nil {
		return VerifiedQuote{}, fmt.Errorf("read the policy: %w", err)
	}
	if r.Policy, err = quote.ParsePolicy(b); err != nil {
		return VerifiedQuote{}, fmt.Errorf("%s: %w", o.Policy, err)
	}
	pub, der, err := publicKeyFile(o.Key)
	if err != nil {
		return VerifiedQuote{}, err
	}
	if r.ReportData, err = quote.ReportData(pub); err != nil {
		return VerifiedQuote{}, err
	}
	answer, err := a.askQuote(ctx, r)
	if err != nil {
		return VerifiedQuote{}, err
	}
	return VerifiedQuote{Kind: answer.Kind, Quote: sallyport.SHA256(r.Quote), Key: sallyport.SHA256(der), Measurement: answer.Measurement,
		Firmware: answer.Firmware, Chip: answer.Chip, At: r.At}, nil
}

// askQuote has the helper verify a quote.
func (a *App) askQuote(ctx context.Context, r quote.Request) (quote.Answer, error) {
	in, err := sallyport.EncodeJSON(r)
	if err != nil {
		return quote.Answer{}, err
	}
	out, err := kms.Helper{}.Run(ctx, quoteHelper, in, quote.MaxAnswer)
	if errors.Is(err, kms.ErrMissing) {
		return quote.Answer{}, withHint(err, "install sallyport with its helpers, or build them: make helpers (docs/keys.md)")
	}
	if err != nil {
		return quote.Answer{}, err
	}
	answer, err := quote.ParseAnswer(out, r.Kind)
	if errors.Is(err, quote.ErrRefused) {
		return quote.Answer{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return answer, err
}

// publicKeyFile reads a public key in PEM.
func publicKeyFile(name string) (crypto.PublicKey, []byte, error) {
	b, err := readSmall(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the public key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, nil, fmt.Errorf("read the public key: %s holds no PUBLIC KEY in PEM", name)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("read the public key: %s: it is broken", name)
	}
	return pub, block.Bytes, nil
}
