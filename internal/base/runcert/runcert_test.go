package runcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

var (
	now  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	good = Binding{
		RunID: "run-1", Repository: "https://github.com/acme/service", Operator: "alice", Audience: "acme", Separation: predicate.SeparationUID,
		Principal: sallyport.Principal{Kind: sallyport.Workload, Name: "run supervisor <1>"},
	}
)

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ecKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Every kind of authority issues for both kinds of key, and what it issues says what was asked for.
func TestIssue(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	serials := map[string]bool{}
	for _, ca := range []crypto.Signer{edKey(t), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), rsaKey} {
		for _, key := range []crypto.Signer{edKey(t), ecKey(t, elliptic.P256())} {
			der, err := Issue(ca, key.Public(), good, now, DefaultValidity)
			if err != nil {
				t.Fatalf("%T for %T: %v", ca, key, err)
			}
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			b, err := Parse(c)
			if err != nil || b != good || !Is(c) {
				t.Errorf("%T for %T: %+v, %v", ca, key, b, err)
			}
			if err := CheckIssuer(c, ca.Public()); err != nil {
				t.Error(err)
			}
			if err := CheckIssuer(c, edKey(t).Public()); !errors.Is(err, ErrIssuer) {
				t.Errorf("under another authority: %v", err)
			}
			if c.NotAfter.Sub(c.NotBefore) != DefaultValidity || c.NotBefore.After(now) || c.NotAfter.Before(now.Add(DefaultValidity-2*time.Minute)) {
				t.Errorf("valid from %v to %v", c.NotBefore, c.NotAfter)
			}
			if s := c.SerialNumber.String(); serials[s] || c.SerialNumber.BitLen() < 64 {
				t.Errorf("serial number %s", s)
			} else {
				serials[s] = true
			}
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := edKey(t)
	for name, tt := range map[string]struct {
		edit     func(*Binding)
		pub      crypto.PublicKey
		validity time.Duration
		want     error
	}{
		"nothing":           {func(b *Binding) { *b = Binding{} }, nil, 0, ErrBinding},
		"no run":            {func(b *Binding) { b.RunID = "" }, nil, 0, ErrBinding},
		"no repository":     {func(b *Binding) { b.Repository = "" }, nil, 0, ErrBinding},
		"any repository":    {func(b *Binding) { b.Repository = "*" }, nil, 0, ErrBinding},
		"no principal":      {func(b *Binding) { b.Principal = sallyport.Principal{} }, nil, 0, ErrBinding},
		"a person":          {func(b *Binding) { b.Principal.Kind = sallyport.Person }, nil, 0, ErrBinding},
		"no separation":     {func(b *Binding) { b.Separation = "" }, nil, 0, ErrBinding},
		"two lines":         {func(b *Binding) { b.Operator = "a\nb" }, nil, 0, ErrBinding},
		"a long run id":     {func(b *Binding) { b.RunID = strings.Repeat("a", maxName+1) }, nil, 0, ErrBinding},
		"more than an hour": {nil, nil, MaxValidity + time.Second, ErrValidity},
		"no time at all":    {nil, nil, time.Second, ErrValidity},
		"P-384":             {nil, ecKey(t, elliptic.P384()).Public(), 0, ErrKey},
	} {
		b := good
		if tt.edit != nil {
			tt.edit(&b)
		}
		if tt.pub == nil {
			tt.pub = edKey(t).Public()
		}
		if tt.validity == 0 {
			tt.validity = DefaultValidity
		}
		if der, err := Issue(ca, tt.pub, b, now, tt.validity); !errors.Is(err, tt.want) || der != nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// made returns a certificate as Issue would make it, but for an edit.
func made(t testing.TB, ca crypto.Signer, pub crypto.PublicKey, edit func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	u, err := url.Parse(good.URI())
	if err != nil {
		t.Fatal(err)
	}
	ext, err := good.encode()
	if err != nil {
		t.Fatal(err)
	}
	aki, err := KeyID(ca.Public())
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(1), 100), NotBefore: now, NotAfter: now.Add(DefaultValidity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		URIs: []*url.URL{u}, ExtraExtensions: []pkix.Extension{{Id: OID(), Critical: true, Value: ext}},
	}
	if edit != nil {
		edit(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, &x509.Certificate{SubjectKeyId: aki}, pub, ca)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// An authority that signs another shape is not believed: each fault has its own message.
func TestParseRefuses(t *testing.T) {
	ca, key := edKey(t), edKey(t)
	if _, err := Parse(made(t, ca, key.Public(), nil)); err != nil {
		t.Fatalf("the twin without a fault: %v", err)
	}
	extension := func(value string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte(value) }
	}
	plain, err := good.encode()
	if err != nil {
		t.Fatal(err)
	}
	name := func(raw asn1.RawValue, more ...asn1.RawValue) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			value, err := asn1.Marshal(append([]asn1.RawValue{raw}, more...))
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = nil
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value})
		}
	}
	uri := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(good.URI())}
	for what, tt := range map[string]struct {
		edit func(*x509.Certificate)
		pub  crypto.PublicKey
		want error
	}{
		"unknown critical extension": {func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 999, 1}, Critical: true, Value: []byte("x")})
		}, nil, ErrCritical},
		"an authority": {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, nil, ErrAuthority},
		"may sign certificates": {func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign
		}, nil, ErrAuthority},
		"for servers":             {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, nil, ErrUsage},
		"for code and servers":    {func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }, nil, ErrUsage},
		"for anything":            {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, nil, ErrUsage},
		"for no use":              {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, nil, ErrUsage},
		"for encryption too":      {func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }, nil, ErrUsage},
		"two hours":               {func(c *x509.Certificate) { c.NotAfter = now.Add(2 * time.Hour) }, nil, ErrValidity},
		"ends before it begins":   {func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }, nil, ErrValidity},
		"another name":            {func(c *x509.Certificate) { c.URIs[0].Path += "x" }, nil, ErrName},
		"two names":               {func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} }, nil, ErrName},
		"an address too":          {func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }, nil, ErrName},
		"no name":                 {func(c *x509.Certificate) { c.URIs = nil; c.Subject = pkix.Name{CommonName: "x"} }, nil, ErrName},
		"a name of a hidden kind": {name(uri, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte("x")}), nil, ErrName},
		"bound to nothing":        {func(c *x509.Certificate) { c.ExtraExtensions = nil }, nil, ErrMalformed},
		"bound, not critical":     {func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = false }, nil, ErrMalformed},
		"no JSON":                 {extension("x"), nil, ErrMalformed},
		"another type":            {extension(strings.Replace(string(plain), "/v1", "/v2", 1)), nil, ErrMalformed},
		"another spelling":        {extension(strings.Replace(string(plain), `{`, `{ `, 1)), nil, ErrMalformed},
		"a field more":            {extension(strings.Replace(string(plain), `{`, `{"a":1,`, 1)), nil, ErrMalformed},
		"a field twice":           {extension(strings.Replace(string(plain), `"runId":"run-1"`, `"runId":"run-2","runId":"run-1"`, 1)), nil, ErrMalformed},
		"bound to a person":       {extension(strings.Replace(string(plain), `workload`, `person`, 1)), nil, ErrMalformed},
		"a serial number of 1":    {func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1) }, nil, ErrMalformed},
		"a P-384 key":             {nil, ecKey(t, elliptic.P384()).Public(), ErrKey},
	} {
		pub := tt.pub
		if pub == nil {
			pub = key.Public()
		}
		if b, err := Parse(made(t, ca, pub, tt.edit)); !errors.Is(err, tt.want) || b != (Binding{}) {
			t.Errorf("%s: %+v, %v, want %v", what, b, err, tt.want)
		}
	}
}

