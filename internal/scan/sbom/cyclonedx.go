package sbom

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// CycloneDXType is the predicate type of an attestation whose predicate is what CycloneDX writes.
const CycloneDXType = "https://cyclonedx.org/bom"

// digestProperty holds the digest of what a bill is about, such as a commit, that is no hash of the format's.
const digestProperty = "sallyport:digest"

type cdxBOM struct {
	Format       string           `json:"bomFormat"`
	Spec         string           `json:"specVersion"`
	Serial       string           `json:"serialNumber"`
	Version      int              `json:"version"`
	Metadata     cdxMetadata      `json:"metadata"`
	Components   []cdxComponent   `json:"components"`
	Dependencies []cdxDependency  `json:"dependencies"`
	Compositions []cdxComposition `json:"compositions"`
}

type cdxMetadata struct {
	Timestamp string       `json:"timestamp"`
	Tools     cdxTools     `json:"tools"`
	Component cdxComponent `json:"component"`
	// Lifecycles says from when the list is: before a build, since it is what lock files pin.
	Lifecycles []cdxLifecycle `json:"lifecycles"`
}

type cdxTools struct {
	Components []cdxComponent `json:"components"`
}

type cdxLifecycle struct {
	Phase string `json:"phase"`
}

type cdxComponent struct {
	Type       string        `json:"type"`
	Ref        string        `json:"bom-ref,omitempty"`
	Group      string        `json:"group,omitempty"`
	Name       string        `json:"name"`
	Version    string        `json:"version,omitempty"`
	Hashes     []cdxHash     `json:"hashes,omitempty"`
	Licences   []cdxLicence  `json:"licenses,omitempty"`
	Purl       string        `json:"purl,omitempty"`
	Card       *cdxCard      `json:"modelCard,omitempty"`
	Properties []cdxProperty `json:"properties,omitempty"`
}

// A cdxCard is what makes a document an ML-BOM.
type cdxCard struct {
	Parameters struct {
		Architecture string `json:"modelArchitecture,omitempty"`
	} `json:"modelParameters"`
}

type cdxLicence struct {
	Expression string `json:"expression"`
}

type cdxHash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type cdxProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type cdxDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

type cdxComposition struct {
	Aggregate    string   `json:"aggregate"`
	Assemblies   []string `json:"assemblies,omitempty"`
	Dependencies []string `json:"dependencies,omitempty"`
}

// CycloneDX returns the bill as a CycloneDX 1.6 document in JSON. The graph holds what files say:
// which packages the project asks for itself. Who else needs whom is marked unknown.
func (v *Inventory) CycloneDX(d Description) ([]byte, error) {
	const root = "project"
	parts := v.Components()
	bom := cdxBOM{
		Format: "CycloneDX", Spec: "1.6", Version: 1, Serial: "urn:uuid:" + uuid(v.identity(d)),
		Metadata: cdxMetadata{
			Timestamp:  d.Created.UTC().Format(time.RFC3339),
			Tools:      cdxTools{[]cdxComponent{{Type: "application", Group: "sallyport", Name: "sallyport", Version: orUnknown(d.Tool)}}},
			Component:  cdxComponent{Type: d.Subject.types().cyclonedx, Ref: root, Name: d.Name, Version: d.Version},
			Lifecycles: []cdxLifecycle{{d.Subject.types().phase}},
		},
		Components: make([]cdxComponent, 0, len(parts)),
	}
	if d.Digest != "" {
		bom.Metadata.Component.Properties = []cdxProperty{{digestProperty, d.Digest}}
	}
	for _, r := range d.Readers {
		bom.Metadata.Tools.Components = append(bom.Metadata.Tools.Components, cdxComponent{Type: "application", Name: r.Name, Version: r.Version})
	}
	if hex, ok := strings.CutPrefix(d.Digest, "sha256:"); ok && d.Subject == Single {
		bom.Metadata.Component.Hashes = []cdxHash{{"SHA-256", hex}}
	}
	direct := []string{}
	for _, c := range parts {
		out := cdxComponent{Type: c.Type, Ref: c.Ref(), Name: c.Name, Version: c.Version, Purl: c.Purl}
		if c.Ecosystem == "maven" {
			out.Group, out.Name = cutGroup(c.Name, ":")
		} else if c.Ecosystem == "npm" && strings.HasPrefix(c.Name, "@") {
			out.Group, out.Name = cutGroup(c.Name, "/")
		}
		for _, h := range c.Hashes {
			out.Hashes = append(out.Hashes, cdxHash{"SHA-" + strings.TrimPrefix(h.Algorithm, "SHA"), h.Hex})
		}
		if c.Licence != "" {
			out.Licences = []cdxLicence{{c.Licence}}
		}
		if c.locked {
			out.Properties = append(out.Properties, cdxProperty{"sallyport:direct", strconv.FormatBool(c.Direct)}, cdxProperty{"sallyport:development", strconv.FormatBool(c.Dev)})
		}
		for _, t := range c.Terms {
			out.Properties = append(out.Properties, cdxProperty{"sallyport:licence:" + t.Ref, t.Name})
		}
		if c.Type == Model {
			out.Card = &cdxCard{}
		}
		for _, f := range c.Facts {
			if f.Name == "architecture" && out.Card != nil {
				out.Card.Parameters.Architecture = f.Value
			}
			out.Properties = append(out.Properties, cdxProperty{"sallyport:model:" + f.Name, f.Value})
		}
		for _, p := range c.Paths {
			out.Properties = append(out.Properties, cdxProperty{"sallyport:path", p})
		}
		bom.Components = append(bom.Components, out)
		if c.Direct {
			direct = append(direct, c.Ref())
		}
	}
	bom.Dependencies = []cdxDependency{{root, direct}}
	aggregate := "complete"
	switch {
	case !v.Complete():
		aggregate = "incomplete"
	case d.Subject != Project: // nothing says what a scanner overlooks
		aggregate = "unknown"
	}
	bom.Compositions = []cdxComposition{{Aggregate: aggregate, Assemblies: []string{root}}, {Aggregate: "unknown", Dependencies: []string{root}}}
	return encode(bom)
}

func cutGroup(name, sep string) (group, rest string) {
	if group, rest, ok := strings.Cut(name, sep); ok {
		return group, rest
	}
	return "", name
}

// uuid makes a UUID of version 8 (RFC 9562: what the digits are is its maker's affair) of an
// identity.
func uuid(identity string) string {
	b := []byte(identity[:32])
	b[12], b[16] = '8', '8'
	return fmt.Sprintf("%s-%s-%s-%s-%s", b[:8], b[8:12], b[12:16], b[16:20], b[20:])
}
