package intoto

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	peer "github.com/in-toto/in-toto-golang/in_toto"

	"github.com/sallyport-dev/sallyport"
)

var now = time.Now().UTC().Truncate(time.Second)

// A functionary has a key as in-toto writes it.
type functionary struct {
	peer.Key
	public crypto.PublicKey
}

func newFunctionary(tb testing.TB, k crypto.Signer) functionary {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	f := functionary{public: k.Public()}
	if err := f.LoadKeyReaderDefaults(strings.NewReader(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))); err != nil {
		tb.Fatal(err)
	}
	return f
}

// shown is the key as a layout has it.
func (f functionary) shown() peer.Key {
	k := f.Key
	k.KeyVal.Private = ""
	return k
}

type people struct{ owner, alice, bob, mallory functionary }

func newPeople(tb testing.TB) people {
	tb.Helper()
	_, ed, err1 := ed25519.GenerateKey(rand.Reader)
	_, ed2, err2 := ed25519.GenerateKey(rand.Reader)
	p256, err3 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, err4 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		tb.Fatal(err)
	}
	return people{owner: newFunctionary(tb, r), alice: newFunctionary(tb, ed), bob: newFunctionary(tb, p256), mallory: newFunctionary(tb, ed2)}
}

// A chain is a layout with its links, before a row of the test changes them.
type chain struct {
	layout    peer.Layout
	links     []signedBy
	owners    []functionary // that sign the layout
	envelope  bool
	artifact  string
	passOver  bool
	rawLayout func([]byte) []byte
	rawLinks  func(map[string][]byte)
}

type signedBy struct {
	by   functionary
	link peer.Link
}

func sum(s string) peer.HashObj {
	h := sha256.Sum256([]byte(s))
	return peer.HashObj{"sha256": hex.EncodeToString(h[:])}
}

// good is a supply chain of two steps: Alice writes, and Bob packs what she wrote.
func good(p people) *chain {
	keys := map[string]peer.Key{p.alice.KeyID: p.alice.shown(), p.bob.KeyID: p.bob.shown()}
	return &chain{
		artifact: "the package", owners: []functionary{p.owner},
		layout: peer.Layout{Type: "layout", Expires: now.AddDate(0, 1, 0).Format(time.RFC3339), Keys: keys, Steps: []peer.Step{
			{Type: "step", PubKeys: []string{p.alice.KeyID}, Threshold: 1, SupplyChainItem: peer.SupplyChainItem{Name: "write",
				ExpectedMaterials: [][]string{{"DISALLOW", "*"}}, ExpectedProducts: [][]string{{"CREATE", "src/*"}, {"DISALLOW", "*"}}}},
			{Type: "step", PubKeys: []string{p.bob.KeyID}, Threshold: 1, ExpectedCommand: []string{"tar", "c"}, SupplyChainItem: peer.SupplyChainItem{Name: "pack",
				ExpectedMaterials: [][]string{{"MATCH", "*", "IN", "in", "WITH", "PRODUCTS", "IN", "src", "FROM", "write"}, {"DISALLOW", "*"}},
				ExpectedProducts:  [][]string{{"REQUIRE", "app.tar"}, {"CREATE", "app.tar"}, {"ALLOW", "in/*"}, {"DISALLOW", "*"}}}},
		}},
		links: []signedBy{
			{p.alice, peer.Link{Type: "link", Name: "write", Command: []string{}, ByProducts: map[string]any{}, Environment: map[string]any{}, Materials: map[string]peer.HashObj{},
				Products: map[string]peer.HashObj{"src/a.go": sum("a"), "src/b.go": sum("b")}}},
			{p.bob, peer.Link{Type: "link", Name: "pack", Command: []string{"tar", "c"}, ByProducts: map[string]any{"return-value": 0}, Environment: map[string]any{},
				Materials: map[string]peer.HashObj{"in/a.go": sum("a"), "in/b.go": sum("b")},
				Products:  map[string]peer.HashObj{"in/a.go": sum("a"), "in/b.go": sum("b"), "app.tar": sum("the package")}}},
		},
	}
}

