package record

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

var update = flag.Bool("update", false, "write the test vectors anew")

// vectors is what another implementation has to compute from the record beside it.
type vectors struct {
	Record     string   `json:"record"`
	Heads      []string `json:"heads"`
	Prompts    string   `json:"prompts"`
	Commitment struct {
		Kind   string `json:"kind"`
		Text   string `json:"text"`
		Salt   string `json:"salt"`
		Digest string `json:"digest"`
	} `json:"commitment"`
}

const vectorText = "Scale the service to three replicas.\n"

func TestVectors(t *testing.T) {
	dir, file := filepath.Join("testdata", "sealed"), filepath.Join("testdata", "vectors.json")
	if *update {
		writeVectors(t, dir, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if rep := Verify(dir, Expect{}); !rep.OK() || rep.Record != v.Record || rep.Status != StatusSealed || rep.Segments != 2 {
		t.Errorf("%+v", rep)
	}
	entries := readAll(t, dir)
	if len(entries) != len(v.Heads) {
		t.Fatalf("%d entries, %d heads", len(entries), len(v.Heads))
	}
	var sum promptSum
	for i, e := range entries {
		if e.Head.String() != v.Heads[i] {
			t.Errorf("entry %d: %s, want %s", e.Seq, e.Head, v.Heads[i])
		}
		sum = sum.add(&e)
	}
	if sum.digest() != sallyport.Digest(v.Prompts) {
		t.Errorf("prompts: %s, want %s", sum.digest(), v.Prompts)
	}
	salt, err := hex.DecodeString(v.Commitment.Salt)
	if err != nil {
		t.Fatal(err)
	}
	if got := commit(v.Commitment.Kind, [32]byte(salt), []byte(v.Commitment.Text)); got != sallyport.Digest(v.Commitment.Digest) || got != entries[1].Commits[0].Digest {
		t.Errorf("commitment: %s, want %s", got, v.Commitment.Digest)
	}
}

func writeVectors(t *testing.T, dir, file string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w, err := CreateWith(dir, header("run-1"), Options{MaxBytes: 700})
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	c := w.Commit("prompt", []byte(vectorText))
	for _, e := range []struct {
		kind Kind
		with []Commitment
	}{{KindStart, nil}, {KindRequest, []Commitment{c}}, {KindResponse, nil}} {
		if _, err := w.Append(e.kind, map[string]string{"text": "<&> \u00e9"}, e.with...); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Seal(End{Conclusion: "success"})
	if err != nil {
		t.Fatal(err)
	}
	v.Record, v.Prompts = s.Record.String(), string(s.Prompts)
	for _, e := range readAll(t, dir) {
		v.Heads = append(v.Heads, e.Head.String())
	}
	v.Commitment.Kind, v.Commitment.Text, v.Commitment.Digest = c.Kind, vectorText, string(c.Digest)
	v.Commitment.Salt = hex.EncodeToString(c.salt[:])
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, lockFile))
}
