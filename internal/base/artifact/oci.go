package artifact

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// pairBlobs pairs the blobs of two OCI image layouts (or Docker archives) by the place that the
// manifests give them: the configuration of the first image with that of the first image. The name
// of a blob is its digest, so that what differs has another name, and would otherwise be told as
// missing and extra. Which pairs of names stand for one role is then the same key on both sides.
func (c *comparer) pairBlobs(byKey [2]map[memberKey]*entry) {
	var roles [2]map[string]string // role to name
	for i, m := range byKey {
		roles[i] = layoutRoles(m)
	}
	for _, role := range sortedKeys(roles[0]) {
		na, nb := roles[0][role], roles[1][role]
		ka, kb := memberKey{na, 0}, memberKey{nb, 0}
		// What both have under one name is the same blob, whatever its roles.
		if nb == "" || na == nb || byKey[0][ka] == nil || byKey[1][kb] == nil || byKey[0][kb] != nil || byKey[1][ka] != nil {
			continue
		}
		at := memberKey{min(na, nb), 0}
		a, b := byKey[0][ka], byKey[1][kb]
		delete(byKey[0], ka)
		delete(byKey[1], kb)
		byKey[0][at], byKey[1][at] = a, b
		a.role, b.role = role, role
	}
}

// maxManifest is the largest manifest that is read to pair blobs.
const maxManifest = 4 << 20

// layoutRoles says which member of a layout has which role, by index.json and what it leads to, or
// by the manifest.json of a Docker archive. What is no layout has no roles.
func layoutRoles(m map[memberKey]*entry) map[string]string {
	roles := map[string]string{}
	read := func(name string, v any) bool {
		e := m[memberKey{name, 0}]
		if e == nil || e.load != nil || e.data.size > maxManifest {
			return false
		}
		b, err := io.ReadAll(e.data.reader())
		return err == nil && json.Unmarshal(b, v) == nil
	}
	var docker []struct {
		Config string
		Layers []string
	}
	if read("manifest.json", &docker) {
		for i, d := range docker {
			roles[fmt.Sprintf("image %d, configuration", i+1)] = d.Config
			for j, l := range d.Layers {
				roles[fmt.Sprintf("image %d, layer %d", i+1, j+1)] = l
			}
		}
	}
	type descriptor struct {
		Digest string `json:"digest"`
	}
	type manifest struct {
		Manifests []descriptor `json:"manifests"`
		Config    *descriptor  `json:"config"`
		Layers    []descriptor `json:"layers"`
	}
	blobName := func(d descriptor) string {
		alg, hex, _ := strings.Cut(d.Digest, ":")
		return "blobs/" + alg + "/" + hex
	}
	seen := map[string]bool{}
	var walk func(name, role string, depth int)
	walk = func(name, role string, depth int) {
		var mf manifest
		if depth > 4 || len(roles) > 10_000 || seen[name] || !read(name, &mf) {
			return
		}
		seen[name] = true
		for i, d := range mf.Manifests {
			at := strings.TrimPrefix(fmt.Sprintf("%s, manifest %d", role, i+1), ", ")
			roles[at] = blobName(d)
			walk(blobName(d), at, depth+1)
		}
		if mf.Config != nil {
			roles[role+", configuration"] = blobName(*mf.Config)
		}
		for i, l := range mf.Layers {
			roles[fmt.Sprintf("%s, layer %d", role, i+1)] = blobName(l)
		}
	}
	walk("index.json", "", 0)
	return roles
}