// TestVerify holds the verdicts to those of in-toto-golang, over layouts and links that it signed. Where
// ours is stricter, the row says so.
func TestVerify(t *testing.T) {
	p := newPeople(t)
	for _, c := range []struct {
		name   string
		change func(c *chain)
		want   error
		peer   string // what in-toto-golang says if not the same: taken or refused
	}{
		{"good", func(*chain) {}, nil, ""},
		// in-toto-golang writes PEM into envelopes so that nobody can read it, itself included; Ed25519 keys are no PEM.
		{"good, in envelopes", func(c *chain) {
			c.envelope = true
			c.layout.Keys = map[string]peer.Key{p.alice.KeyID: p.alice.shown(), p.mallory.KeyID: p.mallory.shown()}
			c.layout.Steps[1].PubKeys, c.links[1].by = []string{p.mallory.KeyID}, p.mallory
		}, nil, ""},
		{"another command, which is a note", func(c *chain) { c.links[1].link.Command = []string{"rm"} }, nil, ""},
		{"not the owner's signature", func(c *chain) { c.owners = []functionary{p.mallory} }, ErrSignature, ""},
		{"nobody's signature", func(c *chain) { c.owners = nil }, ErrSignature, ""},
		{"two signed, the owner too", func(c *chain) { c.owners = append(c.owners, p.mallory) }, nil, ""},
		{"expired", func(c *chain) { c.layout.Expires = now.Add(-time.Hour).Format(time.RFC3339) }, ErrExpired, ""},
		{"a byte of the layout changed", func(c *chain) {
			c.rawLayout = func(b []byte) []byte { return []byte(strings.Replace(string(b), "src/*", "src?*", 1)) }
		}, ErrSignature, ""},
		{"a byte of a link changed", func(c *chain) {
			c.rawLinks = func(m map[string][]byte) {
				for n, b := range m {
					m[n] = []byte(strings.Replace(string(b), "src/a.go", "src/c.go", 1))
				}
			}
		}, ErrThreshold, ""},
		{"no link", func(c *chain) { c.links = c.links[1:] }, ErrThreshold, ""},
		{"somebody else's link", func(c *chain) { c.links[0].by = p.mallory }, ErrThreshold, ""},
		{"who may do another step", func(c *chain) { c.links[0].by = p.bob }, ErrThreshold, ""},
		{"two are needed", func(c *chain) { c.layout.Steps[0].Threshold = 2 }, ErrThreshold, ""},
		{"two are needed, and two did", func(c *chain) {
			c.layout.Steps[0].Threshold, c.layout.Steps[0].PubKeys = 2, []string{p.alice.KeyID, p.bob.KeyID}
			c.links = append(c.links, signedBy{p.bob, c.links[0].link})
		}, nil, ""},
		{"two are needed, and one has two names", func(c *chain) {
			twin := p.alice.shown()
			twin.KeyID = strings.Repeat("a", 64)
			c.layout.Keys[twin.KeyID] = twin
			c.layout.Steps[0].Threshold, c.layout.Steps[0].PubKeys = 2, []string{p.alice.KeyID, twin.KeyID}
			as := p.alice
			as.KeyID = twin.KeyID
			c.links = append(c.links, signedBy{as, c.links[0].link})
		}, ErrThreshold, "taken"}, // in-toto-golang counts names, and Alice alone fulfils it
		{"two did, and disagree", func(c *chain) {
			c.layout.Steps[0].Threshold, c.layout.Steps[0].PubKeys = 2, []string{p.alice.KeyID, p.bob.KeyID}
			other := c.links[0].link
			other.Products = map[string]peer.HashObj{"src/a.go": sum("x"), "src/b.go": sum("b")}
			c.links = append(c.links, signedBy{p.bob, other})
		}, ErrThreshold, ""},
		{"one is enough, and two disagree", func(c *chain) {
			c.layout.Steps[0].PubKeys = []string{p.alice.KeyID, p.bob.KeyID}
			other := c.links[0].link
			other.Products = map[string]peer.HashObj{"src/a.go": sum("x"), "src/b.go": sum("b")}
			c.links = append(c.links, signedBy{p.bob, other})
		}, ErrThreshold, "either"}, // which link in-toto-golang takes depends on the order of a map
		{"the command failed", func(c *chain) { c.links[1].link.ByProducts["return-value"] = 1 }, ErrThreshold, "taken"},
		{"something that was not written is packed", func(c *chain) { c.links[1].link.Materials["in/evil.go"] = sum("evil") }, ErrRule, ""},
		{"something else under its name is packed", func(c *chain) { c.links[1].link.Materials["in/a.go"] = sum("evil") }, ErrRule, ""},
		{"from another place", func(c *chain) {
			c.links[1].link.Materials["a.go"] = sum("a")
		}, ErrRule, "taken"}, // not below the prefix: the specification filters by it, in-toto-golang only cuts it off
		{"more comes out", func(c *chain) { c.links[1].link.Products["extra"] = sum("x") }, ErrRule, ""},
		{"what is required does not come out", func(c *chain) { delete(c.links[1].link.Products, "app.tar") }, ErrRule, ""},
		{"it was there before", func(c *chain) {
			c.layout.Steps[1].ExpectedMaterials = [][]string{{"ALLOW", "*"}}
			c.links[1].link.Materials["app.tar"] = sum("the package")
		}, ErrRule, ""},
		{"modify", func(c *chain) {
			c.layout.Steps[1].ExpectedMaterials = [][]string{{"ALLOW", "*"}}
			c.layout.Steps[1].ExpectedProducts = [][]string{{"MODIFY", "app.tar"}, {"ALLOW", "in/*"}, {"DISALLOW", "*"}}
			c.links[1].link.Materials["app.tar"] = sum("older")
		}, nil, ""},
		{"delete", func(c *chain) {
			c.layout.Steps[1].ExpectedMaterials = [][]string{{"DELETE", "in/b.go"}, {"MATCH", "a.go", "IN", "in", "WITH", "PRODUCTS", "IN", "src", "FROM", "write"}, {"DISALLOW", "*"}}
			delete(c.links[1].link.Products, "in/b.go")
		}, nil, ""},
		{"delete what is still there", func(c *chain) {
			c.layout.Steps[1].ExpectedMaterials = [][]string{{"DELETE", "in/b.go"}, {"DISALLOW", "in/b.go"}}
		}, ErrRule, ""},
		{"what no rule speaks of is allowed", func(c *chain) {
			c.layout.Steps[1].ExpectedProducts = nil
			c.links[1].link.Products["extra"] = sum("x")
		}, nil, ""},
		{"of a step that is not there", func(c *chain) {
			c.layout.Steps[1].ExpectedMaterials[0][9-0] = "nobody"
		}, ErrRule, ""},
		{"only weak digests", func(c *chain) {
			weak := peer.HashObj{"md5": "00"}
			c.links[0].link.Products["src/a.go"], c.links[1].link.Materials["in/a.go"] = weak, weak
		}, ErrRule, "taken"},
		{"a rule that is none", func(c *chain) { c.layout.Steps[0].ExpectedProducts = [][]string{{"PERMIT", "*"}} }, ErrLayout, ""},
		{"a threshold of none", func(c *chain) { c.layout.Steps[0].Threshold = 0 }, ErrLayout, "either"},
		{"two steps of one name", func(c *chain) { c.layout.Steps[1].Name = "write" }, ErrLayout, "either"},
		{"another artifact", func(c *chain) { c.artifact = "something else" }, ErrProduct, "taken"}, // which only inspections would see
		{"an artifact of an earlier step", func(c *chain) { c.artifact = "a"; delete(c.links[1].link.Products, "in/a.go") }, ErrProduct, "taken"},
		{"a sublayout", func(c *chain) {
			c.rawLinks = func(m map[string][]byte) {
				for n := range m {
					if strings.HasPrefix(n, "write.") {
						m[n] = sign(t, c.layout, false, p.alice)
					}
				}
			}
		}, ErrUnable, "refused"},
		{"an inspection", func(c *chain) {
			c.layout.Inspect = []peer.Inspection{{Type: "inspection", Run: []string{"true"}, SupplyChainItem: peer.SupplyChainItem{Name: "look"}}}
		}, ErrUnable, "either"},
		{"an inspection that is passed over", func(c *chain) {
			c.passOver = true
			c.layout.Inspect = []peer.Inspection{{Type: "inspection", Run: []string{"false"}, SupplyChainItem: peer.SupplyChainItem{Name: "look"}}}
		}, nil, "either"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ch := good(p)
			c.change(ch)
			layout := sign(t, ch.layout, ch.envelope, ch.owners...)
			if ch.rawLayout != nil {
				layout = ch.rawLayout(layout)
			}
			files := map[string][]byte{}
			for _, l := range ch.links {
				files[fmt.Sprintf("%s.%.8s.link", l.link.Name, l.by.KeyID)] = sign(t, l.link, ch.envelope, l.by)
			}
			if ch.rawLinks != nil {
				ch.rawLinks(files)
			}
			h := sha256.Sum256([]byte(ch.artifact))
			res, err := Verify(layout, files, func(algorithm string) sallyport.Digest {
				if algorithm != "sha256" {
					return ""
				}
				return sallyport.Digest("sha256:" + hex.EncodeToString(h[:]))
			}, Options{Owners: []crypto.PublicKey{p.owner.public}, Now: now, WithoutInspections: ch.passOver})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil && (len(res.Steps) != len(ch.layout.Steps) || len(res.Inspections) != len(ch.layout.Inspect)) {
				t.Errorf("%+v", res)
			}
			theirs := verifyPeer(t, layout, files, p.owner)
			t.Logf("ours: %v\ntheirs: %v", err, theirs)
			switch want := c.peer; {
			case want == "either":
			case want == "taken" && theirs != nil, want == "refused" && theirs == nil, want == "" && (theirs == nil) != (err == nil):
				t.Errorf("in-toto-golang says %v, and we %v", theirs, err)
			}
		})
	}
}

