package oci

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/evidence"
)

const bundleType03 = evidence.BundleMediaType

// A layout is one way in which something is attached to an image.
type layout struct {
	name      string
	referrers bool // the registry has the API
	push      func(f *fixture, image object)
	kind      Kind
	at        string // where it is found
	verifies  bool   // the item is a bundle of ours
}

func bundleAs(artifactType, layerType string) func(*fixture, object) object {
	return func(f *fixture, image object) object {
		return f.attached(image, artifactType, f.blob(layerType, f.bundle(digestOf(image)), nil))
	}
}

// fallback pushes what make makes and lists it under the tag, with what the descriptor says of it
// changed.
func fallback(make func(*fixture, object) object, change object) func(*fixture, object) {
	return func(f *fixture, image object) {
		d := f.put("", make(f, image))
		f.put(fallbackTag(digestOf(image)), f.index(with(d, change)))
	}
}

func layouts() []layout {
	bundle := bundleAs(bundleType03, bundleType03)
	old := func(version string) func(*fixture, object) {
		return func(f *fixture, image object) {
			typ := typeBundlePrefix + "+json;version=" + version
			raw := []byte(strings.Replace(string(f.bundle(digestOf(image))), bundleType03, typ, 1))
			f.put("", f.attached(image, typ, f.blob(typ, raw, nil)))
		}
	}
	return []layout{
		{"referrers API", true, func(f *fixture, i object) { f.put("", bundle(f, i)) }, Bundle, ReferrersAPI, true},
		{"GitHub's attestation, pushed to the registry", true, func(f *fixture, i object) {
			m := bundle(f, i)
			m["annotations"] = object{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": provenance}
			f.put("", m)
		}, Bundle, ReferrersAPI, true},
		{"bundle v0.1", true, old("0.1"), Bundle, ReferrersAPI, true},
		{"bundle v0.2", true, old("0.2"), Bundle, ReferrersAPI, true},
		{"bundle v0.3, older spelling", true, old("0.3"), Bundle, ReferrersAPI, true},
		{"referrer without an artifact type", true, func(f *fixture, i object) { f.put("", bundleAs("", bundleType03)(f, i)) }, Bundle, ReferrersAPI, true},
		{"referrer whose layer has no type of its own", true, func(f *fixture, i object) { f.put("", bundleAs(bundleType03, "application/json")(f, i)) }, Bundle, ReferrersAPI, true},
		{"cosign's experimental referrer", true, func(f *fixture, i object) {
			p, notes := f.simple(digestOf(i))
			f.put("", f.attached(i, "application/vnd.dev.cosign.artifact.sig.v1+json", f.blob(typeSimple, p, notes)))
		}, SimpleSigning, ReferrersAPI, false},
		{"cosign's referrer of envelopes", true, func(f *fixture, i object) {
			f.put("", f.attached(i, typeStatement, f.blob(typeDSSE, f.envelope(digestOf(i)), nil)))
		}, DSSE, ReferrersAPI, false},
		{"artifact manifest of an OCI 1.1 draft", true, func(f *fixture, i object) {
			f.put("", object{"mediaType": typeArtifact, "artifactType": bundleType03, "blobs": []any{f.blob(bundleType03, f.bundle(digestOf(i)), nil)}, "subject": i})
		}, Bundle, ReferrersAPI, true},
		{"referrers tag", false, fallback(bundle, object{"artifactType": bundleType03}), Bundle, ReferrersTag, true},
		{"referrers tag, API there too", true, func(f *fixture, i object) {
			// As left by a client that pushed before the registry learnt the API: the subject is unknown to it.
			d := f.put("", f.attached(nil, bundleType03, f.blob(bundleType03, f.bundle(digestOf(i)), nil)))
			f.put(fallbackTag(digestOf(i)), f.index(d))
		}, Bundle, ReferrersTag, true},
		{"referrers tag, member typed as an empty configuration", false, fallback(bundle, object{"artifactType": typeEmpty}), Bundle, ReferrersTag, true},
		{"referrers tag, member typed wrongly", false, fallback(bundle, object{"artifactType": "application/vnd.oci.image.config.v1+json"}), Bundle, ReferrersTag, true},
		{"referrers tag, member without a type", false, fallback(bundle, nil), Bundle, ReferrersTag, true},
		{"signature tag", false, func(f *fixture, i object) {
			p, notes := f.simple(digestOf(i))
			f.put(cosignTag(digestOf(i), "sig"), f.attached(nil, "", f.blob(typeSimple, p, notes)))
		}, SimpleSigning, SignatureTag, false},
		{"attestation tag and no signature", false, func(f *fixture, i object) {
			f.put(cosignTag(digestOf(i), "att"), f.attached(nil, "", f.blob(typeDSSE, f.envelope(digestOf(i)), object{"annotations": object{"predicateType": provenance, noteSignature: "", noteCertificate: "CERT"}})))
		}, DSSE, AttestationTag, false},
		{"attestation tag that holds a bundle", false, func(f *fixture, i object) {
			f.put(cosignTag(digestOf(i), "att"), f.attached(nil, "", f.blob(bundleType03, f.bundle(digestOf(i)), nil)))
		}, Bundle, AttestationTag, true},
		{"SBOM tag", false, func(f *fixture, i object) {
			f.put(cosignTag(digestOf(i), "sbom"), f.attached(nil, "", f.blob("application/vnd.cyclonedx+json", []byte(`{"bomFormat":"CycloneDX"}`), nil)))
		}, Document, SBOMTag, false},
	}
}

// Each layout has a registry of its own, in which nothing else is attached; each is found, and
// found there. The same image without it has nothing.
func TestLayouts(t *testing.T) {
	for _, l := range layouts() {
		t.Run(l.name, func(t *testing.T) {
			f := newFixture(t, l.referrers, nil)
			image := f.image("v1", "content")
			if r := f.find(f.ref); len(r.Items)+len(r.Odd) != 0 {
				t.Fatalf("before anything is attached: %+v", r)
			}
			l.push(f, image)
			r := f.find(f.ref)
			if len(r.Items) != 1 || len(r.Odd) != 0 {
				t.Fatalf("found %d, odd %v\n%v", len(r.Items), r.Odd, r.Places)
			}
			it := r.Items[0]
			if it.Kind != l.kind || it.Layout != l.at || it.Subject != digestOf(image) || len(it.Raw) == 0 {
				t.Errorf("got %v at %s about %s, want %v at %s about %s", it.Kind, it.Layout, it.Subject, l.kind, l.at, digestOf(image))
			}
			if got := f.verified(r.Items) == 1; got != l.verifies {
				t.Errorf("verifies: %t, want %t", got, l.verifies)
			}
			if l.kind == SimpleSigning && (len(it.Signature) != 64 || it.Certificate != "CERT" || it.Chain != "CHAIN" || it.RekorBundle == "" || it.Timestamp == "") {
				t.Errorf("the annotations are lost: %+v", it)
			}
		})
	}
}

// Of an index, what is about one member stays with that member.
func TestMultiArch(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		t.Run(fmt.Sprintf("referrers API %t", referrers), func(t *testing.T) {
			f := newFixture(t, referrers, nil)
			amd := with(f.image("", "amd64"), object{"platform": object{"os": "linux", "architecture": "amd64"}})
			arm := with(f.image("", "arm64"), object{"platform": object{"os": "linux", "architecture": "arm64", "variant": "v8"}})
			st, err := marshalStatement(amd)
			if err != nil {
				t.Fatal(err)
			}
			// BuildKit's attestation manifest is about one member, and is signed by nobody.
			kit := f.attached(nil, "", f.blob(typeStatement, st, object{"annotations": object{"in-toto.io/predicate-type": provenance}}))
			kitDesc := with(f.put("", kit), object{
				"platform":    object{"os": "unknown", "architecture": "unknown"},
				"annotations": object{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digestOf(amd)},
			})
			index := f.put("v1", f.index(amd, arm, kitDesc))
			plain := func(d object) object { return with(d, object{"platform": nil}) }
			for _, d := range []object{index, plain(arm)} {
				m := f.put("", bundleAs(bundleType03, bundleType03)(f, d))
				if !referrers {
					f.put(fallbackTag(digestOf(d)), f.index(with(m, object{"artifactType": typeEmpty})))
				}
			}
			// Evidence about arm64 that somebody has attached to amd64 is odd there.
			stray := f.put("", f.attached(plain(amd), bundleType03, f.blob(bundleType03, f.bundle(digestOf(arm)), nil)))
			if !referrers {
				f.put(fallbackTag(digestOf(amd)), f.index(stray))
			}

			r := f.find(f.ref)
			if r.Digest != digestOf(index) || len(r.Subjects) != 4 {
				t.Fatalf("subjects: %+v", r.Subjects)
			}
			if s := r.Subjects[2]; s.Platform != "linux/arm64/v8" || s.Index != digestOf(index) {
				t.Errorf("member: %+v", s)
			}
			if s := r.Subjects[3]; s.Describes != digestOf(amd) {
				t.Errorf("attestation manifest: %+v", s)
			}
			kinds := func(d object) (out []string) {
				for _, it := range r.About(digestOf(d)) {
					out = append(out, it.Kind.String()+" "+it.Platform)
				}
				return out
			}
			for _, c := range []struct {
				name string
				d    object
				want []string
			}{
				{"index", index, []string{"bundle "}},
				{"amd64", amd, []string{"unsigned-statement linux/amd64"}},
				{"arm64", arm, []string{"bundle linux/arm64/v8"}},
			} {
				if got := kinds(c.d); !slices.Equal(got, c.want) {
					t.Errorf("%s: %q, want %q", c.name, got, c.want)
				}
			}
			if len(r.Odd) != 1 || !strings.Contains(r.Odd[0].Why, "is about "+string(digestOf(arm))) {
				t.Errorf("odd: %+v", r.Odd)
			}
			// Asked for one member alone, its own evidence is all there is.
			if one := f.find(f.ref.at(digestOf(arm))); len(one.Items) != 1 || f.verified(one.Items) != 1 {
				t.Errorf("one member: %+v", one.Items)
			}
		})
	}
}

