package config

import (
	"slices"
	"strings"
)

// Dependencies says where packages may come from.
type Dependencies struct {
	// Registries are hosts from which packages may come beside the default registry of their
	// ecosystem, as lock and manifest files name them: registry.example.com, or
	// registry.example.com:8443 where there is a port. "file" allows packages from paths. A
	// host stands for all that it serves: github.com would let in any repository of anyone.
	// Default: none.
	Registries []string `yaml:"registries"`
}

func (d Dependencies) override(m map[string]any) {
	if d.Registries != nil {
		m["dependencies"] = map[string]any{"registries": d.Registries}
	}
}

func (d Dependencies) validate() error {
	for i, r := range d.Registries {
		if r == "" || len(r) > 260 || r != strings.ToLower(r) || strings.ContainsAny(r, "/*@ \t\r\n") {
			return bad("data.dependencies.registries", "%q is no host; write it in lower case, without scheme, user and path", clip(r))
		}
		if slices.Contains(d.Registries[:i], r) {
			return bad("data.dependencies.registries", "%q stands twice", r)
		}
	}
	return nil
}
