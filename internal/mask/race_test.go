//go:build race

package mask

// underRace: the race detector has pools forget at random, and so allocate.
const underRace = true
