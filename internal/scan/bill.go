package scan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Bounds of a bill of materials that others made.
const (
	maxBill       = 64 << 20
	maxComponents = 200_000
	maxNested     = 32
)

// ErrBill is wrapped by errors about bills of materials that cannot be read.
var ErrBill = errors.New("no bill of materials that can be read")

// A Bill is what a bill of materials says that there is.
type Bill struct {
	Purls    []string
	Nameless int    // components that are packages and have no package URL
	Example  string // the name of one of them
	// None says that there are no packages: the bill names none, and says of itself that it is complete.
	None bool
}

type cycloneComponent struct {
	Type       string             `json:"type"`
	Name       string             `json:"name"`
	Purl       string             `json:"purl"`
	Components []cycloneComponent `json:"components"`
}

type spdxRef struct {
	Type    string `json:"referenceType"`
	Locator string `json:"referenceLocator"`
}

// A composition says of parts of a bill whether they are complete; of no part, of all of it.
type composition struct {
	Aggregate    string   `json:"aggregate"`
	Assemblies   []string `json:"assemblies"`
	Dependencies []string `json:"dependencies"`
}

// complete reports whether a bill about root says that its components are all there are, and nowhere that they are not.
func complete(cs []composition, root string) bool {
	said := false
	for _, c := range cs {
		if root != "" && slices.Contains(c.Assemblies, root) || len(c.Assemblies)+len(c.Dependencies) == 0 {
			if c.Aggregate != "complete" {
				return false
			}
			said = true
		}
	}
	return said
}

// isPackage reports whether a component is something that advisories could be about. What is left out
// is a part of something else, or no software.
func (c *cycloneComponent) isPackage() bool {
	switch c.Type {
	case "file", "data", "device", "cryptographic-asset", "machine-learning-model":
		return false
	}
	return true
}

// ParseBill reads a bill in CycloneDX or SPDX 2, as JSON. Whether it may be believed is its reader's
// question.
func ParseBill(body []byte) (Bill, error) {
	var raw struct {
		Format     string             `json:"bomFormat"`
		Components []cycloneComponent `json:"components"`
		Metadata   struct {
			Component struct {
				Ref        string             `json:"bom-ref"`
				Components []cycloneComponent `json:"components"`
			} `json:"component"`
		} `json:"metadata"`
		Compositions []composition `json:"compositions"`

		SPDX      string   `json:"spdxVersion"`
		Describes []string `json:"documentDescribes"`
		Packages  []struct {
			ID   string    `json:"SPDXID"`
			Name string    `json:"name"`
			Refs []spdxRef `json:"externalRefs"`
		} `json:"packages"`
		Relationships []struct {
			From string `json:"spdxElementId"`
			Type string `json:"relationshipType"`
			To   string `json:"relatedSpdxElement"`
		} `json:"relationships"`
	}
	if err := strict.LaxJSON(body, maxBill, &raw); err != nil {
		return Bill{}, fmt.Errorf("%w: %w", ErrBill, err)
	}
	var b Bill
	switch {
	case raw.Format == "CycloneDX":
		if err := b.cyclone(raw.Components, 0); err != nil {
			return Bill{}, err
		}
		if err := b.cyclone(raw.Metadata.Component.Components, 0); err != nil {
			return Bill{}, err
		}
		b.None = len(b.Purls)+b.Nameless == 0 && complete(raw.Compositions, raw.Metadata.Component.Ref)
	case strings.HasPrefix(raw.SPDX, "SPDX-2."):
		if len(raw.Packages) > maxComponents {
			return Bill{}, fmt.Errorf("%w: it has more than %d packages", ErrBill, maxComponents)
		}
		// What the document is about is the project itself, which needs no package URL. One that is about several things
		// lists packages.
		main := map[string]bool{}
		for _, id := range raw.Describes {
			main[id] = true
		}
		for _, r := range raw.Relationships {
			if r.Type == "DESCRIBES" && r.From == "SPDXRef-DOCUMENT" {
				main[r.To] = true
			}
		}
		none := false
		for _, r := range raw.Relationships {
			none = none || main[r.From] && r.To == "NONE" && (r.Type == "CONTAINS" || r.Type == "DEPENDS_ON")
		}
		for _, p := range raw.Packages {
			named := false
			for _, r := range p.Refs {
				if r.Type != "purl" {
					continue
				}
				if len(b.Purls) >= maxComponents {
					return Bill{}, fmt.Errorf("%w: it has more than %d package URLs", ErrBill, maxComponents)
				}
				named = named || r.Locator != ""
				b.note(r.Locator, p.Name)
			}
			if !named && (len(main) != 1 || !main[p.ID]) && !slices.ContainsFunc(p.Refs, func(r spdxRef) bool { return r.Type == "purl" }) {
				b.note("", p.Name)
			}
		}
		b.None = none && len(main) == 1 && len(b.Purls)+b.Nameless == 0
	default:
		return Bill{}, fmt.Errorf("%w: it is neither CycloneDX nor SPDX 2", ErrBill)
	}
	return b, nil
}

func (b *Bill) cyclone(cs []cycloneComponent, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("%w: components lie more than %d deep in each other", ErrBill, maxNested)
	}
	for i := range cs {
		c := &cs[i]
		if len(b.Purls)+b.Nameless >= maxComponents {
			return fmt.Errorf("%w: it has more than %d components", ErrBill, maxComponents)
		}
		if c.Purl != "" || c.isPackage() {
			b.note(c.Purl, c.Name)
		}
		if err := b.cyclone(c.Components, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bill) note(purl, name string) {
	if purl != "" {
		b.Purls = append(b.Purls, purl)
		return
	}
	if b.Nameless++; b.Example == "" {
		b.Example = name
	}
}