// sign signs as in-toto-golang does.
func sign(t *testing.T, payload any, envelope bool, by ...functionary) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	var m interface {
		Sign(peer.Key) error
		Dump(string) error
	}
	if envelope {
		e := &peer.Envelope{}
		if err := e.SetPayload(payload); err != nil {
			t.Fatal(err)
		}
		m = e
	} else {
		m = &peer.Metablock{Signed: payload, Signatures: []peer.Signature{}}
	}
	for _, f := range by {
		if err := m.Sign(f.Key); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Dump(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verifyPeer asks in-toto-golang.
func verifyPeer(t *testing.T, layout []byte, files map[string][]byte, owner functionary) (err error) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panics: %v", p)
		}
	}()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "layout")
	if err := os.WriteFile(path, layout, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // where it would run inspections
	env, err := peer.LoadMetadata(path)
	if err != nil {
		return err
	}
	_, err = peer.InTotoVerify(env, map[string]peer.Key{owner.KeyID: owner.shown()}, dir, "", nil, nil, false)
	return err
}

// TestStatements: link metadata as a statement, in an envelope and in a bundle, counts as in-toto's own form.
func TestStatements(t *testing.T) {
	p := newPeople(t)
	ch := good(p)
	files := map[string][]byte{}
	for _, l := range ch.links {
		st := map[string]any{"_type": "https://in-toto.io/Statement/v1", "predicateType": linkType}
		resources := func(m map[string]peer.HashObj) []any {
			out := []any{}
			for name, d := range m {
				out = append(out, map[string]any{"name": name, "digest": d})
			}
			return out
		}
		st["subject"] = resources(l.link.Products)
		st["predicate"] = map[string]any{"name": l.link.Name, "command": l.link.Command, "materials": resources(l.link.Materials), "byproducts": l.link.ByProducts}
		env := sign(t, st, true, l.by)
		if l.link.Name == "pack" {
			env = fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":%s}`, env)
		}
		files[l.link.Name+".json"] = env
	}
	files["README"] = []byte("no link")
	h := sha256.Sum256([]byte(ch.artifact))
	is := func(algorithm string) sallyport.Digest {
		if algorithm == "sha256" {
			return sallyport.Digest("sha256:" + hex.EncodeToString(h[:]))
		}
		return ""
	}
	res, err := Verify(sign(t, ch.layout, false, p.owner), files, is, Options{Owners: []crypto.PublicKey{p.owner.public}, Now: now})
	if err != nil || res.Product != "app.tar" {
		t.Errorf("%v, %+v", err, res)
	}
	if _, err := Verify(sign(t, ch.layout, false, p.owner), files, is, Options{Owners: []crypto.PublicKey{p.owner.public, p.mallory.public}, Now: now}); !errors.Is(err, ErrSignature) {
		t.Errorf("two owners are named, and one signed: %v", err)
	}
	if _, err := Verify(sign(t, ch.layout, false, p.owner), files, is, Options{Now: now}); !errors.Is(err, ErrSignature) {
		t.Errorf("no owner is named: %v", err)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b/c", true}, {"*", "", true}, {"a*c", "a/b/c", true}, {"a?c", "a/c", true}, {"a?c", "ac", false}, {"[a-c]", "b", true}, {"[!a-c]", "b", false},
		{"[!a-c]", "d", true}, {"[]]", "]", true}, {"a[b]*", "abxyz", true}, {"*.go", "src/a.go", true}, {"*.go", "a.god", false}, {"", "", true}, {"", "a", false},
		{"a*b*c", "aXbXbXc", true}, {"a*b*c", "aXbXbX", false}, {"ä*", "äöü", true}, {"\\*", "\\a", true},
	} {
		if got := match(c.pattern, c.name); got != c.want {
			t.Errorf("%q, %q: %t", c.pattern, c.name, got)
		}
	}
	slow := time.Now()
	match(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 20000))
	if d := time.Since(slow); d > 5*time.Second {
		t.Errorf("a hostile pattern takes %s", d)
	}
}

