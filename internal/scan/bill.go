package scan

import (
	"errors"
	"fmt"
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
}

type cycloneComponent struct {
	Type       string             `json:"type"`
	Name       string             `json:"name"`
	Purl       string             `json:"purl"`
	Components []cycloneComponent `json:"components"`
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

		SPDX      string   `json:"spdxVersion"`
		Describes []string `json:"documentDescribes"`
		Packages  []struct {
			ID   string `json:"SPDXID"`
			Name string `json:"name"`
			Refs []struct {
				Type    string `json:"referenceType"`
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
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
	case strings.HasPrefix(raw.SPDX, "SPDX-2."):
		if len(raw.Packages) > maxComponents {
			return Bill{}, fmt.Errorf("%w: it has more than %d packages", ErrBill, maxComponents)
		}
		// What the document is about is the project itself, which needs no package URL.
		main := map[string]bool{}
		for _, id := range raw.Describes {
			main[id] = true
		}
		for _, r := range raw.Relationships {
			if r.Type == "DESCRIBES" && r.From == "SPDXRef-DOCUMENT" {
				main[r.To] = true
			}
		}
		for _, p := range raw.Packages {
			purl := ""
			for _, r := range p.Refs {
				if r.Type == "purl" {
					purl = r.Locator
				}
			}
			if purl == "" && main[p.ID] {
				continue
			}
			b.note(purl, p.Name)
		}
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
