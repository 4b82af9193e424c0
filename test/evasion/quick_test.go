//go:build !e2e

package evasion

// Sizes that meet the same bounds as those of the end-to-end suite, in less time.
const (
	floodFiles  = 21_000
	bigEvidence = 48 << 20
)
