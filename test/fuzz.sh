#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME each (30 seconds unless told), one after
# another, and fails if one of them found something. New inputs are kept where Go keeps them:
# findings in the package's testdata/fuzz, to be committed with the fix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

time=${FUZZTIME:-30s}
found=0
targets=0
while IFS=: read -r file name; do
	targets=$((targets + 1))
	package=./$(dirname "$file")
	echo "== $package $name for $time"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" || found=$((found + 1))
done < <(git grep -E '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' |
	sed -E 's/^([^:]*):func (Fuzz[A-Za-z0-9_]*)\(.*/\1:\2/')

echo "$targets fuzz targets, $found with findings"
[ "$targets" -gt 0 ] && [ "$found" -eq 0 ]
