package run

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/dsse"
	"github.com/sallyport-dev/sallyport/internal/base/runcert"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/predicate"
)

var binding = runcert.Binding{
	RunID: "run-1", Repository: "github.com/acme/app", Separation: predicate.SeparationNone,
	Principal: sallyport.Principal{Kind: sallyport.Workload, Name: "run-supervisor"},
}

// issued returns a key that a throw-away authority certified.
func issued(t testing.TB, validity time.Duration) *Issued {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i, err := Issue(ca, binding, time.Now(), validity)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// envelope is what a signer of a provenance of run is sent.
func envelope(run string) []byte {
	return dsse.PAE(dsse.InTotoPayload, []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"00"}}],"predicateType":"https://slsa.dev/provenance/v1",`+
		`"predicate":{"buildDefinition":{"resolvedDependencies":[{"uri":"git+https://github.com/acme/app@refs/heads/main"}]},"runDetails":{"metadata":{"invocationId":"`+run+`"}}}}`))
}

// refusals are what no run's key signs, in process or at a socket.
func refusals() map[string][]byte {
	return map[string][]byte{
		"another run":         envelope("run-2"),
		"no envelope":         []byte("hello"),
		"another type":        dsse.PAE("text/plain", []byte("{}")),
		"no statement":        dsse.PAE(dsse.InTotoPayload, []byte("x")),
		"two payloads":        append(envelope("run-1"), 'x'),
		"a key twice":         dsse.PAE(dsse.InTotoPayload, []byte(`{"predicateType":"a","predicateType":"b"}`)),
		"a type without runs": dsse.PAE(dsse.InTotoPayload, []byte(`{"predicateType":"https://example.com/x","predicate":{"runId":"run-1"}}`)),
		"a certificate":       []byte("0\x82\x01\x00"),
		"too much":            make([]byte, MaxMessage+1),
	}
}

// A run's key signs what is about its run, and nothing else; and nothing once it is over.
func TestIssued(t *testing.T) {
	i := issued(t, 0)
	if i.Certificate.NotAfter.Sub(i.Certificate.NotBefore) != runcert.DefaultValidity || i.Key.Local || i.Key.Label != "run" {
		t.Errorf("%+v", i.Key)
	}
	sig, err := i.Key.Sign(nil, envelope("run-1"), crypto.Hash(0))
	if err != nil || !ed25519.Verify(i.Key.Public().(ed25519.PublicKey), envelope("run-1"), sig) {
		t.Fatal(err)
	}
	for what, message := range refusals() {
		if sig, err := i.Key.Sign(nil, message, crypto.Hash(0)); !errors.Is(err, ErrRefused) || sig != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := i.Key.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, ErrRefused) {
		t.Errorf("a digest: %v", err)
	}
	if n := len(i.Signed()); n != 1 {
		t.Errorf("it counts %d statements", n)
	}
	i.Close()
	if _, err := i.Key.Sign(nil, envelope("run-1"), crypto.Hash(0)); !errors.Is(err, ErrOver) {
		t.Errorf("after its end: %v", err)
	}
}

// The certificate's end is the key's, and there is a most that it signs.
func TestIssuedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := issued(t, 2*time.Minute)
		time.Sleep(59 * time.Second)
		if _, err := i.Key.Sign(nil, envelope("run-1"), crypto.Hash(0)); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second) // the certificate began a minute before it was issued
		if _, err := i.Key.Sign(nil, envelope("run-1"), crypto.Hash(0)); !errors.Is(err, ErrOver) {
			t.Errorf("after the certificate's end: %v", err)
		}
	})
	i := issued(t, 0)
	for range MaxSignatures {
		if _, err := i.Key.Sign(nil, envelope("run-1"), crypto.Hash(0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := i.Key.Sign(nil, envelope("run-1"), crypto.Hash(0)); !errors.Is(err, ErrOver) {
		t.Errorf("one more than the limit: %v", err)
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := issued(t, 0).priv
	if _, err := Issue(ca, binding, time.Now(), 2*time.Hour); !errors.Is(err, runcert.ErrValidity) {
		t.Errorf("two hours: %v", err)
	}
	if _, err := Issue(ca, runcert.Binding{}, time.Now(), 0); !errors.Is(err, runcert.ErrBinding) {
		t.Errorf("bound to nothing: %v", err)
	}
}

func serve(t *testing.T, i *Issued) (*Server, string) {
	t.Helper()
	if !kernelTells {
		if _, err := i.Serve(t.Context(), ""); !errors.Is(err, ErrNoKernel) {
			t.Error(err)
		}
		t.Skip("this system does not tell who connects")
	}
	s, err := i.Serve(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, strings.TrimPrefix(s.Ref, "run:")
}

// Another process signs through the socket, and finds nothing on the disk but that.
func TestServe(t *testing.T) {
	i := issued(t, 0)
	s, path := serve(t, i)
	r, err := key.ParseRef(s.Ref)
	if err != nil || r.Kind != key.Run || r.Rest != path {
		t.Fatalf("%+v, %v", r, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("the folder holds %v, %v", list, err)
	}
	k, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if k.Hint() != i.Key.Hint() || string(k.Certificate()) != string(i.Certificate.Raw) {
		t.Errorf("another key was opened: %s", k.Hint())
	}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := k.Sign(nil, envelope("run-1"), crypto.Hash(0)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for what, message := range refusals() {
		if sig, err := k.Sign(nil, message, crypto.Hash(0)); !errors.Is(err, ErrRefused) || sig != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := len(i.Signed()); n != 40 {
		t.Errorf("it counts %d statements", n)
	}
	i.Close()
	if _, err := k.Sign(nil, envelope("run-1"), crypto.Hash(0)); err == nil || !strings.Contains(err.Error(), "it was ended") {
		t.Errorf("after the key's end: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); !errors.Is(err, ErrSocket) {
		t.Errorf("after the server's end: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// What answers at a socket in the key's place is not believed.
func TestOpenDistrusts(t *testing.T) {
	if !kernelTells {
		t.Skip("this system does not tell who connects")
	}
	i := issued(t, 0)
	other := issued(t, 0)
	encode := func(a answer) string {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	for name, reply := range map[string]string{
		"nothing":           "",
		"no JSON":           "hello\n",
		"no certificate":    "{}\n",
		"broken":            encode(answer{Certificate: []byte("x")}),
		"too long":          strings.Repeat("a", maxAnswer+2) + "\n",
		"control character": encode(answer{Error: "a\x1b[31m\nb"}),
	} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = readLine(c, maxLine)
				_, _ = c.Write([]byte(reply))
				c.Close()
			}
		}()
		k, err := Open(t.Context(), path)
		if err == nil || k != nil || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %v, %q", name, k, err)
		}
		l.Close()
	}
	// A signature of another key.
	_, path := serve(t, other)
	k := remote{t.Context(), path, i.Key.Public().(ed25519.PublicKey)}
	if sig, err := k.Sign(nil, envelope("run-1"), crypto.Hash(0)); !errors.Is(err, ErrSocket) || sig != nil {
		t.Errorf("another key's signature: %v", err)
	}
}

// FuzzAnswer: whatever comes, the key signs nothing that is not about its run.
func FuzzAnswer(f *testing.F) {
	for _, m := range append([][]byte{envelope("run-1"), nil}, envelope("run-2")) {
		b, err := json.Marshal(request{Version: 1, Message: m})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		i := issued(t, 0)
		a, err := i.answer(line)
		if err != nil || a.Signature == nil {
			return
		}
		var r request
		if json.Unmarshal(line, &r) != nil || i.Binding.Covers("https://slsa.dev/provenance/v1", predicateOf(r.Message)) != nil && i.Binding.Covers(predicate.AgentRunType, predicateOf(r.Message)) != nil {
			t.Errorf("signed %q", line)
		}
	})
}

func predicateOf(message []byte) []byte {
	payload, err := dsse.ParsePAE(message, dsse.InTotoPayload)
	if err != nil {
		return nil
	}
	var st sallyport.Statement
	_ = json.Unmarshal(payload, &st)
	return st.Predicate
}
