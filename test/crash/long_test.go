//go:build e2e

package crash

const defaultKills = 200
