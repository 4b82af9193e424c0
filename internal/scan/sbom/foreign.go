package sbom

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport/internal/base/licence"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxForeign is how large a bill by others may be, in bytes. An attestation has to hold it.
const MaxForeign = 8 << 20

// A Foreign bill was made by somebody else, and has been checked to be what it says that it is. Whether it
// is true is another question.
type Foreign struct {
	Format     string      `json:"format"` // SPDX or CycloneDX
	Version    string      `json:"version"`
	Type       string      `json:"type"` // the predicate type of an attestation that holds it
	Name       string      `json:"name"` // of what it is about
	Created    string      `json:"created,omitempty"`
	Creators   []string    `json:"creators"` // the tools and people that it names
	Digests    []string    `json:"digests"`  // "algorithm:hex" that it says its subject has, in any place
	Components []Component `json:"components"`
}

// ErrForeign is returned for a document that is no well-formed bill.
var ErrForeign = errors.New("it is no well-formed bill of materials")

// Read reads an SPDX 2.3 or a CycloneDX 1.4 to 1.6 document in JSON. It refuses what a reader could take in two
// ways: keys that are there twice or in another case, identifiers that are used twice or for nothing,
// package URLs and digests that are none.
func Read(b []byte) (*Foreign, error) {
	if err := strict.CheckJSON(b, MaxForeign); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: it is no object", ErrForeign)
	}
	r := &reader{refs: map[string]bool{}}
	f := &Foreign{Creators: []string{}, Digests: []string{}, Components: []Component{}}
	o := object{r, doc, "the document"}
	switch {
	case doc["spdxVersion"] != nil && doc["bomFormat"] == nil:
		r.spdx(o, f)
	case doc["bomFormat"] != nil && doc["spdxVersion"] == nil:
		r.cyclonedx(o, f)
	default:
		return nil, fmt.Errorf("%w: it is neither SPDX 2 nor CycloneDX, in JSON", ErrForeign)
	}
	for _, d := range f.Digests { // which are shown as they are
		if strings.ContainsFunc(d, func(c rune) bool { return c != ':' && notID(c) }) {
			r.fail("it says that it is about %.150q, which is no digest", d)
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, r.err)
	}
	slices.SortStableFunc(f.Components, func(a, b Component) int { return strings.Compare(a.Ref(), b.Ref()) })
	return f, nil
}

// A reader keeps the first fault.
type reader struct {
	err   error
	refs  map[string]bool
	parts int
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// An object is a JSON object that is read by exact names: encoding/json would take "Name" for "name".
type object struct {
	r    *reader
	m    map[string]any
	what string
}

func (o object) get(name string) any {
	v, ok := o.m[name]
	if !ok {
		for k := range o.m {
			if strings.EqualFold(k, name) {
				o.r.fail("%s has a key %.40q for %s", o.what, k, name)
			}
		}
	}
	return v
}

func (o object) text(name string) string {
	v := o.get(name)
	if v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok || len(s) > 64<<10 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' && c != '\r' }) {
		o.r.fail("%s of %s is no text", name, o.what)
		return ""
	}
	return s
}

// must is a text that has to be there.
func (o object) must(name string) string {
	s := o.text(name)
	if s == "" {
		o.r.fail("%s has no %s", o.what, name)
	}
	return s
}

func (o object) list(name string) []any {
	v := o.get(name)
	if v == nil {
		return nil
	}
	l, ok := v.([]any)
	if !ok {
		o.r.fail("%s of %s is no list", name, o.what)
	}
	return l
}

func (o object) sub(name string) (object, bool) {
	v := o.get(name)
	if v == nil {
		return object{o.r, nil, name}, false
	}
	m, ok := v.(map[string]any)
	if !ok {
		o.r.fail("%s of %s is no object", name, o.what)
	}
	return object{o.r, m, name + " of " + o.what}, ok
}

// each calls f for the objects of a list, until there is a fault.
func (o object) each(name string, f func(object)) {
	for i, v := range o.list(name) {
		m, ok := v.(map[string]any)
		if !ok {
			o.r.fail("%s[%d] of %s is no object", name, i, o.what)
		}
		if o.r.err != nil {
			return
		}
		f(object{o.r, m, fmt.Sprintf("%s[%d]", name, i)})
	}
}

// names are the texts of a list.
func (o object) names(name string) []string {
	var out []string
	for i, v := range o.list(name) {
		s, ok := v.(string)
		if !ok || s == "" {
			o.r.fail("%s[%d] of %s is no text", name, i, o.what)
			return nil
		}
		out = append(out, s)
	}
	return out
}

