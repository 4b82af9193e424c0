package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sev "github.com/google/go-sev-guest/abi"
	test "github.com/google/go-sev-guest/testing"
	"github.com/google/go-sev-guest/verify/trust"
	"github.com/google/go-tdx-guest/abi"
	pb "github.com/google/go-tdx-guest/proto/tdx"

	"github.com/sallyport-dev/sallyport/internal/key/quote"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyData is the report data of a key that nobody has.
func keyData(t testing.TB) []byte {
	t.Helper()
	d, err := quote.ReportData(ed25519.PublicKey(make([]byte, 32)))
	if err != nil || len(d) != 64 {
		t.Fatal(err)
	}
	return d
}

// sevSample is a request that accepts the published report.
func sevSample(t testing.TB) quote.Request {
	t.Helper()
	report := sample(t, "sev-snp.report")
	return quote.Request{Version: 1, Kind: quote.SEVSNP, Quote: report, Certificate: sample(t, "sev-snp.vcek"), ReportData: report[0x50:0x90],
		At: time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC), Policy: quote.Policy{Version: 1, SEVSNP: &quote.SEVRules{
			Measurements: []string{hex.EncodeToString(report[0x90:0xc0])}, MinimumTCB: &quote.TCB{Bootloader: 2, SNP: 5, Microcode: 68}}}}
}

// The published report of an SEV-SNP machine has a good signature, and its machine may be debugged: that
// alone keeps it out, and only it says so. What differs from it is refused before.
func TestSEV(t *testing.T) {
	if a := verifySEV(sevSample(t), nil); a.Code != quote.Debug {
		t.Fatalf("%+v", a)
	}
	genoa, err := trust.GetDefaultRootCerts("Genoa")
	if err != nil {
		t.Fatal(err)
	}
	flip := func(r *quote.Request, at int) {
		r.Quote = bytes.Clone(r.Quote)
		r.Quote[at] ^= 1
	}
	for name, tt := range map[string]struct {
		edit  func(*quote.Request)
		roots map[string][]*trust.AMDRootCerts
		want  string
	}{
		"another key":                  {func(r *quote.Request) { r.ReportData = keyData(t) }, nil, quote.ReportDatum},
		"another root":                 {nil, map[string][]*trust.AMDRootCerts{"Milan": {genoa}}, quote.Certificate},
		"before its certificate":       {func(r *quote.Request) { r.At = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC) }, nil, quote.Certificate},
		"after its certificate":        {func(r *quote.Request) { r.At = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC) }, nil, quote.Certificate},
		"no certificate":               {func(r *quote.Request) { r.Certificate = nil }, nil, quote.Certificate},
		"a broken certificate":         {func(r *quote.Request) { r.Certificate = []byte("x") }, nil, quote.Certificate},
		"one bit of its report data":   {func(r *quote.Request) { flip(r, 0x50); r.ReportData = r.Quote[0x50:0x90] }, nil, quote.Signature},
		"one bit of its measurement":   {func(r *quote.Request) { flip(r, 0x90) }, nil, quote.Signature},
		"the debug bit taken away":     {func(r *quote.Request) { flip(r, 0x8+2); r.Quote[0x8+2] = 3 }, nil, quote.Signature},
		"one bit of its signature":     {func(r *quote.Request) { flip(r, 0x2a0) }, nil, quote.Signature},
		"cut short":                    {func(r *quote.Request) { r.Quote = r.Quote[:1183] }, nil, quote.Malformed},
		"cut to nothing":               {func(r *quote.Request) { r.Quote = r.Quote[:1] }, nil, quote.Malformed},
		"more behind it":               {func(r *quote.Request) { r.Quote = append(bytes.Clone(r.Quote), 1, 2, 3) }, nil, quote.Malformed},
		"the quote of another machine": {func(r *quote.Request) { r.Quote = sample(t, "tdx.quote") }, nil, quote.Malformed},
	} {
		r := sevSample(t)
		if tt.edit != nil {
			tt.edit(&r)
		}
		if a := verifySEV(r, tt.roots); a.Error == "" || a.Code != tt.want || a.Measurement != "" {
			t.Errorf("%s: %+v, want %s", name, a, tt.want)
		}
	}
}

