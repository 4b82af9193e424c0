package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
	Relationships []spdxRelationship `json:"relationships"`
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

// noAssertion is what the tool does not say: it read no licence and fetched nothing.
const noAssertion = "NOASSERTION"

// SPDX returns the bill as an SPDX 2.3 document in JSON. Each package depends on nothing here: a lock
// file of most ecosystems does not say who needs whom, so each is told as what the project needs, or
// needs for its development.
func (v *Inventory) SPDX(d Description) ([]byte, error) {
	const root = "SPDXRef-Project"
	doc := spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: d.Name,
		Namespace: "https://sallyport.dev/spdx/" + v.identity(d),
		Creation:  spdxCreation{Created: d.Created.UTC().Format(time.RFC3339), Creators: []string{"Tool: sallyport-" + orUnknown(d.Tool)}},
		Comment:   v.comment(d),
		Packages: []spdxPackage{{
			ID: root, Name: d.Name, Version: d.Version, Location: noAssertion,
			Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion, Purpose: "SOURCE",
		}},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", root}},
	}
	for _, c := range v.Components() {
		sum := sha256.Sum256([]byte(c.Purl))
		id := "SPDXRef-Package-" + hex.EncodeToString(sum[:10])
		p := spdxPackage{
			ID: id, Name: c.Name, Version: c.Version, Location: noAssertion,
			Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion, Purpose: "LIBRARY",
			Refs:       []spdxRef{{"PACKAGE-MANAGER", "purl", c.Purl}},
			SourceInfo: "named by " + strings.Join(c.Paths, ", "),
		}
		for _, h := range c.Hashes {
			p.Checksums = append(p.Checksums, spdxChecksum{h.Algorithm, h.Hex})
		}
		doc.Packages = append(doc.Packages, p)
		kind := "DEPENDENCY_OF"
		if c.Dev {
			kind = "DEV_DEPENDENCY_OF"
		}
		doc.Relationships = append(doc.Relationships, spdxRelationship{id, kind, root})
	}
	return encode(doc)
}

// comment says what was read, and what is missing.
func (v *Inventory) comment(d Description) string {
	var b strings.Builder
	b.WriteString("What lock files pin")
	if d.Digest != "" {
		b.WriteString(" in " + d.Digest)
	}
	b.WriteString(".")
	for _, f := range v.Files() {
		if f.Open > 0 {
			fmt.Fprintf(&b, " Incomplete: %s asks for %d that no lock file pins.", f.Path, f.Open)
		}
		if f.Unread {
			fmt.Fprintf(&b, " Incomplete: nothing here reads %s.", f.Path)
		}
	}
	return b.String()
}
