//go:build !linux

package scene

// InMemory does nothing here.
func InMemory() {}