// Under a root of our own, a machine's report about a run's key: good, and everything that keeps one out
// whose signature is good.
func TestSEVOfAKey(t *testing.T) {
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	s, err := test.DefaultTestOnlyCertChain("Milan-B1", at.Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	roots := map[string][]*trust.AMDRootCerts{"Milan": {{ProductLine: "Milan", ProductCerts: &trust.ProductCerts{Ask: s.Ask, Ark: s.Ark, Asvk: s.Asvk}}}}
	plain := sev.SnpPolicy{SMT: true}
	for name, tt := range map[string]struct {
		policy sev.SnpPolicy
		roots  map[string][]*trust.AMDRootCerts
		edit   func(*quote.Request)
		want   string
	}{
		"good":                       {plain, roots, nil, ""},
		"debugged":                   {sev.SnpPolicy{SMT: true, Debug: true}, roots, nil, quote.Debug},
		"moved":                      {sev.SnpPolicy{SMT: true, MigrateMA: true}, roots, nil, quote.Unwanted},
		"under the maker's root":     {plain, nil, nil, quote.Certificate},
		"another key":                {plain, roots, func(r *quote.Request) { r.ReportData = make([]byte, 64) }, quote.ReportDatum},
		"older firmware than asked":  {plain, roots, func(r *quote.Request) { r.Policy.SEVSNP.MinimumTCB.Microcode = 1 }, quote.Firmware},
		"an older loader than asked": {plain, roots, func(r *quote.Request) { r.Policy.SEVSNP.MinimumTCB.Bootloader = 1 }, quote.Firmware},
		"other code":                 {plain, roots, func(r *quote.Request) { r.Policy.SEVSNP.Measurements[0] = strings.Repeat("11", 48) }, quote.Measurement},
		"an older guest":             {plain, roots, func(r *quote.Request) { r.Policy.SEVSNP.MinimumGuestSVN = 7 }, quote.Unwanted},
		"another privilege level":    {plain, roots, func(r *quote.Request) { r.Policy.SEVSNP.VMPL = 2 }, quote.Unwanted},
		"its certificate is over":    {plain, roots, func(r *quote.Request) { r.At = at.AddDate(60, 0, 0) }, quote.Certificate},
	} {
		raw := test.CreateRawReport(&test.TestReportOptions{ReportData: keyData(t)})
		report := raw[:sev.ReportSize]
		binary.LittleEndian.PutUint64(report[8:], sev.SnpPolicyToBytes(tt.policy))
		r, sig, err := s.Sign(sev.SignedComponent(report))
		if err != nil {
			t.Fatal(err)
		}
		if err := sev.SetSignature(r, sig, report); err != nil {
			t.Fatal(err)
		}
		req := quote.Request{Version: 1, Kind: quote.SEVSNP, Quote: report, Certificate: s.Vcek.Raw, ReportData: keyData(t), At: at,
			Policy: quote.Policy{Version: 1, SEVSNP: &quote.SEVRules{Measurements: []string{strings.Repeat("00", 48)}, MinimumTCB: &quote.TCB{}}}}
		if tt.edit != nil {
			tt.edit(&req)
		}
		if a := verifySEV(req, tt.roots); a.Code != tt.want || (a.Error == "") != (tt.want == "") {
			t.Errorf("%s: %+v, want %q", name, a, tt.want)
		}
	}
}

func tdxSample(t testing.TB) (quote.Request, *pb.QuoteV4) {
	t.Helper()
	raw := sample(t, "tdx.quote")
	parsed, err := abi.QuoteToProto(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := parsed.(*pb.QuoteV4)
	body := q.GetTdQuoteBody()
	return quote.Request{Version: 1, Kind: quote.TDX, Quote: raw, ReportData: bytes.Clone(body.GetReportData()), At: time.Date(2023, 7, 1, 1, 0, 0, 0, time.UTC),
		Policy: quote.Policy{Version: 1, TDX: &quote.TDXRules{Measurements: []string{hex.EncodeToString(body.GetMrTd())}, MinimumTCB: hex.EncodeToString(body.GetTeeTcbSvn())}}}, q
}

// The published quote of a TDX machine verifies, and nothing that differs from it does.
func TestTDX(t *testing.T) {
	r, q := tdxSample(t)
	if a := verifyTDX(r, nil); a.Error != "" || a.Kind != quote.TDX || a.Measurement != r.Policy.TDX.Measurements[0] {
		t.Fatalf("%+v", a)
	}
	minimum := bytes.Clone(q.GetTdQuoteBody().GetTeeTcbSvn())
	minimum[0]++
	flip := func(r *quote.Request, at int) {
		r.Quote = bytes.Clone(r.Quote)
		r.Quote[at] ^= 1
	}
	const body = 48 // bytes of the header
	for name, tt := range map[string]struct {
		edit  func(*quote.Request)
		roots *x509.CertPool
		want  string
	}{
		"another key":                  {func(r *quote.Request) { r.ReportData = keyData(t) }, nil, quote.ReportDatum},
		"older firmware than asked":    {func(r *quote.Request) { r.Policy.TDX.MinimumTCB = hex.EncodeToString(minimum) }, nil, quote.Firmware},
		"an older enclave than asked":  {func(r *quote.Request) { r.Policy.TDX.MinimumQESVN = 65535 }, nil, quote.Firmware},
		"other code":                   {func(r *quote.Request) { r.Policy.TDX.Measurements = []string{strings.Repeat("00", 48)} }, nil, quote.Measurement},
		"another run-time measurement": {func(r *quote.Request) { r.Policy.TDX.RTMRs = []string{strings.Repeat("11", 48)} }, nil, quote.Measurement},
		"another root":                 {nil, x509.NewCertPool(), quote.Certificate},
		"after its certificate":        {func(r *quote.Request) { r.At = time.Date(2053, 7, 1, 1, 0, 0, 0, time.UTC) }, nil, quote.Certificate},
		"before its certificate":       {func(r *quote.Request) { r.At = time.Date(2010, 7, 1, 1, 0, 0, 0, time.UTC) }, nil, quote.Certificate},
		"one bit of its debug flag":    {func(r *quote.Request) { flip(r, body+120) }, nil, quote.Signature},
		"one bit of its report data":   {func(r *quote.Request) { flip(r, body+520); r.ReportData = r.Quote[body+520 : body+584] }, nil, quote.Signature},
		"one bit of its signature":     {func(r *quote.Request) { flip(r, 636) }, nil, quote.Signature},
		"cut short":                    {func(r *quote.Request) { r.Quote = r.Quote[:len(r.Quote)/2] }, nil, quote.Malformed},
		"cut to the header":            {func(r *quote.Request) { r.Quote = r.Quote[:body] }, nil, quote.Malformed},
		"the report of another kind":   {func(r *quote.Request) { r.Quote = sample(t, "sev-snp.report") }, nil, quote.Malformed},
	} {
		r, _ := tdxSample(t)
		if tt.edit != nil {
			tt.edit(&r)
		}
		if a := verifyTDX(r, tt.roots); a.Error == "" || a.Code != tt.want || a.Measurement != "" {
			t.Errorf("%s: %+v, want %s", name, a, tt.want)
		}
	}
	// A quote with the debug flag cannot be signed here: what follows its verification is tried alone.
	q.GetTdQuoteBody().GetTdAttributes()[0] |= debugAttribute
	if a := checkTDX(r, q); a.Code != quote.Debug {
		t.Errorf("debugged: %+v", a)
	}
	// Nor can the report of another quoting enclave: the library verifies one of anybody's.
	for name, tt := range map[string]struct {
		edit func(*pb.EnclaveReport, *quote.TDXRules)
		want string
	}{
		"Intel's enclave":         {func(*pb.EnclaveReport, *quote.TDXRules) {}, ""},
		"anybody's enclave":       {func(e *pb.EnclaveReport, _ *quote.TDXRules) { e.MrSigner = bytes.Repeat([]byte{0xee}, 32) }, quote.Certificate},
		"another of Intel's":      {func(e *pb.EnclaveReport, _ *quote.TDXRules) { e.IsvProdId = 1 }, quote.Certificate},
		"a debugged enclave":      {func(e *pb.EnclaveReport, _ *quote.TDXRules) { e.Attributes[0] |= 2 }, quote.Debug},
		"no attributes":           {func(e *pb.EnclaveReport, _ *quote.TDXRules) { e.Attributes = nil }, quote.Malformed},
		"an enclave as old as it": {func(e *pb.EnclaveReport, p *quote.TDXRules) { p.MinimumQESVN = uint16(e.IsvSvn) }, ""},
		"an older enclave":        {func(e *pb.EnclaveReport, p *quote.TDXRules) { p.MinimumQESVN = uint16(e.IsvSvn) + 1 }, quote.Firmware},
	} {
		r, q := tdxSample(t)
		tt.edit(q.GetSignedData().GetCertificationData().GetQeReportCertificationData().GetQeReport(), r.Policy.TDX)
		if a := checkTDX(r, q); a.Code != tt.want || (a.Error == "") != (tt.want == "") {
			t.Errorf("%s: %+v, want %q", name, a, tt.want)
		}
	}
}

// The program reads one request and writes one answer, whatever comes.
func TestRun(t *testing.T) {
	one, _ := tdxSample(t)
	good, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := tdxSample(t)
	two.Kind = quote.SEVSNP
	other, err := json.Marshal(two)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		in     string
		status int
		code   string
	}{
		"good": {string(good), 0, ""}, "nothing": {"", 1, quote.Malformed}, "no JSON": {"x", 1, quote.Malformed}, "of no kind": {string(other), 1, quote.Unwanted},
		"twice": {string(good) + string(good), 1, quote.Malformed}, "too large": {strings.Repeat(" ", quote.MaxRequest+1), 1, quote.Malformed},
		"any code": {strings.Replace(string(good), two.Policy.TDX.Measurements[0], "", 1), 1, quote.Malformed},
	} {
		var out, errs bytes.Buffer
		status := run([]string{"sallyport-quote"}, strings.NewReader(tt.in), &out, &errs)
		a, err := quote.ParseAnswer(out.Bytes(), quote.TDX)
		if status != tt.status || a.Code != tt.code || (err == nil) != (status == 0) || errs.Len() != 0 {
			t.Errorf("%s: %d, %+v, %v, %s", name, status, a, err, errs.String())
		}
	}
	if status := run([]string{"sallyport-quote", "x"}, nil, new(bytes.Buffer), new(bytes.Buffer)); status != 64 {
		t.Errorf("with an argument: %d", status)
	}
}

// FuzzQuote: whatever bytes are put in a quote's place, none but the published one is accepted.
func FuzzQuote(f *testing.F) {
	f.Add(true, sample(f, "sev-snp.report"))
	f.Add(false, sample(f, "tdx.quote"))
	f.Add(true, []byte("x"))
	good, _ := tdxSample(f)
	f.Fuzz(func(t *testing.T, isSEV bool, b []byte) {
		r := good
		r.Quote = b
		if isSEV {
			r = sevSample(t)
			r.Quote = b
		}
		in, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		a := answer(bytes.NewReader(in))
		want := "tdx.quote"
		if isSEV {
			want = "sev-snp.report"
		}
		signed := sample(t, want)[:632] // of TDX, header and body; of SEV-SNP, 672 bytes
		if a.Error == "" && !bytes.HasPrefix(b, signed) {
			t.Errorf("accepted: %+v", a)
		}
		if strings.ContainsAny(a.Error, "\n\x1b") {
			t.Errorf("an error of several lines: %q", a.Error)
		}
	})
}