// define notes an identifier, which must be new.
func (r *reader) define(what, ref string) {
	if r.refs[ref] {
		r.fail("%s: the identifier %.100q is used twice", what, ref)
	}
	r.refs[ref] = true
}

func (r *reader) add(f *Foreign, c Component, terms []string) {
	if r.parts++; r.parts > MaxPackages {
		r.fail("it lists more than %d components", MaxPackages)
		return
	}
	v := &Inventory{}
	if c.Hashes == nil {
		c.Hashes = []Hash{}
	}
	c.Paths = []string{}
	if err := v.Include(c, terms); err != nil {
		r.fail("component %.100q: %w", c.Name, err)
		return
	}
	f.Components = append(f.Components, v.found[0])
}

// digestSizes are the digests of both formats, with their lengths in bytes.
var digestSizes = map[string]int{
	"MD2": 16, "MD4": 16, "MD5": 16, "MD6": 0, "ADLER32": 4, "SHA1": 20, "SHA224": 28, "SHA256": 32, "SHA384": 48, "SHA512": 64,
	"SHA3-256": 32, "SHA3-384": 48, "SHA3-512": 64, "BLAKE2B-256": 32, "BLAKE2B-384": 48, "BLAKE2B-512": 64, "BLAKE3": 32,
}

func (o object) digest(algorithm, content string) Hash {
	alg := strings.ToUpper(o.must(algorithm))
	if rest, ok := strings.CutPrefix(alg, "SHA-"); ok { // CycloneDX writes SHA-256
		alg = "SHA" + rest
	}
	s := o.must(content)
	size, known := digestSizes[alg]
	raw, err := hex.DecodeString(s)
	if !known || err != nil || size != 0 && len(raw) != size {
		o.r.fail("%s: %.150q is no %.20q digest", o.what, s, alg)
	}
	return Hash{alg, strings.ToLower(s)}
}

func (r *reader) spdx(o object, f *Foreign) {
	f.Format, f.Version, f.Type = "SPDX", strings.TrimPrefix(o.must("spdxVersion"), "SPDX-"), SPDXType
	if o.text("spdxVersion") != "SPDX-2.3" {
		r.fail("%.40q is read by nobody here; SPDX-2.3 is", o.text("spdxVersion"))
	}
	if o.text("dataLicense") != "CC0-1.0" || o.text("SPDXID") != "SPDXRef-DOCUMENT" {
		r.fail("its dataLicense or its own SPDXID is not what SPDX demands")
	}
	f.Name = o.must("name")
	if u, err := url.Parse(o.must("documentNamespace")); err != nil || u.Scheme == "" || u.Fragment != "" {
		r.fail("its documentNamespace is no URI")
	}
	creation, _ := o.sub("creationInfo")
	f.Created, f.Creators = creation.must("created"), append(f.Creators, creation.names("creators")...)
	if _, err := time.Parse(time.RFC3339, f.Created); err != nil && r.err == nil {
		r.fail("created is %.40q, no time", f.Created)
	}
	if len(f.Creators) == 0 {
		r.fail("it does not say who made it")
	}
	r.define("the document", "SPDXRef-DOCUMENT")
	names := map[string]string{} // what LicenseRefs are called
	o.each("hasExtractedLicensingInfos", func(l object) {
		id := l.must("licenseId")
		if rest, ok := strings.CutPrefix(id, "LicenseRef-"); !ok || rest == "" || strings.ContainsFunc(rest, notID) {
			r.fail("%s: %.100q is no LicenseRef", l.what, id) // and could give a licence of the list another name
		}
		r.define(l.what, id)
		names[id] = l.text("name")
		l.must("extractedText")
	})
	root := map[string]bool{}
	for _, id := range o.names("documentDescribes") {
		root[id] = true
	}
	o.each("relationships", func(rel object) {
		from, kind, to := rel.must("spdxElementId"), rel.must("relationshipType"), rel.text("relatedSpdxElement")
		if from == "SPDXRef-DOCUMENT" && kind == "DESCRIBES" {
			root[to] = true
		}
		if to == "SPDXRef-DOCUMENT" && kind == "DESCRIBED_BY" {
			root[from] = true
		}
	})
	element := func(e object) string {
		id := e.must("SPDXID")
		if rest, ok := strings.CutPrefix(id, "SPDXRef-"); !ok || rest == "" || strings.ContainsFunc(rest, notID) {
			r.fail("%s: %.100q is no SPDXID", e.what, id)
		}
		r.define(e.what, id)
		return id
	}
	o.each("packages", func(p object) { r.spdxPackage(p, f, root[element(p)], names) })
	o.each("files", func(e object) {
		about := root[element(e)]
		e.must("fileName")
		e.each("checksums", func(h object) {
			if d := h.digest("algorithm", "checksumValue"); about {
				f.about(Component{Hashes: []Hash{d}})
			}
		})
	})
	o.each("snippets", func(e object) { element(e) })
	known := func(what, ref string) {
		if !r.refs[ref] && ref != "NONE" && ref != noAssertion && !strings.HasPrefix(ref, "DocumentRef-") {
			r.fail("%s speaks of %.100q, which is not there", what, ref)
		}
	}
	for ref := range root {
		known("the document", ref)
	}
	o.each("relationships", func(rel object) {
		rel.must("relationshipType")
		known(rel.what, rel.must("spdxElementId"))
		known(rel.what, rel.must("relatedSpdxElement"))
	})
}