// A run's key speaks of its own run.
func TestCoversProvenance(t *testing.T) {
	body := func(id, uri string) string {
		return `{"buildDefinition":{"resolvedDependencies":[{"uri":"` + uri + `"}]},"runDetails":{"metadata":{"invocationId":"` + id + `"}}}`
	}
	const ours = "git+https://github.com/acme/service@refs/heads/main"
	for what, tt := range map[string]struct {
		body string
		ok   bool
	}{
		"good":               {body("run-1", ours), true},
		"without a ref":      {body("run-1", "git+https://github.com/acme/service@"), true},
		"another run":        {body("run-2", ours), false},
		"another repository": {body("run-1", "git+https://github.com/acme/service2@refs/heads/main"), false},
		"two at signs":       {body("run-1", "git+https://github.com/acme/service@x@refs/heads/main"), false},
		"no source":          {`{"runDetails":{"metadata":{"invocationId":"run-1"}}}`, false},
		"no JSON":            {"x", false},
	} {
		if err := good.Covers(provenanceType, []byte(tt.body)); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", what, err)
		}
	}
	started := func(buildType, kind, name string) []byte {
		return []byte(`{"buildDefinition":{"buildType":"` + buildType + `","internalParameters":{"initiator":{"kind":"` + kind + `","name":"` + name + `"}},
			"resolvedDependencies":[{"uri":"` + ours + `"}]},"runDetails":{"metadata":{"invocationId":"run-1"}}}`)
	}
	codex := good
	codex.Principal = sallyport.Principal{Kind: sallyport.Agent, Name: "codex"}
	job := good
	job.Principal = sallyport.Principal{Kind: sallyport.Workload, Name: "ci"}
	for _, tt := range []struct {
		what             string
		b                Binding
		build, kind, who string
		ok               bool
	}{
		{"the key's agent", codex, buildType, "agent", "codex", true},
		{"another agent", codex, buildType, "agent", "claude-code", false},
		{"an account", codex, buildType, "account", "alice", true},
		{"an agent in a job", job, buildType, "agent", "claude-code", true},
		{"another build type", codex, "https://example.com/build/v1", "agent", "claude-code", true},
	} {
		if err := tt.b.Covers(provenanceType, started(tt.build, tt.kind, tt.who)); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
	foreign := `{"buildDefinition":{"buildType":"https://example.com/build/v1","internalParameters":"x","resolvedDependencies":[{"uri":"` + ours + `"}]},"runDetails":{"metadata":{"invocationId":"run-1"}}}`
	if err := good.Covers(provenanceType, []byte(foreign)); err != nil {
		t.Errorf("parameters of another build type: %v", err)
	}
	if err := good.Covers(predicate.ApprovalType, []byte(`{"runId":"run-1"}`)); !errors.Is(err, ErrOther) {
		t.Errorf("an approval: %v", err)
	}
	agent := good
	agent.Principal, agent.Operator = sallyport.Principal{Kind: sallyport.Agent, Name: "codex"}, "alice"
	run := []byte(`{"runId":"run-1","agent":{"name":"claude-code"},"operator":"alice","repository":"https://github.com/acme/service","startedAt":"2026-05-01T11:00:00Z","endedAt":"2026-05-01T12:00:00Z",
		"supervisor":{"version":"1","separation":"uid"},"changes":{"hunks":[],"blobs":[],"commits":[]},"sealed":false,"records":0,"conclusion":"success"}`)
	if err := good.Covers(predicate.AgentRunType, run); err != nil {
		t.Error(err)
	}
	if err := agent.Covers(predicate.AgentRunType, run); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), "its principal is") {
		t.Errorf("another agent: %v", err)
	}
}

// FuzzParse: whatever parses is what Issue would have said.
func FuzzParse(f *testing.F) {
	ca, key := edKey(f), edKey(f)
	for _, edit := range []func(*x509.Certificate){nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, func(c *x509.Certificate) { c.URIs = nil }} {
		f.Add(made(f, ca, key.Public(), edit).Raw)
	}
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		b, err := Parse(c)
		if err != nil {
			if b != (Binding{}) {
				t.Errorf("with %v: %+v", err, b)
			}
			return
		}
		if b.Validate() != nil || len(c.URIs) != 1 || c.URIs[0].String() != b.URI() || c.IsCA || c.NotAfter.Sub(c.NotBefore) > MaxValidity {
			t.Errorf("%+v", b)
		}
	})
}
