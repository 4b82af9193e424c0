//go:build e2e

package evasion

const (
	floodFiles  = 100_000
	bigEvidence = 200 << 20
)