func notID(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.'
}

func (r *reader) spdxPackage(p object, f *Foreign, root bool, names map[string]string) {
	c := Component{Name: p.must("name"), Version: p.text("versionInfo"), Type: Library}
	p.must("downloadLocation")
	p.each("checksums", func(h object) { c.Hashes = append(c.Hashes, h.digest("algorithm", "checksumValue")) })
	p.each("externalRefs", func(e object) {
		locator := e.must("referenceLocator")
		if e.must("referenceType") != "purl" {
			return
		}
		if c.Purl != "" && c.Purl != locator {
			r.fail("%s has two package URLs", p.what)
		}
		c.Purl = locator
	})
	if root {
		f.about(c)
	}
	terms := spdxTerms(p)
	for _, t := range terms {
		for _, w := range strings.FieldsFunc(t, func(c rune) bool { return unicode.IsSpace(c) || c == '(' || c == ')' }) {
			if n := names[w]; n != "" {
				c.Terms = append(c.Terms, Term{w, n})
			}
		}
	}
	r.add(f, c, terms)
}

// spdxTerms are the licences of a package: what somebody concluded, what it declares, and what its files
// say. All of them hold: a conclusion takes away nothing of what the package says itself. That a package
// or its files declare NONE adds nothing to what was concluded.
func spdxTerms(p object) []string {
	out := []string{p.text("licenseConcluded")}
	for _, s := range append(p.names("licenseInfoFromFiles"), p.text("licenseDeclared")) {
		if s != "NONE" {
			out = append(out, s)
		}
	}
	return out
}

// about notes the digests that a bill states of what it is about: as such, or where scanners write the
// digest of an image or a file, as its version, at the end of its name or in its package URL.
func (f *Foreign) about(c Component) {
	said := []string{c.Version}
	head, _, _ := strings.Cut(c.Purl, "?")
	head, _, _ = strings.Cut(head, "#")
	for _, s := range []string{c.Version, c.Name, head} {
		if i := strings.LastIndexByte(s, '@'); i >= 0 {
			said = append(said, s[i+1:])
		}
	}
	note := func(d string) {
		if !slices.Contains(f.Digests, d) {
			f.Digests = append(f.Digests, d)
		}
	}
	for _, h := range c.Hashes {
		note(strings.ToLower(h.Algorithm) + ":" + h.Hex)
	}
	for _, s := range said {
		if p, err := url.PathUnescape(s); err == nil {
			s = p
		}
		s = strings.ToLower(s)
		if alg, _, ok := strings.Cut(s, ":"); ok && digestSizes[strings.ToUpper(alg)] != 0 {
			note(s)
		}
	}
}