// An attestation manifest about what is no member of its index is about nothing.
func TestAttestationManifestOfAnother(t *testing.T) {
	f := newFixture(t, true, nil)
	amd, other := f.image("", "amd64"), f.image("", "other")
	st, err := marshalStatement(other)
	if err != nil {
		t.Fatal(err)
	}
	kit := with(f.put("", f.attached(nil, "", f.blob(typeStatement, st, nil))), object{
		"annotations": object{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digestOf(other)},
	})
	f.put("v1", f.index(amd, kit))
	if r := f.find(f.ref); len(r.Items) != 0 || len(r.Odd) != 1 {
		t.Errorf("items %+v, odd %+v", r.Items, r.Odd)
	}
}

// Nothing found names every place, with what the registry answered.
func TestNothingFoundTellsPlaces(t *testing.T) {
	f := newFixture(t, false, nil)
	d := digestOf(f.image("v1", "content"))
	tag := "sha256-" + d.Hex()
	var got []string
	for _, p := range f.find(f.ref).Places {
		got = append(got, p.String())
	}
	want := []string{
		"referrers API " + string(d) + ": not offered (404)",
		"referrers tag " + tag + ": absent (404)",
		"signature tag " + tag + ".sig: absent (404)",
		"attestation tag " + tag + ".att: absent (404)",
		"SBOM tag " + tag + ".sbom: absent (404)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// One image with one bundle, and an index of four platforms with one each, in a registry in this
// process.
func BenchmarkFind(b *testing.B) {
	f := newFixture(b, true, nil)
	var members []object
	for i := range 4 {
		m := f.image("", fmt.Sprint(i))
		f.put("", bundleAs(bundleType03, bundleType03)(f, m))
		members = append(members, m)
	}
	f.put("many", f.index(members...))
	for name, ref := range map[string]Reference{"image": f.ref.at(digestOf(members[0])), "index": f.at("many")} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if r := f.find(ref); len(r.Items) == 0 {
					b.Fatal("nothing is found")
				}
			}
		})
	}
}
