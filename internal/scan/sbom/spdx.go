package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// SPDXType is the predicate type of an attestation whose predicate is what SPDX writes.
const SPDXType = "https://spdx.dev/Document/v2.3"

type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	License       string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Comment       string             `json:"comment,omitempty"`
	Packages      []spdxPackage      `json:"packages"`
	Licences      []spdxLicence      `json:"hasExtractedLicensingInfos,omitempty"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxLicence struct {
	ID   string `json:"licenseId"`
	Name string `json:"name"`
	Text string `json:"extractedText"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Version       string         `json:"versionInfo,omitempty"`
	Location      string         `json:"downloadLocation"`
	FilesAnalyzed bool           `json:"filesAnalyzed"`
	Concluded     string         `json:"licenseConcluded"`
	Declared      string         `json:"licenseDeclared"`
	Copyright     string         `json:"copyrightText"`
	Purpose       string         `json:"primaryPackagePurpose,omitempty"`
	Checksums     []spdxChecksum `json:"checksums,omitempty"`
	Refs          []spdxRef      `json:"externalRefs,omitempty"`
	SourceInfo    string         `json:"sourceInfo,omitempty"`
	Comment       string         `json:"comment,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// noAssertion is what the tool does not say.
const noAssertion = "NOASSERTION"

// SPDX returns the bill as an SPDX 2.3 document in JSON. Each package depends on nothing here: a lock
// file of most ecosystems does not say who needs whom, so each is told as what the project needs, or
// needs for its development.
func (v *Inventory) SPDX(d Description) ([]byte, error) {
	const root = "SPDXRef-Project"
	doc := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: d.Name,
		Namespace: "https://sallyport.dev/spdx/" + v.identity(d),
		Creation:  spdxCreation{Created: d.Created.UTC().Format(time.RFC3339), Creators: creators(d)},
		Comment:   v.comment(d),
		Packages: []spdxPackage{{
			ID: root, Name: d.Name, Version: d.Version, Location: noAssertion,
			Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion, Purpose: d.Subject.types().spdx,
		}},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", root}},
	}
	if hex, ok := strings.CutPrefix(d.Digest, "sha256:"); ok && d.Subject == Single {
		doc.Packages[0].Checksums = []spdxChecksum{{"SHA256", hex}}
	}
	terms := map[string]string{}
	for _, c := range v.Components() {
		sum := sha256.Sum256([]byte(c.Ref()))
		id := "SPDXRef-Package-" + hex.EncodeToString(sum[:10])
		p := spdxPackage{
			ID: id, Name: c.Name, Version: c.Version, Location: noAssertion,
			Concluded: noAssertion, Declared: cmp.Or(c.Licence, noAssertion), Copyright: noAssertion, Purpose: purposes[c.Type],
		}
		if c.Purl != "" {
			p.Refs = []spdxRef{{"PACKAGE-MANAGER", "purl", c.Purl}}
		}
		if len(c.Paths) > 0 {
			p.SourceInfo = "named by " + strings.Join(c.Paths, ", ")
		}
		for _, t := range c.Terms {
			terms[t.Ref] = t.Name
		}
		for _, f := range c.Facts {
			p.Comment += f.Name + ": " + f.Value + "\n"
		}
		for _, h := range c.Hashes {
			p.Checksums = append(p.Checksums, spdxChecksum{h.Algorithm, h.Hex})
		}
		doc.Packages = append(doc.Packages, p)
		switch {
		case !c.locked:
			doc.Relationships = append(doc.Relationships, spdxRelationship{root, "CONTAINS", id})
		case c.Dev:
			doc.Relationships = append(doc.Relationships, spdxRelationship{id, "DEV_DEPENDENCY_OF", root})
		default:
			doc.Relationships = append(doc.Relationships, spdxRelationship{id, "DEPENDENCY_OF", root})
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(terms)) {
		doc.Licences = append(doc.Licences, spdxLicence{ref, terms[ref], terms[ref]})
	}
	return encode(doc)
}

// types are the words that the formats have for a subject.
type types struct{ cyclonedx, phase, spdx, told string }

func (s Subject) types() types {
	switch s {
	case Tree:
		return types{"application", "discovery", "SOURCE", "What lock files pin and files hold"}
	case Single:
		return types{"file", "post-build", "FILE", "What was found in the file"}
	case Image:
		return types{"container", "post-build", "CONTAINER", "What was found in the image"}
	}
	return types{"application", "pre-build", "SOURCE", "What lock files pin"}
}

// purposes are the words for the types of component, as SPDX's JSON spells them.
var purposes = map[string]string{Library: "LIBRARY", Application: "APPLICATION", System: "OPERATING_SYSTEM", Model: "OTHER"}

func creators(d Description) []string {
	out := []string{"Tool: sallyport-" + orUnknown(d.Tool)}
	for _, r := range d.Readers {
		out = append(out, "Tool: "+r.Name+"-"+r.Version)
	}
	return out
}

// comment says what was read, and what is missing.
func (v *Inventory) comment(d Description) string {
	var b strings.Builder
	b.WriteString(d.Subject.types().told)
	if d.Digest != "" {
		b.WriteString(" in " + d.Digest)
	}
	b.WriteString(".")
	for _, f := range v.Files() {
		if f.Open > 0 {
			fmt.Fprintf(&b, " Incomplete: %s asks for %d that no lock file pins.", f.Path, f.Open)
		}
		if f.Unread && f.Why == "" {
			fmt.Fprintf(&b, " Incomplete: nothing here reads %s.", f.Path)
		}
		if f.Why != "" {
			fmt.Fprintf(&b, " Incomplete: %s could not be read: %s.", f.Path, f.Why)
		}
	}
	return b.String()
}
