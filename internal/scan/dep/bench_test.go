package dep

import (
	"fmt"
	"strings"
	"testing"
)

// largeLock is a package-lock.json of 5 MB: twelve thousand packages.
func largeLock() []byte {
	var b strings.Builder
	b.WriteString(`{"name": "shop", "lockfileVersion": 3, "packages": {"": {"dependencies": {"package-00001": "^1.0.0"}}`)
	for i := range 12_000 {
		fmt.Fprintf(&b, `,
    "node_modules/package-%05d": {
      "version": "1.%d.0",
      "resolved": "https://registry.npmjs.org/package-%05d/-/package-%05d-1.%d.0.tgz",
      "integrity": "sha512-%086d==",
      "license": "MIT",
      "dependencies": {"package-%05d": "^1.0.0", "package-%05d": "^1.1.0"},
      "engines": {"node": ">= 18"}
    }`, i, i%30, i, i, i%30, i, (i*7)%12_000, (i*13+1)%12_000)
	}
	b.WriteString("}}\n")
	return []byte(b.String())
}

func BenchmarkPackageLock(b *testing.B) {
	body := largeLock()
	format := FormatOf("package-lock.json")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if ps, err := format.Read(body); err != nil || len(ps) != 12_000 {
			b.Fatal(len(ps), err)
		}
	}
}

// One update among twelve thousand packages, both sides read.
func BenchmarkCompare(b *testing.B) {
	format := FormatOf("package-lock.json")
	before := largeLock()
	after := []byte(strings.ReplaceAll(strings.ReplaceAll(string(before), `package-00002-1.2.0.tgz`, `package-00002-1.9.0.tgz`), "\"node_modules/package-00002\": {\n      \"version\": \"1.2.0\"", "\"node_modules/package-00002\": {\n      \"version\": \"1.9.0\""))
	b.SetBytes(int64(2 * len(before)))
	b.ReportAllocs()
	for b.Loop() {
		x, err := format.Read(before)
		if err != nil {
			b.Fatal(err)
		}
		y, err := format.Read(after)
		if err != nil {
			b.Fatal(err)
		}
		if c := Compare(x, y, false); len(c) != 1 || c[0].Old.Version != "1.2.0" || c[0].New.Version != "1.9.0" {
			b.Fatalf("%+v", c)
		}
	}
}