// FuzzVerify: nothing that its owner did not sign is a layout, and no file is the end of the program.
func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"signed":{"_type":"layout","expires":"2030-01-01T00:00:00Z","steps":[{"name":"a","threshold":1,"pubkeys":["k"],"expected_products":[["MATCH","*","WITH","PRODUCTS","FROM","a"]]}],"keys":{}},"signatures":[{"sig":"00"}]}`), []byte(`{"signed":{"_type":"link","name":"a","products":{"x":{"sha256":"00"}}},"signatures":[{"sig":"00"}]}`))
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"AA=="}]}`), []byte(`{"dsseEnvelope":{}}`))
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, layout, link []byte) {
		if _, err := Verify(layout, map[string][]byte{"a": link}, func(string) sallyport.Digest { return "" }, Options{Owners: []crypto.PublicKey{pub}, Now: now}); err == nil {
			t.Error("it verifies")
		}
		found, err := readLinks(map[string][]byte{"a": link})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range found {
			for p := range l.link.Products {
				if p != clean(p) || p == "" {
					t.Errorf("the path %q", p)
				}
			}
		}
		var any struct{ Rule []string }
		if json.Unmarshal(link, &any) == nil {
			if r, err := parseRule(any.Rule); err == nil {
				match(r.pattern, string(layout[:min(len(layout), 100)]))
			}
		}
	})
}
