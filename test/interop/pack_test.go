package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/evidence/keylesstest"
	"github.com/sallyport-dev/sallyport/internal/evidence/pack"
	"github.com/sallyport-dev/sallyport/internal/tlog"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// A pack proves by when its decision was made, by a timestamp authority's word or a witness's; without either
// it says that nothing proves it.
func TestPackWhen(t *testing.T) {
	authority, stranger := keylesstest.New(t, time.Now()), keylesstest.New(t, time.Now())
	tsa, other := timestampServer(t, authority), timestampServer(t, stranger)
	s := scene.New(t, scene.Options{Files: map[string]string{".sallyport/trusted_root.json": string(authority.TrustedRoot())}})
	s.Git("switch", "-q", "-c", "agent")
	s.Write("deploy/prod.yaml", strings.Replace(s.Read("deploy/prod.yaml"), "replicas: 2", "replicas: 3", 1))
	s.AgentCommit("Scale up")
	r := s.Sallyport("check", "merge", "--repo", s.Repo, "--target", "main", "--root", string(s.Pin), "--json")
	var checked struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &checked); err != nil || checked.ID == "" {
		t.Fatal(r)
	}
	export := func(name string, more ...string) (string, scene.Result) {
		file := filepath.Join(s.Dir, name)
		return file, s.Sallyport(append([]string{"evidence", "export", checked.ID, "--to", file, "--repo", s.Repo, "--root", string(s.Pin), "--target", "main"}, more...)...)
	}
	verify := func(file string, status int, says string, more ...string) {
		t.Helper()
		r := s.Sallyport(append([]string{"evidence", "verify-pack", file, "--root", string(s.Pin), "--advice"}, more...)...)
		if r.Status != status || !strings.Contains(r.Stdout+r.Stderr, says) {
			t.Errorf("%s: want %d, saying %q: %v", filepath.Base(file), status, says, r)
		}
	}
	plain, r := export("plain.tar")
	if r.Status != 0 {
		t.Fatal(r)
	}
	verify(plain, 0, "when      not proven: the time is the decision's own word")
	stamped, r := export("stamped.tar", "--timestamp-server-url", tsa.URL)
	if r.Status != 0 {
		t.Fatal(r)
	}
	verify(stamped, 0, "by the timestamp authority https://tsa.local")
	if file, r := export("foreign.tar", "--timestamp-server-url", other.URL); r.Status != 1 || !strings.Contains(r.Stderr, "not of an authority of the trusted root") {
		t.Errorf("another authority: %v", r)
	} else if _, err := os.Stat(file); err == nil {
		t.Error("a pack was written whose timestamp does not verify")
	}

	// Somebody's timestamp of something else, none where one is named, and one where none is.
	edit := func(from, name string, f func(map[string][]byte)) string {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		files, err := pack.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		f(files)
		if b, err = pack.Write(files); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(s.Dir, name)
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return to
	}
	reindex := func(files map[string][]byte, member, field string) {
		t.Helper()
		old := between(string(files["pack.json"]), `"`+field+`":"`, `"`)
		files["pack.json"] = bytes.Replace(files["pack.json"], []byte(old), []byte(sallyport.SHA256(files[member])), 1)
	}
	verify(edit(stamped, "moved.tar", func(f map[string][]byte) {
		f["log/checkpoint.tsr"] = authority.Stamp([]byte("something else"), time.Now())
		reindex(f, "log/checkpoint.tsr", "timestamp")
	}), 2, "about something else")
	verify(edit(stamped, "early.tar", func(f map[string][]byte) {
		p, err := tlog.ParseProof(f["log/proof.json"])
		if err != nil {
			t.Fatal(err)
		}
		f["log/checkpoint.tsr"] = authority.Stamp([]byte(p.Checkpoint), time.Now().Add(-time.Hour))
		reindex(f, "log/checkpoint.tsr", "timestamp")
	}), 2, "the decision says that it was made at")
	verify(edit(stamped, "without.tar", func(f map[string][]byte) { delete(f, "log/checkpoint.tsr") }), 2, "log/checkpoint.tsr is not the one")
	verify(edit(plain, "with.tar", func(f map[string][]byte) { f["log/checkpoint.tsr"] = []byte("x") }), 2, "log/checkpoint.tsr is not the one")

	// A witness cosigns the checkpoint.
	witness, key := newWitness(t)
	cosigned := edit(plain, "cosigned.tar", func(f map[string][]byte) {
		p, err := tlog.ParseProof(f["log/proof.json"])
		if err != nil {
			t.Fatal(err)
		}
		p.Checkpoint += witness(p.Checkpoint, time.Now())
		if f["log/proof.json"], err = p.Encode(); err != nil {
			t.Fatal(err)
		}
		reindex(f, "log/proof.json", "proof")
	})
	verify(cosigned, 0, "by the witness witness.example", "--witness", key)
	verify(cosigned, 0, "not proven")
	_, stranger2 := newWitness(t)
	verify(cosigned, 2, "carries no time", "--witness", stranger2)
	verify(plain, 2, "export the pack anew after the witness has cosigned", "--witness", key)

	// What is no pack says where to go.
	verify(filepath.Join(s.Repo, "deploy", "prod.yaml"), 2, "sallyport verify FILE --bundle BUNDLE")
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// newWitness returns what cosigns checkpoints, written here anew from C2SP tlog-cosignature, and its key.
func newWitness(t *testing.T) (func(checkpoint string, at time.Time) string, string) {
	t.Helper()
	public, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const name = "witness.example"
	sum := sallyport.SHA256(append([]byte(name+"\n\x04"), public...)).Hex()[:8]
	var hash [4]byte
	if _, err := fmt.Sscanf(sum, "%02x%02x%02x%02x", &hash[0], &hash[1], &hash[2], &hash[3]); err != nil {
		t.Fatal(err)
	}
	sign := func(checkpoint string, at time.Time) string {
		text, _, _ := strings.Cut(checkpoint, "\n\n")
		text += "\n"
		sig := ed25519.Sign(secret, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at.Unix(), text))
		raw := append(hash[:], byte(0), byte(0), byte(0), byte(0), byte(at.Unix()>>24), byte(at.Unix()>>16), byte(at.Unix()>>8), byte(at.Unix()))
		return "\u2014 " + name + " " + base64.StdEncoding.EncodeToString(append(raw, sig...)) + "\n"
	}
	return sign, name + "+" + sum + "+" + base64.StdEncoding.EncodeToString(append([]byte{4}, public...))
}
