//go:build e2e

package ci

const everything = true
