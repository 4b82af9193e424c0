package oci

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// layered pushes an image of one layer and returns its descriptor.
func (f *fixture) layered(tag, layer string) object {
	return f.put(tag, object{
		"schemaVersion": 2, "mediaType": typeManifest,
		"config": f.blob("application/vnd.oci.image.config.v1+json", []byte(`{"os":"linux"}`), nil),
		"layers": []object{f.blob("application/vnd.oci.image.layer.v1.tar", []byte(layer), nil)},
	})
}

func TestExport(t *testing.T) {
	f := newFixture(t, true, nil)
	one := f.layered("one", "first layer")
	arm := with(f.layered("", "arm layer"), object{"platform": object{"os": "linux", "architecture": "arm64", "variant": "v8"}})
	amd := with(f.layered("", "amd layer"), object{"platform": object{"os": "linux", "architecture": "amd64"}})
	note := with(f.layered("", "attestation"), object{"platform": object{"os": "unknown", "architecture": "unknown"}})
	index := f.put("many", object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []object{arm, note, amd}})
	f.put("lone", object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []object{note, amd}})
	f.put("nested", object{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []object{index}})
	for _, tt := range []struct {
		tag, platform string
		want, index   sallyport.Digest
		layer, err    string
	}{
		{tag: "one", want: digestOf(one), layer: "first layer"},
		{tag: "many", platform: "linux/arm64", want: digestOf(arm), index: digestOf(index), layer: "arm layer"},
		{tag: "many", platform: "linux/amd64", want: digestOf(amd), index: digestOf(index), layer: "amd layer"},
		{tag: "many", err: "linux/arm64/v8, linux/amd64"},
		{tag: "many", platform: "linux/arm", err: "0 fit"},
		{tag: "lone", want: digestOf(amd), layer: "amd layer"},
		{tag: "nested", err: "another index"},
		{tag: "none", err: "NAME_UNKNOWN"},
	} {
		t.Run(tt.tag+" "+tt.platform, func(t *testing.T) {
			dir := t.TempDir()
			got, err := Export(context.Background(), f.at(tt.tag), tt.platform, dir, Options{})
			if tt.err != "" {
				if err == nil || tt.tag != "none" && !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("%+v, %v; want %q", got, err, tt.err)
				}
				return
			}
			if err != nil || got.Digest != tt.want || tt.index != "" && got.Index != tt.index {
				t.Fatalf("%+v, %v", got, err)
			}
			b, err := os.ReadFile(filepath.Join(dir, blobPath(sallyport.SHA256([]byte(tt.layer)))))
			if err != nil || string(b) != tt.layer {
				t.Fatalf("%q, %v", b, err)
			}
			// What was written is a layout with the same image, and copies as one.
			again := t.TempDir()
			copied, err := ExportLayout(context.Background(), dir, "", again)
			if err != nil || copied.Digest != tt.want {
				t.Fatalf("%+v, %v", copied, err)
			}
		})
	}
}

// TestExportHostile has a registry and a folder give other bytes than a digest names.
func TestExportHostile(t *testing.T) {
	layer := []byte("first layer")
	for name, other := range map[string]string{"other bytes": "FIRST layer", "too few": "first", "too many": "first layer and more"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, true, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, sallyport.SHA256(layer).Hex()) {
						_, _ = w.Write([]byte(other))
						return
					}
					h.ServeHTTP(w, r)
				})
			})
			f.layered("one", string(layer))
			if got, err := Export(context.Background(), f.at("one"), "", t.TempDir(), Options{}); err == nil {
				t.Fatalf("%+v", got)
			}
			dir := layoutOf(t, layer)
			if err := os.WriteFile(filepath.Join(dir, blobPath(sallyport.SHA256(layer))), []byte(other), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := ExportLayout(context.Background(), dir, "", t.TempDir()); !errors.Is(err, ErrDigest) {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	}
	t.Run("a link out of the folder", func(t *testing.T) {
		dir := layoutOf(t, layer)
		blob := filepath.Join(dir, blobPath(sallyport.SHA256(layer)))
		outside := filepath.Join(t.TempDir(), "layer")
		if err := errors.Join(os.WriteFile(outside, layer, 0o600), os.Remove(blob), os.Symlink(outside, blob)); err != nil {
			t.Fatal(err)
		}
		if got, err := ExportLayout(context.Background(), dir, "", t.TempDir()); err == nil {
			t.Fatalf("%+v", got)
		}
	})
}

func layoutOf(t *testing.T, layer []byte) string {
	t.Helper()
	f := newFixture(t, true, nil)
	f.layered("one", string(layer))
	dir := t.TempDir()
	if _, err := Export(context.Background(), f.at("one"), "", dir, Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func FuzzLayoutIndex(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "index.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ExportLayout(context.Background(), dir, "", t.TempDir()); err == nil {
			t.Fatalf("an index without blobs was exported: %q", bytes.TrimSpace(b))
		}
	})
}