func (r *reader) cyclonedx(o object, f *Foreign) {
	f.Format, f.Version, f.Type = "CycloneDX", o.must("specVersion"), CycloneDXType
	if o.text("bomFormat") != "CycloneDX" || !slices.Contains([]string{"1.4", "1.5", "1.6"}, f.Version) {
		r.fail("specVersion %.20q is read by nobody here; 1.4 to 1.6 are", f.Version)
	}
	if s := o.text("serialNumber"); s != "" && !isUUID(s) {
		r.fail("its serialNumber is no urn:uuid")
	}
	if v := o.get("version"); v != nil {
		if n, ok := v.(json.Number); !ok || strings.ContainsAny(string(n), ".eE-") || n == "0" {
			r.fail("its version is no number from 1")
		}
	}
	meta, _ := o.sub("metadata")
	if f.Created = meta.text("timestamp"); f.Created != "" {
		if _, err := time.Parse(time.RFC3339, f.Created); err != nil {
			r.fail("timestamp is %.40q, no time", f.Created)
		}
	}
	r.creators(meta, f)
	if c, ok := meta.sub("component"); ok {
		f.Name = c.must("name")
		root := Component{Name: f.Name, Version: c.text("version"), Purl: c.text("purl")}
		c.each("hashes", func(h object) { root.Hashes = append(root.Hashes, h.digest("alg", "content")) })
		f.about(root)
		c.each("properties", func(p object) {
			if s := p.text("value"); p.text("name") == digestProperty && !slices.Contains(f.Digests, s) {
				f.Digests = append(f.Digests, s)
			}
		})
		r.component(c, f) // which has a licence as any other
	}
	o.each("components", func(c object) { r.component(c, f) })
	o.each("services", func(s object) {
		if ref := s.text("bom-ref"); ref != "" {
			r.define(s.what, ref)
		}
	})
	told := map[string]bool{}
	o.each("dependencies", func(d object) {
		ref := d.must("ref")
		if told[ref] {
			r.fail("%s: the dependencies of %.100q are told twice", d.what, ref)
		}
		told[ref] = true
		for _, s := range append(append(d.names("dependsOn"), d.names("provides")...), ref) {
			if !r.refs[s] {
				r.fail("%s speaks of %.100q, which is not there", d.what, s)
			}
		}
	})
}

// creators are the tools and people of a CycloneDX document.
func (r *reader) creators(meta object, f *Foreign) {
	tool := func(t object) {
		f.Creators = append(f.Creators, strings.TrimSuffix("Tool: "+t.must("name")+"-"+t.text("version"), "-"))
	}
	if _, isList := meta.get("tools").([]any); isList { // until 1.4, and still allowed
		meta.each("tools", tool)
	} else if t, ok := meta.sub("tools"); ok {
		t.each("components", tool)
		t.each("services", tool)
	}
	meta.each("authors", func(a object) { f.Creators = append(f.Creators, "Person: "+a.text("name")) })
}

func (r *reader) component(o object, f *Foreign) {
	c := Component{Type: o.must("type"), Name: o.must("name"), Version: o.text("version"), Purl: o.text("purl")}
	if !slices.Contains(cdxTypes, c.Type) {
		r.fail("%s: %.40q is no type of component", o.what, c.Type)
	}
	if g := o.text("group"); g != "" {
		c.Name = g + "/" + c.Name
	}
	if ref := o.text("bom-ref"); ref != "" {
		r.define(o.what, ref)
	}
	o.each("hashes", func(h object) { c.Hashes = append(c.Hashes, h.digest("alg", "content")) })
	terms := o.licences(&c)
	if evidence, ok := o.sub("evidence"); ok { // what was found in it, beside what it says
		terms = append(terms, evidence.licences(&c)...)
	}
	if r.err == nil {
		r.add(f, c, terms)
	}
	o.each("components", func(c object) { r.component(c, f) })
}

// licences are those of a component, or of its evidence. An id is one of the list, and no expression; a name
// is that of a licence of the list, or words, which c then explains.
func (o object) licences(c *Component) []string {
	var terms []string
	o.each("licenses", func(l object) {
		inner, single := l.sub("license")
		s := l.text("expression")
		if single == (s != "") {
			o.r.fail("%s of %s is not one licence or one expression", l.what, o.what)
			return
		}
		if single {
			id, name := inner.text("id"), inner.text("name")
			if (id == "") == (name == "") {
				o.r.fail("a licence of %s has no id or name, or both", o.what)
			}
			s = strings.TrimSpace(id + name)
			if e, err := licence.Parse(s); err == nil && (len(strings.Fields(s)) != 1 || strings.ContainsAny(s, "()") || len(e.Terms()) != 1) {
				if id != "" {
					o.r.fail("%s: %.100q is an expression, no id", o.what, id)
				}
				own := ownWords(s)
				s, c.Terms = own.Ref, append(c.Terms, own)
			}
		}
		terms = append(terms, s)
	})
	return terms
}

var cdxTypes = []string{
	"application", "framework", "library", "container", "platform", "operating-system", "device", "device-driver", "firmware", "file",
	"machine-learning-model", "data", "cryptographic-asset",
}

func isUUID(s string) bool {
	s, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	_, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	return err == nil
}
